"""The live view: fits any terminal, forgets in time, and survives a report without a label."""

import io
from itertools import pairwise

import msgspec
import pytest
from rich.console import Console

from headrace import Engine, Event, LabelRequested
from headrace.messages import Answer, DriftChanged, ModelAdopted, ModelKept
from headrace.pages.live.health import list_concerns
from headrace.pages.live.plot import POINTS_MAX
from headrace.pages.live.view import DECISIONS_MAX, MARKS_MAX, Pulse, Rated, Track, ViewHistory
from headrace.pages.live.view import draw_view as view
from headrace.report import Failure, PartitionReport, SnapshotsReport
from headrace.report.limits import Limit
from reports import replace_numbers

DRIFT = DriftChanged(
    at=1.0, level="DRIFT", previous="STABLE", signal="error", detector="ddm", statistic=1.25
)
ADOPTED = ModelAdopted(
    job_id=0, at=1.0, model_version=1, champion_right=0.1, challenger_right=0.9, labels_n=50
)
KEPT = ModelKept(
    job_id=1, at=1.0, reason="no better", champion_right=0.8, challenger_right=0.7, labels_n=31
)


def lines_of(report, history, width, height, **options):
    console = Console(file=io.StringIO(), width=width, height=height, record=True)
    console.print(view(report, history, width=width, height=height, **options))
    return console.export_text().splitlines()


@pytest.fixture(scope="module")
def warm():
    """An engine with requests, answers and a name that is far too long, and its history."""
    engine, history = Engine(seed=3, classes=["a" * 90, "b"]), ViewHistory()
    for i in range(1_200):
        event = Event(id=f"event-{i:030}", at=float(i), features={"x": i % 7})
        outputs = engine.feed([event])
        for request in [o for o in outputs if isinstance(o, LabelRequested)]:
            label = "b" if i % 7 > 3 else "a" * 90
            answer = Answer(
                request_id=request.request_id, label=label, at=float(i), annotator="n" * 60
            )
            outputs += engine.feed([answer])
        history.add_outputs(outputs, i + 1)
        if i % 10 == 9:
            history.add_report(engine.report)
    return engine.report, history


@pytest.mark.parametrize("size", [(80, 24), (140, 40), (60, 20), (200, 60), (20, 5)])
def test_no_line_is_wider_and_there_are_as_many_as_the_terminal_has(warm, size):
    found = lines_of(*warm, *size)
    assert len(found) == size[1]
    assert max(map(len, found)) <= size[0]


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
def test_a_report_without_any_event_is_drawn(size):
    found = lines_of(Engine().report, ViewHistory(), *size)
    assert len(found) == size[1]
    assert "no label has come back yet" in found[3]


def test_everything_is_said_on_a_small_terminal(warm):
    text = "\n".join(lines_of(*warm, 80, 24, foot="http://127.0.0.1:1/metrics"))
    words = ["1,200 events", "STABLE", "paid", "open", "settled", "control", "doubt"]
    words += ["features/psi", "error/", "annotators  1, ", "chance", "http://127.0.0.1:1/metrics"]
    assert [word for word in words if word not in text] == []


def test_truth_and_rival_stand_beside_the_estimate(warm):
    report, history = warm
    rated = [
        Rated("ours", "red", report.estimates.accuracy, 0.25),
        Rated("twin", "blue", report.estimates.accuracy),
    ]
    found = lines_of(report, history, 100, 30, rated=rated)
    assert found[3].startswith("ours") and "true  25.0%" in found[3] and "┃" in found[3]
    assert found[4].startswith("twin") and "true" not in found[4]


def test_drift_and_adoption_leave_their_letters_under_the_plot():
    history = ViewHistory()
    history.add_outputs([DRIFT], 5)
    history.add_outputs([ADOPTED, KEPT], 9)
    assert [(mark.letter, mark.events_n) for mark in history.marks] == [("D", 5), ("a", 9)]


def test_the_latest_decisions_say_why(warm):
    history = ViewHistory()
    history.add_outputs([DRIFT, ADOPTED, KEPT], 1)
    found = lines_of(warm[0], history, 120, 30)
    title = next(i for i, line in enumerate(found) if "latest decisions" in line)
    assert [" ".join(line.split()) for line in found[title + 1 : title + 4]] == [
        "model kept challenger 70%, champion 80% right on 31 labels no better",
        "adopted challenger 90%, champion 10% right on 50 labels",
        "drift STABLE to DRIFT error/ddm at 1.25 of its threshold",
    ]


@pytest.mark.parametrize(
    ("pulse", "told"),
    [
        (Pulse(per_s=1234.4, lag_n=0), "1,234 events/s   up to date"),
        (Pulse(lag_n=999), "999 B behind"),
        (Pulse(lag_n=99_600), "100 kB behind"),
        (Pulse(lag_n=1_234_567), "1.2 MB behind"),
        (Pulse(lag_n=1_200, lag_unit="records"), "1,200 records behind"),
        (Pulse(age_s=3.4), "newest event 3 s ago"),
        (Pulse(age_s=7_300.0), "newest event 2 h ago"),
        (Pulse(age_s=-300.0), "newest event 5 min ahead of the clock"),
        (Pulse(age_s=1e6), "newest event at 1,199 s"),
        (Pulse(events_n=1_300), "1,300 events"),
    ],
)
def test_pace_lag_and_age_are_told(warm, pulse, told):
    assert told in "\n".join(lines_of(*warm, 100, 24, pulse=pulse)[:2])


def test_an_event_of_the_past_has_a_date(warm):
    report = replace_numbers(warm[0], {"events.last_at": 1_700_000_000.0})
    told = lines_of(report, warm[1], 100, 24, pulse=Pulse(age_s=9e6))[1]
    assert "newest event 2023-11-14 22:13 UTC" in told


def test_the_lag_of_partitions_is_added_up(warm):
    parts = tuple(PartitionReport(partition=i, lag_n=n) for i, n in enumerate([700, None, 300]))
    report = replace_numbers(warm[0], {"worker.partitions": parts})
    assert "1,000 records behind" in lines_of(report, warm[1], 100, 24)[1]


def test_a_run_without_faults_is_healthy(warm):
    assert list_concerns(warm[0]) == []
    assert lines_of(*warm, 80, 24)[1].startswith("● healthy")


FAILED = Failure(who="model", act="predict", n=3, error="KeyError: 'a'")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model.failures": (FAILED,)}, "model failed to predict 3 events (KeyError: 'a')"),
        ({"model.failures": (FAILED,), "model.fault": "it fails"}, "it fails"),
        ({"limits": (Limit(kind="features", n=2, sentence="2 values"),)}, "2 values"),
        ({"events.rejected_n": {"no_id": 4, "not_json": 1_000}}, "1,004 rejected, most not_json"),
        ({"schema.vanished": ("age", "sex")}, "feature age vanished and 1 more"),
        (
            {"labels.settled_n": 10, "labels.disputed_n": 0, "labels.expired_n": 11},
            "11 of 21 requests expired",
        ),
        ({"labels.stale_n": 2, "labels.open_n": 3}, "2 of 3 open requests past half of their time"),
        ({"budget.is_exhausted": True}, "the budget is used up"),
        ({"worker.snapshots": SnapshotsReport(failed_n=2)}, "2 snapshots could not be written"),
    ],
)
def test_what_is_wrong_is_said_first(warm, changes, told):
    report = replace_numbers(warm[0], changes)
    assert list_concerns(report) == [told]
    assert lines_of(report, warm[1], 80, 24)[1].startswith(f"▲ {told}")


def test_a_few_rejects_and_expiries_are_no_concern(warm):
    changes = {
        "events.rejected_n": {"no_id": 12, "left_out": 900},
        "labels.settled_n": 5,
        "labels.disputed_n": 0,
        "labels.expired_n": 9,
    }
    assert list_concerns(replace_numbers(warm[0], changes)) == []


def test_an_estimate_over_several_partitions_is_drawn_at_the_present(warm):
    history, report = ViewHistory(), warm[0]
    joined = msgspec.structs.replace(report.estimates.accuracy, to_seq=None, from_seq=None)
    history.add_report(replace_numbers(report, {"estimates.accuracy": joined}))
    assert history.accuracy.points == [(1_200, report.estimates.accuracy.accuracy)]


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
    assert len(history.decisions) == history.decisions.maxlen == DECISIONS_MAX
    assert history.marks.maxlen == MARKS_MAX
