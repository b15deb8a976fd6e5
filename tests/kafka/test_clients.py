"""Our producer and our consumers on a real broker: an outage, and a group that changes."""

import asyncio
import contextlib
import time

import pytest

from headrace.drivers.kafka import client
from headrace.drivers.kafka.cluster import TopicPlan, connect_cluster
from headrace.drivers.kafka.reading import partition_of
from headrace.settings.kafka import KafkaSettings

PARTITIONS = 12
SETTLED_S_MAX = 90


def kafka_of(broker) -> KafkaSettings:
    return KafkaSettings(servers=[broker.servers])


async def made(kafka: KafkaSettings, name: str, partitions_n: int) -> None:
    async with connect_cluster(kafka) as cluster:
        await cluster.create_topics([TopicPlan(name, partitions_n, 1, {})])
        await cluster.await_topics({name: partitions_n})


@pytest.mark.long
def test_what_is_sent_while_the_broker_is_away_arrives_once_and_in_order(own_broker):
    kafka = kafka_of(own_broker)
    values = [b"%d" % i for i in range(400)]

    async def run():
        await made(kafka, "sent", 1)
        async with client.make_producer(kafka) as producer:
            first = [await producer.send("sent", value) for value in values[:100]]
            # Some of these are on their way when the broker dies.
            await asyncio.to_thread(own_broker.kill)
            second = [await producer.send("sent", value) for value in values[100:300]]
            await asyncio.to_thread(own_broker.start)
            third = [await producer.send("sent", value) for value in values[300:]]
            await asyncio.gather(*first, *second, *third)

    asyncio.run(run())
    assert own_broker.topics.values("sent") == values


def test_a_retry_after_a_lost_acknowledgement_writes_nothing_twice(pausing_broker):
    kafka = kafka_of(pausing_broker)

    async def run():
        await made(kafka, "sent", 1)
        async with client.make_producer(kafka, request_timeout_ms=2_000) as producer:
            await producer.send_and_wait("sent", b"first")
            # The broker gets this, and by the time it wakes up the producer has given up on it.
            pausing_broker.pause()
            sent = await producer.send("sent", b"second")
            await asyncio.sleep(5)
            pausing_broker.resume()
            await sent

    asyncio.run(run())
    assert pausing_broker.topics.values("sent") == [b"first", b"second"]


def test_few_partitions_move_when_a_worker_comes_or_goes(broker, prefix):
    """Twelve over one, two, three, two, three workers: the least that must move, each time."""

    async def run():
        kafka = kafka_of(broker)
        await made(kafka, prefix, PARTITIONS)
        moved, owners = [], {}
        async with contextlib.AsyncExitStack() as stack:
            members = []
            for step in ("comes", "comes", "comes", "goes", "comes"):
                if step == "comes":
                    members.append(await joined(kafka, prefix, stack))
                else:
                    await members.pop(0).stop()
                settled = await shares(members)
                moved.append(sum(owners.get(p, owner) != owner for p, owner in settled.items()))
                owners = settled
        return moved

    assert asyncio.run(run()) == [0, 6, 4, 4, 4]


async def joined(kafka: KafkaSettings, topic: str, stack: contextlib.AsyncExitStack):
    member = client.make_consumer(kafka, group=topic)
    member.subscribe([topic])
    await member.start()
    stack.push_async_callback(member.stop)
    return member


async def shares(members) -> dict[int, int]:
    """Who holds each partition, once each is held by one, and as evenly as can be."""
    deadline = time.monotonic() + SETTLED_S_MAX
    while True:
        held = [[at.partition for at in member.assignment()] for member in members]
        owners = {p: id(member) for member, its in zip(members, held, strict=True) for p in its}
        sizes = [len(its) for its in held]
        if len(owners) == sum(sizes) == PARTITIONS and max(sizes) - min(sizes) <= 1:
            return owners
        assert time.monotonic() < deadline, held
        await asyncio.sleep(0.1)


def test_a_fetch_brings_no_more_bytes_of_a_partition_than_the_setting_says(broker, prefix):
    name, value = f"{prefix}.fetched", b"x" * 10_000
    broker.topics.create(name, partitions=1)
    # Each in a batch of its own, since a fetch brings whole batches.
    for _ in range(20):
        broker.topics.produce(name, [value])

    async def most(fetch_bytes_max: int) -> int:
        kafka = KafkaSettings(servers=[broker.servers], fetch_bytes_max=fetch_bytes_max)
        part = partition_of(name, 0)
        async with client.make_consumer(kafka) as reader:
            reader.assign([part])
            reader.seek(part, 0)
            sizes = []
            while sum(sizes) < 20:
                found = await reader.getmany(part, timeout_ms=500)
                sizes += [len(records) for records in found.values()]
            return max(sizes)

    # At least one record comes, whatever its size, so that nothing is ever stuck.
    assert asyncio.run(most(5_000)) == 1
    assert asyncio.run(most(35_000)) in (2, 3)
    assert asyncio.run(most(1_000_000)) > 10
