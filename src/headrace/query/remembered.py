"""Which events have a request, open or ended and remembered, so that none is asked twice."""

from __future__ import annotations

from collections.abc import KeysView

import numpy as np
from numpy.typing import NDArray


class Remembered:
    """Hashed ids of events with an open request, and of the latest `ended_max` whose request ended.

    As long as the desk remembers a request, an event whose id comes again must not be asked again.

    >>> requests = Remembered(ended_max=1)
    >>> requests.note_open(7, events_n=40); requests.note_open(8, events_n=41)
    >>> requests.note_end(7), requests.note_end(7), requests.open_n
    (40, None, 1)
    >>> requests.has(7), requests.has(8), requests.has(9)
    (True, True, False)
    """

    def __init__(self, ended_max: int) -> None:
        self.ended_max = ended_max
        # How many events had been observed when each open request was asked.
        self._open: dict[int, int] = {}
        self._ended: dict[int, None] = {}

    @classmethod
    def of_state(
        cls, *, ended_max: int, opened: dict[int, int], ended: dict[int, None]
    ) -> Remembered:
        """Return the memory of a state in which it was no object of its own."""
        remembered = cls(ended_max)
        remembered._open, remembered._ended = opened, ended
        return remembered

    @property
    def open_n(self) -> int:
        return len(self._open)

    @property
    def open_keys(self) -> KeysView[int]:
        """The hashed ids of events whose request is open."""
        return self._open.keys()

    @property
    def ended_n(self) -> int:
        """Ended requests that are remembered."""
        return len(self._ended)

    def has(self, key: int) -> bool:
        """Whether the event with this hashed id has a request, open or remembered."""
        return key in self._open or key in self._ended

    def has_each(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return for each hashed id whether its event has a request, shape (n,)."""
        return np.array([self.has(key) for key in keys.tolist()], dtype=np.bool_)

    def note_open(self, key: int, events_n: int) -> None:
        """Note that the event was asked about when `events_n` events had been observed."""
        self._open[key] = events_n

    def note_end(self, key: int) -> int | None:
        """Note the end of the event's request; return after how many events it was asked.

        None if it was not open.
        """
        asked_at = self._open.pop(key, None)
        if asked_at is None:
            return None
        self._ended[key] = None
        if len(self._ended) > self.ended_max:
            del self._ended[next(iter(self._ended))]
        return asked_at
