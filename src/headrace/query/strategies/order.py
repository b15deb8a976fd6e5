"""Helpers of strategies that compare candidates: a fixed order of the pool, and limits.

The last bit of a sum over candidates depends on their order, and a greedy choice on the last bit.
So these strategies see a pool in the order of its keys, whatever order it came in, and at most
`CANDIDATES_MAX` candidates: those with the smallest luck. The others come last, by chance.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...chance import Chance
from ...errors import BadSettings
from ..pool import Pool, squared_distances

Strategy: TypeAlias = Callable[[Pool, Chance], NDArray[np.float64]]
"""A query strategy: takes n candidates and the luck, and returns their utilities, shape (n,)."""

Floats: TypeAlias = NDArray[np.float64]
S = TypeVar("S")

CANDIDATES_MAX = 2_000
"""If there are more candidates than this, only a hashed sample of them is compared."""

COLUMNS_MAX = 64
"""Points of more columns are projected to this many before distances are computed."""


def in_order(
    choose: Callable[[S, Pool, Chance], Floats],
) -> Callable[[S, Pool, Chance], Floats]:
    """Wrap a strategy's `__call__`: it sees the pool by key, at most `CANDIDATES_MAX` of it."""

    @wraps(choose)
    def call(self: S, pool: Pool, chance: Chance) -> Floats:
        n = len(pool)
        if n == 0:
            return np.zeros(0)
        by_key = np.lexsort((pool.at, pool.keys))
        utilities = np.empty(n)
        seen = by_key
        if n > CANDIDATES_MAX:
            luck = chance.uniforms("candidates", pool.keys[by_key])
            order = np.argsort(luck, kind="stable")
            seen = by_key[np.sort(order[:CANDIDATES_MAX])]
            # Candidates not seen come below all others, in the order of their luck.
            utilities[by_key] = -1.0 - luck
        of_seen = choose(self, pool.take(seen), chance)
        lowest = float(of_seen.min(initial=0.0))
        utilities[seen] = of_seen - min(0.0, lowest)
        return utilities

    return call


def chosen_n(pool: Pool) -> int:
    """Return how many candidates a greedy order has to choose."""
    return min(len(pool), max(1, pool.wanted_n))


def by_place(n: int, chosen: list[int], otherwise: Floats) -> Floats:
    """Return the utilities of n candidates of which these were chosen, best first.

    The chosen ones get from 2 down to above 1, in their order; the rest get 0 to 1 by `otherwise`,
    shape (n,), scaled to that range.

    >>> by_place(3, [2], np.array([0.5, 0.1, 9.0])).tolist()
    [1.0, 0.0, 2.0]
    """
    low, high = float(otherwise.min(initial=0.0)), float(otherwise.max(initial=0.0))
    rest = np.delete(otherwise, chosen)
    if len(rest):
        low, high = float(rest.min()), float(rest.max())
    width = high - low
    utilities = np.clip((otherwise - low) / width, 0.0, 1.0) if width > 0 else np.zeros(n)
    utilities[chosen] = 2.0 - np.arange(len(chosen)) / max(1, len(chosen) + 1)
    return utilities


def distances_to(points: Floats, place: int) -> Floats:
    """Return the squared distances, shape (n,), of points (n, d) to the one at `place`."""
    return squared_distances(points, points[place : place + 1])[:, 0]


def draw_by_mass(mass: Floats, luck: float) -> int | None:
    """Return a place drawn in proportion to masses of at least 0, shape (n,).

    `luck` is uniform from 0 to 1. None where there is no mass.

    >>> draw_by_mass(np.array([1.0, 0.0, 3.0]), 0.5), draw_by_mass(np.zeros(2), 0.5)
    (2, None)
    """
    ends = np.cumsum(mass)
    if not len(ends) or ends[-1] <= 0.0:
        return None
    return min(int(np.searchsorted(ends, luck * ends[-1], side="right")), len(ends) - 1)


def project_points(points: Floats, others: Floats, chance: Chance) -> tuple[Floats, Floats]:
    """Return both sets of points projected to at most `COLUMNS_MAX` columns by hashed signs.

    Distances change by a few per cent (Achlioptas, "Database-friendly random projections", JCSS 66,
    2003, theorem 1.1).
    """
    d = points.shape[1]
    if d <= COLUMNS_MAX:
        return points, others
    luck = chance.uniforms("projection", chance.keys(map(str, range(d * COLUMNS_MAX))))
    signs = np.where(luck < 0.5, -1.0, 1.0).reshape(d, COLUMNS_MAX) / np.sqrt(COLUMNS_MAX)
    return points @ signs, others @ signs


def points_of(pool: Pool, chance: Chance) -> tuple[Floats, Floats]:
    """Return candidates and events asked before as points, (n, d') and (l, d'), with d' limited."""
    return project_points(*pool.points_with_asked(), chance)


def ranks_of(utilities: Floats) -> Floats:
    """Return ranks from 0 for the lowest to 1 for the highest; equals share their mean rank."""
    n = len(utilities)
    ordered = np.sort(utilities)
    below = np.searchsorted(ordered, utilities, side="left")
    up_to = np.searchsorted(ordered, utilities, side="right") - 1
    return np.asarray((below + up_to) / 2.0 / max(1, n - 1))


def utilities_of(strategy: Strategy, name: str, pool: Pool, chance: Chance) -> NDArray[np.float64]:
    """Call a strategy and check its utilities.

    A user's strategy gets read-only arrays: other code reads the same ones.

    Args:
        strategy: The strategy, a callable.
        name: Its name, for errors.
        pool: The n candidates.
        chance: Its luck.

    Returns:
        Finite utilities, shape (n,), float64.

    Raises:
        BadSettings: The strategy failed, or its utilities have another shape, or are no finite
            numbers. Complex numbers are a failure too.

    >>> pool = Pool(ids=["a"], keys=np.zeros(1, np.uint64), at=np.zeros(1), X=np.zeros((1, 1)),
    ...     is_category=np.zeros(1, bool), probabilities=np.array([[0.9, 0.1]]), wanted_n=1)
    >>> utilities_of(lambda pool, chance: pool.at + np.inf, "mine", pool, Chance(0))
    Traceback (most recent call last):
    headrace.errors.BadSettings: strategy mine gave a utility that is not a finite number
    """
    is_ours = str(getattr(strategy, "__module__", "")).startswith("headrace.")
    try:
        answer = np.asarray(strategy(pool if is_ours else pool.read_only(), chance))
        if answer.dtype.kind == "c":
            raise TypeError("utilities are complex numbers")
        utilities = answer.astype(np.float64)
    except BadSettings:
        raise
    except Exception as error:
        raise BadSettings(
            f"strategy {name} failed on {len(pool)} candidates with {pool.probabilities.shape[1]} "
            f"classes: {type(error).__name__}: {error}; headrace.testing.check_strategy tries it"
        ) from error
    if utilities.shape != (len(pool.ids),):
        raise BadSettings(
            f"strategy {name} gave utilities of shape {utilities.shape} for {len(pool)} "
            "candidates; must be one a candidate"
        )
    if not np.logical_and.reduce(np.isfinite(utilities)):
        raise BadSettings(f"strategy {name} gave a utility that is not a finite number")
    return utilities
