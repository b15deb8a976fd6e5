"""Builds one `Report` from the parts of an engine, or from those that a worker on Kafka has.

A section is built for each part, and those of several parts are combined as noted beside their
numbers. Accuracy is estimated, and annotators are joined, over all parts together. Building changes
nothing and reads no clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Protocol

import numpy as np

from ..label.annotators import Annotators
from ..label.desk import Desk
from ..learn.evaluation import Evaluation, join_evaluations
from ..learn.failures import FAILING_N, Act, check_start
from ..learn.trainer import Trainer
from ..observe.schema import Schema
from ..settings import Settings
from ..shard.shard import Shard
from . import Report
from .drift import combine_drift
from .limits import Limit, find_classes_apart, limits_reached
from .numbers import combine_sections, join_keys, unite_values
from .people import join_annotators, report_annotators
from .sections import (
    AnswersReport,
    AskingReport,
    BudgetReport,
    EstimatesReport,
    EventsReport,
    Failure,
    LabelsReport,
    ModelReport,
    NoiseReport,
    RetrainingReport,
    SchemaReport,
)
from .worker import PartitionReport, WorkerReport


class Parts(Protocol):
    """The parts of an engine that a report shows."""

    settings: Settings
    trainer: Trainer
    shard: Shard
    desk: Desk


def build_report(engine: Parts, worker: WorkerReport | None = None) -> Report:
    """Return the report of an engine with one shard and one desk; `worker` is the driver's part."""
    worker = worker or WorkerReport()
    if not worker.desk_partitions:
        worker = replace(worker, desk_partitions=(0,))
    shards, desks = {0: engine.shard}, {0: engine.desk}
    return combine_report(engine.settings, engine.trainer, shards, desks, worker=worker)


def combine_report(
    settings: Settings,
    trainer: Trainer,
    shards: Mapping[int, Shard],
    desks: Mapping[int, Desk],
    *,
    worker: WorkerReport | None = None,
) -> Report:
    """Return the report of these shards and desks together, given by partition.

    There may be no shards or no desks. `worker` is the driver's part. Strategy, threshold and
    redundancy are those of the shard whose last round was the latest.
    """
    worker = worker or WorkerReport()
    if not worker.partitions:
        described = [describe_partition(number, shard) for number, shard in sorted(shards.items())]
        worker = replace(worker, partitions=tuple(described))
    all_shards, all_desks = list(shards.values()), list(desks.values())
    schema = _combine_schemas(trainer, all_shards)
    events = _combine_events(all_shards, worker, schema.classes)
    annotators = join_annotators(all_desks)
    estimates = _report_estimates(settings, trainer, [shard.evaluation for shard in all_shards])
    return Report(
        stream=settings.stream,
        limits=(*_find_limits(trainer, all_shards), *find_classes_apart(estimates)),
        events=events,
        schema=schema,
        asking=_combine_asking(settings, all_shards, schema.classes),
        budget=combine_sections(BudgetReport, [_report_budget(shard) for shard in all_shards]),
        labels=combine_sections(
            LabelsReport, [_report_labels(desk, events.last_at) for desk in all_desks]
        ),
        answers=combine_sections(
            AnswersReport,
            [AnswersReport(cost_per_answer=settings.label.cost), *map(_report_answers, all_desks)],
        ),
        annotators=report_annotators(annotators),
        noise=_report_noise(trainer, all_desks, annotators),
        model=_report_model(trainer, all_shards),
        retraining=_report_retraining(trainer),
        drift=combine_drift([shard for _, shard in sorted(shards.items())], schema.classes),
        estimates=estimates,
        worker=worker,
    )


def check_model_starts(trainer: Trainer, shards: Iterable[Shard]) -> None:
    """Raise `BadSettings` when the model has failed at every label or event from the start."""
    all_shards = list(shards)
    check_start(
        trainer.champion.learner.failures,
        learned_n=trainer.champion.learned_n,
        unlearnable_n=trainer.champion.unlearnable_n,
        failed_n=sum(shard.failed.n for shard in all_shards),
        failed_in_row_n=sum(shard.failed.in_row_n for shard in all_shards),
    )


def describe_partition(
    partition: int, shard: Shard, *, lag_n: int | None = None, lag_s: float | None = None
) -> PartitionReport:
    """Return the report of one partition; `lag_n` in records, `lag_s` in seconds, where known."""
    return PartitionReport(
        partition=partition,
        lag_n=lag_n,
        lag_s=lag_s,
        events_n=shard.events_n,
        last_event_at=shard.now if shard.events_n else None,
        drift_level=shard.drift.level.name,
    )


def move_times(report: Report, date: Callable[[float], float]) -> Report:
    """Return the report with `date`, seconds to seconds, applied to every time of the stream.

    That shows a stream of the past, or one played faster than it came, as if it were live.
    """
    sections = {
        section_field.name: _move_section(getattr(report, section_field.name), date)
        for section_field in fields(report)
        if section_field.name not in ("stream", "limits", "worker")
    }
    partitions = tuple(_move_section(partition, date) for partition in report.worker.partitions)
    return replace(report, worker=replace(report.worker, partitions=partitions), **sections)


def _move_section(section: Any, date: Callable[[float], float]) -> Any:
    """Return the section with `date` applied to fields that end in `_at`, or to their values."""
    moved: dict[str, Any] = {}
    for section_field in fields(section):
        value = getattr(section, section_field.name)
        if section_field.name.endswith("_at") and value is not None:
            is_by_key = isinstance(value, dict)
            moved[section_field.name] = (
                {key: date(at) for key, at in value.items()} if is_by_key else date(value)
            )
    return replace(section, **moved)


# ---------------------------------------------------------------------------- events and asking


def _combine_schemas(trainer: Trainer, shards: Sequence[Shard]) -> SchemaReport:
    """Return the schema section: the trainer's classes first, the features of the shards.

    Without shards the features are those of the trainer.
    """
    schemas = _drop_repeated([shard.schema for shard in shards]) or [trainer.schema]
    classes = [schema.classes for schema in _drop_repeated([trainer.schema, *schemas])]
    vanished = [shard.schema.find_vanished(shard.window.since(0).rows) for shard in shards]
    return replace(
        combine_sections(SchemaReport, [_report_schema(schema) for schema in schemas]),
        classes=unite_values(classes),
        vanished=unite_values(vanished),
    )


def _report_schema(schema: Schema) -> SchemaReport:
    return SchemaReport(
        features_n=schema.width,
        appeared_n=schema.appeared_n,
        unknown_n=schema.unused.unknown_n,
        mistyped_n=schema.unused.mistyped_n,
        not_finite_n=schema.unused.not_finite_n,
    )


def _find_limits(trainer: Trainer, shards: Sequence[Shard]) -> tuple[Limit, ...]:
    return limits_reached(
        _drop_repeated([shard.schema for shard in shards]) or [trainer.schema],
        sum(shard.asking.queue.given_up_n for shard in shards),
        dict.fromkeys(text for s in shards for text in s.asking.quotas.slices.values()),
        (trainer.champion.learner.row_by_row, sum(shard.events_n for shard in shards)),
        _count_unserved(shards),
    )


def _count_unserved(shards: Sequence[Shard]) -> tuple[int, int]:
    """Return how many events of the windows lack the served prediction to judge, and how many are.

    Both are 0 where our own model is judged.
    """
    judging = [shard for shard in shards if shard.settings.evaluation.judged == "served"]
    windows = [shard.window.since(0).served for shard in judging]
    known_n = sum(int((~np.isnan(one[:, 0])).sum()) for one in windows if one.shape[1])
    all_n = sum(map(len, windows))
    return all_n - known_n, all_n


def _combine_events(
    shards: Sequence[Shard], worker: WorkerReport, classes: Sequence[str]
) -> EventsReport:
    rejected = EventsReport(rejected_n=worker.rejected_n)
    events = combine_sections(EventsReport, [rejected, *map(_report_events, shards)])
    predicted_n = events.predicted_n
    return replace(
        events, predicted_n={name: predicted_n[name] for name in classes if name in predicted_n}
    )


def _report_events(shard: Shard) -> EventsReport:
    clock, confidences = shard.admission.clock, shard.confidences
    return EventsReport(
        last_at=shard.now if math.isfinite(shard.now) else None,
        observed_n=shard.events_n,
        ahead_n=clock.ahead_n + clock.waiting_n,
        behind_n=clock.behind_n,
        rejected_n=shard.admission.rejected,
        predicted_n=shard.predicted_n,
        unpredicted_n=shard.evaluation.unpredicted_n,
        failed_predictions_n=shard.failed.n,
        confidence_counts=tuple(confidences.counts),
        confidence_sum=confidences.sum,
        window_n=len(shard.window.since(0)),
        reservoir_n=len(shard.reservoir),
    )


def _combine_asking(
    settings: Settings, shards: Sequence[Shard], classes: tuple[str, ...]
) -> AskingReport:
    asking = combine_sections(AskingReport, [_report_asking(shard, classes) for shard in shards])
    askings = [shard.asking for shard in shards]
    latest = max(askings, key=lambda a: max(a.rounds.last_at.values(), default=-1.0), default=None)
    if latest is None:
        return replace(asking, strategy=settings.query.strategy)
    return replace(
        asking,
        strategy=latest.strategy_name,
        threshold=latest.threshold,
        redundancy=latest.rounds.redundancy,
    )


def _report_asking(shard: Shard, classes: tuple[str, ...]) -> AskingReport:
    asking = shard.asking
    by_reason: dict[str, int] = {}
    for (reason, _), n in asking.asked_by.items():
        by_reason[reason] = by_reason.get(reason, 0) + n
    return AskingReport(
        is_cold=asking.is_cold(classes),
        requests_n=asking.budget.asked_n,
        by_reason=by_reason,
        by_strategy=join_keys(asking.asked_by),
        by_class=dict(asking.asked_by_class),
        quota_missing_n=asking.quotas.count_missing(classes),
        duplicates_n=asking.duplicates.passed_over_n,
        rescored_n=dict(asking.open.rescored_n),
        propensity_min=asking.propensity_min,
        rounds_n=asking.rounds.n,
        rounds_by_reason=dict(asking.rounds.by_reason),
        last_round_at=dict(asking.rounds.last_at),
    )


def _report_budget(shard: Shard) -> BudgetReport:
    budget = shard.asking.budget
    return BudgetReport(
        available_n=budget.available_n,
        held_n=budget.held_n,
        spent_n=budget.asked_n - budget.refunded_n,
        refunded_n=budget.refunded_n,
        cap_n=budget.cap_n,
        labels_per_event=budget.labels_per_event(),
        is_exhausted=budget.is_exhausted,
    )


# --------------------------------------------------------------------------- labels and answers


def _report_labels(desk: Desk, now: float | None) -> LabelsReport:
    counts = desk.counts
    return LabelsReport(
        open_n=desk.open_n,
        stale_n=desk.stale_n(-math.inf if now is None else now),
        oldest_open_at=desk.oldest_open_at,
        settled_n=counts.requests.settled_n,
        disputed_n=counts.requests.disputed_n,
        expired_n=counts.requests.expired_n,
        withdrawn_n=counts.requests.withdrawn_n,
        revised_n=counts.requests.revised_n,
        asked_twice_n=counts.requests.asked_twice_n,
        by_class=dict(desk.labels_n),
    )


def _report_answers(desk: Desk) -> AnswersReport:
    counts, turnaround = desk.counts, desk.turnaround
    return AnswersReport(
        accepted_n=counts.answers.accepted_n,
        late_n=counts.answers.late_n,
        duplicate_n=counts.answers.duplicate_n,
        corrected_n=counts.answers.corrected_n,
        refused_n=counts.answers.refused_n,
        rejected_n=counts.answers.rejected_n,
        turnaround_counts=tuple(turnaround.counts),
        turnaround_sum_s=turnaround.sum_s,
        gold_questions_n=counts.gold.asked_n,
        gold_answers_n=counts.gold.answers_n,
    )


def _report_noise(trainer: Trainer, desks: Sequence[Desk], annotators: Annotators) -> NoiseReport:
    noise = trainer.noise
    return NoiseReport(
        label_shares=noise.shares,
        answer_share=annotators.estimate_error(
            max((len(desk.classes) for desk in desks), default=0)
        ),
        suspicious_n=noise.suspicious_n,
        suspicious=tuple(noise.latest),
        confirmed_n=sum(desk.counts.requests.confirmed_n for desk in desks),
        overruled_n=sum(desk.counts.requests.overruled_n for desk in desks),
        undecided_n=sum(desk.counts.requests.undecided_n for desk in desks),
    )


# ------------------------------------------------------------------------------------ the model


def _report_model(trainer: Trainer, shards: Sequence[Shard]) -> ModelReport:
    in_row_n: dict[Act, int] = {
        "learn": trainer.champion.learner.failed_in_row_n,
        "predict": max((shard.failed.in_row_n for shard in shards), default=0),
    }
    first = trainer.champion.learner.failures.first
    failing = tuple(act for act, n in in_row_n.items() if n >= FAILING_N)
    faults = [
        f"the model failed to {act} the last {in_row_n[act]:,} {_GIVEN[act]}"
        + (f" ({first[act]})" if act in first else "")
        for act in failing
    ]
    return ModelReport(
        version=trainer.version,
        learned_n=trainer.champion.learned_n,
        learned_at=trainer.champion.learned_at,
        unlearnable_n=trainer.champion.unlearnable_n,
        failures=_find_failures(trainer, shards),
        failing=failing,
        fault="; ".join(faults),
        memory_n=len(trainer.memory),
        parked_n=len(trainer.displaced.parked),
        temperature=trainer.champion.calibration.temperature,
        **trainer.champion.learner.describe_evidence(),
    )


_GIVEN: dict[Act, str] = {"learn": "labels", "predict": "events"}


def _find_failures(trainer: Trainer, shards: Sequence[Shard]) -> tuple[Failure, ...]:
    """Return the failures of the model, with counts, and those of a committee's members."""
    first = trainer.champion.learner.failures.first
    failed_n: dict[Act, int] = {
        "learn": trainer.champion.unlearnable_n,
        "predict": sum(shard.failed.n for shard in shards),
    }
    of_model = [
        Failure(who="model", act=act, n=n, error=first.get(act, ""))
        for act, n in failed_n.items()
        if n
    ]
    of_members = [
        Failure(who=name, act=act, n=None, error=error)
        for name, failures in trainer.champion.learner.failures_by_member().items()
        for act, error in failures.first.items()
    ]
    return (*of_model, *of_members)


def _report_retraining(trainer: Trainer) -> RetrainingReport:
    return RetrainingReport(
        ordered_n=trainer.retrainings.ordered_n,
        ordered_at=trainer.retrainings.ordered_at,
        adopted_n=trainer.retrainings.adopted_n,
        adopted_at=trainer.retrainings.adopted_at,
        kept_n=trainer.retrainings.kept_n,
        rolled_back_n=trainer.retrainings.rolled_back_n,
        is_open=trainer.retrainings.open_job is not None,
    )


def _report_estimates(
    settings: Settings, trainer: Trainer, evaluations: Sequence[Evaluation]
) -> EstimatesReport:
    window, whole, quality = join_evaluations(evaluations)
    return EstimatesReport(
        judged=settings.evaluation.judged,
        accuracy=window,
        accuracy_all=whole,
        quality=quality,
        choosing=trainer.twins.estimate(),
    )


def _drop_repeated(schemas: Sequence[Schema]) -> list[Schema]:
    """Return each schema object once: in one process shard and trainer share one."""
    return list({id(schema): schema for schema in schemas}.values())
