"""Distances between events of a stream, and the density around them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..pool import bound_numbers

SCALED, PLAIN = "scaled", "plain"
OF_DISTANCE = (
    "`scaled`: each number is divided by its standard deviation over the events so far. `plain`: "
    "numbers are taken as they are."
)


@dataclass
class Space:
    """Distances between events, scaled by the events so far.

    A number is divided by the standard deviation of those so far, unless `is_scaled` is false; a
    missing one counts as their mean. Two categories that differ are 1 apart; a missing one is a
    category of its own. Events from before a feature was first seen lack its value.

    >>> space, no = Space(is_scaled=True), np.array([False])
    >>> for x in (1.0, 5.0): space.count_event(np.array([x]), no)
    >>> space.square_distances(np.array([[1.0]]), np.array([5.0]), no)
    array([4.])
    """

    is_scaled: bool
    n: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    mean: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    moment: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def count_event(self, x: NDArray[np.float64], is_category: NDArray[np.bool_]) -> None:
        """Update mean and deviation with an event (Welford, Technometrics 4 (3), 1962)."""
        x, lacking_n = bound_numbers(x), len(x) - len(self.n)
        if lacking_n > 0:
            zeros = np.zeros(lacking_n)
            self.n = np.concatenate([self.n, zeros])
            self.mean = np.concatenate([self.mean, zeros])
            self.moment = np.concatenate([self.moment, zeros])
        is_known = ~(np.isnan(x) | is_category)
        self.n = self.n + is_known
        change = np.where(is_known, x - self.mean, 0.0)
        self.mean = self.mean + change / np.maximum(self.n, 1.0)
        self.moment = self.moment + change * np.where(is_known, x - self.mean, 0.0)

    def square_distances(
        self, points: NDArray[np.float64], x: NDArray[np.float64], is_category: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return the squared distances of these points, shape (m, d), to x; shape (m,)."""
        known = np.where(np.isnan(points), self.mean, bound_numbers(points))
        gap = known - np.where(np.isnan(x), self.mean, bound_numbers(x))
        if self.is_scaled:
            deviation = np.sqrt(self.moment / np.maximum(self.n, 1.0))
            gap = gap / np.where(deviation > 0.0, deviation, 1.0)
        if is_category.any():
            is_same = (points == x) | (np.isnan(points) & np.isnan(x))
            gap = np.where(is_category, 1.0 - is_same, gap)
        return np.asarray((gap * gap).sum(axis=1))


def stack_row(points: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Append the row x to the points; features that the points lack become missing values."""
    lacking_n = len(x) - points.shape[1]
    if lacking_n:
        points = np.pad(points, ((0, 0), (0, lacking_n)), constant_values=np.nan)
    return np.vstack([points, x])


@dataclass
class NearestDistances:
    """A window of events, and the distance of each to its nearest neighbour so far.

    The *local density factor* of an event is the number of events in the window whose new nearest
    neighbour it is (Ienco, Zliobaite, Pfahringer, "High density-focused uncertainty sampling for
    active learning over evolving stream data", BigMine 2014).
    """

    space: Space
    points: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    nearest: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def add_event(self, x: NDArray[np.float64], is_category: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Append x to the window; return the rows of those whose new nearest neighbour it is."""
        self.space.count_event(x, is_category)
        n = len(self.points)
        if n == 0:
            self.points, self.nearest = x[np.newaxis].copy(), np.array([np.inf])
            return np.empty(0, dtype=np.intp)
        self.points = stack_row(self.points, x)
        distances = np.sqrt(self.space.square_distances(self.points[:n], x, is_category))
        closer = np.flatnonzero(distances < self.nearest)
        self.nearest = np.append(self.nearest, distances.min())
        self.nearest[closer] = distances[closer]
        return closer

    def drop(self, i: int) -> None:
        """Forget event i of the window."""
        self.points = np.delete(self.points, i, axis=0)
        self.nearest = np.delete(self.nearest, i)
