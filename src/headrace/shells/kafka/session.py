"""One life of a worker's connections: from joining the group to leaving it, or to the first error.

The loop is: fold what the training log brought, read events and entries of the desk log, feed them,
hand over what follows. All state changes happen in this one task, between two awaits; everything
else (sending, reading ahead, making shards anew, writing snapshots) runs beside it. After an error
nothing is mended: the next session begins from snapshots and logs, as after a kill.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AsyncExitStack, suppress
from typing import Any

from ...adapters.timings import Timings
from ...errors import BadInput
from ...flow import wire
from ...flow.mail import Mail, OwnedDesk, OwnedShard
from ...flow.parcels import Parcel, Post
from ...flow.records import headers_for
from ...learn.trainer import Entry
from ...messages import InputRejected, Output
from ...observe.answers import AnswersDecoder
from ...observe.decode import Decoder
from ...reporting import check_model_starts
from ...settings import Settings
from . import client
from .outbox import Outbox, started
from .places import Places, check_place
from .quiet import Quiet
from .reading import partition_of
from .saving import Saver
from .standby import Standby
from .states import States
from .takeover import take_over
from .training import Training

POLL_MS = 50
COMMIT_S = 1.0
HEARD_S = 5.0
SILENT_S_MAX = 20.0
"""After so long without an answer from the brokers a worker is not ready."""


class Session:
    """See the module. `note` is told what goes on and `warn` what an operator should look at, in
    sentences, from any thread. `lost_n` counts, by log, records that were deleted unread.

    `partitions_n` is how many partitions each topic has, by the name of its setting.
    """

    def __init__(
        self,
        settings: Settings,
        states: States,
        decoder: Decoder,
        answers_decoder: AnswersDecoder,
        threads: Executor,
        *,
        partitions_n: Mapping[str, int],
        timings: Timings,
        clock: Callable[[], float],
        note: Callable[[str], None],
        warn: Callable[[str], None],
        lost_n: dict[str, int],
        told: Callable[[Sequence[Output]], None],
    ) -> None:
        self.settings = settings
        self.partitions_n = partitions_n["events"]
        self.request_partitions_n = partitions_n["requests"]
        self.states = states
        self.decoder = decoder
        self.answers_decoder = answers_decoder
        self.threads = threads
        self.timings = timings
        self.clock = clock
        self.note = note
        self.warn = warn
        self.lost_n = lost_n
        self.mail = Mail(settings.kafka, writer=secrets.token_hex(8), told=told)
        self.shards: dict[int, OwnedShard] = {}
        self.desks: dict[int, OwnedDesk] = {}
        self.standby = Standby(settings.kafka.desk)
        self.now = -math.inf
        self.rebalances_n = 0
        self.rebalanced_at: float | None = None
        self.saver = Saver(self)
        self.is_joined = False
        self.is_over = False
        self.is_caught_up = False
        self._heard_at = time.monotonic()
        self.training: Training
        self.places: Places
        self.outbox: Outbox
        self.held: set[Any] = set()
        self._turn = asyncio.Lock()
        self._recovering: asyncio.Task[None] | None = None
        self.quiet = Quiet(self)
        self._committed_at = time.monotonic()
        self._committed: dict[Any, int] = {}
        self._routed: dict[Any, int] = {}

    # -------------------------------------------------------------------------------- its life

    async def run(self, stop: asyncio.Event) -> None:
        """Live until `stop` is set. Raises whatever went wrong, as an exception group."""
        kafka = self.settings.kafka
        async with AsyncExitStack() as stack:
            self._producer = await started(stack, client.producer(kafka))
            self._tail = await started(stack, client.consumer(kafka))
            self.reader = await started(stack, client.consumer(kafka))
            self.places = Places(kafka, self.reader, self.warn, self.lost_n)
            await self._open_training()
            self.consumer = client.consumer(kafka, group=kafka.group)
            self.outbox = Outbox(self._producer, self.settings.worker.batches_in_flight_max)
            async with asyncio.TaskGroup() as tasks:
                beside = [
                    tasks.create_task(self.outbox.run()),
                    tasks.create_task(self.training.read(self._tail)),
                    tasks.create_task(self._hear()),
                ]
                self._tasks = tasks
                if self.settings.worker.standby:
                    follower = await started(stack, client.consumer(kafka))
                    beside.append(tasks.create_task(self.standby.run(follower, self.warn)))
                try:
                    await started(stack, self.consumer)
                    self.consumer.subscribe(
                        [kafka.events, kafka.desk, kafka.answers, kafka.drift],
                        listener=_listener(self),
                    )
                    self.is_joined = True
                    await self._loop(stop)
                    await self._leave()
                finally:
                    self.is_over = True
                    for task in [*beside, *([self._recovering] if self._recovering else [])]:
                        task.cancel()

    async def _hear(self) -> None:
        """Ask the brokers something every so often, to know whether they answer."""
        topic = partition_of(self.settings.kafka.training, 0)
        errors = client.library("aiokafka.errors").KafkaError
        while True:
            with suppress(errors, TimeoutError):
                places = {tp: self._position(tp) for tp in self.held if self._has_place(tp)}
                asked = self.reader.end_offsets([topic, *places])
                ends = await asyncio.wait_for(asked, HEARD_S)
                self._heard_at = time.monotonic()
                for tp, position in places.items():
                    check_place(tp, position, ends[tp])
            await asyncio.sleep(HEARD_S)

    async def _open_training(self) -> None:
        log, position = await self.in_thread(self.states.training)
        topic = partition_of(self.settings.kafka.training, 0)
        self._tail.assign([topic])
        first, self._training_end = await self.places.bounds(topic)
        check_place(topic, position, self._training_end)
        if first > position:
            raise BadInput(
                f"{topic.topic} begins at {first}, and the newest snapshot stands at {position}: "
                "it must be kept for ever (retention.ms=-1)"
            )
        self._tail.seek(topic, position)
        self.training = Training(log, position, self.threads, self.timings)

    async def _leave(self) -> None:
        """Carry out what is decided, commit, and save."""
        async with self._turn:
            await self.outbox.drained()
            await self._commit()
            await self.saver.save()
            await self.saver.finish()

    def why_not_ready(self) -> str:
        """Why this session does not do its work, as a sentence; empty when it does."""
        silent_s = time.monotonic() - self._heard_at
        if silent_s > SILENT_S_MAX:
            return f"the brokers have not answered for {silent_s:.0f} s"
        if not self.is_caught_up:
            at, end = self.training.position, self._training_end
            return f"the training log is folded up to {at} of {end}"
        waiting = [tp for tp in self.held if not self._is_owned(tp)]
        if waiting:
            return f"{len(waiting)} partitions are being taken over"
        return "" if self.rebalances_n else "no partition was assigned yet"

    def _is_owned(self, tp: Any) -> bool:
        return tp.topic in (self.settings.kafka.answers, self.settings.kafka.drift) or (
            self._has_place(tp)
        )

    def _has_place(self, tp: Any) -> bool:
        """Whether a shard or a desk of ours stands in this partition."""
        if tp.topic == self.settings.kafka.events:
            return tp.partition in self.shards
        return tp.topic == self.settings.kafka.desk and tp.partition in self.desks

    # -------------------------------------------------------------------------------- the loop

    async def _loop(self, stop: asyncio.Event) -> None:
        batch_max = self.settings.worker.batch_max
        while not stop.is_set():
            async with self._turn:
                self.training.fold_ready(self._on_entry)
                shards = [owned.shard.shard for owned in self.shards.values()]
                check_model_starts(self.training.trainer, shards)
                self._check_caught_up()
                await self.hand_over()
            shared_n = self.rebalances_n
            found = await self.consumer.getmany(timeout_ms=POLL_MS, max_records=batch_max)
            async with self._turn:
                if self.rebalances_n != shared_n:
                    found = self._put_back(found)
                for tp, records in found.items():
                    await self._feed(tp, records)
                    # Everything else of this process has its turn.
                    await asyncio.sleep(0)
                await self._due()
                if time.monotonic() - self._committed_at >= COMMIT_S:
                    await self._commit()
                every_s = self.settings.worker.snapshot_every_s
                if time.monotonic() - self.saver.began_at >= every_s:
                    await self.outbox.drained()
                    await self.saver.save()

    def _put_back(self, found: dict[Any, list[Any]]) -> dict[Any, list[Any]]:
        """What was read while the group shared out, less what may not begin where we stand.

        It was read from where the group stands, which another worker may have moved on.
        """
        kafka, kept = self.settings.kafka, {}
        for tp, records in found.items():
            if tp.topic in (kafka.answers, kafka.drift):
                kept[tp] = records
            elif tp in self.held and self._is_owned(tp):
                self.consumer.seek(tp, self._position(tp))
        return kept

    def _check_caught_up(self) -> None:
        """From the end of the log on, drift may lead to orders: they depend on what it says."""
        if not self.is_caught_up and self.training.position >= self._training_end:
            self.is_caught_up = True
            self.consumer.resume(*(tp for tp in self.held if tp.topic == self.settings.kafka.drift))

    def shards_now(self) -> list[OwnedShard]:
        """The shards that may write: none while the group shares out. Others may join meanwhile."""
        events = self.settings.kafka.events
        return [
            owned
            for number, owned in self.shards.items()
            if partition_of(events, number) in self.held
        ]

    def _on_entry(self, entry: Entry) -> None:
        """The trainer has just folded this entry: the shards hear of it before anything else."""
        self.now = max(self.now, entry.at)
        self.mail.told([entry])
        for owned in self.shards.values():
            owned.shard.ended(entry)

    async def hand_over(self) -> None:
        """What labels led to, and what the decider has to say."""
        for owned in self.shards_now():
            if owned.shard.is_due:
                await self.outbox.put(self.mail.of_step(owned, self.training.position))
        if math.isfinite(self.now):
            topic, due = self.settings.kafka.training, self.training.trainer.next_deadline()
            for entry in self.training.decisions(self.quiet.now(due)):
                post = Post(topic, wire.value_of(entry), partition=0)
                await self.outbox.put(Parcel(lambda: None, to_others=[post]))

    async def _feed(self, tp: Any, records: list[Any]) -> None:
        """A piece of one partition, fed and handed over."""
        if self._has_place(tp):
            await self.places.check_gap(tp, self._position(tp), records[0].offset)
        if tp.topic in (self.settings.kafka.answers, self.settings.kafka.drift):
            await self._route(tp, records)
            return
        if tp.topic == self.settings.kafka.desk:
            desk = self.desks.get(tp.partition)
            records = _from(desk.desk.position, records) if desk is not None else []
            if desk is not None and records and tp in self.held:
                await self.outbox.put(self.mail.of_desk(desk, records))
                self.now = max(self.now, desk.desk.now)
            return
        owned = self.shards.get(tp.partition)
        records = _from(owned.shard.position, records) if owned is not None else []
        if owned is None or not records or tp not in self.held:
            return
        # Labels that led to something come first: the step says entries, then events.
        if owned.shard.is_due:
            await self.outbox.put(self.mail.of_step(owned, self.training.position))
        began, events_n = time.perf_counter(), owned.shard.shard.events_n
        owned.shard.feed(self.decoder, records, records[-1].offset + 1)
        self.timings.fed(
            owned.shard.shard.events_n - events_n,
            time.perf_counter() - began,
            self.clock() - owned.shard.shard.now,
        )
        self.quiet.fed()
        owned.read_at = records[-1].timestamp / 1_000
        if told := owned.off_clock_told():
            self.warn(told)
        self.now = max(self.now, owned.shard.shard.admission.clock.sure)
        await self.outbox.put(self.mail.of_step(owned, self.training.position))

    # ---------------------------------------------------------------------------------- time

    async def _due(self) -> None:
        """Deadlines of requests become entries of the desks' logs, dated rounds steps."""
        desks, shards = list(self.desks.items()), self.shards_now()
        deadlines = [owned.desk.desk.next_deadline() for _, owned in desks]
        deadlines += [owned.shard.shard.next_deadline() for owned in shards]
        await self.quiet.look([*deadlines, self.training.trainer.next_deadline()])
        for number, desk in desks:
            tick = desk.desk.due(self.quiet.now(desk.desk.desk.next_deadline()))
            if tick is not None and partition_of(self.settings.kafka.desk, number) in self.held:
                post = self.mail.to_desk(tick, tick.at, number)
                await self.outbox.put(Parcel(lambda: None, to_desks=[post]))
        for shard in shards:
            deadline = shard.shard.shard.next_deadline()
            now = self.quiet.now(deadline)
            if deadline is not None and self.now < now and deadline <= now:
                shard.shard.tick(now)
                await self.outbox.put(self.mail.of_step(shard, self.training.position))

    # -------------------------------------------------------------------- answers and drift

    async def _route(self, tp: Any, records: list[Any]) -> None:
        """Answers from anywhere into the logs of their desks; drift to who orders retraining."""
        parcel, stop = Parcel(lambda: None), records[-1].offset + 1
        if tp.topic == self.settings.kafka.answers:
            for record in records:
                parcel.to_desks += self._of_answer(tp, record)
        else:
            for record in records:
                change = wire.drift_of(record.value or b"")
                if change is not None:
                    self.now = max(self.now, change.at)
                    self.training.drifted(change)
            await self.hand_over()

        def arrived() -> None:
            self._routed[tp] = stop

        parcel.arrived = arrived
        await self.outbox.put(parcel)

    def _of_answer(self, tp: Any, record: Any) -> list[Post]:
        source = f"{tp.topic}, partition {tp.partition}"
        headers = headers_for(self.answers_decoder, [record])
        return [
            self.mail.rejected(answer, record, tp.topic, tp.partition)
            if isinstance(answer, InputRejected)
            else self.mail.to_desk(answer, self.now)
            for answer in self.answers_decoder.decode(
                [record.value or b""], source, [record.offset], headers
            )
        ]

    # ----------------------------------------------------------------------------- the group

    async def revoked(self) -> None:
        """The group is about to share out anew: finish what is under way, and save it."""
        async with self._turn:
            if self.is_over:
                return
            if self._recovering is not None:
                self._recovering.cancel()
            await self.outbox.drained()
            await self._commit()
            self.held = set()
            self.training.is_decider = False

    async def assigned(self, partitions: set[Any]) -> None:
        """What is ours from now on. What was ours before goes on; the rest is made anew."""
        self.rebalanced_at = self.clock()
        kafka = self.settings.kafka
        async with self._turn:
            if self.is_over:  # The consumer leaves the group last, and hears it share out anew.
                return
            events = {tp.partition for tp in partitions if tp.topic == kafka.events}
            desks = {tp.partition for tp in partitions if tp.topic == kafka.desk}
            leaving = [number for number in self.shards if number not in events]
            self.shards = {n: owned for n, owned in self.shards.items() if n in events}
            self._release_desks(desks)
            await self._check_journals()
            self.training.is_decider = partition_of(kafka.drift, 0) in partitions
            for tp in partitions:
                if tp.topic == kafka.drift and not self.is_caught_up:
                    self.consumer.pause(tp)
                if tp.topic in (kafka.answers, kafka.drift):
                    committed = await self.consumer.committed(tp)
                    self.consumer.seek(tp, await self.places.of_group(tp, committed))
                    continue
                mine = self.shards if tp.topic == kafka.events else self.desks
                if tp.partition in mine:
                    self.consumer.seek(tp, self._position(tp))
                else:
                    self.consumer.pause(tp)
            self.held, self._committed, self._routed = set(partitions), {}, {}
            # Only now: the loop may be waiting with records from before these seeks.
            self.rebalances_n += 1
            if self._recovering is not None:
                self._recovering.cancel()
            self._recovering = self._tasks.create_task(take_over(self, events, desks))
            if leaving:
                self.note(f"partitions {sorted(leaving)} of the events went to other workers")

    def _release_desks(self, kept: set[int]) -> None:
        """Let go of all desks but these; a standby goes on following them."""
        for number in self.desks.keys() - kept:
            desk = self.desks.pop(number).desk
            if self.settings.worker.standby:
                self.standby.keep(desk)

    def _position(self, tp: Any) -> int:
        if tp.topic == self.settings.kafka.events:
            return self.shards[tp.partition].shard.position
        return self.desks[tp.partition].desk.position

    async def _check_journals(self) -> None:
        """Let go of shards that another worker had meanwhile: theirs are the newer steps."""
        tps = {partition_of(self.settings.kafka.journal, n): n for n in self.shards}
        if tps:
            ends = await self.reader.end_offsets(list(tps))
            for tp, number in tps.items():
                if ends[tp] != self.shards[number].end:
                    del self.shards[number]

    # ------------------------------------------------------------------- commits and snapshots

    async def _commit(self) -> None:
        """Commit what has arrived; a rebalance may refuse it, and nothing is lost by that."""
        kafka = self.settings.kafka
        offsets = {}
        for number, owned in self.shards.items():
            tp = partition_of(kafka.events, number)
            offsets[tp] = owned.arrived
            if tp in self.held and owned.arrived == owned.shard.position:
                # Behind what nobody gets: marks of transactions, and what they took back.
                offsets[tp] = max(owned.arrived, await self.consumer.position(tp))
        offsets |= {partition_of(kafka.desk, n): o.arrived for n, o in self.desks.items()}
        offsets |= self._routed
        changed = {
            tp: offset
            for tp, offset in offsets.items()
            if tp in self.held and offset > self._committed.get(tp, -1)
        }
        self._committed_at = time.monotonic()
        if not changed:
            return
        try:
            await self.consumer.commit(changed)
        except client.library("aiokafka.errors").CommitFailedError as error:
            self.note(f"offsets were not committed, the group shares out anew: {error}")
        else:
            self._committed.update(changed)

    async def in_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call this beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, call, *arguments)


def _from(position: int, records: list[Any]) -> list[Any]:
    """The records that are still to be fed.

    What was read just before the group shared out anew is read again from where we stand.
    """
    if records[0].offset >= position:
        return records
    return [record for record in records if record.offset >= position]


def _listener(session: Session) -> Any:
    """The session's ears, as aiokafka wants them."""
    base = client.library("aiokafka").ConsumerRebalanceListener

    class Listener(base):  # type: ignore[misc, valid-type]  # its base is known at run time only
        async def on_partitions_revoked(self, revoked: set[Any]) -> None:
            if revoked:
                await session.revoked()

        async def on_partitions_assigned(self, assigned: set[Any]) -> None:
            await session.assigned(assigned)

    return Listener()
