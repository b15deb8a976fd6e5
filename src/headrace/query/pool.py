"""The candidates of one round, as columns: what a query strategy sees, and all that it sees.

A pool is made for one round and thrown away; the events live in the window and the reservoir.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

ASKED_MAX = 500
"""So many events that were asked before stand beside a pool at most, the latest."""


@dataclass(frozen=True, eq=False, slots=True)
class Pool:
    """n candidates.

    `X` has shape (n, d): numbers as they are, categories as codes, NaN where missing; `is_category`
    has shape (d,). `probabilities` has shape (n, k), rows summing to 1: those that uncertainty is
    read from (`query.uncertainty_from`). `keys`, shape (n,), are the hashed ids, for `Chance`.
    `at`, shape (n,), is in seconds. `wanted_n` is how many will be chosen.

    What only some strategies read is None where it was not asked for (`needs`) or is not there:
    `members`, shape (m, n, k), are the probabilities by each member of the model, `asked`, shape
    (l, d), the features of the latest events that were asked about before, `ASKED_MAX` at most.
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

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before 2 a pool had neither members nor what was asked before."""
        return fields | {"members": None, "asked": None}

    def __len__(self) -> int:
        return len(self.ids)

    def row(self, i: int) -> Pool:
        """A pool of candidate i alone."""
        return replace(self.take(np.array([i])), wanted_n=1)

    def take(self, rows: NDArray[np.intp]) -> Pool:
        """A pool of these candidates, in this order; what was asked before stays."""
        return replace(
            self,
            ids=[self.ids[i] for i in rows.tolist()],
            keys=self.keys[rows],
            at=self.at[rows],
            X=self.X[rows],
            probabilities=self.probabilities[rows],
            members=None if self.members is None else self.members[:, rows],
        )

    def alone(self) -> Pool:
        """The candidates without what only some strategies read."""
        return replace(self, members=None, asked=None)

    def spread(self, rows: NDArray[np.intp] | slice) -> float:
        """The mean squared distance of two of those rows; a missing value is a category of its own.

        Numbers are scaled by the pool's own deviation; two categories that differ are 1 apart, as
        in `points`. At least two rows.
        """
        mean, variance = self._moments()
        of_rows = self._centred(self.X[rows], mean)
        m = len(of_rows)
        shifted = of_rows - of_rows.sum(axis=0) / m
        squares = (shifted * shifted).sum(axis=0) / (m - 1)
        total = 2.0 * float((squares / np.where(variance > 0, variance, 1.0)).sum())
        for codes in self.X[rows][:, self.is_category].T:
            _, times = np.unique(codes, return_counts=True, equal_nan=True)
            total += 1.0 - float((times * (times - 1)).sum()) / (m * (m - 1))
        return total

    def _moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and variance of each number over the pool, where it is known."""
        numbers = self.X[:, ~self.is_category]
        known = ~np.isnan(numbers)
        n = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, numbers, 0.0).sum(axis=0) / n
        centred = self._centred(self.X, mean)
        return mean, (centred * centred).sum(axis=0) / n

    def _centred(self, X: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
        """The numbers of these rows less their mean; what is missing stands at the mean."""
        numbers = X[:, ~self.is_category]
        return np.where(np.isnan(numbers), 0.0, numbers - mean)

    def points(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Those rows as points for distances, shape (len(rows), d').

        Numbers are scaled by the pool's own mean and deviation, missing ones stand at the mean;
        each category seen among the rows becomes a column of its own.
        """
        return self._points(self.X[rows])

    def points_with_asked(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """All candidates and what was asked before, as points of one space: (n, d') and (l, d')."""
        asked = np.empty((0, self.X.shape[1])) if self.asked is None else self.asked
        if asked.shape[1] < self.X.shape[1]:
            # A feature that came later was missing then.
            lacking_n = self.X.shape[1] - asked.shape[1]
            asked = np.pad(asked, ((0, 0), (0, lacking_n)), constant_values=np.nan)
        both = self._points(np.vstack([self.X, asked]))
        return both[: len(self)], both[len(self) :]

    def _points(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        mean, variance = self._moments()
        deviation = np.sqrt(variance)
        columns = [self._centred(X, mean) / np.where(deviation > 0, deviation, 1.0)]
        for codes in X[:, self.is_category].T:
            values = np.unique(codes[~np.isnan(codes)])
            # Two rows that differ in a category are as far apart as one deviation of a number.
            columns.append((codes[:, None] == values) / np.sqrt(2.0))
        return np.hstack(columns)


def disagreement(model: NDArray[np.float64], served: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far two models are apart, as the probabilities of two outcomes: they agree, they don't.

    Both arguments have shape (n, k) over the same classes. With d the total variation distance, a
    row is (1 - d/2, d/2), so that every strategy that reads uncertainty ranks by d.

    >>> disagreement(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]))
    array([[0.5, 0.5]])
    """
    half = np.abs(model - served).sum(axis=1) / 4.0
    return np.stack([1.0 - half, half], axis=1)
