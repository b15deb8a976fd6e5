"""What brokers say about topics and groups, and what is asked of them: create a topic, grow it.

Knows aiokafka's admin client and its answers, and no topic or group of ours. Asks for all topics at
once, never for one by name: a broker may create what it is asked about.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ...errors import BadSettings
from ...flow.effects import Part
from ...settings.kafka import KafkaSettings
from .client import ANSWER_MAX_S, NoBroker, check_brokers, import_extra, make_admin, make_consumer
from .reading import partition_of

VISIBLE_MAX_S = 30.0
"""How long it may take until a topic that was created has a leader for every partition."""

_POLL_S = 0.1
_RULES = ("cleanup.policy", "retention.ms", "retention.bytes")


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as it is. `rules` are its settings as Kafka names them; None: we may not see them."""

    partitions_n: int
    replication: int
    has_leaders: bool
    rules: dict[str, str] | None = None
    records_n: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic to create."""

    name: str
    partitions_n: int
    replication: int
    rules: dict[str, str]


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a consumer group: its client id, its machine, its partitions by topic."""

    name: str
    host: str
    partitions: dict[str, list[int]]


@asynccontextmanager
async def connect_cluster(kafka: KafkaSettings) -> AsyncIterator[Cluster]:
    """A connection to the brokers.

    Raises `NoBroker` for what may pass, within the block too, and `BadSettings` for what won't.
    """
    await check_brokers(kafka)
    client = make_admin(kafka, request_timeout_ms=ANSWER_MAX_S * 1000)
    failed = import_extra("aiokafka.errors").KafkaError
    try:
        await client.start()
        yield Cluster(kafka, client)
    except TimeoutError as error:
        raise NoBroker(f"the brokers did not answer for {ANSWER_MAX_S} s") from error
    except failed as error:
        if error.retriable:
            raise NoBroker(f"the brokers can't be spoken to; {error}") from error
        raise BadSettings(f"the brokers refuse; {error}") from error
    finally:
        await client.close()


class Cluster:
    """The brokers, as far as topics go. Made by `connect_cluster`."""

    def __init__(self, kafka: KafkaSettings, client: Any) -> None:
        self._kafka, self._client = kafka, client

    async def topics(self) -> dict[str, Found]:
        """All topics that we may see, by name; without their rules and records."""
        found = {}
        for told in await self._client.describe_topics():
            partitions = told["partitions"]
            if told["error_code"] or not partitions:
                continue
            found[told["topic"]] = Found(
                partitions_n=len(partitions),
                replication=min(len(one["replicas"]) for one in partitions),
                has_leaders=all(one["leader"] >= 0 for one in partitions),
            )
        return found

    async def create(self, wanted: Iterable[Wanted]) -> None:
        """Create topics; one that another worker created meanwhile is as good.

        Raises `BadSettings` with the reason of each one that can't be created.
        """
        new = import_extra("aiokafka.admin").NewTopic
        topics = [
            new(one.name, one.partitions_n, one.replication, topic_configs=one.rules)
            for one in wanted
        ]
        if not topics:
            return
        response = await self._client.create_topics(topics)
        errors = import_extra("aiokafka.errors")
        faults = []
        for name, code, *told in response.topic_errors:
            kind = errors.for_code(code)
            if kind in (errors.NoError, errors.TopicAlreadyExistsError):
                continue
            reason = (told[0] if told else None) or kind.description
            faults.append(f"topic {name} can't be created: {reason} ({kind.message})")
        if faults:
            raise BadSettings(faults)

    async def grow(self, name: str, partitions_n: int) -> None:
        """Give a topic more partitions, unless it has as many. Raises `BadSettings`."""
        errors = import_extra("aiokafka.errors")
        more = import_extra("aiokafka.admin").NewPartitions(total_count=partitions_n)
        try:
            await self._client.create_partitions({name: more})
        except errors.InvalidPartitionsError:
            # Another worker was quicker; who asks again sees how many there are now.
            return
        except errors.KafkaError as error:
            raise BadSettings(f"topic {name} can't be given more partitions: {error}") from error

    async def delete_before(self, places: Mapping[Part, int]) -> None:
        """Delete the records of these partitions before these offsets. Raises `BadSettings`."""
        before = import_extra("aiokafka.admin").RecordsToDelete
        wanted = {partition_of(*part): before(place) for part, place in places.items()}
        await self._client.delete_records(wanted)

    async def visible(self, expected: dict[str, int]) -> dict[str, Found]:
        """All topics, as soon as those that are expected have so many partitions, all with leaders.

        Raises `NoBroker` if that takes too long.
        """
        deadline = time.monotonic() + VISIBLE_MAX_S
        while True:
            found = await self.topics()
            late = [
                name
                for name, partitions_n in expected.items()
                if name not in found
                or not found[name].has_leaders
                or found[name].partitions_n < partitions_n
            ]
            if not late:
                return found
            if time.monotonic() > deadline:
                raise NoBroker(
                    f"topics without a leader for {VISIBLE_MAX_S:.0f} s: {', '.join(late)}; "
                    "look at the brokers, then start again"
                )
            await asyncio.sleep(_POLL_S)

    async def rules(self, names: Collection[str]) -> dict[str, dict[str, str]]:
        """How topics keep their records, by name; without those whose rules we may not see."""
        if not names:
            return {}
        kinds = import_extra("aiokafka.admin.config_resource")
        asked = [
            kinds.ConfigResource(kinds.ConfigResourceType.TOPIC, name, dict.fromkeys(_RULES))
            for name in names
        ]
        found = {}
        for response in await self._client.describe_configs(asked):
            for code, _, _, name, entries in response.resources:
                if not code:
                    found[name] = {key: value for key, value, *_ in entries}
        return found

    async def members(self, group: str) -> list[Member]:
        """Who is in a consumer group now; nobody where there is no such group."""
        errors = import_extra("aiokafka.errors")
        kind = import_extra("aiokafka.coordinator.protocol").ConsumerProtocolMemberAssignment
        found = []
        for response in await self._client.describe_consumer_groups([group]):
            for told in response.groups:
                failed = errors.for_code(told[0])
                if failed is errors.GroupIdNotFound:
                    continue
                if failed is not errors.NoError:
                    raise failed(f"the group {group} can't be described")
                for _, name, host, _, share, *_ in told[5]:
                    its = kind.decode(share).assignment if share else []
                    partitions = {topic: sorted(numbers) for topic, numbers in its}
                    found.append(Member(name, host.lstrip("/"), partitions))
        return found

    async def committed(self, group: str) -> dict[Any, int]:
        """The offsets that a group committed, by partition; without those it never committed."""
        found = await self._client.list_consumer_group_offsets(group)
        return {tp: one.offset for tp, one in found.items() if one.offset >= 0}

    async def records(self, partitions: dict[str, int]) -> dict[str, int]:
        """How many records topics hold, by name, from the numbers of their partitions."""
        pair = import_extra("aiokafka").TopicPartition
        asked = [pair(name, i) for name, n in partitions.items() for i in range(n)]
        if not asked:
            return {}
        reader = make_consumer(self._kafka, request_timeout_ms=ANSWER_MAX_S * 1000)
        try:
            await reader.start()
            first = await reader.beginning_offsets(asked)
            last = await reader.end_offsets(asked)
        finally:
            await reader.stop()
        counted = dict.fromkeys(partitions, 0)
        for one in asked:
            counted[one.topic] += last[one] - first[one]
        return counted
