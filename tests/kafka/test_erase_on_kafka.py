"""A person erased on a real broker, of workers of which one is killed meanwhile.

What they have planted is a name: it is looked for in the bytes of all that they save.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kafka.broker import Address, skip_unless_kafka
from kafka.workers import Fleet, make_events, names_of, settings_of
from kafka.world import People, Traffic, World, wait_until

NAME, KEY = "PlantedAda", "planted-key-77"
EVERY_N = 20


@dataclass(frozen=True)
class Persons(World):
    """Every so many events one is Ada's, until she is `gone`."""

    gone: list[int] = field(default_factory=list, hash=False)

    def event(self, i: int, at: float) -> bytes:
        row = json.loads(super().event(i, at))
        is_hers = i % EVERY_N == 3 and not self.gone
        row["key"] = KEY if is_hers else f"k{i % 7}"
        row["features"]["who"] = NAME if is_hers else f"person{i % 5}"
        return json.dumps(row).encode()


def rows_of(broker: Address, topic: str) -> list[dict[str, Any]]:
    return [json.loads(value) for value in broker.topics.values(topic)]


def saved_with(folder: Path, *texts: str) -> list[str]:
    """The files below a folder in whose bytes one of these texts stands."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(text.encode() in content_of(path) for text in texts)
    ]


def content_of(path: Path) -> bytes:
    """Nothing of a file that was removed since it was listed."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


@pytest.mark.long
def test_nothing_that_workers_save_has_the_name_of_who_was_erased(
    broker: Address, prefix: str, tmp_path: Path
) -> None:
    skip_unless_kafka(broker, "records that survive a stop")
    features = dict.fromkeys(("x", "y", "z"), "numeric") | {"who": "categorical"}
    settings = settings_of(
        prefix,
        broker.servers,
        tmp_path,
        schema={"classes": ["high", "low"], "features": features},
        # Some of her requests are to be open still.
        label={"deadline_s": 600.0},
        learn={"retrain_every_n": 100, "memory_n": 500, "versions_kept": 3, "version_every_n": 50},
        retention={"subject": "key"},
    )
    make_events(broker, settings, partitions=2)
    training, snapshots = f"{prefix}.training", tmp_path / "snapshots"
    world = Persons()

    def hers(kind: str, topic: str) -> list[dict[str, Any]]:
        rows = rows_of(broker, f"{prefix}.{topic}")
        return [row for row in rows if row["type"] == kind and row["key"] == KEY]

    with Fleet(settings, tmp_path) as fleet:
        first, second = fleet.start("w0", "w1")
        fleet.wait_ready()
        people = People(delay_s=0.2, silent=0.5)
        with Traffic(broker.client, names_of(settings), world, people, rate=200.0) as traffic:
            wait_until(lambda: len(hers("LabelSettled", "training")) >= 4, "nothing of hers")
            # Some of these are open still: of two requests about one is answered.
            wait_until(lambda: len(hers("LabelRequested", "requests")) >= 12, "nothing is asked")
            wait_until(lambda: saved_with(snapshots, NAME), "she stands in no snapshot")
            settled = {row["request_id"] for row in hers("LabelSettled", "training")}
            # Nothing of hers is sent any more, and what was sent is read.
            world.gone.append(1)
            traffic.rate = 0.0
            read = ["lag", "--max-records", "0"]
            wait_until(lambda: first.headrace(*read).returncode == 0, "events are left to read")
            erase = ["erase", KEY, "--key", "ada", "--wait"]
            ordered = first.headrace(*erase, "0")
            second.kill()
            done = first.headrace(*erase, "90")
            assert ordered.returncode in (0, 75), ordered.stdout + ordered.stderr
            assert done.returncode == 0, done.stdout + done.stderr
            assert "ordered before" in done.stdout and "models were made anew" in done.stdout
            for where in ("window", "examples", "open requests", "ended requests", "categories"):
                assert where in done.stdout
            wait_until(lambda: not saved_with(snapshots, NAME, KEY), "she is still saved")
            nobody = first.headrace("erase", "nobody", "--wait", "60")
            assert nobody.returncode == 3 and "nothing was found" in nobody.stdout
        fleet.check()

        # A worker that comes back from its snapshots, and folds what came since.
        fleet.start("w1")
        first.kill()
        fleet.wait_ready()
        fleet.stop()
        assert saved_with(snapshots, NAME, KEY) == []

        withdrawn = [
            row
            for row in rows_of(broker, f"{prefix}.requests")
            if row["type"] == "RequestWithdrawn" and row["reason"] == "erased"
        ]
        assert settled <= {row["request_id"] for row in withdrawn}
        assert all(row["event_id"] == "" for row in withdrawn)
        for topic in ("answers", "desk", "training", "journal"):
            orders = [
                value
                for value in broker.topics.values(f"{prefix}.{topic}")
                if b"ErasureOrdered" in value or b"erasure" in value
            ]
            assert orders and not any(KEY.encode() in value for value in orders), topic
        passed_on = [row for row in rows_of(broker, training) if row["type"] == "ErasureOrdered"]
        assert sorted({row.get("desk", 0) for row in passed_on if row["key"] == "ada"}) == [0, 1]

        # From the logs alone the same is made, the erasure at its place.
        rebuilt = first.headrace("rebuild")
        assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
        assert "5 of 5 parts are proven equal" in rebuilt.stdout

        # The logs that hold her labels for ever are cut behind the snapshots, and workers go on.
        assert any(NAME.encode() in value for value in broker.topics.values(training))
        cut = first.headrace("topics", "--cut", "--yes")
        assert cut.returncode == 0 and "Done." in cut.stdout, cut.stdout + cut.stderr
        for topic in ("training", "desk"):
            values = broker.topics.values(f"{prefix}.{topic}")
            assert not any(NAME.encode() in value or KEY.encode() in value for value in values)
        fleet.start("w0")
        fleet.wait_ready()
        with Traffic(
            broker.client, names_of(settings), world, people, rate=200.0, first=traffic.next_i
        ) as more:
            wait_until(lambda: len(more.given) >= 5, "nobody is asked any more")
        fleet.check()
        # A shard whose snapshot is lost begins anew on the model that was saved.
        fleet.stop()
        for path in snapshots.glob("*shard-0/*.hr"):
            path.unlink()
        reset = first.headrace("reset", "--to", "latest", "--yes")
        assert reset.returncode == 0, reset.stdout + reset.stderr
        fleet.start("w0")
        fleet.wait_ready()
        fleet.stop()
        fleet.check()
