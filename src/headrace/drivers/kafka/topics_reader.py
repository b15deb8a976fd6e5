"""Whole topics read without a group, from places that the caller names: for `headrace audit`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from ...bridges.bridge import Unreachable
from ...flow.effects import Part
from ...settings.kafka import KafkaSettings
from .client import make_consumer
from .connection import Connection
from .reading import partition_of, start_client

READ_S = 0.5
ASSIGN_S_MAX, POLL_S = 5.0, 0.05


class TopicsReader(Connection):
    """Reads all partitions of some topics, also partitions that are added later.

    Raises `Unreachable` while the brokers are away, or one of the topics is missing.
    """

    def __init__(self, settings: KafkaSettings, topics: Sequence[str]) -> None:
        super().__init__(settings)
        self._topics = topics
        self._consumer: Any = None
        self._places: dict[Part, int] = {}

    def read_bounds(self) -> dict[Part, tuple[int, int]]:
        """Return each partition's first offset, and the one past its last."""
        return self._run_coroutine(self._read_bounds())

    def read(self, places: Mapping[Part, int], n: int) -> dict[Part, list[Any]]:
        """Return about n records at most from these places on; none if none comes in half a second.

        A partition without a place is read from its first record; so is one whose place is no
        longer within its records.
        """
        return self._run_coroutine(self._read_records(places, n))

    async def _start_clients(self, stack: AsyncExitStack) -> None:
        reader = make_consumer(self._settings, auto_offset_reset="earliest")
        self._consumer = await start_client(stack, reader)
        self._consumer.subscribe(list(self._topics))
        self._places = {}
        # The consumer learns the partitions of its topics a moment after it subscribed.
        until = asyncio.get_running_loop().time() + ASSIGN_S_MAX
        while self._list_missing() and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(POLL_S)

    def _list_parts(self) -> list[Part]:
        parts = sorted(Part(tp.topic, tp.partition) for tp in self._consumer.assignment())
        if missing := self._list_missing():
            raise Unreachable(
                f"Kafka has no topic {', '.join(missing)}; headrace topics --create makes it"
            )
        return parts

    def _list_missing(self) -> list[str]:
        return sorted({*self._topics} - {tp.topic for tp in self._consumer.assignment()})

    async def _read_bounds(self) -> dict[Part, tuple[int, int]]:
        parts = self._list_parts()
        tps = [partition_of(*part) for part in parts]
        firsts = await self._consumer.beginning_offsets(tps)
        ends = await self._consumer.end_offsets(tps)
        return {part: (firsts[tp], ends[tp]) for part, tp in zip(parts, tps, strict=True)}

    async def _read_records(self, places: Mapping[Part, int], n: int) -> dict[Part, list[Any]]:
        if self._places.keys() != {*self._list_parts()}:
            for part, (first, end) in (await self._read_bounds()).items():
                place = places.get(part, first)
                self._seek_place(part, place if first <= place <= end else first)
        for part, place in places.items():
            if part in self._places and place > self._places[part]:
                self._seek_place(part, place)
        by_partition = await self._consumer.getmany(timeout_ms=int(READ_S * 1000), max_records=n)
        for tp, records in by_partition.items():
            self._places[Part(tp.topic, tp.partition)] = records[-1].offset + 1
        return {Part(tp.topic, tp.partition): records for tp, records in by_partition.items()}

    def _seek_place(self, part: Part, place: int) -> None:
        self._consumer.seek(partition_of(*part), place)
        self._places[part] = place
