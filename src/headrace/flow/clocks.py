"""The clocks of a worker: that of its events, that of the day, and one that never jumps.

The clock of the day counts only while nobody in the group has an event to feed: while there is a
backlog anywhere, what is due by it may be far ahead of the events that lead to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from .effects import Bounds, Part, Woke
from .overdue import is_live


class Clocks:
    """`events` is the clock of the events, `wall` that of the day, `elapsed` never jumps; seconds.

    When something is overdue by the clock of the day, the group is looked at, at most once in
    `quiet_s`. `timer` says how long something takes, in seconds from any moment.
    """

    def __init__(self, quiet_s: float, woke: Woke, timer: Callable[[], float]) -> None:
        self.timer = timer
        self.events = -math.inf
        self.wall, self.elapsed = woke.now, woke.elapsed
        self._quiet_s = quiet_s
        self._fed_at = self._looked_at = woke.elapsed
        self._seen: list[tuple[int, int]] | None = None
        self._is_quiet = False

    def wake(self, now: float, elapsed: float) -> None:
        """So late it is."""
        self.wall, self.elapsed = now, elapsed

    def advance_events(self, at: float) -> None:
        """The clock of the events has reached this moment, if it was not there before."""
        self.events = max(self.events, at)

    @property
    def has_events(self) -> bool:
        """Whether the clock of the events has begun."""
        return math.isfinite(self.events)

    def note_feeding(self) -> None:
        """Events were fed here."""
        self._fed_at, self._is_quiet = self.elapsed, False

    def read_for(self, deadline: float | None) -> float:
        """The clock of the events; in a quiet hour, once this is overdue, that of the day."""
        if deadline is None or not self._is_quiet or not is_live(deadline, self.wall):
            return self.events
        return max(self.events, self.wall)

    def wants_look(self, deadlines: Iterable[float | None]) -> bool:
        """Whether one of these is overdue, and it is time to look at the whole group."""
        dues = [due for due in deadlines if due is not None]
        if not any(is_live(due, self.wall) and due > self.events for due in dues):
            return False
        if self.elapsed - max(self._fed_at, self._looked_at) < self._quiet_s:
            return False
        self._looked_at = self.elapsed
        return True

    def note_group(self, found: Mapping[Part, Bounds]) -> None:
        """Where the group stands in each partition of the events.

        An event would be fed at once; what stays for a while is no event.
        """
        places = [(max(one.committed or 0, one.first), one.end) for one in found.values()]
        is_done = all(place >= end for place, end in places)
        self._is_quiet = is_done and places == self._seen
        self._seen = places
