"""Which events a round asks: utilities, probabilities and the draw, from the candidates alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..chance import Chance
from .pool import Pool
from .rounds import choose, inclusion
from .spread import NAME as SPREAD
from .spread import find_corners, spread_inclusion
from .strategies import Strategy, utilities_of
from .strategies.mixed import Mixture

NEED_SHARPNESS = 4.0
"""How sharply a round prefers needed events, by rank: as `query.sharpness` is for utilities."""


class Choice(NamedTuple):
    """The choice of one round: arrays over the pool, shape (n,), and the rows chosen, best first.

    `strategy` is the name of the strategy, `inclusion` has the probabilities of being chosen, and
    `by_need` the part of them that is by need, where there are quotas. `by_arm`, shape (a, n), has
    the probabilities that each arm of a mixture alone would have given.
    """

    strategy: str
    utilities: NDArray[np.float64]
    inclusion: NDArray[np.float64]
    chosen: NDArray[np.intp]
    by_need: NDArray[np.float64] | None = None
    by_arm: NDArray[np.float64] | None = None


class Wanted(NamedTuple):
    """How much quotas need each event of a pool, shape (n,), and the share drawn by need."""

    needs: NDArray[np.float64]
    share: float


def choose_by(
    strategy: Strategy,
    name: str,
    pool: Pool,
    is_candidate: NDArray[np.bool_],
    *,
    k: int,
    sharpness: float,
    chance: Chance,
    purpose: str,
    wanted: Wanted | None = None,
    is_duplicate: NDArray[np.bool_] | None = None,
) -> Choice:
    """Choose k of the candidates by this strategy, and a part of them by need.

    `name` is the strategy's, `is_candidate` and `is_duplicate` have shape (n,). `sharpness` is how
    strongly the draw prefers high utilities; `purpose` names the draw, for its luck. Duplicates are
    not chosen; if fewer than k candidates are left, all of them are.
    """
    if is_duplicate is not None:
        is_candidate = is_candidate & ~is_duplicate
        k = min(k, int(is_candidate.sum()))
    by_arm, by_need = None, None
    if isinstance(strategy, Mixture):
        advice = strategy.advice(pool, chance)
        utilities = strategy.combined(advice)
        by_arm = np.stack([inclusion(arm, k, sharpness, is_candidate) for arm in advice])
        p = (strategy.shares[:, np.newaxis] * by_arm).sum(axis=0)
    else:
        utilities = utilities_of(strategy, name, pool, chance)
        p = inclusion(utilities, k, sharpness, is_candidate)
    if wanted is not None and wanted.needs[is_candidate].any():
        # Both sum to k over the candidates, so any mixture does.
        by_need = wanted.share * inclusion(wanted.needs, k, NEED_SHARPNESS, is_candidate)
        p = (1.0 - wanted.share) * p + by_need
    if is_duplicate is not None:
        p = np.where(is_duplicate, 0.0, p)
    choice = _draw_rows(name, pool, is_candidate, utilities, p, k, chance, purpose)
    return choice._replace(by_need=by_need, by_arm=by_arm)


def chosen_by_need(
    choice: Choice, needs: NDArray[np.float64] | None, pool: Pool, chance: Chance
) -> frozenset[int]:
    """Return the chosen rows that were drawn by need.

    A row is one with the probability that need has in its chance; the luck is the event's own.
    """
    if choice.by_need is None or needs is None:
        return frozenset()
    luck = chance.uniforms("quota", pool.keys[choice.chosen])
    is_by_need = luck * choice.inclusion[choice.chosen] < choice.by_need[choice.chosen]
    return frozenset(choice.chosen[is_by_need & (needs[choice.chosen] > 0.0)].tolist())


def choose_spread(
    pool: Pool, is_candidate: NDArray[np.bool_], *, k: int, chance: Chance, purpose: str
) -> Choice:
    """Choose k of the candidates after a drift: half blindly, half spread over the whole pool.

    What a model doubted before says little about what is new.
    """
    corner = find_corners(pool, k)
    p = spread_inclusion(corner, k, is_candidate)
    return _draw_rows(SPREAD, pool, is_candidate, p, p, k, chance, purpose, corner)


def _draw_rows(  # noqa: PLR0917 - what is drawn from, and what is not always there
    name: str,
    pool: Pool,
    is_candidate: NDArray[np.bool_],
    utilities: NDArray[np.float64],
    p: NDArray[np.float64],
    k: int,
    chance: Chance,
    purpose: str,
    corner: NDArray[np.intp] | None = None,
) -> Choice:
    rows = np.flatnonzero(is_candidate)
    strata = None if corner is None else corner[rows]
    chosen = rows[choose(p[rows], k, chance, purpose, pool.keys[rows], strata)]
    chosen = chosen[np.lexsort((pool.keys[chosen], -utilities[chosen]))]
    return Choice(name, utilities, p, chosen)
