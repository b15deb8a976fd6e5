"""What is too old is forgotten, in memory and in every file, at places that the events give."""

import json
import random
import shutil
import sqlite3
import threading
from dataclasses import replace

import pytest

from commands.runs import SETTINGS, START_AT, Stream, lines_of
from headrace import cli
from headrace.adapters.journal import Journal
from headrace.bridges.bridge import Delivery
from headrace.bridges.desk.store import DeskStore
from headrace.bridges.folder import FolderEnd
from headrace.drivers.files import erasing
from headrace.drivers.files.run import run_files
from headrace.errors import BadSettings
from headrace.settings import parse

HOUR, DAY = 3_600.0, 86_400.0
DAYS = 2
KEPT_N = DAYS * 48
KEPT = {"retention": {"days": DAYS, "unlearns": True}, "label": {"deadline_s": 1.5 * DAY}}
OPTIONS = {**SETTINGS, **KEPT}
HALF, N = 75, 140
"""Where most streams are read and answered: what is too old then is a third of the events."""
OLDEST = N - 1 - KEPT_N
"""The latest event that is too old when N have been read."""


def event(i):
    """One each half hour, each with a text that is nowhere else."""
    luck = random.Random(i)
    features = {"x": luck.gauss(0, 1), "y": luck.gauss(0, 1), "note": f"canary{i:04}text"}
    return {"id": f"canary{i:04}id", "at": START_AT + HOUR / 2 * i, "features": features}


def write_events(stream, start, stop):
    with stream.places.events.open("a") as file:
        for i in range(start, stop):
            file.write(json.dumps(event(i)) + "\n")


def run(stream, *, options=OPTIONS, **more):
    return run_files(stream.places, parse(options), **more)


def kept_in(stream, n, *, names=("id", "text")):
    """The events below n that are named anywhere in the bytes of the run's files."""
    files = [path for path in stream.places.state.rglob("*") if path.is_file()]
    content = b"".join(path.read_bytes() for path in [*files, stream.places.requests])
    return [i for i in range(n) if any(f"canary{i:04}{name}".encode() in content for name in names)]


def played(folder, stops, *, options=OPTIONS, **more):
    """A stream that was read and answered up to each of these places."""
    folder.mkdir(exist_ok=True)
    stream, start = Stream(folder), 0
    for stop in stops:
        write_events(stream, start, stop)
        run(stream, options=options, **more)
        stream.answer()
        start = stop
    return stream


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where these streams are: a run knows its files by their places, so a copy is put there."""
    return tmp_path_factory.mktemp("place") / "run"


@pytest.fixture(scope="module")
def half(place):
    """A stream that was read and answered once; to be copied, not changed."""
    return copy_of(played(place, [HALF]), place.with_name("half"))


@pytest.fixture(scope="module")
def whole(place, half):
    """Three days of it; to be copied, not changed."""
    stream = copy_of(half, place)
    write_events(stream, HALF, N)
    run(stream)
    stream.answer()
    return copy_of(stream, place.with_name("whole"))


def copy_of(stream, folder):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(stream.folder, folder)
    return Stream(folder)


@pytest.fixture
def stream(place, whole):
    """Three days of a stream, all of it answered."""
    found = copy_of(whole, place)
    run(found)
    return found


def test_no_byte_of_a_run_is_of_an_event_that_is_too_old(stream, capsys):
    kept = kept_in(stream, N)
    assert kept
    assert min(kept) > OLDEST
    assert max(kept) == N - 1
    # Answers and requests that are left are still learned from, and the run goes on.
    write_events(stream, N, N + 20)
    report = run(stream)
    assert report.events.observed_n == N + 20
    assert min(kept_in(stream, N + 20)) > OLDEST + 20
    assert cli.main(["replay", str(stream.places.state)]) == 0
    assert "agree" in capsys.readouterr().out
    assert cli.main(["report", str(stream.places.state)]) == 0
    # Without it everything is still there.
    without = played(stream.folder / "without", [N], options=SETTINGS)
    assert kept_in(without, N)[0] == 0


def test_a_river_model_keeps_its_sums_and_a_committee_forgets_its_evidence(tmp_path):
    sums = {**OPTIONS, "retention": {"days": DAYS}}
    logistic = played(tmp_path / "logistic", [HALF, N], options=sums)
    assert min(kept_in(logistic, N, names=("id",))) > OLDEST
    committee = {**sums, "model": {"name": "committee"}, "learn": {"versions_kept": 2}}
    evidence = played(tmp_path / "committee", [HALF, N], options=committee)
    assert min(kept_in(evidence, N, names=("id",))) > OLDEST


def test_examples_may_stay_longer(tmp_path):
    longer = {**OPTIONS, "retention": {"days": DAYS, "examples_days": 3, "unlearns": True}}
    kept = kept_in(played(tmp_path, [90, 170], options=longer), 170, names=("text",))
    assert 169 - 3 * 48 < min(kept) <= 169 - KEPT_N


def test_what_follows_is_the_same_at_any_batching(tmp_path):
    def outputs(stops):
        stream = Stream(tmp_path / str(len(stops)))
        stream.folder.mkdir()
        for start, stop in zip([0, *stops[:-1]], stops, strict=True):
            write_events(stream, start, stop)
            run_files(stream.places, parse(OPTIONS))
        return stream.written()

    whole = outputs([N])
    assert whole == outputs([1, 60, 99, 100, N])
    assert min(kept_in(Stream(tmp_path / "1"), N)) > OLDEST


@pytest.mark.parametrize("step", ["begin_anew", "erase_requests", "wipe_where", "wipe_stretches"])
@pytest.mark.default_n(2)
def test_killed_at_any_step_it_is_done_by_the_next_start(half, whole, place, monkeypatch, step):
    def killed(*given, **named):
        raise KeyboardInterrupt

    stream = copy_of(half, place)
    write_events(stream, HALF, N)
    with monkeypatch.context() as patched:
        owner = Journal if step == "begin_anew" else erasing
        patched.setattr(owner, step, killed)
        with pytest.raises(KeyboardInterrupt):
            run(stream)
    run(stream)
    assert min(kept_in(stream, N)) > OLDEST
    assert stream.requests() == whole.requests()
    assert cli.main(["replay", str(stream.places.state)]) == 0


def test_switched_on_it_begins_with_what_is_there(tmp_path):
    stream = played(tmp_path, [N], options={**OPTIONS, "retention": {}})
    notes = []
    run(stream, on_note=notes.append)
    assert any(note.startswith("forgotten by its age") for note in notes)
    assert min(kept_in(stream, N)) > OLDEST
    # Off again it forgets nothing more; and on once more in the same step there is nothing to do.
    told_n = len(lines_of(stream.places.state / "erased.jsonl"))
    run(stream, options={**OPTIONS, "retention": {}})
    run(stream)
    assert len(lines_of(stream.places.state / "erased.jsonl")) == told_n


def test_a_quiet_stream_forgets_by_the_clock_of_the_day(stream):
    stop, wall = threading.Event(), [START_AT + HOUR * N / 2]

    def on_turn(runner):
        # Faster than the day goes, and never a day ahead of what is due.
        wall[0] = min(wall[0] + HOUR, runner.engine.now + 12 * HOUR)
        if runner.engine.now > START_AT + HOUR * (N / 2 + 60):
            stop.set()

    options = {**OPTIONS, "run": {"tick_s": 0.001}}
    run(stream, options=options, follow=True, stop=stop, on_turn=on_turn, clock=lambda: wall[0])
    assert kept_in(stream, N) == []


def test_desks_forget_it_and_one_that_is_busy_later(tmp_path):
    stream = played(tmp_path, [60])
    folder = stream.places.state / "bridges" / "desk"
    end = FolderEnd(stream.places.requests, stream.places.answers)
    records, _ = end.read("", 10_000)
    end.close()
    store = DeskStore(folder / "desk.sqlite", lease_s=60.0)
    store.take_deliveries([Delivery(request_id=one.request_id, request=one) for one in records])
    store.close()
    asked = kept_in(stream, 60)
    assert asked[0] < 30
    erasing_busy = pytest.MonkeyPatch()
    with erasing_busy.context() as patched:
        patched.setattr("headrace.bridges.erasing.BUSY_S", 0.01)
        with sqlite3.connect(folder / "desk.sqlite") as held:
            held.execute("BEGIN IMMEDIATE")
            write_events(stream, 60, 110)
            run(stream)
            held.rollback()
    held.close()
    assert any("desk/desk.sqlite" in one["busy"] for one in lines_of(_erased(stream)))
    write_events(stream, 110, N)
    run(stream)
    assert min(kept_in(stream, N)) > OLDEST


def _erased(stream):
    return stream.places.state / "erased.jsonl"


def test_a_copy_of_a_pipe_and_lines_that_are_no_events(tmp_path):
    stream = Stream(tmp_path)
    lines = [json.dumps(event(i)) for i in range(N)]
    lines.insert(5, '{"id": "canary0005id", "by": "canary0005text", ')
    table = tmp_path / "events.csv"
    rows = ["id,at,x,note"]
    rows += [f"canary{i:04}id,{START_AT + HOUR / 2 * i},{i % 7},canary{i:04}text" for i in range(N)]
    table.write_text("\n".join(rows) + "\n")
    stream.places.events.write_text("\n".join(lines) + "\n")
    run(stream)
    assert min(kept_in(stream, N)) > OLDEST
    other = Stream(tmp_path / "table")
    other.folder.mkdir()
    places = replace(other.places, events=table, answers=None)
    run_files(places, parse(OPTIONS))
    assert min(kept_in(other, N)) > OLDEST
    run_files(places, parse(OPTIONS))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"retention": {"days": 1}}, "requests would be withdrawn before they end"),
        ({"retention": {"days": 2}, "observe": {"window_s": 3 * DAY}}, "lower observe.window_s"),
        ({"retention": {"unlearns": True}}, "no example is forgotten by its age"),
        ({"retention": {"days": 2}, "model": {"name": "knn"}}, "keeps the examples "),
        ({"retention": {"days": 0}}, "retention.days is 0"),
    ],
)
def test_contradictions_are_named(options, told):
    with pytest.raises(BadSettings, match=told):
        parse(options)
