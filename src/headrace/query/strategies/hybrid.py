"""Two stages: the most uncertain candidates, then the farthest apart among them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...chance import Chance
from ..pool import Pool
from .uncertainty import margin

SHORTLIST_PER_LABEL = 10


def hybrid(pool: Pool, chance: Chance) -> NDArray[np.float64]:
    """Margin shortlists ten candidates for each label wanted; greedy k-center orders the shortlist.

    Each next centre is the one farthest from those before (Sener and Savarese, "Active learning for
    convolutional neural networks: a core-set approach", 2018, algorithm 1; 2-approximation of
    Gonzalez 1985). Costs shortlist_n * wanted_n distances.

    Args:
        pool: The n candidates.
        chance: Not used.

    Returns:
        Utilities, shape (n,), from 2 downwards for the shortlist in its order; for the rest half
        the margin, below 1.

    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.array([[0.0], [9.0]]), is_category=np.zeros(1, bool),
    ...     probabilities=np.array([[0.9, 0.1], [0.6, 0.4]]), wanted_n=1)
    >>> hybrid(pool, Chance(0)).tolist()
    [1.75, 2.0]
    """
    uncertain = margin(pool, chance)
    shortlist_n = min(len(pool), SHORTLIST_PER_LABEL * max(1, pool.wanted_n))
    # Ties go to the smaller key: the order of arrival must not matter.
    order = np.lexsort((pool.keys, -uncertain))
    shortlist = order[:shortlist_n]
    utilities = uncertain / 2.0
    if shortlist_n == 0:
        return utilities
    points = pool.points(shortlist)
    nearest = np.full(shortlist_n, np.inf)
    is_centre = np.zeros(shortlist_n, dtype=bool)
    centre = 0
    # Shortlisted candidates that never become a centre still come before all others.
    utilities[shortlist] = 1.0 + uncertain[shortlist] / 4.0
    for place in range(min(shortlist_n, 2 * max(1, pool.wanted_n))):
        is_centre[centre] = True
        utilities[shortlist[centre]] = 2.0 - place / (2.0 * shortlist_n)
        difference = points - points[centre]
        nearest = np.minimum(nearest, (difference * difference).sum(axis=1))
        nearest[is_centre] = -1.0
        centre = int(nearest.argmax())
    return utilities
