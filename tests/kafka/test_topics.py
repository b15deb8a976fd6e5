"""Topics on a real broker: created as planned, never changed, and every fault told."""

import asyncio

import msgspec
import pytest

from headrace import cli
from headrace.drivers.kafka.client import NoBroker, make_producer
from headrace.drivers.kafka.cluster import connect_cluster
from headrace.drivers.kafka.topics import ensure_topics, find_retention, survey_topics
from headrace.errors import BadInput, BadSettings
from headrace.settings import Settings, parse
from kafka.broker import skip_unless_kafka

OURS = ("requests", "answers", "training", "drift", "rejects", "desk", "journal")


@pytest.fixture
def settings(broker, prefix) -> Settings:
    """Settings whose topics are of this test alone; none of them is there yet."""
    skip_unless_kafka(broker, "settings of topics")
    names = {name: f"{prefix}.{name}" for name in ("events", *OURS)}
    return parse({"kafka": {"servers": [broker.servers], "group": prefix, **names}})


def changed(settings: Settings, **kafka) -> Settings:
    return msgspec.structs.replace(settings, kafka=msgspec.structs.replace(settings.kafka, **kafka))


def made(broker, name, partitions=1, **config) -> None:
    """A topic, with rules as Python names them."""
    rules = {key.replace("_", "."): value for key, value in config.items()}
    broker.topics.create(name, partitions, rules)


def found_in(states):
    return {state.topic.setting: state.found for state in states}


def file_of(settings: Settings, tmp_path):
    """The settings of the cluster as a file for the command line."""
    kafka = settings.kafka
    names = [f'{name} = "{getattr(kafka, name)}"\n' for name in ("events", *OURS)]
    path = tmp_path / "settings.toml"
    path.write_text(f"[kafka]\nservers = {kafka.servers}\n" + "".join(names))
    return str(path)


# -------------------------------------------------------------------------------- creating


def test_missing_topics_are_created_as_planned_and_then_left_alone(broker, settings):
    made(broker, settings.kafka.events, partitions=3)
    states = asyncio.run(ensure_topics(settings))
    found = found_in(states)
    assert [state.word for state in states] == ["ok"] * 8
    assert {name: found[name].partitions_n for name in OURS} == {
        "requests": 4, "answers": 4, "training": 1, "drift": 1, "rejects": 1, "desk": 4,
        "journal": 3,
    }  # fmt: skip
    assert {name: find_retention(found[name]) for name in OURS} == {
        **dict.fromkeys(OURS, 2_592_000.0),
        "training": None,
    }
    assert {found[name].rules["cleanup.policy"] for name in OURS} == {"delete"}
    broker.topics.produce(settings.kafka.training, [b"an end"])
    assert (
        asyncio.run(ensure_topics(settings, create=False))
        == asyncio.run(ensure_topics(settings))
        == states
    )
    assert broker.topics.values(settings.kafka.training) == [b"an end"]


def test_workers_that_start_together_create_together(broker, settings):
    made(broker, settings.kafka.events, partitions=2)

    async def together():
        return await asyncio.gather(*(ensure_topics(settings) for _ in range(4)))

    first, *others = asyncio.run(together())
    assert [state.word for state in first] == ["ok"] * 8
    assert all(other == first for other in others)


def test_without_an_inference_log_nothing_is_created(broker, settings):
    with pytest.raises(BadInput, match=r"kafka\.events is .*create it or name another"):
        asyncio.run(ensure_topics(settings))
    assert [n for n in broker.topics.names() if n.startswith(settings.kafka.group)] == []


def test_an_inference_log_that_was_created_just_now_is_waited_for(broker, settings):
    async def meanwhile():
        looking = asyncio.create_task(ensure_topics(settings))
        await asyncio.sleep(1.0)
        await asyncio.to_thread(made, broker, settings.kafka.events, 2)
        return await looking

    assert [state.word for state in asyncio.run(meanwhile())] == ["ok"] * 8


def test_a_worker_that_may_not_create_says_what_is_missing(broker, settings):
    made(broker, settings.kafka.events)
    with pytest.raises(BadSettings, match="headrace topics --create") as caught:
        asyncio.run(ensure_topics(changed(settings, create_topics=False)))
    assert all(getattr(settings.kafka, name) in str(caught.value) for name in OURS)
    assert broker.topics.partitions(settings.kafka.events) == 1


def test_the_journal_grows_with_the_inference_log(broker, settings):
    made(broker, settings.kafka.events, partitions=2)
    asyncio.run(ensure_topics(settings))

    async def grow():
        async with connect_cluster(settings.kafka) as cluster:
            await cluster.grow_topic(settings.kafka.events, 5)
            await cluster.await_topics({settings.kafka.events: 5})

    asyncio.run(grow())
    with pytest.raises(BadSettings, match=r"has 2 partitions, .* has 5; run headrace topics"):
        asyncio.run(ensure_topics(settings, create=False))
    assert found_in(asyncio.run(ensure_topics(settings)))["journal"].partitions_n == 5


def test_copies_that_the_brokers_cannot_hold_are_refused(broker, settings):
    made(broker, settings.kafka.events)
    with pytest.raises(BadSettings, match="INVALID_REPLICATION_FACTOR") as caught:
        asyncio.run(ensure_topics(changed(settings, replication=3)))
    assert len(caught.value.faults) == len(OURS)


def test_a_record_of_the_largest_size_is_taken(broker, settings):
    made(broker, settings.kafka.events)
    large = changed(settings, request_bytes_max=2_000_000)
    asyncio.run(ensure_topics(large))

    async def send(size):
        async with make_producer(large.kafka) as sender:
            await sender.send_and_wait(large.kafka.requests, b"x" * size)

    asyncio.run(send(1_999_000))
    [value] = broker.topics.values(large.kafka.requests)
    assert len(value) == 1_999_000


# -------------------------------------------------------------------------------- faults


def test_every_topic_that_differs_is_told_at_once(broker, settings):
    kafka = settings.kafka
    made(broker, kafka.events, partitions=2)
    made(broker, kafka.desk, partitions=3, retention_ms="-1")
    made(broker, kafka.drift, partitions=2)
    made(broker, kafka.journal, partitions=6)
    made(broker, kafka.training, retention_ms="86400000")
    made(broker, kafka.requests, cleanup_policy="compact")
    made(broker, kafka.answers, partitions=7)
    with pytest.raises(BadSettings) as caught:
        asyncio.run(ensure_topics(settings))
    told = {fault.split(" ")[0].split(".")[-1]: fault for fault in caught.value.faults}
    assert sorted(told) == ["desk", "drift", "journal", "requests", "training"]
    assert "set it to 3, or give kafka.desk a new name" in told["desk"]
    assert "it is of another inference log" in told["journal"]
    assert "set its retention.ms=-1" in told["training"]
    assert "set cleanup.policy=delete" in told["requests"]
    assert broker.topics.partitions(kafka.desk) == 3


def test_records_that_are_kept_too_short_are_told_and_lived_with(broker, settings):
    made(broker, settings.kafka.events)
    made(broker, settings.kafka.rejects, retention_ms="7200000")
    states = asyncio.run(ensure_topics(settings))
    [differing] = [state for state in states if state.word == "differs"]
    assert differing.faults == ()
    assert "keeps records for 2 hours; kafka.retention_s says 30 days" in differing.notes[0]


def test_a_request_must_outlive_its_deadline(settings):
    with pytest.raises(BadSettings, match=r"kafka\.retention_s is 3600"):
        asyncio.run(survey_topics(changed(settings, retention_s=3600.0)))


def test_no_broker_is_told_with_the_reason(prefix):
    settings = parse({"kafka": {"servers": ["127.0.0.1:9"]}})
    with pytest.raises(NoBroker, match=r"127\.0\.0\.1:9: .*Connect call failed"):
        asyncio.run(ensure_topics(settings))


# -------------------------------------------------------------------------------- command


def test_the_command_shows_and_creates(broker, settings, tmp_path, capsys):
    path = file_of(settings, tmp_path)
    assert cli.main(["topics", "--settings", path, "--create"]) == 1
    assert f"kafka.events is '{settings.kafka.events}', and there is no" in capsys.readouterr().out
    made(broker, settings.kafka.events, partitions=2)
    broker.topics.produce(settings.kafka.events, [b"event"] * 1_234)
    assert cli.main(["topics", "--settings", path]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].split("\t")[:5] == [settings.kafka.events, "2", "1", "for ever", "1,234"]
    assert [line.split("\t")[5] for line in shown[2:9]] == ["missing"] * 7
    assert "run headrace topics --create" in shown[9]
    assert cli.main(["topics", "--settings", path, "--create"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 9
    assert [line.split("\t")[5] for line in shown[1:]] == ["ok"] * 8


def test_the_command_says_that_no_broker_answers(tmp_path, capsys):
    path = tmp_path / "settings.toml"
    path.write_text('[kafka]\nservers = ["127.0.0.1:9"]\n')
    assert cli.main(["topics", "--settings", str(path)]) == 2
    assert "no broker can be spoken to; 127.0.0.1:9" in capsys.readouterr().err
