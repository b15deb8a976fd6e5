"""Which events to ask after a drift: half drawn blindly, half spread over the whole pool.

The model's doubt says little once the stream has changed. A blind draw can judge; a draw from each
corner of the window finds what is new in it. Both are one draw, with known probabilities.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .pool import Pool

NAME = "spread"
"""The name of the strategy in requests."""

_CLIP = 4.0


def find_corners(pool: Pool, k: int) -> NDArray[np.intp]:
    """Return the nearest of k centres for each of n candidates, shape (n,).

    The centres are as far apart as possible: Gonzalez, "Clustering to minimize the maximum
    intercluster distance", Theor. Comp. Sci. 38, 1985; for active learning Sener and Savarese,
    "Active learning for convolutional neural networks: a core-set approach", ICLR 2018. Numbers are
    standardised and clipped, so that an outlier is no more than one corner; two categories are
    equal or 1 apart; a missing number counts as the mean.

    The first centre is the row whose squares have the least sum, the first of equal ones: of
    numbers, the row nearest to the mean. A category counts there by the square of its code, so that
    values that were met early are favoured. A good first centre needs no more than to be some row,
    and another one would change what runs with categories ask after a drift: so it stays.

    >>> X = np.array([[0.0], [0.1], [5.0], [5.1], [9.0]])
    >>> pool = Pool(ids=list("abcde"), keys=np.arange(5, dtype=np.uint64), at=np.zeros(5), X=X,
    ...     is_category=np.zeros(1, bool), probabilities=np.ones((5, 1)), wanted_n=3)
    >>> find_corners(pool, 3).tolist()
    [1, 1, 0, 0, 2]
    """
    rows = _standardise_rows(pool.X, pool.is_category)
    centre = int((rows * rows).sum(axis=1).argmin()) if len(rows) else 0
    nearest = np.zeros(len(rows), dtype=np.intp)
    distance = np.full(len(rows), np.inf)
    for number in range(min(k, len(rows))):
        apart = rows - rows[centre]
        distance_to_centre = np.where(pool.is_category, apart != 0.0, apart * apart).sum(axis=1)
        is_nearer = distance_to_centre < distance
        nearest[is_nearer] = number
        distance = np.where(is_nearer, distance_to_centre, distance)
        centre = int(distance.argmax())
        if distance[centre] == 0.0:
            break
    return nearest


def spread_inclusion(
    corner: NDArray[np.intp], k: int, is_candidate: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the probability of each of n events when k of the candidates are chosen, shape (n,).

    One half of the draw is even over all candidates, the other even over all corners. Events that
    are no candidates get the probability that they would have had.

    >>> spread_inclusion(np.array([0, 0, 0, 1]), 2, np.ones(4, bool)).round(3).tolist()
    [0.417, 0.417, 0.417, 0.75]
    """
    candidates_n = int(is_candidate.sum())
    if k >= candidates_n:
        return np.ones(len(corner))
    sizes = np.bincount(corner[is_candidate], minlength=int(corner.max()) + 1)
    corners_n = int((sizes > 0).sum())
    share = k / (2.0 * corners_n * np.maximum(sizes, 1)[corner])
    # A small corner can't use its whole share; the rest goes to all candidates.
    capped = np.minimum(share, 0.5)
    rest = (k - float(capped[is_candidate].sum())) / candidates_n
    p = capped + rest
    return np.minimum(p, 1.0) if p.max() <= 1.0 else _level_chances(p, k, is_candidate)


def _level_chances(
    p: NDArray[np.float64], k: int, is_candidate: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the probabilities limited to 1, with their sum over the candidates still k."""
    while p.max() > 1.0:
        is_sure = p >= 1.0
        others = is_candidate & ~is_sure
        rest_n = k - int((is_sure & is_candidate).sum())
        p = np.where(is_sure, 1.0, p * (rest_n / float(p[others].sum())))
    return p


def _standardise_rows(
    X: NDArray[np.float64], is_category: NDArray[np.bool_]
) -> NDArray[np.float64]:
    known = ~np.isnan(X)
    known_n = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, X, 0.0)
    mean = filled.sum(axis=0) / known_n
    apart = np.where(known, X - mean, 0.0)
    spread = np.sqrt((apart * apart).sum(axis=0) / known_n)
    z = np.clip(apart / np.where(spread > 0.0, spread, 1.0), -_CLIP, _CLIP)
    return np.where(is_category, np.nan_to_num(X, nan=-1.0), z)
