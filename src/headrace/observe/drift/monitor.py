"""The drift level: a state machine over all watches of a shard.

    STABLE ── a watch crosses its warning line ──▶ WARNING: suspected
       ▲                                              │ its drift line, or agree_n signals at once
       │◀── nothing holds the suspicion ──────────────┤
       │                                              ▼
       └── the last alarm is hold_n events ago ──── DRIFT: confirmed, and answered

It returns each change of the level once; what follows from a change (labels, retraining) is not
decided here. `watches` has a single watch, `windows` the windowed tests, `causes` the causes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...chance import Chance
from ...messages import DriftChanged, LabelSettled
from ...settings.drift import DriftSettings
from ...state.stored_parts import OfParts, Parts, same_names
from .. import signals
from ..schema import Schema
from ..window import Columns, Window
from .causes import missed_classes
from .detectors import Detector, DriftLevel
from .judged import AlarmRecord, JudgedLabels
from .watch_set import ON_LABELS, WatchSet
from .watches import NEVER, Watch
from .windows import Windows

_STABLE, _, _DRIFT = DriftLevel

# The fields of a monitor's state that belong to its parts.
_PARTS: Parts = {
    "record": (
        AlarmRecord,
        same_names("alarms_n", "alarmed_at", "changes_n", "changed_at", "last_rise"),
    ),
    "watches": (
        WatchSet,
        {
            "watches": "all",
            "own": "own",
            "_windowed": "windowed",
            "_on_confidence": "on_confidence",
            "_on_class_mix": "on_class_mix",
            "_on_labels": "on_labels",
        },
    ),
    "_judged": (
        JudgedLabels,
        {"_labels_n": "labels_n", "_class_number": "class_number", "_judged": "latest"},
    ),
}


class DriftMonitor(OfParts):
    """All watches of a shard, and the one drift level that follows from them.

    The level is the highest that any watch holds, or DRIFT while at least `agree_n` signals are at
    WARNING or above. It rises at once; while it holds, further alarms only prolong it; it falls
    when no watch holds it. Every change is returned once as a `DriftChanged`.

    A cold model can't serve as a reference: confidence and predicted classes are watched from
    `end_cold_start` on. Labels of control requests are watched from the start.

    >>> from headrace.settings import DriftSettings, WatchSettings
    >>> watch = WatchSettings(signal="error", detector="hddm_w")
    >>> monitor = DriftMonitor(DriftSettings(watch=(watch,)), Chance(1))
    >>> wrong = [False] * 200 + [True] * 30
    >>> changes = [monitor.watch_error(w, at=seq, seq=seq) for seq, w in enumerate(wrong)]
    >>> [(c.at, c.level, c.signal, c.detector) for c in changes if c]
    [(210, 'WARNING', 'error', 'hddm_w'), (213, 'DRIFT', 'error', 'hddm_w')]
    """

    PARTS: ClassVar[Parts] = _PARTS

    def __init__(
        self,
        settings: DriftSettings,
        chance: Chance,
        own: Mapping[str, Detector] | None = None,
    ) -> None:
        """`own` are your own detectors by signal, in addition to the watches of the settings.

        Raises `BadSettings` with every fault of the watches.
        """
        self.agree_n = settings.agree_n
        self.level = _STABLE
        self.is_cold = True
        self.windows = Windows(settings.features_max, settings.window_n)
        self.record = AlarmRecord()
        self.watches = WatchSet(settings, chance, own or {})
        self._judged = JudgedLabels()
        self._seq = -1
        self._fall_seq = NEVER
        self._model_seq = 0
        # Where the latest DRIFT began; once it is over, the reference begins there.
        self._risen_seq = 0
        self._from_seq = 0
        self._raised_by: Watch | None = None

    @property
    def own(self) -> list[Detector]:
        """Your own detectors, as they were passed, without data."""
        return self.watches.own

    @property
    def statistics(self) -> dict[tuple[str, str], float]:
        """Each watch's statistic divided by its threshold, by signal and detector: 1 is an alarm.

        It is the highest over all features or classes. ADWIN has no statistic: 1 while its alarm
        holds, else 0. For river's detectors the ratio is capped at 10.
        """
        return self.watches.ratios_at(self._seq)

    # ------------------------------------------------------------------------ what it is fed

    def watch_confidences(
        self,
        values: NDArray[np.float64],
        predicted: NDArray[np.int64],
        at: NDArray[np.float64],
        seq0: int,
    ) -> tuple[int, DriftChanged | None]:
        """Watch a run of events, numbered from `seq0`, until the level changes.

        `values` (n,) are confidences in [0, 1], `predicted` (n,) class numbers, `at` (n,) seconds.
        Returns how many events were watched, and the change that the last of them caused. An event
        whose confidence is NaN is skipped.
        """
        on_confidence = () if self.is_cold else self.watches.on_confidence
        on_class_mix = () if self.is_cold else self.watches.on_class_mix
        n = len(values)
        if not on_confidence and not on_class_mix:
            # No detector gets data; only the end of an alarm can change the level.
            n = min(n, max(1, self._fall_seq - seq0 + 1))
            return n, self._pass_events(float(at[n - 1]), seq0 + n - 1) if n else None
        doubts = signals.doubts_of(values)
        if len(on_confidence) == 1 and not on_class_mix and not np.isnan(values).any():
            return self._watch_doubts(on_confidence[0], doubts, at, seq0)
        classes = predicted.tolist() if on_class_mix else ()
        for i, doubt in enumerate(doubts):
            alarms: list[tuple[Watch, int]] | None = None
            if doubt >= 0.0:  # NaN is not.
                for watch in on_confidence:
                    if level := watch.feed_number(doubt):
                        alarms = [*(alarms or ()), (watch, level)]
                for watch in on_class_mix:
                    if level := watch.step_class(classes[i]):
                        alarms = [*(alarms or ()), (watch, level)]
            if alarms is not None or seq0 + i >= self._fall_seq:
                change = self._settle_level(float(at[i]), seq0 + i, alarms or [])
                if change is not None:
                    return i + 1, change
        self._seq = max(self._seq, seq0 + n - 1)
        return n, None

    def _watch_doubts(
        self, watch: Watch, doubts: list[float], at: NDArray[np.float64], seq0: int
    ) -> tuple[int, DriftChanged | None]:
        """`watch_confidences` for one watch and no NaN, the usual case: many events in one call."""
        n, i = len(doubts), 0
        while i < n:
            # Until the event at which an alarm ends, only another alarm can change the level.
            quiet_n = max(1, min(n, self._fall_seq - seq0) - i)
            fed_n, level = watch.step_many(doubts[i : i + quiet_n])
            i += fed_n
            if level or seq0 + i - 1 >= self._fall_seq:
                alarms = [(watch, level)] if level else []
                change = self._settle_level(float(at[i - 1]), seq0 + i - 1, alarms)
                if change is not None:
                    return i, change
        self._seq = max(self._seq, seq0 + n - 1)
        return n, None

    def watch_error(
        self, is_wrong: bool, at: float, seq: int, event_at: float | None = None
    ) -> DriftChanged | None:
        """Watch one settled control label; return the change of the level, if any.

        `is_wrong`: the prediction was. `at` is the clock in seconds, `seq` the number of the
        shard's latest event, `event_at` the time of the label's event; None: `at`.
        """
        return self._watch_label("error", is_wrong, at=at, seq=seq, event_at=event_at)

    def watch_recall(
        self, label: str, is_wrong: bool, at: float, seq: int, event_at: float | None = None
    ) -> DriftChanged | None:
        """Watch one settled control label for the recall of its class, as `watch_error` does."""
        number = self._judged.number_of(label)
        return self._watch_label(
            "recall", is_wrong, at=at, seq=seq, event_at=event_at, feed_n=number
        )

    def watch_surprise(
        self, is_wrong: bool, guess: float, at: float, seq: int, event_at: float | None = None
    ) -> DriftChanged | None:
        """Watch one settled label of any kind; `guess` is the chance that the prediction is right.

        While guesses are honest it is wrong with probability 1 - guess, however labels were chosen.
        A cold model is not watched, and no guess of 1: it is that of a class without a probability,
        or with one of 1, which no label had proved wrong yet, and would take each error for news.
        The other arguments are those of `watch_error`.
        """
        if self.is_cold or guess >= 1.0:
            return None
        expected = 1.0 - guess
        return self._watch_label(
            "surprise", is_wrong, at=at, seq=seq, event_at=event_at, expected=expected
        )

    def watch_settled(
        self,
        entry: LabelSettled,
        prediction: dict[str, float],
        guess: float,
        *,
        at: float,
        seq: int,
    ) -> list[DriftChanged]:
        """Watch a label of a first chance with all watches of labels; return the level's changes.

        `prediction` are the judged probabilities by class, `guess` the chance guessed at arrival
        that they are right; `at` is the clock in seconds, `seq` the shard's latest event.
        """
        wrong, event_at = signals.is_wrong(prediction, entry.label), entry.event_at
        self._judged.remember_label(event_at, entry.label, prediction)
        changes = [self.watch_surprise(wrong, guess, at, seq, event_at)]
        if entry.reason in ("control", "cold start"):
            changes.append(self.watch_error(wrong, at, seq, event_at))
            changes.append(self.watch_recall(entry.label, wrong, at, seq, event_at))
        return [change for change in changes if change is not None]

    def _watch_label(
        self,
        signal: str,
        is_hit: bool,
        *,
        at: float,
        seq: int,
        event_at: float | None,
        expected: float | None = None,
        feed_n: int = 0,
    ) -> DriftChanged | None:
        labels_per_event = self._judged.count_label(signal, self._seq + 1)
        alarms: list[tuple[Watch, int]] = []
        for watch in self.watches.on_labels[signal]:
            level = watch.step_label(
                is_hit,
                expected=expected,
                at=at if event_at is None else event_at,
                labels_per_event=labels_per_event,
                feed_n=feed_n,
            )
            if level:
                alarms += [(watch, level)]
        return self._settle_level(at, seq, alarms)

    def compare_windows(
        self, window: Window | Columns, reservoir: Columns, schema: Schema, at: float, seq: int
    ) -> DriftChanged | None:
        """Compare the newest events with a sample of earlier ones; return the change, if any.

        Call it every `check_every_n` events. Features are compared with all of the past since the
        last drift; predictions only with those since the model was adopted.
        """
        alarms = self.windows.run_tests(
            self.watches.windowed,
            window,
            reservoir,
            schema,
            from_seq=self._from_seq,
            model_seq=None if self.is_cold else self._model_seq,
            seq=seq,
        )
        return self._settle_level(at, seq, alarms)

    # -------------------------------------------------------------------- the state machine

    def end_cold_start(self, seq: int) -> None:
        """End the cold start: the model's predictions are watched from event `seq` on."""
        if self.is_cold:
            self.is_cold = False
            self._model_seq = seq

    def reset(self, seq: int) -> None:
        """Forget what was watched of the old model, since a new one serves from event `seq` on.

        The alarms about the old one end; the level follows at the next event. Watches of features
        go on, since features don't depend on the model.
        """
        self._model_seq = seq
        self._fall_seq = min(self._fall_seq, seq)
        self.watches.restart_for_model()

    def _pass_events(self, at: float, seq: int) -> DriftChanged | None:
        self._seq = max(self._seq, seq)
        return self._settle_level(at, seq, []) if self._seq >= self._fall_seq else None

    def _settle_level(
        self, at: float, seq: int, alarms: list[tuple[Watch, int]]
    ) -> DriftChanged | None:
        """Note alarms, as (watch, level), at event `seq`; return the change of level, if any."""
        self._seq = seq = max(self._seq, seq)
        if seq < self._fall_seq and not (alarms and any(level for _, level in alarms)):
            return None  # Nothing fires, and no alarm ends: the usual label.
        cause, highest = self._raised_by, _STABLE
        for watch, level in alarms:
            raised = watch.note_alarm(level, seq) if level else None
            if raised is None:
                continue
            self.record.count_alarm(watch.signal, watch.detector, raised.name, at)
            if raised > highest:
                cause, highest = watch, raised
        self._fall_seq = self.watches.falls_at(seq)
        previous, self.level = self.level, self.watches.level_at(seq, self.agree_n)
        if self.level == previous or cause is None:
            return None
        # A fall is reported for the watch that had raised the level.
        reported = cause if self.level > previous else self._raised_by or cause
        self._raised_by = reported
        is_rise = self.level > previous
        features, classes, since = self._find_causes(reported, seq) if is_rise else ((), (), None)
        if self.level == _DRIFT:
            self._risen_seq = seq
        elif previous == _DRIFT:
            # The drift is over: from now on the new world is the reference.
            self._from_seq = self._risen_seq
        change = DriftChanged(
            at=at,
            level=self.level.name,
            previous=previous.name,
            signal=reported.signal,
            detector=reported.detector,
            statistic=reported.ratio_at(seq),
            since=since,
            features=features,
            classes=classes,
        )
        self.record.keep_change(change, is_rise=is_rise)
        return change

    def _find_causes(
        self, told: Watch, seq: int
    ) -> tuple[tuple[str, ...], tuple[str, ...], float | None]:
        """Return the features and classes behind a change and since when, as far as known."""
        since = told.since if told.since is not None else self.watches.held_since(seq)
        classes = self.windows.classes
        if told.signal in ON_LABELS:
            classes = missed_classes(self._judged.list_since(since or 0.0)) or classes
        return self.windows.features, classes, since
