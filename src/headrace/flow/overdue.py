"""What a driver does about a deadline that the clock of the stream has not reached."""

from __future__ import annotations

LIVE_WITHIN_S = 86_400.0
"""A deadline overdue by more than this is of the past: the wall clock says nothing about it."""


def is_live(deadline: float, wall: float) -> bool:
    """Whether a deadline is overdue by the clock of the day, and by a day at most; seconds.

    >>> is_live(100.0, 99.0), is_live(100.0, 101.0), is_live(100.0, 100_000.0)
    (False, True, False)
    """
    return 0.0 <= wall - deadline <= LIVE_WITHIN_S
