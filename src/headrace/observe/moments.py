"""Count, mean and spread of each numeric feature over stretches of events, for models that scale.

Sums are added event by event, in their order, so that batching changes no bit. They are sums of
differences from each feature's first value: squares of large numbers would swamp the spread.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..messages import Moments

DIGITS = 9  # Significant digits of moments in a log.


class RunningMoments:
    """Moments of the events added since `pop_moments` was last called.

    >>> running = RunningMoments()
    >>> running.add(np.array([[1.0], [3.0], [np.nan]]))
    >>> running.pop_moments(["amount"], ["numeric"])
    (3, {'amount': Moments(n=2, mean=2.0, squares=2.0)})
    >>> running.pop_moments(["amount"], ["numeric"])
    (0, {})
    """

    def __init__(self) -> None:
        self.events_n = 0
        self._first = np.zeros(0)
        # For each column: number of values, sum of differences, sum of their squares.
        self._sums = np.zeros((3, 0))

    def add(self, rows: NDArray[np.float64]) -> None:
        """Add n events in order, shape (n, width); NaN is missing. Later rows may be wider."""
        self._widen(rows.shape[1])
        self.events_n += len(rows)
        is_known = ~np.isnan(rows)
        self._learn_first(rows, is_known)
        width = rows.shape[1]
        differences = np.where(is_known, rows - self._first[:width], 0.0)
        steps = np.empty((len(rows) + 1, 3, width))
        steps[0] = self._sums[:, :width]
        steps[1:, 0], steps[1:, 1] = is_known, differences
        np.multiply(differences, differences, out=steps[1:, 2])
        # Added one after the other, unlike `sum`, which adds in pairs that depend on their number.
        self._sums[:, :width] = np.add.accumulate(steps, axis=0)[-1]

    def pop_moments(
        self, names: Sequence[str], kinds: Sequence[str]
    ) -> tuple[int, dict[str, Moments]]:
        """Return the number of events and the moments by numeric feature, and begin anew.

        `names` and `kinds` are those of the features, in the order of the columns.
        """
        moments = {}
        by_column = zip(self._first.tolist(), *self._sums.tolist(), strict=True)
        # There may be more features in the schema than columns so far.
        features = zip(names, kinds, by_column, strict=False)
        for name, kind, (first, n, total, squares) in features:
            if kind != "numeric" or not n:
                continue
            mean = total / n
            spread = squares - mean * total
            moments[name] = Moments(
                int(n),
                float(f"{first + mean:.{DIGITS}g}"),
                float(f"{max(0.0, spread):.{DIGITS}g}"),
            )
        events_n, self.events_n = self.events_n, 0
        self._sums[:] = 0.0
        return events_n, moments

    def _widen(self, width: int) -> None:
        more_n = width - len(self._first)
        if more_n > 0:
            self._first = np.concatenate([self._first, np.full(more_n, np.nan)])
            self._sums = np.hstack([self._sums, np.zeros((3, more_n))])

    def _learn_first(self, rows: NDArray[np.float64], is_known: NDArray[np.bool_]) -> None:
        is_new = np.isnan(self._first[: rows.shape[1]])
        if not np.logical_or.reduce(is_new):
            return
        for j in np.flatnonzero(is_new).tolist():
            known = np.flatnonzero(is_known[:, j])
            if len(known):
                self._first[j] = rows[known[0], j]
