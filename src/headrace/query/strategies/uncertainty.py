"""How unsure the model is of one candidate, and the strategy that does not care: `random`.

Every function reads `pool.probabilities`, shape (n, k), and works row by row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...chance import Chance
from ..pool import Pool


def random(pool: Pool, chance: Chance) -> NDArray[np.float64]:
    """All candidates alike: the control that every other strategy has to beat."""
    return np.zeros(len(pool))


def least_confidence(pool: Pool, chance: Chance) -> NDArray[np.float64]:
    """1 - max p (Lewis and Gale, "A sequential algorithm for training text classifiers", 1994)."""
    if pool.probabilities.shape[1] == 0:
        return np.zeros(len(pool))
    return np.asarray(1.0 - pool.probabilities.max(axis=1))


def margin(pool: Pool, chance: Chance) -> NDArray[np.float64]:
    """1 - (p1 - p2), p1 and p2 the two largest (Scheffer, Decomain, Wrobel, "Active hidden Markov
    models for information extraction", 2001)."""
    if pool.probabilities.shape[1] < 2:
        return np.zeros(len(pool))
    largest = np.partition(pool.probabilities, -2, axis=1)[:, -2:]
    return np.asarray(1.0 - (largest[:, 1] - largest[:, 0]))


def entropy(pool: Pool, chance: Chance) -> NDArray[np.float64]:
    """-sum p log p, in nats (Shannon 1948; as a strategy, Settles, "Active learning literature
    survey", 2009, section 3.1)."""
    p = pool.probabilities
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return np.asarray(-(p * logs).sum(axis=1))
