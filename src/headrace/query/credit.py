"""The learning part of the bandits: shares of arms in a mixture, by labels that come late.

The bandits over rules (`rules.bandit`) and over strategies (`strategies.mixed`) ask by a mixture of
their arms; the shares follow what the labels of each arm turned out to be worth.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BadSettings

OPEN_MAX = 4_096
"""At most this many asked events wait for their label; the oldest beyond that earn nothing."""

ARMS_MAX = 16


class Credit:
    """The gains of some arms, of which the first is `random`, and their shares in the mixture.

    It is EXP4 with implicit exploration; `rules.bandit.Bandit` has the formulas and the papers.

    >>> credit = Credit(2, labels_n=100, random_share=0.25)
    >>> credit.shares.tolist()
    [0.625, 0.375]
    >>> credit.asked(7, 0.1, (0.1, 0.4)); credit.labelled(7, 1.0)
    >>> bool(credit.shares[1] > 0.375)
    True
    """

    def __init__(self, arms_n: int, *, labels_n: int, random_share: float) -> None:
        self.labels_n = labels_n
        self.random_share = float(random_share)
        self.gains = np.zeros(arms_n)
        self.credited_n = 0
        self.late_max = 0
        # By event asked: the propensity, and the probability with which each arm would have asked.
        self._open: dict[int, tuple[float, tuple[float, ...]]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Credit:
        # A rule is copied at each look: a shallow copy of `_open` is enough, as its items are
        # immutable.
        other = copy.copy(self)
        other.gains = self.gains.copy()
        other._open = dict(self._open)
        return other

    @property
    def eta(self) -> float:
        """The learning rate: how fast shares follow gains."""
        return math.sqrt(math.log(2.0) / (self.labels_n * self._spread))

    @property
    def shares(self) -> NDArray[np.float64]:
        """The share of each arm in the mixture, shape (a,); they sum to 1."""
        arms_n = len(self.gains)
        priors = np.full(arms_n, 0.5 / (arms_n - 1) if arms_n > 1 else 1.0)
        priors[0] = 0.5
        weights = priors * np.exp(self.eta * (self.gains - self.gains.max()))
        shares = (1.0 - self.random_share) * weights / weights.sum()
        shares[0] += self.random_share
        return np.asarray(shares)

    @property
    def regret_max(self) -> float:
        """The most by which the mixture may be worth less than `random` alone, in expectation.

            (1 - g) (ln 2 / eta + eta n (K + 1/g + e late))

        for K arms, n labels since the gains began anew and at most `late` labels on their way; eta
        makes both terms equal at n = `labels_n`.
        """
        learning = self.eta * self.credited_n * self._spread
        return (1.0 - self.random_share) * (math.log(2.0) / self.eta + learning)

    @property
    def _spread(self) -> float:
        return len(self.gains) + 1.0 / self.random_share + math.e * self.late_max

    def asked(self, key: int, propensity: float, by_arm: tuple[float, ...]) -> None:
        """Note that event `key` was asked; `by_arm` is each arm's own probability of asking it."""
        self._open[key] = propensity, by_arm
        if len(self._open) > OPEN_MAX:
            del self._open[next(iter(self._open))]
        self.late_max = max(self.late_max, len(self._open) - 1)

    def labelled(self, key: int, worth: float) -> None:
        """Credit the arms with the label of event `key`, which was worth `worth`, 0 to 1."""
        if key not in self._open:
            return
        propensity, by_arm = self._open.pop(key)
        chances = np.array(by_arm)
        self.gains += chances * min(1.0, max(0.0, worth)) / (propensity + self.eta * chances)
        self.credited_n += 1
        if self.credited_n >= self.labels_n:
            self.gains[:] = 0.0
            self.credited_n, self.late_max = 0, len(self._open)

    def unanswered(self, key: int) -> None:
        """Note that no label of event `key` will come."""
        self._open.pop(key, None)


def check_bandit(setting: str, labels_n: object, random_share: object) -> None:
    """Raise `BadSettings` where these options of a bandit can't be used; `setting` holds them."""
    if isinstance(labels_n, bool) or not isinstance(labels_n, int) or labels_n < 1:
        raise BadSettings(f"{setting}.labels_n is {labels_n!r}; must be a whole number from 1")
    if not isinstance(random_share, int | float) or not 0.01 <= random_share <= 1.0:
        raise BadSettings(
            f"{setting}.random_share is {random_share!r}; must be a number from 0.01 to 1"
        )
