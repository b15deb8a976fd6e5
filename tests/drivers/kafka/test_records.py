"""Dead letters: what can't be read goes to rejects whole."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from drivers.kafka.calm import World
from headrace.flow.produce import ProducerRecord
from headrace.flow.records import OWN_BYTES, letter_headers
from headrace.messages import InputRejected
from headrace.settings import parse
from simulation.cluster import Kept

SPLIT = {
    "id": "request.id",
    "at": "request.at",
    "features": "request",
    "join": {"id": "id", "wait_n": 2},
}
PLACE = {"headrace-topic": b"events", "headrace-partition": b"3", "headrace-offset": b"17"}


def record_of(value: Any, headers: tuple[tuple[str, Any], ...], key: bytes | None = None) -> Kept:
    """As aiokafka gives it."""
    return Kept("events", 3, 17, key, value, headers, 0)


def headers(record: Kept, bytes_max: int = 1_000_000) -> dict[str, bytes]:
    return dict(letter_headers(record, "events", 3, bytes_max))


def test_a_letter_has_the_record_whole() -> None:
    record = record_of(b"\xff no JSON", (("trace", b"7"),), b"key")
    assert headers(record) == {"trace": b"7", **PLACE, "headrace-value": b"\xff no JSON"}


@pytest.mark.parametrize(
    ("value_n", "header_n", "kept"),
    [(900, 0, {"trace", "headrace-value"}), (1_000, 0, {"trace"}), (10, 2_000, {"headrace-value"})],
)
def test_what_does_not_fit_is_left_out(value_n: int, header_n: int, kept: set[str]) -> None:
    record = record_of(b"v" * value_n, (("trace", b"t" * header_n),))
    found = headers(record, bytes_max=OWN_BYTES + 1_000)
    assert found.keys() - PLACE.keys() == kept
    assert {name: found[name] for name in PLACE} == PLACE


def test_a_tombstone_header_and_value_are_no_fault() -> None:
    record = record_of(None, (("empty", None),))
    assert headers(record) == {"empty": b"", **PLACE}


def test_a_shard_sends_what_it_could_not_read_with_its_key() -> None:
    world = World(parse({"query": {"budget": {"share": 1.0}}}))
    topic = world.kafka.events
    good = b'{"id": "e1", "at": 1.0, "features": {"x": 1}}'
    for value in (b"a typing error", good, b'{"at": 1.0}'):
        world.cluster.send(ProducerRecord(topic, value, b"the key", 0, [("trace", b"9")]))
    world.feed([])
    letters = world.of(world.kafka.rejects)
    assert [letter.key for letter in letters] == [b"the key"] * 2
    told = [msgspec.json.decode(letter.value, type=InputRejected) for letter in letters]
    assert [(one.reason, one.position) for one in told] == [("not_json", 0), ("no_id", 2)]
    for letter, offset, value in zip(
        letters, (0, 2), (b"a typing error", b'{"at": 1.0}'), strict=True
    ):
        found = dict(letter.headers)
        assert found["trace"] == b"9" and found["headrace-topic"] == topic.encode()
        assert found["headrace-offset"] == b"%d" % offset and found["headrace-value"] == value


def test_a_half_that_is_given_up_says_where_its_record_is() -> None:
    world = World(parse({"input": SPLIT}))
    topic = world.kafka.events
    for offset in range(3):
        half = b'{"id": "%d", "type": "request"}' % offset
        world.cluster.send(ProducerRecord(topic, half, b"the key", 0, [("trace", b"9")]))
        world.feed([])
    [letter] = world.of(world.kafka.rejects)
    told = msgspec.json.decode(letter.value, type=InputRejected)
    assert (told.reason, told.position) == ("not_joined", 0)
    assert told.raw == '{"id": "0", "type": "request"}'
    place = {"headrace-topic": topic.encode(), "headrace-partition": b"0", "headrace-offset": b"0"}
    assert dict(letter.headers) == place and letter.key is None
