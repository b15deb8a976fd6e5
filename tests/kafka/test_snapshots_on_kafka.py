"""A snapshot is only a shortcut: without it, or with one that nobody should trust, the logs make
the same state. And what the process takes and opens while it works: memory, and ports."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from headrace.adapters.snapshots.store import Keys, SnapshotStore
from headrace.drivers.kafka.states import States
from headrace.settings import parse
from headrace.state.compare import find_differences
from kafka.auditor import Book
from kafka.broker import Address, skip_unless_kafka
from kafka.workers import Fleet, Worker, make_events, names_of, settings_of, wait_over
from kafka.world import HUMAN, Traffic, wait_until

PARTITIONS = 2
EVENTS_N = 3_000
GROWTH_MAX = 1.15


@pytest.mark.long
def test_state_from_the_logs_is_the_state_in_the_snapshots(
    broker: Address, prefix: str, tmp_path: Path
) -> None:
    skip_unless_kafka(broker, "records that survive a stop")
    settings = settings_of(
        prefix,
        broker.servers,
        tmp_path,
        label={"deadline_s": 8.0},
        worker={"snapshots": str(tmp_path / "snapshots"), "snapshot_every_s": 1.0},
    )
    make_events(broker, settings, PARTITIONS)
    place = tmp_path / "snapshots"
    with Fleet(settings, tmp_path) as fleet:
        (worker,) = fleet.start("w0")
        fleet.wait_ready()
        with Traffic(broker.client, names_of(settings), people=HUMAN, rate=400.0) as traffic:
            wait_until(lambda: len(traffic.sent) > EVENTS_N, "no events are sent")
            book = Book(broker.topics, names_of(settings))
            wait_over(fleet, traffic, book, share=0.1).require()
        fleet.stop()
        saved = states_of(settings)
        assert "passed over" not in worker.text()

        spoil(place)
        passed = restarted(worker)
        for series in ("training", "shard-0", "shard-1", "desk-0"):
            assert f"of {series} is passed over" in passed, f"{series}:\n{passed}"
        assert find_differences(states_of(settings), saved) == []

        shutil.rmtree(place)
        assert "passed over" not in restarted(worker)
        assert find_differences(states_of(settings), saved) == []
        fleet.check()


def restarted(worker: Worker) -> str:
    """Start a worker, wait until it has all, stop it; what it wrote meanwhile."""
    before_n = len(worker.text())
    worker.start().wait_ready()
    assert worker.stop() == 0
    return worker.text()[before_n:]


def states_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the newest snapshots hold, by part and by where it stood."""
    states = States(parse(dict(settings)), note=lambda _: None)
    log, position = states.read_training()
    found: dict[str, Any] = {f"training at {position}": log}
    for number in range(PARTITIONS):
        shard, its_log, positions = states.read_shard(number, PARTITIONS)
        place = [positions[name] for name in ("events", "training", "journal")]
        found[f"shard {number} at {place}"] = (shard.shard, its_log)
    for number in range(settings["kafka"]["desk_partitions"]):
        desk = states.read_desk(number)
        found[f"desk {number} at {desk.position}"] = (desk.desk, desk.now)
    return found


def spoil(place: Path) -> None:
    """Tampered, cut off, from somebody else, of another part; and one is gone."""
    parts = {folder.name.split("-", 1)[1]: folder for folder in place.iterdir() if folder.is_dir()}
    for name in ("training", "shard-0"):
        for path in parts[name].iterdir():
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
    for path in parts["desk-0"].iterdir():
        path.write_bytes(path.read_bytes()[:-40])
    number = max(int(path.stem.split("-")[1]) for path in parts["shard-1"].iterdir())
    genuine = max(parts["shard-1"].iterdir())
    stranger = SnapshotStore(
        place, stream="other", series=parts["shard-1"].name, keys=Keys(b"s" * 32), kept_n=2
    )
    for path in parts["shard-1"].iterdir():
        path.unlink()
    stranger.write(number + 1, b"anything", {"events": 1})
    assert not genuine.exists()
    shutil.rmtree(parts["desk-1"])


@pytest.mark.long
def test_worker_takes_no_more_memory_and_listens_on_loopback_only(
    broker: Address, prefix: str, tmp_path: Path
) -> None:
    skip_unless_kafka(broker, "records that survive a stop")
    settings = settings_of(prefix, broker.servers, tmp_path, label={"deadline_s": 3.0})
    make_events(broker, settings, PARTITIONS)
    with Fleet(settings, tmp_path) as fleet:
        (worker,) = fleet.start("w0")
        fleet.wait_ready()
        with Traffic(broker.client, names_of(settings), people=HUMAN, rate=800.0) as traffic:

            def peak_mib(until_n: int) -> float:
                seen = [0.0]

                def is_sent() -> bool:
                    traffic.check()
                    worker.check()
                    seen.append(worker.rss_mib())
                    return len(traffic.sent) >= until_n

                wait_until(is_sent, "no events are sent")
                return max(seen)

            warm = peak_mib(5_000)
            later = peak_mib(15_000)
            listens = worker.listens_on()
        assert listens == {f"127.0.0.1:{worker.port}"}
        fleet.stop()
    print(f"\npeak memory: {warm:.0f} MiB up to 5,000 events, {later:.0f} MiB up to 15,000")
    assert later < GROWTH_MAX * warm
