"""Workers and brokers in virtual time: the flow as it runs, under everything that can happen to it.

A `Cluster` has logs, a group and saved states; each `Worker` carries out what its flow wants, with
delays that chance draws. Nothing here decides what the flow should, and nothing waits for real.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import msgspec

from headrace import Settings
from headrace.drivers.kafka.carrying import Carrier
from headrace.drivers.kafka.states import States
from headrace.errors import BadInput
from headrace.flow import effects as ef
from headrace.flow.desks import PartitionDesk
from headrace.flow.effects import Bounds, Part
from headrace.flow.flow import Flow
from headrace.flow.produce import FencedError, ProducerRecord
from headrace.flow.sealed import Seals
from headrace.flow.shards import PartitionShard, answers_decoder_of, decoder_of
from headrace.flow.takeover import GrownError
from headrace.flow.training import new_log
from headrace.flow.worker_state import FlowSetup
from headrace.learn.retrain import attempt_job
from headrace.privacy import Privacy
from headrace.query.record import Differences
from headrace.state import frozen

BEGAN_AT = 1_000_000.0
SESSION_S, WRITE_S = 10.0, 0.01
BATCH_MAX = 12
IDLE_MAX = 30


class OutOfRangeError(Exception):
    """What a client says of a place that is none, where it may not choose another by itself."""


class Kept(NamedTuple):
    """A record as aiokafka gives it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp: int


@dataclass
class Log:
    first: int = 0
    records: list[Kept] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.first + len(self.records)

    def since(self, offset: int) -> list[Kept]:
        return self.records[max(0, offset - self.first) :]


class Cluster:
    """See the module. `told` has every sentence of a worker, `refused` those that ended one;
    `written` has every record, whatever became of its log; `topics_n` how often a topic was made
    anew, which its id says unless the brokers have none (`has_ids`); `firsts` where partitions of
    the events have begun since they were cut. `saved` has what workers saved, unless `open_states`
    is set: then each process saves to files with the states that it returns.
    """

    def __init__(
        self,
        settings: Settings,
        seed: int,
        *,
        partitions_n: int = 2,
        privacy: Privacy | None = None,
    ) -> None:
        self.settings, self.kafka = settings, settings.kafka
        self.privacy = privacy
        self.seals: Seals | None = None
        self.rules: dict[str, str] = {}
        self.luck = random.Random(seed)
        self.now, self.number = 0.0, 0
        self.due: list[tuple[float, int, Callable[[], None]]] = []
        self.logs: dict[Part, Log] = {}
        self.written: defaultdict[Part, list[Kept]] = defaultdict(list)
        self.committed: dict[Part, int] = {}
        self.saved: dict[tuple[str, int], list[ef.Saving]] = {}
        self.saved_kept = "all"
        self.open_states: Callable[[], States] | None = None
        self.name, self.has_ids, self.topics_n = f"c{seed}", True, Counter[str]()
        self.partitions_n = partitions_n
        self.members: list[Worker] = []
        self.workers: list[Worker] = []
        self.generation = 0
        self.commits: list[tuple[int, int, int]] = []
        self.firsts: defaultdict[int, set[int]] = defaultdict(set)
        self.told: list[str] = []
        self.warned: list[str] = []
        self.refused: list[str] = []
        self.restarts: list[str] = []
        self.on_request: Callable[[Kept], None] = lambda record: None
        self._is_sharing = False

    # -------------------------------------------------------------------------------- time

    def after(self, delay_s: float, call: Callable[[], None]) -> None:
        self.number += 1
        heapq.heappush(self.due, (self.now + delay_s, self.number, call))

    def run(self, until: float) -> None:
        while self.due and self.due[0][0] <= until:
            self.now, _, call = heapq.heappop(self.due)
            call()
        self.now = until

    # -------------------------------------------------------------------------------- logs

    def log(self, part: Part) -> Log:
        found = self.logs.get(part)
        if found is None:
            found = self.logs[Part(*part)] = Log()
        return found

    def send(self, record: ProducerRecord) -> int:
        partition = record.partition
        if partition is None:
            partition = 0
        log = self.log(Part(record.topic, partition))
        kept = Kept(
            record.topic,
            partition,
            log.end,
            record.key,
            record.value,
            tuple(record.headers),
            int(self.now * 1_000),
        )
        log.records.append(kept)
        self.written[Part(record.topic, partition)].append(kept)
        if record.topic == self.kafka.requests:
            self.on_request(kept)
        return kept.offset

    def bounds(self, part: Part, is_of_group: bool) -> Bounds:
        log = self.log(part)
        committed = self.committed.get(part) if is_of_group else None
        number = self.topics_n.get(part.topic, 0)
        return Bounds(
            log.first, log.end, committed, f"{self.name}-{number}" if self.has_ids else ""
        )

    def delete(self, part: Part) -> None:
        """Its topic is deleted; brokers forget the group's place in it too."""
        self.logs.pop(part, None)
        self.committed.pop(part, None)

    def cut(self, part: Part, first: int) -> None:
        """Retention deletes what lies before this offset."""
        log = self.log(part)
        first = min(max(first, log.first), log.end)
        log.records, log.first = log.since(first), first
        if part.topic == self.kafka.events:
            self.firsts[part.partition].add(first)

    def run_routine(self, routine: Any) -> Any:
        """Carry out a routine at once, as a command does while no worker runs."""
        result, client = None, Worker(self, -1)
        try:
            while True:
                result = client.result(routine.send(result))
        except StopIteration as stop:
            return stop.value

    # ------------------------------------------------------------------------------- group

    def parts(self) -> list[Part]:
        kafka = self.kafka
        return [
            *(Part(kafka.events, n) for n in range(self.partitions_n)),
            *(Part(kafka.desk, n) for n in range(kafka.desk_partitions)),
            Part(kafka.answers, 0),
            Part(kafka.drift, 0),
        ]

    def start(self) -> Worker:
        worker = Worker(self, len(self.workers))
        self.workers.append(worker)
        worker.begin()
        return worker

    def join(self, worker: Worker) -> None:
        if worker not in self.members:
            self.members.append(worker)
        self.share()

    def leave(self, worker: Worker) -> None:
        if worker in self.members:
            self.members.remove(worker)
            self.share()

    def share(self) -> None:
        """Let all members finish, then hand out anew; who does not answer in time is out."""
        if self._is_sharing:
            return
        self._is_sharing = True
        for worker in self.members:
            worker.take(ef.Revoked())
        self.after(0.05, lambda: self._wait(self.now + SESSION_S))

    def _wait(self, deadline: float) -> None:
        late = [worker for worker in self.members if not worker.is_released]
        gone = [worker for worker in late if worker.is_dead or worker.is_frozen]
        if late and (self.now < deadline or late != gone):
            self.after(0.05, lambda: self._wait(deadline))
            return
        self.members = [worker for worker in self.members if worker not in late]
        self._is_sharing = False
        self.generation += 1
        parts = self.parts()
        self.luck.shuffle(parts)
        n = len(self.members)
        for i, worker in enumerate(list(self.members)):
            worker.assigned(tuple(sorted(parts[i::n])))


class Worker:
    """One process: a flow, restarted when it ends, and what its clients hold."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.cluster, self.number = cluster, number
        self.settings = cluster.settings
        self.lives_n = 0
        self.lost_n: dict[str, int] = {}
        self.recomputed = Differences()
        self.clock_off_s = 0.0
        self.is_dead = self.is_frozen = False
        self.is_released = True
        self.generation = -1
        self._thawed: list[Callable[[], None]] = []
        self.flow: Flow | None = None
        self.states = None if cluster.open_states is None else cluster.open_states()

    # -------------------------------------------------------------------------------- life

    def begin(self) -> None:
        self.settings = settings = self.cluster.settings
        self.lives_n += 1
        self.places: dict[Part, int] = {}
        self.paused: set[Part] = set()
        self.tail: int | None = None
        self.idle_n = 0
        setup = FlowSetup(
            settings=settings,
            decoder=decoder_of(settings),
            answers_decoder=answers_decoder_of(settings),
            writer=f"w{self.number}-{self.lives_n}",
            partitions_n={"events": self.cluster.partitions_n, "requests": 1},
            lost_n=self.lost_n,
            recomputed=self.recomputed,
            woke=self.woke(),
            timer=lambda: self.cluster.now,
            # In virtual time no part takes any: each is saved by itself.
            freeze_s_max=0.0,
            privacy=self.cluster.privacy,
            seals=self.cluster.seals,
            rules=self.cluster.rules,
        )
        self.flow = Flow(setup)
        self.is_released = True
        self.take()
        self.later(0.05, self.poll)

    def woke(self) -> ef.Woke:
        return ef.Woke(BEGAN_AT + self.cluster.now + self.clock_off_s, self.cluster.now)

    def kill(self) -> None:
        self.is_dead = True
        self.cluster.after(SESSION_S, lambda: self.cluster.leave(self))

    def stop(self) -> None:
        self.take(ef.Stopped())

    def freeze(self, for_s: float) -> None:
        """Nothing of this process moves for so long; then all of it, with what it believes."""
        self.is_frozen = True
        cluster = self.cluster
        if for_s > SESSION_S:
            cluster.after(SESSION_S, self._miss)
        cluster.after(for_s, self.thaw)

    def _miss(self) -> None:
        if self.is_frozen and not self.is_dead:
            self.cluster.leave(self)

    def thaw(self) -> None:
        self.is_frozen = False
        waiting, self._thawed = self._thawed, []
        for i, call in enumerate(waiting):
            self.cluster.after(i * 0.01, call)
        # It hears only later that the group went on without it.
        self.cluster.after(1.5, self._hear)

    def _hear(self) -> None:
        if self.is_dead or self.is_frozen or self in self.cluster.members:
            return
        self.take(ef.Revoked())
        self.later(0.5, lambda: self.cluster.join(self))

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        """In this life, once it is neither dead nor frozen."""
        life = self.lives_n

        def run() -> None:
            if self.is_dead or self.lives_n != life:
                return
            if self.is_frozen:
                self._thawed.append(run)
            else:
                call()

        self.cluster.after(delay_s, run)

    def _end(self, error: Exception) -> None:
        """This life is over; another begins if the error is one that passes."""
        self.flow, self.lives_n = None, self.lives_n + 1
        self.is_released = True
        if isinstance(error, BadInput):
            self.is_dead = True
            self.cluster.refused.append(str(error))
        else:
            self.cluster.restarts.append(type(error).__name__)
            self.cluster.after(0.5, lambda: None if self.is_dead else self.begin())
        self.cluster.after(0.0, lambda: self.cluster.leave(self))

    # ---------------------------------------------------------------------------------- in

    def take(self, *inputs: ef.Input) -> None:
        if self.is_dead or self.flow is None:
            return
        if self.is_frozen:
            self.later(0.0, lambda: self.take(*inputs))
            if any(isinstance(one, ef.Revoked) for one in inputs):
                self.is_released = False
            return
        if any(isinstance(one, ef.Revoked) for one in inputs):
            self.is_released = False
        try:
            for effect in self.flow.take_inputs((self.woke(), *inputs)):
                self.carry_out(effect)
        except (FencedError, GrownError, BadInput) as error:
            self._end(error)

    def assigned(self, parts: tuple[Part, ...]) -> None:
        if self.is_dead or self.flow is None:
            return
        cluster, kafka = self.cluster, self.cluster.kafka
        self.generation = cluster.generation
        self.places, self.paused = dict.fromkeys(parts, 0), set()
        routed = [part for part in parts if part.topic in (kafka.answers, kafka.drift)]
        routes = {part: cluster.bounds(part, True) for part in routed}
        journals = {
            p.partition: cluster.log(Part(kafka.journal, p.partition)).end
            for p in parts
            if p.topic == kafka.events
        }
        self.take(ef.Assigned(parts, routes, journals))

    def poll(self) -> None:
        """What was read may arrive late, when the group has shared out anew."""
        flow, luck = self.flow, self.cluster.luck
        if flow is None:
            return
        found: dict[Part, Sequence[Kept]] = {}
        turn = flow.group.turn
        if flow.has_room:
            for part in self.places:
                log = self.cluster.log(part)
                place = max(self.places[part], log.first)
                records = [] if part in self.paused else log.since(place)[:BATCH_MAX]
                if records:
                    found[part] = records
                    self.places[part] = records[-1].offset + 1
        positions = dict(self.places) if flow.is_commit_due else None
        heard: tuple[ef.Input, ...] = ()
        if self.tail is not None and flow.training.has_room:
            log = self.cluster.log(Part(self.cluster.kafka.training, 0))
            if self.tail < log.first:
                self._end(OutOfRangeError("a place before the beginning of the training log"))
                return
            records = log.since(self.tail)[: luck.randint(1, 40)]
            if records:
                self.tail = records[-1].offset + 1
                heard = (ef.Heard(records),)

        def arrive() -> None:
            self.take(ef.Polled(turn, found, positions), *heard)
            # Whoever waits for long looks less often: an hour of nothing is soon over.
            self.idle_n = 0 if found or heard else self.idle_n + 1
            pause_s = luck.uniform(0.05, 0.2) * min(IDLE_MAX, 1 + self.idle_n // 3)
            self.later(pause_s if self.idle_n else 0.01, self.poll)

        self.later(luck.choice((0.0, 0.0, 0.02, 0.3)), arrive)

    # --------------------------------------------------------------------------------- out

    def carry_out(self, effect: ef.Effect) -> None:
        cluster = self.cluster
        match effect:
            case ef.Ask(number=number, request=ef.Produce(records=records)):
                self.produce(number, records)
            case ef.Ask(number=number, request=request):
                delay_s = cluster.luck.choice((0.001, 0.01, 0.2))
                self.later(delay_s, lambda: self.answer(number, self.result(request)))
            case ef.Follow(position=position):
                self.tail = position
                cluster.join(self)
            case ef.Seek(part=part, position=position):
                if part in self.places:
                    self.places[part] = position
            case ef.Pause(part=part):
                self.paused.add(part)
            case ef.Resume(part=part):
                self.paused.discard(part)
            case ef.Note(sentence=sentence, is_warning=is_warning):
                (cluster.warned if is_warning else cluster.told).append(sentence)
            case ef.Released():
                self.is_released = True
            case ef.Ended():
                self.is_dead = True
                cluster.after(0.0, lambda: cluster.leave(self))

    def answer(self, number: int, result: Any) -> None:
        done = ef.Done(number, result)
        # An acknowledgement may come twice.
        self.take(done, *([done] if self.cluster.luck.random() < 0.05 else []))

    def produce(self, number: int, records: tuple[ProducerRecord, ...]) -> None:
        """Each record arrives by itself, in order; a kill leaves some, an outage delays them."""
        luck, offsets = self.cluster.luck, list[int]()
        wait_s = luck.choice((0.0, 0.0, 0.0, 0.5, 3.0))
        for i, record in enumerate(records):
            self.later(wait_s + WRITE_S * (i + 1), partial(self._write, record, offsets))
        ack_s = wait_s + WRITE_S * (len(records) + 1) + luck.choice((0.0, 0.02, 1.0))
        self.later(ack_s, lambda: self.answer(number, offsets))

    def _write(self, record: ProducerRecord, offsets: list[int]) -> None:
        offsets.append(self.cluster.send(record))

    def result(self, request: Any) -> Any:
        cluster = self.cluster
        match request:
            case ef.Look(parts=parts, is_of_group=is_of_group):
                return {part: cluster.bounds(part, is_of_group) for part in parts}
            case ef.Commit(offsets=offsets):
                if self not in cluster.members or self.generation != cluster.generation:
                    return "it is not a member"
                cluster.committed.update(offsets)
                for part, offset in offsets.items():
                    if part.topic == cluster.kafka.events:
                        end = len(cluster.written[Part(cluster.kafka.journal, part.partition)])
                        cluster.commits.append((part.partition, offset, end))
                return None
            case ef.Find(parts=parts, since_ms=since_ms):
                return {part: self._since(part, since_ms) for part in parts}
            case ef.Read(part=part, start=start):
                log = cluster.log(part)
                records = log.since(start)[: cluster.luck.randint(1, 50)]
                return records, records[-1].offset + 1 if records else log.end
            case ef.Retrain(job=job):
                return attempt_job(job)
            case ef.Load() | ef.Save() if self.states is not None:
                none: Any = None
                use = Carrier(self.states, none, none, cluster.partitions_n, attempt_job)._use_store
                return use(request)
            case ef.Save(parts=parts):
                for part in parts:
                    cluster.saved.setdefault((part.kind, part.number), []).append(part)
                return None
            case ef.Load(kind=kind, number=number, before=before):
                return self._load(kind, number, before)
        raise AssertionError(request)

    def _since(self, part: Part, since_ms: int) -> int:
        log = self.cluster.log(part)
        return next((r.offset for r in log.records if r.timestamp >= since_ms), log.end)

    def _load(self, kind: str, number: int, before: Any) -> Any:
        settings, n = self.settings, self.cluster.partitions_n
        found = self._saving(kind, number, before)
        if kind == "training":
            if found is None:
                return _new_log(settings), 0
            return _thawed(found.blob), int(found.positions["training"])
        if kind == "desk":
            desk = PartitionDesk(settings, number)
            if found is not None:
                desk.thaw(found.blob, int(found.positions["desk"]))
            return desk
        if found is None:
            return self._unborn(number)
        log = _thawed(found.training)
        shard = PartitionShard(settings, number, n, log.trainer)
        try:
            shard.thaw(found.blob, OWN_MODELS, log.trainer)
        except BadInput as error:
            self.cluster.told.append(f"a snapshot is passed over: {error}")
            return self._unborn(number)
        shard.stand_at(found.positions)
        return shard, log, found.positions

    def _unborn(self, number: int) -> Any:
        settings, log = self.settings, _new_log(self.settings)
        shard = PartitionShard(settings, number, self.cluster.partitions_n, log.trainer)
        return shard, log, {"events": 0, "training": 0, "journal": -1, "writer": ""}

    def _saving(self, kind: str, number: int, before: Any) -> ef.Saving | None:
        saved = self.cluster.saved.get((kind, number), [])
        if before is not None:
            saved = [one for one in saved if number_of(one.positions) < number_of(before)]
        kept = self.cluster.saved_kept
        if not saved or kept == "none" or (kept == "some" and self.cluster.luck.random() < 0.3):
            return None
        return self.cluster.luck.choice(saved[-3:]) if kept == "old" else saved[-1]


def number_of(positions: Any) -> int:
    """The number of a shard's snapshot, without the 1."""
    return int(positions["events"]) + int(positions["journal"])


NEW_LOGS: dict[bytes, bytes] = {}
"""A new training log, frozen, by its settings: to build one takes longer than to thaw it."""


def _new_log(settings: Settings) -> Any:
    key = encoded(
        [settings.seed, settings.schema, settings.columns, settings.model, settings.learn]
    )
    if key not in NEW_LOGS:
        NEW_LOGS[key] = frozen.freeze(new_log(settings), kind="training")
    return _thawed(NEW_LOGS[key])


OWN_MODELS = frozenset({"simulation"})
"""What a state may name: `nearest_mean`."""


def _thawed(blob: bytes) -> Any:
    return frozen.thaw(blob, kind="training", allowed=OWN_MODELS)


def encoded(message: Any) -> bytes:
    return msgspec.json.encode(message)
