"""Whole topics read without a group, from places that the reader is given: for `headrace audit`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from ...bridges.bridge import Unreachable
from ...drivers.kafka.client import NoBroker, check_brokers, consumer, library
from ...drivers.kafka.faults import lasting, passes
from ...drivers.kafka.reading import partition_of, started
from ...errors import BadInput
from ...flow.effects import Part
from ...settings_kafka import KafkaSettings

READ_S = 0.5
ASSIGN_S_MAX, POLL_S = 5.0, 0.05


class TopicsReader:
    """Reads all partitions of some topics, those that are added later too.

    Raises `Unreachable` while the brokers are away, or one of the topics is missing.
    """

    def __init__(self, settings: KafkaSettings, topics: Sequence[str]) -> None:
        self._settings = settings
        self._topics = topics
        self._runner = asyncio.Runner()
        self._opened: AsyncExitStack | None = None
        self._consumer: Any = None
        self._places: dict[Part, int] = {}

    def bounds(self) -> dict[Part, tuple[int, int]]:
        """The first offset that each partition holds, and the one behind its last."""
        found: dict[Part, tuple[int, int]] = self._runner.run(self._reached(self._bounds()))
        return found

    def read(self, places: Mapping[Part, int], n: int) -> dict[Part, list[Any]]:
        """About n records at most from these places on; none within half a second: there are none.

        A partition without a place is read from its first record; so is one that does not hold its
        place any more.
        """
        found: dict[Part, list[Any]] = self._runner.run(self._reached(self._read(places, n)))
        return found

    def close(self) -> None:
        if self._opened is not None:
            self._runner.run(self._opened.aclose())
        self._runner.close()

    async def _reached(self, act: Any) -> Any:
        kafka_error = library("aiokafka.errors").KafkaError
        try:
            if self._opened is None:
                await self._open()
            return await act
        except (Unreachable, NoBroker, OSError, TimeoutError, kafka_error) as error:
            act.close()
            if self._opened is not None:
                await self._opened.aclose()
                self._opened = None
            if isinstance(error, Unreachable):
                raise
            if not passes(error):
                raise BadInput(f"Kafka: {lasting(error)}") from error
            raise Unreachable(f"Kafka: {str(error) or type(error).__name__}") from error

    async def _open(self) -> None:
        await check_brokers(self._settings)
        async with AsyncExitStack() as stack:
            reader = consumer(self._settings, auto_offset_reset="earliest")
            self._consumer = await started(stack, reader)
            self._consumer.subscribe(list(self._topics))
            self._places = {}
            # What there is of topics comes a moment after it was asked for.
            until = asyncio.get_running_loop().time() + ASSIGN_S_MAX
            while self._missing() and asyncio.get_running_loop().time() < until:
                await asyncio.sleep(POLL_S)
            self._opened = stack.pop_all()

    def _parts(self) -> list[Part]:
        parts = sorted(Part(tp.topic, tp.partition) for tp in self._consumer.assignment())
        if missing := self._missing():
            raise Unreachable(
                f"Kafka has no topic {', '.join(missing)}; headrace topics --create makes it"
            )
        return parts

    def _missing(self) -> list[str]:
        return sorted({*self._topics} - {tp.topic for tp in self._consumer.assignment()})

    async def _bounds(self) -> dict[Part, tuple[int, int]]:
        parts = self._parts()
        tps = [partition_of(*part) for part in parts]
        firsts = await self._consumer.beginning_offsets(tps)
        ends = await self._consumer.end_offsets(tps)
        return {part: (firsts[tp], ends[tp]) for part, tp in zip(parts, tps, strict=True)}

    async def _read(self, places: Mapping[Part, int], n: int) -> dict[Part, list[Any]]:
        if self._places.keys() != {*self._parts()}:
            for part, (first, end) in (await self._bounds()).items():
                place = places.get(part, first)
                self._seek(part, place if first <= place <= end else first)
        for part, place in places.items():
            if part in self._places and place > self._places[part]:
                self._seek(part, place)
        found = await self._consumer.getmany(timeout_ms=int(READ_S * 1000), max_records=n)
        for tp, records in found.items():
            self._places[Part(tp.topic, tp.partition)] = records[-1].offset + 1
        return {Part(tp.topic, tp.partition): records for tp, records in found.items()}

    def _seek(self, part: Part, place: int) -> None:
        self._consumer.seek(partition_of(*part), place)
        self._places[part] = place
