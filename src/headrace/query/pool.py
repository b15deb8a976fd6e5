"""The candidates of one round, as columns: everything that a query strategy sees.

A pool is made for one round and thrown away; the events live in the window and the reservoir.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

ASKED_MAX = 500
"""At most this many events that were asked before, the latest, stand beside a pool."""

PIECE_MAX = 2_000_000
"""At most this many distances are in memory at once while neighbours are searched."""

NUMBER_MAX = 1e100
"""Numbers beyond it are clipped to it where distances are computed."""

PARTS = ("members", "asked", "labelled", "reservoir", "costs")
"""What some strategies read beside the candidates; built only where their `needs` name it."""


class Labelled(NamedTuple):
    """The latest events of the shard that have a label, `ASKED_MAX` at most.

    No event is listed where `query.uncertainty_from` is "disagreement", as its columns are no
    classes.

    Attributes:
        X: The features, shape (l, d), as `Pool.X`.
        codes: The places of their classes among the columns of `Pool.probabilities`, shape (l,).
    """

    X: NDArray[np.float64]
    codes: NDArray[np.int64]


class Sample(NamedTuple):
    """The events of the reservoir.

    Attributes:
        X: The features, shape (r, d), as `Pool.X`.
        keys: The hashed ids, shape (r,).
    """

    X: NDArray[np.float64]
    keys: NDArray[np.uint64]


class Neighbours(NamedTuple):
    """The m nearest events of the reservoir for each of n candidates, the nearest first.

    Attributes:
        distances: The distances of `Pool.points`, shape (n, m).
        rows: Their places in the sample, shape (n, m).
    """

    distances: NDArray[np.float64]
    rows: NDArray[np.intp]


@dataclass(frozen=True, eq=False, slots=True)
class Pool:
    """The n candidates of a round, as columns. A query strategy reads them and changes nothing.

    What only some strategies read (`PARTS`) is None where no strategy needs it or there is none.

    Attributes:
        ids: The ids of the events, a list of n texts.
        keys: Their hashed ids, for `Chance`, shape (n,).
        at: Their times, shape (n,), seconds since the epoch.
        X: Their d features, shape (n, d): numbers as they are, categories as codes, NaN where
            missing.
        is_category: Whether each feature is a category, shape (d,).
        probabilities: Those that uncertainty is read from (`query.uncertainty_from`), shape (n, k),
            rows summing to 1.
        wanted_n: How many will be chosen.
        members: The probabilities by each of the m members of the model, shape (m, n, k).
        asked: The features of the latest events asked before, `ASKED_MAX` at most, shape (l, d).
        labelled: Those of the latest events that have a label, a `Labelled`.
        reservoir: A sample of all events, which `neighbours` searches, a `Sample`.
        costs: The expected price of each candidate's label, shape (n,), in the money of
            `query.budget.price`; None where labels have no price.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.array([[0.9, 0.1], [0.5, 0.5]]), wanted_n=1)
    >>> len(pool), pool.row(1).ids
    (2, ['b'])
    """

    ids: list[str]
    keys: NDArray[np.uint64]
    at: NDArray[np.float64]
    X: NDArray[np.float64]
    is_category: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    wanted_n: int
    members: NDArray[np.float64] | None = None
    asked: NDArray[np.float64] | None = None
    labelled: Labelled | None = None
    reservoir: Sample | None = None
    costs: NDArray[np.float64] | None = None

    STATE_VERSION: ClassVar[int] = 3

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Fill in the parts: before version 2 a pool had none of them, before 3 only two."""
        return dict.fromkeys(PARTS) | fields

    def __len__(self) -> int:
        return len(self.ids)

    def row(self, i: int) -> Pool:
        """Return a pool of one candidate alone.

        Args:
            i: The place of the candidate, from 0.

        Returns:
            The pool, with `wanted_n` = 1, beside the same other events.
        """
        return replace(self.take(np.array([i])), wanted_n=1)

    def take(self, rows: NDArray[np.intp]) -> Pool:
        """Return a pool of some candidates, in a given order.

        Args:
            rows: Their places, shape (m,).

        Returns:
            The pool of m candidates, beside the same other events.
        """
        return replace(
            self,
            ids=[self.ids[i] for i in rows.tolist()],
            keys=self.keys[rows],
            at=self.at[rows],
            X=self.X[rows],
            probabilities=self.probabilities[rows],
            members=None if self.members is None else self.members[:, rows],
            costs=None if self.costs is None else self.costs[rows],
        )

    def read_only(self) -> Pool:
        """Lock the arrays, so that other code can't change them.

        Returns:
            The same candidates and parts in read-only arrays.
        """
        arrays = ("keys", "at", "X", "is_category", "probabilities", "members", "asked", "costs")
        locked: dict[str, Any] = {name: _lock_array(getattr(self, name)) for name in arrays}
        locked["ids"] = list(self.ids)
        if self.labelled is not None:
            locked["labelled"] = Labelled(*map(_lock_array, self.labelled))
        if self.reservoir is not None:
            locked["reservoir"] = Sample(*map(_lock_array, self.reservoir))
        return replace(self, **locked)

    def alone(self, but: Iterable[str] = ()) -> Pool:
        """Leave `PARTS` out.

        Args:
            but: The names of the parts to keep.

        Returns:
            The same candidates; other parts are None.
        """
        left_out: dict[str, Any] = dict.fromkeys(part for part in PARTS if part not in but)
        return replace(self, **left_out)

    def spread(self, rows: NDArray[np.intp] | slice) -> float:
        """Compute how far apart candidates are.

        Numbers are scaled by the pool's own deviation; two categories that differ are 1 apart, as
        in `points`; a missing category is one of its own.

        Args:
            rows: The places of at least two candidates, shape (m,), or a slice.

        Returns:
            The mean squared distance of two of them.
        """
        mean, variance = self._moments()
        centred = self._centre_rows(self.X[rows], mean)
        m = len(centred)
        shifted = centred - centred.sum(axis=0) / m
        squares = (shifted * shifted).sum(axis=0) / (m - 1)
        total = 2.0 * float((squares / np.where(variance > 0, variance, 1.0)).sum())
        for codes in self.X[rows][:, self.is_category].T:
            _, counts = np.unique(codes, return_counts=True, equal_nan=True)
            total += 1.0 - float((counts * (counts - 1)).sum()) / (m * (m - 1))
        return total

    def _moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and variance of each numeric feature over the candidates that have it."""
        return moments_of(self.X[:, ~self.is_category])

    def _centre_rows(
        self, X: NDArray[np.float64], mean: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the numbers of these rows less their mean; missing ones become 0."""
        numbers = bound_numbers(X[:, ~self.is_category])
        return np.where(np.isnan(numbers), 0.0, numbers - mean)

    def points(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Make points of candidates, for distances.

        Numbers are scaled by the pool's own mean and deviation, missing ones stand at the mean;
        each category seen among the rows becomes a column of its own, and two that differ are 1
        apart.

        Args:
            rows: The places of m candidates, shape (m,).

        Returns:
            The points, shape (m, d').

        >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
        ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
        ...     probabilities=np.ones((2, 1)), wanted_n=1)
        >>> pool.points(np.arange(2)).tolist()
        [[-1.0], [1.0]]
        """
        return self._place_rows(self.X[rows])

    def points_with_asked(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Make points of candidates and events asked before, in one space.

        Returns:
            The points of the n candidates, shape (n, d'), and of the l other events, shape (l, d').
        """
        return self.points_beside(self.X[:0] if self.asked is None else self.asked)

    def points_beside(
        self, rows: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Make points of candidates and other events, in one space.

        Args:
            rows: The features of the l other events, shape (l, d), or fewer columns: features that
                were first seen later count as missing.

        Returns:
            The points of the n candidates, shape (n, d'), and of the l other events, shape (l, d').
        """
        if rows.shape[1] < self.X.shape[1]:
            # Features that were first seen after these events count as missing.
            lacking_n = self.X.shape[1] - rows.shape[1]
            rows = np.pad(rows, ((0, 0), (0, lacking_n)), constant_values=np.nan)
        both = self._place_rows(np.vstack([self.X, rows[:, : self.X.shape[1]]]))
        return both[: len(self)], both[len(self) :]

    def neighbours(self, most_n: int) -> Neighbours:
        """Find the nearest events of the reservoir for each candidate.

        All candidates have the same number; no event is its own neighbour. A call costs one
        distance for each pair of a candidate and an event of the reservoir.

        Args:
            most_n: The most neighbours of a candidate.

        Returns:
            Their distances and places in the reservoir, the nearest first.

        >>> keys = np.array([1, 2], np.uint64)
        >>> sample = Sample(np.array([[0.0], [1.0], [5.0]]), np.array([1, 3, 4], np.uint64))
        >>> pool = Pool(ids=["a", "b"], keys=keys, at=np.zeros(2), X=np.array([[0.0], [4.0]]),
        ...     is_category=np.zeros(1, bool), probabilities=np.ones((2, 1)), wanted_n=1,
        ...     reservoir=sample)
        >>> pool.neighbours(1).rows.tolist(), pool.neighbours(1).distances.tolist()
        ([[1], [2]], [[0.5], [0.5]])
        """
        n = len(self)
        if self.reservoir is None or not n:
            return Neighbours(np.empty((n, 0)), np.empty((n, 0), dtype=np.intp))
        points, others = self.points_beside(self.reservoir.X)
        is_any_own = bool(np.isin(self.keys, self.reservoir.keys).any())
        m = max(0, min(most_n, len(others) - is_any_own))
        distances, rows = np.empty((n, m)), np.empty((n, m), dtype=np.intp)
        piece_n = max(1, PIECE_MAX // max(1, len(others)))
        for start in range(0, n if m else 0, piece_n):
            piece = slice(start, min(n, start + piece_n))
            apart = squared_distances(points[piece], others)
            apart[self.keys[piece, np.newaxis] == self.reservoir.keys] = np.inf
            nearest = np.sort(np.argpartition(apart, m - 1, axis=1)[:, :m], axis=1)
            # Computed anew for the nearest: a difference of squares loses small distances.
            between = points[piece, np.newaxis] - others[nearest]
            near = np.sqrt((between * between).sum(axis=2))
            order = np.argsort(near, axis=1, kind="stable")
            rows[piece] = np.take_along_axis(nearest, order, axis=1)
            distances[piece] = np.take_along_axis(near, order, axis=1)
        return Neighbours(distances, rows)

    def _place_rows(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        mean, variance = self._moments()
        deviation = np.sqrt(variance)
        columns = [self._centre_rows(X, mean) / np.where(deviation > 0, deviation, 1.0)]
        for codes in X[:, self.is_category].T:
            values = np.unique(codes[~np.isnan(codes)])
            # Two columns differ by 1 / sqrt(2) each: categories that differ are 1 apart.
            columns.append((codes[:, None] == values) / np.sqrt(2.0))
        return np.hstack(columns)


def _lock_array(array: Any) -> Any:
    if array is None:
        return None
    view = array.view()
    view.flags.writeable = False
    return view


def bound_numbers(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the numbers clipped to `NUMBER_MAX`: their squares, and sums of these, are finite."""
    return np.clip(numbers, -NUMBER_MAX, NUMBER_MAX)


def moments_of(
    numbers: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance of each column over the rows that have a number; 0 without any."""
    numbers = bound_numbers(numbers)
    is_known = ~np.isnan(numbers)
    n = np.maximum(is_known.sum(axis=0), 1)
    mean = np.where(is_known, numbers, 0.0).sum(axis=0) / n
    centred = np.where(is_known, numbers - mean, 0.0)
    return mean, (centred * centred).sum(axis=0) / n


def squared_distances(
    points: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the squared Euclidean distances, shape (n, m), of points (n, d) and (m, d)."""
    squares = (points * points).sum(axis=1)[:, None] + (others * others).sum(axis=1)
    return np.asarray(np.maximum(squares - 2.0 * (points @ others.T), 0.0))


def compare_predictions(
    model: NDArray[np.float64], served: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how far two models are apart as probabilities of two outcomes, shape (n, 2).

    The outcomes are that the models agree, and that they don't. Both arguments have shape (n, k)
    over the same classes. With d the total variation distance, a row is (1 - d/2, d/2), so that
    every strategy that reads uncertainty ranks by d.

    >>> compare_predictions(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]))
    array([[0.5, 0.5]])
    """
    half = np.abs(model - served).sum(axis=1) / 4.0
    return np.stack([1.0 - half, half], axis=1)
