"""Candidates whose label is expected to change the model, or its errors, most.

The model itself learns nothing for that. The effect of a label is computed from the probabilities
of the pool, for a model that is linear in the features, or for a Gaussian field over them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...chance import Chance
from ...errors import BadSettings
from ..pool import Pool, squared_distances
from .diversity import median_distance
from .order import Floats, in_order, points_of

SAMPLE_N = 200
"""An expected error or variance is computed over a hashed sample of this many candidates."""

NOISE = 0.1
"""The variance of a label around the Gaussian field, as a share of the field's own variance."""


@dataclass(frozen=True)
class ExpectedGradientLength:
    """The expected length of the gradient that the label would cause, over all possible labels.

    Settles, Craven, Ray, "Multiple-instance active learning", NeurIPS 2008, eq. 5, in closed form
    for softmax regression: sum over y of p_y ||p - e_y|| times ||(x, 1)||, x the scaled features.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.array([[0.9, 0.1], [0.6, 0.4]]), wanted_n=1)
    >>> ExpectedGradientLength()(pool, Chance(0)).round(3).tolist()
    [0.36, 0.96]
    """

    needs: ClassVar[tuple[str, ...]] = ()

    @in_order
    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        points, _ = points_of(pool, chance)
        p = pool.probabilities
        # ||p - e_y||^2 = sum p^2 - 2 p_y + 1.
        squares = np.maximum((p * p).sum(axis=1, keepdims=True) - 2.0 * p + 1.0, 0.0)
        lengths = np.sqrt((points * points).sum(axis=1) + 1.0)
        return np.asarray((p * np.sqrt(squares)).sum(axis=1) * lengths)


@dataclass(frozen=True)
class VarianceReduction:
    """By how much the label would lower a logistic model's variance over the candidates.

    A-optimality (Schein and Ungar, "Active learning for logistic regression: an evaluation",
    Machine Learning 68, 2007, section 3.1): with the Fisher information F of the events asked
    before, by how much a candidate lowers the sum of s' F^-1 s over a sample of candidates s, by a
    rank-one update. Weights are p (1 - p) of the likeliest class.

    Attributes:
        ridge: The precision of the prior, above 0 and at most 1e6.

    Raises:
        BadSettings: `ridge` is out of bounds.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.array([[0.9, 0.1], [0.6, 0.4]]), wanted_n=1)
    >>> bool(np.diff(VarianceReduction()(pool, Chance(0)))[0] > 0)
    True
    """

    ridge: float = 1.0

    needs: ClassVar[tuple[str, ...]] = ("asked",)

    def __post_init__(self) -> None:
        if not 0.0 < self.ridge <= 1e6:
            raise BadSettings(f"query.options.ridge is {self.ridge}; must be above 0")

    @in_order
    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        points, asked = points_of(pool, chance)
        rows = np.hstack([points, np.ones((len(points), 1))])
        before = np.hstack([asked, np.ones((len(asked), 1))])
        best = pool.probabilities.max(axis=1) if pool.probabilities.shape[1] else np.ones(len(pool))
        weights = best * (1.0 - best)
        information = self.ridge * np.eye(rows.shape[1]) + 0.25 * before.T @ before
        inverse = np.linalg.inv(information)
        sample = _sample_rows(pool, chance)
        weighted = rows[sample] * np.sqrt(weights[sample])[:, None]
        moved = rows @ inverse
        cross = moved @ weighted.T
        own = (moved * rows).sum(axis=1)
        return np.asarray(weights * (cross * cross).sum(axis=1) / (1.0 + weights * own))


@dataclass(frozen=True)
class ExpectedErrorReduction:
    """By how much the label would lower the expected error over the candidates.

    Zhu, Lafferty, Ghahramani, "Combining active learning and semi-supervised learning using
    Gaussian fields and harmonic functions", ICML 2003 workshop, eq. 4 and 5: a Gaussian field over
    the features with the model's probabilities as its mean, conditioned on the events asked before.
    A label y changes all others by their covariance; the remaining error is the mean of 1 - max p
    over a sample.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.array([[0.9, 0.1], [0.6, 0.4]]), wanted_n=1)
    >>> bool(np.diff(ExpectedErrorReduction()(pool, Chance(0)))[0] > 0)
    True
    """

    needs: ClassVar[tuple[str, ...]] = ("asked",)

    @in_order
    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        n, k = pool.probabilities.shape
        if k < 2:
            return np.zeros(n)
        points, asked = points_of(pool, chance)
        width = 2.0 * median_distance(points)
        sample = _sample_rows(pool, chance)
        between = np.exp(-squared_distances(points, points[sample]) / width)
        own = np.ones(n)
        if len(asked):
            to_asked = np.exp(-squared_distances(points, asked) / width)
            among = np.exp(-squared_distances(asked, asked) / width) + NOISE * np.eye(len(asked))
            solved = np.linalg.solve(among, to_asked.T)
            between -= to_asked @ solved[:, sample]
            own -= (to_asked * solved.T).sum(axis=1)
        gain = between / (np.maximum(own, 0.0) + NOISE)[:, None]
        p, of_sample = pool.probabilities, pool.probabilities[sample]
        expected_error = np.zeros(n)
        for y in range(k):
            moved = -p.copy()
            moved[:, y] += 1.0
            best = np.full(between.shape, -np.inf)
            for j in range(k):
                np.maximum(best, of_sample[:, j] + gain * moved[:, j : j + 1], out=best)
            expected_error += p[:, y] * (1.0 - np.clip(best, 0.0, 1.0)).mean(axis=1)
        present_error = float((1.0 - of_sample.max(axis=1)).mean())
        return np.asarray(present_error - expected_error)


def _sample_rows(pool: Pool, chance: Chance) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    luck = chance.uniforms("sample", pool.keys)
    return np.sort(np.argsort(luck, kind="stable")[:SAMPLE_N])
