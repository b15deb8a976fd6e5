"""What detectors watch, as numbers: pure functions, no state.

Detectors see *doubt* (1 - confidence) and *errors* (1 wrong, 0 right), so that for both a rise is
bad and one sense of alarm serves: a model that recovers is no drift. `class_mix` and `features`
have no good direction; for them any difference counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CONFIDENCE_BOUNDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

WAITING_MAX = 64
"""Arrays of confidences that wait to be counted; then they are."""


def predicted_classes(probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """The likeliest class of each row of (n, k) probabilities; the first of equals, 0 if k is 0.

    >>> predicted_classes(np.array([[0.2, 0.8], [0.5, 0.5]])).tolist()
    [1, 0]
    """
    if probabilities.shape[1] == 0:
        return np.zeros(len(probabilities), dtype=np.int64)
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def doubts(confidence: NDArray[np.float64]) -> list[float]:
    """1 - confidence, in [0, 1], NaN where there was none; plain floats, as detectors want them."""
    plain: list[float] = np.clip(1.0 - confidence, 0.0, 1.0).tolist()
    return plain


def is_wrong(prediction: dict[str, float], label: str) -> bool:
    """Whether the likeliest class, the first of equals, is not the label; no class at all is wrong.

    >>> is_wrong({"ham": 0.7, "spam": 0.3}, "spam")
    True
    """
    return not prediction or max(prediction, key=lambda name: prediction[name]) != label


class Confidences:
    """How sure predictions were: a histogram of fixed size, ready for Prometheus.

    `counts[i]` is the number of confidences up to `CONFIDENCE_BOUNDS[i]`, above the bound before.

    >>> confidences = Confidences()
    >>> confidences.add(np.array([0.5, 0.95, 1.0, np.nan]))
    >>> confidences.counts, confidences.sum
    ([0, 0, 0, 0, 1, 0, 0, 0, 0, 2], 2.45)
    """

    def __init__(self) -> None:
        self._counts = [0] * len(CONFIDENCE_BOUNDS)
        # In billionths, so that no order of adding shows.
        self._sum = 0
        # To be counted: many at once cost little more than one.
        self._waiting: list[NDArray[np.float64]] = []

    def add(self, values: NDArray[np.float64]) -> None:
        """Count values in [0, 1], shape (n,); NaN is passed over. Nobody may change them later."""
        self._waiting.append(values)
        if len(self._waiting) == WAITING_MAX:
            self._count()

    @property
    def counts(self) -> list[int]:
        self._count()
        return self._counts

    @property
    def sum(self) -> float:
        self._count()
        return self._sum / 1e9

    def __getstate__(self) -> dict[str, object]:
        self._count()
        return self.__dict__

    def _count(self) -> None:
        if not self._waiting:
            return
        values = np.concatenate(self._waiting)
        self._waiting = []
        there = np.clip(values[~np.isnan(values)], 0.0, 1.0)
        bins = np.searchsorted(CONFIDENCE_BOUNDS, there, side="left")
        added = np.bincount(bins, minlength=len(self._counts)).tolist()
        self._counts = [n + more_n for n, more_n in zip(self._counts, added, strict=True)]
        self._sum += int(np.rint(there * 1e9).astype(np.int64).sum())


def class_counts(predicted: NDArray[np.int64], classes_n: int) -> NDArray[np.int64]:
    """How often each class was predicted, shape (classes_n,)."""
    return np.bincount(predicted, minlength=classes_n)


def category_counts(
    past: NDArray[np.float64], recent: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts by category code, one bin for each code seen and one for missing (NaN), shape (b,).

    >>> category_counts(np.array([0.0, 2.0, 2.0]), np.array([2.0, np.nan]))
    (array([1, 2, 0]), array([0, 1, 1]))
    """
    codes, places = np.unique(np.concatenate([past, recent]), return_inverse=True, equal_nan=True)
    n = len(past)
    before = np.bincount(places[:n], minlength=len(codes))
    return before, np.bincount(places[n:], minlength=len(codes))


def decile_counts(
    past: NDArray[np.float64], recent: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts by the past's deciles, and of missing values (NaN) if there are any, shape (b,).

    Both arguments are sorted, NaN last. A border belongs to the bin above it. A value that holds
    two deciles or more has a bin of its own, so that a number with few values has few bins.

    >>> past, recent = np.arange(20.0), np.array([0.0, 1.0, 19.0, np.nan])
    >>> decile_counts(past, recent)[1]
    array([2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
    """
    before, after = known(past), known(recent)
    places = (np.arange(1, 10) * len(before)) // 10
    deciles, times = np.unique(before[places] if before.size else before, return_counts=True)
    borders = np.sort(np.concatenate([deciles, np.nextafter(deciles[times > 1], np.inf)]))
    missing = (past.size - before.size, recent.size - after.size)
    return _binned(before, borders, missing[0], missing), _binned(
        after, borders, missing[1], missing
    )


def decile_tables(
    past: NDArray[np.float64], recent: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """`decile_counts` of each row of two sorted tables, shapes (d, n) and (d, m); shapes (d, 10).

    None unless nothing is missing and each row has nine deciles that differ.

    >>> past, recent = np.arange(20.0)[np.newaxis], np.array([[0.0, 1.0, 19.0]])
    >>> decile_tables(past, recent)[1]
    array([[2, 0, 0, 0, 0, 0, 0, 0, 0, 1]])
    """
    n, m = past.shape[1], recent.shape[1]
    if not (n and m) or not (past[:, -1] <= np.inf).all() or not (recent[:, -1] <= np.inf).all():
        return None
    deciles = past[:, (np.arange(1, 10) * n) // 10]
    if not (deciles[:, 1:] > deciles[:, :-1]).all():
        return None
    below = [
        (before.searchsorted(borders), after.searchsorted(borders))
        for before, after, borders in zip(past, recent, deciles, strict=True)
    ]
    found = []
    for ends, total_n in zip(np.array(below).transpose(1, 0, 2), (n, m), strict=True):
        found.append(np.diff(ends, prepend=0, append=total_n, axis=1))
    return found[0], found[1]


def known(ordered: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of a sorted column that is not NaN."""
    return ordered[: ordered.searchsorted(np.inf, side="right")]


def _binned(
    ordered: NDArray[np.float64],
    borders: NDArray[np.float64],
    missing_n: int,
    missing: tuple[int, int],
) -> NDArray[np.int64]:
    below = np.searchsorted(ordered, borders, side="left")
    counts = np.empty(borders.size + 1 + any(missing), dtype=np.int64)
    counts[0] = 0
    counts[1 : borders.size + 1] = -below
    counts[: borders.size] += below
    counts[borders.size] += ordered.size
    counts[borders.size + 1 :] = missing_n
    return counts
