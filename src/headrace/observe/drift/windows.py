"""The windowed tests of one check: the newest events against a sample of those before.

What was found is kept until the next check, by feature and by class, for whoever asks why; whether
it makes a drift is decided in `monitor`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import signals
from ..schema import Schema
from ..shares import FeatureShares, shares_of_categories, shares_of_numbers
from ..window import Columns
from .causes import change_point, moved_features, shifted_classes
from .comparisons import (
    ROWS_MIN,
    domain_classifier,
    ks,
    ks_noise,
    ks_rows,
    psi,
    psi_noise,
    psi_rows,
    welch,
)
from .watches import Watch

SHARES_MAX = 4
"""Features whose distribution is kept to be looked at: those that moved most."""

ON_INPUTS = ("features", "inputs")
"""Signals that are not the model's doing."""

_SHARES_OF = {"numeric": shares_of_numbers, "categorical": shares_of_categories}


class Windows:
    """The latest check of all windowed watches."""

    def __init__(self, features_max: int, window_n: int) -> None:
        self.features_max = features_max
        self.window_n = window_n
        # By feature: its PSI, the highest of its statistics over their thresholds, and the
        # distributions of those that moved most. And predictions by class.
        self.feature_psi: dict[str, float] = {}
        self.feature_ratios: dict[str, float] = {}
        self.feature_shares: dict[str, FeatureShares] = {}
        self.class_counts: tuple[list[int], list[int]] = ([], [])
        # Features that are over a line, classes that are predicted more or less often than before,
        # and when that began, seconds.
        self.features: tuple[str, ...] = ()
        self.classes: tuple[str, ...] = ()
        self._parts = np.zeros(0)
        self._tests_n = 1

    def check(
        self,
        watches: list[Watch],
        window: Columns,
        reservoir: Columns,
        schema: Schema,
        *,
        from_seq: int,
        model_seq: int | None,
        seq: int,
    ) -> list[tuple[Watch, int]]:
        """The level of each windowed watch at event `seq`.

        Events before `from_seq` are of an old world. Predictions before `model_seq` are of another
        model; none: of a model that is no reference yet. Without `ROWS_MIN` events on both sides
        there is no test.
        """
        for watch in watches:
            watch.statistic = 0.0
        newest = window.take(slice(max(0, len(window) - self.window_n), len(window)))
        past = _past(window, reservoir, newest, from_seq)
        self.features, self.classes, self._parts = (), (), np.zeros(0)
        if model_seq is not None:
            self._compare_predictions(
                [w for w in watches if w.signal not in ON_INPUTS], past, newest, model_seq, schema
            )
        on_inputs = [w for w in watches if w.signal in ON_INPUTS]
        if on_inputs and min(len(past), len(newest)) >= ROWS_MIN:
            self._compare_features(on_inputs, past, newest, schema)
        since = None
        if any(watch.statistic >= 1.0 for watch in watches):
            since = self._since(window.take(window.seq >= from_seq), schema)
        alarms = [(watch, watch.judge(seq)) for watch in watches]
        for watch, level in alarms:
            if level:
                watch.since = since if watch.since is None else watch.since
            else:
                watch.since = None
        return alarms

    def _compare_predictions(
        self,
        watches: list[Watch],
        past: Columns,
        window: Columns,
        model_seq: int,
        schema: Schema,
    ) -> None:
        # Of another model they would say nothing of this one.
        lately = (window.seq >= model_seq) & window.has_answer
        before = (past.seq >= model_seq) & past.has_answer
        n, m = int(before.sum()), int(lately.sum())
        if min(n, m) < ROWS_MIN:
            return
        counts = _class_counts(past.probabilities[before], window.probabilities[lately])
        self.class_counts = (counts[0].tolist(), counts[1].tolist())
        for watch in watches:
            if watch.signal == "class_mix":
                watch.compare(
                    watch.over_threshold(psi(*counts), psi_noise(*counts, watch.warning_p))
                )
                if watch.statistic >= 1.0:
                    self.classes = shifted_classes(schema.classes, *counts)
            elif watch.detector == "ks":
                doubts = (
                    np.sort(1.0 - past.confidence[before]),
                    np.sort(1.0 - window.confidence[lately]),
                )
                found = ks(*doubts, is_one_sided=True)
                watch.compare(watch.over_threshold(found, ks_noise(n, m, watch.warning_p)))
            else:
                fall, noise = welch(past.guess[before], window.guess[lately], watch.warning_p)
                watch.compare(watch.over_threshold(fall, noise))

    def _compare_features(
        self, watches: list[Watch], past: Columns, window: Columns, schema: Schema
    ) -> None:
        names, kinds = schema.names, schema.kinds
        # What a free text says is in no row: as a number that never varies it moves nothing.
        kinds = tuple("numeric" if kind == "text" else kind for kind in kinds)
        features_n = min(self.features_max, len(names))
        before, after = _columns(past.rows, features_n), _columns(window.rows, features_n)
        detectors = {watch.detector: watch for watch in watches}
        if "domain_classifier" in detectors and features_n:
            watch = detectors["domain_classifier"]
            told = domain_classifier(before.T, after.T, kinds[:features_n])
            watch.compare(watch.over_threshold(told.auc, told.over_noise(watch.warning_p)))
            if watch.statistic >= 1.0:
                self._parts = told.share_of
        before.sort(axis=1)
        after.sort(axis=1)
        ratios = dict.fromkeys(names[:features_n], 0.0)
        self._tests_n = features_n
        quick = self._compare_numbers(detectors, names, kinds[:features_n], (before, after))
        for j in range(features_n):
            columns = before[j], after[j]
            found = (
                quick[j] if quick else self._compare_feature(detectors, names[j], kinds[j], columns)
            )
            ratios[names[j]] = max(found, default=0.0)
        self.feature_ratios = ratios
        moved = sorted(range(features_n), key=lambda j: (-ratios[names[j]], j))[:SHARES_MAX]
        self.feature_shares = {names[j]: _SHARES_OF[kinds[j]](before[j], after[j]) for j in moved}
        self.features = moved_features(names[:features_n], ratios, self._parts)

    def _compare_numbers(
        self,
        detectors: dict[str, Watch],
        names: Sequence[str],
        kinds: Sequence[str],
        tables: tuple[NDArray[np.float64], NDArray[np.float64]],
    ) -> list[list[float]]:
        """What `_compare_feature` finds of each feature, the same bits, all of them at once.

        The usual case: numbers, none missing, of many values. Nothing where it is another.
        """
        before, after = tables
        n, m = before.shape[1], after.shape[1]
        counts = signals.decile_tables(before, after) if set(kinds) == {"numeric"} else None
        if counts is None or min(n, m) < ROWS_MIN:
            return []
        ratios: list[list[float]] = [[] for _ in kinds]
        if "psi" in detectors:
            watch = detectors["psi"]
            noise = psi_noise(counts[0][0], counts[1][0], watch.warning_p / self._tests_n)
            for name, index, found in zip(names, psi_rows(*counts).tolist(), ratios, strict=False):
                self.feature_psi[name] = index
                found.append(watch.over_threshold(index, noise))
                watch.compare(found[-1])
        if "ks" in detectors:
            watch = detectors["ks"]
            noise = ks_noise(n, m, watch.warning_p / self._tests_n)
            for distance, found in zip(ks_rows(before, after).tolist(), ratios, strict=True):
                found.append(watch.over_threshold(distance, noise))
                watch.compare(found[-1])
        return ratios

    def _compare_feature(
        self,
        detectors: dict[str, Watch],
        name: str,
        kind: str,
        columns: tuple[NDArray[np.float64], NDArray[np.float64]],
    ) -> list[float]:
        """The statistics of one feature over their thresholds; columns are sorted, NaN last."""
        (before, after), ratios = columns, []
        if "psi" in detectors:
            watch = detectors["psi"]
            count = signals.category_counts if kind == "categorical" else signals.decile_counts
            counts = count(before, after)
            self.feature_psi[name] = index = psi(*counts)
            noise = psi_noise(*counts, watch.warning_p / self._tests_n)
            ratios.append(watch.over_threshold(index, noise))
            watch.compare(ratios[-1])
        if "ks" in detectors and kind != "categorical":
            known = signals.known(before), signals.known(after)
            n, m = known[0].size, known[1].size
            if min(n, m) >= ROWS_MIN:
                watch = detectors["ks"]
                noise = ks_noise(n, m, watch.warning_p / self._tests_n)
                ratios.append(watch.over_threshold(ks(*known), noise))
                watch.compare(ratios[-1])
        return ratios

    def _since(self, window: Columns, schema: Schema) -> float | None:
        """When it began: where in the window the feature that moved most, or the guess, changed."""
        if not len(window):
            return None
        values = window.guess
        if self.features:
            j = schema.names.index(self.features[0])
            values = window.rows[:, j] if j < window.rows.shape[1] else values
        return float(window.at[change_point(values)])


def _past(window: Columns, reservoir: Columns, newest: Columns, from_seq: int) -> Columns:
    """A sample of the events from `from_seq` on that came before the newest.

    When the old world has ended a short time ago, few of the sample are of the new one; then the
    older part of the window serves.
    """
    first = int(newest.seq.min()) if len(newest) else from_seq
    past = reservoir.take((reservoir.seq < first) & (reservoir.seq >= from_seq))
    if not from_seq:
        return past
    is_older = (window.seq < first) & (window.seq >= from_seq)
    return window.take(is_older) if np.count_nonzero(is_older) > len(past) else past


def _class_counts(
    past: NDArray[np.float64], window: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How often each class was predicted, shape (k,) on either side, from (n, k) probabilities."""
    classes_n = max(past.shape[1], window.shape[1], 1)
    before, after = (
        signals.class_counts(signals.predicted_classes(side), classes_n) for side in (past, window)
    )
    return before, after


def _columns(rows: NDArray[np.float64], features_n: int) -> NDArray[np.float64]:
    """The first so many columns as rows; what the rows do not have is NaN."""
    columns = np.full((features_n, len(rows)), np.nan)
    width = min(features_n, rows.shape[1])
    columns[:width] = rows[:, :width].T
    return columns
