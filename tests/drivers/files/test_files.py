"""Nothing is asked twice and no answer is lost, however a run is cut up, killed or read."""

import dataclasses
import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from commands.runs import (
    SETTINGS,
    START_AT,
    Kept,
    Stream,
    accidents,
    answer_to,
    child,
    copy_of,
    event,
    lines_of,
)
from headrace.adapters import jsonl
from headrace.adapters.journal import Journal
from headrace.adapters.snapshots.store import SnapshotStore
from headrace.commands.replay import replay_run
from headrace.drivers import refits
from headrace.drivers.files import run as files
from headrace.drivers.files import waiting
from headrace.drivers.files.folder import RunFolder
from headrace.drivers.files.places import RunFiles
from headrace.errors import BadInput, BadSettings, BrokenInvariant
from headrace.report import SnapshotsReport
from headrace.settings import parse
from marks import long_ones
from reports import replace_numbers


def told(report):
    """What a report says but for the snapshots, which are dated by the clock of the day."""
    return replace_numbers(report, {"worker.snapshots": SnapshotsReport()})


@pytest.fixture
def stream(tmp_path):
    return Stream(tmp_path)


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    """A stream with the answers to all requests of a run in which they came in time."""
    stream = Stream(tmp_path_factory.mktemp("past"))
    for start in range(0, 600, 100):
        stream.write_events(start, start + 100, bad={7, 100, 511, 512})
        stream.run()
        stream.answer()
    stream.run()
    return stream


@pytest.fixture(scope="module")
def reported(past, tmp_path_factory):
    """A run of all of it, which each test has anew as it stood at its end, and its report."""
    stream = copy_of(past, tmp_path_factory.mktemp("whole") / "run")
    report = stream.run()
    return Kept(stream), report


@pytest.fixture
def whole(reported):
    return reported[0].put_back()


def test_a_run_asks_and_a_second_one_learns_from_the_answers(stream):
    stream.write_events(0, 400)
    first = stream.run()
    assert first.asking.requests_n == len(stream.requests()) > 20
    assert first.labels.settled_n == 0
    stream.answer()
    stream.write_events(400, 500)
    second = stream.run()
    assert second.events.observed_n == 500
    assert second.model.learned_n >= first.asking.requests_n
    assert second.asking.requests_n == len(stream.requests()) > first.asking.requests_n
    assert second.retraining.ordered_n > 0
    assert not second.retraining.is_open


def test_a_run_with_nothing_new_changes_nothing(stream):
    stream.write_events(0, 300)
    stream.run()
    stream.answer()
    first = stream.run()
    written = stream.written()
    journal = (stream.places.state / "journal").read_bytes()
    assert told(stream.run()) == told(first)
    assert stream.written() == written
    assert (stream.places.state / "journal").read_bytes() == journal


def test_each_answer_is_fed_just_before_the_first_event_at_or_after_it(stream, tmp_path):
    stream.write_events(0, 300)
    stream.run()
    # Longer than the pieces in which answers without a request are looked at again.
    stream.answer(delay_s=395.0)
    at = {line["request_id"]: line["at"] for line in lines_of(stream.places.answers)}
    again = copy_of(stream, tmp_path / "again")
    again.run()
    last_at = START_AT + 10 * 299
    settled = [label for label in again.decisions("LabelSettled") if label["at"] < last_at]
    assert len(settled) > 10
    # The engine's clock stood at the event before.
    assert {round(at[label["request_id"]] - label["at"], 6) for label in settled} == {5.0}


@pytest.mark.parametrize("chunk_bytes", [37, 4096])
def test_how_the_files_are_read_makes_no_difference(
    past, whole, tmp_path, monkeypatch, chunk_bytes
):
    defaults = jsonl.Tail.__init__.__kwdefaults__ | {"chunk_bytes": chunk_bytes}
    monkeypatch.setattr(jsonl.Tail.__init__, "__kwdefaults__", defaults)
    pieces = copy_of(past, tmp_path / "pieces")
    pieces.run()
    assert pieces.written() == whole.written()
    assert len(whole.requests()) > 100
    assert len(whole.decisions("LabelSettled")) > 50


def test_an_answer_waits_until_its_request_is_asked(whole, reported):
    assert reported[1].labels.settled_n > 50
    known = {request["request_id"] for request in whole.requests()}
    unknown = [
        r
        for r in lines_of(whole.places.state / "rejects.jsonl")
        if r["reason"] == "unknown_request"
    ]
    assert not {rejected["input_id"] for rejected in unknown} & known
    assert len(unknown) + len(known) >= len(lines_of(whole.places.answers))


def test_an_answer_that_never_finds_its_request_is_rejected_at_the_end(stream):
    stream.write_events(0, 100)
    stream.places.answers.write_text(
        '{"request_id": "none", "label": "yes"}\n\n{"request_id": "other", "label": "no"}\n'
    )
    stream.run()
    rejects = lines_of(stream.places.state / "rejects.jsonl")
    assert [(r["input_id"], r["reason"], r["position"]) for r in rejects] == [
        ("none", "unknown_request", 0),
        ("other", "unknown_request", 40),
    ]
    assert stream.run().answers.rejected_n == 2
    assert len(lines_of(stream.places.state / "rejects.jsonl")) == 2


def test_when_too_many_answers_wait_the_oldest_without_a_request_goes(stream, monkeypatch):
    monkeypatch.setattr(waiting, "WAITING_MAX", 5)
    stream.write_events(0, 300)
    with stream.places.answers.open("w") as file:
        for i in range(20):
            file.write(json.dumps({"request_id": f"r{i}", "label": "yes"}) + "\n")
    stream.run()
    rejects = lines_of(stream.places.state / "rejects.jsonl")
    assert [r["input_id"] for r in rejects] == [f"r{i}" for i in range(20)]


def test_rejects_say_where_they_came_from(stream):
    stream.write_events(0, 3)
    with stream.places.events.open("a") as file:
        file.write("[1]\n" + json.dumps(event(1)) + "\n" + json.dumps(event(3)))
    stream.places.answers.write_text("what?\n")
    report = stream.run()
    lines = stream.places.events.read_bytes().split(b"\n")
    starts = [sum(len(line) + 1 for line in lines[:i]) for i in range(len(lines))]
    rejects = lines_of(stream.places.state / "rejects.jsonl")
    found = [(r["reason"], r["position"], r["raw"]) for r in rejects]
    assert ("not_an_object", starts[3], "[1]") in found
    assert ("duplicate_id", starts[4], lines[4].decode()) in found
    assert ("not_json", 0, "what?") in found
    assert {r["source"] for r in rejects} == {str(stream.places.events), str(stream.places.answers)}
    assert report.events.observed_n == 4
    assert report.events.rejected_n == {"not_an_object": 1, "duplicate_id": 1, "not_json": 1}
    assert stream.run().events.rejected_n == report.events.rejected_n


def test_a_pipe_gives_the_same_as_a_file(past, tmp_path, monkeypatch):
    stream = copy_of(past, tmp_path / "piped")
    reader, writer = os.pipe()
    content = stream.places.events.read_bytes()
    feeding = threading.Thread(target=_pour, args=(writer, content))
    feeding.start()
    with os.fdopen(reader, "rb") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        places = RunFiles(
            events=None, answers=None, requests=stream.places.requests, state=stream.places.state
        )
        report = files.run_files(places, parse(SETTINGS))
    feeding.join()
    assert (stream.places.state / "stdin.jsonl").read_bytes() == content
    plain = copy_of(past, tmp_path / "plain")
    plain.places.answers.unlink()
    assert plain.run().events.observed_n == report.events.observed_n
    assert plain.written()[0] == stream.written()[0]
    assert replay_run(stream.places.state).difference == ""


def _pour(writer, content):
    with os.fdopen(writer, "wb") as file:
        for start in range(0, len(content), 5000):
            file.write(content[start : start + 5000])
            file.flush()


# ---------------------------------------------------------------------------------- being killed


def test_killed_at_any_instant_it_goes_on_as_if_nothing_had_happened(past, whole, tmp_path):
    luck = random.Random(11)
    size = (whole.places.state / "journal").stat().st_size
    killed = copy_of(past, tmp_path / "killed")
    journal = killed.places.state / "journal"
    cut_n = 0
    for _ in range(6):
        # As random as the machine: the journal has grown by so much, and some milliseconds more.
        before = journal.stat().st_size if journal.exists() else 0
        grown = min(before + luck.uniform(0, size / 8), size - 1)
        process = child(killed.argv, tmp_path / "killed.txt")
        _wait_for(
            lambda grown=grown: journal.exists() and journal.stat().st_size > grown,
            tmp_path / "killed.txt",
        )
        time.sleep(luck.uniform(0, 0.01))
        process.kill()
        process.join()
        cut_n += killed.written()[1] != whole.written()[1]
        _tear_the_ends(killed, luck)
    # On a slow machine the last kills may come when all is done, the first ones hardly.
    assert cut_n >= 2
    process = child(killed.argv, tmp_path / "killed.txt")
    process.join()
    assert process.exitcode == 0, (tmp_path / "killed.txt").read_text()
    assert killed.written() == whole.written()
    ids = [request["request_id"] for request in killed.requests()]
    assert len(ids) == len(set(ids)) > 100
    assert replay_run(killed.places.state).difference == ""


def _tear_the_ends(stream, luck):
    """A kill within a write leaves part of it; a test can't wait for that, so it cuts by itself."""
    for path in (stream.places.requests, stream.places.state / "decisions.jsonl"):
        kept = _snapshot_sizes(stream).get(path.stem, 0) if path.exists() else 0
        if path.exists() and path.stat().st_size > kept:
            cut = luck.randint(max(kept, path.stat().st_size - 300), path.stat().st_size)
            os.truncate(path, cut)


def _snapshot_sizes(stream):
    with closing(RunFolder(stream.places.state)) as folder:
        place = stream.places.state / "snapshots"
        snapshot = SnapshotStore(place, stream=folder.settings.stream, kept_n=2).read_latest()
    return {} if snapshot is None else snapshot.positions


def test_following_and_killed_while_people_answer_no_answer_is_lost(stream, tmp_path):
    luck = random.Random(4)
    output = tmp_path / "output.txt"
    stream.write_events(0, 200)
    argv = [*stream.argv, "--follow"]
    process = child(argv, output)
    answered, written_n = set(), 200
    for turn in range(18):
        with stream.places.answers.open("a") as file:
            for request in stream.requests():
                if request["request_id"] not in answered:
                    answered.add(request["request_id"])
                    file.write(json.dumps(answer_to(request)) + "\n")
        fed = _fed_of_events(stream)
        stream.write_events(written_n, written_n + 30)
        written_n += 30
        _wait_for(lambda fed=fed: _fed_of_events(stream) > fed, output)
        time.sleep(luck.uniform(0, 0.02))
        if turn % 3 == 2:
            process.kill()
            process.join()
            process = child(argv, output)
    stream.write_events(written_n, written_n + 30)
    written_n += 30
    size = stream.places.events.stat().st_size
    _wait_for(lambda: _fed_of_events(stream) == size, output)
    _wait_for(lambda: len(stream.decisions("LabelSettled")) >= len(answered), output)
    os.kill(process.pid, signal.SIGTERM)
    process.join()
    assert process.exitcode == 0, output.read_text()
    ids = [request["request_id"] for request in stream.requests()]
    assert len(ids) == len(set(ids))
    settled = [line["request_id"] for line in stream.decisions("LabelSettled")]
    assert len(settled) == len(set(settled))
    assert answered <= set(settled)
    assert lines_of(stream.places.state / "rejects.jsonl") == []
    assert replay_run(stream.places.state).difference == ""
    report = stream.run()
    assert report.events.observed_n == written_n
    assert report.model.learned_n >= len(answered) > 50


def _fed_of_events(stream):
    path = stream.places.state / "journal"
    if not path.exists() or not path.stat().st_size:
        return 0
    with closing(Journal(path, is_read_only=True)) as journal:
        return journal.fed[0].first_gap if 0 in journal.fed else 0


def _wait_for(is_there, output=None):
    until = time.monotonic() + 120.0
    while not is_there():
        assert time.monotonic() < until, output and output.read_text()
        time.sleep(0.02)


def test_without_any_snapshot_the_journal_is_fed_again(whole, reported):
    stream, written, report = whole, whole.written(), reported[1]
    for path in (stream.places.state / "snapshots").glob("*.hr"):
        path.write_bytes(b"damaged")
    notes = []
    again = stream.run(on_note=notes.append)
    assert "passed over" in notes[0]
    assert stream.written() == written
    assert told(again) == told(report)
    assert (report.worker.snapshots.refused_n, again.worker.snapshots.refused_n) == (0, 2)


def test_a_torn_end_of_the_journal_was_never_fed(whole):
    torn, written = whole, whole.written()
    state = torn.places.state
    for path in (state / "snapshots").glob("*.hr"):
        path.unlink()
    journal = state / "journal"
    os.truncate(journal, journal.stat().st_size * 2 // 3)
    # What follows from the torn record was never written, nor what came after it.
    for path in (torn.places.requests, state / "decisions.jsonl", state / "rejects.jsonl"):
        os.truncate(path, path.stat().st_size // 3)
    torn.run()
    assert torn.written() == written


# -------------------------------------------------------------------------------- being refused


def test_changed_settings_are_refused_with_what_differs(stream):
    stream.write_events(0, 50)
    stream.run()
    changed = {**SETTINGS, "seed": 6, "label": {"deadline_s": 5.0}}
    with pytest.raises(BadSettings) as caught:
        stream.run(settings=parse(changed))
    assert [fault.split(",")[0] for fault in caught.value.faults] == [
        "seed is 6",
        "label.deadline_s is 5.0",
    ]
    assert "was begun with 5; start with another --state" in caught.value.faults[0]


def test_settings_of_the_shell_may_change(stream):
    stream.write_events(0, 50)
    stream.run()
    assert stream.run(settings=parse({**SETTINGS, "run": {"tick_s": 9.0}})).events.observed_n == 50


def test_a_second_process_is_refused(stream):
    stream.write_events(0, 50)
    held = closing(RunFolder(stream.places.state, parse(SETTINGS)))
    with held, pytest.raises(BadSettings, match="in use by another process"):
        stream.run()
    assert stream.run().events.observed_n == 50


def test_no_events_are_told_with_a_sentence(stream):
    with pytest.raises(BadInput, match=r"events\.jsonl is not there"):
        stream.run()


@pytest.mark.parametrize("roles", [("events", "answers"), ("events", "requests")])
def test_one_file_in_two_roles_is_refused(stream, roles):
    stream.write_events(0, 10)
    places = dataclasses.replace(stream.places, **dict.fromkeys(roles, stream.places.events))
    with pytest.raises(BadSettings, match="give each a file of its own"):
        files.run_files(places, parse({}))
    assert not places.state.exists()


def test_events_that_were_replaced_are_refused(stream):
    stream.write_events(0, 50)
    stream.run()
    stream.places.events.write_bytes(stream.places.events.read_bytes().replace(b"e4", b"f4"))
    with pytest.raises(BadInput, match="has changed"):
        stream.run()


def test_requests_that_somebody_cut_are_refused(stream):
    stream.write_events(0, 200)
    stream.run()
    os.truncate(stream.places.requests, 10)
    with pytest.raises(BadInput, match="has 10 bytes, and"):
        stream.run()


def test_a_file_of_requests_with_other_content_is_refused_and_left_alone(stream):
    stream.write_events(0, 200)
    stream.places.requests.write_text("mine\n")
    with pytest.raises(BadInput, match="knows nothing of"):
        stream.run()
    assert stream.places.requests.read_text() == "mine\n"


def test_requests_that_somebody_changed_break_the_run_before_anything_is_written(stream):
    stream.write_events(0, 200)
    stream.run()
    for path in (stream.places.state / "snapshots").glob("*.hr"):
        path.unlink()
    content = stream.places.requests.read_bytes().replace(b'"e', b'"f', 1)
    stream.places.requests.write_bytes(content)
    with pytest.raises(BrokenInvariant, match=r"requests\.jsonl differs at byte"):
        stream.run()
    assert stream.places.requests.read_bytes() == content


# ------------------------------------------------------------------------------------ following


class Following:
    """A run with --follow in a thread, on a clock of its own; it ends with its block."""

    def __init__(self, stream, now):
        self.stop, self.reports = threading.Event(), []
        options = {"follow": True, "stop": self.stop, "clock": lambda: now}
        run = {**SETTINGS, "run": {"tick_s": 0.05}}
        self.thread = threading.Thread(
            target=lambda: self.reports.append(stream.run(settings=parse(run), **options))
        )
        self.thread.start()

    def close(self):
        self.stop.set()
        self.thread.join()
        return self.reports[0]


def test_in_quiet_times_the_clock_of_the_day_lets_requests_expire(stream):
    with closing(Following(stream, START_AT + 86_400 + 1000)) as following:
        stream.write_events(0, 100)
        _wait_for(lambda: len(stream.requests()) > 3)
        _wait_for(lambda: len(stream.decisions("RequestExpired")) > 3)
        report = following.close()
    assert report.events.last_at == START_AT + 86_400 + 1000
    assert replay_run(stream.places.state).difference == ""


def test_of_a_stream_of_the_past_the_clock_of_the_day_says_nothing(stream):
    with closing(Following(stream, START_AT + 1e8)) as following:
        stream.write_events(0, 100)
        _wait_for(lambda: len(stream.requests()) > 3)
        time.sleep(0.3)
        report = following.close()
    assert report.labels.expired_n == 0
    assert report.events.last_at == START_AT + 990


def test_following_waits_for_the_end_of_a_line(stream):
    stream.write_events(0, 100)
    with stream.places.events.open("a") as file:
        file.write(json.dumps(event(100))[:20])
    with closing(Following(stream, START_AT)) as following:
        _wait_for(lambda: len(stream.requests()) > 3)
        with stream.places.events.open("a") as file:
            file.write(json.dumps(event(100))[20:] + "\n")
        _wait_for(lambda: _fed_of_events(stream) == stream.places.events.stat().st_size)
        report = following.close()
    assert report.events.observed_n == 101
    assert report.events.rejected_n == {}


def test_following_reads_a_whole_last_line_that_has_no_newline_yet(stream):
    """As editors leave it."""
    stream.write_events(0, 100)
    with closing(Following(stream, START_AT)) as following:
        _wait_for(lambda: len(stream.requests()) > 3)
        given = {"request_id": stream.requests()[0]["request_id"], "label": "a"}
        stream.places.answers.write_text(json.dumps(given))
        _wait_for(lambda: len(stream.decisions("LabelSettled")) == 1)
        with stream.places.events.open("a") as file:
            file.write(json.dumps(event(100)))
        _wait_for(lambda: _fed_of_events(stream) == stream.places.events.stat().st_size)
        with stream.places.events.open("a") as file:
            file.write("\n" + json.dumps(event(101)))
        _wait_for(lambda: _fed_of_events(stream) == stream.places.events.stat().st_size)
        report = following.close()
    assert (report.events.observed_n, report.events.rejected_n) == (102, {})
    assert replay_run(stream.places.state).difference == ""


@pytest.mark.parametrize("light_s", [0.0, 1e9])
def test_following_retrains_beside_the_loop_and_a_replay_agrees(
    past, tmp_path, monkeypatch, light_s
):
    """In a process that ends with the run, or in a thread."""
    monkeypatch.setattr(refits, "LIGHT_S", light_s)
    pids, start = [], subprocess.Popen

    def count_start(*arguments, **options):
        process = start(*arguments, **options)
        pids.append(process.pid)
        return process

    monkeypatch.setattr(refits.subprocess, "Popen", count_start)
    stream = copy_of(past, tmp_path / "new")
    with closing(Following(stream, START_AT)):
        _wait_for(lambda: stream.decisions("ModelKept") + stream.decisions("ModelAdopted"))
    assert len(pids) == (light_s == 0.0)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    monkeypatch.undo()
    assert replay_run(stream.places.state).difference == ""


# ------------------------------------------------------------------ accidents with the files


@pytest.mark.parametrize("cut_n", [1, *long_ones(2), 30])
@pytest.mark.parametrize("name", ["events", "answers"])
def test_a_last_line_cut_short_is_told_and_fed_when_it_is_whole(past, whole, tmp_path, name, cut_n):
    torn = copy_of(past, tmp_path / "torn")
    path = getattr(torn.places, name)
    content = path.read_bytes()
    path.write_bytes(content[: -1 - cut_n])
    notes = []
    torn.run(on_note=notes.append)
    (note,) = accidents(notes)
    assert str(path) in note and "left for the next start" in note
    path.write_bytes(content)
    notes.clear()
    torn.run(on_note=notes.append)
    assert accidents(notes) == []
    rejected = [len(run.decisions("InputRejected")) for run in (torn, whole)]
    assert rejected[0] == rejected[1] >= 4
    assert len(torn.decisions("LabelSettled")) == len(whole.decisions("LabelSettled"))
    assert replay_run(torn.places.state).difference == ""


def test_a_whole_last_line_needs_no_newline(past, reported, tmp_path):
    bare = copy_of(past, tmp_path / "bare")
    for path in (bare.places.events, bare.places.answers):
        path.write_bytes(path.read_bytes()[:-1])
    notes = []
    assert bare.run(on_note=notes.append).events.observed_n == 596
    assert reported[1].model.learned_n == bare.run().model.learned_n
    assert accidents(notes) == []


def test_told_to_stop_a_start_leaves_off_and_the_next_goes_on(past, tmp_path):
    whole = copy_of(past, tmp_path / "whole")
    whole.run(settings=parse(SETTINGS | {"run": {"snapshot_every_n": 10**9}}))
    written = whole.written()
    for snapshot in (whole.places.state / "snapshots").rglob("*.hr"):
        snapshot.unlink()
    stop, notes = threading.Event(), []
    stop.set()
    report = whole.run(stop=stop, on_note=notes.append)
    assert report.events.observed_n < 596
    assert any("the next one goes on from there" in note for note in notes)
    assert len(list((whole.places.state / "snapshots").rglob("*.hr"))) == 1
    assert whole.run().events.observed_n == 596
    assert whole.written() == written
    assert replay_run(whole.places.state).difference == ""


def test_a_full_disk_names_the_file(tmp_path):
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError) as error:
        jsonl.write_all(full, b"...", tmp_path / "requests.jsonl")
    assert error.value.errno == errno.ENOSPC
    assert error.value.filename == str(tmp_path / "requests.jsonl")


def test_an_archived_run_is_replayed_and_nothing_is_written(whole):
    state = whole.places.state
    (state / "lock").unlink()

    def held():
        return {path: path.stat().st_mtime_ns for path in (state, *state.rglob("*"))}

    before = held()
    assert replay_run(state).difference == ""
    assert held() == before
