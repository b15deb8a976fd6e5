"""Events and answers from clients that are not ours, and requests read by them.

librdkafka is what most other languages use; the console tools are Apache's own.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

from kafka.broker import Broker
from kafka.test_logs import Stream
from kafka.world import wait_until

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
PIECE_N = 100
REQUESTS_MIN = 10
WITHIN_S = 120.0
CONSOLE_S_MAX = 90.0


@pytest.fixture
def stream(broker: Any, prefix: str, tmp_path: Path) -> Stream:
    return Stream(broker, prefix, tmp_path)


def producer(broker: Any, **options: Any) -> Producer:
    return Producer({"bootstrap.servers": broker.servers, "linger.ms": 5, **options})


def events(stream: Stream, n: int, name: str = "e") -> list[bytes]:
    """So many more events, dated now; those with another name are asked about by mistake only."""
    now = time.time()
    values = [stream.world.event(stream.sent_n + i, now - 0.01 * (n - i)) for i in range(n)]
    stream.sent_n += n
    if name == "e":
        return values
    return [value.replace(b'"id": "e', f'"id": "{name}'.encode()) for value in values]


def write(
    stream: Stream, topic: str, values: list[bytes | None], client: Producer, **more: Any
) -> None:
    for value in values:
        client.produce(stream.names[topic], value, partition=0, **more)
    assert client.flush(WITHIN_S) == 0


def read_requests(broker: Any, stream: Stream, group: str) -> list[dict[str, Any]]:
    """Every request there is, as an annotators' tool in another language would read them."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    found: dict[str, dict[str, Any]] = {}
    ended: set[int] = set()
    try:
        consumer.subscribe([stream.names["requests"]])
        partitions_n = stream.topics.partitions(stream.names["requests"])
        deadline = time.monotonic() + WITHIN_S
        while len(ended) < partitions_n:
            assert time.monotonic() < deadline, f"the end is not reached: {ended}"
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error():
                ended.add(message.partition())
                continue
            request = json.loads(message.value())
            assert message.key().decode() == request["request_id"]
            if request["type"] == "LabelRequested":
                found[request["request_id"]] = request
    finally:
        consumer.close()
    return list(found.values())


@pytest.mark.long
def test_what_librdkafka_writes_in_any_codec_is_read_and_its_answers_are_learned(
    broker: Any, prefix: str, stream: Stream
) -> None:
    with stream.fleet:
        stream.start().wait_ready()
        for codec in CODECS:
            client = producer(broker, **{"compression.type": codec, "enable.idempotence": True})
            # Keys and headers of any kind are others' business, and so is a tombstone.
            headers = [("trace", b"\xff\x00"), ("empty", None)]
            write(stream, "events", [*events(stream, PIECE_N), None], client, headers=headers)
        stream.wait_committed("events")
        requests = read_requests(broker, stream, f"{prefix}-tool")
        assert len(requests) > REQUESTS_MIN
        for i, codec in enumerate(CODECS):
            client = producer(broker, **{"compression.type": codec})
            write(stream, "answers", stream.answers_to(requests[i :: len(CODECS)]), client)
        stream.wait_settled(len(requests))
        stream.fleet.stop()
    settled = stream.settled()
    assert sorted(settled) == sorted(one["request_id"] for one in requests)


def test_what_librdkafka_took_back_is_not_asked_about(
    broker: Any, prefix: str, stream: Stream
) -> None:
    client = producer(broker, **{"transactional.id": prefix, "compression.type": "zstd"})
    client.init_transactions(WITHIN_S)
    with stream.fleet:
        stream.start().wait_ready()
        for is_kept in (True, False, True, False):
            client.begin_transaction()
            write(stream, "events", events(stream, PIECE_N, "e" if is_kept else "gone"), client)
            if is_kept:
                client.commit_transaction(WITHIN_S)
            else:
                client.abort_transaction(WITHIN_S)
        stream.wait_committed("events")
        stream.fleet.stop()
    asked = [one["event_id"] for one in read_requests(broker, stream, f"{prefix}-tool")]
    assert len(asked) >= REQUESTS_MIN
    assert all(name.startswith("e") for name in asked)


@pytest.mark.long
def test_the_console_tools_of_kafka_do_for_a_first_look(
    own_broker: Broker, prefix: str, tmp_path: Path
) -> None:
    stream = Stream(own_broker, prefix, tmp_path)

    def console(name: str, *arguments: str, lines: bytes = b"") -> bytes:
        command = own_broker.java(f"org.apache.kafka.tools.{name}", *arguments)
        server = ("--bootstrap-server", own_broker.servers)
        done = subprocess.run(
            [*command, *server], input=lines, capture_output=True, timeout=CONSOLE_S_MAX, check=True
        )
        return done.stdout

    def send(setting: str, values: list[bytes]) -> None:
        lines = b"".join(value + b"\n" for value in values)
        console("ConsoleProducer", "--topic", stream.names[setting], lines=lines)

    with stream.fleet:
        stream.start().wait_ready()
        send("events", [*events(stream, PIECE_N), b"a typing error"])
        stream.wait_committed("events")
        n = len(stream.asked())
        read = console(
            "consumer.ConsoleConsumer",
            *("--topic", stream.names["requests"], "--from-beginning"),
            *("--max-messages", str(n)),
        )
        requests = [json.loads(line) for line in read.splitlines()]
        assert len(requests) == n > 0
        send("answers", stream.answers_to(requests))
        stream.wait_settled(n)
        stream.fleet.stop()
    (rejected,) = stream.topics.values(stream.names["rejects"])
    assert json.loads(rejected or b"{}")["reason"] == "not_json"
    wait_until(lambda: len(stream.settled()) == n, "a label is there twice")
