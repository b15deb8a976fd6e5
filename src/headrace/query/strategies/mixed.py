"""Strategies that keep state: a bandit over others, and a switch from one to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from ...chance import Chance
from ...errors import BadSettings
from ..credit import ARMS_MAX, Credit, check_bandit
from ..pool import Pool
from .known import needs_of, strategy_named
from .order import Floats, ranks_of, utilities_of
from .state import Pick


@runtime_checkable
class Mixture(Protocol):
    """A strategy whose draw is a mixture of the draws of its arms.

    Each arm's utilities lead to probabilities of inclusion, whose sum is the number wanted; so is
    that of their mean weighted by `shares`, which is the draw.
    """

    @property
    def shares(self) -> Floats:
        """The share of each arm, shape (a,); they sum to 1."""

    def advice(self, pool: Pool, chance: Chance) -> Floats:
        """Return the utilities by each arm, shape (a, n)."""

    def combined(self, advice: Floats) -> Floats:
        """Return one utility per candidate from the advice, shape (n,)."""


@dataclass
class StrategyBandit:
    """A mixture of strategies, whose shares follow what their questions turned out to be worth.

    The rule `bandit` of docs/ARRIVALS.md, in rounds: EXP4 (Auer, Cesa-Bianchi, Freund, Schapire,
    SIAM Journal on Computing 32 (1), 2002) with implicit exploration (Neu, "Explore no more", NIPS
    2015); for active learning the idea is that of ALBL (Hsu and Lin, "Active learning by learning",
    AAAI 2015). The first arm is always `random`. Each arm by itself would draw a candidate with
    probability a_i; it is drawn with the sum of q_i a_i, which is its propensity. When its label y
    comes, however late, it was worth x = 1 - P(y), and of each arm

        gain_i <- gain_i + a_i x / (propensity + eta a_i),    w_i ~ prior_i exp(eta gain_i)

        q_i = (1 - g) w_i + g [i is random]

    with g the `random_share`; after `labels_n` labels the gains begin anew. So over n labels the
    mixture is in expectation worth at most (1 - g) (ln 2 / eta + eta n (K + 1/g + e late)) less
    than random alone, for K arms. The questions of a round are late for each other, and count in
    `late`; the bound assumes that the draws of a round are no more correlated than independent
    ones. It is a bound on worth, which is surprise, not on accuracy.

    Attributes:
        arms: The names of 1 to 15 strategies, each once; `random` is added where it is missing.
        labels_n: After how many labels the gains begin anew.
        random_share: The least share of `random`, g.
        credit: The gains and what is asked; not an argument.

    Raises:
        BadSettings: The arms are no such list, or an option is out of bounds.

    >>> bandit = StrategyBandit(arms=["margin"])
    >>> bandit.names, bandit.shares.tolist()
    (('random', 'margin'), [0.625, 0.375])
    """

    arms: Sequence[str] = ("margin", "k_center")
    labels_n: int = 500
    random_share: float = 0.25
    credit: Credit = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.arms, str) or not 1 <= len(self.arms) < ARMS_MAX:
            raise self._describe_fault(f"must be a list of 1 to {ARMS_MAX - 1} names of strategies")
        for name in self.arms:
            strategy_named(name, "query.options.arms")
        if len(set(self.names)) < len(self.names):
            raise self._describe_fault("must name each strategy once")
        check_bandit("query.options", self.labels_n, self.random_share)
        self.credit = Credit(
            len(self.names), labels_n=self.labels_n, random_share=self.random_share
        )

    def _describe_fault(self, must: str) -> BadSettings:
        return BadSettings(f"query.options.arms is {self.arms!r}; {must}")

    @property
    def names(self) -> tuple[str, ...]:
        """The arms, `random` first."""
        return ("random", *(name for name in self.arms if name != "random"))

    @property
    def needs(self) -> tuple[str, ...]:
        """The parts of a pool that the arms read beside the candidates."""
        return tuple(need for name in self.names for need in needs_of(strategy_named(name)))

    @property
    def shares(self) -> Floats:
        """The share of each arm, shape (a,), in the order of `names`."""
        return self.credit.shares

    def advice(self, pool: Pool, chance: Chance) -> Floats:
        """Ask each arm.

        Args:
            pool: The n candidates.
            chance: The luck of the arms.

        Returns:
            The utilities by each of the a arms, shape (a, n).
        """
        return np.stack(
            [utilities_of(strategy_named(name), name, pool, chance) for name in self.names]
        )

    def combined(self, advice: Floats) -> Floats:
        """Combine the utilities by the arms: the mean of their ranks, weighted by `shares`.

        Args:
            advice: The utilities by each of the a arms, shape (a, n).

        Returns:
            One utility per candidate, from 0 to 1, shape (n,).
        """
        total = np.zeros(advice.shape[1])
        for share, utilities in zip(self.shares.tolist(), advice, strict=True):
            total = total + share * ranks_of(utilities)
        return total

    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        return self.combined(self.advice(pool, chance))

    def asked(self, pick: Pick) -> None:
        """Note that an event was asked because of this strategy.

        Args:
            pick: The event, its propensity, and the probability by each arm.
        """
        self.credit.asked(pick.key, pick.propensity, pick.by_arm)

    def labelled(self, key: int, worth: float) -> None:
        """Credit the arms with a label; one that this strategy did not ask for credits none.

        Args:
            key: The hashed id of the event.
            worth: How little the model had expected the label when it was asked, 0 to 1.
        """
        self.credit.labelled(key, worth)

    def unanswered(self, key: int) -> None:
        """Note that no label of an event will come.

        Args:
            key: The hashed id of the event.
        """
        self.credit.unanswered(key)


@dataclass
class Scheduled:
    """One strategy for the first labels, another from then on.

    With few labels typical events are best, with many those in doubt (Hacohen, Dekel, Weinshall,
    "Active learning on a budget: opposite strategies suit high and low budgets", ICML 2022).

    Attributes:
        first: The name of the strategy for the first labels.
        then: The name of the strategy from then on.
        labels_n: The number of first labels, at least 1.
        after_drift: Whether it begins anew when a drift is found.
        came_n: The labels that have come; not an argument.

    Raises:
        BadSettings: `labels_n` is no whole number of at least 1.

    >>> strategy = Scheduled(first="random", then="margin", labels_n=1)
    >>> strategy.labelled(7, 0.5); strategy.came_n
    1
    >>> strategy.drifted(); strategy.came_n
    0
    """

    first: str = "typicality"
    then: str = "margin"
    labels_n: int = 50
    after_drift: bool = True
    came_n: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        strategy_named(self.first, "query.options.first")
        strategy_named(self.then, "query.options.then")
        if isinstance(self.labels_n, bool) or not isinstance(self.labels_n, int):
            raise BadSettings(
                f"query.options.labels_n is {self.labels_n!r}; must be a whole number"
            )
        if self.labels_n < 1:
            raise BadSettings(f"query.options.labels_n is {self.labels_n}; must be at least 1")

    @property
    def needs(self) -> tuple[str, ...]:
        """The parts of a pool that the strategy reads beside the candidates."""
        return (*needs_of(strategy_named(self.first)), *needs_of(strategy_named(self.then)))

    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        name = self.first if self.came_n < self.labels_n else self.then
        return strategy_named(name)(pool, chance)

    def labelled(self, key: int, worth: float) -> None:
        """Count a label.

        Args:
            key: The hashed id of the event.
            worth: How little the model had expected the label when it was asked, 0 to 1; not used.
        """
        self.came_n += 1

    def drifted(self) -> None:
        """Begin anew with `first` after a drift, if so set."""
        if self.after_drift:
            self.came_n = 0
