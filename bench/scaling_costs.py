"""What one event, label, step, snapshot and rebalance cost: the worker's real parts, measured.

Used by `scaling.py`, which prints what is found here and puts it into a model. Times are CPU seconds
of this process, the best of some tries; where brokers or disks are waited for it is said. Nothing
here is estimated.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from headrace import frozen
from headrace.learn.models import build
from headrace.learn.retrain import retrain
from headrace.learn.training_log import TrainingLog
from headrace.messages import (
    Answer,
    LabelRequested,
    LabelSettled,
    RequestExpired,
    RetrainRequested,
)
from headrace.observe.decode import Decoder, decode_answers
from headrace.settings import Settings, parse
from headrace.shells.kafka import client, wire
from headrace.shells.kafka.assigning import Steady
from headrace.shells.kafka.desks import PartitionDesk
from headrace.shells.kafka.outbox import Outbox, Post
from headrace.shells.kafka.owned import Mail, OwnedDesk, OwnedShard
from headrace.shells.kafka.reading import partition_of
from headrace.shells.kafka.shards import PartitionShard
from headrace.shells.kafka.states import States, frozen_log
from headrace.shells.kafka.training import new_log
from kafka.broker import Broker

BODIES_N = 1_000
GROUP_RECORD_MAX = 1_048_588


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as far as the worker reads it."""

    offset: int
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp: int = 0
    partition: int = 0


class Stream:
    """Events as JSON lines for ever, with what an annotator would answer.

    The features of `BODIES_N` events are made once and come again under new ids.
    """

    def __init__(self, features_n: int, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        slope = rng.normal(size=features_n)
        rows = rng.normal(size=(BODIES_N, features_n)).round(6)
        self._bodies = [
            msgspec.json.encode({f"f{j}": x for j, x in enumerate(row)}) for row in rows.tolist()
        ]
        self._labels = ["a" if x > 0 else "b" for x in rows @ slope]
        self._seed = seed
        self.n = 0

    def take(self, n: int) -> list[bytes]:
        found = [
            b'{"id":"p%d-e%d","at":%.3f,"features":%b}'
            % (self._seed, i, 1.7e9 + i * 0.001, self._bodies[i % BODIES_N])
            for i in range(self.n, self.n + n)
        ]
        self.n += n
        return found

    def label(self, event_id: str) -> str:
        return self._labels[int(event_id.partition("-e")[2]) % BODIES_N]


def settings_of(features_n: int, model: str = "logistic", share: float = 0.0001) -> Settings:
    """Defaults, except the share asked; the classes are declared, and room for open requests."""
    return parse(
        {
            "schema": {
                "classes": ["a", "b"],
                "features": {f"f{j}": "numeric" for j in range(features_n)},
            },
            "model": {"name": model},
            "query": {"budget": {"share": share}},
        }
    )


class Bench:
    """A shard, a desk and a training log of one worker, fed by hand."""

    def __init__(self, settings: Settings, features_n: int, seed: int = 1) -> None:
        self.settings = settings
        self.stream = Stream(features_n, seed)
        self.log: TrainingLog = new_log(settings)
        self.owned = OwnedShard(PartitionShard(settings, 0, 1, self.log.trainer), 0, -1)
        self.desk = OwnedDesk(PartitionDesk(settings, 0), 0)
        self.mail = Mail(settings.kafka, writer="0123456789abcdef")
        self.decoder = Decoder(settings.input)
        self.training = 0

    def feed(self, lines: list[bytes]) -> list[LabelRequested]:
        """As the session does: fed, and turned into a parcel; the requests that followed."""
        shard = self.owned.shard
        stop = shard.position + len(lines)
        shard.feed(self.decoder, lines, range(shard.position, stop), stop)
        parcel = self.mail.of_step(self.owned, self.training)
        self.journal = parcel.journal
        return [_REQUESTS.decode(post.value) for post in parcel.to_desks]

    def settled(self, request: LabelRequested) -> LabelSettled:
        """What the desk says of this request once it is answered."""
        desk, at = self.desk.desk, request.at
        desk.fold(request, at, desk.position)
        label = self.stream.label(request.event_id)
        said = desk.fold(
            Answer(request_id=request.request_id, label=label, at=at, annotator="ann"),
            at,
            desk.position,
        )
        found = said[-1].output
        assert isinstance(found, LabelSettled)
        return found

    def learn(self, entry: LabelSettled) -> None:
        self.log.fold(entry)
        self.training += 1
        self.owned.shard.ended(entry)

    def grow(self, events_n: int, labels_n: int = 0) -> None:
        """So many events, of which the first requests are answered and learned."""
        for _ in range(0, events_n, 2_000):
            for request in self.feed(self.stream.take(2_000)):
                if self.log.trainer.learned_n < labels_n:
                    self.learn(self.settled(request))


_REQUESTS = msgspec.json.Decoder(LabelRequested)


def cpu_of(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def best(calls: Iterator[float]) -> float:
    return min(calls)


# ------------------------------------------------------------------------------ events, labels


@dataclass
class Costs:
    """CPU seconds and bytes, for one number of features and one model."""

    features_n: int
    model: str
    event: float = 0.0  # a further event of a batch
    feed: float = 0.0  # a batch, whatever its size, after a label was folded
    request: float = 0.0  # what a request costs its shard
    fold: float = 0.0  # a label at the trainer
    own: float = 0.0  # the same at the shard that asked
    foreign: float = 0.0  # at any other, each further one
    first: float = 0.0  # at any other, the first after a batch, on top
    desk_request: float = 0.0
    desk_answer: float = 0.0
    route: float = 0.0
    retrain: float = 0.0
    step_encoded: float = 0.0
    step_decoded: float = 0.0
    bytes_of: dict[str, int] = field(default_factory=dict)


def costs(features_n: int, model: str = "logistic") -> Costs:
    """All costs of events and labels."""
    found = Costs(features_n, model)
    slow = model not in ("logistic", "naive-bayes")
    asking = Bench(settings_of(features_n, model, 0.05), features_n)
    asking.grow(4_000 if slow else 20_000, 200 if slow else 500)
    _events(found, asking.log, features_n, 400 if slow else 2_000)
    requests = [r for _ in range(5) for r in asking.feed(asking.stream.take(2_000))]
    if model == "logistic":
        _asking(found, features_n, asking.log)
        _desks(found, asking, requests)
    entries = [asking.settled(request) for request in requests]
    _labels(found, asking, entries, features_n)
    entry = RetrainRequested(job_id=0, at=0.0, reason="drift", examples_n=0, model_version=0)
    asking.log.fold(entry)
    job = asking.log.trainer.open_job
    assert job is not None
    per_example = cpu_of(lambda: retrain(job)) / len(job.examples)
    found.retrain = per_example * asking.settings.learn.memory_n
    return found


def _watching(features_n: int, log: TrainingLog, share: float, seed: int = 3) -> Bench:
    bench = Bench(settings_of(features_n, "logistic", share), features_n, seed)
    bench.log = log
    bench.owned.shard.attach(log.trainer)
    return bench


def _events(found: Costs, log: TrainingLog, features_n: int, large: int) -> None:
    """A line through the costs of small and large batches, each at a new version of the model."""
    bench = _watching(features_n, log, 0.0001)
    bench.grow(6_000 if large == 2_000 else 2_000)
    at = {}
    for n, times in ((2, 60), (large, 3)):
        tries = []
        for _ in range(5):
            spent = 0.0
            for _ in range(times):
                log.fold(RequestExpired(request_id="x", event_id="x", at=0.0, answers_n=0))
                lines = bench.stream.take(n)
                spent += cpu_of(lambda lines=lines: bench.feed(lines))
            tries.append(spent / times)
        at[n] = min(tries)
    found.event = (at[large] - at[2]) / (large - 2)
    found.feed = max(0.0, at[2] - 2 * found.event)


def _asking(found: Costs, features_n: int, log: TrainingLog) -> None:
    """What 1 % asked costs above 0.01 %, by request; both in turn."""
    few, many = _watching(features_n, log, 0.0001, 4), _watching(features_n, log, 0.01, 5)
    few.grow(4_000), many.grow(4_000)
    tries = []
    for _ in range(5):
        lines, others = few.stream.take(2_000), many.stream.take(2_000)
        requests: list[LabelRequested] = []
        without = cpu_of(lambda lines=lines: few.feed(lines))
        more = cpu_of(lambda lines=others, out=requests: out.extend(many.feed(lines)))
        tries.append((more - without) / max(1, len(requests)))
    found.request = sorted(tries)[2]


def _labels(found: Costs, asking: Bench, entries: list[LabelSettled], features_n: int) -> None:
    records = [Kept(i, wire.value_of(entry), ()) for i, entry in enumerate(entries)]
    found.bytes_of["training entry"] = len(records[0].value)
    entries, records = entries[:300], records[:300]

    def folded() -> None:
        for record in records:
            read = wire.entry_of(record)
            assert read is not None
            asking.log.fold(*read)

    found.fold = best(cpu_of(folded) / len(records) for _ in range(3))
    if found.model != "logistic":
        return
    shard = asking.owned.shard
    found.own = cpu_of(lambda: [shard.ended(entry) for entry in entries]) / len(entries)
    other = _watching(features_n, asking.log, 0.0001, 6)
    other.grow(6_000)
    heard = other.owned.shard
    heard.ended(entries[0])
    found.foreign = best(
        cpu_of(lambda: [heard.ended(entry) for entry in entries]) / len(entries) for _ in range(3)
    )
    tries = []
    for _ in range(60):
        other.feed(other.stream.take(50))
        tries.append(cpu_of(lambda: heard.ended(entries[0])))
    found.first = max(0.0, sorted(tries)[30] - found.foreign)


def _desks(found: Costs, asking: Bench, requests: list[LabelRequested]) -> None:
    """A desk's partition: requests in, answers in, ends out; and an answer on its way to it."""
    settings, mail = asking.settings, asking.mail
    desk = OwnedDesk(PartitionDesk(settings, 0), 0)
    answers = [
        msgspec.json.encode(
            {"request_id": r.request_id, "label": "a", "at": r.at, "annotator": "ann-17"}
        )
        for r in requests
    ]
    posts = [mail.to_desk(request, request.at) for request in requests]

    def records(posts: list[Post], start: int) -> list[Kept]:
        return [Kept(start + i, p.value, tuple(p.headers)) for i, p in enumerate(posts)]

    n = len(requests)
    first = records(posts, 0)
    found.desk_request = cpu_of(lambda: mail.of_desk(desk, first)) / n
    routed: list[Post] = []

    def route() -> None:
        for i, value in enumerate(answers):
            for answer in decode_answers([value], "answers, partition 0", [i]):
                assert isinstance(answer, Answer)
                routed.append(mail.to_desk(answer, 1.7e9))

    found.route = cpu_of(route) / n
    second = records(routed, n)
    found.desk_answer = cpu_of(lambda: mail.of_desk(desk, second)) / n
    journal = asking.journal
    assert journal is not None
    step = wire.step_of(Kept(0, journal.value, ()))
    assert step is not None
    plain = msgspec.structs.replace(step, asked=[])
    found.step_encoded = best(
        cpu_of(lambda: [wire.value_of(plain) for _ in range(2_000)]) / 2_000 for _ in range(3)
    )
    record = Kept(0, wire.value_of(plain), ())
    found.step_decoded = best(
        cpu_of(lambda: [wire.step_of(record) for _ in range(2_000)]) / 2_000 for _ in range(3)
    )
    found.bytes_of |= {
        "event": len(asking.stream.take(1)[0]),
        "journal record": len(record.value),
        "each request in it": 35,
        "request": len(posts[0].value),
        "answer": len(answers[0]),
        "answer in desk log": len(routed[0].value),
    }


# ---------------------------------------------------------------------------------- snapshots


@dataclass(frozen=True)
class Frozen:
    """One part of a worker's state as bytes. Times are CPU seconds."""

    part: str
    features_n: int
    freeze: float
    thaw: float
    bytes_n: int


def frozen_parts(features_n: int) -> tuple[list[Frozen], float]:
    """A shard and a desk with everything full, the training log by model; MiB of each shard."""
    settings = settings_of(features_n, share=0.0001)
    bench = Bench(settings, features_n)
    bench.grow(settings.observe.ids_n)
    found = [_frozen("shard", features_n, bench.owned.shard.freeze, _thaw_shard(bench))]
    mib = _mib_of_shards(settings, features_n, 3 if features_n < 100 else 2)
    asking = Bench(settings_of(features_n, share=0.2), features_n)
    entries: list[LabelSettled] = []
    while len(entries) < settings.label.closed_n:
        asking.grow(0)
        entries += [asking.settled(r) for r in asking.feed(asking.stream.take(2_000))]
        for entry in entries[-400:]:
            asking.owned.shard.ended(entry)
    desk = asking.desk.desk
    found.append(
        _frozen("desk", features_n, desk.freeze, lambda blob: PartitionDesk(settings, 0).thaw(blob, 0))
    )
    for model in ("logistic", "tree", "forest"):
        if model != "logistic" and features_n > 100:
            continue
        of_model = settings_of(features_n, model)
        log = new_log(of_model)
        for entry in entries[: of_model.learn.memory_n]:
            log.fold(entry)
        allowed = frozen.allowed_by(build(model, 0, 2))
        found.append(
            _frozen(
                f"training log, {model}",
                features_n,
                lambda log=log: frozen_log(log),
                lambda blob, allowed=allowed: frozen.thaw(blob, kind="training", allowed=allowed),
            )
        )
    return found, mib


def _frozen(
    part: str, features_n: int, freeze: Callable[[], bytes], thaw: Callable[[bytes], object]
) -> Frozen:
    blob = freeze()
    return Frozen(
        part,
        features_n,
        best(cpu_of(freeze) for _ in range(3)),
        best(cpu_of(lambda: thaw(blob)) for _ in range(3)),
        len(blob),
    )


def _thaw_shard(bench: Bench) -> Callable[[bytes], object]:
    shard = PartitionShard(bench.settings, 0, 1, bench.log.trainer)
    return lambda blob: shard.thaw(blob, frozenset(), bench.log.trainer)


def _mib_of_shards(settings: Settings, features_n: int, shards_n: int) -> float:
    """Resident memory that each further shard with everything full takes."""
    log, kept, sizes = new_log(settings), [], []
    for seed in range(shards_n + 1):
        bench = Bench(settings, features_n, seed + 10)
        bench.log = log
        bench.owned.shard.attach(log.trainer)
        bench.grow(settings.observe.ids_n)
        kept.append(bench.owned)
        del bench
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        sizes.append(pages * resource.getpagesize() / 2**20)
    return (sizes[-1] - sizes[0]) / shards_n


def written_s(folder: str, blob: bytes) -> tuple[float, float]:
    """Seconds, waiting included, to write and to find a snapshot on this machine's disk."""
    settings = msgspec.structs.replace(
        settings_of(2), worker=msgspec.structs.replace(Settings().worker, snapshots=folder)
    )
    os.environ["HEADRACE_SNAPSHOT_KEY"] = os.urandom(32).hex()
    states = States(settings, note=lambda sentence: None)
    writes = []
    for position in range(1, 6):
        began = time.perf_counter()
        states.write_desk(0, blob, position)
        writes.append(time.perf_counter() - began)
    store = states._store("desk-0")
    began = time.perf_counter()
    assert store.latest() is not None
    return sorted(writes)[2], time.perf_counter() - began


# ---------------------------------------------------------------------------------- rebalance


@dataclass(frozen=True)
class Sharing:
    """One rebalance of the group, as messages: bytes; `assign` in CPU seconds of its leader."""

    partitions_n: int
    members_n: int
    assign: float
    said: int  # what one member says on joining
    joined: int  # what the leader is told of all
    record: int  # what the brokers keep of the group, in one record


def sharing(partitions_n: int, members_n: int) -> Sharing:
    """One member of so many left; the others share out what it had."""
    sizes = {"inference": partitions_n, "headrace.desk": 4, "headrace.answers": 4, "headrace.drift": 1}
    cluster = SimpleNamespace(partitions_for_topic=lambda topic: set(range(sizes[topic])))
    names = [f"headrace-headrace-{i:08x}-0000-4000-8000-0123456789ab" for i in range(members_n)]
    steadies = {name: Steady() for name in names}
    for _ in range(2):
        said = {name: steady.metadata(sizes) for name, steady in steadies.items()}
        began = time.process_time()
        shares = steadies[names[0]].assign(cluster, said)
        spent = time.process_time() - began
        for name, share in shares.items():
            steadies[name].on_assignment(_decoded(share))
    one = len(said[names[0]].encode())
    # What a member says, is given, and its names, host and times.
    record = sum(
        len(said[name].encode()) + len(shares[name].encode()) + 2 * len(name) + 60 for name in names
    )
    return Sharing(partitions_n, members_n, spent, one, (one + len(names[0])) * members_n, record)


def _decoded(share: Any) -> Any:
    return SimpleNamespace(assignment=share.assignment, user_data=share.user_data)


# ------------------------------------------------------------------------------------- broker


@dataclass
class Wire:
    """What the clients cost, with one broker on this machine. `_s` are seconds, waiting included."""

    send: float = 0.0  # CPU, a record among many
    stride: float = 0.0  # CPU, a stride of the outbox with one record
    read: float = 0.0  # CPU, a record
    ack_s: float = 0.0  # one stride of the outbox
    committed_s: float = 0.0  # asking for one committed offset
    client_s: float = 0.0  # a consumer started and stopped, as for each takeover
    idle: dict[int, float] = field(default_factory=dict)  # CPU of a second, by partitions read


def wire_costs() -> Wire:
    """Measured with a broker of its own."""
    # It retries while a new topic's partitions have no leader yet, and says so each time.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with Broker() as broker:
        broker.topics.create("headrace.journal", partitions=4)
        broker.topics.create("inference", partitions=1_000)
        settings = msgspec.structs.replace(Settings().kafka, servers=[broker.servers])
        return asyncio.run(_wire(settings))


async def _wire(settings: Any) -> Wire:
    found = Wire()
    producer = client.producer(settings)
    await producer.start()
    outbox = Outbox(producer, 4)
    posts = [Post("headrace.journal", b"x" * 150, partition=i % 4) for i in range(2_000)]
    await outbox.send(posts)
    cpu = time.process_time()
    for _ in range(5):
        await outbox.send(posts)
    found.send = (time.process_time() - cpu) / 5 / len(posts)
    waits, cpu = [], time.process_time()
    for _ in range(50):
        began = time.perf_counter()
        await outbox.send(posts[:1])
        waits.append(time.perf_counter() - began)
    found.stride, found.ack_s = (time.process_time() - cpu) / 50, sorted(waits)[25]
    for _ in range(20):
        await outbox.send([Post("inference", b"x" * 400, partition=i % 10) for i in range(2_000)])
    await producer.stop()
    began, first = time.perf_counter(), partition_of("headrace.journal", 0)
    for _ in range(5):
        asleep = client.consumer(settings)
        await asleep.start()
        asleep.assign([first])
        await asleep.end_offsets([first])
        await asleep.stop()
    found.client_s = (time.perf_counter() - began) / 5
    consumer = client.consumer(settings, group="headrace-bench")
    await consumer.start()
    tps = [partition_of("inference", n) for n in range(1_000)]
    for n in (10, 100, 1_000):
        consumer.assign(tps[:n])
        await consumer.seek_to_end()
        until = time.perf_counter() + 3.0
        while time.perf_counter() < until:
            await consumer.getmany(timeout_ms=50, max_records=2_000)
        cpu, began = time.process_time(), time.perf_counter()
        while time.perf_counter() < began + 3.0:
            await consumer.getmany(timeout_ms=50, max_records=2_000)
        found.idle[n] = (time.process_time() - cpu) / (time.perf_counter() - began)
    consumer.assign(tps[:10])
    await consumer.seek_to_beginning()
    read_n, cpu = 0, time.process_time()
    while read_n < 40_000:
        for records in (await consumer.getmany(timeout_ms=500, max_records=2_000)).values():
            read_n += len(records)
    found.read = (time.process_time() - cpu) / read_n
    began = time.perf_counter()
    for tp in tps[:50]:
        await consumer.committed(tp)
    found.committed_s = (time.perf_counter() - began) / 50
    await consumer.stop()
    return found
