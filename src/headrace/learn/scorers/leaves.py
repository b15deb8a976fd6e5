"""The predictions of the leaves of river's trees, as arrays: shares of classes, or naive Bayes.

The code follows `do_naive_bayes_prediction` and the leaves of `river.tree.nodes.htc_nodes` term by
term, in the same order, with the C library's exponential and power, because numpy's differ in the
last bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river.tree.nodes.hatc_nodes import AdaLeafClassifier
from river.tree.nodes.htc_nodes import LeafNaiveBayes, LeafNaiveBayesAdaptive
from river.tree.splitter import ExhaustiveSplitter, GaussianSplitter, HistogramSplitter

from ..schema_view import Floats
from .routes import Numbers, TreeColumns

_HALF_LOG_TAU = 0.5 * math.log(math.tau)

COMPILED_SPLITTERS = (GaussianSplitter, HistogramSplitter, ExhaustiveSplitter)
"""The observers of numbers whose densities can be computed here."""

State = tuple[Any, bool, tuple[float, ...], float]
"""The observers of a leaf, whether it uses naive Bayes, the weights of its classes, its error.

The error of a leaf outside adaptive trees is -1.
"""


def state_of(leaf: Any, tree: Any) -> State:
    """The state of a leaf, which changes with every label, because each adds to a weight."""
    is_bayes, error = False, -1.0
    if isinstance(leaf, AdaLeafClassifier):
        # All leaves of an adaptive tree are of one class; the tree says how they predict.
        kind, error = tree.leaf_prediction, leaf._mean_error.get()
    elif isinstance(leaf, LeafNaiveBayesAdaptive):
        kind = "nba"
    else:
        kind = "nb" if isinstance(leaf, LeafNaiveBayes) else "mc"
    if leaf.splitters is not None and kind != "mc":
        if kind == "nb":
            is_bayes = leaf.total_weight >= tree.nb_threshold
        else:
            is_bayes = leaf._nb_correct_weight >= leaf._mc_correct_weight
    return leaf.splitters, is_bayes, tuple(leaf.stats.values()), error


class Leaves:
    """Arrays with a place for each leaf that rows reached so far, and a slot for each class in it.

    Slots are in the order in which the leaf met the classes, features in the order in which it met
    these. Unused slots have weight 0 and label -1.
    """

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._states: dict[int, tuple[Any, State]] = {}
        self._free: list[int] = []
        self._nominal: dict[int, list[tuple[int, int, list[Floats]]]] = {}
        self._histograms: dict[int, list[tuple[int, int, list[_NumberBins | None]]]] = {}
        self._allot_arrays(0, 0, 0)

    def _allot_arrays(self, places_n: int, slots_n: int, features_n: int) -> None:
        """Make empty arrays of this size."""
        by_slot, by_feature = (places_n, slots_n), (places_n, slots_n, features_n)
        self.is_bayes: NDArray[np.bool_] = np.zeros(places_n, np.bool_)
        self.labels: Numbers = np.full(by_slot, -1, np.intp)
        self.shares: Floats = np.zeros(by_slot)
        self._errors: Floats = np.full(places_n, -1.0)
        self._priors: Floats = np.full(by_slot, -np.inf)
        self._tested: Numbers = np.full((places_n, features_n), -1, np.intp)
        self._centres: Floats = np.full(by_feature, np.nan)
        self._divisors: Floats = np.ones(by_feature)
        self._logs: Floats = np.zeros(by_feature)

    def keep(self, nodes: list[Any]) -> None:
        """Forget all leaves except those among these nodes."""
        present = {id(node) for node in nodes}
        for leaf_id in self._places.keys() - present:
            place = self._places.pop(leaf_id)
            self._states.pop(leaf_id)
            self._nominal.pop(place, None)
            self._histograms.pop(place, None)
            self._free.append(place)

    def place(self, leaf: Any, tree: Any, columns: TreeColumns, label_of: Mapping[Any, int]) -> int:
        """The place of a leaf; its arrays are updated first if it has learned since.

        `tree` is the leaf's tree, `label_of` the code of each of its labels.
        """
        state, known = state_of(leaf, tree), self._states.get(id(leaf))
        if known is None or known[1] != state or known[1][0] is not state[0]:
            self._enter_leaf(leaf, state, columns, label_of)
        return self._places[id(leaf)]

    def _enter_leaf(
        self, leaf: Any, state: State, columns: TreeColumns, label_of: Mapping[Any, int]
    ) -> None:
        place = self._places.get(id(leaf))
        if place is None:
            place = self._free.pop() if self._free else len(self._places)
        # The density of an `ExhaustiveSplitter` is 0, which adds nothing.
        observers = {
            name: observer
            for name, observer in (leaf.splitters if state[1] else {}).items()
            if type(observer) is not ExhaustiveSplitter
        }
        self._make_room(place, max(1, len(leaf.stats)), len(observers))
        self._places[id(leaf)], self._states[id(leaf)] = place, (leaf, state)
        self._nominal.pop(place, None)
        self._histograms.pop(place, None)
        self.labels[place] = -1
        self.shares[place] = 0.0
        self._errors[place] = state[3]
        if state[3] >= 0.0 and not leaf.stats:
            # River raises.
            self.labels[place, :1], self.shares[place, :1] = 0, np.nan
        self.labels[place, : len(leaf.stats)] = [label_of[label] for label in leaf.stats]
        total = sum(leaf.stats.values())
        self.is_bayes[place] = state[1] and total != 0.0
        if not state[1]:
            factor = 1.0 if total == 0.0 or math.isnan(total) else 1 / total
            self.shares[place, : len(leaf.stats)] = [n * factor for n in leaf.stats.values()]
        elif total != 0.0:
            weights = [n / total for n in leaf.stats.values()]
            self._enter_bayes(place, weights, list(leaf.stats), observers, columns)

    def _enter_bayes(
        self,
        place: int,
        weights: list[float],
        classes: list[Any],
        observers: Mapping[Any, Any],
        columns: TreeColumns,
    ) -> None:
        slots_n, features_n = self._centres.shape[1:]
        priors = [-math.inf] * slots_n
        tested = [-1] * features_n
        centres = [[math.nan] * features_n for _ in range(slots_n)]
        divisors = [[1.0] * features_n for _ in range(slots_n)]
        logs = [[0.0] * features_n for _ in range(slots_n)]
        # A class without weight has the prior 0 and no features.
        seen = [(slot, label) for slot, label in enumerate(classes) if weights[slot] > 0.0]
        for slot in range(len(classes)):
            priors[slot] = math.log(weights[slot]) if weights[slot] > 0.0 else 0.0
        for i, (name, observer) in enumerate(observers.items()):
            tested[i] = columns.place(name)
            if type(observer) is GaussianSplitter:
                for slot, label in seen:
                    moments = _moments_of(observer._att_dist_per_class.get(label))
                    if moments is not None:
                        centres[slot][i], divisors[slot][i], logs[slot][i] = moments
            elif type(observer) is HistogramSplitter:
                bins: list[_NumberBins | None] = [None] * slots_n
                for slot, label in seen:
                    if observer.hists.get(label):
                        bins[slot] = _NumberBins(observer.hists[label])
                self._histograms.setdefault(place, []).append((i, tested[i], bins))
            else:
                tables: list[Floats] = [np.zeros(1)] * slots_n
                for slot, label in seen:
                    tables[slot] = _log_chances(observer, label, tested[i], columns)
                self._nominal.setdefault(place, []).append((i, tested[i], tables))
        self._priors[place], self._tested[place] = priors, tested
        self._centres[place], self._divisors[place], self._logs[place] = centres, divisors, logs

    def _make_room(self, place: int, slots_n: int, features_n: int) -> None:
        """Enlarge the arrays if they are too small, and copy their content."""
        places, slots, features = self._centres.shape
        if place < places and slots_n <= slots and features_n <= features:
            return
        before = vars(self).copy()
        self._allot_arrays(
            max(2 * (place + 1) if place >= places else places, 8),
            max(slots_n, slots),
            max(features_n, features),
        )
        for name, array in before.items():
            if isinstance(array, np.ndarray):
                vars(self)[name][tuple(slice(0, n) for n in array.shape)] = array

    def predict_rows(
        self, rows: Floats, places: Numbers, row_of: Numbers, columns: TreeColumns
    ) -> Floats:
        """The probabilities by class slot, shape (m, slots), by m pairs of a leaf and a row.

        - `rows`: the rows, shape (n, width + 1).
        - `places`, `row_of`: the place of the leaf and the number of the row, shape (m,) each.

        NaN where river raises, because a square overflows.
        """
        probabilities = self.shares[places]
        bayes = np.flatnonzero(self.is_bayes[places])
        if bayes.size:
            probabilities[bayes] = self._score_bayes(rows, places[bayes], row_of[bayes], columns)
        errors = self._errors[places]
        adaptive = np.flatnonzero(errors >= 0.0)
        if adaptive.size:
            total = np.add.accumulate(probabilities[adaptive], axis=1)[:, -1]
            factor = total * errors[adaptive] * errors[adaptive]
            is_scaled = (factor != 0.0) & ~np.isnan(factor)
            scale = np.where(is_scaled, 1.0 / np.where(is_scaled, factor, 1.0), 1.0)
            probabilities[adaptive] *= scale[:, np.newaxis]
        return probabilities

    def _score_bayes(
        self, rows: Floats, places: Numbers, row_of: Numbers, columns: TreeColumns
    ) -> Floats:
        values = rows[row_of[:, np.newaxis], self._tested[places]]
        slots_n, features_n = self._centres.shape[1:]
        terms = np.empty((len(places), slots_n, features_n + 1))
        terms[:, :, 0] = self._priors[places]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            squares = np.float_power(values[:, np.newaxis] - self._centres[places], 2.0)
            logs = squares / self._divisors[places] - _HALF_LOG_TAU - self._logs[places]
        # A missing value, or one seen too seldom to have a variance, adds nothing.
        terms[:, :, 1:] = np.where(logs > -np.inf, logs, 0.0)
        for place in self._nominal.keys() & {*np.unique(places).tolist()}:
            here = np.flatnonzero(places == place)
            for i, tested, tables in self._nominal[place]:
                codes = columns.codes_in(rows[row_of[here], tested], tested)
                for slot, table in enumerate(tables):
                    terms[here, slot, i + 1] = table[np.minimum(codes, len(table) - 1)]
        for place in self._histograms.keys() & {*np.unique(places).tolist()}:
            here = np.flatnonzero(places == place)
            for i, tested, bins in self._histograms[place]:
                seen = rows[row_of[here], tested]
                for slot, histogram in enumerate(bins):
                    if histogram is not None:
                        terms[here, slot, i + 1] = histogram.log_densities(seen)
        votes = np.add.accumulate(terms, axis=2)[:, :, -1]
        highest = np.maximum.reduce(votes, axis=1)
        total = np.add.accumulate(_compute_exp(votes - highest[:, np.newaxis]), axis=1)[:, -1]
        log_total = highest + np.array([math.log(x) for x in total.tolist()])
        probabilities = _compute_exp(votes - log_total[:, np.newaxis])
        if np.isinf(np.fmax.reduce(squares, axis=None, initial=0.0)):
            probabilities[np.isinf(squares).any(axis=(1, 2))] = np.nan
        return probabilities


def _compute_exp(exponents: Floats) -> Floats:
    return np.array([*map(math.exp, exponents.ravel().tolist())]).reshape(exponents.shape)


def _moments_of(gaussian: Any) -> tuple[float, float, float] | None:
    """The mean, -2 x variance, and half its logarithm; None where river has no density."""
    if gaussian is None:
        return None
    spread = gaussian._var
    n = spread.mean.n
    if n <= spread.ddof:
        return None
    variance = spread._S / (n - spread.ddof)
    if variance <= 0.0:
        return None
    return spread.mean._mean, -2.0 * variance, 0.5 * math.log(variance)


def _log_chances(observer: Any, label: Any, place: int, columns: TreeColumns) -> Floats:
    """The log of the share of each category in this class, by code; 0 for one it never had."""
    weights = observer._att_dist_per_class.get(label, {})
    total = sum(weights.values())
    logs = {value: math.log(n / total) for value, n in weights.items() if total and n / total > 0}
    return columns.table(place, logs, 0.0)


class _NumberBins:
    """A histogram of one feature in one class, as `HistogramSplitter.cond_proba` reads it.

    River takes the first bin that begins above the value. The density in it is that of the whole
    bin if the bin is a point; it is negative otherwise, and adds nothing. Only in the last bin,
    which stands for all higher values too, does it depend on the value.
    """

    def __init__(self, histogram: Any) -> None:
        bins, self._n = histogram.data, histogram.n
        self._last = bins[-1]
        self._lefts = np.array([b.left for b in bins], dtype=float)
        logs = [math.log(b.count / self._n) if b.left == b.right else 0.0 for b in bins]
        self._logs = np.array([*logs, logs[-1]])

    def log_densities(self, values: Floats) -> Floats:
        """The logarithms of the densities at these values, shape (n,); 0 where river adds none."""
        # A missing value sorts behind all others.
        found = np.searchsorted(self._lefts, values, side="right")
        logs = self._logs[found]
        last = self._last
        if last.left != last.right:
            for i in np.flatnonzero(values > last.left).tolist():
                share = last.count * (float(values[i]) - last.left) / (last.right - last.left)
                logs[i] = math.log(share / self._n) if share / self._n > 0.0 else 0.0
        logs[np.isnan(values)] = 0.0
        return logs
