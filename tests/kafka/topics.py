"""What tests do with topics: make, fill, read whole, measure. Plain calls, no event loop to own.

Each call connects, does its one thing and closes: right for tests, too slow for a load. Inside a
running event loop, call it with `asyncio.to_thread`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

T = TypeVar("T")
# For the answer to one call, on a machine that does much else.
REQUEST_MS = 15_000


def _is_led(topics: list[dict[str, Any]], name: str, partitions: int) -> bool:
    """Whether a list of topics has this one, with a leader for each partition."""
    return any(
        topic["topic"] == name
        and not topic["error_code"]
        and sum(partition["leader"] >= 0 for partition in topic["partitions"]) == partitions
        for topic in topics
    )


class Topics:
    """The topics of one broker; `client` holds aiokafka's arguments for reaching it."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self.client = dict(client)

    def create(
        self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> str:
        """Make a topic with these settings of the broker's kind; its name.

        The broker's answer comes a little before its lists have the topic: those are waited for.
        """
        topic = NewTopic(name, partitions, 1, topic_configs=dict(config or {}))

        async def run(admin: AIOKafkaAdminClient) -> None:
            answer = await admin.create_topics([topic])
            failed = [error for error in answer.topic_errors if error[1]]
            assert failed == [], failed
            deadline = time.monotonic() + REQUEST_MS / 1000
            while not _is_led(await admin.describe_topics(), name, partitions):
                assert time.monotonic() < deadline, f"{name} is on no list"
                await asyncio.sleep(0.05)

        self._admin(run)
        return name

    def delete(self, *names: str) -> None:
        async def run(admin: AIOKafkaAdminClient) -> None:
            await admin.delete_topics(list(names))

        self._admin(run)

    def names(self) -> list[str]:
        """All topics but Kafka's own; in order."""

        async def run(admin: AIOKafkaAdminClient) -> list[str]:
            return await admin.list_topics()

        return sorted(name for name in self._admin(run) if not name.startswith("__"))

    def partitions(self, name: str) -> int:
        """How many partitions a topic has; 0 if there is no such topic."""

        async def run(admin: AIOKafkaAdminClient) -> int:
            (found,) = await admin.describe_topics([name])
            return len(found["partitions"])

        return self._admin(run)

    def produce(
        self,
        name: str,
        values: Iterable[bytes | None],
        *,
        keys: Sequence[bytes | None] | None = None,
        partition: int | None = None,
        codec: str | None = None,
    ) -> None:
        """Write values in their order, all acknowledged on return.

        Keys, if given, are one for each value. Without `partition` the key's hash picks it. `codec`
        compresses them.
        """
        values = list(values)
        keyed = zip(values, keys or [None] * len(values), strict=True)

        async def run() -> None:
            async with AIOKafkaProducer(
                **self.client, acks="all", linger_ms=5, compression_type=codec
            ) as producer:
                sent = [
                    await producer.send(name, value, key=key, partition=partition)
                    for value, key in keyed
                ]
                await asyncio.gather(*sent)

        asyncio.run(run())

    def abort(self, name: str, *values: bytes) -> None:
        """Write each value in a transaction of its own that is aborted."""

        async def run() -> None:
            async with AIOKafkaProducer(**self.client, transactional_id=f"{name}-tx") as producer:
                for value in values:
                    await producer.begin_transaction()
                    await producer.send_and_wait(name, value, partition=0)
                    await producer.abort_transaction()

        asyncio.run(run())

    def delete_before(self, name: str, offset: int, partition: int = 0) -> None:
        """Delete the first records of a partition, as retention does."""

        async def run(admin: AIOKafkaAdminClient) -> None:
            await admin.delete_records({TopicPartition(name, partition): RecordsToDelete(offset)})

        self._admin(run)

    def commit(self, group: str, name: str, offset: int, partition: int = 0) -> None:
        """Move what a group has committed, as an operator's tool does; nobody may be in it."""

        async def run() -> None:
            consumer = AIOKafkaConsumer(**self.client, group_id=group, enable_auto_commit=False)
            at = TopicPartition(name, partition)
            consumer.assign([at])
            async with consumer:
                await consumer.commit({at: offset})

        asyncio.run(run())

    def records(
        self, name: str, *, at_least: int = 0, within_s: float = 60.0, committed: bool = False
    ) -> list[ConsumerRecord]:
        """Everything in a topic from its start to its present end, by partition and offset.

        What is written meanwhile may be there too.
        Waits until there are `at_least` so many, and fails if that takes longer than `within_s`.
        `committed` leaves out what an open or aborted transaction wrote.
        """
        self._require(name)
        until = time.monotonic() + within_s
        while True:
            found = asyncio.run(self._read(name, "read_committed" if committed else None))
            if len(found) >= at_least:
                return found
            assert time.monotonic() < until, f"{name} has {len(found)} records, not {at_least}"
            time.sleep(0.2)

    def values(self, name: str, **options: Any) -> list[bytes | None]:
        """The values of `records`, with the same options."""
        return [record.value for record in self.records(name, **options)]

    def end_offsets(self, name: str) -> dict[int, int]:
        """The next offset of each partition."""

        self._require(name)

        async def run() -> dict[int, int]:
            async with self._consumer(name) as consumer:
                ends = await consumer.end_offsets(consumer.assignment())
                return {at.partition: ends[at] for at in sorted(ends)}

        return asyncio.run(run())

    def committed(self, group: str) -> dict[tuple[str, int], int]:
        """What a consumer group has committed: the next offset by topic and partition."""

        async def run(admin: AIOKafkaAdminClient) -> dict[tuple[str, int], int]:
            found = await admin.list_consumer_group_offsets(group)
            return {(at.topic, at.partition): found[at].offset for at in sorted(found)}

        return self._admin(run)

    def _require(self, name: str) -> None:
        assert self.partitions(name), f"there is no topic {name}"

    def _consumer(self, name: str, **options: Any) -> AIOKafkaConsumer:
        """All partitions of a topic from the start, without a group."""
        return AIOKafkaConsumer(
            name, **self.client, group_id=None, auto_offset_reset="earliest", **options
        )

    async def _read(self, name: str, isolation: str | None) -> list[ConsumerRecord]:
        found: list[ConsumerRecord] = []
        isolation = isolation or "read_uncommitted"
        async with self._consumer(name, isolation_level=isolation) as consumer:
            ends = await consumer.end_offsets(consumer.assignment())
            # The position moves past what is no record too: ends of transactions, holes.
            while any([await consumer.position(at) < end for at, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += records
        return sorted(found, key=lambda record: (record.partition, record.offset))

    def _admin(self, run: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T:
        async def within() -> T:
            admin = AIOKafkaAdminClient(**self.client, request_timeout_ms=REQUEST_MS)
            await admin.start()
            try:
                return await run(admin)
            finally:
                await admin.close()

        return asyncio.run(within())
