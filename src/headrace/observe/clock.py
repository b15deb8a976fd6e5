"""Event time: how the clock of a stream follows the times of its events, and no single one of them.

A wrong clock of one producer must not decide about all others: expire their requests, have them
rejected, or stop the time. So an event moves the clock only where the latest others bear it out;
what follows from that, and what does not, is in docs/TIME.md. Requests and budgets are not known
here.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from ..settings import Settings

HEARD_N = 15
"""The latest so many events are heard. Fewer than half of them may be wrong at once."""

DEADLINE_PARTS = 10
"""An event may move the clock by this part of a request's time without being borne out."""

SURE_MIN = 5
"""With fewer events than this nobody outside is told a time."""


def describe_off_clock(ahead_n: int, behind_n: int) -> str:
    """Events that are far from the clock, in words; empty where there are none.

    >>> describe_off_clock(1, 0).split(" (")[0]
    '1 event far ahead of the others did not move it'
    """
    told = []
    if ahead_n:
        told.append(f"{_events(ahead_n)} far ahead of the others did not move it")
    if behind_n:
        told.append(f"{_events(behind_n)} came far behind it")
    return f"{', '.join(told)} (by more than label.deadline_s / 10; docs/TIME.md)" if told else ""


def _events(n: int) -> str:
    return "1 event" if n == 1 else f"{n:,} events"


def clock_of(settings: Settings) -> Clock:
    """The clock of one stream; an event alone may take a tenth of a request's time, no more."""
    jump_max_s = settings.input.jump_max_s
    return Clock(min(settings.label.deadline_s / DEADLINE_PARTS, jump_max_s), jump_max_s)


class Clock:
    """The latest time that the last `HEARD_N` events bear out; it does not go back.

    Borne out is what is at most `ahead_max_s` later than the median of these events (the lower one,
    of an even number). Of events that come closer than that, the clock is simply the largest time
    so far; else it lags by seven events. With each event it takes time O(`HEARD_N`), or O(1) for
    those of a dense stretch.

    It is set anew, to an earlier time too, where it was wrong: in the first `HEARD_N` events, which
    no earlier ones can bear out, and later when it is more than `jump_max_s` from what they say.

    `ahead_n` events were ahead when `HEARD_N` others had come and did not bear them out, `behind_n`
    came more than `ahead_max_s` behind.

    >>> clock = Clock(ahead_max_s=60.0, jump_max_s=3e7)
    >>> for at in (4e9, 100.0, 101.0, 4e9, 102.0):
    ...     clock.hear(at)
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
        # The times heard, oldest first.
        self._heard: list[float] = []

    @property
    def is_full(self) -> bool:
        """As many were heard as ever are."""
        return len(self._heard) == HEARD_N

    @property
    def sure(self) -> float:
        """A time that will hardly be corrected, seconds; minus infinity as long as any may be."""
        if self.is_full or len(self._heard) < SURE_MIN:
            return self.now if self.is_full else -math.inf
        return sorted(self._heard)[(len(self._heard) - 1) // 2]

    @property
    def waiting_n(self) -> int:
        """Events that are ahead of the clock, and may still be borne out."""
        return sum(at > self.now + self.ahead_max_s for at in self._heard)

    def borne_out(self, at: float) -> float:
        """The latest time that is borne out once an event at this finite time came; seconds."""
        times = sorted([*self._heard, at][-HEARD_N:])
        middle = times[(len(times) - 1) // 2]
        return times[bisect_right(times, middle + self.ahead_max_s) - 1]

    def is_wrong(self, borne_out: float) -> bool:
        """Whether the clock has to be set anew for this time to be told."""
        back_s = self.jump_max_s if self.is_full else 0.0
        return not self.now - back_s <= borne_out <= self.now + self.jump_max_s

    def hear(self, at: float, borne_out: float | None = None) -> None:
        """One more event, at this finite time, seconds; `borne_out` if that is known already."""
        told = self.borne_out(at) if borne_out is None else borne_out
        is_ahead = told > self.now
        if is_ahead or self.is_wrong(told):
            if is_ahead and not self.is_full and self.is_wrong(told):
                self.behind_n += sum(time < told - self.ahead_max_s for time in self._heard)
            self.now = told
        self.behind_n += at < self.now - self.ahead_max_s
        if self.is_full:
            self.ahead_n += self._heard.pop(0) > self.now + self.ahead_max_s
        self._heard.append(at)

    def hear_dense(self, ats: Sequence[float]) -> None:
        """Many events for which `is_dense` holds."""
        self.now = max([self.now, *ats])
        self._heard = [*self._heard, *ats[-HEARD_N:]][-HEARD_N:]

    def is_dense(self, low: float, high: float) -> bool:
        """Whether events with times from `low` to `high` move it simply to the largest of them."""
        if not self.is_full:
            return False
        low = min(low, *self._heard)
        return max(high, *self._heard) - low <= self.ahead_max_s and low >= (
            self.now - self.ahead_max_s
        )

    def take_tick(self, now: float) -> None:
        """Somebody vouches for `now`, seconds, as if all had said so; not if that is earlier."""
        if now > self.now:
            self.now = now
            self._heard = [now] * HEARD_N

    def copy(self) -> Clock:
        """Another one that goes on from here."""
        other = Clock(self.ahead_max_s, self.jump_max_s)
        other.now, other._heard = self.now, [*self._heard]
        return other
