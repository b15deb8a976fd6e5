"""One report from many parts: counts add up, of drift the worst is told, nothing is changed."""

from __future__ import annotations

import msgspec
import pytest

import headrace as hr
from adapters.streams import engine_of, event, fed, settings, worker_report
from headrace.label.annotators import Annotators, joined
from headrace.report import WorkerReport
from headrace.reporting import NUMBERED_MAX, redated, report_of, report_of_parts

ENGINES = [0, 1, 2]


def test_an_engine_is_one_shard_and_one_desk() -> None:
    engine = engine_of(0)
    assert report_of(engine) == engine.report
    (partition,) = engine.report.worker.partitions
    assert (partition.partition, partition.events_n, partition.lag_n) == (0, 1_200, None)
    assert engine.report.worker.desk_partitions == (0,)


def test_to_report_changes_nothing() -> None:
    engine = engine_of(1)
    before = engine.snapshot()
    report = report_of(engine)
    assert engine.snapshot() == before
    again = hr.Engine(settings=settings())
    again.restore(before)
    assert again.report == report


@pytest.mark.parametrize(
    "name",
    [
        "events_n", "asked_n", "refunded_n", "rounds_n", "open_n", "stale_n", "settled_n",
        "disputed_n", "expired_n", "accepted_n", "refused_n", "window_n", "reservoir_n",
        "budget_available_n", "budget_cap_n", "confidence_sum", "turnaround_sum_s",
    ],
)  # fmt: skip
def test_numbers_of_the_parts_are_added_up(name: str) -> None:
    parts = [getattr(engine_of(i).report, name) for i in ENGINES]
    assert getattr(fed(), name) == pytest.approx(sum(parts))


@pytest.mark.parametrize(
    "name",
    ["predicted_n", "asked_by", "asked_by_class", "rounds_by_reason", "drift_alarms_n",
     "drift_changes_n", "labels_by_class"],
)  # fmt: skip
def test_counts_by_name_are_added_up(name: str) -> None:
    expected: dict[str, int] = {}
    for i in ENGINES:
        for key, n in getattr(engine_of(i).report, name).items():
            expected[key] = expected.get(key, 0) + n
    assert expected
    assert getattr(fed(), name) == expected


def test_the_worst_is_told_of_drift_and_the_lowest_of_propensities() -> None:
    reports = [engine_of(i).report for i in ENGINES]
    whole = fed()
    levels = ("STABLE", "WARNING", "DRIFT")
    assert whole.drift_level == max((r.drift_level for r in reports), key=levels.index)
    assert whole.propensity_min == min(r.propensity_min for r in reports)
    for watch, ratio in whole.drift_statistics.items():
        assert ratio == max(r.drift_statistics[watch] for r in reports)
    for feature, psi in whole.feature_psi.items():
        assert psi == max(r.feature_psi[feature] for r in reports)
    assert whole.now == max(r.now or 0.0 for r in reports)
    assert whole.last_round_at["schedule"] == max(r.last_round_at["schedule"] for r in reports)


def test_the_features_shown_are_those_that_moved_most_of_all() -> None:
    whole = fed()
    assert len(whole.feature_shares) == 4
    shown = [whole.feature_ratios[name] for name in whole.feature_shares]
    assert shown == sorted(shown, reverse=True)
    assert shown[0] == max(whole.feature_ratios.values())


def test_the_accuracy_is_that_of_all_labels_together() -> None:
    parts, whole = [engine_of(i).report.accuracy for i in ENGINES], fed().accuracy
    assert whole.labels_n == sum(part.labels_n for part in parts)
    assert whole.accuracy is not None and whole.low is not None and whole.high is not None
    known = [part.accuracy for part in parts if part.accuracy is not None]
    assert min(known) - 0.05 <= whole.accuracy <= max(known) + 0.05
    widths = [part.high - part.low for part in parts if part.high and part.low]
    assert whole.high - whole.low < min(widths)
    assert whole.from_seq is None


def test_people_who_answer_at_several_desks_are_one() -> None:
    whole = fed()
    assert whole.annotators_n == 13
    by_name = {
        name: sum(engine_of(i).desk.annotators.by_name[name].answers_n for i in ENGINES)
        for name in engine_of(0).desk.annotators.by_name
    }
    assert {a.name: a.answers_n for a in whole.annotators} == by_name
    *first, others = whole.annotators_by_number
    assert [a.number for a in first] == list(range(1, NUMBERED_MAX + 1))
    assert (others.number, others.name) == (0, "(others)")
    assert sum(a.answers_n for a in whole.annotators_by_number) == whole.accepted_n


def test_agreement_of_several_desks_is_that_of_all_their_requests() -> None:
    def answers(*labels: str) -> list[hr.Answer]:
        return [
            hr.Answer(request_id="r", label=label, at=1.0, annotator=f"a{i}")
            for i, label in enumerate(labels)
        ]

    one, other, both = Annotators(), Annotators(), Annotators()
    for parts, labels in (([one, both], "ab"), ([other, both], "aa"), ([other, both], "bb")):
        for part in parts:
            part.compared(answers(*labels), labels[0], sign=1)
    assert joined([one, other]).alpha == both.alpha is not None
    assert joined([one, other]).by_name == both.by_name


def test_a_worker_without_partitions_says_so() -> None:
    trainer = hr.Engine(settings=settings()).trainer
    report = report_of_parts(settings(), trainer, {}, {})
    assert (report.events_n, report.open_n, report.now) == (0, 0, None)
    assert report.worker.partitions == ()
    assert (report.drift_level, report.accuracy.accuracy) == ("STABLE", None)
    assert report.strategy == "margin"


def test_what_the_shell_rejected_is_among_the_rejected() -> None:
    engine = hr.Engine(settings=settings())
    engine.feed([event(0, 1), event(0, 1)])
    report = report_of(engine, WorkerReport(rejected_n={"duplicate_id": 2, "not_json": 1}))
    assert report.rejected_n == {"duplicate_id": 3, "not_json": 1}


def test_half_of_the_time_makes_a_request_stale() -> None:
    engine = hr.Engine(settings=settings(), budget=hr.budgets.Share(1.0), seed=2)
    engine.feed([event(0, i) for i in range(60)])
    assert engine.report.open_n > 0 == engine.report.stale_n
    deadline_s = settings().label.deadline_s
    engine.feed([hr.Tick(at=1_060.0 + deadline_s / 2)])
    assert engine.report.stale_n == engine.report.open_n


def test_a_report_is_redated_and_otherwise_the_same() -> None:
    before = fed()
    after = redated(before, lambda at: at + 1e9)
    assert after.now == (before.now or 0.0) + 1e9
    assert after.drift_changed_at["DRIFT"] == before.drift_changed_at["DRIFT"] + 1e9
    moved = {"now", "last_round_at", "oldest_open_at", "learned_at", "retrained_at", "adopted_at"}
    moved |= {"drift_changed_at", "drift_alarmed_at", "drift_since", "worker"}
    told, kept = msgspec.structs.asdict(after), msgspec.structs.asdict(before)
    assert {name for name in kept if told[name] != kept[name]} <= moved
    assert redated(worker_report([hr.Engine(settings=settings())]), lambda at: at).now is None
    snapshot_at = before.worker.snapshot_at
    assert after.worker.snapshot_at == snapshot_at
