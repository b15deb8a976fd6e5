"""The windowed tests of one check: the newest events against a sample of those before.

Results by feature and by class are kept until the next check, to explain a change; `monitor`
decides whether they make a drift.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import signals
from ..schema import Schema
from ..shares import FeatureShares
from ..window import Columns, Window
from .causes import change_point, moved_features, shifted_classes
from .classifier import DomainClassifier
from .comparisons import ROWS_MIN, ks, ks_noise, psi, psi_noise, welch
from .marginals import Marginals, Newest
from .watches import Watch

SHARES_MAX = 4
"""Distributions are kept for display for this many features: those that moved most."""

ON_INPUTS = ("features", "inputs")
"""Signals that don't depend on the model."""


class Past(NamedTuple):
    """The distribution of the events [from_seq, last_seq], from a sample of them."""

    from_seq: int
    last_seq: int
    marginals: Marginals
    classifier: DomainClassifier


class Windows:
    """The latest check of all windowed watches, and the distribution of the past.

    That distribution is computed again when the sample has half as many later events as it was made
    of, when an old world ends, and when other features are watched; between these a check computes
    with the newest events alone.
    """

    def __init__(self, features_max: int, window_n: int) -> None:
        self.features_max = features_max
        self.window_n = window_n
        # By feature: its PSI, and the highest of its statistics over their thresholds; then
        # predictions by class.
        self.feature_psi: dict[str, float] = {}
        self.feature_ratios: dict[str, float] = {}
        self.class_counts: tuple[list[int], list[int]] = ([], [])
        # Features over a line, and classes predicted more or less often than before.
        self.features: tuple[str, ...] = ()
        self.classes: tuple[str, ...] = ()
        self._past: Past | None = None
        self._newest: Newest | None = None

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 each check computed the distribution of the past anew."""
        gone = ("feature_shares", "_parts", "_tests_n")
        kept = {name: value for name, value in fields.items() if name not in gone}
        return kept | {"_past": None, "_newest": None}

    @property
    def feature_shares(self) -> dict[str, FeatureShares]:
        """The distributions, past and now, of the features that moved most."""
        past, newest, ratios = self._past, self._newest, self.feature_ratios
        if past is None or newest is None:
            return {}
        names = list(ratios)
        moved = sorted(range(len(names)), key=lambda j: (-ratios[names[j]], j))[:SHARES_MAX]
        return {names[j]: past.marginals.shares_of(j, newest) for j in moved}

    def forget_events(self) -> None:
        """Forget the distribution of the past, since it is partly made of erased events."""
        self._past = self._newest = None

    def run_tests(
        self,
        watches: list[Watch],
        window: Window | Columns,
        reservoir: Columns,
        schema: Schema,
        *,
        from_seq: int,
        model_seq: int | None,
        seq: int,
    ) -> list[tuple[Watch, int]]:
        """Run the tests; return each windowed watch with its level at event `seq`.

        The newest `window_n` events of `window` are compared with earlier ones in `reservoir` or,
        soon after a drift, in `window`. Events before `from_seq` are of an old world, predictions
        before `model_seq` of another model; None: predictions are not compared. Without `ROWS_MIN`
        events on both sides there is no test.
        """
        for watch in watches:
            watch.statistic = 0.0
        newest = window.newest(self.window_n)
        past, is_past = _sample_past(window, reservoir, newest, from_seq)
        self.features, self.classes = (), ()
        if model_seq is not None:
            on_predictions = [w for w in watches if w.signal not in ON_INPUTS]
            # Predictions of another model say nothing about this one.
            masks = is_past & (past.seq >= model_seq), newest.seq >= model_seq
            self._compare_predictions(on_predictions, (past, newest), masks, schema)
        on_inputs = [w for w in watches if w.signal in ON_INPUTS]
        if on_inputs and min(int(is_past.sum()), len(newest)) >= ROWS_MIN and len(schema.names):
            self._look_back(past, is_past, int(newest.seq[0]), from_seq, schema)
            self._compare_features(on_inputs, newest, schema)
        since, alarms = None, [(watch, watch.judge_check(seq)) for watch in watches]
        if any(level and watch.since is None for watch, level in alarms):
            since = self._find_beginning(window.since(from_seq), schema)
        for watch, level in alarms:
            if level:
                watch.since = since if watch.since is None else watch.since
            else:
                watch.since = None
        return alarms

    def _compare_predictions(
        self,
        watches: list[Watch],
        sides: tuple[Columns, Columns],
        are_compared: tuple[NDArray[np.bool_], NDArray[np.bool_]],
        schema: Schema,
    ) -> None:
        """Test the predictions of both sides, past and newest, on events that the model scored."""
        past, newest = sides
        before, lately = (
            mask & side.has_answer for side, mask in zip(sides, are_compared, strict=True)
        )
        n, m = int(before.sum()), int(lately.sum())
        if min(n, m) < ROWS_MIN:
            return
        counts = _class_counts(past.probabilities[before], newest.probabilities[lately])
        self.class_counts = (counts[0].tolist(), counts[1].tolist())
        for watch in watches:
            if watch.signal == "class_mix":
                watch.note_ratio(
                    watch.over_threshold(psi(*counts), psi_noise(*counts, watch.warning_p))
                )
                if watch.statistic >= 1.0:
                    self.classes = shifted_classes(schema.classes, *counts)
            elif watch.detector == "ks":
                doubts = (
                    np.sort(1.0 - past.confidence[before]),
                    np.sort(1.0 - newest.confidence[lately]),
                )
                gap = ks(*doubts, is_one_sided=True)
                watch.note_ratio(watch.over_threshold(gap, float(ks_noise(n, m, watch.warning_p))))
            else:
                fall, noise = welch(past.guess[before], newest.guess[lately], watch.warning_p)
                watch.note_ratio(watch.over_threshold(fall, noise))

    def _look_back(
        self, past: Columns, is_past: NDArray[np.bool_], first: int, from_seq: int, schema: Schema
    ) -> None:
        """Compute the distribution of the past, unless the known one still serves at `first`."""
        # A row holds no content of a free text: it is a constant number, which never moves.
        kinds = tuple(
            "numeric" if kind == "text" else kind for kind in schema.kinds[: self.features_max]
        )
        known, seqs = self._past, past.seq[is_past]
        if (
            known is not None
            and (known.from_seq, known.marginals.kinds) == (from_seq, kinds)
            and known.last_seq < first
            and 2 * np.count_nonzero(seqs > known.last_seq) < known.marginals.n
        ):
            return
        rows = _columns(past.rows[is_past], len(kinds)).T
        classifier = DomainClassifier(rows, kinds)
        self._past = Past(from_seq, int(seqs.max()), Marginals(rows, kinds), classifier)

    def _compare_features(self, watches: list[Watch], newest: Columns, schema: Schema) -> None:
        assert self._past is not None
        marginals, detectors = self._past.marginals, {watch.detector: watch for watch in watches}
        features_n = len(marginals.kinds)
        names = schema.names[:features_n]
        columns, parts = _columns(newest.rows, features_n), np.zeros(0)
        if (watch := detectors.get("domain_classifier")) and len(newest) > 1:
            told = self._past.classifier.compare_rows(columns)
            watch.note_ratio(watch.over_threshold(told.auc, told.over_noise(watch.warning_p)))
            if watch.statistic >= 1.0:
                parts = told.share_of
        self._newest = marginals.count_newer(columns)
        ratios = np.zeros(features_n)
        for name in ("psi", "ks"):
            if watch := detectors.get(name):
                tests = marginals.compare_features(self._newest, name, watch.warning_p / features_n)
                over = tests.statistic / np.maximum(watch.threshold, tests.noise)
                ratios = np.maximum(ratios, over)
                watch.note_ratio(float(over.max()))
                if name == "psi":
                    self.feature_psi = dict(zip(names, tests.statistic.tolist(), strict=True))
        self.feature_ratios = dict(zip(names, ratios.tolist(), strict=True))
        self.features = moved_features(names, self.feature_ratios, parts)

    def _find_beginning(self, window: Columns, schema: Schema) -> float | None:
        """Return the time, seconds, when the feature that moved most, or the guess, changed."""
        if not len(window):
            return None
        values = window.guess
        if self.features:
            j = schema.names.index(self.features[0])
            values = window.rows[:, j] if j < window.rows.shape[1] else values
        return float(window.at[change_point(values)])


def _sample_past(
    window: Window | Columns, reservoir: Columns, newest: Columns, from_seq: int
) -> tuple[Columns, NDArray[np.bool_]]:
    """Return columns, and a mask of those events that are from `from_seq` on, before the newest.

    Shortly after the old world has ended, few events of the reservoir are of the new one; then the
    older part of the window is used instead.
    """
    first = int(newest.seq.min()) if len(newest) else from_seq
    is_past = (reservoir.seq < first) & (reservoir.seq >= from_seq)
    if from_seq:
        recent = window.since(from_seq)
        is_older = recent.seq < first
        if np.count_nonzero(is_older) > np.count_nonzero(is_past):
            return recent, is_older
    return reservoir, is_past


def _class_counts(
    past: NDArray[np.float64], window: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the counts of predicted classes, (k,) on either side, from (n, k) probabilities."""
    classes_n = max(past.shape[1], window.shape[1], 1)
    before, after = (
        np.bincount(signals.predicted_classes(side), minlength=classes_n) for side in (past, window)
    )
    return before, after


def _columns(rows: NDArray[np.float64], features_n: int) -> NDArray[np.float64]:
    """Return the first columns as rows, shape (features_n, n); missing columns are NaN."""
    columns = np.full((features_n, len(rows)), np.nan)
    width = min(features_n, rows.shape[1])
    columns[:width] = rows[:, :width].T
    return columns
