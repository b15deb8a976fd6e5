"""Count, mean and spread of each numeric feature over stretches of events, for models that scale.

Sums run event by event, in the order of the events, so that no batching shows in a bit. They are
of differences from each feature's first value: squares of large numbers would drown the spread.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..messages import Moments

DIGITS = 9  # Of what is written to a log.


class RunningMoments:
    """Moments of what was added since they were last taken.

    >>> running = RunningMoments()
    >>> running.add(np.array([[1.0], [3.0], [np.nan]]))
    >>> running.take(["amount"], ["numeric"])
    (3, {'amount': Moments(n=2, mean=2.0, squares=2.0)})
    >>> running.take(["amount"], ["numeric"])
    (0, {})
    """

    def __init__(self) -> None:
        self.events_n = 0
        self._first = np.zeros(0)
        # Of each column: number of values, sum of differences, sum of their squares.
        self._sums = np.zeros((3, 0))

    def add(self, rows: NDArray[np.float64]) -> None:
        """n more events in order, shape (n, width); NaN is missing. Later rows may be wider."""
        self._widen(rows.shape[1])
        self.events_n += len(rows)
        is_known = ~np.isnan(rows)
        self._learn_first(rows, is_known)
        apart = np.where(is_known, rows - self._first[: rows.shape[1]], 0.0)
        for sums, values in zip(self._sums, (is_known, apart, apart * apart), strict=True):
            before = sums[: rows.shape[1]]
            # Added one after the other, unlike `sum`, which pairs them by their number.
            sums[: rows.shape[1]] = np.cumsum(np.vstack([before, values]), axis=0)[-1]

    def take(self, names: Sequence[str], kinds: Sequence[str]) -> tuple[int, dict[str, Moments]]:
        """How many events were added, and the moments by numeric feature; then begin anew."""
        found = {}
        for j, (name, kind) in enumerate(zip(names, kinds, strict=True)):
            if kind != "numeric" or j >= self._sums.shape[1] or not self._sums[0, j]:
                continue
            n, total, squares = self._sums[:, j].tolist()
            mean = total / n
            found[name] = Moments(
                int(n),
                _rounded(float(self._first[j]) + mean),
                _rounded(max(0.0, squares - mean * total)),
            )
        events_n, self.events_n = self.events_n, 0
        self._sums[:] = 0.0
        return events_n, found

    def _widen(self, width: int) -> None:
        more_n = width - len(self._first)
        if more_n > 0:
            self._first = np.concatenate([self._first, np.full(more_n, np.nan)])
            self._sums = np.hstack([self._sums, np.zeros((3, more_n))])

    def _learn_first(self, rows: NDArray[np.float64], is_known: NDArray[np.bool_]) -> None:
        for j in np.flatnonzero(np.isnan(self._first[: rows.shape[1]])).tolist():
            known = np.flatnonzero(is_known[:, j])
            if len(known):
                self._first[j] = rows[known[0], j]


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
