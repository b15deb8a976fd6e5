"""Rules that compare the doubt with a threshold: the strategies of Zliobaite and others.

Zliobaite, Bifet, Pfahringer, Holmes, "Active learning with drifting streaming data", IEEE
Transactions on Neural Networks and Learning Systems 25 (1), 2014. Confidence is 1 - doubt: with
`query.strategy` least_confidence it is the probability of the likeliest class, as in the paper.
While as many of the latest events were asked as the rate allows (`Spent`), nothing is asked and no
threshold moves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from .rule import Arriving, Draw, Spending, Spent, option

THRESHOLD_LEAST, THRESHOLD_MOST = 1e-6, 1e6
"""The bounds of a moving threshold: from 0, multiplied, it would never come back."""

_WINDOW = "Number of latest events over which the spending is estimated."
_STEP = "Part by which the threshold falls when an event is asked about and rises when it is not."


@dataclass
class FixedUncertainty(Spending):
    """Ask where the likeliest class has at most a fixed probability.

    The fixed uncertainty strategy of Zliobaite et al. 2014: p_max <= theta, whatever
    `query.strategy` doubts. Where `limit` is 0, theta is 1/k + b (1 - 1/k) for k classes and rate
    b: the part b of what the probability of the likeliest class can be.
    """

    limit: float = option(0.0, 0.0, 1.0, "The threshold theta. 0: it follows from the rate.")
    window: int = option(100, 1, 100_000, _WINDOW)
    spent: Spent = field(init=False)
    threshold: float = field(init=False, default=0.0)

    def chance(self, event: Arriving) -> float:
        k = len(event.probabilities)
        if k < 2 or not self.spent.allows(event.rate):
            return 0.0
        limit = self.limit or 1.0 / k + event.rate * (1.0 - 1.0 / k)
        self.threshold = 1.0 - limit
        return float(event.probabilities.max() <= limit)


class MovingThreshold(Spending):
    """The common part of rules whose threshold of confidence follows the spending."""

    step: float
    theta: float

    is_of_unit_doubt: ClassVar[bool] = True

    @property
    def threshold(self) -> float:
        return 1.0 - self.theta

    def passed(self, event: Arriving, draw: Draw) -> None:
        if self.spent.allows(event.rate):
            self._move(draw)
        self.spent.passed(draw.is_chosen)

    def _move(self, draw: Draw) -> None:
        """Move the threshold after an event that could have been asked."""
        self.theta = move_threshold(self.theta, self.step, draw.is_chosen)


@dataclass
class VariableUncertainty(MovingThreshold):
    """Ask where the confidence is below a threshold that follows the spending.

    The variable uncertainty strategy of Zliobaite et al. 2014: theta <- theta (1 - s) when an event
    is asked, theta (1 + s) when none is, so that the rate is spent on the closest calls of the
    moment whatever the model's confidence.
    """

    step: float = option(0.01, 1e-6, 0.5, _STEP)
    window: int = option(100, 1, 100_000, _WINDOW)
    theta: float = field(init=False, default=1.0)
    spent: Spent = field(init=False)

    def chance(self, event: Arriving) -> float:
        return float(self.spent.allows(event.rate) and 1.0 - event.doubt < self.theta)


@dataclass
class RandomisedVariableUncertainty(MovingThreshold):
    """`variable_uncertainty` with a threshold that is multiplied by a random factor per event.

    The uncertainty strategy with randomisation of Zliobaite et al. 2014: confidence < theta eta
    with eta normal, of mean 1 and standard deviation `delta`. No eta is drawn: the probability of
    that inequality is 1 - Phi((confidence / theta - 1) / delta), which is above 0 for events of any
    confidence.
    """

    delta: float = option(1.0, 1e-3, 10.0, "Standard deviation of the random factor eta.")
    step: float = option(0.01, 1e-6, 0.5, _STEP)
    window: int = option(100, 1, 100_000, _WINDOW)
    theta: float = field(init=False, default=1.0)
    spent: Spent = field(init=False)

    def chance(self, event: Arriving) -> float:
        if not self.spent.allows(event.rate):
            return 0.0
        return chance_below(1.0 - event.doubt, self.theta, self.delta)


@dataclass
class Split(MovingThreshold):
    """Draw a part of the events blindly, and ask the others by `variable_uncertainty`.

    The split strategy of Zliobaite et al. 2014: with probability `share` the event is asked with
    probability b, the rate; else it is asked where its confidence is below theta, and only then
    theta moves. So an event that the threshold passes over still has the chance share b. (The
    paper's second classifier, which learns only labels drawn at random to detect change, is left
    out: here events drawn at random judge drift anyway.)
    """

    share: float = option(
        0.1,
        0.0,
        1.0,
        "Share of the events that a blind draw decides on; the threshold decides on the others.",
    )
    step: float = option(0.01, 1e-6, 0.5, _STEP)
    window: int = option(100, 1, 100_000, _WINDOW)
    theta: float = field(init=False, default=1.0)
    spent: Spent = field(init=False)

    def chance(self, event: Arriving) -> float:
        if not self.spent.allows(event.rate):
            return 0.0
        return self._by_lot(event) + (1.0 - self.share) * (1.0 - event.doubt < self.theta)

    def _by_lot(self, event: Arriving) -> float:
        return self.share * event.rate

    def passed(self, event: Arriving, draw: Draw) -> None:
        # The luck is cut into three: asked by lot, by the threshold, and passed over by lot.
        start = self._by_lot(event)
        is_by_threshold = start <= draw.luck < start + (1.0 - self.share)
        if is_by_threshold and self.spent.allows(event.rate):
            self._move(draw)
        self.spent.passed(draw.is_chosen)


def move_threshold(theta: float, step: float, is_asked: bool) -> float:
    """Return the threshold after an event that could have been asked."""
    theta *= 1.0 - step if is_asked else 1.0 + step
    return min(THRESHOLD_MOST, max(THRESHOLD_LEAST, theta))


def chance_below(confidence: float, theta: float, delta: float) -> float:
    """Return the probability that a confidence is below theta times a normal factor of mean 1.

    `delta` is the standard deviation of the factor.

    >>> chance_below(0.5, 0.5, 1.0)
    0.5
    """
    return 0.5 * math.erfc((confidence / theta - 1.0) / (delta * math.sqrt(2.0)))
