"""The accuracy that a desk beside workers shows is that of all of them, by what they saved."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from commands.saved_workers import TOML, Saved
from headrace import cli
from headrace.bridges.bridge import Unreachable
from headrace.bridges.desk.bridge import Estimated
from headrace.commands.desk import JoinedRun
from headrace.commands.worker_accuracy import SavedAccuracy
from headrace.errors import BadSettings
from headrace.report.building import combine_report
from headrace.settings import Settings, parse
from simulation.cluster_worlds import World


def told_by(world: World, *numbers: int) -> Estimated:
    """What the shards of these workers make of their labels."""
    flows = [world.cluster.workers[number].flow for number in numbers]
    shards = {
        n: owned.shard.shard for flow in flows if flow for n, owned in flow.owned.shards.items()
    }
    trainer = world.cluster.workers[0].flow.training.trainer
    found = combine_report(world.settings, trainer, shards, {}).estimates.accuracy
    return Estimated(found.accuracy, found.low, found.high, found.labels_n)


def test_the_accuracy_is_that_of_all_workers(world: World, saved: Saved) -> None:
    notes: list[str] = []
    accuracy = SavedAccuracy(saved.settings, notes.append)
    accuracy.update_estimate()
    assert accuracy.latest is None, "nothing is saved yet"
    saved.write(1.0)
    accuracy.update_estimate()
    every, alone = told_by(world, 0, 1), [told_by(world, n) for n in (0, 1)]
    assert accuracy.latest == every and notes == []
    assert every.labels_n == sum(one.labels_n for one in alone)
    assert all(0 < one.labels_n < every.labels_n for one in alone)


def test_what_can_not_be_read_is_told_once(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    saved.write(1.0)
    notes: list[str] = []
    accuracy = SavedAccuracy(saved.settings, notes.append)

    def fail(self: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr("headrace.drivers.kafka.states.States.list_newest", fail)
    for _ in range(3):
        accuracy.update_estimate()
    assert len(notes) == 1 and "the disk is gone; trying again" in notes[0]


def test_a_desk_beside_workers_shows_it(world: World, saved: Saved) -> None:
    saved.write(1.0)
    with closing(JoinedRun(saved.settings, None)) as run:
        until = time.monotonic() + 30
        while run.read_estimate() is None and time.monotonic() < until:
            time.sleep(0.02)
        assert msgspec.structs.astuple(run.read_estimate()) == msgspec.structs.astuple(
            told_by(world, 0, 1)
        )


def test_an_order_that_reaches_nobody_is_not_the_callers_fault() -> None:
    settings: Settings = parse({"kafka": {"servers": ["127.0.0.1:1"]}})
    with closing(JoinedRun(settings, None, "http://127.0.0.1:1/metrics")) as run:
        with pytest.raises(Unreachable):
            run.open_round(3, "", "k1", "ann")
        with pytest.raises(BadSettings, match="labels_n is 0"):
            run.open_round(0, "", "k1", "ann")


# --------------------------------------------------------------------------- the command line


def test_the_versions_of_workers_are_listed(
    world: World, saved: Saved, capsys: pytest.CaptureFixture[str]
) -> None:
    list_them = ["model", "list", "--settings", str(saved.path)]
    assert cli.main(list_them) == 0
    assert capsys.readouterr().out == "no version is kept yet\n"
    saved.write(1.0)
    assert cli.main(list_them) == 0
    kept = world.cluster.workers[0].flow.training.trainer.versions.kept
    listed = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert listed == [str(version.number) for version in kept] and len(listed) == 3


def test_nobody_is_asked_where_the_place_is_unclear(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "headrace.toml"
    path.write_text(TOML.replace("versions_kept = 3\n", ""))
    for argv in (["round", "open"], ["round", "open", "run", "--settings", str(path)]):
        assert cli.main(argv) == 2
        assert "give either DIR" in capsys.readouterr().err
    back = ["model", "roll-back", "--to", "3", "--settings", str(path)]
    assert cli.main(back) == 2
    assert "learn.versions_kept is 0" in capsys.readouterr().err


def test_a_command_says_that_the_brokers_are_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "headrace.toml"
    path.write_text('[kafka]\nservers = ["127.0.0.1:1"]\n')
    assert cli.main(["round", "open", "--settings", str(path)]) == 2
    told = capsys.readouterr()
    assert told.out == "" and "127.0.0.1:1" in told.err
