"""The end of a bridge on a real broker: places, answers, a broker that goes, a topic made anew."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import Any

import msgspec
import pytest

from bridges.requests import request
from headrace.adapters.sealing import Sealer
from headrace.bridges.bridge import Receipt, Reply, Unreachable
from headrace.bridges.carrier import BridgeCarrier
from headrace.bridges.outbox import BridgeOutbox
from headrace.drivers.kafka.bridge_end import KafkaEnd
from headrace.flow.sealed import ANSWERS_TOPIC, REQUESTS_TOPIC
from headrace.settings import parse
from headrace.testing.bridges import ListRig

WITHIN_S = 120.0


class Labelled(ListRig):
    """A tool in which every task is labelled as soon as it is there."""

    def send(self, deliveries: Any) -> None:
        before = len(self.tasks())
        super().send(deliveries)
        for request_id in self.tasks()[before:]:
            self.answer(request_id, "a", "eva")


def kafka_of(broker: Any, prefix: str) -> Any:
    names = {name: f"{prefix}.{name}" for name in ("requests", "answers")}
    return parse({"kafka": {"servers": [broker.servers], **names}}).kafka


def ask(broker: Any, prefix: str, *numbers: int) -> None:
    values = [msgspec.json.encode(request(f"r{i}")) for i in numbers]
    broker.topics.produce(f"{prefix}.requests", values)


def answers(broker: Any, prefix: str) -> list[dict[str, Any]]:
    return [json.loads(value) for value in broker.topics.values(f"{prefix}.answers")]


def carry(carrier: BridgeCarrier, outbox: BridgeOutbox, n: int) -> None:
    until = time.monotonic() + WITHIN_S
    while outbox.count_requests().replies_n < n or outbox.count_requests().to_hand_on_n:
        assert time.monotonic() < until, f"{outbox.count_requests()} after {WITHIN_S:g} s"
        try:
            carrier.step()
        except Unreachable:
            time.sleep(0.2)


@pytest.fixture
def topics(broker, prefix):
    for name in ("requests", "answers"):
        broker.topics.create(f"{prefix}.{name}", partitions=3)
    return broker


def test_every_request_is_answered_on_the_topic_of_answers(topics, prefix, tmp_path):
    ask(topics, prefix, *range(40))
    rig = Labelled(tmp_path)
    for first in (True, False):
        with (
            closing(KafkaEnd(kafka_of(topics, prefix))) as end,
            closing(BridgeOutbox(tmp_path / "one.sqlite")) as outbox,
        ):
            carrier = BridgeCarrier(rig, end, outbox)
            carry(carrier, outbox, 40 if first else 60)
            assert carrier.faults_n == 0
        if first:
            ask(topics, prefix, *range(40, 60))
    found = answers(topics, prefix)
    assert sorted(one["request_id"] for one in found) == sorted(f"r{i}" for i in range(60))
    assert {(one["label"], one["annotator"]) for one in found} == {("a", "eva")}
    assert len(rig.tasks()) == 60


def test_what_is_no_request_is_passed_over_and_said(topics, prefix, tmp_path):
    topics.topics.produce(f"{prefix}.requests", [b"not JSON", b'{"type": "Other"}'])
    ask(topics, prefix, 1)
    with (
        closing(KafkaEnd(kafka_of(topics, prefix))) as end,
        closing(BridgeOutbox(tmp_path / "one.sqlite")) as outbox,
    ):
        said: list[str] = []
        carry(BridgeCarrier(Labelled(tmp_path), end, outbox, note=said.append), outbox, 1)
        assert sum("is no request" in fault for fault in said) == 2


def test_a_topic_without_what_was_to_be_read_next_is_read_from_its_beginning(
    topics, prefix, tmp_path
):
    ask(topics, prefix, 1, 2)
    with closing(KafkaEnd(kafka_of(topics, prefix))) as end:
        records, _ = end.read('{"0": 70, "1": 0, "2": 0}', 10)
        until = time.monotonic() + WITHIN_S
        while len(records) < 2 and time.monotonic() < until:
            records = [*records, *end.read(json.dumps(end.places), 10)[0]]
        assert {one.request_id for one in records} == {"r1", "r2"}
        [fault] = end.faults
        assert "partition 0 holds offsets" in fault
        assert "70 was to be read next" in fault


def test_a_missing_topic_is_waited_for(broker, prefix):
    with closing(KafkaEnd(kafka_of(broker, prefix))) as end:
        with pytest.raises(Unreachable, match=f"no topic {prefix}.requests"):
            end.read("", 10)
        for name in ("requests", "answers"):
            broker.topics.create(f"{prefix}.{name}", partitions=1)
        ask(broker, prefix, 1)
        until = time.monotonic() + WITHIN_S
        while time.monotonic() < until:
            try:
                records, _ = end.read("", 10)
            except Unreachable:
                continue
            if records:
                return
        raise AssertionError("the topic was made, and nothing is read of it")


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.usefixtures("collected")
@pytest.mark.long
def test_a_broker_that_goes_and_comes_again_costs_nothing(own_broker, prefix, tmp_path):
    for name in ("requests", "answers"):
        own_broker.topics.create(f"{prefix}.{name}", partitions=1)
    ask(own_broker, prefix, 1)
    with (
        closing(KafkaEnd(kafka_of(own_broker, prefix))) as end,
        closing(BridgeOutbox(tmp_path / "one.sqlite")) as outbox,
    ):
        carrier = BridgeCarrier(Labelled(tmp_path), end, outbox)
        carry(carrier, outbox, 1)
        own_broker.kill()
        outbox.take_replies(Receipt((Reply("r0", None, 1.0),), "1"))
        with pytest.raises(Unreachable, match="Kafka: "):
            carrier.step()
        assert outbox.count_requests().to_hand_on_n == 1
        own_broker.start()
        ask(own_broker, prefix, 2)
        carry(carrier, outbox, 3)
    found = {(one["request_id"], one.get("label")) for one in answers(own_broker, prefix)}
    assert found == {("r1", "a"), ("r2", "a"), ("r0", None)}


def test_sealed_topics_carry_requests_and_answers_that_only_keys_open(topics, prefix, tmp_path):
    sealer = Sealer([b"k" * 32], "default")
    values = [
        sealer.seal(msgspec.json.encode(request(f"r{i}")), REQUESTS_TOPIC, f"r{i}")
        for i in range(5)
    ]
    values.append(msgspec.json.encode(request("plain")))
    keys = [*(f"r{i}".encode() for i in range(5)), b"plain"]
    topics.topics.produce(f"{prefix}.requests", values, keys=keys)
    said: list[str] = []
    with (
        closing(KafkaEnd(kafka_of(topics, prefix), sealer)) as end,
        closing(BridgeOutbox(tmp_path / "one.sqlite", sealer=end.sealer)) as outbox,
    ):
        carry(BridgeCarrier(Labelled(tmp_path), end, outbox, note=said.append), outbox, 5)
    assert sum("it is not sealed" in fault for fault in said) == 1
    found = [
        json.loads(sealer.unseal(record.value, ANSWERS_TOPIC, record.key.decode()))
        for record in topics.topics.records(f"{prefix}.answers")
    ]
    assert sorted(one["request_id"] for one in found) == [f"r{i}" for i in range(5)]
