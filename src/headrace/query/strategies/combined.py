"""Strategies made of others: a sum, one after the other, doubt against likeness, or per cost.

The other strategies are given by name, with default options, or as callables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...chance import Chance
from ...errors import BadSettings
from ..pool import Pool, squared_distances
from .diversity import median_distance
from .known import needs_of, strategy_named
from .order import (
    Floats,
    Strategy,
    by_place,
    chosen_n,
    distances_to,
    in_order,
    points_of,
    ranks_of,
)

SHORTLIST_MAX = 1_000


@dataclass(frozen=True)
class RankedBatch:
    """The next choice is in doubt, and unlike all events asked before or chosen already.

    Cardoso, Silva, Canuto, Moro, Gonçalves, "Ranked batch-mode active learning", Information
    Sciences 379, 2017, eq. 1: a (1 - similarity) + (1 - a) unsure, with a the share of events that
    have no label yet, so that doubt counts for more as labels come. Similarity is Gaussian, its
    width the median distance.

    Attributes:
        by: The strategy of doubt, a name or a callable; its utilities are scaled to 0 to 1.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.array([[0.9, 0.1], [0.6, 0.4]]), wanted_n=1, asked=np.array([[1.0]]))
    >>> int(RankedBatch()(pool, Chance(0)).argmax())
    1
    """

    by: str | Strategy = "margin"

    def __post_init__(self) -> None:
        strategy_named(self.by, "query.options.by")

    @property
    def needs(self) -> tuple[str, ...]:
        """The parts of a pool that the strategy reads beside the candidates."""
        return ("asked", *needs_of(strategy_named(self.by)))

    @in_order
    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        points, asked = points_of(pool, chance)
        width = 2.0 * median_distance(points)
        unsure = _scale_to_unit(strategy_named(self.by)(pool, chance))
        n, nearest = len(pool), np.zeros(len(pool))
        if len(asked):
            nearest = np.exp(-squared_distances(points, asked).min(axis=1) / width)
        chosen, first = list[int](), unsure
        for number in range(chosen_n(pool)):
            unlabelled_n = n - number
            share = unlabelled_n / (unlabelled_n + len(asked) + number)
            score = share * (1.0 - nearest) + (1.0 - share) * unsure
            first = score if number == 0 else first
            score[chosen] = -1.0
            candidate = int(score.argmax())
            chosen.append(candidate)
            apart = distances_to(points, candidate)
            nearest = np.maximum(nearest, np.exp(-apart / width))
        return by_place(n, chosen, first)


@dataclass(frozen=True)
class WeightedSum:
    """The sum of several strategies' utilities, each by rank from 0 to 1, with weights.

    Attributes:
        of: The weights, above 0, by the names of the strategies.

    Raises:
        BadSettings: No strategy is named, or a weight is no number above 0.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.array([[0.9, 0.1], [0.6, 0.4]]), wanted_n=1)
    >>> WeightedSum({"margin": 2.0, "entropy": 1.0})(pool, Chance(0)).tolist()
    [0.0, 3.0]
    """

    of: Mapping[str, float] = field(
        default_factory=lambda: {"margin": 1.0, "information_density": 1.0}
    )

    def __post_init__(self) -> None:
        if not self.of:
            raise BadSettings("query.options.of is empty; name strategies with their weights")
        for name, weight in self.of.items():
            strategy_named(name, "query.options.of")
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight > 0:
                raise BadSettings(f"query.options.of.{name} is {weight!r}; must be above 0")

    @property
    def needs(self) -> tuple[str, ...]:
        """The parts of a pool that the strategy reads beside the candidates."""
        return tuple(need for name in self.of for need in needs_of(strategy_named(name)))

    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        total = np.zeros(len(pool))
        for name, weight in self.of.items():
            total = total + weight * ranks_of(strategy_named(name)(pool, chance))
        return total


@dataclass(frozen=True)
class TwoStage:
    """One strategy makes a shortlist, and another orders it.

    Attributes:
        first: The strategy that makes the shortlist, a name or a callable.
        then: The strategy that orders it, a name or a callable.
        per_label: The candidates shortlisted for each label wanted, 1 to 1,000; at most 1,000 in
            all.

    Raises:
        BadSettings: `per_label` is out of bounds.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.array([[0.9, 0.1], [0.6, 0.4]]), wanted_n=1)
    >>> TwoStage(first="margin", then="entropy", per_label=1)(pool, Chance(0)).tolist()
    [0.0, 2.0]
    """

    first: str | Strategy = "margin"
    then: str | Strategy = "k_center"
    per_label: int = 10

    def __post_init__(self) -> None:
        strategy_named(self.first, "query.options.first")
        strategy_named(self.then, "query.options.then")
        if isinstance(self.per_label, bool) or not 1 <= self.per_label <= 1_000:
            raise BadSettings(
                f"query.options.per_label is {self.per_label}; must be from 1 to 1000"
            )

    @property
    def needs(self) -> tuple[str, ...]:
        """The parts of a pool that the strategy reads beside the candidates."""
        return (*needs_of(strategy_named(self.first)), *needs_of(strategy_named(self.then)))

    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        before = strategy_named(self.first)(pool, chance)
        wanted_n = min(SHORTLIST_MAX, self.per_label * max(1, pool.wanted_n))
        order = np.lexsort((pool.keys, -before))
        listed = np.sort(order[:wanted_n])
        utilities = ranks_of(before)
        later = strategy_named(self.then)(pool.take(listed), chance)
        utilities[listed] = 2.0 + ranks_of(later)
        return utilities


@dataclass(frozen=True)
class PerCost:
    """The utility by another strategy, divided by the expected cost of the label.

    Return on investment (Haertel, Seppi, Ringger, Carroll, "Return on investment for active
    learning", NIPS workshop on cost-sensitive learning, 2008). The costs follow from
    `price_by_class` and `price_doubt` of `query.budget`; where labels have no price all are equal.

    Attributes:
        by: The other strategy, a name or a callable; its utilities below 0 count as 0.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.array([[0.9, 0.1], [0.6, 0.4]]), wanted_n=1,
    ...     costs=np.array([1.0, 8.0]))
    >>> PerCost("margin")(pool, Chance(0)).round(3).tolist()
    [0.2, 0.1]
    """

    by: str | Strategy = "margin"

    def __post_init__(self) -> None:
        strategy_named(self.by, "query.options.by")

    @property
    def needs(self) -> tuple[str, ...]:
        """The parts of a pool that the strategy reads beside the candidates."""
        return ("costs", *needs_of(strategy_named(self.by)))

    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        utilities = np.maximum(strategy_named(self.by)(pool, chance), 0.0)
        return np.asarray(utilities if pool.costs is None else utilities / pool.costs)


def _scale_to_unit(utilities: Any) -> Floats:
    low, high = float(utilities.min(initial=0.0)), float(utilities.max(initial=0.0))
    return np.asarray((utilities - low) / (high - low) if high > low else np.zeros(len(utilities)))
