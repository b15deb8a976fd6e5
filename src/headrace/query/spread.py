"""Whom to ask in a new world: half at random, half spread over all that there is of it.

What a model doubts says little once the world has moved. A draw at random can judge; one from each
corner of the window meets what is new in it. Both in one draw, with known probabilities.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .pool import Pool

NAME = "spread"
"""What requests give as their strategy."""

_CLIP = 4.0


def corners(pool: Pool, k: int) -> NDArray[np.intp]:
    """The nearest of k centres for each of n, shape (n,): centres as far apart as can be.

    Gonzalez, "Clustering to minimize the maximum intercluster distance", Theor. Comp. Sci. 38,
    1985; for active learning Sener and Savarese, "Active learning for convolutional neural
    networks: a core-set approach", ICLR 2018. The first centre is the row nearest to the mean, of
    equals the first. Numbers are standardised and clipped, so that an outlier is one corner and no
    more; categories are apart or not; what is missing is the mean.

    >>> X = np.array([[0.0], [0.1], [5.0], [5.1], [9.0]])
    >>> pool = Pool(ids=list("abcde"), keys=np.arange(5, dtype=np.uint64), at=np.zeros(5), X=X,
    ...     is_category=np.zeros(1, bool), probabilities=np.ones((5, 1)), wanted_n=3)
    >>> corners(pool, 3).tolist()
    [1, 1, 0, 0, 2]
    """
    rows = _standardised(pool.X, pool.is_category)
    centre = int((rows * rows).sum(axis=1).argmin()) if len(rows) else 0
    nearest = np.zeros(len(rows), dtype=np.intp)
    distance = np.full(len(rows), np.inf)
    for number in range(min(k, len(rows))):
        apart = rows - rows[centre]
        found = np.where(pool.is_category, apart != 0.0, apart * apart).sum(axis=1)
        is_nearer = found < distance
        nearest[is_nearer] = number
        distance = np.where(is_nearer, found, distance)
        centre = int(distance.argmax())
        if distance[centre] == 0.0:
            break
    return nearest


def spread_inclusion(
    corner: NDArray[np.intp], k: int, is_candidate: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Probabilities with which each of n is chosen when k candidates are, shape (n,).

    One half of it is the same for all, the other the same for all corners. Those that are no
    candidate get what they would have had beside the others.

    >>> spread_inclusion(np.array([0, 0, 0, 1]), 2, np.ones(4, bool)).round(3).tolist()
    [0.417, 0.417, 0.417, 0.75]
    """
    candidates_n = int(is_candidate.sum())
    if k >= candidates_n:
        return np.ones(len(corner))
    sizes = np.bincount(corner[is_candidate], minlength=int(corner.max()) + 1)
    there_n = int((sizes > 0).sum())
    share = k / (2.0 * there_n * np.maximum(sizes, 1)[corner])
    # A small corner can't take its whole share; what it leaves goes to all.
    capped = np.minimum(share, 0.5)
    rest = (k - float(capped[is_candidate].sum())) / candidates_n
    p = capped + rest
    return np.minimum(p, 1.0) if p.max() <= 1.0 else _level_chances(p, k, is_candidate)


def _level_chances(
    p: NDArray[np.float64], k: int, is_candidate: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The same with none above 1, the sum over the candidates staying k."""
    while p.max() > 1.0:
        is_sure = p >= 1.0
        others = is_candidate & ~is_sure
        left = k - int((is_sure & is_candidate).sum())
        p = np.where(is_sure, 1.0, p * (left / float(p[others].sum())))
    return p


def _standardised(X: NDArray[np.float64], is_category: NDArray[np.bool_]) -> NDArray[np.float64]:
    known = ~np.isnan(X)
    there_n = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, X, 0.0)
    mean = filled.sum(axis=0) / there_n
    apart = np.where(known, X - mean, 0.0)
    spread = np.sqrt((apart * apart).sum(axis=0) / there_n)
    z = np.clip(apart / np.where(spread > 0.0, spread, 1.0), -_CLIP, _CLIP)
    return np.where(is_category, np.nan_to_num(X, nan=-1.0), z)
