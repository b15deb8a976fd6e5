"""`headrace bridge` between the files of a run: found, started, killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest

from bridges.programs import answered
from commands.runs import Stream, lines_of
from headrace import cli
from headrace.bridges.folder import places_of
from headrace.errors import BadInput, BadSettings
from headrace.messages import Answer
from headrace.settings import Settings, parse
from warm import start_python

OWN = '''
import json
import sys
import time
from pathlib import Path
import msgspec
from headrace.bridges.bridge import Receipt, Reply

class Spool:
    """Answers each request once, when it is sent; a slow tool."""
    class Settings(msgspec.Struct, frozen=True):
        label: str = "a"
        wait_s: float = 0.0

    def __init__(self, settings, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.settings, self.path = settings, folder / "tasks.jsonl"

    def _names(self):
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [json.loads(line) for line in lines]

    def send(self, deliveries):
        there = set(self._names())
        for one in deliveries:
            time.sleep(self.settings.wait_s)
            if one.request is not None and one.request_id not in there:
                with self.path.open("a") as file:
                    file.write(json.dumps(one.request_id) + chr(10))

    def receive(self, mark):
        names = self._names()
        start = int(mark or 0)
        replies = [Reply(one, self.settings.label, 1.0, "spool", one) for one in names[start:]]
        return Receipt(tuple(replies), str(len(names)))
'''


@pytest.fixture
def stream(tmp_path):
    return Stream(tmp_path)


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_bridge.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    settings = tmp_path / "bridge.toml"
    settings.write_text(
        '[bridges.spool]\nkind = "own_bridge:Spool"\nlabel = "yes"\nwait_s = 0.02\n'
    )
    return settings


@contextmanager
def started(stream, settings, folder):
    command = ["-m", "headrace", "bridge", "spool", "--every", "0.02"]
    command += ["--state", str(stream.places.state), "--settings", str(settings)]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    process = start_python(*command, env=environment, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_bridge_that_is_killed_thrice_brings_every_answer(stream, own, tmp_path):
    stream.write_events(0, 400)
    stream.run()
    asked = [one["request_id"] for one in stream.requests()]
    assert len(asked) >= 10
    for _ in range(3):
        with started(stream, own, tmp_path):
            before, until = len(answered(stream)), time.monotonic() + 120
            while time.monotonic() < until and len(answered(stream)) == before < len(asked):
                time.sleep(0.02)
    with started(stream, own, tmp_path) as process:
        assert process.stderr.readline() == "headrace: spool: carrying requests, until Ctrl-C\n"
        until = time.monotonic() + 120
        while time.monotonic() < until and answered(stream) != set(asked):
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        told = process.stderr.read()
        assert process.wait(120) == 0, told
    assert answered(stream) == set(asked)
    tasks = (stream.places.state / "bridges" / "spool" / "tasks.jsonl").read_text().splitlines()
    assert [json.loads(one) for one in tasks] == asked
    stream.run()
    assert {one["request_id"] for one in stream.decisions("LabelSettled")} == set(asked)
    assert all(one["label"] == "yes" for one in stream.decisions("LabelSettled"))


def test_two_bridges_of_one_name_are_one_too_many(stream, own, tmp_path, capsys):
    stream.write_events(0, 5)
    stream.run()
    with started(stream, own, tmp_path):
        lock = stream.places.state / "bridges" / "spool.sqlite"
        until = time.monotonic() + 120
        while time.monotonic() < until and not lock.exists():
            time.sleep(0.02)
        argv = ["bridge", "spool", "--state", str(stream.places.state), "--settings", str(own)]
        assert cli.main(argv) == 2
        assert "is used by another bridge spool" in capsys.readouterr().err


def test_a_folder_without_a_run_says_how_to_start_one(tmp_path, capsys):
    assert cli.main(["bridge", "spool", "--state", str(tmp_path)]) == 2
    assert "start `headrace run --follow --state" in capsys.readouterr().err


def test_neither_a_run_nor_kafka(capsys):
    assert cli.main(["bridge", "spool"]) == 2
    assert "neither --state nor --settings" in capsys.readouterr().err


def test_a_run_that_reads_no_answers_is_refused(stream):
    stream.write_events(0, 5)
    stream.run()
    path = stream.places.state / "places.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"answers": None}))
    with pytest.raises(BadInput, match="reads no answers"):
        places_of(stream.places.state)


def test_answers_in_an_export_are_refused(stream):
    """A line of JSON at its end would spoil the export, and be read as no answer."""
    stream.write_events(0, 5)
    stream.run()
    path = stream.places.state / "places.json"
    export = path.with_name("labels.csv")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"answers": str(export)}))
    with pytest.raises(BadInput, match=r"from an export, .*labels\.csv, to which no line can"):
        places_of(stream.places.state)


def test_answers_in_the_shape_of_another_tool_are_refused(stream):
    stream.write_events(0, 5)
    stream.run(settings=parse({"answers": {"label": "choice", "class_names": {"x": "y"}}}))
    with pytest.raises(BadSettings, match=r"answers\.label say"):
        places_of(stream.places.state)


def test_every_fault_of_every_section_is_found(own, capsys):
    own.write_text(
        '[bridges.spool]\nkind = "own_bridge:Spool"\nlabl = "yes"\nwait_s = "long"\n'
        '[bridges.other]\nkind = "own_bridge:Spol"\n[bridges.third]\n'
    )
    assert cli.main(["check", str(own)]) == 1
    told = capsys.readouterr().out
    assert "bridges.spool.labl is not a setting; did you mean label?" in told
    assert "bridges.spool.wait_s is 'long'" in told
    assert "own_bridge has no such function; did you mean Spool?" in told
    assert "bridges.third.kind is 'third', and there is no such bridge" in told


def test_sections_of_bridges_may_change_between_two_starts(stream):
    stream.write_events(0, 5)
    stream.run(settings=Settings())
    stream.write_events(5, 10)
    stream.run(settings=parse({"bridges": {"spool": {"kind": "own_bridge:Spool"}}}))
    assert len(lines_of(stream.places.events)) == 10


def test_answers_are_appended_behind_a_line_that_was_cut(stream):
    from headrace.bridges.folder import FolderEnd  # noqa: PLC0415

    stream.places.answers.write_bytes(b'{"request_id": "to')
    end = FolderEnd(stream.places.requests, stream.places.answers)
    end.write([Answer(request_id="r1", label="a", at=1.0)])
    cut, whole = stream.places.answers.read_bytes().splitlines()
    assert cut == b'{"request_id": "to'
    assert json.loads(whole)["label"] == "a"


def test_a_file_of_requests_that_shrank_is_no_longer_believed(stream):
    from headrace.bridges.folder import FolderEnd  # noqa: PLC0415

    stream.write_events(0, 50)
    stream.run()
    end = FolderEnd(stream.places.requests, stream.places.answers)
    _, place = end.read("", 1_000)
    end.close()
    stream.places.requests.write_bytes(b"")
    with pytest.raises(BadInput, match="is shorter than what was read of it"):
        end.read(place, 10)
