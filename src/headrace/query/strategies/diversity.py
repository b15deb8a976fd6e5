"""Choices that cover the space of features: candidates far apart, central, or unlike each other.

Each strategy puts as many candidates as are wanted in a greedy order; see `order`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...chance import Chance
from ...errors import BadSettings
from ..pool import Pool, squared_distances
from .order import (
    Floats,
    by_place,
    chosen_n,
    distances_to,
    draw_by_mass,
    in_order,
    points_of,
)
from .uncertainty import margin

KMEANS_ROUNDS_N = 20
"""The most rounds of Lloyd's algorithm."""


@dataclass(frozen=True)
class KCenter:
    """The next choice is the candidate farthest from all events asked before or chosen already.

    Sener and Savarese, "Active learning for convolutional neural networks: a core-set approach",
    ICLR 2018, algorithm 1 (the greedy 2-approximation of Gonzalez, 1985), over the features. If
    no event was asked before, the first choice is the one nearest to the mean. Costs wanted_n * n
    distances.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.full((2, 2), 0.5), wanted_n=1, asked=np.array([[1.0]]))
    >>> int(KCenter()(pool, Chance(0)).argmax())
    1
    """

    needs: ClassVar[tuple[str, ...]] = ("asked",)

    @in_order
    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        points, asked = points_of(pool, chance)
        if len(asked):
            nearest = squared_distances(points, asked).min(axis=1)
        else:
            # No event was asked before: begin with the candidate nearest to the mean.
            nearest = -(points * points).sum(axis=1)
        first, chosen = nearest.copy(), list[int]()
        has_begun = bool(len(asked))
        for _ in range(chosen_n(pool)):
            centre = int(nearest.argmax())
            chosen.append(centre)
            apart = distances_to(points, centre)
            nearest = np.minimum(nearest, apart) if has_begun else apart
            has_begun = True
            nearest[chosen] = -1.0
        return by_place(len(pool), chosen, first)


@dataclass(frozen=True)
class KMeans:
    """The candidates nearest to the centres of clusters, one cluster for each label wanted.

    Lloyd's algorithm from a k-means++ start whose luck is hashed (Arthur and Vassilvitskii, SODA
    2007); for active learning Zhdanov, "Diverse mini-batch active learning", arXiv 1901.05954,
    algorithm 1.

    Attributes:
        weighted: Whether the utility of `margin` is the weight of a candidate; otherwise all weigh
            1.

    >>> pool = Pool(ids=["a", "b", "c"], keys=np.arange(3, dtype=np.uint64), at=np.zeros(3),
    ...     X=np.array([[0.0], [4.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.full((3, 2), 0.5), wanted_n=1)
    >>> int(KMeans(weighted=False)(pool, Chance(0)).argmax())
    1
    """

    weighted: bool = True

    needs: ClassVar[tuple[str, ...]] = ()

    @in_order
    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        points, _ = points_of(pool, chance)
        unsure = margin(pool, chance)
        weights = np.maximum(unsure, 1e-6) if self.weighted else np.ones(len(pool))
        k = chosen_n(pool)
        centres = points[plus_plus(points, weights, k, chance)]
        for _ in range(KMEANS_ROUNDS_N):
            cluster = squared_distances(points, centres).argmin(axis=1)
            before, centres = centres, centres.copy()
            for number in range(len(centres)):
                is_here = cluster == number
                if is_here.any():
                    weight = weights[is_here, None]
                    centres[number] = (weight * points[is_here]).sum(axis=0) / weight.sum()
            if np.array_equal(before, centres):
                break
        distances = squared_distances(points, centres)
        chosen: list[int] = []
        # The largest clusters first: if fewer labels are asked than wanted, they matter most.
        sizes = np.bincount(distances.argmin(axis=1), weights=weights, minlength=len(centres))
        for number in np.argsort(-sizes, kind="stable").tolist():
            alone = distances[:, number].copy()
            alone[chosen] = np.inf
            chosen.append(int(alone.argmin()))
        return by_place(len(pool), chosen, unsure)


def plus_plus(points: Floats, weights: Floats, k: int, chance: Chance) -> NDArray[np.intp]:
    """Return the rows of k starts of k-means++, fewer if there are fewer distinct points.

    Each is drawn in proportion to its weight times the squared distance to the nearest start
    before. `points` have shape (n, d), `weights` (n,). The luck is hashed from the draw's number.
    """
    chosen = list[int]()
    nearest = np.ones(len(points))
    for number in range(k):
        start = draw_by_mass(weights * nearest, chance.uniform("k-means++", str(number)))
        if start is None:
            break
        apart = distances_to(points, start)
        nearest = np.minimum(nearest, apart) if chosen else apart
        chosen.append(start)
        nearest[chosen] = 0.0
    return np.array(chosen, dtype=np.intp)


@dataclass(frozen=True)
class Badge:
    """k-means++ over the gradients that the candidates would cause with their likeliest labels.

    Ash, Zhang, Krishnamurthy, Langford, Agarwal, "Deep batch active learning by diverse, uncertain
    gradient lower bounds", ICLR 2020, algorithm 1. The model's last layer is taken to be linear in
    the features: the gradient is (p - e) x', with e the likeliest class as a unit vector and x' the
    features with a 1 appended. Squared distances are computed without forming the gradients.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.array([[0.9, 0.1], [0.6, 0.4]]), wanted_n=1)
    >>> int(Badge()(pool, Chance(0)).argmax())
    1
    """

    needs: ClassVar[tuple[str, ...]] = ()

    @in_order
    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        points, _ = points_of(pool, chance)
        n, k = pool.probabilities.shape
        lifted = np.hstack([points, np.ones((n, 1))])
        error = pool.probabilities.copy()
        if k:
            error[np.arange(n), error.argmax(axis=1)] -= 1.0
        size = (error * error).sum(axis=1) * (lifted * lifted).sum(axis=1)
        chosen, nearest = list[int](), size.copy()
        for number in range(chosen_n(pool)):
            # The first is the largest gradient, as in the authors' code; then by squared distance.
            drawn = draw_by_mass(nearest, chance.uniform("badge", str(number)))
            if drawn is None:
                break
            candidate = drawn if chosen else int(size.argmax())
            both = (error @ error[candidate]) * (lifted @ lifted[candidate])
            apart = np.maximum(size + size[candidate] - 2.0 * both, 0.0)
            nearest = np.minimum(nearest, apart) if chosen else apart
            chosen.append(candidate)
            nearest[chosen] = 0.0
        return by_place(n, chosen, size)


@dataclass(frozen=True)
class Dpp:
    """The set of candidates that is likeliest under a determinantal point process, found greedily.

    Chen, Zhang, Zhou, "Fast greedy MAP inference for determinantal point process to improve
    recommendation diversity", NeurIPS 2018, algorithm 1: L = q q' S, with q the margin to the power
    of `quality` and S a Gaussian similarity whose width is the median distance of the candidates.

    Attributes:
        quality: The exponent of the margin, 0 to 10; with 0 only unlikeness counts.

    Raises:
        BadSettings: `quality` is out of bounds.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.array([[0.9, 0.1], [0.6, 0.4]]), wanted_n=1)
    >>> int(Dpp(quality=2.0)(pool, Chance(0)).argmax())
    1
    """

    quality: float = 1.0

    needs: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if not 0.0 <= self.quality <= 10.0:
            raise BadSettings(f"query.options.quality is {self.quality}; must be from 0 to 10")

    @in_order
    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        points, _ = points_of(pool, chance)
        unsure = margin(pool, chance)
        q = np.maximum(unsure, 1e-3) ** self.quality
        n = len(pool)
        width = median_distance(points)
        gain, rows = q * q, np.zeros((0, n))
        chosen = list[int]()
        for _ in range(chosen_n(pool)):
            gain[chosen] = -1.0
            candidate = int(gain.argmax())
            if gain[candidate] <= 1e-12:
                break
            apart = distances_to(points, candidate)
            alike = q * q[candidate] * np.exp(-apart / (2.0 * width))
            row = (alike - rows[:, candidate] @ rows) / np.sqrt(gain[candidate])
            rows = np.vstack([rows, row])
            gain = gain - row * row
            chosen.append(candidate)
        return by_place(n, chosen, unsure)


def median_distance(points: Floats) -> float:
    """Return the median squared distance of successive points, shape (n, d); at least 1e-12.

    These n - 1 pairs cost n, and are a fair sample of all pairs where the order says nothing of the
    points. So to be called only from what `in_order` wraps: it puts a pool in the order of its
    keys, which are hashes of the events' ids. In the order of time, successive events are alike.
    """
    if len(points) < 2:
        return 1.0
    steps = points[1:] - points[:-1]
    return max(float(np.median((steps * steps).sum(axis=1))), 1e-12)


@dataclass(frozen=True)
class ProbCover:
    """The next choice is the candidate with the most uncovered candidates within its reach.

    Yehuda, Dekel, Hacohen, Weinshall, "Active learning through a covering lens", NeurIPS 2022,
    algorithm 1, over the features. Events asked before cover their surroundings from the start.

    Attributes:
        reach: The radius, above 0 and at most 10, as a share of the median distance of two
            candidates.

    Raises:
        BadSettings: `reach` is out of bounds.

    >>> pool = Pool(ids=["a", "b", "c"], keys=np.arange(3, dtype=np.uint64), at=np.zeros(3),
    ...     X=np.array([[0.0], [4.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.full((3, 2), 0.5), wanted_n=1)
    >>> int(ProbCover(reach=1.2)(pool, Chance(0)).argmax())
    1
    """

    reach: float = 0.5

    needs: ClassVar[tuple[str, ...]] = ("asked",)

    def __post_init__(self) -> None:
        if not 0.0 < self.reach <= 10.0:
            raise BadSettings(f"query.options.reach is {self.reach}; must be above 0, at most 10")

    @in_order
    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        points, asked = points_of(pool, chance)
        radius = self.reach * self.reach * median_distance(points)
        is_near = squared_distances(points, points) <= radius
        is_open = np.ones(len(pool), dtype=np.bool_)
        if len(asked):
            is_open = squared_distances(points, asked).min(axis=1) > radius
        first = is_near[:, is_open].sum(axis=1).astype(np.float64)
        chosen, gain = list[int](), first.copy()
        for _ in range(chosen_n(pool)):
            gain[chosen] = -1.0
            candidate = int(gain.argmax())
            if gain[candidate] <= 0.0:
                break
            chosen.append(candidate)
            gain -= is_near[:, is_open & is_near[candidate]].sum(axis=1)
            is_open &= ~is_near[candidate]
        return by_place(len(pool), chosen, first)
