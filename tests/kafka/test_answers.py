"""Answers as people and tools really send them, and events that are none: each has its effect once,
or is in the rejects with the reason, and the stream goes on."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from kafka.auditor import Book, Record
from kafka.broker import Address, skip_unless_kafka
from kafka.workers import Fleet, make_events, names_of, settings_of, wait_over
from kafka.world import People, Traffic, World, wait_until

EVENTS_N = 400
CARELESS = People(
    delay_s=1.0,
    silent=0.15,
    late=0.15,
    wrong=0.2,
    repeated=0.4,
    corrected=0.3,
    unknown=0.2,
    malformed=0.2,
)


def test_answers_have_their_effect_once_however_they_come(
    broker: Address, prefix: str, tmp_path: Path
) -> None:
    skip_unless_kafka(broker, "records that survive a stop")
    settings = settings_of(prefix, broker.servers, tmp_path, label={"deadline_s": 6.0})
    make_events(broker, settings, partitions=2)
    book = Book(broker.topics, names_of(settings))
    with Fleet(settings, tmp_path) as fleet:
        fleet.start("w0")
        fleet.wait_ready()
        with Traffic(broker.client, names_of(settings), people=CARELESS, rate=200.0) as traffic:
            wait_until(lambda: len(traffic.heard) > 120, "nothing is asked")
            found = wait_over(fleet, traffic, book, share=0.1)
        fleet.check()
        fleet.stop()
    print(f"\n{found.figures}")
    found.require()
    given = Counter(answer.kind for answer in traffic.given)
    assert min(given[kind] for kind in ("valid", "late", "unknown", "malformed")) >= 5
    assert found.figures["late"] > 0, "no late answer became a label"
    assert found.figures["expired"] > found.figures["late"], "silence did not lead to an end"
    _check_revisions(book)


def _check_revisions(book: Book) -> None:
    """A correction replaces the label, and says so; the same answer again changes nothing."""
    answers: dict[str, set[bytes]] = {}
    for record in book.of("answers"):
        if record.get("request_id"):
            answers.setdefault(str(record.get("request_id")), set()).add(record.value)
    revised = 0
    for request_id, ends in book.ends().items():
        assert len(ends) <= 1 + len(answers.get(request_id, ())), request_id
        revised += ends[-1].get("revision", 0) > 0
    assert revised > 0


def poison(now: float) -> list[tuple[str, bytes]]:
    """Records that are no events, each with the reason that it must be rejected for."""

    def event(**fields: Any) -> bytes:
        good = {"id": "p", "at": now, "features": {"x": 1.0, "y": 1.0, "z": 1.0}}
        return json.dumps({k: v for k, v in (good | fields).items() if v != "absent"}).encode()

    return [
        ("not_json", b"this is no JSON"),
        ("not_json", b'{"id": "cut off'),
        ("not_utf8", b'{"id": "\xff\xfe", "at": 1}'),
        ("not_an_object", b"[1, 2, 3]"),
        ("not_an_object", b"null"),
        ("no_id", event(id="absent")),
        ("bad_id", event(id=True)),
        ("bad_id", event(id="i" * 600)),
        ("no_time", event(id="p1", at="absent")),
        ("bad_time", event(id="p2", at="yesterday")),
        ("bad_time", event(id="p3", at=now * 1000)),
        ("future", event(id="p4", at=now + 4e7)),
        ("bad_features", event(id="p5", features=3)),
        ("bad_features", event(id="p6", features="absent")),
        ("bad_features", event(id="p7", features={f"f{i}": i for i in range(5_000)})),
        ("bad_field", event(id="p8", predicted=["high"])),
        ("bad_probabilities", event(id="p9", probabilities={"high": 7})),
        ("oversize", event(id="p10", features={"x": "x" * 400_000})),
        ("not_json", b"[" * 100_000),
        ("duplicate_id", event(id="e0")),
    ]


def test_poison_goes_to_the_rejects_and_the_stream_goes_on(
    broker: Address, prefix: str, tmp_path: Path
) -> None:
    skip_unless_kafka(broker, "records that survive a stop")
    # Everything is asked about, so that nothing is spared by chance.
    settings = settings_of(
        prefix,
        broker.servers,
        tmp_path,
        query={"budget": {"share": 1.0, "reserve": 0}, "rounds": {"every_n": 10}},
        schema={"classes": ["high", "low"], "features": {}},
        label={"deadline_s": 3_600.0},
    )
    make_events(broker, settings, partitions=1)
    world, now, names = World(), time.time(), names_of(settings)
    topics, book = broker.topics, Book(broker.topics, names_of(settings))
    events = [world.event(i, now + i * 0.01) for i in range(EVENTS_N)]
    poisonous = poison(now)
    # Nested names grow when they are flattened: small to read, too large to ask about.
    long = json.dumps({"n" * 1_000: {f"f{i}": 1 for i in range(1_900)}})
    bulky = b'{"id": "bulky", "at": %f, "features": %s}' % (now + 2.0, long.encode())
    with Fleet(settings, tmp_path) as fleet:
        (worker,) = fleet.start("w0")
        fleet.wait_ready()
        topics.produce(names["events"], events[: EVENTS_N // 2], partition=0)
        for _, value in poisonous:
            # Neither a tombstone nor a blank line says anything: they are passed over.
            topics.produce(
                names["events"], [value, None, b"  \n"], keys=[None, b"gone", None], partition=0
            )
        topics.produce(names["events"], [bulky, *events[EVENTS_N // 2 :]], partition=0)
        end = EVENTS_N + 3 * len(poisonous) + 1

        def is_read() -> bool:
            worker.check()
            committed = topics.committed(settings["kafka"]["group"])
            return committed.get((names["events"], 0)) == end

        wait_until(is_read, f"the worker is stuck; its log:\n{worker.tail()}")
        everything = {f"e{i}" for i in range(EVENTS_N)}
        wait_until(lambda: everything <= _asked(book), "not everything was asked about")
        book.read("rejects")
        fleet.check()
        fleet.stop()
    assert _asked(book) == everything
    rejects = book.of("rejects")
    bulk = [r for r in rejects if r.get("input_id") == "bulky"]
    others = [r for r in rejects if r.get("input_id") != "bulky"]
    expected = Counter(reason for reason, _ in poisonous)
    assert Counter(r.get("reason") for r in others) == expected
    assert [r.get("reason") for r in bulk] == ["oversize"]
    _check_places(others, names["events"], {value for _, value in poisonous})


def _asked(book: Book) -> set[str]:
    book.read("requests")
    return {records[0].get("event_id") for records in book.requests().values()}


def _check_places(rejects: list[Record], topic: str, values: set[bytes]) -> None:
    """What could not be decoded says where it was, and has it whole beside what it held."""
    for reject in rejects:
        assert reject.get("detail"), reject.value
        if reject.get("reason") not in ("duplicate_id", "future", "bad_id"):
            assert reject.get("source") == "partition 0", reject.value
            assert reject.get("position") >= EVENTS_N // 2, reject.value
            assert len(reject.value) < 5_000
            assert reject.headers["headrace-topic"] == topic.encode()
            assert reject.headers["headrace-partition"] == b"0"
            assert int(reject.headers["headrace-offset"]) == reject.get("position")
            assert reject.headers["headrace-value"] in values
