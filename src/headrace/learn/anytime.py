"""An interval for the accuracy that holds at all times at once: a confidence sequence.

A 95 % interval that is looked at a hundred times will miss at times. Here the probability that it
*ever* misses, however often it is looked at and whenever one stops, is at most 5 %.

Let the prediction of event i be right (R = 1) or wrong (0), with a guess g on arrival; the event is
asked with probability p, and A is 1 if it was, else 0. Then x = A (R - g) / p has the mean R - g,
and for a fixed bet b below p

    product of (1 + b x)  <=  in expectation  product of exp(b (R - g))

so the product divided by exp(b times the sum of R - g) is a nonnegative supermartingale, which ever
exceeds 40 with a probability of at most 1/40 (Ville). Solved for the sum, this is a lower bound
that always holds; -x in place of x makes an upper bound; a mixture of bets suits all lengths.
(Betting as in Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting",
JRSS B 86, 2024; for a moving mean as in Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform,
nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49, 2021.) No drift breaks
it: the events are fixed, and only the draw is random.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_BETS_N = 14  # The number of bets, each half of the one before.
_LARGEST = 0.9  # The largest bet, as a share of the smallest probability.
_LEVEL = math.log(2.0 / 0.05)  # Each side may miss with a probability of 2.5 %.


class Bets:
    """The logarithms of the wealth of each bet on either side; two objects can be added.

    `propensity_min` is the smallest probability with which an event may be asked. An event asked
    with less counts as asked with `propensity_min`; the guarantee no longer covers it.

    >>> bets = Bets(propensity_min=0.05)
    >>> for i in range(500):
    ...     bets.add(0.1, (1.0 if i % 5 else 0.0) - 0.8)
    >>> low, high = bets.bounds()
    >>> round(low / 5000, 2), round(high / 5000, 2)
    (-0.07, 0.06)
    """

    def __init__(self, propensity_min: float) -> None:
        self.propensity_min = propensity_min
        self._won = np.zeros((2, _BETS_N))

    @property
    def _sizes(self) -> NDArray[np.float64]:
        return _LARGEST * self.propensity_min * np.exp2(-np.arange(_BETS_N))

    def add(self, propensity: float, difference: float) -> None:
        """Add one label; `difference` is right (1 or 0) minus the guess."""
        x = difference / max(propensity, self.propensity_min)
        self._won[0] += np.log1p(self._sizes * x)
        self._won[1] += np.log1p(-self._sizes * x)

    def __add__(self, other: Bets) -> Bets:
        total = Bets(self.propensity_min)
        total._won = self._won + other._won
        return total

    def bounds(self) -> tuple[float, float]:
        """The bounds of the sum of R - g over all events so far, labelled or not."""
        return self._find_least(self._won[0]), -self._find_least(self._won[1])

    def _find_least(self, won: NDArray[np.float64]) -> float:
        """The smallest sum at which the mixture's wealth is below its limit."""
        sizes = self._sizes
        low, high = -1.0, 1.0
        while self._mix_bets(won, sizes, low) < _LEVEL:
            low *= 2.0
        while self._mix_bets(won, sizes, high) > _LEVEL:
            high *= 2.0
        for _ in range(60):
            middle = (low + high) / 2.0
            if self._mix_bets(won, sizes, middle) > _LEVEL:
                low = middle
            else:
                high = middle
        return low

    @staticmethod
    def _mix_bets(won: NDArray[np.float64], sizes: NDArray[np.float64], total: float) -> float:
        logs = won - sizes * total
        top = float(logs.max())
        return top + math.log(float(np.exp(logs - top).mean()))
