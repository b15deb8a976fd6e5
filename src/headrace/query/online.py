"""Asking on arrival: each event gets a probability when it comes, and is asked at once or never.

The *doubt* of an event is the utility that a strategy gives it. Its rank among the doubts of the
last events decides its probability (`RankChances`): a share of the rate for everybody, the rest
mostly for the closest calls, and a mean that is the rate whatever the doubts are measured in. A
part of that rest may be drawn for the estimate of the accuracy instead (`for_both`). The draw
(`place_drawn`) then buys one label for each label's worth of probability that goes by, so that the
number bought is never a whole label away from the sum, and what is used is the probability.

Nothing here knows of money, models or events; `arrivals` joins it to those. Probabilities are
whole billionths, so that their sums do not depend on how the events were batched.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..chance import Chance

ONE = 1_000_000_000
"""A probability of 1, and the mass of one label."""

SHARPNESS = 15.0
"""How sharply the closest calls are preferred by a model that has its labels at once."""

FEW_LABELS = 5.0
"""With so many labels doubt has half of its say."""

LATE_LABELS_SHARE = 100.0
LATE_LABELS_SHARPNESS = 12.5
"""With so many labels still to come doubt has half of its share, and half of its sharpness."""

DEBT_MAX = 4.0
"""So many labels drawn and not paid: nothing is drawn until money comes."""

CREDIT_STEADY = 3.0
CREDIT_EVENTS = 256.0
"""What has piled up beyond so many labels is spent within about so many events."""

_RATE_LEAST = 0.2

IN_HAND_LEAST, IN_HAND_OF_N = 0.5, 200.0
"""Labels kept in hand: one in so many asked, at least a half and at most a whole one."""


class Lean(NamedTuple):
    """How a draw is shaped: the share of the rate that is drawn blindly, and the sharpness."""

    share: float
    sharpness: float


def knowledge(labels_n: int, classes_n: int) -> float:
    """How far the doubt of a model of so many labels, of so many classes, can be used; 0 to 1.

        knowledge = labels / (labels + 5)

    and nothing before a second class has come: a model of one class doubts nothing.

    >>> knowledge(5, 1), knowledge(5, 2)
    (0.0, 0.5)
    """
    return labels_n / (labels_n + FEW_LABELS) if classes_n > 1 else 0.0


def lean(share: float, known: float, late_labels: float) -> Lean:
    """How far the draw leans to random.

    `share` is the least part drawn blindly, `known` what `knowledge` says, and `late_labels` how
    many labels are asked while an answer is on its way. A model that knows little does not know
    what it doubts; one whose labels are late asks the same question many times over before the
    first answer comes:

        share     = 1 - (1 - share) * known / (1 + late / 100)
        sharpness = 15 / (1 + late / 12.5)

    >>> lean(0.25, 0.0, 0.0)
    Lean(share=1.0, sharpness=15.0)
    >>> lean(0.25, 1.0, 50.0)
    Lean(share=0.5, sharpness=3.0)
    """
    doubt = (1.0 - share) * known / (1.0 + late_labels / LATE_LABELS_SHARE)
    return Lean(1.0 - doubt, SHARPNESS / (1.0 + late_labels / LATE_LABELS_SHARPNESS))


def in_hand_of(asked_n: int) -> float:
    """The labels kept in hand when so many were asked.

    With a whole one all that is drawn is asked at once. With a half every second draw waits for
    money, a quarter of the time in which a label is earned; but less stays unused at the end.

    >>> in_hand_of(50), in_hand_of(150), in_hand_of(400)
    (0.5, 0.75, 1.0)
    """
    return min(1.0, max(IN_HAND_LEAST, asked_n / IN_HAND_OF_N))


def rate_of(earned: float, credit: float) -> float:
    """The rate at which to draw, labels per event, 0 to 1.

    `earned` is the rate at which labels are earned; `credit` is what was earned and not drawn, in
    labels, less `in_hand_of`. A small credit or debt is made good within the time in which a label
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
        """The probabilities of events with these doubts, in billionths, shape (m,).

        Each row is independent of the others.
        """
        n = len(self.ordered)
        above = n - self.ordered.searchsorted(doubts, side="right")
        below = n + 1 - self.ordered.searchsorted(doubts, side="left")
        mean = (self._sums[below] - self._sums[above]) / (below - above)
        return np.asarray(np.rint(mean * ONE).astype(np.int64))

    def blind_part(self, chance: int) -> float:
        """The part of a probability, in billionths, with which the event was drawn blindly."""
        return min(1.0, self.shape.share * self.rate * ONE / chance)

    @property
    def preferred_from(self) -> float:
        """The doubt from which on an event is likelier to be asked than one drawn blindly."""
        n = len(self.ordered)
        preferred_n = int(np.add.reduce(self._by_rank > self.rate))
        return float(self.ordered[n - preferred_n]) if 0 < preferred_n <= n else 0.0


def deviations(guesses: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far from its guess a prediction turns out to be, shape (n,): sqrt(c (1 - c)).

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
    """Probabilities by doubt and for the estimate together, in billionths, shape (n,).

    Chances in proportion to the `deviations` of guesses give the difference estimator its least
    variance (Neyman, JRSS 97, 1934; Zrnic and Candès, ICML 2024). `errors`, shape (n,), are those
    of the events, `error` their mean over the events before; while it is 0, doubt alone decides.
    `estimate_share` is the part of what is not drawn blindly that is drawn for the estimate.

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
    """(1 - r) ** sharpness of each rank, the closest call first; the mean is 1."""
    powers: NDArray[np.float64] = (1.0 - (np.arange(ranks_n) + 0.5) / ranks_n) ** sharpness
    powers *= ranks_n / powers.sum()
    powers.flags.writeable = False
    return powers


def _limit_weights(weights: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Probabilities proportional to descending weights, at most 1, whose mean is the rate."""
    n = len(weights)
    sure_n, scale = 0, rate * n / float(np.add.reduce(weights))
    while True:
        limited = scale * weights
        # They descend: where the first is no sure one, none is.
        over_n = int(np.add.reduce(limited >= 1.0)) if limited[0] >= 1.0 else 0
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

    Probabilities are laid end to end and cut into units of one label. `mass` is how much of the
    present unit has gone by; `mark` is the place in it that is asked, -1 once it was.
    """

    mass: int = ONE
    mark: int = -1

    @property
    def ahead(self) -> int:
        """The mass gone by less the labels drawn, between -1 and 1 label; in billionths."""
        return self.mass if self.mark >= 0 else self.mass - ONE


def place_drawn(
    place: Place, chances: NDArray[np.int64], keys: NDArray[np.uint64], chance: Chance
) -> tuple[Place, int | None]:
    """Go through the events up to the first one drawn: the new place, and its row, if there is one.

    Sequential sampling with unequal probabilities (Chromy, "Sequential sample selection methods",
    Proc. Survey Research Methods, Am. Statist. Ass., 1979): event i is drawn with probability
    `chances[i]` / 10^9 exactly, and of any stretch so many that the sum of its probabilities is
    less than a label away. `keys`, shape (n,), are the hashed ids; luck comes from the event at
    which a unit opens.

    >>> place_drawn(Place(), np.array([ONE]), np.array([5], dtype=np.uint64), Chance(1))
    (Place(mass=1000000000, mark=-1), 0)
    """
    before, mark = place.mass, place.mark
    ends = before + np.add.accumulate(chances)
    while True:
        is_bought = mark < 0
        # An open unit is drawn by the event above whose beginning the mark lies; a bought one ends.
        row = int(ends.searchsorted(ONE - 1 if is_bought else mark, side="right"))
        if row == len(ends):
            return Place(int(ends[-1]), mark), None
        over = int(ends[row]) - ONE
        if over < 0:
            return Place(int(ends[row]), -1), row
        key = int(keys[row])
        begins = int(ends[row - 1]) if row else before
        # The event reaches into the next unit. If this one has its label already, the event is
        # drawn for the next one, and with such a probability that both parts add up to its own.
        if is_bought and int(chance.uniform_of_key("arrival", key) * begins) < over:
            return Place(over, -1), row
        mark = over + int(chance.uniform_of_key("place in a label", key) * (ONE - over))
        if not is_bought:
            return Place(over, mark), row
        ends, before = ends - ONE, before - ONE
