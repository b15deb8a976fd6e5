"""A run is read from its folder as it was; what can't be told is said, and nothing is changed."""

import json
import os
import subprocess
from contextlib import closing
from itertools import pairwise

import pytest

from commands.runs import SETTINGS, Stream
from headrace.drivers.files.chronicle import SAMPLES_N, read_chronicle
from headrace.drivers.files.folder import RunFolder
from headrace.errors import BadInput
from headrace.pages.chronicle import SAMPLES_MAX
from headrace.settings import parse


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A run in three starts, with answers between them and one line that is no event."""
    stream = Stream(tmp_path_factory.mktemp("recorded"))
    stream.write_events(0, 300, bad={5})
    stream.run()
    stream.answer()
    stream.write_events(300, 600)
    report = stream.run()
    stream.answer()
    stream.write_events(600, 700)
    report = stream.run()
    return stream, report


@pytest.fixture
def stream(recorded, tmp_path):
    """A copy of its folder that may be changed; its inputs are still those of the original."""
    subprocess.run(["cp", "-r", f"{recorded[0].folder}/.", str(tmp_path)], check=True)
    return Stream(tmp_path)


@pytest.fixture(scope="module")
def chronicle(recorded):
    return read_chronicle(recorded[0].places.state)


def lines_n(stream, kind):
    return len(stream.decisions(kind))


def test_the_last_report_of_the_run_is_found_again(recorded, chronicle):
    report = recorded[1]
    assert chronicle.gaps == []
    assert chronicle.report.estimates.accuracy == report.estimates.accuracy
    assert chronicle.report.asking.by_reason == report.asking.by_reason
    assert chronicle.report.annotators.most_active == report.annotators.most_active
    # Lines that hold no event are known to the shell alone.
    assert chronicle.rejected_n == report.events.rejected_n == {"not_json": 1}


def test_the_counts_are_those_of_the_recorded_lines(recorded, chronicle):
    stream = recorded[0]
    counts = chronicle.counts
    assert counts.asked_n == lines_n(stream, "LabelRequested") > 50
    assert counts.settled_n == lines_n(stream, "LabelSettled") > 50


def test_there_are_about_as_many_samples_as_points_in_a_plot(chronicle):
    assert SAMPLES_N * 0.8 < len(chronicle.samples) <= SAMPLES_MAX
    events = [sample.events_n for sample in chronicle.samples]
    assert events == sorted(events) and events[-1] == 699
    steps = [after - before for before, after in pairwise(events)]
    assert max(steps) <= 2 * 699 / SAMPLES_N + 1


def test_nothing_in_the_folder_is_changed(stream):
    state = stream.places.state
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    read_chronicle(state)
    read_chronicle(state, is_replayed=False)
    assert {path: path.read_bytes() for path in state.rglob("*") if path.is_file()} == before


def test_a_run_that_goes_on_is_read_up_to_where_it_stands(stream):
    held = closing(RunFolder(stream.places.state, parse(SETTINGS)))
    with held:
        assert read_chronicle(stream.places.state).gaps == []


def test_a_torn_last_line_is_no_difference(stream):
    decisions = stream.places.state / "decisions.jsonl"
    os.truncate(decisions, decisions.stat().st_size - 30)
    assert read_chronicle(stream.places.state).gaps == []


def test_without_its_outputs_the_run_is_decided_again_and_not_compared(stream, chronicle):
    (stream.places.state / "decisions.jsonl").unlink()
    found = read_chronicle(stream.places.state)
    assert found.counts == chronicle.counts
    assert len(found.gaps) == 1 and "could not be compared" in found.gaps[0]


# --------------------------------------------------------------------------- without the inputs


@pytest.fixture
def lost(tmp_path):
    """A small run whose events are gone."""
    stream = Stream(tmp_path)
    stream.write_events(0, 300)
    stream.run()
    stream.answer()
    stream.write_events(300, 450)
    stream.run()
    stream.answer()
    stream.run()
    stream.places.events.rename(tmp_path / "moved")
    return stream


def test_without_its_inputs_the_outputs_and_the_snapshot_tell(lost):
    found = read_chronicle(lost.places.state)
    assert "can't be decided again" in found.gaps[0] and "events.jsonl" in found.gaps[0]
    assert "newest snapshot, after 450 events" in found.gaps[1]
    assert "Not known are" in found.gaps[1]
    assert found.counts.asked_n == lines_n(lost, "LabelRequested") > 0
    assert found.counts.settled_n == lines_n(lost, "LabelSettled") > 0
    assert found.report.events.observed_n == 450 and found.report.annotators.most_active
    assert all(sample.report is None for sample in found.samples)
    assert found.samples[-1].control.labels_n > 0


def test_without_a_snapshot_either_that_is_said(lost):
    for path in (lost.places.state / "snapshots").glob("snapshot-*"):
        path.unlink()
    found = read_chronicle(lost.places.state)
    assert found.gaps[1].startswith("There is no snapshot either.")
    assert found.report is None


def test_a_snapshot_that_is_not_ours_is_not_read(lost):
    for path in (lost.places.state / "snapshots").glob("snapshot-*.hr"):
        signed = path.read_bytes()
        path.write_bytes(signed[:-1] + bytes([signed[-1] ^ 1]))
    found = read_chronicle(lost.places.state)
    assert found.gaps[1].startswith("No snapshot can be read:")
    assert found.report is None


def test_lines_that_are_no_output_are_counted(lost):
    with (lost.places.state / "decisions.jsonl").open("a") as file:
        file.write('{"type":"Invented"}\n{"type":"LabelSet')
    assert any("2 lines of" in gap for gap in read_chronicle(lost.places.state).gaps)


def test_events_that_were_changed_are_told(lost):
    moved = lost.folder / "moved"
    lost.places.events.write_bytes(moved.read_bytes().replace(b"e400", b"f400"))
    assert "has changed" in read_chronicle(lost.places.state).gaps[0]


def test_events_that_were_cut_are_told_before_anything_is_fed(lost):
    moved = lost.folder / "moved"
    lost.places.events.write_bytes(moved.read_bytes()[:-10])
    seen = []
    found = read_chronicle(lost.places.state, on_progress=lambda done, of: seen.append(of))
    assert "bytes, and" in found.gaps[0] and "of it were fed" in found.gaps[0]
    assert set(seen) == {(lost.places.state / "decisions.jsonl").stat().st_size}


def test_who_wants_no_replay_gets_none(recorded):
    found = read_chronicle(recorded[0].places.state, is_replayed=False)
    assert "without a replay" in found.gaps[0]
    assert found.counts.asked_n == lines_n(recorded[0], "LabelRequested")


def test_other_decisions_than_recorded_are_told_and_the_recorded_ones_shown(stream):
    path = stream.places.state / "settings.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({**settings, "seed": 6}))
    found = read_chronicle(stream.places.state)
    assert "decides otherwise than was recorded, from line" in found.gaps[0]
    assert found.counts.asked_n == lines_n(stream, "LabelRequested")


def test_with_neither_inputs_nor_outputs_there_is_nothing_to_tell(lost):
    (lost.places.state / "decisions.jsonl").unlink()
    with pytest.raises(BadInput, match="And its outputs can't be read"):
        read_chronicle(lost.places.state)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(BadInput, match="holds no recorded run"):
        read_chronicle(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_never_fed_has_nothing_to_tell(tmp_path):
    stream = Stream(tmp_path)
    stream.write_events(0, 0)
    stream.run()
    found = read_chronicle(stream.places.state)
    assert found.samples == [] and found.gaps == []
