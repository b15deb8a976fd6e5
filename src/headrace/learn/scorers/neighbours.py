"""River's nearest neighbours with an exact search, many rows in one pass.

The module compiles `KNNClassifier` with a `LazySearch` by the Euclidean or the Manhattan distance,
alone or behind the scaler and encoder of `Preparation`. Distances are summed as river sums them,
feature by feature in the same order, because a last bit may decide which of two examples is nearer;
so the neighbours are river's own, and their votes have river's bits. A missing feature counts as 0.

The search keeps its examples in a window. After a label only the new ones are read.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from river import compose, neighbors
from river.neighbors.base import FunctionWrapper, _euclidean_tuple_distance
from river.utils.math import minkowski_distance

from ..schema_view import Floats, SchemaView
from .examples import ExampleWindow
from .originals import OriginalsScorer
from .preparing import Preparation
from .routes import Numbers
from .scorer import code_of

BLOCK_CELLS = 2**16
"""Rows x examples whose distances are computed at once: they fit into a processor's cache."""

PICKED_MAX = 16
"""Up to this many neighbours are picked one after the other, more of them are sorted."""


def is_of_neighbours(model: Any) -> bool:
    """Whether the model is a search that can be compiled, behind steps that can be.

    >>> from river import preprocessing
    >>> engine = neighbors.LazySearch(window_size=100)
    >>> is_of_neighbours(preprocessing.StandardScaler() | neighbors.KNNClassifier(engine=engine))
    True
    >>> is_of_neighbours(neighbors.KNNClassifier())  # its search is not exact
    False
    """
    *steps, final = model.steps.values() if type(model) is compose.Pipeline else [model]
    return (
        type(final) is neighbors.KNNClassifier
        and type(final._nn) is neighbors.LazySearch
        and final._nn.window_size > 0
        and final.n_neighbors > 0
        and _power_of(final._nn.dist_func) is not None
        and Preparation.of(steps) is not None
    )


def _power_of(distance: Any) -> int | None:
    """1 for the Manhattan distance, 2 for the Euclidean one, None for any other."""
    if distance is _euclidean_tuple_distance:
        return 2
    inner = distance.distance_function if isinstance(distance, FunctionWrapper) else None
    if not isinstance(inner, functools.partial) or inner.func is not minkowski_distance:
        return None
    is_plain = not inner.args and inner.keywords.keys() == {"p"} and inner.keywords["p"] in {1, 2}
    return int(inner.keywords["p"]) if is_plain else None


class NeighboursScorer(OriginalsScorer):
    """A search for neighbours as arrays; the caller sets `is_stale` after `learn_one`."""

    def __init__(self, model: Any, schema: SchemaView) -> None:
        *steps, final = model.steps.values() if type(model) is compose.Pipeline else [model]
        super().__init__(final, schema)
        prepared = Preparation.of(steps)
        assert prepared is not None
        self._prepared = prepared
        self._power = _power_of(final._nn.dist_func)
        self._window = ExampleWindow(has_texts=prepared.encodes_texts)

    @property
    def is_left_to_river(self) -> bool:
        """Whether river has to score: it meets texts, or numbers that are not finite."""
        if self._prepared.meets_texts and set(self._schema.kinds) - {"numeric"}:
            return True
        self._note_width()
        if self.is_stale:
            self._refresh()
            self.is_stale = False
        return not self._are_finite

    # ------------------------------------------------------------------------- after a label

    def _refresh(self) -> None:
        schema = self._schema
        numeric = [
            (j, name)
            for j, (name, kind) in enumerate(zip(schema.names, schema.kinds, strict=True))
            if kind == "numeric" and self._prepared.has_numbers
        ]
        names = [name for _, name in numeric]
        self._columns = np.array([j for j, _ in numeric], dtype=np.intp)
        self._shifts, self._widths = self._prepared.read_scaler(names)
        self._window.read(self._final._nn.window, names, self._final.classes)
        self._codes = [code_of(label) for label in self._window.label_of]
        self._are_finite = all(
            np.isfinite(array).all() for array in (self._window.values, self._shifts, self._widths)
        )

    # ------------------------------------------------------------------------------- answers

    def _answers(self, X: Floats) -> Floats:
        examples_n = len(self._window)
        if not examples_n:
            return np.full((len(X), len(self._codes)), 1.0 / len(self._codes))
        rows_n = max(1, BLOCK_CELLS // examples_n)
        blocks = [self._vote(X[i : i + rows_n]) for i in range(0, len(X), rows_n)]
        return np.concatenate(blocks or [np.zeros((0, len(self._codes)))])

    def _vote(self, X: Floats) -> Floats:
        distances = self._measure(X)
        nearest = self._pick(distances)
        rows = np.arange(len(X))
        votes = np.zeros((len(X), len(self._codes)))
        with np.errstate(divide="ignore"):
            for i in range(nearest.shape[1]):
                weights = 1.0 / distances[rows, nearest[:, i]] if self._final.weighted else 1.0
                votes[rows, self._window.labels[nearest[:, i]]] += weights
            if self._final.softmax:
                highest = votes.max(axis=1, keepdims=True)
                votes = np.array([*map(math.exp, (votes - highest).ravel().tolist())])
                votes = votes.reshape(len(X), -1)
            votes /= np.add.accumulate(votes, axis=1)[:, -1:]
        same = np.flatnonzero(distances[rows, nearest[:, 0]] == 0.0)
        votes[same] = 0.0
        votes[same, self._window.labels[nearest[same, 0]]] = 1.0
        return votes

    def _pick(self, distances: Floats) -> Numbers:
        """The nearest examples, in the order of their distances, then of their ages."""
        n = min(self._final.n_neighbors, distances.shape[1])
        if n > PICKED_MAX:
            return distances.argsort(axis=1, kind="stable")[:, :n]
        left = np.minimum(distances, np.finfo(float).max)
        rows, nearest = np.arange(len(left)), np.zeros((len(left), n), dtype=np.intp)
        for i in range(n):
            nearest[:, i] = left.argmin(axis=1)
            left[rows, nearest[:, i]] = np.inf
        return nearest

    def _measure(self, X: Floats) -> Floats:
        """The distances between rows and examples, shape (n, examples)."""
        numbers, (lacking, others) = self._scale_numbers(X), self._compare_texts(X)
        rows_n = max(1, BLOCK_CELLS // max(1, self._window.values.size))
        total = np.empty((len(X), len(self._window)))
        for start in range(0, len(X), rows_n):
            rows = slice(start, start + rows_n)
            of_block = [part[rows] for part in lacking], [part[rows] for part in others]
            total[rows] = _add_up(self._list_terms(numbers[rows], *of_block))
        return np.sqrt(total) if self._power == 2 else total

    def _list_terms(self, numbers: Floats, lacking: list[Floats], others: list[Floats]) -> Floats:
        """What each feature adds to the distances, in river's order: shape (n, terms, examples).

        First come the features that the row has, then those that only the example has.
        """
        gaps = numbers[:, :, np.newaxis] - self._window.values
        gaps = np.abs(gaps) if self._power == 1 else np.multiply(gaps, gaps, out=gaps)
        is_absent = np.isnan(numbers)
        first, second = [gaps], []
        if is_absent.any():
            gaps[is_absent] = 0.0
            values = self._window.values
            sizes = np.abs(values) if self._power == 1 else values**2
            second = [np.where(is_absent[:, :, np.newaxis], sizes, 0.0)]
        first = lacking + first if self._prepared.are_texts_first else first + lacking
        second = others + second if self._prepared.are_texts_first else second + others
        terms = [*first, *second]
        return terms[0] if len(terms) == 1 else np.concatenate(terms, axis=1)

    def _scale_numbers(self, X: Floats) -> Floats:
        """The rows' numbers by place, shape (n, places), NaN where a row has none."""
        numbers = np.full((len(X), len(self._window.values)), np.nan)
        n = int(np.searchsorted(self._columns, X.shape[1]))
        numbers[:, :n] = X.take(self._columns[:n], axis=1)
        if self._prepared.scaler is not None:
            scaled = numbers[:, : len(self._columns)]
            scaled -= self._shifts
            # River does not divide by a width of 0.
            is_flat = self._widths == 0.0
            scaled /= np.where(is_flat, 1.0, self._widths)
            scaled[:, is_flat] = np.where(np.isnan(scaled[:, is_flat]), np.nan, 0.0)
        return numbers

    def _compare_texts(self, X: Floats) -> tuple[list[Floats], list[Floats]]:
        """1 for each text that only the row has, then 1 for each that only the example has.

        Both are lists of arrays of shape (n, 1, examples).
        """
        if not self._prepared.encodes_texts:
            return [], []
        lacking = []
        others = np.tile(self._window.texts_n, (len(X), 1, 1))
        for j, kind in enumerate(self._schema.kinds[: X.shape[1]]):
            if kind == "categorical":
                codes, places = np.unique(X[:, j], return_inverse=True, equal_nan=True)
                tables = np.array([self._find_lacking(j, code) for code in codes.tolist()])
                lacking.append(tables[places][:, np.newaxis])
                is_there = ~np.isnan(X[:, j])[:, np.newaxis, np.newaxis]
                others -= (lacking[-1] == 0.0) & is_there
        highest = int(others.max(initial=0))
        left = [(others > i).astype(float) for i in range(highest)]
        # An encoder that writes zeros gives the row all features that an example may have.
        return (lacking, left) if self._prepared.encoder.drop_zeros else (lacking + left, [])

    def _find_lacking(self, j: int, code: float) -> Floats:
        """1 for each example without this text, 0 for one with it; for a missing text 0."""
        if math.isnan(code):
            return np.zeros(len(self._window))
        return self._window.find_lacking(f"{self._schema.names[j]}_{self._texts[j][int(code)]}")


def _add_up(terms: Floats) -> Floats:
    """The sums over the second axis, one term after the other.

    Along the last axis numpy would add pairs, and of an axis of one it takes no notice.
    """
    if terms.shape[2] > 1:
        return np.asarray(np.add.reduce(terms, axis=1))
    return np.asarray(np.add.accumulate(terms, axis=1)[:, -1:].sum(axis=1))
