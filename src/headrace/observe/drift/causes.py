"""Finds the features and classes behind a drift, and since when it lasts. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

NAMED_MAX = 5
"""At most this many features, and this many classes, are named."""

SURE = 2.5
"""A class is named if it came this many standard deviations more often than was guessed."""

PART_MIN = 0.2
"""A feature is named if this share of the domain classifier's difference is due to it."""


def change_point(values: NDArray[np.float64]) -> int:
    """Return the place where values began to differ, by ranks, so that no outlier decides.

    NaN ranks last. Pettitt, "A non-parametric approach to the change-point problem", Applied
    Statistics 28, 1979: the place where the sum of ranks so far is furthest from its mean without a
    change; here divided by its spread, so that a change near an end is dated as well as one in the
    middle.

    >>> change_point(np.array([1.0, 3.0, 2.0, 1.5, 9.0, 8.0, 9.5]))
    4
    """
    n = len(values)
    if n < 2:
        return 0
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True, equal_nan=True)
    # Twice the mean rank of each value, from 2 on: whole numbers.
    ends = np.cumsum(counts)
    ranks = (2 * ends - counts + 1)[places]
    before = np.arange(1, n)
    so_far = np.cumsum(ranks)[:-1] - (n + 1) * before
    return int((np.abs(so_far) / np.sqrt(before * (n - before))).argmax()) + 1


def moved_features(
    names: Sequence[str], ratios: Mapping[str, float], parts: NDArray[np.float64]
) -> tuple[str, ...]:
    """Return the features over their own lines, the furthest first, to explain a drift.

    If there are none, return those with the largest parts in the domain classifier's difference.
    `ratios` are statistics over thresholds by name; `parts` (d,) add up to 1, or to 0 if that found
    no difference.
    """
    over = [name for name in names if ratios.get(name, 0.0) >= 1.0]
    over.sort(key=lambda name: -ratios[name])
    if over:
        return tuple(over[:NAMED_MAX])
    order = np.argsort(-parts, kind="stable")[:NAMED_MAX]
    return tuple(names[j] for j in order.tolist() if parts[j] >= PART_MIN)


def missed_classes(judged: Sequence[tuple[str, Mapping[str, float]]]) -> tuple[str, ...]:
    """Return the classes that came more often than was guessed, the surest first.

    Each item of `judged` is a label with the class probabilities predicted on arrival. For class c
    the sum of (1 if it came, else 0) less its probability p has mean 0 and variance sum(p (1 - p)),
    however the events were chosen, as long as the probabilities are honest.

    >>> missed_classes([("fraud", {"fine": 0.9, "fraud": 0.1})] * 5)
    ('fraud',)
    """
    surplus: dict[str, float] = {}
    variance: dict[str, float] = {}
    for label, prediction in judged:
        for name in dict.fromkeys((label, *prediction)):
            p = prediction.get(name, 0.0)
            surplus[name] = surplus.get(name, 0.0) + float(name == label) - p
            variance[name] = variance.get(name, 0.0) + p * (1.0 - p)
    sure = {name: surplus[name] / math.sqrt(variance[name] + 0.25) for name in surplus}
    named = [name for name in sure if sure[name] >= SURE]
    return tuple(sorted(named, key=lambda name: -sure[name])[:NAMED_MAX])


def shifted_classes(
    names: Sequence[str], past: NDArray[np.int64], recent: NDArray[np.int64]
) -> tuple[str, ...]:
    """Return the classes whose share of the predictions changed most, by their part in the PSI."""
    p = (past + 0.5) / (past.sum() + 0.5 * past.size)
    q = (recent + 0.5) / (recent.sum() + 0.5 * recent.size)
    parts = (p - q) * np.log(p / q)
    order = np.argsort(-parts, kind="stable")[:NAMED_MAX]
    most = [c for c in order.tolist() if parts[c] >= PART_MIN * parts.sum() > 0]
    return tuple(names[c] for c in most if c < len(names))
