"""When the world has drifted: the state machine over all watches that makes one drift level.

It decides on a level and says so once; what follows from it (rounds, retraining) is not decided
here. One watch is in `watches`, detectors in `detectors`, the numbers they are fed in `signals`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..chance import Chance
from ..errors import BadSettings
from ..messages import DriftChanged
from ..settings import DriftSettings
from . import signals
from .detectors import ROWS_MIN, DriftLevel, ks, ks_noise, psi, psi_noise
from .schema import Schema
from .shares import FeatureShares, shares_of_categories, shares_of_numbers
from .watches import NEVER, Watch
from .window import Columns

_STABLE, _, _DRIFT = DriftLevel

SHARES_MAX = 4
"""Features whose distribution is kept to be looked at: those that moved most."""


class DriftMonitor:
    """All watches of a shard, and the one drift level they make.

    The level is the highest that any watch holds, or DRIFT while at least `agree_n` signals stand
    at WARNING or above. It rises at once; while it holds, further alarms only prolong it; it falls
    when no watch holds it. Every change is returned once as a `DriftChanged`.

    A model that is still cold is no reference: confidence and predicted classes are watched from
    `warm` on. Labels of control requests are watched from the start.

    >>> from headrace.settings import DriftSettings, WatchSettings
    >>> watch = WatchSettings(signal="error", detector="hddm_w")
    >>> monitor = DriftMonitor(DriftSettings(watch=(watch,)), Chance(1))
    >>> wrong = [False] * 200 + [True] * 30
    >>> changes = [monitor.error(is_wrong, at=seq, seq=seq) for seq, is_wrong in enumerate(wrong)]
    >>> [(c.at, c.level, c.signal, c.detector) for c in changes if c]
    [(210, 'WARNING', 'error', 'hddm_w'), (213, 'DRIFT', 'error', 'hddm_w')]
    """

    def __init__(self, settings: DriftSettings, chance: Chance) -> None:
        """Raises `BadSettings` with every fault of the watches."""
        self.agree_n = settings.agree_n
        self.features_max = settings.features_max
        self.level = _STABLE
        self.is_cold = True
        # Of the latest check, by feature: its PSI, the highest of its statistics over their
        # thresholds, and the distributions of those that moved most. And predictions by class.
        self.feature_psi: dict[str, float] = {}
        self.feature_ratios: dict[str, float] = {}
        self.feature_shares: dict[str, FeatureShares] = {}
        self.class_counts: tuple[list[int], list[int]] = ([], [])
        # Alarms by signal, detector and level; one that prolongs another is not counted.
        self.alarms_n: dict[tuple[str, str, str], int] = {}
        self.alarmed_at: dict[tuple[str, str], float] = {}
        self.changes_n: dict[str, int] = {}
        self.changed_at: dict[str, float] = {}
        self.watches: list[Watch] = []
        self._seq = -1
        self._fall_seq = NEVER
        self._model_seq = 0
        self._raised_by: Watch | None = None
        faults: list[str] = []
        for i, watch in enumerate(settings.watch):
            seed = chance.integer(f"drift {watch.signal} {watch.detector}")
            try:
                made = Watch(watch, settings.hold_n, settings.check_every_n, seed)
            except BadSettings as error:
                faults += [f"drift.watch[{i}]: {fault}" for fault in error.faults]
                continue
            if any((made.signal, made.detector) == (w.signal, w.detector) for w in self.watches):
                faults.append(f"drift.watch[{i}] has {made.detector} on {made.signal} once more")
            self.watches.append(made)
        if faults:
            raise BadSettings(faults)
        eventwise = [w for w in self.watches if not w.is_windowed]
        self._on_confidence = [w for w in eventwise if w.signal == "confidence"]
        self._on_class_mix = [w for w in eventwise if w.signal == "class_mix"]
        self._on_labels = {
            signal: [w for w in eventwise if w.signal == signal] for signal in ("error", "surprise")
        }

    @property
    def statistics(self) -> dict[tuple[str, str], float]:
        """By signal and detector, each statistic divided by its threshold: 1 is the firing line.

        The highest of all features or classes. ADWIN shows no statistic: 1 while its alarm holds,
        else 0. Capped at 10 for river's detectors.
        """
        return {(w.signal, w.detector): w.ratio_at(self._seq) for w in self.watches}

    # ------------------------------------------------------------------------ what it is fed

    def confidences(
        self,
        values: NDArray[np.float64],
        predicted: NDArray[np.int64],
        at: NDArray[np.float64],
        seq0: int,
    ) -> tuple[int, DriftChanged | None]:
        """Watch a run of events, numbered from `seq0`, until the level changes.

        `values` (n,) are confidences in [0, 1], `predicted` (n,) class numbers, `at` (n,) seconds.
        Returns how many events were taken in, and the change that the last of them made. A
        confidence that is NaN is passed over.
        """
        on_confidence = () if self.is_cold else self._on_confidence
        on_class_mix = () if self.is_cold else self._on_class_mix
        n = len(values)
        if not on_confidence and not on_class_mix:
            # Nothing is fed; only the end of an alarm can change the level.
            n = min(n, max(1, self._fall_seq - seq0 + 1))
            return n, self._passed(float(at[n - 1]), seq0 + n - 1) if n else None
        classes = predicted.tolist() if on_class_mix else ()
        for i, doubt in enumerate(signals.doubts(values)):
            alarms: list[tuple[Watch, int]] | None = None
            if doubt >= 0.0:  # NaN is not.
                for watch in on_confidence:
                    if level := watch.step(doubt):
                        alarms = [*(alarms or ()), (watch, level)]
            for watch in on_class_mix:
                if level := watch.step_class(classes[i]):
                    alarms = [*(alarms or ()), (watch, level)]
            if alarms is not None or seq0 + i >= self._fall_seq:
                change = self._settle(float(at[i]), seq0 + i, alarms or [])
                if change is not None:
                    return i + 1, change
        self._seq = max(self._seq, seq0 + n - 1)
        return n, None

    def error(self, is_wrong: bool, at: float, seq: int) -> DriftChanged | None:
        """Watch one settled control label; `seq` is the number of the shard's latest event."""
        alarms = [(watch, watch.step(float(is_wrong))) for watch in self._on_labels["error"]]
        return self._settle(at, seq, alarms)

    def surprise(self, is_wrong: bool, guess: float, at: float, seq: int) -> DriftChanged | None:
        """Watch one settled label of any kind; `guess` is the chance it was given of being right.

        Fed is wrong - (1 - guess), moved to [0, 1]: its mean is 1/2 as long as guesses are honest,
        however the labels were chosen. Not while the model is cold.
        """
        if self.is_cold:
            return None
        value = (float(is_wrong) + guess) / 2.0
        alarms = [(watch, watch.step(value)) for watch in self._on_labels["surprise"]]
        return self._settle(at, seq, alarms)

    def check(
        self, window: Columns, reservoir: Columns, schema: Schema, at: float, seq: int
    ) -> DriftChanged | None:
        """Compare the window with the sample of what came before it; every `check_every_n` events.

        Features are compared with all of the past; predicted classes and confidence only with what
        came since the model was adopted. Without `ROWS_MIN` events on both sides there is no test.
        """
        past = reservoir
        if len(window):
            past = reservoir.take(reservoir.seq < window.seq.min())
        alarms: list[tuple[Watch, int]] = []
        windowed = [watch for watch in self.watches if watch.is_windowed]
        for watch in windowed:
            watch.statistic = 0.0
        on_features = [watch for watch in windowed if watch.signal == "features"]
        on_predictions = [watch for watch in windowed if watch.signal != "features"]
        if not self.is_cold:
            alarms += self._compare_predictions(on_predictions, past, window)
        if on_features and min(len(past), len(window)) >= ROWS_MIN:
            alarms += self._compare_features(on_features, past, window, schema)
        return self._settle(at, seq, alarms)

    def _compare_predictions(
        self, watches: list[Watch], past: Columns, window: Columns
    ) -> list[tuple[Watch, int]]:
        # Of another model they would say nothing of this one.
        lately, before = window.seq >= self._model_seq, past.seq >= self._model_seq
        n, m = int(before.sum()), int(lately.sum())
        if min(n, m) < ROWS_MIN:
            return [(watch, 0) for watch in watches]
        counts = _class_counts(past.probabilities[before], window.probabilities[lately])
        self.class_counts = (counts[0].tolist(), counts[1].tolist())
        alarms = []
        for watch in watches:
            if watch.detector == "ks":
                doubts = (
                    np.sort(1.0 - past.confidence[before]),
                    np.sort(1.0 - window.confidence[lately]),
                )
                ratio = watch.over_threshold(ks(*doubts, is_one_sided=True), ks_noise(n, m, 1))
            else:
                ratio = watch.over_threshold(psi(*counts), psi_noise(*counts))
            alarms.append((watch, watch.compare(ratio)))
        return alarms

    def _compare_features(
        self,
        watches: list[Watch],
        past: Columns,
        window: Columns,
        schema: Schema,
    ) -> list[tuple[Watch, int]]:
        names, kinds = schema.names, schema.kinds
        features_n = min(self.features_max, len(names))
        before, after = _ordered(past.rows, features_n), _ordered(window.rows, features_n)
        detectors = {watch.detector: watch for watch in watches}
        alarms = []
        ratios = dict.fromkeys(names[:features_n], 0.0)
        for j in range(features_n):
            if "psi" in detectors:
                count = (
                    signals.category_counts if kinds[j] == "categorical" else signals.decile_counts
                )
                counts = count(before[j], after[j])
                self.feature_psi[names[j]] = index = psi(*counts)
                ratio = detectors["psi"].over_threshold(index, psi_noise(*counts))
                alarms.append((detectors["psi"], detectors["psi"].compare(ratio)))
                ratios[names[j]] = ratio
            if "ks" in detectors and kinds[j] != "categorical":
                known = signals.known(before[j]), signals.known(after[j])
                n, m = known[0].size, known[1].size
                if min(n, m) >= ROWS_MIN:
                    noise = ks_noise(n, m, features_n)
                    ratio = detectors["ks"].over_threshold(ks(*known), noise)
                    alarms.append((detectors["ks"], detectors["ks"].compare(ratio)))
                    ratios[names[j]] = max(ratios[names[j]], ratio)
        self.feature_ratios = ratios
        moved = sorted(range(features_n), key=lambda j: (-ratios[names[j]], j))[:SHARES_MAX]
        self.feature_shares = {names[j]: _SHARES_OF[kinds[j]](before[j], after[j]) for j in moved}
        return alarms

    # -------------------------------------------------------------------- the state machine

    def warm(self, seq: int) -> None:
        """The model is past its cold start: its predictions are worth watching from `seq` on."""
        if self.is_cold:
            self.is_cold = False
            self._model_seq = seq

    def reset(self, seq: int) -> None:
        """A new model was adopted before event `seq`: what was said about the old one is void.

        The alarms about it end; the level follows at the next event. Features are not the model's
        doing; their watches go on.
        """
        self._model_seq = seq
        self._fall_seq = min(self._fall_seq, seq)
        for watch in self.watches:
            if watch.signal != "features":
                watch.restart()

    def _passed(self, at: float, seq: int) -> DriftChanged | None:
        self._seq = max(self._seq, seq)
        return self._settle(at, seq, []) if self._seq >= self._fall_seq else None

    def _settle(self, at: float, seq: int, alarms: list[tuple[Watch, int]]) -> DriftChanged | None:
        """Note the alarms (0 is none) at event `seq`, and see whether the level has moved."""
        self._seq = seq = max(self._seq, seq)
        cause, highest = self._raised_by, _STABLE
        for watch, level in alarms:
            raised = watch.fire(level, seq) if level else None
            if raised is None:
                continue
            name = (watch.signal, watch.detector, raised.name)
            self.alarms_n[name] = self.alarms_n.get(name, 0) + 1
            self.alarmed_at[name[:2]] = at
            if raised > highest:
                cause, highest = watch, raised
        self._fall_seq = min((w.falls_at(seq) for w in self.watches), default=NEVER)
        previous, self.level = self.level, self._level_at(seq)
        if self.level == previous or cause is None:
            return None
        self.changes_n[self.level.name] = self.changes_n.get(self.level.name, 0) + 1
        self.changed_at[self.level.name] = at
        # A fall is told of the watch that had raised the level.
        told = cause if self.level > previous else self._raised_by or cause
        self._raised_by = told
        return DriftChanged(
            at=at,
            level=self.level.name,
            previous=previous.name,
            signal=told.signal,
            detector=told.detector,
            statistic=told.ratio_at(seq),
        )

    def _level_at(self, seq: int) -> DriftLevel:
        level = max((w.level_at(seq) for w in self.watches), default=_STABLE)
        agreeing = {w.signal: True for w in self.watches if w.level_at(seq) > _STABLE}
        return _DRIFT if len(agreeing) >= self.agree_n else level


_SHARES_OF = {"numeric": shares_of_numbers, "categorical": shares_of_categories}


def _class_counts(
    past: NDArray[np.float64], window: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How often each class was predicted, shape (k,) on either side, from (n, k) probabilities."""
    classes_n = max(past.shape[1], window.shape[1], 1)
    before, after = (
        signals.class_counts(signals.predicted_classes(side), classes_n) for side in (past, window)
    )
    return before, after


def _ordered(rows: NDArray[np.float64], features_n: int) -> NDArray[np.float64]:
    """The first so many columns as sorted rows, NaN last; what the rows do not have is NaN."""
    columns = np.full((features_n, len(rows)), np.nan)
    width = min(features_n, rows.shape[1])
    columns[:width] = rows[:, :width].T
    columns.sort(axis=1)
    return columns
