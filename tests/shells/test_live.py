"""The live view: fits any terminal, forgets in time, and survives a report without a label."""

import io
from itertools import pairwise

import pytest
from rich.console import Console

from headrace import Engine, Event, LabelRequested
from headrace.messages import Answer, DriftChanged, ModelAdopted
from headrace.shells.live import MARKS_MAX, POINTS_MAX, REQUESTS_MAX, History, Rated, Track
from headrace.shells.live import live_view as view


def lines_of(report, history, width, height, **options):
    console = Console(file=io.StringIO(), width=width, height=height, record=True)
    console.print(view(report, history, width=width, height=height, **options))
    return console.export_text().splitlines()


@pytest.fixture(scope="module")
def warm():
    """An engine with requests, answers and a name that is far too long, and its history."""
    engine, history = Engine(seed=3, classes=["a" * 90, "b"]), History()
    for i in range(1_200):
        event = Event(id=f"event-{i:030}", at=float(i), features={"x": i % 7})
        outputs = engine.feed([event])
        for request in [o for o in outputs if isinstance(o, LabelRequested)]:
            label = "b" if i % 7 > 3 else "a" * 90
            answer = Answer(
                request_id=request.request_id, label=label, at=float(i), annotator="n" * 60
            )
            outputs += engine.feed([answer])
        history.note(engine.report, outputs)
    return engine.report, history


@pytest.mark.parametrize("size", [(80, 24), (140, 40), (60, 20), (200, 60), (20, 5)])
def test_no_line_is_wider_and_there_are_as_many_as_the_terminal_has(warm, size):
    found = lines_of(*warm, *size)
    assert len(found) == size[1]
    assert max(map(len, found)) <= size[0]


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
def test_a_report_without_any_event_is_drawn(size):
    found = lines_of(Engine().report, History(), *size)
    assert len(found) == size[1]
    assert "no label has come back yet" in found[2]


def test_everything_is_said_on_a_small_terminal(warm):
    text = "\n".join(lines_of(*warm, 80, 24, foot="http://127.0.0.1:1/metrics"))
    words = ["1,200 events", "STABLE", "paid", "open", "settled", "control", "cold start"]
    words += ["features/psi", "error/", "agreed", "chance", "http://127.0.0.1:1/metrics"]
    assert [word for word in words if word not in text] == []


def test_truth_and_rival_stand_beside_the_estimate(warm):
    report, history = warm
    rated = [Rated("ours", "red", report.accuracy, 0.25), Rated("twin", "blue", report.accuracy)]
    found = lines_of(report, history, 100, 30, rated=rated)
    assert found[2].startswith("ours") and "true  25.0%" in found[2] and "┃" in found[2]
    assert found[3].startswith("twin") and "true" not in found[3]


def test_drift_and_adoption_leave_their_letters_under_the_plot():
    history, report = History(), Engine().report
    drift = DriftChanged(
        at=1.0, level="DRIFT", previous="STABLE", signal="error", detector="ddm", statistic=1.0
    )
    history.note(report, [drift])
    assert [mark.letter for mark in history.marks] == ["D"]
    adopted = ModelAdopted(
        job_id=0, at=1.0, model_version=1, champion_right=0.1, challenger_right=0.9, labels_n=50
    )
    history.note(report, [adopted])
    assert [mark.letter for mark in history.marks] == ["D", "a"]


def test_a_line_of_the_plot_keeps_its_ends_and_its_limit():
    track = Track("share", "red")
    for n in range(20 * POINTS_MAX):
        track.add(n, 0.5)
    assert len(track.points) <= POINTS_MAX
    assert track.points[0][0] == 0
    assert track.points[-1][0] >= 20 * (POINTS_MAX - 1)
    gaps = [after - before for (before, _), (after, _) in pairwise(track.points)]
    assert max(gaps) <= 20 * POINTS_MAX // 50


def test_a_line_of_the_plot_takes_nothing_unknown_and_nothing_old():
    track = Track("share", "red")
    track.add(5, None)
    track.add(5, 0.5)
    track.add(5, 0.6)
    track.add(4, 0.7)
    assert track.points == [(5, 0.5)]


def test_history_is_bounded(warm):
    history = warm[1]
    assert len(history.requests) <= REQUESTS_MAX
    assert history.marks.maxlen == MARKS_MAX
