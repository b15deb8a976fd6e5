"""What snapshots, rebalances and the clients cost: the other half of `scaling_costs.py`.

Measured like there. The clients speak to a broker of this module's own.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from headrace import Settings
from headrace.drivers.kafka import client
from headrace.drivers.kafka.assigning import Steady
from headrace.drivers.kafka.carrying import send_records
from headrace.drivers.kafka.reading import partition_of
from headrace.drivers.kafka.states import States
from headrace.flow.desks import PartitionDesk
from headrace.flow.effects import Produce
from headrace.flow.outbox import Outbox
from headrace.flow.produce import ProduceBatch, ProducerRecord
from headrace.flow.saving import freeze_log
from headrace.flow.shards import PartitionShard
from headrace.flow.training import new_log
from headrace.learn.models import build
from headrace.messages import LabelSettled
from headrace.state import frozen
from kafka.broker import Broker
from scaling_costs import Bench, cpu_of, settings_of

GROUP_RECORD_MAX = 1_048_588
"""The largest record that brokers take of themselves, too: `message.max.bytes`."""


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
        entries += [asking.settled(r) for r in asking.feed(asking.stream.take(2_000))]
        for entry in entries[-400:]:
            asking.owned.shard.hear_entry(entry, asking.log)
    desk = asking.desk.desk
    found.append(
        _frozen(
            "desk", features_n, desk.freeze, lambda blob: PartitionDesk(settings, 0).thaw(blob, 0)
        )
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
                lambda log=log: freeze_log(log),
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
        min(cpu_of(freeze) for _ in range(3)),
        min(cpu_of(lambda: thaw(blob)) for _ in range(3)),
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
        bench.owned.shard.attach_trainer(log.trainer)
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
    store = states._open_store("desk-0")
    began = time.perf_counter()
    assert store.read_latest() is not None
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
    sizes = {
        "inference": partitions_n,
        "headrace.desk": 4,
        "headrace.answers": 4,
        "headrace.drift": 1,
    }
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
    """What the clients cost, with one broker on this machine; `_s` includes waiting."""

    send: float = 0.0  # CPU, a record among many
    stride: float = 0.0  # CPU, a stride of the outbox with one record
    read: float = 0.0  # CPU, a record
    ack_s: float = 0.0  # one stride of the outbox
    committed_s: float = 0.0  # one committed offset, of 200 asked for together
    client_s: float = 0.0  # a consumer started and stopped, as for each takeover
    # Batches a second that a worker's outbox carries out, by `worker.batches_in_flight_max`.
    batches: dict[int, float] = field(default_factory=dict)
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


async def _carried(producer: Any, waiting_max: int) -> float:
    """Steps a second, of four partitions in turn, that the outbox has carried out."""
    outbox, steps_n = Outbox(waiting_max, lambda _: None, lambda _: None), 800
    placed = [ProducerRecord("headrace.journal", b"x" * 85, partition=n) for n in range(4)]
    ends = [record.offset + 1 for record in await send_records(producer, placed)]
    began, i = time.perf_counter(), 0
    while i < steps_n:
        while i < steps_n and outbox.has_room:
            record, offset = placed[i % 4], ends[i % 4] + i // 4
            outbox.put(ProduceBatch(lambda: None, journal=record, offset=offset))
            i += 1
        await _carry_out(producer, outbox)
    spent = time.perf_counter() - began
    return steps_n / spent


async def _carry_out(producer: Any, outbox: Outbox) -> None:
    routine, offsets = outbox.carry_out(), None
    try:
        while True:
            request = routine.send(offsets)
            assert isinstance(request, Produce)
            offsets = [record.offset for record in await send_records(producer, request.records)]
    except StopIteration:
        return


async def _wire(settings: Any) -> Wire:
    found = Wire()
    producer = client.make_producer(settings)
    await producer.start()
    records = [
        ProducerRecord("headrace.journal", b"x" * 150, partition=i % 4) for i in range(2_000)
    ]
    events = [ProducerRecord("inference", b"x" * 400, partition=i % 10) for i in range(2_000)]
    await send_records(producer, records)
    cpu = time.process_time()
    for _ in range(5):
        await send_records(producer, records)
    found.send = (time.process_time() - cpu) / 5 / len(records)
    waits, cpu = [], time.process_time()
    for _ in range(50):
        began = time.perf_counter()
        await send_records(producer, records[:1])
        waits.append(time.perf_counter() - began)
    found.stride, found.ack_s = (time.process_time() - cpu) / 50, sorted(waits)[25]
    for waiting_max in (4, 32):
        found.batches[waiting_max] = await _carried(producer, waiting_max)
    for _ in range(20):
        await send_records(producer, events)
    await producer.stop()
    began, first = time.perf_counter(), partition_of("headrace.journal", 0)
    for _ in range(5):
        asleep = client.make_consumer(settings)
        await asleep.start()
        asleep.assign([first])
        await asleep.end_offsets([first])
        await asleep.stop()
    found.client_s = (time.perf_counter() - began) / 5
    consumer = client.make_consumer(settings, group="headrace-bench")
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
    await asyncio.gather(*(consumer.committed(tp) for tp in tps[:200]))
    found.committed_s = (time.perf_counter() - began) / 200
    await consumer.stop()
    return found
