"""How unsure the model is about one candidate, and the strategy that ignores that: `random`.

Every function reads `pool.probabilities`, shape (n, k), and works row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...chance import Chance
from ...errors import BadSettings
from ..pool import Pool


def random(pool: Pool, chance: Chance) -> NDArray[np.float64]:
    """The same utility for all candidates: the control that every other strategy has to beat.

    Args:
        pool: The n candidates.
        chance: Not used.

    Returns:
        Utilities, shape (n,), all 0.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.array([[0.9, 0.1], [0.6, 0.4]]), wanted_n=1)
    >>> random(pool, Chance(0)).tolist()
    [0.0, 0.0]
    """
    return np.zeros(len(pool))


def least_confidence(pool: Pool, chance: Chance) -> NDArray[np.float64]:
    """1 - max p (Lewis and Gale, "A sequential algorithm for training text classifiers", 1994).

    Args:
        pool: The n candidates.
        chance: Not used.

    Returns:
        Utilities, shape (n,), from 0 for a sure prediction to 1 - 1 / k.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.array([[0.9, 0.1], [0.6, 0.4]]), wanted_n=1)
    >>> least_confidence(pool, Chance(0)).round(3).tolist()
    [0.1, 0.4]
    """
    return shortfalls_of(pool.probabilities)


def shortfalls_of(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much the likeliest class of each row, shape (n, k), falls short of 1; (n,)."""
    return np.asarray(1.0 - p.max(axis=1)) if p.shape[1] else np.zeros(len(p))


def margin(pool: Pool, chance: Chance) -> NDArray[np.float64]:
    """1 - (p1 - p2), p1 and p2 the two largest (Scheffer, Decomain, Wrobel, "Active hidden Markov
    models for information extraction", 2001).

    Args:
        pool: The n candidates.
        chance: Not used.

    Returns:
        Utilities, shape (n,), from 0 for a sure prediction to 1; 0 with fewer than two classes.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.array([[0.9, 0.1], [0.6, 0.4]]), wanted_n=1)
    >>> margin(pool, Chance(0)).round(3).tolist()
    [0.2, 0.8]
    """
    return closeness_of(pool.probabilities)


def closeness_of(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how close the two likeliest classes of each row, shape (n, k), are to a tie; (n,)."""
    if p.shape[1] < 2:
        return np.zeros(len(p))
    if p.shape[1] == 2:
        return np.asarray(1.0 - np.abs(p[:, 1] - p[:, 0]))
    largest = np.partition(p, -2, axis=1)[:, -2:]
    return np.asarray(1.0 - (largest[:, 1] - largest[:, 0]))


def entropy(pool: Pool, chance: Chance) -> NDArray[np.float64]:
    """-sum p log p, in nats (Shannon 1948; as a strategy, Settles, "Active learning literature
    survey", 2009, section 3.1).

    Args:
        pool: The n candidates.
        chance: Not used.

    Returns:
        Utilities, shape (n,), in nats, from 0 for a sure prediction to log k.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.array([[0.9, 0.1], [0.6, 0.4]]), wanted_n=1)
    >>> entropy(pool, Chance(0)).round(3).tolist()
    [0.325, 0.673]
    """
    return entropies_of(pool.probabilities)


def entropies_of(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropy of each distribution along the last axis, in nats."""
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return np.asarray(-(p * logs).sum(axis=-1))


@dataclass(frozen=True)
class ExpectedCost:
    """The expected cost of the prediction that costs least.

    min over j of the sum over i of p_i C_ij (Margineantu, "Active cost-sensitive learning", IJCAI
    2005, eq. 1).

    Attributes:
        costs: The costs C, a row for each true class and a column for each predicted one, in the
            order of `schema.classes`, numbers of at least 0. For classes that it does not list
            every wrong prediction costs 1; without `costs` that is so for all classes, which is
            least confidence.

    Raises:
        BadSettings: `costs` has not as many rows as columns, or has anything but such numbers.

    >>> pool = Pool(ids=["a"], keys=np.zeros(1, np.uint64), at=np.zeros(1), X=np.zeros((1, 1)),
    ...     is_category=np.zeros(1, bool), probabilities=np.array([[0.9, 0.1]]), wanted_n=1)
    >>> ExpectedCost([[0, 1], [20, 0]])(pool, Chance(0)).round(3).tolist()
    [0.9]
    """

    costs: Sequence[Sequence[float]] = ()

    needs: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        matrix = np.array(self.costs, dtype=np.float64) if self._is_square() else None
        if matrix is None or not np.isfinite(matrix).all() or (matrix < 0.0).any():
            raise BadSettings(
                "query.options.costs must be as many rows as columns of numbers of at least 0: "
                "what it costs to take the class of the row for that of the column"
            )

    def _is_square(self) -> bool:
        rows = self.costs
        if not isinstance(rows, list | tuple):
            return False
        return all(
            isinstance(row, list | tuple)
            and len(row) == len(rows)
            and all(isinstance(cost, int | float) for cost in row)
            for row in rows
        )

    def __call__(self, pool: Pool, chance: Chance) -> NDArray[np.float64]:
        """Utilities, shape (n,)."""
        k = pool.probabilities.shape[1]
        if k == 0:
            return np.zeros(len(pool))
        costs = 1.0 - np.eye(k)
        known_n = min(k, len(self.costs))
        if known_n:
            costs[:known_n, :known_n] = np.array(self.costs, dtype=np.float64)[:known_n, :known_n]
        # A sum in the order of the classes, so that a row has the same bits in any pool.
        expected = np.zeros((len(pool), k))
        for i in range(k):
            expected += pool.probabilities[:, i : i + 1] * costs[i]
        return np.asarray(expected.min(axis=1))
