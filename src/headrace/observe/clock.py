"""Event time: the clock of a stream follows the times of many events, never of a single one.

A wrong clock of one producer must not affect all others: expire their requests, have their events
rejected, or stop the time. So an event moves the clock only where the latest other events bear it
out, which means that their times are close to its own. docs/TIME.md says what follows from that.
Requests and budgets are not known here.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from ..settings import Settings

HEARD_N = 15
"""The clock goes by this many latest events. Fewer than half of them may be wrong at once."""

DEADLINE_PARTS = 10
"""An event alone may move the clock by `label.deadline_s` divided by this."""

SURE_MIN = 5
"""With fewer events than this no time is reported outside."""


def describe_off_clock(ahead_n: int, behind_n: int) -> str:
    """Describe in words how many events were far from the clock; empty where none were.

    >>> describe_off_clock(1, 0).split(" (")[0]
    '1 event far ahead of the others did not move it'
    """
    parts = []
    if ahead_n:
        parts.append(f"{_format_events(ahead_n)} far ahead of the others did not move it")
    if behind_n:
        parts.append(f"{_format_events(behind_n)} came far behind it")
    return f"{', '.join(parts)} (by more than label.deadline_s / 10; docs/TIME.md)" if parts else ""


def _format_events(n: int) -> str:
    return "1 event" if n == 1 else f"{n:,} events"


def clock_of(settings: Settings) -> Clock:
    """Return the clock of one stream; an event alone moves it by at most a tenth of a deadline."""
    jump_max_s = settings.input.jump_max_s
    return Clock(min(settings.label.deadline_s / DEADLINE_PARTS, jump_max_s), jump_max_s)


class Clock:
    """The latest time that the last `HEARD_N` events bear out; it does not go back.

    A time is borne out if it is at most `ahead_max_s` later than the median of these events (the
    lower one, of an even number). While times lie closer together than that, the clock is simply
    the largest time so far; else it lags by seven events. Each event takes time O(`HEARD_N`), or
    O(1) in a dense stretch.

    The clock is set anew, perhaps to an earlier time, where it was wrong: during the first
    `HEARD_N` events, since no earlier ones can bear them out, and later when it is more than
    `jump_max_s` from the latest time borne out.

    `ahead_n` counts events still ahead of the clock after `HEARD_N` others, `behind_n` events that
    came more than `ahead_max_s` behind it.

    >>> clock = Clock(ahead_max_s=60.0, jump_max_s=3e7)
    >>> for at in (4e9, 100.0, 101.0, 4e9, 102.0):
    ...     clock.add_time(at)
    ...     print(clock.now)
    4000000000.0
    100.0
    101.0
    101.0
    102.0
    """

    __slots__ = ("_heard", "ahead_max_s", "ahead_n", "behind_n", "jump_max_s", "now")

    def __init__(self, ahead_max_s: float, jump_max_s: float) -> None:
        self.ahead_max_s = ahead_max_s
        self.jump_max_s = jump_max_s
        self.now = -math.inf
        self.ahead_n = 0
        self.behind_n = 0
        # The times of the last HEARD_N events, oldest first.
        self._heard: list[float] = []

    @property
    def is_full(self) -> bool:
        """Whether the clock has the times of `HEARD_N` events."""
        return len(self._heard) == HEARD_N

    @property
    def sure(self) -> float:
        """A time that will hardly be corrected, seconds; minus infinity with too few events."""
        if self.is_full or len(self._heard) < SURE_MIN:
            return self.now if self.is_full else -math.inf
        return sorted(self._heard)[(len(self._heard) - 1) // 2]

    @property
    def waiting_n(self) -> int:
        """Number of events that are ahead of the clock, and may still be borne out."""
        return sum(at > self.now + self.ahead_max_s for at in self._heard)

    def borne_out(self, at: float) -> float:
        """Return the latest time borne out, seconds, if an event at this finite time came next."""
        times = sorted([*self._heard, at][-HEARD_N:])
        middle = times[(len(times) - 1) // 2]
        return times[bisect_right(times, middle + self.ahead_max_s) - 1]

    def is_wrong(self, borne_out: float) -> bool:
        """Whether the clock has to be set anew to show this time, which is borne out; seconds."""
        back_s = self.jump_max_s if self.is_full else 0.0
        return not self.now - back_s <= borne_out <= self.now + self.jump_max_s

    def add_time(self, at: float, borne_out: float | None = None) -> None:
        """Add an event at this finite time, seconds; pass `borne_out(at)` if it is known."""
        latest = self.borne_out(at) if borne_out is None else borne_out
        is_ahead = latest > self.now
        if is_ahead or self.is_wrong(latest):
            if is_ahead and not self.is_full and self.is_wrong(latest):
                self.behind_n += sum(time < latest - self.ahead_max_s for time in self._heard)
            self.now = latest
        self.behind_n += at < self.now - self.ahead_max_s
        if self.is_full:
            self.ahead_n += self._heard.pop(0) > self.now + self.ahead_max_s
        self._heard.append(at)

    def hear_dense(self, ats: Sequence[float]) -> None:
        """Add events at these times, seconds, for which `is_dense` holds."""
        self.now = max([self.now, *ats])
        self._heard = [*self._heard, *ats[-HEARD_N:]][-HEARD_N:]

    def is_dense(self, low: float, high: float) -> bool:
        """Whether events at times from `low` to `high` simply move the clock to the largest."""
        if not self.is_full:
            return False
        low = min(low, *self._heard)
        return max(high, *self._heard) - low <= self.ahead_max_s and low >= (
            self.now - self.ahead_max_s
        )

    def take_tick(self, now: float) -> None:
        """Set the clock to `now`, seconds, as if all latest events had that time; never back."""
        if now > self.now:
            self.now = now
            self._heard = [now] * HEARD_N

    def copy(self) -> Clock:
        """Return a copy with the present time and latest events; its counts start at 0."""
        other = Clock(self.ahead_max_s, self.jump_max_s)
        other.now, other._heard = self.now, [*self._heard]
        return other
