"""Versions of a run's model are listed, and one comes back by an order, in a replay too."""

import time

import pytest

from commands.runs import SETTINGS, Stream, lines_of
from headrace import Engine, cli
from headrace.adapters.chain import read_entries
from headrace.commands.model import read_kept_versions
from headrace.commands.replay import replay_run
from headrace.drivers.files.orders import place_order
from headrace.errors import BadInput, BadSettings
from headrace.messages import RollBackOrdered
from headrace.settings import parse

KEEPING = {**SETTINGS, "learn": {"versions_kept": 3, "version_every_n": 7}}


@pytest.fixture
def stream(tmp_path):
    stream = Stream(tmp_path)
    stream.write_events(0, 150)
    run(stream)
    stream.answer()
    run(stream)
    return stream


def run(stream, **options):
    return stream.run(settings=parse(KEEPING), **options)


def numbers(stream):
    return [version.number for version in read_kept_versions(stream.places.state).kept]


def back(stream):
    return stream.decisions("ModelRolledBack")


def test_a_version_comes_back_by_an_order_on_the_command_line(stream, capsys):
    state, first = str(stream.places.state), numbers(stream)[0]
    assert len(numbers(stream)) == 3
    assert cli.main(["model", "list", state]) == 0
    [header, *rows] = capsys.readouterr().out.splitlines()
    assert header.split("\t") == ["version", "labels", "learned until"]
    assert [row.split("\t")[0] for row in rows] == [str(number) for number in numbers(stream)]
    assert [row.endswith("in use") for row in rows] == [False, False, True]
    argv = ["model", "roll-back", state, "--to", str(first), "--key", "k"]
    assert cli.main([*argv, "--reason", "spoilt labels"]) == 0
    assert cli.main(argv) == 0
    assert "nothing was done" in capsys.readouterr().out
    report = run(stream)
    [told] = back(stream)
    assert (told["to"], told["order_key"], told["order_reason"]) == (first, "k", "spoilt labels")
    assert report.retraining.rolled_back_n == 1
    assert read_kept_versions(stream.places.state).in_use == first
    assert cli.main([*argv, "--wait", "1"]) == 0
    assert f"the model is version {first} again" in capsys.readouterr().out
    assert replay_run(stream.places.state).difference == ""


def test_the_audit_log_says_who_ordered_it_and_what_came_of_it(stream):
    settings = parse({**KEEPING, "audit": {"is_kept": True}})
    stream.places.state.rename(stream.folder / "before")
    stream.places.requests.unlink()
    stream.run(settings=settings)
    first = numbers(stream)[0]
    order = RollBackOrdered(at=0.0, to=first, key="k", reason="spoilt", by="olga")
    place_order(stream.places.state, order)
    stream.run(settings=settings)
    found = {
        entry["what"]: entry for entry in read_entries(stream.places.state / "audit", "decided")
    }
    ordered, done = found["roll_back_ordered"], found["challenger_rolled_back"]
    assert (ordered["by"], ordered["to"], ordered["reason"]) == ("olga", first, "spoilt")
    assert (done["to"], done["order_key"]) == (first, "k")


def test_a_run_that_follows_goes_back_at_once_and_a_restart_without_snapshots_too(stream):
    first, asked = numbers(stream)[0], []

    def turn(runner):
        if not asked:
            asked.append(time.monotonic())
            place_order(stream.places.state, RollBackOrdered(at=0.0, to=first, key="now"))
        if back(stream) or time.monotonic() > asked[0] + 20:
            runner.stop.set()

    run(stream, follow=True, on_turn=turn)
    assert [told["to"] for told in back(stream)] == [first]
    written = stream.written()
    for path in (stream.places.state / "snapshots").rglob("snapshot-*.hr"):
        path.unlink()
    run(stream)
    assert stream.written() == written
    assert read_kept_versions(stream.places.state).in_use == first


def test_a_snapshot_is_written_when_a_version_was_kept(stream):
    known = []

    def turn(runner):
        engine = Engine(settings=runner.settings)
        found = runner.store.read_latest(lambda snapshot: engine.restore(snapshot.blob))
        if found is not None:
            newest = runner.engine.trainer.versions.kept[-1].number
            known.append(engine.trainer.versions.kept[-1].number == newest)

    stream.write_events(150, 250)
    run(stream)
    stream.answer()
    run(stream, on_turn=turn)
    assert len(known) > 1
    assert all(known)


def test_a_version_that_is_not_kept_is_refused_and_the_wait_says_so(stream, capsys):
    argv = ["model", "roll-back", str(stream.places.state), "--to", "1", "--key", "k"]
    assert cli.main(argv) == 0
    run(stream)
    assert back(stream) == []
    [rejected] = stream.decisions("InputRejected")
    assert (rejected["reason"], rejected["input_id"]) == ("no_version", "k")
    assert cli.main([*argv, "--wait", "1"]) == 3
    assert "is not kept; kept are" in capsys.readouterr().out


def test_what_can_not_be_gone_back_to_is_refused_with_a_sentence(stream, tmp_path, capsys):
    with pytest.raises(BadInput, match="holds no recorded run"):
        read_kept_versions(tmp_path)
    with pytest.raises(BadSettings, match="to is -1"):
        place_order(stream.places.state, RollBackOrdered(at=0.0, to=-1))
    other = Stream(tmp_path / "other")
    other.folder.mkdir()
    other.write_events(0, 10)
    other.run()
    for argv in (["list"], ["roll-back", "--to", "3"]):
        assert cli.main(["model", *argv, str(other.places.state)]) == 2
        assert "learn.versions_kept is 0" in capsys.readouterr().err
    assert lines_of(other.places.state / "orders.jsonl") == []
