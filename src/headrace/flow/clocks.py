"""The clocks of a worker: that of its events, that of the day, and one that never jumps.

The clock of the day counts only while no worker of the group has an event to feed: with a backlog
anywhere, a deadline that it has passed may lie far ahead of the events that are still to be read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from .effects import Bounds, Part, Woke
from .overdue import is_live


class Clocks:
    """`events` is the clock of the events, `wall` that of the day, `elapsed` never jumps; seconds.

    When something is overdue by the clock of the day, the group's offsets are looked up, at most
    once in `quiet_s`. `woke` is when the clocks begin; `timer` returns seconds from any moment, to
    measure how long something takes.
    """

    def __init__(self, quiet_s: float, woke: Woke, timer: Callable[[], float]) -> None:
        self.timer = timer
        self.events = -math.inf
        self.wall, self.elapsed = woke.now, woke.elapsed
        self._quiet_s = quiet_s
        self._fed_at = self._looked_at = woke.elapsed
        self._seen: list[tuple[int, int]] | None = None
        self._is_quiet = False

    def set_times(self, now: float, elapsed: float) -> None:
        """Set the clock of the day and the one that never jumps."""
        self.wall, self.elapsed = now, elapsed

    def advance_events(self, at: float) -> None:
        """Move the clock of the events forward to this moment; it never goes back."""
        self.events = max(self.events, at)

    @property
    def has_events(self) -> bool:
        """Whether the clock of the events has begun."""
        return math.isfinite(self.events)

    def note_feeding(self) -> None:
        """Note that this worker has just fed events."""
        self._fed_at, self._is_quiet = self.elapsed, False

    def read_for(self, deadline: float | None) -> float:
        """Return the clock of the events; in a quiet hour, for an overdue deadline, the day's."""
        if deadline is None or not self._is_quiet or not is_live(deadline, self.wall):
            return self.events
        return max(self.events, self.wall)

    def wants_look(self, deadlines: Iterable[float | None]) -> bool:
        """Whether one of these deadlines is overdue, and it is time to look at the whole group."""
        dues = [due for due in deadlines if due is not None]
        if not any(is_live(due, self.wall) and due > self.events for due in dues):
            return False
        if self.elapsed - max(self._fed_at, self._looked_at) < self._quiet_s:
            return False
        self._looked_at = self.elapsed
        return True

    def note_group(self, found: Mapping[Part, Bounds]) -> None:
        """Note where the group stands in each partition of the events.

        It is quiet if the group is at the end of all, and none has grown since the last look.
        """
        places = [(max(part.committed or 0, part.first), part.end) for part in found.values()]
        is_done = all(place >= end for place, end in places)
        self._is_quiet = is_done and places == self._seen
        self._seen = places
