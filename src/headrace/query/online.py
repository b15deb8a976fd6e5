"""Asking on arrival: each event gets a probability when it comes, and is asked at once or never.

The *doubt* of an event is the utility that a strategy gives it. Its rank among the doubts of the
last events decides its probability (`RankChances`): every event gets a share of the rate, the
closest calls get most of the rest, and the mean is the rate whatever the scale of the doubts. A
part of that rest may be drawn for the accuracy estimate instead (`for_both`). The draw
(`place_drawn`) then buys one label for each label's worth of probability that goes by, so that the
number bought is always less than a label away from the sum of the probabilities.

This module knows nothing of budgets, models or events; `arrivals` joins it to those. Probabilities
are whole billionths, so that their sums do not depend on how the events were batched.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..chance import Chance

ONE = 1_000_000_000
"""A probability of 1, and the mass of one label."""

SHARPNESS = 15.0
"""How sharply the closest calls are preferred where labels come at once."""

FEW_LABELS = 5.0
"""With this many labels `rate_knowledge` is one half: doubt decides half of its full share."""

LATE_LABELS_SHARE = 100.0
LATE_LABELS_SHARPNESS = 12.5
"""With this many labels still to come doubt has half of its share, or half of its sharpness."""

DEBT_MAX = 4.0
"""While more than this many labels are drawn and not paid for, nothing is drawn."""

CREDIT_STEADY = 3.0
CREDIT_EVENTS = 256.0
"""Labels piled up beyond `CREDIT_STEADY` are spent within about `CREDIT_EVENTS` events."""

_RATE_LEAST = 0.2

IN_HAND_LEAST, IN_HAND_OF_N = 0.5, 200.0
"""Labels kept in hand: one per `IN_HAND_OF_N` asked, at least a half and at most a whole one."""


class Lean(NamedTuple):
    """The shape of a draw: the share of the rate that is drawn blindly, and the sharpness."""

    share: float
    sharpness: float


def rate_knowledge(labels_n: int, classes_n: int) -> float:
    """Return how far the doubt of a model can be used, 0 to 1.

        knowledge = labels / (labels + 5)

    and 0 before a second class has come: a model of one class doubts nothing.

    >>> rate_knowledge(5, 1), rate_knowledge(5, 2)
    (0.0, 0.5)
    """
    return labels_n / (labels_n + FEW_LABELS) if classes_n > 1 else 0.0


def choose_lean(share: float, known: float, late_labels: float) -> Lean:
    """Return how far the draw leans to a blind one.

    `share` is the least part drawn blindly, `known` the result of `rate_knowledge`, and
    `late_labels` how many labels are asked while an answer is on its way. The doubt of a model that
    knows little is worth little; a model whose labels are late asks the same question many times
    over before the first answer comes:

        share     = 1 - (1 - share) * known / (1 + late / 100)
        sharpness = 15 / (1 + late / 12.5)

    >>> choose_lean(0.25, 0.0, 0.0)
    Lean(share=1.0, sharpness=15.0)
    >>> choose_lean(0.25, 1.0, 50.0)
    Lean(share=0.5, sharpness=3.0)
    """
    doubt = (1.0 - share) * known / (1.0 + late_labels / LATE_LABELS_SHARE)
    return Lean(1.0 - doubt, SHARPNESS / (1.0 + late_labels / LATE_LABELS_SHARPNESS))


def in_hand_of(asked_n: int) -> float:
    """Return how many labels are kept in hand when `asked_n` were asked.

    With a whole label in hand every draw is asked at once. With a half every second draw waits for
    money, for a quarter of the time in which a label is earned; but less stays unused at the end.

    >>> in_hand_of(50), in_hand_of(150), in_hand_of(400)
    (0.5, 0.75, 1.0)
    """
    return min(1.0, max(IN_HAND_LEAST, asked_n / IN_HAND_OF_N))


def rate_of(earned: float, credit: float) -> float:
    """Return the rate at which to draw, in labels per event, 0 to 1.

    `earned` is the rate at which labels are earned; `credit` is what was earned and not drawn, in
    labels, less `in_hand_of`. A small credit or debt is evened out within the time in which a label
    or two are earned, a large credit within some hundred events.

    >>> rate_of(0.01, 0.0), rate_of(0.01, 2.0), rate_of(0.01, -5.0)
    (0.01, 0.02, 0.0)
    """
    if credit < -DEBT_MAX:
        return 0.0
    factor = max(_RATE_LEAST, 1.0 + credit) if credit < 0 else 1.0 + min(credit, CREDIT_STEADY) / 2
    return min(1.0, earned * factor + max(0.0, credit - CREDIT_STEADY) / CREDIT_EVENTS)


class RankChances:
    """The probability of each rank among n known doubts, so that their mean is the rate.

    With r the rank as a share, 0 for the closest call, and g the sharpness:

        p = rate * (share + (1 - share) * (g + 1) * (1 - r) ** g)

    Where that is above 1 the event is sure of being asked, and the others share what is left.
    Equal doubts have the mean probability of the ranks that they take up.

    >>> chances = RankChances(np.array([0.1, 0.2, 0.3]), 0.1, Lean(0.25, 15.0))
    >>> chances.of(np.array([0.05, 0.4])) / ONE
    array([0.025     , 0.32308301])
    >>> RankChances(np.zeros(3), 0.1, Lean(0.25, 15.0)).of(np.array([0.0])) / ONE
    array([0.1])
    """

    def __init__(self, ordered: NDArray[np.float64], rate: float, shape: Lean) -> None:
        """`ordered`, shape (n,), are the known doubts, ascending."""
        self.ordered = ordered
        self.rate = rate
        self.shape = shape
        ranks_n = len(ordered) + 1
        weights = shape.share + (1.0 - shape.share) * _weigh_ranks(ranks_n, shape.sharpness)
        self._by_rank = _limit_weights(weights, rate)
        self._sums = np.zeros(ranks_n + 1)
        np.add.accumulate(self._by_rank, out=self._sums[1:])

    def of(self, doubts: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the probabilities of events with these doubts, in billionths, shape (m,).

        Each row is independent of the others.
        """
        n = len(self.ordered)
        above = n - self.ordered.searchsorted(doubts, side="right")
        below = n + 1 - self.ordered.searchsorted(doubts, side="left")
        chances = (self._sums[below] - self._sums[above]) / (below - above)
        return np.asarray(np.rint(chances * ONE).astype(np.int64))

    def blind_part(self, chance: int) -> float:
        """Return the share, 0 to 1, of a probability in billionths that is the blind draw."""
        return min(1.0, self.shape.share * self.rate * ONE / chance)

    @property
    def preferred_from(self) -> float:
        """The least doubt with which an event is likelier to be asked than by a blind draw."""
        n = len(self.ordered)
        preferred_n = int(np.count_nonzero(self._by_rank > self.rate))
        return float(self.ordered[n - preferred_n]) if 0 < preferred_n <= n else 0.0


def deviations_of(guesses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard deviation of being right around each guess c: sqrt(c (1 - c)), (n,).

    A guess, shape (n,), is the chance that a prediction is right.
    """
    return np.asarray(np.sqrt(np.maximum(guesses * (1.0 - guesses), 0.0)))


def for_both(
    by_doubt: RankChances,
    doubts: NDArray[np.float64],
    errors: NDArray[np.float64],
    error: float,
    estimate_share: float,
) -> NDArray[np.int64]:
    """Return the probabilities by doubt and for the estimate together, in billionths, shape (n,).

    Probabilities in proportion to the `deviations_of` guesses give the difference estimator its
    least variance (Neyman, JRSS 97, 1934; Zrnic and Candès, ICML 2024). `errors`, shape (n,), are
    the deviations of the events, `error` is their mean over earlier events; while it is 0, doubt
    alone decides. `estimate_share` of what is not drawn blindly is drawn for the estimate.

    >>> by_doubt, doubts = RankChances(np.zeros(9), 0.1, Lean(0.2, 15.0)), np.zeros(2)
    >>> for_both(by_doubt, doubts, np.array([0.1, 0.3]), 0.2, 0.25) / ONE
    array([0.09, 0.11])
    """
    chances = by_doubt.of(doubts)
    blind, rate = by_doubt.shape.share * by_doubt.rate * ONE, by_doubt.rate * ONE
    if error <= 0.0 or estimate_share == 0.0:
        return chances
    for_estimate = np.minimum((rate - blind) * (errors / error), ONE - blind)
    for_model = chances - blind
    mixed = blind + (1.0 - estimate_share) * for_model + estimate_share * for_estimate
    return np.asarray(np.rint(mixed).astype(np.int64))


@lru_cache(maxsize=128)
def _weigh_ranks(ranks_n: int, sharpness: float) -> NDArray[np.float64]:
    """Return (1 - r) ** sharpness for each rank, the closest call first, scaled to a mean of 1."""
    powers: NDArray[np.float64] = (1.0 - (np.arange(ranks_n) + 0.5) / ranks_n) ** sharpness
    powers *= ranks_n / powers.sum()
    powers.flags.writeable = False
    return powers


def _limit_weights(weights: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Return probabilities proportional to descending weights, at most 1, with mean `rate`."""
    n = len(weights)
    sure_n, scale = 0, rate * n / float(np.add.reduce(weights))
    while True:
        limited = scale * weights
        # The weights descend: if the first is below 1, all are.
        over_n = int(np.count_nonzero(limited >= 1.0)) if limited[0] >= 1.0 else 0
        if over_n <= sure_n:
            break
        sure_n = over_n
        if sure_n == n:
            return np.ones(n)
        scale = max(0.0, rate * n - sure_n) / float(np.add.reduce(weights[sure_n:]))
    limited[:sure_n] = 1.0
    return limited


class Place(NamedTuple):
    """Where the draw stands between two events.

    Probabilities are laid end to end and cut into units of one label, in billionths. `mass` is how
    much of the present unit has gone by; the event that lies over `mark` is asked, which is -1 once
    the unit has its label.
    """

    mass: int = ONE
    mark: int = -1

    @property
    def ahead(self) -> int:
        """The mass gone by less the labels drawn, between -1 and 1 label, in billionths."""
        return self.mass if self.mark >= 0 else self.mass - ONE


def place_drawn(
    place: Place, chances: NDArray[np.int64], keys: NDArray[np.uint64], chance: Chance
) -> tuple[Place, int | None]:
    """Walk the events up to the first one drawn; return the new place, and its row or None.

    Sequential sampling with unequal probabilities (Chromy, "Sequential sample selection methods",
    Proc. Survey Research Methods, Am. Statist. Ass., 1979): event i is drawn with probability
    `chances[i]` / 10^9 exactly, and the number drawn in any stretch is less than one away from the
    sum of its probabilities. `keys`, shape (n,), are the hashed ids; the luck of a unit is that of
    the event at which it opens.

    >>> place_drawn(Place(), np.array([ONE]), np.array([5], dtype=np.uint64), Chance(1))
    (Place(mass=1000000000, mark=-1), 0)
    """
    # Whole numbers of Python: most stretches are short, and then arrays take longer.
    ends, mark, cut = [*accumulate(chances.tolist(), initial=place.mass)], place.mark, 0
    while True:
        is_bought = mark < 0
        # In an open unit the event over the mark is drawn; a unit with its label just ends.
        row = bisect_right(ends, cut + (ONE - 1 if is_bought else mark), 1) - 1
        if row == len(chances):
            return Place(ends[-1] - cut, mark), None
        begins, over = ends[row] - cut, ends[row + 1] - cut - ONE
        if over < 0:
            return Place(over + ONE, -1), row
        key = int(keys[row])
        # The event reaches into the next unit. If the present unit has its label already, the event
        # is drawn for the next one, with a probability that makes both parts add up to its own.
        if is_bought and int(chance.uniform_of_key("arrival", key) * begins) < over:
            return Place(over, -1), row
        mark = over + int(chance.uniform_of_key("place in a label", key) * (ONE - over))
        if not is_bought:
            return Place(over, mark), row
        cut += ONE
