"""The learning curve of a run: by labels, the same however it was stopped, and never backwards."""

import msgspec
import pytest

from commands.runs import Stream
from headrace.drivers.files.curve import CURVE, EVERY_N, CurvePoint, CurveWriter


@pytest.fixture
def stream(tmp_path):
    stream = Stream(tmp_path)
    stream.write_events(0, 200)
    stream.run()
    stream.answer()
    return stream


def points(stream):
    lines = (stream.places.state / CURVE).read_bytes().splitlines()
    return [msgspec.json.decode(line, type=CurvePoint) for line in lines]


def test_a_run_writes_a_point_after_every_so_many_labels_and_one_at_the_end(stream):
    stream.write_events(200, 400)
    stream.run()
    stream.answer()
    report = stream.run()
    found = points(stream)
    labels = [point.labels_n for point in found]
    assert labels == sorted(set(labels))
    assert len(labels) > 2
    # A point after every so many, though each start and each end add one.
    assert len(labels) <= labels[-1] // EVERY_N + 6
    assert found[-1].labels_n == report.labels.settled_n
    assert found[-1].events_n == report.events.observed_n
    assert found[-1].values["accuracy"] == report.estimates.accuracy_all.accuracy
    assert found[-1].values["accuracy_low"] < found[-1].values["accuracy_high"]
    assert found[-1].values["kappa"] == report.estimates.quality.kappa.value
    assert found[-1].values["drift_level"] == 0.0


def test_a_run_that_begins_again_goes_on_with_the_next_label(stream):
    stream.run()
    before = (stream.places.state / CURVE).read_bytes()
    stream.run()
    assert (stream.places.state / CURVE).read_bytes() == before
    for path in (stream.places.state / "snapshots").rglob("snapshot-*.hr"):
        path.unlink()
    stream.run()
    assert (stream.places.state / CURVE).read_bytes() == before
    stream.write_events(200, 300)
    stream.run()
    stream.answer()
    stream.run()
    assert (stream.places.state / CURVE).read_bytes().startswith(before)
    labels = [point.labels_n for point in points(stream)]
    assert labels == sorted(set(labels))


def test_a_line_that_a_kill_cut_short_is_taken_back(stream):
    stream.run()
    path = stream.places.state / CURVE
    before = path.read_bytes()
    path.write_bytes(before + b'{"labels_n": 7')
    CurveWriter(stream.places.state).close()
    assert path.read_bytes() == before
