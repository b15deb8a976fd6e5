"""Rules whose threshold is a quantile of the latest utilities, kept to the budget: BIQF, PAL."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .rule import Arriving, Draw, choice, option
from .space import OF_DISTANCE, PLAIN, SCALED, Space, stack_row

_WHOLE = 1_000_000_000
_WINDOW = "Number of latest events whose utilities give the quantile."
_TOLERANCE = (
    "With so many labels too few, every event is asked about; with so many too many, none is."
)


@dataclass
class BalancedQuantile:
    """The balanced incremental quantile filter.

    Kottke, Krempl, Spiliopoulou, "Probabilistic active learning in datastreams", IDA 2015: with
    b the rate, an event is asked if its utility is at least the (1 - b) quantile of the last
    `window` utilities, its own included, less

        (max - min) (earned - asked) / tolerance

    so that the number asked stays within `tolerance` labels of what the rate earned. The utilities
    are kept sorted: a new one is inserted by O(log w) comparisons and one move of memory, where
    sorting anew takes O(w log w).
    """

    window: int
    tolerance: float
    earned: int = 0
    seen_n: int = 0
    latest: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    ordered: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    threshold: float = 0.0

    def __post_init__(self) -> None:
        self.latest, self.ordered = np.empty(self.window), np.empty(self.window)

    def allows(self, utility: float, rate: float) -> bool:
        """Add a utility to the window; return whether its event is to be asked."""
        known = self._put_utility(utility)
        self.earned += round(rate * _WHOLE)
        spread = float(known[-1] - known[0])
        over = spread * (self.earned / _WHOLE) / self.tolerance
        self.threshold = quantile_of(known, 1.0 - rate) - over
        return utility >= self.threshold

    def _put_utility(self, utility: float) -> NDArray[np.float64]:
        n, slot = min(self.seen_n, self.window), self.seen_n % self.window
        if n == self.window:
            at = int(np.searchsorted(self.ordered, self.latest[slot]))
            self.ordered[at:-1] = self.ordered[at + 1 :]
            n -= 1
        at = int(np.searchsorted(self.ordered[:n], utility))
        self.ordered[at + 1 : n + 1] = self.ordered[at:n]
        self.ordered[at] = self.latest[slot] = utility
        self.seen_n += 1
        return self.ordered[: n + 1]

    def passed(self, is_asked: bool) -> None:
        self.earned -= _WHOLE * is_asked


def quantile_of(ordered: NDArray[np.float64], q: float) -> float:
    """Return the quantile q of ascending numbers, interpolated linearly as by `np.quantile`.

    >>> quantile_of(np.array([1.0, 2.0, 4.0]), 0.75)
    3.0
    """
    place = (len(ordered) - 1) * q
    below = min(int(place), len(ordered) - 1)
    above = min(below + 1, len(ordered) - 1)
    low, high, fraction = float(ordered[below]), float(ordered[above]), place - below
    step = high - low
    return low + step * fraction if fraction < 0.5 else high - step * (1.0 - fraction)


@dataclass
class QuantileFilter:
    """Ask events whose doubt is among the highest of the latest events, kept to the budget: BIQF.

    The balanced incremental quantile filter (Kottke, Krempl, Spiliopoulou, "Probabilistic active
    learning in datastreams", IDA 2015) over the doubt of any `query.strategy`.
    """

    window: int = option(100, 1, 100_000, _WINDOW)
    tolerance: float = option(50.0, 1.0, 1e6, _TOLERANCE)
    filter: BalancedQuantile = field(init=False)

    def __post_init__(self) -> None:
        self.filter = BalancedQuantile(self.window, self.tolerance)

    @property
    def threshold(self) -> float:
        return self.filter.threshold

    def chance(self, event: Arriving) -> float:
        return float(self.filter.allows(event.doubt, event.rate))

    def passed(self, event: Arriving, draw: Draw) -> None:
        self.filter.passed(draw.is_chosen)


@dataclass
class ProbabilisticStream:
    """Probabilistic active learning on a stream: BIQF over the expected gain of a label.

    Kottke, Krempl, Spiliopoulou, IDA 2015, with the gain for many classes of Kottke, Krempl, Lang,
    Teschner, Spiliopoulou, "Multi-class probabilistic active learning", ECAI 2016 (`gain`). The
    labels near an event are counted by a Gaussian kernel over the latest `memory` events asked,
    answered or not, so that open questions count too; the model's probabilities split the count
    among the classes. As in scikit-activeml the gain is not weighted by density.
    """

    window: int = option(100, 1, 100_000, _WINDOW)
    tolerance: float = option(50.0, 1.0, 1e6, _TOLERANCE)
    labels_max: int = option(
        2, 1, 3, "The most further labels whose gain is looked at together (m_max)."
    )
    prior: float = option(
        1e-3, 1e-6, 10.0, "Labels of each class that are assumed to be there already."
    )
    gamma: float = option(
        1.0,
        1e-3,
        1e3,
        "The kernel is exp(-gamma d), where d is the mean squared difference of two events.",
    )
    memory: int = option(
        500, 1, 10_000, "Number of latest asked events that the count of nearby labels goes by."
    )
    distance: str = choice(SCALED, (PLAIN,), OF_DISTANCE)
    filter: BalancedQuantile = field(init=False)
    space: Space = field(init=False)
    asked: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.filter = BalancedQuantile(self.window, self.tolerance)
        self.space = Space(self.distance == SCALED)
        self.asked = np.empty((0, 0))

    def forget_events(self) -> None:
        """Forget the events asked; means and deviations of the features stay."""
        self.asked = np.empty((0, 0))

    @property
    def threshold(self) -> float:
        return self.filter.threshold

    def chance(self, event: Arriving) -> float:
        self.space.count_event(event.x, event.is_category)
        if len(event.probabilities) == 0:
            return 0.0
        counts = self._count_labels_near(event) * event.probabilities
        utility = estimate_gain(counts, self.labels_max, self.prior)
        return float(self.filter.allows(utility, event.rate))

    def _count_labels_near(self, event: Arriving) -> float:
        if not len(self.asked):
            return 0.0
        known = self.asked
        if known.shape[1] < len(event.x):
            known = stack_row(known, event.x)[:-1]
        squares = self.space.square_distances(known, event.x, event.is_category)
        return float(np.exp(-self.gamma * squares / max(1, len(event.x))).sum())

    def passed(self, event: Arriving, draw: Draw) -> None:
        self.filter.passed(draw.is_chosen)
        if draw.is_asked:
            empty = np.empty((0, len(event.x)))
            known = self.asked if len(self.asked) else empty
            self.asked = stack_row(known, event.x)[-self.memory :]


def estimate_gain(counts: NDArray[np.float64], labels_max: int, prior: float) -> float:
    """Return the expected improvement of the decision at one place by further labels, per label.

        max over m up to `labels_max` of (share right after m labels - share right now) / m

    `counts`, shape (k,), are the labels of each class nearby. The class probabilities there have a
    Dirichlet distribution of counts + prior; the decision is for the class with the most labels,
    the first of equals (Kottke et al., ECAI 2016, for losses of 0 and 1).

    >>> estimate_gain(np.array([0.0, 0.0]), 1, 1e-3) > estimate_gain(np.array([5.0, 1.0]), 1, 1e-3)
    True
    """
    alpha = counts + prior
    total = float(alpha.sum())
    now = float(alpha[counts.argmax()]) / total
    best, rising = -math.inf, 1.0
    for m in range(1, labels_max + 1):
        rising *= total + m - 1.0
        drawn, earlier, ways, class_counts = _list_outcomes(len(counts), m)
        weight = ways * (alpha[drawn] + earlier).prod(axis=1) / rising
        chosen = (counts + class_counts).argmax(axis=1)
        rows = np.arange(len(chosen))
        right = weight * (alpha[chosen] + class_counts[rows, chosen]) / (total + m)
        best = max(best, (float(right.sum()) - now) / m)
    return best


@lru_cache(maxsize=64)
def _list_outcomes(k: int, m: int) -> tuple[NDArray[np.intp], ...]:
    """Return all l outcomes of m labels of k classes, as four arrays.

    The classes of each outcome, shape (l, m); how often each class occurred before in its row,
    (l, m); in how many orders an outcome can come, (l,); its counts of each class, (l, k).
    """
    drawn = np.array(list(itertools.combinations_with_replacement(range(k), m)), dtype=np.intp)
    earlier = np.array(
        [[row[:t].count(row[t]) for t in range(m)] for row in map(tuple, drawn)], dtype=np.intp
    )
    class_counts = np.stack([(drawn == c).sum(axis=1) for c in range(k)], axis=1)
    factorials = np.array([math.factorial(i) for i in range(m + 1)])
    ways = math.factorial(m) // factorials[class_counts].prod(axis=1)
    return drawn, earlier, ways, class_counts
