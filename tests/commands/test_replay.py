"""A recorded run is decided again to the same bytes, or the first difference is told."""

import json
import os
import subprocess
from contextlib import closing

import pytest

from commands.runs import SETTINGS, Stream
from headrace import cli
from headrace.commands.replay import replay_run
from headrace.drivers.files.folder import RunFolder
from headrace.drivers.files.run import run_files
from headrace.errors import BadInput, BadSettings
from headrace.settings import parse


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    stream = Stream(tmp_path_factory.mktemp("recorded"))
    stream.write_events(0, 300, bad={5})
    stream.run()
    stream.answer()
    stream.write_events(300, 500)
    stream.run()
    return stream


@pytest.fixture
def stream(recorded, tmp_path):
    """The same run, in files that may be changed."""
    subprocess.run(["cp", "-r", f"{recorded.folder}/.", str(tmp_path)], check=True)
    return Stream(tmp_path)


def test_a_replay_gives_every_output_again(recorded):
    decisions = (recorded.places.state / "decisions.jsonl").read_bytes()
    seen = []
    found = replay_run(recorded.places.state, lambda done, of: seen.append((done, of)))
    assert found.difference == ""
    assert found.same_n == decisions.count(b"\n") > 100
    assert seen[-1][0] == seen[-1][1] == (recorded.places.state / "journal").stat().st_size
    assert recorded.decisions("ModelKept") or recorded.decisions("ModelAdopted")


def test_a_replay_changes_nothing_in_the_folder(recorded):
    state = recorded.places.state
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    replay_run(state)
    assert {path: path.read_bytes() for path in state.rglob("*") if path.is_file()} == before


def test_snapshots_are_not_needed(stream):
    for path in (stream.places.state / "snapshots").iterdir():
        path.unlink()
    assert replay_run(stream.places.state).difference == ""


def test_the_first_difference_is_told_with_its_line_and_field(stream, capsys):
    decisions = stream.places.state / "decisions.jsonl"
    lines = decisions.read_bytes().split(b"\n")
    number = next(i for i, line in enumerate(lines) if b"LabelSettled" in line)
    settled = json.loads(lines[number])
    other = {"yes": "no", "no": "yes"}[settled["label"]]
    lines[number] = lines[number].replace(
        json.dumps({"label": settled["label"]})[1:-1].replace(" ", "").encode(),
        json.dumps({"label": other})[1:-1].replace(" ", "").encode(),
    )
    decisions.write_bytes(b"\n".join(lines))
    assert cli.main(["replay", str(stream.places.state)]) == 1
    told = capsys.readouterr().out
    assert f"{number} outputs agreed, then line {number + 1} differs" in told
    assert f"label: {other!r} recorded, {settled['label']!r} decided" in told


@pytest.mark.parametrize("cut", [1, 400])
def test_a_record_that_ends_early_is_told(stream, cut):
    decisions = stream.places.state / "decisions.jsonl"
    os.truncate(decisions, decisions.stat().st_size - cut)
    assert "the record ends there" in replay_run(stream.places.state).difference


def test_a_line_more_than_was_decided_is_told(stream):
    with (stream.places.state / "decisions.jsonl").open("a") as file:
        file.write('{"type":"Invented"}\n')
    found = replay_run(stream.places.state)
    assert "decided:  (nothing)" in found.difference


def test_other_settings_decide_otherwise(stream):
    path = stream.places.state / "settings.json"
    path.write_text(path.read_text().replace('"seed": 5', '"seed": 6'))
    assert "differs" in replay_run(stream.places.state).difference


def test_changed_or_lost_events_are_told_and_end_with_2(tmp_path, capsys):
    stream = Stream(tmp_path)
    stream.write_events(0, 100)
    stream.run()
    events = stream.places.events
    events.write_bytes(events.read_bytes().replace(b"e50", b"f50"))
    assert cli.main(["replay", str(stream.places.state)]) == 2
    assert "has changed: bytes 0 to" in capsys.readouterr().err
    events.unlink()
    assert cli.main(["replay", str(stream.places.state)]) == 2
    assert "can't be read: No such file" in capsys.readouterr().err


def test_all_agreeing_ends_with_0(recorded, capsys):
    assert cli.main(["replay", str(recorded.places.state)]) == 0
    assert "outputs agree" in capsys.readouterr().out


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(BadInput, match="holds no recorded run"):
        replay_run(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_going_on_is_refused(stream):
    held = closing(RunFolder(stream.places.state, parse(SETTINGS)))
    with held, pytest.raises(BadSettings, match="in use by another process"):
        replay_run(stream.places.state)


# ------------------------------------------------------------------------- code behind a name


def test_code_that_was_edited_behind_a_name_is_told_once(tmp_path, monkeypatch):
    module = tmp_path / "our_models.py"
    text = "from river import naive_bayes\n\ndef ours():\n    return naive_bayes.GaussianNB()\n"
    module.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = parse({**SETTINGS, "model": {"name": "our_models:ours"}})
    state, told = tmp_path / "state", "model.name is 'our_models:ours', and its file has changed"

    def edited():
        with closing(RunFolder(state, settings)) as folder:
            return folder.edited

    assert edited() == edited() == []
    module.write_text(text + "# another one\n")
    (sentence,) = edited()
    assert sentence.startswith(told)
    assert edited() == []
    with closing(RunFolder(tmp_path / "plain", parse(SETTINGS))) as folder:
        assert folder.edited == []
    assert not (tmp_path / "plain" / "code.json").exists()


def test_a_run_tells_of_edited_code_before_it_goes_on(tmp_path, monkeypatch):
    module = tmp_path / "their_models.py"
    text = "from river import naive_bayes\n\ndef ours():\n    return naive_bayes.GaussianNB()\n"
    module.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    stream, notes = Stream(tmp_path), []
    stream.write_events(0, 50)
    settings = parse({**SETTINGS, "model": {"name": "their_models:ours"}})
    for _ in range(2):
        run_files(stream.places, settings, on_note=notes.append)
        assert not [note for note in notes if "its file has changed" in note]
    module.write_text(text + "# another one\n")
    run_files(stream.places, settings, on_note=notes.append)
    assert [note for note in notes if "its file has changed" in note]
