"""All watches of a shard: those of the settings, then those with a detector of your own."""

from __future__ import annotations

from collections.abc import Mapping

from ...chance import Chance
from ...errors import BadSettings
from ...importing import suggest_nearest
from ...settings.drift import ONE_BY_ONE, DriftSettings, WatchSettings
from .detectors import Detector, DriftLevel, check_detector
from .lines import Lines
from .watches import NEVER, Watch
from .windows import ON_INPUTS

ON_LABELS = ("error", "surprise", "recall")


class WatchSet:
    """The watches, grouped by the data that they get.

    Raises `BadSettings` with every fault of the watches.
    """

    def __init__(
        self, settings: DriftSettings, chance: Chance, own: Mapping[str, Detector]
    ) -> None:
        self.all = _make_watches(settings, chance, own)
        # Without data: their types are allowed in a state that is restored.
        self.own = [watch.unfed for watch in self.all if watch.unfed is not None]
        eventwise = [w for w in self.all if not w.is_windowed]
        self.windowed = [w for w in self.all if w.is_windowed]
        self.on_confidence = [w for w in eventwise if w.signal == "confidence"]
        self.on_class_mix = [w for w in eventwise if w.signal == "class_mix"]
        self.on_labels = {
            signal: [w for w in eventwise if w.signal == signal] for signal in ON_LABELS
        }

    def ratios_at(self, seq: int) -> dict[tuple[str, str], float]:
        """Return each statistic divided by its threshold, by signal and detector."""
        return {(w.signal, w.detector): w.ratio_at(seq) for w in self.all}

    def falls_at(self, seq: int) -> int:
        """Return the number of the event after `seq` at which the first alarm ends."""
        return min((w.falls_at(seq) for w in self.all), default=NEVER)

    def level_at(self, seq: int, agree_n: int) -> DriftLevel:
        """Return the highest level held, or DRIFT if `agree_n` signals are above STABLE."""
        level = max((w.level_at(seq) for w in self.all), default=DriftLevel.STABLE)
        agreeing = {w.signal: True for w in self.all if w.level_at(seq) > DriftLevel.STABLE}
        return DriftLevel.DRIFT if len(agreeing) >= agree_n else level

    def held_since(self, seq: int) -> float | None:
        """Return since when, seconds, the earliest held finding lasts, as far as watches know."""
        held = [w.since for w in self.all if w.level_at(seq) and w.since is not None]
        return min(held, default=None)

    def restart_for_model(self) -> None:
        """Restart all watches but those of inputs, since another model is judged."""
        for watch in self.all:
            if watch.signal not in ON_INPUTS:
                watch.restart()


def _make_watches(
    settings: DriftSettings, chance: Chance, own: Mapping[str, Detector]
) -> list[Watch]:
    """Make the watches of the settings, then those with your own detectors."""
    specs: list[tuple[str, WatchSettings, Detector | None]] = [
        (f"drift.watch[{i}]", watch, None) for i, watch in enumerate(settings.watch)
    ]
    for signal, detector in own.items():
        if signal not in ONE_BY_ONE:
            raise BadSettings(
                f"detectors has {signal!r}; a detector of your own can watch "
                f"{', '.join(ONE_BY_ONE)}{suggest_nearest(signal, ONE_BY_ONE)}"
            )
        check_detector(detector, signal)
        watch = WatchSettings(signal=signal, detector=type(detector).__name__)  # type: ignore[arg-type]
        specs.append((f"detectors[{signal!r}]", watch, detector))
    lines = Lines(
        every_n=settings.false_alarm_every_n,
        check_every_n=settings.check_every_n,
        watches_n=max(1, len(specs)),
        drift_watches_n=max(1, sum(watch.level == "drift" for _, watch, _ in specs)),
    )
    faults: list[str] = []
    watches: list[Watch] = []
    for where, watch, unfed in specs:
        try:
            new_watch = Watch(
                watch,
                lines,
                hold_n=settings.hold_n,
                confirm_n=settings.window_n,
                seed=chance.integer(f"drift {watch.signal} {watch.detector}"),
                unfed=unfed,
            )
        except BadSettings as error:
            faults += [f"{where}: {fault}" for fault in error.faults]
            continue
        if any((new_watch.signal, new_watch.detector) == (w.signal, w.detector) for w in watches):
            faults.append(f"{where} has {new_watch.detector} on {new_watch.signal} once more")
        watches.append(new_watch)
    if faults:
        raise BadSettings(faults)
    return watches
