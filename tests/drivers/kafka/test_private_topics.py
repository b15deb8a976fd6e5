"""On Kafka the logs of desks and of training know all of an event; requests and rejects do not."""

from __future__ import annotations

import msgspec
import pytest

from drivers.kafka.calm import World
from headrace import Engine, Event, LabelRequested
from headrace.adapters.sealing import Sealer
from headrace.errors import NotSealed
from headrace.flow.produce import ProducerRecord
from headrace.flow.sealed import ANSWERS_TOPIC, REQUESTS_TOPIC, key_of, unseal_answer
from headrace.flow.shards import digest_of
from headrace.flow.share import share_of
from headrace.messages import Answer, InputRejected
from headrace.privacy import WHOLE, Privacy
from headrace.settings import Settings, parse
from simulation.cluster import Kept

HIDDEN = b"s3cret"
RAW = {"query": {"budget": {"share": 0.4}}, "model": {"name": "logistic"}, "seed": 2}
PRIVATE = {"features": {"x": "keep", "who": "hash"}, "key_file": "key", "event_id": "hashed"}


def settings_of(privacy: dict[str, object] | None) -> Settings:
    return parse(RAW | ({"privacy": privacy} if privacy else {}))


def events_of(n: int) -> list[Event]:
    return [
        Event(
            id=f"s3cret-{i}",
            at=1_000.0 + i,
            features={"x": float(i % 5), "who": f"s3cret-{i}", "more": "s3cret"},
            key="s3cret",
        )
        for i in range(n)
    ]


def lived(settings: Settings, privacy: Privacy) -> World:
    world = World(settings, privacy=privacy)
    for start in range(0, 80, 20):
        world.feed(events_of(80)[start : start + 20])
        values = world.values(settings.kafka.requests)
        requests = [msgspec.json.decode(value, type=LabelRequested) for value in values]
        world.give(
            *(Answer(request_id=r.request_id, label="ab"[r.seq % 2], at=r.at) for r in requests)
        )
    bad = b'{"id": "s3cret", "at": "s3cret", "features": {}}'
    headers = (("trace", b"s3cret"),)
    world.cluster.send(ProducerRecord(settings.kafka.events, bad, b"s3cret", 0, headers))
    world.feed(events_of(81)[80:])
    return world


def test_nothing_hidden_is_on_the_topics_that_others_read() -> None:
    settings = settings_of(PRIVATE)
    world = lived(settings, Privacy(settings.privacy, b"k" * 32))
    kafka = settings.kafka
    for topic in (kafka.requests, kafka.rejects):
        records = world.of(topic)
        assert records
        for record in records:
            assert HIDDEN not in repr(record).encode()
    letter = world.of(kafka.rejects)[-1]
    assert letter.key is None
    assert [name for name, _ in letter.headers] == [
        "headrace-topic",
        "headrace-partition",
        "headrace-offset",
    ]
    for topic in (kafka.desk, kafka.training):
        assert any(HIDDEN in value for value in world.values(topic))


def test_decisions_and_model_are_those_of_an_open_worker() -> None:
    settings = settings_of(PRIVATE)
    private = lived(settings, Privacy(settings.privacy, b"k" * 32))
    plain = lived(settings_of(None), WHOLE)
    for topic in (settings.kafka.training, settings.kafka.desk, settings.kafka.journal):
        assert private.values(topic) == plain.values(topic)
    assert private.replayed(0).shard.events_n == 81


def test_the_requests_are_those_that_an_engine_shows() -> None:
    raw: dict[str, object] = {"features": {"x": "round:2", "who": "mask"}}
    settings = settings_of(raw)
    world = World(settings)
    world.feed(events_of(60))
    shown = [
        o for o in Engine(settings=settings).feed(events_of(60)) if isinstance(o, LabelRequested)
    ]
    assert world.values(settings.kafka.requests) == [*map(msgspec.json.encode, shown)]
    assert shown


def test_what_requests_show_is_no_part_of_what_a_shard_is() -> None:
    digests = {digest_of(share_of(settings_of(raw), 2, 0)) for raw in (None, PRIVATE)}
    assert len(digests) == 1


def test_a_request_that_is_too_large_as_it_is_shown_is_refused() -> None:
    names = [f"f{i}" for i in range(900)]
    raw = {"features": dict.fromkeys(names, "hash"), "key_file": "key"}
    small = {"request_bytes_max": 32_768}
    settings = parse(RAW | {"privacy": raw, "kafka": small})
    world = World(settings, privacy=Privacy(settings.privacy, b"k" * 32))
    events = [
        Event(id=f"e{i}", at=1_000.0 + i, features=dict.fromkeys(names, 1.0)) for i in range(20)
    ]
    world.feed(events[:10])
    world.feed(events[10:])
    assert world.values(settings.kafka.rejects)
    for value in world.values(settings.kafka.requests):
        assert len(value) < 32_768


SEALER = Sealer([b"s" * 32], "default")


def sealed_world() -> World:
    world = World(settings_of(None), seals=SEALER)
    world.feed(events_of(60))
    return world


def test_requests_on_their_topic_are_sealed_to_their_keys() -> None:
    sealed, plain = sealed_world(), World(settings_of(None))
    plain.feed(events_of(60))
    kafka = plain.kafka
    opened = []
    for record in sealed.of(kafka.requests):
        assert HIDDEN not in record.value
        opened.append(SEALER.unseal(record.value, REQUESTS_TOPIC, key_of(record)))
        with pytest.raises(NotSealed):
            SEALER.unseal(record.value, REQUESTS_TOPIC, "another")
    assert opened == plain.values(kafka.requests) != []
    for topic in (kafka.desk, kafka.journal):
        assert sealed.values(topic) == plain.values(topic)
    assert sealed_world().values(kafka.requests) == sealed.values(kafka.requests)


def kept(value: bytes, key: bytes | None) -> Kept:
    return Kept("answers", 0, 7, key, value, (), 5_000)


def test_an_answer_opens_by_its_key_alone() -> None:
    text = b'{"request_id":"r1","label":"spam"}'
    value = SEALER.seal(text, ANSWERS_TOPIC, "r1")
    assert unseal_answer(SEALER, kept(value, b"r1"), "answers", 5.0) == text
    assert unseal_answer(None, kept(text, None), "answers", 5.0) == text
    for record in (kept(value, b"r2"), kept(value, None), kept(text, b"r1")):
        found = unseal_answer(SEALER, record, "answers", 5.0)
        assert isinstance(found, InputRejected)
        assert (found.reason, found.source, found.position, found.at) == (
            "not_sealed",
            "answers",
            7,
            5.0,
        )
        assert found.raw == ""
