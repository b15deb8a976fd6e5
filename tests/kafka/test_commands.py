"""`headrace lag`, `rebuild` and `reset` beside a real broker and what a real worker left there."""

from __future__ import annotations

import asyncio
import copy
import io
import json
import random
import re
import secrets
import shutil
import sys
import time
import types
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from headrace import cli
from headrace.drivers.kafka.driver import FlowDriver
from headrace.drivers.kafka.states import States
from headrace.drivers.kafka.supervisor import WorkerSupervisor
from headrace.flow.saving import freeze_log
from headrace.settings import load
from kafka.broker import Address, skip_unless_kafka
from kafka.world import wait_until

OURS = ("requests", "answers", "training", "drift", "rejects", "desk", "journal")
PARTITIONS_N = 2
EVENTS_N = 800
AT = 1_700_000_000.0


class Stream:
    """Settings with topics of their own, events that drift half way, people who know the truth."""

    def __init__(
        self, broker: Address, prefix: str, folder: Path, **sections: dict[str, Any]
    ) -> None:
        self.path, self.place = folder / "settings.toml", folder / "state"
        names = {name: f"{prefix}.{name}" for name in ("events", *OURS)}
        raw: dict[str, Any] = {
            "seed": 5,
            "model": {"name": "logistic"},
            "schema": {"classes": ["high", "low"]},
            "observe": {"window_n": 200, "reservoir_n": 200},
            "query": {
                "control_share": 0.5,
                "budget": {"share": 0.2},
                "rounds": {"every_n": 20},
            },
            "drift": {
                "check_every_n": 100,
                "window_n": 100,
                "hold_n": 100,
                "watch": [{"signal": "features", "detector": "psi", "level": "drift"}],
            },
            "learn": {
                "retrain_labels_min": 20,
                "retrain_every_n": 20,
                "adopt_labels_n": 10,
                "adopt_margin": 0.0,
            },
            "kafka": {
                "servers": [broker.servers],
                "group": prefix,
                "desk_partitions": 2,
                **names,
            },
            "worker": {
                "snapshots": str(self.place),
                "snapshot_every_s": 1.0,
                "batch_max": 50,
            },
            **sections,
        }
        self.path.write_text(toml_of(raw))
        self.settings = load(self.path)
        self.topics = broker.topics
        self.topics.create(names["events"], PARTITIONS_N)
        self.answered: set[str] = set()

    def event(self, i: int) -> bytes:
        x, y = numbers(i)
        features = {"x": x + (i >= EVENTS_N / 2), "y": y}
        return json.dumps({"id": f"e{i}", "at": AT + i, "features": features}).encode()

    def produce(self, start: int, stop: int) -> None:
        for partition in range(PARTITIONS_N):
            values = [self.event(i) for i in range(start + partition, stop, PARTITIONS_N)]
            self.topics.produce(self.settings.kafka.events, values, partition=partition)

    def produce_headed(self, stop: int) -> None:
        """Events whose id is in a header only, all in the first partition."""
        asyncio.run(self._produce_headed(stop))

    async def _produce_headed(self, stop: int) -> None:
        async with AIOKafkaProducer(**self.topics.client) as producer:
            for i in range(stop):
                headers = [("ce_id", f"e{i}".encode())]
                await producer.send_and_wait(
                    self.settings.kafka.events, self.event(i), partition=0, headers=headers
                )

    def asked(self) -> list[dict[str, Any]]:
        found = [json.loads(value) for value in self.topics.values(self.settings.kafka.requests)]
        return [request for request in found if request["type"] == "LabelRequested"]

    def answer(self) -> None:
        """Answer what was asked and is not answered yet."""
        values = []
        for request in self.asked():
            if request["request_id"] not in self.answered:
                self.answered.add(request["request_id"])
                i = int(request["event_id"].removeprefix("e"))
                label = "high" if (sum(numbers(i)) > 1.0) != (i >= EVENTS_N / 2) else "low"
                told = {"request_id": request["request_id"], "label": label, "annotator": "eva"}
                values.append(json.dumps(told).encode())
        self.topics.produce(self.settings.kafka.answers, values)

    def work(self, *pieces: range, then: Callable[[], None] = lambda: None) -> list[str]:
        """Run a worker, with people who answer, until all is over, then on each piece of events.

        Returns what it said; `then` is called before it stops.
        """
        return asyncio.run(self._work(pieces, then))

    async def _work(self, pieces: tuple[range, ...], then: Callable[[], None]) -> list[str]:
        notes: list[str] = []
        supervisor, stop = WorkerSupervisor(self.settings, note=notes.append), asyncio.Event()
        work = asyncio.create_task(supervisor.run(stop))
        for piece in (range(0), *pieces):
            await asyncio.to_thread(self.produce, piece.start, piece.stop)
            ends = await asyncio.to_thread(self.topics.end_offsets, self.settings.kafka.events)
            deadline = time.monotonic() + 60.0
            while not is_over(supervisor.driver, ends):
                assert not work.done(), (work.exception(), notes)
                assert time.monotonic() < deadline, notes
                await asyncio.sleep(0.05)
                if supervisor.driver and supervisor.driver.group.is_joined:
                    await asyncio.to_thread(self.answer)
        await asyncio.to_thread(then)
        stop.set()
        await work
        return notes

    def run(self, *words: str) -> int:
        return cli.main([words[0], "--settings", str(self.path), *words[1:]])


def numbers(i: int) -> tuple[float, float]:
    luck = random.Random(i)
    return luck.random(), luck.random()


def toml_of(raw: dict[str, Any]) -> str:
    lines = [f"{key} = {json.dumps(v)}" for key, v in raw.items() if not isinstance(v, dict)]
    for section, fields in raw.items():
        if isinstance(fields, dict):
            lines.append(f"[{section}]")
            lines += [f"{key} = {_value(value)}" for key, value in fields.items()]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)


def is_over(driver: FlowDriver | None, ends: dict[int, int]) -> bool:
    """All events are fed, all that was asked is answered, and the answers are learned."""
    return (
        driver is not None
        and {n: owned.arrived for n, owned in driver.flow.owned.shards.items()} == ends
        and len(driver.flow.owned.desks) == 2
        and all(not owned.desk.desk.open_n for owned in driver.flow.owned.desks.values())
        and all(not owned.shard.shard.asking.open_n for owned in driver.flow.owned.shards.values())
    )


@pytest.fixture(scope="module")
def worked(broker: Address, tmp_path_factory: pytest.TempPathFactory) -> Stream:
    """A stream that a worker has worked off, with drift, retraining and answers. Leave it so."""
    skip_unless_kafka(broker, "settings of topics")
    folder = tmp_path_factory.mktemp("worked")
    stream = Stream(broker, f"commands-{secrets.token_hex(4)}", folder)
    stream.work(*(range(i, i + 100) for i in range(0, EVENTS_N, 100)))
    return stream


@pytest.fixture
def copied(worked: Stream, tmp_path: Path) -> Stream:
    """The same logs with snapshots of this test's own."""
    stream = copy.copy(worked)
    stream.place = tmp_path / "state"
    shutil.copytree(worked.place, stream.place)
    stream.path = tmp_path / "settings.toml"
    stream.path.write_text(worked.path.read_text().replace(str(worked.place), str(stream.place)))
    stream.settings = load(stream.path)
    return stream


@pytest.fixture
def fresh(broker: Address, prefix: str, tmp_path: Path) -> Stream:
    """A stream that no worker has seen."""
    skip_unless_kafka(broker, "settings of topics")
    return Stream(broker, prefix, tmp_path)


def states_in(told: str) -> dict[str, str]:
    """The verdict on each part, from the lines of `headrace rebuild`."""
    rows = [line.split("\t") for line in told.splitlines() if "\t" in line]
    return {row[0]: row[3] for row in rows[1:]}


PARTS = ("training", "desk-0", "desk-1", "shard-0", "shard-1")

# ------------------------------------------------------------------------------------- rebuild


def test_rebuild_proves_what_a_worker_saved(worked: Stream, capsys: Any) -> None:
    entries = worked.topics.values(worked.settings.kafka.training)
    log = [json.loads(value)["type"] for value in entries]
    assert log.count("LabelSettled") > 50
    # Whether a challenger wins depends on when the answers came; test_alike has one that does.
    assert log.count("RetrainRequested") > 1, Counter(log)
    assert log.count("ModelAdopted") + log.count("ModelKept") > 1, Counter(log)
    assert worked.run("rebuild") == 0
    told = capsys.readouterr().out
    assert states_in(told) == dict.fromkeys(PARTS, "equal"), told
    assert "5 of 5 parts are proven equal" in told


@pytest.mark.long
def test_a_falsified_snapshot_differs_where_it_was_changed_and_is_mended(
    copied: Stream, capsys: Any
) -> None:
    states = States(copied.settings, lambda sentence: None)
    shard, log, positions = states.read_shard(1, PARTITIONS_N)
    shard.shard.asking.labels_n += 1
    states.write_shard(1, shard.freeze(), freeze_log(log), positions)
    desk = states.read_desk(0)
    desk.now += 1.0
    states.write_desk(0, desk.freeze(), desk.position)
    assert copied.run("rebuild") == 1
    told = capsys.readouterr().out
    assert states_in(told) == dict.fromkeys(PARTS, "equal") | {
        "desk-0": "DIFFERS",
        "shard-1": "DIFFERS",
    }, told
    right, wrong = shard.shard.asking.labels_n - 1, shard.shard.asking.labels_n
    assert f"shard-1: made again, and saved: [1].asking.labels_n: {right} and {wrong}" in told
    assert f"desk-0: made again, and saved: [1]: {desk.now - 1.0} and {desk.now}" in told
    assert copied.run("rebuild", "--write") == 1
    told = capsys.readouterr().out
    for part in ("desk-0", "shard-1"):
        assert re.search(rf"{part}\t.*DIFFERS\twritten", told), told
    assert copied.run("rebuild") == 0
    assert states_in(capsys.readouterr().out) == dict.fromkeys(PARTS, "equal")


def test_what_was_rebuilt_is_what_a_worker_starts_from(copied: Stream, capsys: Any) -> None:
    for folder in copied.place.iterdir():
        for path in folder.glob("snapshot-*") if folder.is_dir() else ():
            path.unlink()
    assert copied.run("rebuild", "--write") == 0
    told = capsys.readouterr().out
    assert states_in(told) == dict.fromkeys(PARTS, "no snapshot")
    assert "5 have none; 5 written" in told
    asked = copied.asked()
    notes = copied.work()
    taken_over = [note for note in notes if "taken over" in note]
    read_n = [int(re.search(r"s: (\d+) events read again", note)[1]) for note in taken_over]  # type: ignore[index]  # they all say so
    # What may not have been sent is decided again, and no more than that.
    assert len(read_n) == PARTITIONS_N and sum(read_n) <= EVENTS_N / 2
    assert copied.asked() == asked


def delete_records(stream: Stream, before: dict[tuple[str, int], int]) -> None:
    """Delete what lies before these offsets of these partitions."""

    async def delete() -> None:
        admin = AIOKafkaAdminClient(**stream.topics.client)
        await admin.start()
        try:
            wanted = {TopicPartition(*at): RecordsToDelete(n) for at, n in before.items()}
            await admin.delete_records(wanted)
        finally:
            await admin.close()

    asyncio.run(delete())


def test_what_follows_from_deleted_records_is_not_proven_and_not_written(
    fresh: Stream, capsys: Any
) -> None:
    fresh.work(range(60))
    kafka = fresh.settings.kafka
    delete_records(fresh, {(kafka.journal, 0): 1, (kafka.events, 1): 10})
    assert fresh.run("rebuild", "--write") == 0
    told = capsys.readouterr().out
    assert states_in(told) == dict.fromkeys(PARTS, "equal") | {"shard-0": "cut", "shard-1": "cut"}
    assert f"{kafka.journal}, partition 0: 1 records before the first were deleted" in told
    assert f"{kafka.events}, partition 1: 10 records before the first were deleted" in told
    assert not re.search(r"shard.*written", told)


def headed(record: bytes, headers: dict[str, bytes]) -> Any:
    found = json.loads(record)
    return {"at": found["at"], "features": found["features"], "name": headers["ce_id"].decode()}


@pytest.mark.long
def test_headers_reach_the_decoder_of_a_worker_and_of_a_rebuild(
    broker: Address,
    prefix: str,
    tmp_path: Path,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    skip_unless_kafka(broker, "settings of topics")
    module = types.ModuleType("headed")
    module.read = headed  # type: ignore[attr-defined]  # that is what is set here
    monkeypatch.setitem(sys.modules, "headed", module)
    stream = Stream(broker, prefix, tmp_path, input={"decoder": "headed:read", "id": "name"})
    stream.produce_headed(300)
    stream.work()
    assert {request["event_id"] for request in stream.asked()} <= {f"e{i}" for i in range(300)}
    assert len(stream.asked()) > 10
    assert stream.topics.values(stream.settings.kafka.rejects) == []
    assert stream.run("rebuild") == 0
    assert "equal" in states_in(capsys.readouterr().out)["shard-0"]


# ------------------------------------------------------------------------------- lag and reset


def test_lag_is_what_nobody_read_yet(fresh: Stream, capsys: Any) -> None:
    fresh.produce(0, 301)
    assert fresh.run("lag", "--json", "--max-records", "151") == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["committed"], one["end"], one["lag_n"]) for one in told["partitions"]] == [
        (None, 151, 151),
        (None, 150, 150),
    ]
    assert all(0.0 <= one["lag_s"] < 60.0 for one in told["partitions"])
    assert (told["workers"], told["training_n"]) == ([], 0)
    assert fresh.run("lag", "--max-records", "150") == 1
    assert fresh.run("lag", "--max-seconds", "0.0") == 1
    assert "no workers in the group" in capsys.readouterr().out
    fresh.work(then=lambda: check_beside_a_worker(fresh, capsys))
    assert fresh.run("lag", "--max-records", "0", "--max-seconds", "0") == 0


def check_beside_a_worker(stream: Stream, capsys: Any) -> None:
    wait_until(lambda: stream.run("lag", "--max-records", "0") == 0, "the lag stays")
    capsys.readouterr()
    assert stream.run("lag", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    kafka = stream.settings.kafka
    assert [one["committed"] for one in told["partitions"][:2]] == [151, 150]
    assert told["training_n"] == len(stream.topics.values(kafka.training)) > 0
    (worker,) = told["workers"]
    assert worker["partitions"] == {
        kafka.events: 2,
        kafka.desk: 2,
        kafka.answers: 2,
        kafka.drift: 1,
    }
    for words in (("rebuild", "--write"), ("reset", "--yes")):
        assert stream.run(*words) == 2
        assert f"1 in the group {kafka.group}" in capsys.readouterr().err


def test_reset_goes_on_from_the_place_and_asks_nothing_twice(fresh: Stream, capsys: Any) -> None:
    fresh.work(range(100), range(100, 200))
    learned = fresh.topics.values(fresh.settings.kafka.training)
    fresh.produce(200, 300)
    assert fresh.run("reset") == 2
    assert "say --yes" in capsys.readouterr().err
    assert fresh.run("reset", "--to", "yesterday", "--yes") == 2
    assert fresh.run("reset", "--yes") == 0
    told = capsys.readouterr().out
    assert "partition 0: goes on at 150 of 150, was at 100" in told
    assert "100 events are skipped" in told
    assert fresh.run("lag", "--max-records", "0") == 0
    fresh.work(range(300, 400))
    asked = [int(request["event_id"].removeprefix("e")) for request in fresh.asked()]
    assert len(asked) == len(set(asked))
    assert [i for i in asked if 200 <= i < 300] == []
    assert sum(i >= 300 for i in asked) > 10
    assert fresh.topics.values(fresh.settings.kafka.training)[: len(learned)] == learned
    capsys.readouterr()
    assert fresh.run("rebuild") == 0
    assert states_in(capsys.readouterr().out) == dict.fromkeys(PARTS, "equal")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_reset_asks_on_a_terminal_and_takes_only_yes(
    fresh: Stream, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh.produce(0, 10)
    for answer, code in (("\n", 1), ("y\n", 1), ("no\n", 1), ("yes\n", 0)):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        assert fresh.run("reset") == code
        told = capsys.readouterr().out
        assert ("Nothing was changed." in told) == (code == 1)
        steps = fresh.topics.values(fresh.settings.kafka.journal)
        assert len(steps) == (0 if code else PARTITIONS_N)


def test_reset_works_before_any_worker_did(fresh: Stream, capsys: Any) -> None:
    fresh.produce(0, 100)
    moment = datetime.now(UTC)
    time.sleep(0.01)
    fresh.produce(100, 200)
    assert fresh.run("reset", "--to", moment.isoformat(), "--yes") == 0
    assert "partition 1: goes on at 50 of 100, nothing was read yet" in capsys.readouterr().out
    fresh.work()
    asked = [int(request["event_id"].removeprefix("e")) for request in fresh.asked()]
    assert asked and min(asked) >= 100
