"""One report from many parts: counts add up, of drift the worst is told, nothing is changed."""

from __future__ import annotations

from dataclasses import asdict, fields
from operator import attrgetter

import pytest

import headrace as hr
from adapters.streams import engine_of, event, fed, settings, worker_report
from headrace.label.annotators import Annotators, merge_annotators
from headrace.report import WorkerReport
from headrace.report.building import build_report, combine_report, move_times
from headrace.report.old_names import OLD_NAMES
from headrace.report.people import NUMBERED_MAX

ENGINES = [0, 1, 2]


def test_an_engine_is_one_shard_and_one_desk() -> None:
    engine = engine_of(0)
    assert build_report(engine) == engine.report
    (partition,) = engine.report.worker.partitions
    assert (partition.partition, partition.events_n, partition.lag_n) == (0, 1_200, None)
    assert engine.report.worker.desk_partitions == (0,)


def test_to_report_changes_nothing() -> None:
    engine = engine_of(1)
    before = engine.snapshot()
    report = build_report(engine)
    assert engine.snapshot() == before
    again = hr.Engine(settings=settings())
    again.restore(before)
    assert again.report == report


@pytest.mark.parametrize(
    "path",
    [
        "events.observed_n", "events.window_n", "events.reservoir_n", "events.confidence_sum",
        "asking.requests_n", "asking.rounds_n", "budget.available_n", "budget.refunded_n",
        "budget.spent_n", "budget.cap_n", "labels.open_n", "labels.stale_n", "labels.settled_n",
        "labels.disputed_n", "labels.expired_n", "answers.accepted_n", "answers.refused_n",
        "answers.turnaround_sum_s",
    ],
)  # fmt: skip
def test_numbers_of_the_parts_are_added_up(path: str) -> None:
    read = attrgetter(path)
    assert read(fed()) == pytest.approx(sum(read(engine_of(i).report) for i in ENGINES))


@pytest.mark.parametrize(
    "path",
    ["events.predicted_n", "asking.by_reason", "asking.by_strategy", "asking.by_class",
     "asking.rounds_by_reason", "drift.alarms_n", "drift.changes_n", "labels.by_class"],
)  # fmt: skip
def test_counts_by_name_are_added_up(path: str) -> None:
    read, expected = attrgetter(path), dict[str, int]()
    for i in ENGINES:
        for key, n in read(engine_of(i).report).items():
            expected[key] = expected.get(key, 0) + n
    assert expected
    assert read(fed()) == expected


def test_the_worst_is_told_of_drift_and_the_lowest_of_propensities() -> None:
    reports = [engine_of(i).report for i in ENGINES]
    whole = fed()
    levels = ("STABLE", "WARNING", "DRIFT")
    assert whole.drift.level == max((r.drift.level for r in reports), key=levels.index)
    assert whole.asking.propensity_min == min(r.asking.propensity_min for r in reports)
    for watch, ratio in whole.drift.statistics.items():
        assert ratio == max(r.drift.statistics[watch] for r in reports)
    for feature, psi in whole.drift.feature_psi.items():
        assert psi == max(r.drift.feature_psi[feature] for r in reports)
    assert whole.events.last_at == max(r.events.last_at or 0.0 for r in reports)
    assert whole.asking.last_round_at["schedule"] == max(
        r.asking.last_round_at["schedule"] for r in reports
    )


def test_the_features_shown_are_those_that_moved_most_of_all() -> None:
    whole = fed()
    assert len(whole.drift.feature_shares) == 4
    shown = [whole.drift.feature_ratios[name] for name in whole.drift.feature_shares]
    assert shown == sorted(shown, reverse=True)
    assert shown[0] == max(whole.drift.feature_ratios.values())


def test_the_accuracy_is_that_of_all_labels_together() -> None:
    parts = [engine_of(i).report.estimates.accuracy for i in ENGINES]
    whole = fed().estimates.accuracy
    assert whole.labels_n == sum(part.labels_n for part in parts)
    assert whole.accuracy is not None and whole.low is not None and whole.high is not None
    known = [part.accuracy for part in parts if part.accuracy is not None]
    assert min(known) - 0.05 <= whole.accuracy <= max(known) + 0.05
    widths = [part.high - part.low for part in parts if part.high and part.low]
    assert whole.high - whole.low < min(widths)
    assert whole.from_seq is None


def test_people_who_answer_at_several_desks_are_one() -> None:
    whole = fed()
    assert whole.annotators.known_n == 13
    by_name = {
        name: sum(engine_of(i).desk.annotators.by_name[name].answers_n for i in ENGINES)
        for name in engine_of(0).desk.annotators.by_name
    }
    assert {a.name: a.answers_n for a in whole.annotators.most_active} == by_name
    *first, others = whole.annotators.by_number
    assert [a.number for a in first] == list(range(1, NUMBERED_MAX + 1))
    assert (others.number, others.name) == (0, "(others)")
    assert sum(a.answers_n for a in whole.annotators.by_number) == whole.answers.accepted_n


def test_agreement_of_several_desks_is_that_of_all_their_requests() -> None:
    def answers(*labels: str) -> list[hr.Answer]:
        return [
            hr.Answer(request_id="r", label=label, at=1.0, annotator=f"a{i}")
            for i, label in enumerate(labels)
        ]

    one, other, both = Annotators(), Annotators(), Annotators()
    for parts, labels in (([one, both], "ab"), ([other, both], "aa"), ([other, both], "bb")):
        for part in parts:
            part.count_comparisons(answers(*labels), labels[0], sign=1)
    assert merge_annotators([one, other]).alpha == both.alpha is not None
    assert merge_annotators([one, other]).by_name == both.by_name


def test_a_worker_without_partitions_says_so() -> None:
    trainer = hr.Engine(settings=settings()).trainer
    report = combine_report(settings(), trainer, {}, {})
    assert (report.events.observed_n, report.labels.open_n, report.events.last_at) == (0, 0, None)
    assert report.worker.partitions == ()
    assert (report.drift.level, report.estimates.accuracy.accuracy) == ("STABLE", None)
    assert report.asking.strategy == "margin"


def test_what_the_shell_rejected_is_among_the_rejected() -> None:
    engine = hr.Engine(settings=settings())
    engine.feed([event(0, 1), event(0, 1)])
    report = build_report(engine, WorkerReport(rejected_n={"duplicate_id": 2, "not_json": 1}))
    assert report.events.rejected_n == {"duplicate_id": 3, "not_json": 1}


def test_half_of_the_time_makes_a_request_stale() -> None:
    engine = hr.Engine(settings=settings(), budget=hr.budgets.Share(1.0), seed=2)
    engine.feed([event(0, i) for i in range(60)])
    assert engine.report.labels.open_n > 0 == engine.report.labels.stale_n
    deadline_s = settings().label.deadline_s
    engine.feed([hr.Tick(at=1_060.0 + deadline_s / 2)])
    assert engine.report.labels.stale_n == engine.report.labels.open_n


def test_a_report_is_redated_and_otherwise_the_same() -> None:
    before = fed()
    after = move_times(before, lambda at: at + 1e9)
    assert after.events.last_at == (before.events.last_at or 0.0) + 1e9
    assert after.drift.changed_at["DRIFT"] == before.drift.changed_at["DRIFT"] + 1e9
    times = {
        "events.last_at", "asking.last_round_at", "labels.oldest_open_at", "model.learned_at",
        "retraining.ordered_at", "retraining.adopted_at", "drift.changed_at", "drift.alarmed_at",
        "drift.began_at", "worker.partitions",
    }  # fmt: skip
    sections = asdict(before).keys() - {"stream", "limits"}
    paths = [f"{name}.{one.name}" for name in sections for one in fields(getattr(before, name))]
    moved = {path for path in paths if attrgetter(path)(after) != attrgetter(path)(before)}
    assert {"events.last_at", "drift.changed_at", "worker.partitions"} <= moved <= times
    unfed = worker_report([hr.Engine(settings=settings())])
    assert move_times(unfed, lambda at: at).events.last_at is None
    assert after.worker.snapshots == before.worker.snapshots


def test_a_number_is_found_by_the_name_that_it_had() -> None:
    report = engine_of(0).report
    for name, path in OLD_NAMES.items():
        with pytest.warns(DeprecationWarning, match=f"report.{path} now"):
            assert getattr(report, name) is attrgetter(path)(report)
    with pytest.raises(AttributeError, match="has no 'askd_n'"):
        report.askd_n  # type: ignore[attr-defined]  # noqa: B018
