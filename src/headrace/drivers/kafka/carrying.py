"""Carries out the requests of a flow with the clients of a driver, and returns their results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any

from ...adapters.metrics.timings import Timings
from ...flow.effects import Commit, Find, Load, Look, Part, Produce, Read, Request, Retrain, Save
from ...learn.retrain import RetrainJob
from ..refits import Attempted
from . import client
from .reading import Reader, partition_of, retraining_in
from .states import States

LOOK_S_MAX = 5.0
"""How long brokers may take to answer a look that may fail; after it they count as silent."""


class Carrier:
    """Carries out requests. `use_clients` sets its clients; `consumer` is the group's.

    Snapshots are loaded and saved, and retrainings run by `attempt`, in `threads`; the events have
    `partitions_n` partitions.
    """

    consumer: Any

    def __init__(
        self,
        states: States,
        threads: Executor,
        timings: Timings,
        partitions_n: int,
        attempt: Callable[[RetrainJob], Attempted],
    ) -> None:
        self._states = states
        self._attempt = attempt
        self._threads = threads
        self._timings = timings
        self._partitions_n = partitions_n

    def use_clients(self, producer: Any, looking: Any, reading: Any) -> None:
        """Set the producer, and two consumers without a group: one to look, one to read logs."""
        retrain = retraining_in(self._threads, self._attempt_job)
        self._producer = producer
        self._looker = Reader(looking, retrain)
        self._reader = Reader(reading, retrain)

    async def carry_out(self, request: Request) -> Any:
        """Carry out a request and return the result that its docstring names."""
        match request:
            case Produce(records=records):
                return [record.offset for record in await send_records(self._producer, records)]
            case Commit(offsets=offsets):
                return await self._commit_offsets(offsets)
            case Look():
                return await self._find_bounds(request)
            case Find() | Read() | Retrain():
                return await self._reader.carry_out(request)
            case Load() | Save():
                return await self._in_thread(self._use_store, request)

    async def _find_bounds(self, request: Look) -> Any:
        if request.may_fail:
            with suppress(client.import_extra("aiokafka.errors").KafkaError, TimeoutError):
                return await asyncio.wait_for(self._looker.find_bounds(request.parts), LOOK_S_MAX)
            return None
        by_part = await self._looker.carry_out(request)
        if request.is_of_group:
            # Side by side: one after the other, each would wait for the brokers' answer.
            offsets = await asyncio.gather(
                *(self.consumer.committed(partition_of(*part)) for part in by_part)
            )
            for (part, bounds), committed in zip(by_part.items(), offsets, strict=True):
                by_part[part] = bounds._replace(committed=committed)
        return by_part

    async def _commit_offsets(self, offsets: Mapping[Part, int]) -> str | None:
        changed = {partition_of(*part): offset for part, offset in offsets.items()}
        try:
            await self.consumer.commit(changed)
        except client.import_extra("aiokafka.errors").CommitFailedError as error:
            return str(error)
        return None

    def _use_store(self, request: Load | Save) -> Any:
        match request:
            case Load(kind="training"):
                return self._states.read_training()
            case Load(kind="desk", number=number):
                return self._states.read_desk(number)
            case Load(number=number, before=before):
                return self._states.read_shard(number, self._partitions_n, before)
            case Save(parts=parts):
                try:
                    for part in parts:
                        self._states.write(part)
                except OSError as error:
                    return str(error)
        return None

    def _attempt_job(self, job: RetrainJob) -> Attempted:
        began = time.perf_counter()
        try:
            return self._attempt(job)
        finally:
            self._timings.count_retraining(time.perf_counter() - began)

    async def _in_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)


async def send_records(producer: Any, records: Sequence[Any]) -> list[Any]:
    """Send these records in order; return the brokers' acknowledgements once all have come."""
    futures = [
        await producer.send(
            record.topic,
            record.value,
            key=record.key,
            partition=record.partition,
            headers=list(record.headers),
        )
        for record in records
    ]
    return list(await asyncio.gather(*futures))
