"""Whether nobody in the group has an event to feed: only then does the clock of the day count.

While there is a backlog anywhere, what is due by the clock of the day may be far ahead of the
events that lead to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .effects import Bounds, Part
from .overdue import is_live


class Quiet:
    """Looks, when something is overdue by the clock of the day, at most once in a quiet time."""

    def __init__(self, quiet_s: float, elapsed: float) -> None:
        self._quiet_s = quiet_s
        self._fed_at = self._looked_at = elapsed
        self._seen: list[tuple[int, int]] | None = None
        self.holds = False

    def fed(self, elapsed: float) -> None:
        """Events were fed here."""
        self._fed_at, self.holds = elapsed, False

    def now(self, deadline: float | None, now: float, wall: float) -> float:
        """The clock of the events; in a quiet hour, once this is overdue, that of the day."""
        if deadline is None or not self.holds:
            return now
        return max(now, wall) if is_live(deadline, wall) else now

    def wants_look(
        self, deadlines: Iterable[float | None], now: float, wall: float, elapsed: float
    ) -> bool:
        """Whether one of these is overdue, and it is time to look at the whole group."""
        if not any(is_live(due, wall) and due > now for due in deadlines if due is not None):
            return False
        if elapsed - max(self._fed_at, self._looked_at) < self._quiet_s:
            return False
        self._looked_at = elapsed
        return True

    def seen(self, found: Mapping[Part, Bounds]) -> None:
        """Where the group stands in each partition of the events.

        An event would be fed at once; what stays for a while is no event.
        """
        places = [(max(one.committed or 0, one.first), one.end) for one in found.values()]
        is_done = all(place >= end for place, end in places)
        self.holds = is_done and places == self._seen
        self._seen = places
