"""What happens to a run that follows files which somebody moves, removes or writes anew."""

import dataclasses
import re
import threading

import pytest

from commands.runs import SETTINGS, Stream
from headrace.adapters import jsonl
from headrace.commands.replay import replay_run
from headrace.drivers.files import run as files
from headrace.drivers.files.run import run_files
from headrace.errors import BadInput
from headrace.settings import parse


@pytest.fixture
def stream(tmp_path):
    return Stream(tmp_path)


def followed(stream, happens, **options):
    """Follow the stream's files; once all is fed, `happens` is called with the runner."""
    stop, done = threading.Event(), []

    def turn(runner):
        if not runner.lag_bytes and not done and runner.engine.shard.events_n:
            done.append(happens())
        if done and len(done) < 100:
            done.append(None)
        elif done:
            stop.set()

    return stream.run(follow=True, stop=stop, on_turn=turn, **options)


def anew(path, content):
    """As an editor or an export writes a file: another one, moved over it."""
    new = path.with_suffix(".tmp")
    new.write_bytes(content)
    new.replace(path)


@pytest.mark.parametrize("name", ["events", "answers"])
def test_a_file_written_anew_with_the_same_beginning_is_followed(stream, name):
    stream.write_events(0, 100)
    stream.run()
    stream.answer()
    stream.write_events(100, 140)
    path = getattr(stream.places, name)

    def happens():
        if name == "events":
            stream.write_events(140, 150)
        else:
            stream.answer()
        anew(path, path.read_bytes())

    report = followed(stream, happens)
    assert report.events.observed_n == (150 if name == "events" else 140)
    assert replay_run(stream.places.state).difference == ""


@pytest.mark.parametrize(
    ("accident", "told"),
    [
        (lambda path: anew(path, b'{"id": "other"}\n'), "was replaced by another file"),
        (lambda path: anew(path, b""), "was replaced by another file"),
        (lambda path: path.rename(path.with_suffix(".1")), "was moved or removed"),
        (lambda path: path.unlink(), "was moved or removed"),
        (lambda path: path.write_bytes(b""), "give a file that was begun anew another name"),
        (lambda path: path.write_bytes(b"#" * 100_000), "was written anew"),
    ],
)
@pytest.mark.parametrize("name", ["events", "answers"])
@pytest.mark.default_n(6)
def test_a_file_that_is_another_ends_the_following(stream, monkeypatch, name, accident, told):
    monkeypatch.setattr(jsonl, "GONE_S", 0.2)
    stream.write_events(0, 100)
    stream.run()
    stream.answer()
    stream.write_events(100, 120)
    path = getattr(stream.places, name)
    with pytest.raises(BadInput, match=told) as error:
        followed(stream, lambda: accident(path))
    assert str(path) in str(error.value)


def test_what_a_start_with_another_file_leaves_unread_is_told(stream):
    """As where a link leads to the log of today, and more had come to that of yesterday."""
    stream.write_events(0, 100)
    stream.run()
    stream.write_events(100, 120)
    whole = stream.places.events.read_bytes()
    other = stream.folder / "today.jsonl"
    other.write_bytes(b"".join(whole.splitlines(keepends=True)[110:]))
    notes, told = [], f"{stream.places.events}: its last .* bytes were not read; a start with it"
    today = dataclasses.replace(stream.places, events=other)
    run_files(today, parse(SETTINGS), on_note=notes.append)
    assert [re.match(told, note) is not None for note in notes] == [True]
    for places in (stream.places, today):
        notes.clear()
        report = run_files(places, parse(SETTINGS), on_note=notes.append)
        assert (notes, report.events.observed_n) == ([], 120)


@pytest.mark.parametrize("name", ["requests.jsonl", "state/decisions.jsonl"])
@pytest.mark.parametrize("is_another", [True, False])
def test_an_output_that_is_taken_away_ends_the_following(stream, monkeypatch, name, is_another):
    monkeypatch.setattr(files, "POLL_S", 0.01)
    stream.write_events(0, 100)
    path = stream.folder / name
    kept = stream.folder / "kept"

    def happens():
        path.rename(kept)
        if is_another:
            path.touch()

    def again():
        happens()
        stream.write_events(100, 400)

    with pytest.raises(BadInput, match="moved, removed or replaced"):
        followed(stream, again)
    kept.replace(path)
    assert stream.run().events.observed_n == 400
    assert replay_run(stream.places.state).difference == ""
