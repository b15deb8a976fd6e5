"""State of the draw on arrival about the latest events and answers."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from .online import ONE

KNOWN_N = 1_024
"""An event is ranked among this many events before it."""

ANSWERS_N = 15
"""Lateness is the median over this many of the latest answers."""

TRIM_MAX = 4.0
"""The largest factor by which chances are raised or lowered to hold their mean."""


class RecentValues:
    """One number for each of the latest `KNOWN_N` events, sorted when the owner calls for it.

    >>> recent = RecentValues()
    >>> recent.add(np.array([0.5, 0.2]))
    slice(0, 2, None)
    >>> recent.put_in_order()
    >>> recent.ordered
    array([0.2, 0.5])
    """

    def __init__(self) -> None:
        self.values = np.zeros(KNOWN_N)
        self.n = 0
        self.ordered: NDArray[np.float64] = np.empty(0)

    def add(self, values: NDArray[np.float64]) -> slice | NDArray[np.intp]:
        """Append the values of up to `KNOWN_N` events, shape (n,); return their places."""
        start = self.n % KNOWN_N
        stop = start + len(values)
        is_around = stop > KNOWN_N
        places = np.arange(start, stop) % KNOWN_N if is_around else slice(start, stop)
        self.values[places] = values
        self.n += len(values)
        return places

    def put_in_order(self) -> None:
        """Set `ordered` to the present values, ascending."""
        self.ordered = np.sort(self.values[: self.n])

    def clear(self) -> None:
        """Forget all values: later ones can't be compared with them."""
        self.n, self.ordered = 0, np.empty(0)


class Lateness:
    """How many events go by while an answer is on its way.

    >>> lateness = Lateness()
    >>> lateness.note_answer(asked_at=10, events_n=40)
    >>> lateness.events_n(now_n=45, open_n=2), lateness.events_n(now_n=145, open_n=2)
    (30, 105)
    """

    def __init__(self) -> None:
        self.latest: deque[int] = deque(maxlen=ANSWERS_N)
        self.answered_at = 0

    def note_answer(self, asked_at: int, events_n: int) -> None:
        """Note that a label came after `events_n` events; it was asked after `asked_at` of them."""
        self.latest.append(events_n - asked_at)
        self.answered_at = events_n

    def events_n(self, now_n: int, open_n: int) -> int:
        """Return the median lateness of the latest answers, in events, after `now_n` events.

        While `open_n` requests are open, it is at least the events since the last answer.
        """
        usual = sorted(self.latest)[len(self.latest) // 2] if self.latest else 0
        return max(usual, now_n - self.answered_at) if open_n else usual


class Trim:
    """Holds the mean of the chances at the rate.

    Where all doubts rise or fall together, their ranks among older ones are not evenly spread, and
    the mean is off. Sums are whole billionths, so that they do not depend on how the events were
    batched.
    """

    def __init__(self) -> None:
        self.rate = 0
        self.wanted = 0
        self.given = 0

    def count_chances(self, chances: NDArray[np.int64], *, is_counted: bool) -> None:
        """Count the chances of events that went by, shape (n,); at counted ones older ones fade."""
        self.wanted += self.rate * len(chances)
        self.given += int(np.add.reduce(chances))
        if is_counted:
            self.wanted, self.given = self.wanted * 15 // 16, self.given * 15 // 16

    @property
    def factor(self) -> float:
        """The factor by which chances are multiplied."""
        return min(TRIM_MAX, max(1.0 / TRIM_MAX, (self.wanted + ONE) / (self.given + ONE)))
