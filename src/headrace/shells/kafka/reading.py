"""Stretches of topics read by their offsets, for whoever makes a state anew from the logs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

from .client import library
from .places import check_place

QUICK: dict[str, Any] = {"fetch_max_wait_ms": 20}
"""Options of a consumer that reads logs to their ends: what is asked behind a fetch that waits for
records is answered when that is over, half a second later unless told otherwise."""


def partition_of(topic: str, partition: int) -> Any:
    """aiokafka's name for a partition."""
    return library("aiokafka").TopicPartition(topic, partition)


class Tapes:
    """Some partitions, each read forwards from its own place by one consumer without a group.

    The consumer is started by the caller and used by nobody else. `lost` says, for each partition,
    how many records before its first were wanted and had been deleted; `ends` where each ended.
    """

    def __init__(self, consumer: Any, starts: Mapping[Any, int]) -> None:
        self._consumer = consumer
        self._starts = dict(starts)
        self._read: dict[Any, deque[Any]] = {}
        self.lost: dict[Any, int] = {}
        self.ends: dict[Any, int] = {}

    async def open(self) -> None:
        """Go to where each begins, or to the first record that is still there.

        Raises `BadInput` for a place beyond the end: that is another log.
        """
        self._consumer.assign(list(self._starts))
        tps = list(self._starts)
        first = await self._consumer.beginning_offsets(tps) if tps else {}
        self.ends = await self._consumer.end_offsets(tps) if tps else {}
        for tp, start in self._starts.items():
            check_place(tp, start, self.ends[tp])
            self._read[tp] = deque()
            self.lost[tp] = max(0, first[tp] - start)
            self._consumer.seek(tp, max(start, first[tp]))

    async def until(self, tp: Any, stop: int) -> AsyncIterator[list[Any]]:
        """The records before offset `stop` that were not read yet, a piece at a time.

        They must be there already: this waits for them.
        """
        ahead = self._read[tp]
        while True:
            piece = []
            while ahead and ahead[0].offset < stop:
                piece.append(ahead.popleft())
            if piece:
                yield piece
                # What was read ahead must not keep the others of this process waiting.
                await asyncio.sleep(0)
            if ahead or await self._consumer.position(tp) >= stop:
                return
            found = await self._consumer.getmany(tp, timeout_ms=1_000, max_records=1_000)
            for records in found.values():
                ahead.extend(records)

    def skip(self, tp: Any, start: int) -> None:
        """Go on from this offset, wherever it was read up to."""
        ahead = self._read[tp]
        if ahead and ahead[0].offset <= start <= ahead[-1].offset:
            while ahead[0].offset < start:
                ahead.popleft()
            return
        ahead.clear()
        self._consumer.seek(tp, start)

    async def next(self, tp: Any, stop: int) -> Any | None:
        """The next record before offset `stop`; None if there is none left."""
        ahead = self._read[tp]
        while not ahead and await self._consumer.position(tp) < stop:
            found = await self._consumer.getmany(tp, timeout_ms=1_000, max_records=1_000)
            for records in found.values():
                ahead.extend(records)
        return ahead.popleft() if ahead and ahead[0].offset < stop else None


async def read_since(consumer: Any, tps: list[Any], since_ms: int) -> list[Any]:
    """All records of these partitions that were written since a moment."""
    consumer.assign(tps)
    found = await consumer.offsets_for_times(dict.fromkeys(tps, max(0, since_ms)))
    ends = await consumer.end_offsets(tps)
    starts = {tp: found[tp].offset if found[tp] is not None else ends[tp] for tp in tps}
    tapes, read = Tapes(consumer, starts), list[Any]()
    await tapes.open()
    for tp in tps:
        async for records in tapes.until(tp, ends[tp]):
            read += records
    # Else it would go on fetching, and what is asked of it next would wait behind that.
    consumer.unsubscribe()
    return read
