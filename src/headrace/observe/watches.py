"""One watch: a signal, what watches it, and for how long its alarm holds.

It knows nothing of the other watches; the level they make together is made in `drift`.
"""

from __future__ import annotations

from ..settings import WatchSettings
from .detectors import DriftLevel, Feed, check_options

NEVER = 1 << 62
_THRESHOLDS = {"psi": 0.25, "ks": 0.2}
_STABLE, _WARNING, _DRIFT = DriftLevel


class Watch:
    """One signal and what watches it; an alarm holds for `hold_n` events after its last firing."""

    __slots__ = (
        "_ceiling",
        "_last_seq",
        "_seed",
        "detector",
        "feeds",
        "hold_n",
        "options",
        "signal",
        "statistic",
    )

    def __init__(self, settings: WatchSettings, hold_n: int, check_every_n: int, seed: int) -> None:
        """Raises `BadSettings` on options the detector does not take."""
        self.signal: str = settings.signal
        self.detector: str = settings.detector
        self.options = dict(settings.options)
        check_options(self.detector, self.options)
        # A windowed test speaks every so often; until it has spoken again its alarm holds.
        self.hold_n = max(hold_n, check_every_n) if self.is_windowed else hold_n
        self.statistic = 0.0
        self.feeds: list[Feed] = []
        self._seed = seed
        self._ceiling = DriftLevel[settings.level.upper()]
        # Number of the event at which it last fired at WARNING and at DRIFT.
        self._last_seq: dict[DriftLevel, int] = {}
        self.restart()

    @property
    def is_windowed(self) -> bool:
        """Whether it compares samples, instead of being fed one number at a time."""
        return self.detector in _THRESHOLDS

    @property
    def is_one_sided(self) -> bool:
        """Whether only a rise (of errors, of doubt) is an alarm: recovery is no drift."""
        return self.signal in ("error", "surprise", "confidence")

    def restart(self) -> None:
        """Forget what was watched, and the alarm."""
        self._last_seq = {_WARNING: -NEVER, _DRIFT: -NEVER}
        self.statistic = 0.0
        self.feeds.clear()
        if not self.is_windowed:
            # For class_mix one a class; the others are added when their class is first predicted.
            self._add_feed()

    def _add_feed(self) -> None:
        self.feeds.append(
            Feed(self.detector, self.options, is_one_sided=self.is_one_sided, seed=self._seed)
        )

    def step(self, x: float) -> int:
        """Feed one number; the level of the alarm, 0 for none."""
        return self.feeds[0].step(x)

    def step_class(self, predicted: int) -> int:
        """Feed one predicted class: 1 to its own detector, 0 to the others."""
        while len(self.feeds) <= predicted:
            self._add_feed()
        return max([feed.step(float(c == predicted)) for c, feed in enumerate(self.feeds)])

    def over_threshold(self, statistic: float, noise: float) -> float:
        """A windowed test's; alarms must be above chance as well as above the threshold."""
        return statistic / max(self.options.get("threshold", _THRESHOLDS[self.detector]), noise)

    def compare(self, ratio: float) -> int:
        """Take in a windowed test, a statistic over its threshold; the level of the alarm."""
        self.statistic = max(self.statistic, ratio)
        return 2 if self.statistic >= 1.0 else 0

    def fire(self, level: int, seq: int) -> DriftLevel | None:
        """Note an alarm at event `seq`; its level, if the watch did not hold that one already."""
        raised = min(DriftLevel(level), self._ceiling)
        is_new = self.level_at(seq) < raised
        self._last_seq[raised] = seq
        return raised if is_new else None

    def level_at(self, seq: int) -> DriftLevel:
        """The level it holds at event `seq`, not earlier than its last alarm."""
        if seq - self._last_seq[_DRIFT] <= self.hold_n:
            return _DRIFT
        return _WARNING if seq - self._last_seq[_WARNING] <= self.hold_n else _STABLE

    def falls_at(self, seq: int) -> int:
        """Number of the first event after `seq` at which its level falls if nothing happens."""
        ends = [last + self.hold_n + 1 for last in self._last_seq.values()]
        return min((end for end in ends if end > seq), default=NEVER)

    def ratio_at(self, seq: int) -> float:
        """Statistic over threshold; ADWIN shows none: 1 while its alarm holds, else 0."""
        if self.is_windowed:
            return self.statistic
        held = float(self.level_at(seq) > _STABLE)
        ratios = [feed.ratio() for feed in self.feeds]
        return max([held if ratio is None else ratio for ratio in ratios])
