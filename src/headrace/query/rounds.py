"""One decision: utilities, choice, propensities. The shard decides when a round is due.

The choice is a sample, not a cut: a candidate ranked r from the top is included with a probability
proportional to (1 + r) ** -sharpness, and exactly k are chosen. That keeps most of the benefit of
taking the top k (Kirsch et al., "Stochastic batch acquisition", TMLR 2023), spreads the choice, and
makes every propensity known, which is what an honest accuracy estimate needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..chance import Chance
from .pool import Pool
from .strategies.state import Pick


@dataclass(frozen=True, eq=False, slots=True)
class Decision:
    """What a round decided: arrays over the pool, shape (n,), and the rows `chosen`, best first.

    `reason` is why the round opened, `why` the reason that its requests state; `now` is in seconds.
    `inclusion` are the probabilities of being chosen, `pool_n` counts the candidates. `for_quota`
    are the chosen rows that were drawn by need. `by_arm`, shape (a, n), has the probabilities that
    each arm of a mixture alone would have had.
    """

    round_n: int
    reason: str
    why: str
    strategy: str
    now: float
    utilities: NDArray[np.float64]
    inclusion: NDArray[np.float64]
    chosen: NDArray[np.intp]
    pool_n: int
    for_quota: frozenset[int] = frozenset()
    by_arm: NDArray[np.float64] | None = None

    @property
    def threshold(self) -> float:
        """The lowest utility that was chosen."""
        return float(self.utilities[self.chosen].min()) if len(self.chosen) else 0.0

    def list_picks(self, pool: Pool) -> list[Pick]:
        """Return the chosen events in the form in which a strategy is notified of them."""
        picks = []
        for row in self.chosen.tolist():
            by_arm = () if self.by_arm is None else tuple(self.by_arm[:, row].tolist())
            p = float(self.inclusion[row])
            outcome = pool.X[row].copy(), float(self.utilities[row]), p, by_arm
            picks.append(Pick(int(pool.keys[row]), *outcome))
        return picks


class PastRounds:
    """Counts of the rounds so far, and how alike the events are that the last one chose.

    >>> past = PastRounds()
    >>> past.count_round("drift", 5.0)
    >>> past.by_reason, past.last_at, past.redundancy
    ({'drift': 1}, {'drift': 5.0}, None)
    """

    def __init__(self) -> None:
        self.n = 0
        self.by_reason: dict[str, int] = {}
        self.last_at: dict[str, float] = {}
        self._redundancy: float | None = None
        # Kept until somebody reads `redundancy`, which is computed then.
        self._last: tuple[Pool, NDArray[np.intp]] | None = None

    def note_decision(self, pool: Pool, chosen: NDArray[np.intp]) -> None:
        """Note that a round chose these rows of the pool, shape (k,)."""
        self.n += 1
        self._last = (pool.alone(), chosen)

    def count_round(self, reason: str, now: float) -> None:
        """Count a round that asks about the events it chose, at `now` seconds."""
        self.by_reason[reason] = self.by_reason.get(reason, 0) + 1
        self.last_at[reason] = now

    @property
    def redundancy(self) -> float | None:
        """How alike the events are that the last round chose; see `redundancy_of`."""
        if self._last is not None:
            self._redundancy, self._last = redundancy_of(*self._last), None
        return self._redundancy

    def forget_pool(self) -> None:
        """Compute `redundancy` now, so that the events of the last round need not be kept."""
        self._redundancy = self.redundancy


@dataclass(frozen=True, slots=True)
class FirstChance:
    """The propensity of one asked event became known."""

    request_id: str
    propensity: float


def combine_chances(control_p: float, chance: float) -> float:
    """Return the probability that the control draw or a round, independent of it, asks an event."""
    return control_p + (1.0 - control_p) * chance


def inclusion(
    utilities: NDArray[np.float64],
    k: int,
    sharpness: float,
    is_candidate: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Return the probability of each of n events when k of the candidates are chosen; shape (n,).

    Events that are no candidates (already asked by the control draw) get the probability that they
    would have had: they count in the ranking, not in the sum, which is k over the candidates. Equal
    utilities share their mean rank.

    >>> inclusion(np.array([0.9, 0.5, 0.1]), 1, 1.0).round(3)
    array([0.545, 0.273, 0.182])
    """
    n = len(utilities)
    counted = np.ones(n, dtype=bool) if is_candidate is None else is_candidate
    candidates_n = int(counted.sum())
    if k >= candidates_n:
        return np.ones(n)
    ordered = np.sort(utilities)
    # Equal utilities share the mean of the ranks from `above` to `at_least` - 1.
    above = n - np.searchsorted(ordered, utilities, side="right")
    at_least = n - np.searchsorted(ordered, utilities, side="left")
    weight = (1.0 + (above + at_least - 1) / 2.0) ** -sharpness
    # A probability above 1 becomes 1 and the others share the rest, until none is above 1.
    sure = np.zeros(n, dtype=bool)
    while True:
        rest = counted & ~sure
        scale = (k - int((sure & counted).sum())) / float(weight[rest].sum())
        over = ~sure & (scale * weight >= 1.0)
        if not over.any():
            return np.where(sure, 1.0, scale * weight)
        sure |= over


def choose(  # noqa: PLR0917 - what is drawn, and what is not always there
    inclusion_p: NDArray[np.float64],
    k: int,
    chance: Chance,
    purpose: str,
    keys: NDArray[np.uint64],
    strata: NDArray[np.intp] | None = None,
) -> NDArray[np.intp]:
    """Choose exactly k of n events, event i with probability `inclusion_p[i]`; these sum to k.

    Systematic sampling in random order (Hartley and Rao, "Sampling with unequal probabilities and
    without replacement", Ann. Math. Statist. 33, 1962): the probabilities are laid end to end in
    the order of the events' luck, and an event that lies under one of k points, one apart, is
    chosen. The first point is the round's luck, hashed from `purpose`. `keys`, shape (n,), are the
    hashed ids. With `strata`, shape (n,), the strata are laid out one after the other: each gets
    its expected number, give or take one. Return the rows chosen, shape (k,).

    >>> chance = Chance(1); keys = chance.keys(["a", "b", "c"])
    >>> int(choose(np.array([1.0, 0.5, 0.5]), 2, chance, "round 0", keys).min())
    0
    """
    luck = chance.uniforms(purpose, keys)
    sort_keys = (keys, luck) if strata is None else (keys, luck, strata)
    order: NDArray[np.intp] = np.lexsort(sort_keys)
    ends = np.cumsum(inclusion_p[order])
    if k == 0 or len(ends) == 0:
        return order[:0]
    points = (chance.uniform(purpose, "first point") + np.arange(k)) * (ends[-1] / k)
    places = np.minimum(np.searchsorted(ends, points, side="right"), len(ends) - 1)
    # Rounding may put two points under one candidate whose probability is 1.
    places = np.maximum.accumulate(places - np.arange(k)) + np.arange(k)
    rows: NDArray[np.intp] = order[np.minimum(places, len(ends) - k + np.arange(k))]
    return rows


def redundancy_of(pool: Pool, chosen: NDArray[np.intp]) -> float | None:
    """Return how alike the chosen events are: 1 if all are equal, 0 as unlike as a blind draw.

    It is 1 less the mean squared distance of two chosen events over that of two events of the pool,
    and at least -1; below 0 they are less alike than a blind draw. None where fewer than two are
    chosen, or all of the pool are equal.

    >>> X = np.array([[0.0], [0.0], [0.0], [4.0]])
    >>> pool = Pool(ids=list("abcd"), keys=np.arange(4, dtype=np.uint64), at=np.zeros(4), X=X,
    ...     is_category=np.zeros(1, bool), probabilities=np.ones((4, 1)), wanted_n=2)
    >>> redundancy_of(pool, np.array([0, 1])), redundancy_of(pool, np.arange(4))
    (1.0, 0.0)
    """
    if len(chosen) < 2:
        return None
    whole = pool.spread(slice(None))
    return max(-1.0, 1.0 - pool.spread(chosen) / whole) if whole > 0 else None
