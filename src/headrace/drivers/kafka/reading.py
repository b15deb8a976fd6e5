"""Carries out what flows and routines ask of logs, with one consumer without a group."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, TypeVar

from ...flow.effects import Bounds, Find, Look, Part, Read, Retrain, Routine
from ...learn.retrain import Challenger, RetrainJob, attempt_job
from .client import import_extra
from .topic_ids import topic_ids

QUICK: dict[str, Any] = {"fetch_max_wait_ms": 20}
"""Options of a consumer that reads logs to their ends: a request behind a fetch that waits for
records is answered when that fetch is over, by default half a second later."""

READ_MAX = 2_000

STOP_S_MAX = 5.0
"""How long a client may take to stop: a producer waits for brokers that are away."""

T = TypeVar("T")


def partition_of(topic: str, partition: int) -> Any:
    """Return a partition as aiokafka's `TopicPartition`."""
    return import_extra("aiokafka").TopicPartition(topic, partition)


class Reader:
    """Carries out `Look`, `Find` and `Read`, one at a time, and `Retrain` beside them.

    The consumer is started by the caller and used by nobody else. `retrain` runs a retraining
    outside the event loop; `on_read` is called with how many records were read.
    """

    def __init__(
        self,
        consumer: Any,
        retrain: Callable[[RetrainJob], Any],
        on_read: Callable[[int], None] = lambda n: None,
    ) -> None:
        self._consumer = consumer
        self._retrain = retrain
        self._on_read = on_read
        self._turn = asyncio.Lock()
        self._places: dict[Part, int] = {}

    async def run_routine(self, routine: Routine[T]) -> T:
        """Run a routine to its end, and return its value."""
        result: Any = None
        while True:
            try:
                request = routine.send(result)
            except StopIteration as ended:
                value: T = ended.value
                return value
            assert isinstance(request, Look | Find | Read | Retrain)
            result = await self.carry_out(request)

    async def carry_out(self, request: Look | Find | Read | Retrain) -> Any:
        """Carry out a request and return the result that its docstring names."""
        if isinstance(request, Retrain):
            result: tuple[Challenger | None, str | None] = await self._retrain(request.job)
            return result
        async with self._turn:
            match request:
                case Look(parts=parts):
                    return await self.find_bounds(parts)
                case Find(parts=parts, since_ms=since_ms):
                    return await self._find_offsets(parts, since_ms)
                case Read(part=part, start=start, stop=stop):
                    return await self._read_records(part, start, stop)

    async def find_bounds(self, parts: tuple[Part, ...]) -> dict[Part, Bounds]:
        """Return where these parts begin and end, and the ids of their topics."""
        tps = [partition_of(*part) for part in parts]
        if not tps:
            return {}
        firsts = await self._consumer.beginning_offsets(tps)
        ends = await self._consumer.end_offsets(tps)
        ids = await topic_ids(self._consumer, (part.topic for part in parts))
        return {
            part: Bounds(firsts[tp], ends[tp], topic_id=ids.get(part.topic, ""))
            for part, tp in zip(parts, tps, strict=True)
        }

    async def _find_offsets(self, parts: tuple[Part, ...], since_ms: int) -> dict[Part, int]:
        tps = [partition_of(*part) for part in parts]
        self._assign_partitions(tps)
        offsets = await self._consumer.offsets_for_times(dict.fromkeys(tps, since_ms))
        ends = await self._consumer.end_offsets(tps)
        return {
            part: offsets[tp].offset if offsets[tp] is not None else ends[tp]
            for part, tp in zip(parts, tps, strict=True)
        }

    async def _read_records(self, part: Part, start: int, stop: int) -> tuple[list[Any], int]:
        tp = partition_of(*part)
        if part not in self._places:
            self._assign_partitions([*(partition_of(*other) for other in self._places), tp])
            self._places = dict.fromkeys([*self._places, part], -1)
        if self._places[part] != start:
            self._consumer.seek(tp, start)
        self._places[part] = -1
        records: list[Any] = []
        while not records and await self._consumer.position(tp) < stop:
            by_partition = await self._consumer.getmany(tp, timeout_ms=1_000, max_records=READ_MAX)
            records = by_partition.get(tp, [])
        self._on_read(len(records))
        # With records read ahead nothing above waits: other tasks must have their turn.
        await asyncio.sleep(0)
        place: int = await self._consumer.position(tp)
        self._places[part] = place
        return records, place

    def _assign_partitions(self, tps: list[Any]) -> None:
        """Read these partitions and no others; forget the places that were reached."""
        self._consumer.assign(tps)
        self._places = {}

    def stop_reading(self) -> None:
        """Stop reading ahead, until records are asked for again."""
        if self._places and not self._turn.locked():
            self._consumer.unsubscribe()
            self._places = {}


def retraining_in(
    threads: Any, call: Callable[[RetrainJob], Any] = attempt_job
) -> Callable[..., Any]:
    """Return a `Reader`'s `retrain`, which runs retrainings in one of these threads."""

    async def run_job(job: RetrainJob) -> Any:
        return await asyncio.get_running_loop().run_in_executor(threads, call, job)

    return run_job


async def start_client(stack: AsyncExitStack, asleep: Any) -> Any:
    """Start a client; the stack stops it, within `STOP_S_MAX` even if no broker answers."""

    async def stop_client() -> None:
        try:
            await asyncio.wait_for(asleep.stop(), STOP_S_MAX)
        except TimeoutError:
            # A producer still waits to send records; a consumer has closed its connections already.
            if (sender := getattr(asleep, "_sender", None)) is not None:
                with suppress(asyncio.CancelledError):
                    await sender.close()
                await asleep.client.close()
        except asyncio.CancelledError:
            # A consumer cancels its fetches; one that waits to try again raises that here.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise

    stack.push_async_callback(stop_client)
    await asleep.start()
    return asleep
