"""The audit log of a run: what is in it, that no kill shows in it, that changes are found."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.runs import SETTINGS, TOML, Stream, child, lines_of
from headrace import cli
from headrace.adapters.chain import HashChain, files_of, read_entries
from headrace.drivers.audit.entries import _COPIED
from headrace.drivers.audit.run import DecidedLog
from headrace.drivers.audit.verify import verify_log
from headrace.drivers.files.folder import RunFolder
from headrace.drivers.files.orders import place_order
from headrace.messages import Output, QuestionChanged, RoundOrdered
from headrace.settings import parse

KEPT = {**SETTINGS, "audit": {"is_kept": True, "file_bytes_max": 60_000}}


def run(stream: Stream, **options):
    return stream.run(settings=parse(KEPT), **options)


def filled(folder: Path) -> Stream:
    stream = Stream(folder)
    for start in range(0, 900, 300):
        stream.write_events(start, start + 300, bad={7})
        run(stream)
        stream.answer()
    place_order(stream.places.state, RoundOrdered(at=1.0, labels_n=2, key="k1", by="olga"))
    run(stream)
    return stream


@pytest.fixture(scope="module")
def past(tmp_path_factory) -> Stream:
    """A run with answers and an order, and its log."""
    return filled(tmp_path_factory.mktemp("past"))


@pytest.fixture
def copied(past: Stream, tmp_path: Path) -> Iterator[Stream]:
    """The same, to be changed: a journal names files by their paths, so it stands where it was."""
    shutil.copytree(past.folder, tmp_path / "kept")
    yield past
    shutil.rmtree(past.folder)
    shutil.copytree(tmp_path / "kept", past.folder)


def decided(stream: Stream) -> bytes:
    return b"".join(
        path.read_bytes() for path in files_of(stream.places.state / "audit", "decided")
    )


def entries(stream: Stream, what: str) -> list[dict]:
    found = read_entries(stream.places.state / "audit", "decided")
    return [entry for entry in found if entry["what"] == what]


def acts(stream: Stream, what: str) -> list[dict]:
    return [
        entry
        for entry in read_entries(stream.places.state / "audit", "acts")
        if entry["what"] == what
    ]


# ---------------------------------------------------------------------------- what is in it


def test_it_says_who_asked_who_answered_and_who_moved_the_model(past: Stream) -> None:
    asked = entries(past, "asked")
    requests = past.requests()
    assert [one["request_id"] for one in asked] == [one["request_id"] for one in requests]
    for entry, request in zip(asked, requests, strict=True):
        for name in ("reason", "strategy", "round_n", "model_version"):
            assert entry[name] == request[name]
        assert entry["propensity"] == request["propensity"]
    answered = entries(past, "answered")
    assert [(one["annotator"], one["file"]) for one in answered] == [
        ("eva", "answers.jsonl") for _ in lines_of(past.places.answers)
    ]
    settled = entries(past, "settled")
    assert len(settled) == len(past.decisions("LabelSettled")) > 100
    assert {one["consensus"] for one in settled} == {"majority"}
    assert len(entries(past, "retraining_opened")) == len(past.decisions("RetrainRequested")) > 0
    assert len(entries(past, "retraining_ended")) == len(entries(past, "retraining_opened"))
    tried_n = len(entries(past, "challenger_adopted")) + len(entries(past, "challenger_rejected"))
    assert tried_n == len(entries(past, "retraining_ended"))
    [order] = entries(past, "round_ordered")
    assert (order["by"], order["key"], order["labels_n"]) == ("olga", "k1", 2)
    assert "k1" in [one["order_key"] for one in entries(past, "round_opened")]


def test_it_holds_no_feature_and_no_id_of_an_event(past: Stream) -> None:
    requests = past.requests()
    log = b"".join(path.read_bytes() for path in (past.places.state / "audit").glob("*.jsonl"))
    for request in requests:
        assert json.dumps(request["event_id"]).encode() not in log
        for value in request["features"].values():
            assert repr(value).encode() not in log
    assert b'"features"' not in log
    assert b'"raw"' not in log


def test_starts_ends_snapshots_and_changed_settings_are_acts(copied: Stream) -> None:
    before_n = len(acts(copied, "started"))
    changed = {**KEPT, "run": {"snapshot_every_n": 400}}
    copied.run(settings=parse(changed))
    *_, started = acts(copied, "started")
    assert len(acts(copied, "started")) == before_n + 1
    assert started["changed"] == ["run.snapshot_every_n"]
    assert started["restored"]["snapshot"].startswith("snapshot-")
    snapshots = acts(copied, "snapshot")
    assert started["restored"] == {name: snapshots[-1][name] for name in ("sha256", "snapshot")}
    *_, stopped = acts(copied, "stopped")
    assert stopped["decided_n"] == len(list(read_entries(copied.places.state / "audit", "decided")))
    copied.run(settings=parse(changed))
    assert acts(copied, "started")[-1]["changed"] == []


def test_a_log_that_is_begun_late_catches_up(copied: Stream) -> None:
    before = decided(copied)
    shutil.rmtree(copied.places.state / "audit")
    run(copied)
    assert decided(copied) == before


def test_without_the_setting_there_is_no_log(tmp_path: Path) -> None:
    stream = Stream(tmp_path)
    stream.write_events(0, 50)
    stream.run()
    assert not (stream.places.state / "audit").exists()
    assert cli.main(["audit", "verify", str(stream.places.state)]) == 2


def test_every_output_has_an_entry() -> None:
    # A question that changed is a request, or the end of one, to whom it is told.
    assert set(get_args(Output)) - {QuestionChanged} <= set(_COPIED)
    for kind, (_, names) in _COPIED.items():
        assert set(names.split()) <= {field.name for field in msgspec.structs.fields(kind)}


# --------------------------------------------------------------------------------- kills


def test_the_same_inputs_give_the_same_chain_whatever_is_killed(past, tmp_path: Path) -> None:
    luck = random.Random(7)
    whole, killed = Stream(tmp_path / "whole"), Stream(tmp_path / "killed")
    for stream in (whole, killed):
        stream.folder.mkdir()
        stream.places.events.write_bytes(past.places.events.read_bytes())
        stream.places.answers.write_bytes(past.places.answers.read_bytes())
    run(whole)
    argv = killed.argv
    (killed.folder / "settings.toml").write_text(
        f"{TOML}[audit]\nis_kept = true\nfile_bytes_max = 60000\n"
    )
    state, size = killed.places.state, (whole.places.state / "journal").stat().st_size
    for i in range(4):
        child_process = child(argv, tmp_path / "out.txt")
        until = time.monotonic() + 60
        while time.monotonic() < until and child_process.is_alive():
            if (state / "journal").exists() and (
                (state / "journal").stat().st_size > size * (i + 1) / 6
            ):
                break
            time.sleep(0.005)
        child_process.kill()
        child_process.join()
        if files := files_of(state / "audit", "decided"):
            # A kill within a write leaves part of it.
            os.truncate(files[-1], max(0, files[-1].stat().st_size - luck.randint(0, 3_000)))
            _tear_nothing_that_others_fixed(killed)
    process = child(argv, tmp_path / "out.txt")
    process.join()
    assert process.exitcode == 0, (tmp_path / "out.txt").read_text()
    assert decided(killed) == decided(whole)
    assert verify_log(state).faults == []


def _tear_nothing_that_others_fixed(stream: Stream) -> None:
    """A loss of power takes what was not synced: acts that name more of the chain go with it."""
    for path in files_of(stream.places.state / "audit", "acts"):
        path.unlink()


@given(st.data())
@settings(max_examples=12, deadline=None)
def test_cut_anywhere_it_goes_on_to_the_same_bytes(past, tmp_path_factory, data) -> None:
    folder = tmp_path_factory.mktemp("cut") / "run"
    shutil.copytree(past.folder, folder)
    stream = Stream(folder)
    files = files_of(stream.places.state / "audit", "decided")
    kept_n = data.draw(st.integers(0, len(files) - 1), label="files")
    for path in files[kept_n + 1 :]:
        path.unlink()
    size = data.draw(st.integers(0, files[kept_n].stat().st_size), label="bytes")
    os.truncate(files[kept_n], size)
    state = stream.places.state
    with (
        closing(RunFolder(state, parse(KEPT))) as opened,
        closing(DecidedLog(state, opened.journal, opened.settings)) as log,
    ):
        log.follow_records()
    assert decided(stream) == decided(past)


def test_records_that_a_loss_of_power_took_are_told(copied: Stream) -> None:
    state = copied.places.state
    with closing(RunFolder(state)) as folder:
        ends = [end for _, end in folder.journal.read_records()]
    shutil.rmtree(state / "snapshots")
    os.truncate(state / "journal", ends[-5])
    run(copied)
    [lost] = entries(copied, "records_lost")
    assert lost["record"][1] == -1
    run(copied)
    assert len(entries(copied, "records_lost")) == 1
    # What the acts named is still in the chain, and what the records say is compared.
    assert verify_log(state).faults == []


def test_after_an_erasure_the_chain_holds_and_says_who_ordered_it(copied: Stream) -> None:
    before = decided(copied)
    event_id = copied.requests()[3]["event_id"]
    (copied.folder / "ids.txt").write_text(event_id)
    state = copied.places.state
    argv = ["erase", "--state", str(state), "--ids", str(copied.folder / "ids.txt")]
    # The inputs are files of others, and still name the event.
    assert cli.main(argv) == 1
    assert decided(copied).startswith(before)
    [ordered] = acts(copied, "erasure_ordered")
    [erased] = entries(copied, "erased")
    assert (erased["key"], bool(ordered["user"])) == (ordered["key"], True)
    assert verify_log(state).faults == []
    run(copied)
    assert verify_log(state).faults == []
    copied.write_events(2_000, 2_100)
    run(copied)
    assert entries(copied, "records_lost") == []
    assert verify_log(state).faults == []


# -------------------------------------------------------------------------------- verifying


def test_a_whole_log_agrees_with_the_records(past: Stream) -> None:
    found = verify_log(past.places.state)
    assert (found.faults, found.notes) == ([], [])
    assert len(found.compared) == 2
    parts = found.summary.counts_by_part()
    assert sum(n for name, n in parts["asked"].items() if " by " in name and "ordered" not in name)
    assert parts["answered"]["eva"] == len(lines_of(past.places.answers))
    assert parts["asked"]["round ordered by olga"] == 1
    assert parts["moved the model"]["labels"] == len(past.decisions("LabelSettled"))


def rewritten(stream: Stream, change) -> None:
    """The log as one would forge it who can write everything in its folder: whole by itself."""
    folder = stream.places.state / "audit"
    own = ("n", "prev")
    kept = [{k: v for k, v in e.items() if k not in own} for e in read_entries(folder, "decided")]
    for path in [*files_of(folder, "decided"), *files_of(folder, "acts")]:
        path.unlink()
    first, *others = kept
    with closing(HashChain(folder, "decided", first=first)) as chain:
        chain.append(change(others))


@given(st.data())
@settings(max_examples=12, deadline=None)
def test_a_chain_written_anew_is_found_by_the_records(past, tmp_path_factory, data) -> None:
    folder = tmp_path_factory.mktemp("forged") / "run"
    shutil.copytree(past.folder, folder)
    stream = Stream(folder)

    def change(found: list[dict]) -> list[dict]:
        i = data.draw(st.integers(0, len(found) - 1), label="entry")
        match data.draw(st.sampled_from(["leave out", "edit", "put in", "swap", "append"])):
            case "leave out":
                del found[i]
            case "edit":
                found[i] = found[i] | {"at": found[i]["at"] + 1.0}
            case "put in":
                found.insert(i, found[i])
            case "swap":
                j = data.draw(st.integers(0, len(found) - 1).filter(lambda j: j != i))
                found[i], found[j] = found[j], found[i]
            case "append":
                number, k = found[-1]["record"]
                found.append(found[i] | {"record": [number, k + 1]})
        return found

    rewritten(stream, change)
    assert not verify_log(stream.places.state).is_whole


def test_who_forges_the_records_as_well_is_found_by_the_requests(copied: Stream) -> None:
    requests = copied.places.requests
    lines = requests.read_bytes().splitlines(keepends=True)
    requests.write_bytes(b"".join(lines[:-1]))
    [fault] = verify_log(copied.places.state).faults
    assert "ends in its place" in fault
    requests.write_bytes(b"".join([*lines, lines[0]]))
    [fault] = verify_log(copied.places.state).faults
    assert fault.endswith("1 requests more than the log")


def test_a_cut_end_is_found_by_the_acts_and_by_the_records(copied: Stream) -> None:
    folder = copied.places.state / "audit"
    path = files_of(folder, "decided")[-1]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    [fault] = verify_log(copied.places.state).faults
    assert "it was cut" in fault
    for acts_path in files_of(folder, "acts"):
        acts_path.unlink()
    [fault] = verify_log(copied.places.state).faults
    assert "2 entries are missing" in fault
    # The next start writes what is missing.
    run(copied)
    assert verify_log(copied.places.state).faults == []


def test_a_chain_that_is_gone_is_missed_by_the_other(copied: Stream) -> None:
    for path in files_of(copied.places.state / "audit", "decided"):
        path.unlink()
    [fault] = verify_log(copied.places.state).faults
    assert fault.startswith("decided is gone, and acts-000001.jsonl")


def test_one_chain_written_anew_disagrees_with_the_other(copied: Stream, tmp_path: Path) -> None:
    folder = copied.places.state / "audit"
    kept = tmp_path / "acts"
    kept.mkdir()
    for path in files_of(folder, "acts"):
        shutil.copy(path, kept)
    rewritten(copied, lambda found: [found[0] | {"reason": "forged"}, *found[1:]])
    for path in kept.iterdir():
        shutil.copy(path, folder)
    assert any("written anew" in fault for fault in verify_log(copied.places.state).faults)


def test_a_run_whose_inputs_are_gone_is_verified_by_the_chain_alone(copied: Stream) -> None:
    copied.places.answers.unlink()
    found = verify_log(copied.places.state)
    assert found.is_whole
    assert found.compared == []
    assert "not compared with the records of the run" in found.notes[0]


# ----------------------------------------------------------------------------- the command


def test_the_command_tells_a_person_and_a_program(copied: Stream, capsys) -> None:
    state = str(copied.places.state)
    assert cli.main(["audit", "head", state]) == 0
    heads = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _, _ in heads] == ["acts", "decided"]
    kept = [word for _, _, head in heads for word in ("--head", head)]
    run(copied)
    assert cli.main(["audit", "verify", state, *kept]) == 0
    told = capsys.readouterr().out
    assert "answered\teva\t" in told
    assert "whole: every entry follows" in told
    assert cli.main(["audit", "verify", state, "--json", *kept]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["is_whole"]
    assert found["asked"]["round ordered by olga"] == 1
    path = files_of(copied.places.state / "audit", "decided")[0]
    assert cli.main(["audit", "verify", str(path)]) == 0
    capsys.readouterr()
    assert cli.main(["audit", "verify", state, "--head", "0" * 63 + "1"]) == 1
    assert "BROKEN: no entry has the hash" in capsys.readouterr().out
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"control"', b'"drift"', 1))
    assert cli.main(["audit", "verify", state, *kept]) == 1
    assert "BROKEN: decided, entry" in capsys.readouterr().out
    assert cli.main(["audit", "head", state]) == 2


@pytest.mark.parametrize("head", ["", "xyz", "g" * 64, "0" * 65])
def test_a_head_that_is_none_is_refused(past: Stream, capsys, head: str) -> None:
    assert cli.main(["audit", "verify", str(past.places.state), "--head", head]) == 2
    assert "--head" in capsys.readouterr().err


def test_a_log_may_be_verified_while_the_run_goes_on(copied: Stream) -> None:
    state = copied.places.state
    with closing(RunFolder(state, parse(KEPT))):
        path = files_of(state / "audit", "decided")[-1]
        for acts_path in files_of(state / "audit", "acts"):
            acts_path.unlink()
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:-2]))
        found = verify_log(state)
    assert found.is_whole
    assert found.notes == ["the run goes on, and is 2 entries ahead of its log"]
