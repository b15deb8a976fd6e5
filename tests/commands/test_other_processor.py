"""A run goes on, and is decided again, on a processor whose sums differ: the record wins."""

import json
from contextlib import closing

import numpy as np
import pytest

from commands.runs import SETTINGS, Kept, Stream
from headrace import cli
from headrace.adapters.journal import Asked, Journal
from headrace.commands.replay import replay_run
from headrace.drivers.files.run import run_files
from headrace.query import asking, choosing
from headrace.settings import parse
from headrace.shard import assessing

COMPUTING = (
    (choosing, "utilities_of"),
    (asking, "utilities_by_row"),
    (assessing, "rate_rows"),
)
"""Where utilities are computed: in rounds, of one event at a time, and of many on arrival."""


def last_bits(values):
    return np.nextafter(values, np.inf)


def upside_down(values):
    return -values


@pytest.fixture
def on_another(monkeypatch):
    """From when it is called on, utilities come out otherwise."""

    def install(moved):
        for module, name in COMPUTING:
            compute = getattr(module, name)
            monkeypatch.setattr(
                module, name, lambda *given, compute=compute: moved(compute(*given))
            )

    return install


@pytest.fixture(scope="module", params=["arrival", "rounds"])
def kept(request, tmp_path_factory):
    """A run that was killed: its snapshots are gone, and so is the end of its outputs."""
    query = {"budget": {"share": 0.2}, "ask": request.param, "cold_start": {"per_class_n": 0}}
    if request.param == "rounds":
        query["rounds"] = {"every_n": 20}
    settings = parse(SETTINGS | {"query": query})
    stream = Stream(tmp_path_factory.mktemp("killed") / "run")
    stream.folder.mkdir()
    stream.write_events(0, 300)
    stream.run(settings=settings)
    stream.answer()
    stream.write_events(300, 420)
    stream.run(settings=settings)
    for path in (stream.places.state / "snapshots").iterdir():
        path.unlink()
    return Kept(stream), settings


@pytest.fixture
def stream(kept):
    return kept[0].put_back(), kept[1]


def ids(path):
    return [
        found["request_id"]
        for found in map(json.loads, path.read_bytes().splitlines())
        if found["type"] == "LabelRequested"
    ]


@pytest.mark.parametrize("moved", [last_bits, upside_down])
@pytest.mark.parametrize("cut_bytes", [0, 100])
@pytest.mark.default_n(3)
def test_what_was_asked_is_asked_and_nothing_else(stream, on_another, moved, cut_bytes):
    stream, settings = stream
    requests, decisions = stream.places.requests, stream.places.state / "decisions.jsonl"
    asked, decided = ids(requests), decisions.read_bytes()
    for path in (requests, decisions):
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - cut_bytes)
    on_another(moved)
    notes = []
    report = run_files(
        stream.places,
        settings,
        on_note=notes.append,
    )
    assert ids(requests) == asked
    if not cut_bytes:
        assert decisions.read_bytes() == decided
    assert (report.asking.requests_n, sum(report.asking.by_strategy.values())) == (
        len(asked),
        len(asked),
    )
    assert any("What was decided then holds" in note for note in notes)
    found = replay_run(stream.places.state)
    assert found.differences.n > 0
    assert found.differences.decided_n == len(asked)
    if moved is last_bits:
        assert found.differences.largest < 1e-9
    # It goes on by its own sums, and asks nothing twice.
    stream.write_events(420, 600)
    stream.run(settings=settings)
    assert len(set(ids(requests))) == len(ids(requests)) > len(asked)


def test_a_replay_says_by_how_much(stream, on_another, capsys):
    stream, _ = stream
    assert cli.main(["replay", str(stream.places.state)]) == 0
    on_another(last_bits)
    capsys.readouterr()
    assert cli.main(["replay", str(stream.places.state)]) == 1
    told = capsys.readouterr().out
    assert "decisions differ from the record" in told
    assert "in utility or propensity, by" in told


def test_a_run_of_an_earlier_version_has_no_record_and_is_decided_again(stream):
    stream, settings = stream
    asked = ids(stream.places.requests)
    path = stream.places.state / "journal"
    with closing(Journal(path, is_read_only=True)) as journal:
        records = [record for record, _ in journal.read_records() if not isinstance(record, Asked)]
    path.unlink()
    with closing(Journal(path)) as journal:
        for record in records:
            journal.append(record)
    assert replay_run(stream.places.state).difference == ""
    notes = []
    stream.run(settings=settings, on_note=notes.append)
    assert not any("What was decided then holds" in note for note in notes)
    stream.write_events(420, 600)
    stream.run(settings=settings)
    assert ids(stream.places.requests)[: len(asked)] == asked
    found = replay_run(stream.places.state)
    assert (found.difference, found.differences.n) == ("", 0)
    assert found.differences.decided_n > 0
