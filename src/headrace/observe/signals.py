"""Computes the numbers that detectors watch, and a histogram of confidences.

Detectors see *doubt* (1 - confidence) and *errors* (1 wrong, 0 right), so that for both only a rise
is bad: a model that recovers is no drift. `class_mix` and `features` have no good direction; for
them any difference counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CONFIDENCE_BOUNDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

_FEW_CLASSES_MAX = 4

WAITING_MAX = 64
"""Once this many arrays of confidences wait, they are counted."""


def predicted_classes(probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the likeliest class of each of (n, k) rows; the first of equals, 0 if k is 0.

    >>> predicted_classes(np.array([[0.2, 0.8], [0.5, 0.5]])).tolist()
    [1, 0]
    """
    n, k = probabilities.shape
    if k <= _FEW_CLASSES_MAX:
        # For few classes a pass over each column is several times as fast as `argmax`.
        predicted = np.zeros(n, dtype=np.int64)
        highest = probabilities[:, 0] if k else predicted
        for c in range(1, k):
            is_higher = probabilities[:, c] > highest
            predicted[is_higher] = c
            highest = np.maximum(highest, probabilities[:, c])
        return predicted
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def doubts_of(confidence: NDArray[np.float64]) -> list[float]:
    """Return 1 - confidence, in [0, 1], NaN where there was none, as plain floats."""
    plain: list[float] = np.minimum(np.maximum(1.0 - confidence, 0.0), 1.0).tolist()
    return plain


def is_wrong(prediction: dict[str, float], label: str) -> bool:
    """Whether the likeliest class, the first of equals, is not the label; true without classes.

    >>> is_wrong({"ham": 0.7, "spam": 0.3}, "spam")
    True
    """
    return not prediction or likeliest_of(prediction) != label


def likeliest_of(prediction: dict[str, float]) -> str:
    """Return the class with the highest probability, the first of equals; empty if none.

    >>> likeliest_of({"ham": 0.5, "spam": 0.5})
    'ham'
    """
    # A bound method of the dict is faster than a lambda, since it is called from C.
    return max(prediction, key=prediction.__getitem__, default="")


class Confidences:
    """A histogram of confidences of fixed size, ready for Prometheus.

    `counts[i]` is the number of confidences up to `CONFIDENCE_BOUNDS[i]`, above the bound before.

    >>> confidences = Confidences()
    >>> confidences.add(np.array([0.5, 0.95, 1.0, np.nan]))
    >>> confidences.counts, confidences.sum
    ([0, 0, 0, 0, 1, 0, 0, 0, 0, 2], 2.45)
    """

    def __init__(self) -> None:
        self._counts = [0] * len(CONFIDENCE_BOUNDS)
        # In billionths, as an integer, so that the order of adding has no effect.
        self._sum = 0
        # Not counted yet: many at once cost little more than one.
        self._waiting: list[NDArray[np.float64]] = []

    def add(self, values: NDArray[np.float64]) -> None:
        """Count values in [0, 1], shape (n,), except NaN. Don't change the array afterwards."""
        self._waiting.append(values)
        if len(self._waiting) == WAITING_MAX:
            self._count_waiting()

    @property
    def counts(self) -> list[int]:
        self._count_waiting()
        return self._counts

    @property
    def sum(self) -> float:
        self._count_waiting()
        return self._sum / 1e9

    def __getstate__(self) -> dict[str, object]:
        self._count_waiting()
        return self.__dict__

    def _count_waiting(self) -> None:
        if not self._waiting:
            return
        values = np.concatenate(self._waiting)
        self._waiting = []
        known = np.clip(values[~np.isnan(values)], 0.0, 1.0)
        bins = np.searchsorted(CONFIDENCE_BOUNDS, known, side="left")
        added = np.bincount(bins, minlength=len(self._counts)).tolist()
        self._counts = [n + more_n for n, more_n in zip(self._counts, added, strict=True)]
        self._sum += int(np.rint(known * 1e9).astype(np.int64).sum())
