"""Whether nobody in the group has an event to feed: only then does the clock of the day count.

While there is a backlog anywhere, what is due by the clock of the day may be far ahead of the
events that lead to it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ...flow.overdue import is_live
from .reading import partition_of

if TYPE_CHECKING:
    from .session import Session


class Quiet:
    """Looks, when something is overdue by the clock of the day, at most once in a quiet time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._fed_at = self._looked_at = time.monotonic()
        self._seen: list[tuple[int, int]] | None = None
        self.holds = False

    def fed(self) -> None:
        """Events were fed here."""
        self._fed_at, self.holds = time.monotonic(), False

    def now(self, deadline: float | None) -> float:
        """The clock of the events; in a quiet hour, once this is overdue, that of the day."""
        session = self._session
        if deadline is None or not self.holds:
            return session.now
        wall = session.clock()
        return max(session.now, wall) if is_live(deadline, wall) else session.now

    async def look(self, deadlines: list[float | None]) -> None:
        """Find out, if one of these is overdue; asks the brokers about the whole group."""
        session, wall = self._session, self._session.clock()
        quiet_s = session.settings.worker.quiet_tick_s
        if not any(
            is_live(due, wall) and due > session.now for due in deadlines if due is not None
        ):
            return
        if time.monotonic() - max(self._fed_at, self._looked_at) < quiet_s:
            return
        self._looked_at = time.monotonic()
        seen = await self._places()
        # An event would be fed at once; what stays for a while is no event.
        is_done = all(place >= end for place, end in seen)
        self.holds = is_done and seen == self._seen
        self._seen = seen

    async def _places(self) -> list[tuple[int, int]]:
        """Where the group stands in each partition of the events, and where that ends."""
        session, name = self._session, self._session.settings.kafka.events
        tps: list[Any] = [partition_of(name, n) for n in range(session.partitions_n)]
        firsts = await session.reader.beginning_offsets(tps)
        ends = await session.reader.end_offsets(tps)
        return [
            (max(await session.consumer.committed(tp) or 0, firsts[tp]), ends[tp]) for tp in tps
        ]
