"""One life of a worker's connections: a flow, and the clients that carry out its effects.

Nothing is decided here. What the clients receive is passed to the flow; each of its effects becomes
a call of a client, and each request a task whose result is passed to the flow. After an error
nothing is repaired: the next driver begins from snapshots and logs, as after a kill.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AsyncExitStack, suppress
from typing import Any

from ...adapters.metrics.timings import Timings
from ...flow.effects import (
    Ask,
    Done,
    Effect,
    Emitted,
    Ended,
    Fed,
    Follow,
    Heard,
    Input,
    Note,
    Part,
    Pause,
    Polled,
    Released,
    Request,
    Resume,
    Seek,
    Stopped,
    Woke,
)
from ...flow.flow import Flow
from ...flow.worker_state import FlowSetup
from ...learn.retrain import RetrainJob
from ...messages import Output
from ...report import Report
from ..refits import Attempted
from . import client
from .carrying import Carrier
from .group_consumer import GroupConsumer
from .reading import QUICK, partition_of, start_client
from .states import States
from .training_tail import TrainingTail
from .worker_report import build_flow_report

POLL_MS = 50


class FlowDriver:
    """A flow with its producer and consumers, from `run` until it is stopped or fails.

    - `setup`: what the flow begins with
    - `states`: loads and saves snapshots; `threads` run that, and wait for retrainings
    - `attempt`: runs a retraining and returns its challenger or its error
    - `clock`: returns the time of day, seconds
    - `note`, `warn`: called with sentences, of what goes on and of what an operator should look at
    - `on_outputs`: called with what was decided and learned
    """

    def __init__(
        self,
        setup: FlowSetup,
        states: States,
        threads: Executor,
        *,
        timings: Timings,
        attempt: Callable[[RetrainJob], Attempted],
        clock: Callable[[], float],
        note: Callable[[str], None],
        warn: Callable[[str], None],
        on_outputs: Callable[[Sequence[Output]], None],
    ) -> None:
        self.settings = setup.settings
        self.flow = Flow(setup)
        self._states = states
        events_n, kafka = setup.partitions_n["events"], setup.settings.kafka
        self._carrier = Carrier(states, threads, timings, events_n, attempt)
        self.group = GroupConsumer(kafka, self._carrier, events_n, self._tell_flow)
        self._timings = timings
        self._clock = clock
        self._note, self._warn, self._on_outputs = note, warn, on_outputs
        self._asked: set[asyncio.Task[None]] = set()
        self._ended, self._moved = asyncio.Event(), asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. Raises what went wrong as an exception group."""
        kafka = self.settings.kafka
        async with AsyncExitStack() as stack:
            producer = await start_client(stack, client.make_producer(kafka))
            self._tail = TrainingTail(await start_client(stack, client.make_consumer(kafka)))
            looking = await start_client(stack, client.make_consumer(kafka))
            reading = await start_client(stack, client.make_consumer(kafka, **QUICK))
            self._carrier.use_clients(producer, looking, reading)
            async with asyncio.TaskGroup() as self._tasks:
                self.pass_inputs()
                await self._tail.until_followed()
                beside = [self._tasks.create_task(self._follow_training())]
                try:
                    await self.group.join(stack)
                    beside.append(self._tasks.create_task(self._poll_records()))
                    await stop.wait()
                    self.pass_inputs(Stopped())
                    await self._ended.wait()
                finally:
                    self.group.ignore_changes()
                    for task in (*beside, *self._asked):
                        task.cancel()

    # ---------------------------------------------------------------------- in: to the flow

    def pass_inputs(self, *inputs: Input) -> None:
        """Pass inputs to the flow and carry out its effects, without an await in between."""
        began = time.perf_counter()
        effects = self.flow.take_inputs((Woke(self._clock(), time.monotonic()), *inputs))
        self._time_effects(effects, time.perf_counter() - began)
        for effect in effects:
            self._carry_out(effect)
        self._moved.set()

    async def _poll_records(self) -> None:
        """Read the partitions that are ours, for ever, and let the flow's time pass."""
        consumer, batch_max = self.group.consumer, self.settings.worker.batch_max
        while True:
            turn, by_partition = self.flow.group.turn, dict[Any, list[Any]]()
            timeout_ms = 0 if self.flow.is_behind else POLL_MS
            if self.flow.has_room:
                by_partition = await consumer.getmany(timeout_ms=timeout_ms, max_records=batch_max)
            else:
                self._moved.clear()
                # Not `wait_for`, which on Python 3.11 may swallow that the task is cancelled.
                with suppress(TimeoutError):
                    async with asyncio.timeout(timeout_ms / 1_000):
                        await self._moved.wait()
            records = {Part(*tp): records for tp, records in by_partition.items()}
            self.pass_inputs(Polled(turn, records, await self._read_positions()))
            # Let all other tasks of this process have their turn.
            await asyncio.sleep(0)

    async def _read_positions(self) -> dict[Part, int] | None:
        if not self.flow.is_commit_due:
            return None
        events = self.settings.kafka.events
        tps = [partition_of(events, number) for number in self.flow.owned.shards]
        consumer = self.group.consumer
        assigned = consumer.assignment()
        return {Part(*tp): await consumer.position(tp) for tp in tps if tp in assigned}

    async def _follow_training(self) -> None:
        """Read the training log ahead, for ever."""
        while True:
            for records in await self._tail.read():
                self.pass_inputs(Heard(records))
            while not self.flow.training.has_room:
                await asyncio.sleep(POLL_MS / 1_000)

    async def _tell_flow(self, one: Input) -> None:
        """Pass an input in a task of this driver, whose error ends it: aiokafka hides others."""

        async def pass_on() -> None:
            self.pass_inputs(one)

        telling = pass_on()
        try:
            task = self._tasks.create_task(telling)
        except RuntimeError:
            # Another task has just failed, as when we were fenced: no more inputs are taken.
            telling.close()
            return
        await asyncio.wait([task])

    # ------------------------------------------------------------------ out: effects of the flow

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Ask(number=number, request=request):
                task = self._tasks.create_task(self._answer_request(number, request))
                self._asked.add(task)
                task.add_done_callback(self._asked.discard)
            case Seek(part=part, position=position):
                self.group.consumer.seek(partition_of(*part), position)
            case Pause(part=part):
                self.group.consumer.pause(partition_of(*part))
            case Resume(part=part):
                self.group.consumer.resume(partition_of(*part))
            case Follow(part=part, position=position):
                self._tail.follow_part(part, position)
            case Note(sentence=sentence, is_warning=is_warning):
                (self._warn if is_warning else self._note)(sentence)
            case Emitted(outputs=outputs):
                self._on_outputs(outputs)
            case Released():
                self.group.confirm_release()
            case Ended():
                self._ended.set()

    async def _answer_request(self, number: int, request: Request) -> None:
        self.pass_inputs(Done(number, await self._carrier.carry_out(request)))

    # --------------------------------------------------------------------- health and numbers

    def _time_effects(self, effects: Sequence[Effect], took_s: float) -> None:
        fed = [effect for effect in effects if isinstance(effect, Fed)]
        events_n = sum(effect_fed.events_n for effect_fed in fed)
        for effect_fed in fed:
            part_s = took_s * effect_fed.events_n / events_n if events_n else 0.0
            self._timings.count_fed(effect_fed.events_n, part_s, self._clock() - effect_fed.now)

    def why_not_ready(self) -> str:
        """Why this driver does not do its work, as a sentence; empty when it does."""
        return self.flow.why_not_ready(time.monotonic())

    def make_report(self, restarts_n: Mapping[str, int] | None = None) -> Report:
        """Return the numbers of what this worker owns now; call it in the loop's own thread.

        `restarts_n` counts drivers that ended early, by the kind of error.
        """
        return build_flow_report(
            self.flow,
            end_of=lambda part: self.group.consumer.highwater(partition_of(*part)),
            now=self._clock(),
            refused_n=self._states.refused_n,
            restarts_n=restarts_n or {},
        )
