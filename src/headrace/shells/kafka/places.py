"""Whether a place in a log is still one: between its first record and its last.

A place beyond the end is of another log of that name; one before the first record has lost what
lay between. Neither is passed over in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...adapters.catalogue_stream import LOGS_READ
from ...errors import BadInput
from ...settings_kafka import KafkaSettings


class Places:
    """Looks at logs through `reader`; counts in `lost_n`, by log, what was deleted unread."""

    def __init__(
        self,
        kafka: KafkaSettings,
        reader: Any,
        warn: Callable[[str], None],
        lost_n: dict[str, int],
    ) -> None:
        self._logs = {getattr(kafka, name): name for name in LOGS_READ}
        self._reader = reader
        self._warn = warn
        self._lost_n = lost_n

    async def bounds(self, tp: Any) -> tuple[int, int]:
        """Offsets of a partition's first record and behind its last."""
        first = await self._reader.beginning_offsets([tp])
        return first[tp], (await self._reader.end_offsets([tp]))[tp]

    def lose(self, tp: Any, start: int, stop: int, result: str) -> None:
        """Count and tell that these records were deleted before they were read."""
        log = self._logs[tp.topic]
        self._lost_n[log] = self._lost_n.get(log, 0) + stop - start
        self._warn(
            f"{tp.topic}, partition {tp.partition}: {stop - start} records from {start} on were "
            f"deleted before they were read: {result}. Keep that topic longer (retention.ms)"
        )

    async def check_gap(self, tp: Any, position: int, offset: int) -> None:
        """The next record after `position` has this offset: is what lies between deleted?

        It may also be what nobody gets: marks of transactions, and what they took back.
        """
        if offset > position:
            first = (await self._reader.beginning_offsets([tp]))[tp]
            if first > position:
                self.lose(tp, position, first, "what follows goes on without them")

    async def of_group(self, tp: Any, committed: int | None) -> int:
        """Where to go on in a topic whose place is what the group committed."""
        first, end = await self.bounds(tp)
        if committed is None:
            return first
        if committed > end:
            self._warn(
                f"{tp.topic}, partition {tp.partition}, ends at {end}, and the group stands at "
                f"{committed}: it was made anew; it is read from its beginning"
            )
            return first
        if committed < first:
            self.lose(tp, committed, first, "nobody hears of them")
        return max(committed, first)


def check_place(tp: Any, position: int, end: int) -> None:
    """A place beyond the end of its log is of another log of that name, or of a longer one.

    Raises `BadInput`: nobody can say which records of what is there now were seen.
    """
    if position > end:
        raise BadInput(
            f"{tp.topic}, partition {tp.partition}, ends at {end}, and our state stands at "
            f"{position}: it was deleted, cut or made anew. Put it back, give the topic a new name "
            "in [kafka], or begin anew with headrace reset"
        )
