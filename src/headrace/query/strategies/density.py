"""Candidates that represent many others, because events are dense around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...chance import Chance
from ...errors import BadSettings
from ..pool import Pool, squared_distances
from .diversity import median_distance, plus_plus
from .order import Floats, by_place, chosen_n, in_order, points_of
from .uncertainty import entropy, margin

NEIGHBOURS_N = 20
"""The number of nearest neighbours that density is measured by, as in the papers."""

NEIGHBOURS_MAX = 1_000


@dataclass(frozen=True)
class InformationDensity:
    """The margin, times the mean similarity to all candidates to the power of `beta`.

    Settles and Craven, "An analysis of active learning strategies for sequence labeling tasks",
    EMNLP 2008, eq. 13, with a Gaussian similarity whose width is the median distance.

    Attributes:
        beta: The exponent, 0 to 10; with 0 it is the margin alone.

    Raises:
        BadSettings: `beta` is out of bounds.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.array([[0.9, 0.1], [0.6, 0.4]]), wanted_n=1)
    >>> InformationDensity(beta=0.0)(pool, Chance(0)).round(3).tolist()
    [0.2, 0.8]
    """

    beta: float = 1.0

    needs: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if not 0.0 <= self.beta <= 10.0:
            raise BadSettings(f"query.options.beta is {self.beta}; must be from 0 to 10")

    @in_order
    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        points, _ = points_of(pool, chance)
        width = median_distance(points)
        alike = np.exp(-squared_distances(points, points) / (2.0 * width)).mean(axis=1)
        return np.asarray(margin(pool, chance) * alike**self.beta)


@dataclass(frozen=True)
class ReservoirDensity:
    """The entropy, times the similarity to the nearest events of the stream to the power `beta`.

    SUD (Zhu, Wang, Yao, Tsou, "Active learning with sampling by uncertainty and density for word
    sense disambiguation and text classification", Coling 2008): entropy times the mean similarity
    to the `neighbours_n` nearest events. These are searched in the reservoir, a sample of all
    events, not among the candidates of this round alone: an event that is like nothing in the
    stream is an outlier, however unsure the model is. Similarity is Gaussian, not a cosine; its
    width is the median distance of candidates. While there is no reservoir it is the entropy alone.

    Attributes:
        neighbours_n: The number of nearest events, 1 to 1,000.
        beta: The exponent, 0 to 10; with 0 it is the entropy alone.

    Raises:
        BadSettings: An option is out of bounds.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.array([[0.9, 0.1], [0.6, 0.4]]), wanted_n=1)
    >>> ReservoirDensity()(pool, Chance(0)).round(3).tolist()
    [0.325, 0.673]
    """

    neighbours_n: int = NEIGHBOURS_N
    beta: float = 1.0

    needs: ClassVar[tuple[str, ...]] = ("reservoir",)

    def __post_init__(self) -> None:
        faults = []
        n = self.neighbours_n
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= NEIGHBOURS_MAX:
            faults.append(
                f"query.options.neighbours_n is {n}; must be a whole number from 1 to "
                f"{NEIGHBOURS_MAX}"
            )
        if not 0.0 <= self.beta <= 10.0:
            faults.append(f"query.options.beta is {self.beta}; must be from 0 to 10")
        if faults:
            raise BadSettings(faults)

    @in_order
    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        unsure = entropy(pool, chance)
        distances = pool.neighbours(self.neighbours_n).distances
        if not distances.shape[1]:
            return unsure
        width = median_distance(pool.points(np.arange(len(pool))))
        alike = np.exp(-(distances**2) / (2.0 * width)).mean(axis=1)
        return np.asarray(unsure * alike**self.beta)


@dataclass(frozen=True)
class Typicality:
    """The most typical candidate of each of the clusters with the fewest asked events.

    Hacohen, Dekel, Weinshall, "Active learning on a budget: opposite strategies suit high and low
    budgets", ICML 2022, algorithm 1 (TypiClust), over the features: candidates and events asked
    before are clustered into as many groups as events were asked and labels are wanted; a candidate
    is typical if its 20 nearest neighbours are near. For the very first labels, when doubt means
    nothing.

    >>> pool = Pool(ids=["a", "b", "c"], keys=np.arange(3, dtype=np.uint64), at=np.zeros(3),
    ...     X=np.array([[0.0], [1.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.full((3, 2), 0.5), wanted_n=1)
    >>> int(Typicality()(pool, Chance(0)).argmax())
    1
    """

    needs: ClassVar[tuple[str, ...]] = ("asked",)

    @in_order
    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        points, asked = points_of(pool, chance)
        n, wanted_n = len(pool), chosen_n(pool)
        both = np.vstack([points, asked])
        starts = plus_plus(both, np.ones(len(both)), wanted_n + len(asked), chance)
        cluster = squared_distances(both, both[starts]).argmin(axis=1) if len(starts) else None
        apart = squared_distances(points, points)
        neighbours_n = min(NEIGHBOURS_N, n - 1)
        typical = np.zeros(n)
        if neighbours_n:
            nearest = np.partition(apart, neighbours_n, axis=1)[:, : neighbours_n + 1]
            typical = 1.0 / (np.sqrt(nearest).sum(axis=1) / neighbours_n + 1e-9)
        if cluster is None:
            return by_place(n, [], typical)
        clusters, asked_clusters = cluster[:n], cluster[n:]
        asked_n = np.bincount(asked_clusters, minlength=len(starts))
        size = np.bincount(clusters, minlength=len(starts))
        chosen = list[int]()
        # Clusters with the fewest asked events first, of equal ones the largest.
        for number in np.lexsort((-size, asked_n)).tolist():
            members = np.flatnonzero(clusters == number)
            if len(members) and len(chosen) < wanted_n:
                chosen.append(int(members[typical[members].argmax()]))
        return by_place(n, chosen, typical)
