"""Describes topics and groups, and creates, grows and cuts topics, through aiokafka's admin client.

Knows no topic or group of ours. Asks for all topics at once, never for one by name: a broker may
create what it is asked about.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ...errors import BadSettings
from ...flow.effects import Part
from ...settings.kafka import KafkaSettings
from .client import ANSWER_MAX_S, NoBroker, check_brokers, import_extra, make_admin, make_consumer
from .reading import partition_of, start_client

VISIBLE_MAX_S = 30.0
"""How long a new topic may take to have a leader for every partition."""

_POLL_S = 0.1
_RULES = ("cleanup.policy", "retention.ms", "retention.bytes")


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """A topic as it is. `rules` are its settings as Kafka names them; None if hidden from us."""

    partitions_n: int
    replication: int
    has_leaders: bool
    rules: dict[str, str] | None = None
    records_n: int = 0


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic to create."""

    name: str
    partitions_n: int
    replication: int
    rules: dict[str, str]


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A member of a consumer group: its client id, its machine, its partitions by topic."""

    name: str
    host: str
    partitions: dict[str, list[int]]


@asynccontextmanager
async def connect_cluster(kafka: KafkaSettings) -> AsyncIterator[Cluster]:
    """Connect to the brokers.

    Raises `NoBroker` for errors that may pass, also within the block, else `BadSettings`.
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

    async def list_topics(self) -> dict[str, TopicFacts]:
        """Return all topics that we may see, by name; without their rules and records."""
        topics = {}
        for topic in await self._client.describe_topics():
            partitions = topic["partitions"]
            if topic["error_code"] or not partitions:
                continue
            topics[topic["topic"]] = TopicFacts(
                partitions_n=len(partitions),
                replication=min(len(partition["replicas"]) for partition in partitions),
                has_leaders=all(partition["leader"] >= 0 for partition in partitions),
            )
        return topics

    async def create_topics(self, wanted: Iterable[TopicPlan]) -> None:
        """Create topics; one that another worker created meanwhile is as good.

        Raises `BadSettings` with a reason for each topic that can't be created.
        """
        new = import_extra("aiokafka.admin").NewTopic
        topics = [
            new(topic.name, topic.partitions_n, topic.replication, topic_configs=topic.rules)
            for topic in wanted
        ]
        if not topics:
            return
        response = await self._client.create_topics(topics)
        errors = import_extra("aiokafka.errors")
        faults = []
        for name, code, *messages in response.topic_errors:
            kind = errors.for_code(code)
            if kind in (errors.NoError, errors.TopicAlreadyExistsError):
                continue
            reason = (messages[0] if messages else None) or kind.description
            faults.append(f"topic {name} can't be created: {reason} ({kind.message})")
        if faults:
            raise BadSettings(faults)

    async def grow_topic(self, name: str, partitions_n: int) -> None:
        """Grow a topic to this many partitions, unless it has them. Raises `BadSettings`."""
        errors = import_extra("aiokafka.errors")
        more = import_extra("aiokafka.admin").NewPartitions(total_count=partitions_n)
        try:
            await self._client.create_partitions({name: more})
        except errors.InvalidPartitionsError:
            # Another worker was quicker; the caller asks again how many there are now.
            return
        except errors.KafkaError as error:
            raise BadSettings(f"topic {name} can't be given more partitions: {error}") from error

    async def delete_before(self, places: Mapping[Part, int]) -> None:
        """Delete the records of these partitions before these offsets. Raises `BadSettings`."""
        before = import_extra("aiokafka.admin").RecordsToDelete
        wanted = {partition_of(*part): before(place) for part, place in places.items()}
        await self._client.delete_records(wanted)

    async def await_topics(self, expected: dict[str, int]) -> dict[str, TopicFacts]:
        """Return all topics once those `expected` have as many partitions, all with leaders.

        Raises `NoBroker` if that takes too long.
        """
        deadline = time.monotonic() + VISIBLE_MAX_S
        while True:
            found = await self.list_topics()
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

    async def read_rules(self, names: Collection[str]) -> dict[str, dict[str, str]]:
        """Return how topics keep their records, by name; without topics that hide it from us."""
        if not names:
            return {}
        kinds = import_extra("aiokafka.admin.config_resource")
        asked = [
            kinds.ConfigResource(kinds.ConfigResourceType.TOPIC, name, dict.fromkeys(_RULES))
            for name in names
        ]
        rules = {}
        for response in await self._client.describe_configs(asked):
            for code, _, _, name, entries in response.resources:
                if not code:
                    rules[name] = {key: value for key, value, *_ in entries}
        return rules

    async def list_members(self, group: str) -> list[GroupMember]:
        """Return the members of a consumer group now; none where there is no such group."""
        errors = import_extra("aiokafka.errors")
        kind = import_extra("aiokafka.coordinator.protocol").ConsumerProtocolMemberAssignment
        members = []
        for response in await self._client.describe_consumer_groups([group]):
            for description in response.groups:
                failed = errors.for_code(description[0])
                if failed is errors.GroupIdNotFound:
                    continue
                if failed is not errors.NoError:
                    raise failed(f"the group {group} can't be described")
                for _, name, host, _, share, *_ in description[5]:
                    assigned = kind.decode(share).assignment if share else []
                    partitions = {topic: sorted(numbers) for topic, numbers in assigned}
                    members.append(GroupMember(name, host.lstrip("/"), partitions))
        return members

    async def read_committed(self, group: str) -> dict[Any, int]:
        """Return the offsets that a group committed, by partition, where it ever did."""
        offsets = await self._client.list_consumer_group_offsets(group)
        return {tp: committed.offset for tp, committed in offsets.items() if committed.offset >= 0}

    async def count_records(self, partitions: dict[str, int]) -> dict[str, int]:
        """Return how many records topics hold, by name, given the numbers of their partitions."""
        pair = import_extra("aiokafka").TopicPartition
        tps = [pair(name, i) for name, n in partitions.items() for i in range(n)]
        if not tps:
            return {}
        asleep = make_consumer(self._kafka, request_timeout_ms=ANSWER_MAX_S * 1000)
        async with AsyncExitStack() as stack:
            reader = await start_client(stack, asleep)
            first = await reader.beginning_offsets(tps)
            last = await reader.end_offsets(tps)
        counted = dict.fromkeys(partitions, 0)
        for tp in tps:
            counted[tp.topic] += last[tp] - first[tp]
        return counted
