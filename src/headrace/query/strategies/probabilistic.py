"""Probabilistic active learning: the expected gain of labels at one place."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import ClassVar

import numpy as np

from ...chance import Chance
from ...errors import BadSettings
from ..pool import Labelled, Pool, squared_distances
from ..rules.quantile import estimate_gain
from .diversity import median_distance
from .order import Floats, in_order, project_points

_NO_CODES = np.empty(0, dtype=np.int64)

OUTCOMES_MAX = 1_000
"""The most outcomes enumerated per candidate; with more than that fewer labels are considered."""


@dataclass(frozen=True)
class McPal:
    """The expected gain of labels near a candidate for the decision there, times the density.

    Kottke, Krempl, Lang, Teschner, Spiliopoulou, "Multi-class probabilistic active learning", ECAI
    2016, the closed form of the gain for losses of 0 and 1 (`rules.quantile.estimate_gain`). The
    labels near a candidate are counted class by class, by a Gaussian kernel over the labelled
    examples; its width is the median distance of candidates. The density is the mean kernel over
    the candidates.

    Attributes:
        labels_max: Up to how many further labels are considered at once, 1 to 3.
        prior: The labels of each class that are assumed, 1e-6 to 10.
        beta: The exponent of the density, 0 to 10.

    Raises:
        BadSettings: An option is out of bounds; it has every fault.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.full((2, 2), 0.5), wanted_n=1,
    ...     labelled=Labelled(np.array([[0.0], [0.1]]), np.array([0, 0])))
    >>> int(McPal(beta=0.0)(pool, Chance(0)).argmax())
    1
    """

    labels_max: int = 1
    prior: float = 1.0
    beta: float = 1.0

    needs: ClassVar[tuple[str, ...]] = ("labelled",)

    def __post_init__(self) -> None:
        bounds = {"labels_max": (1, 3), "prior": (1e-6, 10.0), "beta": (0.0, 10.0)}
        faults = [
            f"query.options.{name} is {getattr(self, name)}; must be from {low} to {high}"
            for name, (low, high) in bounds.items()
            if not low <= getattr(self, name) <= high
        ]
        if not isinstance(self.labels_max, int):
            faults.append(f"query.options.labels_max is {self.labels_max}; must be a whole number")
        if faults:
            raise BadSettings(faults)

    @in_order
    def __call__(self, pool: Pool, chance: Chance) -> Floats:
        """Utilities, shape (n,)."""
        n, k = pool.probabilities.shape
        if k < 2:
            return np.zeros(n)
        examples = Labelled(pool.X[:0], _NO_CODES) if pool.labelled is None else pool.labelled
        points, labelled = project_points(*pool.points_beside(examples.X), chance)
        width = median_distance(points)
        near = np.exp(-squared_distances(points, labelled) / (2.0 * width))
        counts = near @ (examples.codes[:, np.newaxis] == np.arange(k))
        labels_max = self.labels_max
        while labels_max > 1 and comb(k + labels_max - 1, labels_max) > OUTCOMES_MAX:
            labels_max -= 1
        gains = np.array([estimate_gain(row, labels_max, self.prior) for row in counts])
        if self.beta == 0.0:
            return gains
        alike = np.exp(-squared_distances(points, points) / (2.0 * width)).mean(axis=1)
        return np.asarray(gains * alike**self.beta)
