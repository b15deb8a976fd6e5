"""Our topics: what each holds, what each must be like, which are missing.

A missing topic is created, an existing one is never changed: if it differs, that is reported with
advice. One exception: the journal gets more partitions when the inference log got more. The
permissions that each topic needs are in docs/KAFKA.md.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace

from ...errors import BadInput, BadSettings
from ...flow.records import OVERHEAD_BYTES
from ...settings import Settings
from .cluster import TopicFacts, TopicPlan, connect_cluster

MESSAGE_BYTES = 1_048_588
"""The largest record that brokers take unless told otherwise: Kafka's `message.max.bytes`."""

COPIES_SAFE = 3
COPIES_IN_SYNC = 2
"""With three copies or more, two must have a record before it counts as written."""

EVENTS_VISIBLE_MAX_S = 5.0
"""How long an inference log that was created just now may take to be on a broker's list."""

_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Topic:
    """What a topic must be like.

    `setting` is its name in [kafka], `holds` and `key` say what its records are. We create it with
    `created_n` partitions, and never if that is 0; `partitions_n` is how many it must have, None
    for any number; `retention_s` is how long it keeps records, in seconds, None for ever.
    """

    setting: str
    name: str
    holds: str
    key: str
    created_n: int
    partitions_n: int | None
    retention_s: float | None


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as it is: `found` is None if it is missing, or hidden from us.

    With `faults` the worker can't run; with `notes` it can, and an operator should know them.
    """

    topic: Topic
    found: TopicFacts | None
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """`ok`, `missing` or `differs`."""
        if self.found is None:
            return "missing"
        return "differs" if self.faults or self.notes else "ok"


def plan_topics(settings: Settings, events_n: int) -> list[Topic]:
    """Return every topic as it must be; the first is the inference log, of `events_n` partitions.

    Raises `BadSettings` if a request would be deleted before its deadline.

    >>> [(topic.name, topic.created_n) for topic in plan_topics(Settings(), 12)][-2:]
    [('headrace.desk', 4), ('headrace.journal', 12)]
    """
    kafka, deadline_s = settings.kafka, settings.label.deadline_s
    kept, desks_n = kafka.retention_s, kafka.desk_partitions
    if kept < deadline_s:
        raise BadSettings(
            f"kafka.retention_s is {kept}; must be at least label.deadline_s, which is "
            f"{deadline_s}, or a request is deleted while people may still answer it"
        )
    return [
        Topic(setting, getattr(kafka, setting), holds, key, created_n, partitions_n, retention_s)
        for setting, holds, key, created_n, partitions_n, retention_s in (
            ("events", "inferences, as they are", "any", 0, None, None),
            ("requests", "requests for labels, withdrawals", "request id", desks_n, None, kept),
            ("answers", "answers, from anywhere", "any", desks_n, None, kept),
            (
                "training",
                "every end of a request, and every decision about the model, in one order",
                "none",
                1,
                1,
                None,
            ),
            ("drift", "changes of the drift level", "signal", 1, 1, kept),
            ("rejects", "what could not be used, and why", "none", 1, None, kept),
            ("desk", "what each desk was given", "request id", desks_n, desks_n, kept),
            ("journal", "what each shard was fed", "none", events_n, events_n, kept),
        )
    ]


async def ensure_topics(settings: Settings, *, create: bool | None = None) -> list[TopicState]:
    """Return all topics, fit for the worker; create those that are missing.

    `create` overrides `kafka.create_topics`. Raises `NoBroker` if none answers, `BadInput` if there
    is no inference log after `EVENTS_VISIBLE_MAX_S`, `BadSettings` with every fault of the other
    topics.
    """
    create = settings.kafka.create_topics if create is None else create
    deadline = time.monotonic() + EVENTS_VISIBLE_MAX_S
    while (states := await survey_topics(settings, create, count=False))[0].found is None:
        if time.monotonic() > deadline:
            raise BadInput(describe_missing(states)[0])
        await asyncio.sleep(_POLL_S)
    faults = [*describe_missing(states), *(fault for state in states for fault in state.faults)]
    if faults:
        raise BadSettings(faults)
    return states


async def survey_topics(
    settings: Settings, create: bool = False, *, count: bool = True
) -> list[TopicState]:
    """Return all topics as they are, after creating those that are missing, with `create`.

    With `count` their records are counted, which asks every partition. Nothing is created before
    there is an inference log. Raises `NoBroker`, and `BadSettings` for what the brokers refuse.
    """
    kafka = settings.kafka
    async with connect_cluster(kafka) as cluster:
        found = await cluster.list_topics()
        events_n = found[kafka.events].partitions_n if kafka.events in found else 0
        topics = plan_topics(settings, events_n)
        if create and events_n:
            new = {topic.name: topic for topic in topics if topic.name not in found}
            await cluster.create_topics(plan_creation(topic, settings) for topic in new.values())
            expected = {name: topic.created_n for name, topic in new.items()}
            if kafka.journal in found and found[kafka.journal].partitions_n < events_n:
                await cluster.grow_topic(kafka.journal, events_n)
                expected[kafka.journal] = events_n
            found = await cluster.await_topics(expected)
        ours = {topic.name: found[topic.name] for topic in topics if topic.name in found}
        rules = await cluster.read_rules(ours)
        sizes = {name: one.partitions_n for name, one in ours.items()}
        records = await cluster.count_records(sizes) if count else {}
    for name, one in ours.items():
        ours[name] = replace(one, rules=rules.get(name), records_n=records.get(name, 0))
    return [judge_topic(topic, ours.get(topic.name), topics[0]) for topic in topics]


def plan_creation(topic: Topic, settings: Settings) -> TopicPlan:
    """Return how to create a topic."""
    kafka = settings.kafka
    kept_ms = -1 if topic.retention_s is None else int(topic.retention_s * 1000)
    rules = {"cleanup.policy": "delete", "retention.ms": str(kept_ms), "retention.bytes": "-1"}
    if topic.setting == "answers":
        # With a tool's clock, years behind, its answers would be deleted at once.
        rules["message.timestamp.type"] = "LogAppendTime"
    if kafka.replication >= COPIES_SAFE:
        rules["min.insync.replicas"] = str(COPIES_IN_SYNC)
    if kafka.request_bytes_max + OVERHEAD_BYTES > MESSAGE_BYTES:
        rules["max.message.bytes"] = str(kafka.request_bytes_max + OVERHEAD_BYTES)
    return TopicPlan(topic.name, topic.created_n, kafka.replication, rules)


# ---------------------------------------------------------------------------------- judging


def describe_missing(states: list[TopicState]) -> list[str]:
    """Say in one sentence which topics are missing, or that the inference log is; empty if none."""
    events, *_ = states
    if events.found is None:
        return [
            f"kafka.events is {events.topic.name!r}, and there is no such topic, or we may not see "
            "it; create it or name another: ours are created when it is there"
        ]
    names = [state.topic.name for state in states if state.found is None]
    if not names:
        return []
    return [
        f"missing, or hidden from us: {', '.join(names)}; run headrace topics --create, or set "
        "kafka.create_topics"
    ]


def judge_topic(topic: Topic, found: TopicFacts | None, events: Topic) -> TopicState:
    """Compare a topic as it is with what it must be like."""
    if found is None or topic.setting == "events":
        return TopicState(topic, found)
    faults, notes = _faults_of_partitions(topic, found, events), []
    if found.rules is None:
        notes.append(f"how long {topic.name} keeps records is hidden; allow us DescribeConfigs")
        return TopicState(topic, found, tuple(faults), tuple(notes))
    if "compact" in found.rules["cleanup.policy"]:
        faults.append(f"{topic.name} is compacted, which loses records; set cleanup.policy=delete")
    kept_s, is_bounded = find_retention(found), found.rules["retention.bytes"] != "-1"
    if topic.retention_s is None and (kept_s is not None or is_bounded):
        faults.append(
            f"{topic.name} deletes records, and they are the model; set its retention.ms=-1 and "
            "retention.bytes=-1"
        )
    elif topic.retention_s is not None and kept_s is not None and kept_s < topic.retention_s:
        notes.append(
            f"{topic.name} keeps records for {format_span(kept_s)}; kafka.retention_s says "
            f"{format_span(topic.retention_s)}: change one of them"
        )
    return TopicState(topic, found, tuple(faults), tuple(notes))


def _faults_of_partitions(topic: Topic, found: TopicFacts, events: Topic) -> list[str]:
    has_n, must_n = found.partitions_n, topic.partitions_n
    if must_n is None or has_n == must_n:
        return []
    has_told = f"{topic.name} has {has_n} partitions"
    if topic.setting == "journal" and has_n < must_n:
        return [f"{has_told}, {events.name} has {must_n}; run headrace topics --create to add them"]
    if topic.setting == "journal":
        return [
            f"{has_told}, {events.name} has {must_n}: it is of another inference log; give "
            "kafka.journal a new name"
        ]
    if topic.setting == "desk":
        return [
            f"{has_told}, kafka.desk_partitions is {must_n}, and open requests can't move between "
            f"partitions; set it to {has_n}, or give kafka.desk a new name"
        ]
    return [f"{has_told}, must have {must_n}; give kafka.{topic.setting} a new name"]


def find_retention(found: TopicFacts) -> float | None:
    """Return how long a topic keeps records, in seconds; None: for ever, or hidden from us."""
    ms = int(found.rules["retention.ms"]) if found.rules else -1
    return None if ms < 0 else ms / 1000


def format_span(seconds: float) -> str:
    """Return a span of time in words.

    >>> format_span(2_592_000), format_span(5_400)
    ('30 days', '1.5 hours')
    """
    for unit, of_s in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= of_s:
            return f"{seconds / of_s:.3g} {unit}"
    return f"{seconds:.3g} seconds"
