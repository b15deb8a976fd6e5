"""Rounds and versions ordered on a real broker, of workers of which one is killed meanwhile."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from headrace.adapters.sealing import Sealer
from headrace.drivers.kafka.orders_end import KafkaOrders
from headrace.flow.orders import ORDER_KEY
from headrace.flow.sealed import ANSWERS_TOPIC
from headrace.messages import RoundOrdered
from headrace.settings import parse
from kafka.broker import Address, skip_unless_kafka
from kafka.workers import Fleet, make_events, names_of, settings_of
from kafka.world import People, Traffic, wait_until


def steps_with_orders(broker: Address, topic: str) -> list[dict[str, Any]]:
    return [
        told
        for value in broker.topics.values(topic)
        for told in json.loads(value).get("orders", [])
    ]


@pytest.mark.long
def test_orders_reach_every_worker_and_whoever_waits(
    broker: Address, prefix: str, tmp_path: Path
) -> None:
    skip_unless_kafka(broker, "records that survive a stop")
    settings = settings_of(
        prefix,
        broker.servers,
        tmp_path,
        query={"budget": {"share": 0.02, "start": 60}, "rounds": {"every_n": 20_000}},
        observe={"window_n": 20_000, "reservoir_n": 500},
        label={"deadline_s": 60.0},
        learn={"versions_kept": 30, "version_every_n": 10},
    )
    make_events(broker, settings, partitions=2)
    with Fleet(settings, tmp_path) as fleet:
        first, second = fleet.start("w0", "w1")
        fleet.wait_ready()
        with Traffic(
            broker.client, names_of(settings), people=People(delay_s=0.2), rate=100.0
        ) as traffic:
            wait_until(lambda: len(traffic.sent) >= 200, "nothing is sent")
            argv = ["round", "open", "--labels", "11", "--key", "monday", "--wait", "60"]
            opened = first.headrace(*argv)
            assert opened.returncode == 0, opened.stderr
            assert "ordered: a round, labels: 11 at most, key monday" in opened.stdout
            assert "asked: labels: 11\n" in opened.stdout
            wait_until(lambda: len(traffic.given) >= 10, "nobody answers")

            second.kill()
            again = first.headrace(*argv)
            assert again.returncode == 0, again.stderr
            assert "ordered before" in again.stdout and "labels: 11\n" in again.stdout
            killed = first.headrace("round", "open", "--labels", "6", "--wait", "60")
            assert "asked: labels: 6\n" in killed.stdout, killed.stdout + killed.stderr

            wait_until(lambda: _versions(first), "no version is saved")
            version = _versions(first)[-1]
            back = ["model", "roll-back", "--to", version, "--wait", "60"]
            done = first.headrace(*back, "--key", "back")
            assert done.returncode == 0, done.stderr
            assert f"the model is version {version} again" in done.stdout
            missing = first.headrace("model", "roll-back", "--to", "999999", "--wait", "60")
            assert missing.returncode == 3 and "999999 of the model is not kept" in missing.stdout
        fleet.check()
        fleet.stop()
    told = [steps_with_orders(broker, f"{prefix}.journal")]
    parts = [one for one in told[0] if one["order"] == "round monday"]
    assert len(parts) == 2 and sum(one["asked_n"] for one in parts) == 11
    assert sorted(one["asked_n"] for one in parts) == [5, 6]


def _versions(worker: Any) -> list[str]:
    listed = worker.headrace("model", "list")
    assert listed.returncode == 0, listed.stderr
    return [line.split("\t")[0] for line in listed.stdout.splitlines()[1:]]


def test_an_order_is_sealed_where_answers_are(broker: Address, prefix: str, tmp_path: Path) -> None:
    for name, partitions in (("answers", 3), ("training", 1), ("journal", 2)):
        broker.topics.create(f"{prefix}.{name}", partitions=partitions)
    names = {name: f"{prefix}.{name}" for name in ("answers", "training", "journal")}
    kafka = parse({"kafka": {"servers": [broker.servers], **names}}).kafka
    sealer, order = Sealer([b"k" * 32], "default"), RoundOrdered(at=1.0, key="k", by="ann")
    with closing(KafkaOrders(kafka, sealer)) as orders:
        assert orders.find_order(order) is None and orders.place(order)
        # No worker has passed it on; whoever ordered it knows.
        assert orders.find_order(order) == {"state": "ordered"} and not orders.place(order)
    [record] = broker.topics.records(f"{prefix}.answers")
    assert record.key == ORDER_KEY and b"ann" not in record.value
    assert b'"by":"ann"' in sealer.unseal(record.value, ANSWERS_TOPIC, ORDER_KEY.decode())
