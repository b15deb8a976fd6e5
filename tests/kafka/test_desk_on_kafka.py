"""A desk beside workers on a real broker, both as programs: it orders a round of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridges.programs import Programs, wait_for
from kafka.broker import Address, skip_unless_kafka
from kafka.workers import Worker, make_events, names_of, settings_of
from kafka.world import Traffic, wait_until


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    made = Programs(tmp_path)
    try:
        yield made
    finally:
        made.stop()


def test_a_round_that_the_desk_orders_opens_in_a_worker_once(
    broker: Address, prefix: str, tmp_path: Path, programs: Programs
) -> None:
    skip_unless_kafka(broker, "records that survive a stop")
    settings = settings_of(
        prefix,
        broker.servers,
        tmp_path,
        # While no event comes, nobody but who orders asks anything.
        query={"budget": {"share": 0.01, "start": 60}, "rounds": {"every_n": 20_000}},
        observe={"window_n": 20_000, "reservoir_n": 500},
        label={"deadline_s": 600.0},
    )
    make_events(broker, settings, partitions=2)

    def asked(key: str) -> list[dict[str, Any]]:
        """What the shards say in their journals of the round with this key."""
        steps = [json.loads(value) for value in broker.topics.values(f"{prefix}.journal")]
        told = [one for step in steps for one in step.get("orders", [])]
        return [one for one in told if one["order"] == f"round {key}"]

    def requested() -> set[str]:
        rows = [json.loads(value) for value in broker.topics.values(f"{prefix}.requests")]
        return {row["request_id"] for row in rows if row["type"] == "LabelRequested"}

    with Worker(settings, tmp_path) as worker:
        worker.wait_ready()
        with Traffic(broker.client, names_of(settings), people=None, rate=200.0) as traffic:
            wait_until(lambda: len(traffic.sent) >= 400, "nothing is sent")
            traffic.rate = 0.0
            read = ["lag", "--max-records", "0"]
            wait_until(lambda: worker.headrace(*read).returncode == 0, "events are left to read")
        programs.start_desk("--settings", str(worker.path))
        before = requested()
        body, key = {"labels": 6, "reason": "a test"}, {"Idempotency-Key": "monday"}
        first = programs.call("POST", "/v1/rounds", body, **key)
        assert first["key"] == "monday" and first["state"] in ("ordered", "asked")
        done = wait_for(
            lambda: (
                (found := programs.call("GET", "/v1/rounds/monday"))["state"] == "asked" and found
            ),
            "round",
        )
        assert done["asked_n"] == 6
        assert sum(one.get("asked_n", 0) for one in asked("monday")) == 6
        wait_until(lambda: len(requested() - before) == 6, "no requests come out")
        # The questions reach who labels at that desk.
        question = wait_for(lambda: programs.call("POST", "/v1/questions/next", {}), "question")
        assert question["request_id"] in requested()

        again = programs.call("POST", "/v1/rounds", {"labels": 9}, **key)
        assert (again["state"], again["asked_n"]) == ("asked", 6)
        other = programs.call("POST", "/v1/rounds", {"labels": 2}, **{"Idempotency-Key": "tuesday"})
        assert other["state"] in ("ordered", "asked")
        wait_for(
            lambda: programs.call("GET", "/v1/rounds/tuesday")["state"] == "asked", "second round"
        )
        assert len(asked("monday")) == 2, "one part of each partition, once"
        assert len(requested() - before) == 8
        worker.check()
