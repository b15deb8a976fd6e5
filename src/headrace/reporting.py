"""From the parts to one `Report`: an engine's, or those that a worker on Kafka has of a stream.

Counts are added up, of drift the worst is told, of propensities the lowest; the accuracy is
estimated over all shards together. Nothing is changed, and nothing is asked of a clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Protocol, TypeVar

import msgspec

from .label.annotators import TURNAROUND_BOUNDS_S, Annotator, Annotators
from .label.annotators import joined as joined_annotators
from .label.counts import Counts
from .label.desk import Desk
from .learn.evaluation import Evaluation, judged
from .learn.failures import FAILING_N, Act, check_start
from .learn.trainer import Trainer
from .limits import limits_reached
from .observe.drift import SHARES_MAX, DriftLevel, DriftMonitor
from .observe.schema import Schema
from .observe.shares import FeatureShares
from .observe.signals import CONFIDENCE_BOUNDS
from .report import AnnotatorReport, Failure, PartitionReport, Report, WorkerReport
from .settings import Settings
from .shard import Shard

K = TypeVar("K")
V = TypeVar("V")
N = TypeVar("N", int, float)

ANNOTATORS_MAX = 50
"""Annotators in `Report.annotators`: those with the most answers."""

NUMBERED_MAX = 10
"""Annotators in `Report.annotators_by_number`: the first ones; the others are added up."""

OTHERS = "(others)"


class OneOfEach(Protocol):
    """What an engine has, as far as a report tells of it."""

    settings: Settings
    trainer: Trainer
    shard: Shard
    desk: Desk


def report_of(engine: OneOfEach, worker: WorkerReport | None = None) -> Report:
    """The engine's numbers as they stand: one shard, one desk. `worker`: what the driver knows."""
    worker = worker or WorkerReport()
    if not worker.desk_partitions:
        worker = msgspec.structs.replace(worker, desk_partitions=(0,))
    shards, desks = {0: engine.shard}, {0: engine.desk}
    return report_of_parts(engine.settings, engine.trainer, shards, desks, worker=worker)


def report_of_parts(
    settings: Settings,
    trainer: Trainer,
    shards: Mapping[int, Shard],
    desks: Mapping[int, Desk],
    *,
    worker: WorkerReport | None = None,
) -> Report:
    """The numbers of these shards and desks together, by partition; there may be none of either.

    `labels_per_event` is the mean over the shards; `threshold` and `redundancy` are those of the
    shard whose last round was the latest.
    """
    worker = _with_partitions(worker or WorkerReport(), shards)
    schemas = _distinct([trainer.schema, *(shard.schema for shard in shards.values())])
    classes = tuple(dict.fromkeys(name for schema in schemas for name in schema.classes))
    parts = [
        _of_settings(settings),
        _of_events(list(shards.values()), classes, worker, trainer),
        _of_asking(settings, list(shards.values()), classes),
        _of_labels(
            settings, list(desks.values()), max(_nows([*shards.values()]), default=-math.inf)
        ),
        _of_model(trainer),
        _of_failures(trainer, list(shards.values())),
        _of_drift([shard for _, shard in sorted(shards.items())], classes),
        _of_accuracy([shard.evaluation for shard in shards.values()]),
    ]
    told: dict[str, Any] = {name: value for part in parts for name, value in part.items()}
    return Report(classes=classes, worker=worker, **told)


def check_model_starts(trainer: Trainer, shards: Iterable[Shard]) -> None:
    """Raise `BadSettings` when the model fails at all that it was given from the start."""
    of = list(shards)
    check_start(
        trainer.learner.failures,
        learned_n=trainer.learned_n,
        unlearnable_n=trainer.unlearnable_n,
        failed_n=sum(shard.failed.n for shard in of),
        failed_in_row_n=sum(shard.failed.in_row_n for shard in of),
    )


def partition_of(
    partition: int, shard: Shard, *, lag_n: int | None = None, lag_s: float | None = None
) -> PartitionReport:
    """What is told of one partition; `lag_n` in records, `lag_s` in seconds, where known."""
    return PartitionReport(
        partition=partition,
        lag_n=lag_n,
        lag_s=lag_s,
        events_n=shard.events_n,
        last_event_at=shard.now if shard.events_n else None,
        drift_level=shard.drift.level.name,
    )


def redated(report: Report, date: Callable[[float], float]) -> Report:
    """The same report with every time of the stream put through `date`, seconds to seconds.

    For a stream of the past, or one played faster than it came, that is shown as if it were live.
    """

    def moved(at: float | None) -> float | None:
        return None if at is None else date(at)

    partitions = tuple(
        msgspec.structs.replace(partition, last_event_at=moved(partition.last_event_at))
        for partition in report.worker.partitions
    )
    return msgspec.structs.replace(
        report,
        now=moved(report.now),
        last_round_at={reason: date(at) for reason, at in report.last_round_at.items()},
        oldest_open_at=moved(report.oldest_open_at),
        learned_at=moved(report.learned_at),
        retrained_at=moved(report.retrained_at),
        adopted_at=moved(report.adopted_at),
        drift_changed_at={level: date(at) for level, at in report.drift_changed_at.items()},
        drift_alarmed_at={watch: date(at) for watch, at in report.drift_alarmed_at.items()},
        drift_since=moved(report.drift_since),
        worker=msgspec.structs.replace(report.worker, partitions=partitions),
    )


# ------------------------------------------------------------------------------------ parts


def _with_partitions(worker: WorkerReport, shards: Mapping[int, Shard]) -> WorkerReport:
    if worker.partitions:
        return worker
    found = tuple(partition_of(number, shard) for number, shard in sorted(shards.items()))
    return msgspec.structs.replace(worker, partitions=found)


def _of_settings(settings: Settings) -> dict[str, Any]:
    return {
        "stream": settings.stream,
        "judged": settings.evaluation.judged,
        "cost_per_answer": settings.label.cost,
    }


def _of_events(
    shards: Sequence[Shard], classes: tuple[str, ...], worker: WorkerReport, trainer: Trainer
) -> dict[str, Any]:
    predicted_n = _added(shard.predicted_n for shard in shards)
    schemas = _distinct([shard.schema for shard in shards]) or [trainer.schema]
    windows = [(shard.schema, shard.window.since(0)) for shard in shards]
    vanished = [name for schema, window in windows for name in schema.vanished(window.rows)]
    confidences = [shard.confidences for shard in shards]
    clocks = [shard.admission.clock for shard in shards]
    rejected_n = [worker.rejected_n, *(shard.admission.rejected for shard in shards)]
    return {
        "now": max(_nows(shards), default=None),
        "events_n": sum(shard.events_n for shard in shards),
        "ahead_n": sum(clock.ahead_n + clock.waiting_n for clock in clocks),
        "behind_n": sum(clock.behind_n for clock in clocks),
        "rejected_n": _added(rejected_n),
        "predicted_n": {name: predicted_n[name] for name in classes if name in predicted_n},
        "confidence_counts": _columns([c.counts for c in confidences], len(CONFIDENCE_BOUNDS)),
        "confidence_sum": sum(c.sum for c in confidences),
        "features_n": max(schema.width for schema in schemas),
        "unknown_features_n": sum(schema.unknown_n for schema in schemas),
        "mistyped_n": sum(schema.mistyped_n for schema in schemas),
        "not_finite_n": sum(schema.not_finite_n for schema in schemas),
        "limits": limits_reached(
            schemas,
            sum(shard.asking.queue.given_up_n for shard in shards),
            dict.fromkeys(text for s in shards for text in s.asking.quotas.slices.values()),
        ),
        "vanished_features": tuple(dict.fromkeys(vanished)),
        "window_n": sum(len(window) for _, window in windows),
        "reservoir_n": sum(len(shard.reservoir) for shard in shards),
    }


def _of_asking(
    settings: Settings, shards: Sequence[Shard], classes: tuple[str, ...]
) -> dict[str, Any]:
    askings = [shard.asking for shard in shards]
    budgets = [asking.budget for asking in askings]
    latest = max(askings, key=lambda a: max(a.last_round_at.values(), default=-1.0), default=None)
    caps = [budget.cap_n for budget in budgets if budget.cap_n is not None]
    return {
        "strategy": latest.strategy_name if latest else settings.query.strategy,
        "is_cold": any(asking.is_cold(classes) for asking in askings),
        "asked_n": sum(budget.asked_n for budget in budgets),
        "asked_by_reason": _added(_by_reason(asking.asked_by) for asking in askings),
        "asked_by": _added(_named(asking.asked_by) for asking in askings),
        "asked_by_class": _added(asking.asked_by_class for asking in askings),
        "quota_missing_n": _highest(asking.quotas.missing(classes) for asking in askings),
        "duplicates_n": sum(asking.duplicates.passed_over_n for asking in askings),
        "rescored_n": _added(asking.open.rescored_n for asking in askings),
        "refunded_n": sum(budget.refunded_n for budget in budgets),
        "budget_available_n": sum(budget.available_n for budget in budgets),
        "budget_held_n": sum(budget.held_n for budget in budgets),
        "budget_cap_n": sum(caps) if caps else None,
        "labels_per_event": sum(budget.labels_per_event() for budget in budgets)
        / max(1, len(budgets)),
        "is_exhausted": bool(budgets) and all(budget.is_exhausted for budget in budgets),
        "rounds_n": sum(asking.rounds_n for asking in askings),
        "rounds_by_reason": _added(asking.rounds_by_reason for asking in askings),
        "last_round_at": _highest(asking.last_round_at for asking in askings),
        "threshold": latest.threshold if latest else 0.0,
        "redundancy": latest.redundancy if latest else None,
        "propensity_min": min((asking.propensity_min for asking in askings), default=1.0),
    }


def _of_labels(settings: Settings, desks: Sequence[Desk], now: float) -> dict[str, Any]:
    counts = {
        field.name: sum(getattr(desk.counts, field.name) for desk in desks)
        for field in fields(Counts)
    }
    oldest = [desk.oldest_open_at for desk in desks if desk.oldest_open_at is not None]
    annotators = (
        desks[0].annotators
        if len(desks) == 1
        else joined_annotators([desk.annotators for desk in desks])
    )
    turnarounds = [desk.turnaround for desk in desks]
    return {
        **{name: counts[name] for name in _TOLD},
        "answers_rejected_n": counts["rejected_n"],
        "open_n": sum(desk.open_n for desk in desks),
        "stale_n": sum(desk.stale_n(now) for desk in desks),
        "oldest_open_at": min(oldest, default=None),
        "labels_by_class": _added(desk.labels_n for desk in desks),
        "agreement": annotators.alpha,
        "answer_error": annotators.error(max((len(desk.classes) for desk in desks), default=0)),
        "annotators_n": len(annotators.by_name),
        "annotators": _most_active(annotators),
        "annotators_by_number": _by_number(annotators),
        "turnaround_counts": _columns(
            [t.counts for t in turnarounds], len(TURNAROUND_BOUNDS_S) + 1
        ),
        "turnaround_sum_s": sum(t.sum_s for t in turnarounds),
    }


_TOLD = (
    "settled_n",
    "disputed_n",
    "expired_n",
    "withdrawn_n",
    "confirmed_n",
    "overruled_n",
    "undecided_n",
    "accepted_n",
    "late_n",
    "duplicate_n",
    "gold_asked_n",
    "gold_answers_n",
    "corrected_n",
    "refused_n",
)


def _of_model(trainer: Trainer) -> dict[str, Any]:
    return {
        "model_version": trainer.version,
        "learned_n": trainer.learned_n,
        "learned_at": trainer.learned_at,
        "temperature": trainer.calibration.temperature,
        "choosing": trainer.twins.estimate(),
        "label_noise": trainer.noise.shares,
        "suspicious_n": trainer.noise.suspicious_n,
        "suspicious": tuple(trainer.noise.latest),
        "memory_n": len(trainer.memory),
        "retrained_n": trainer.retrained_n,
        "retrained_at": trainer.ordered_at,
        "adopted_n": trainer.adopted_n,
        "adopted_at": trainer.adopted_at,
        "kept_n": trainer.kept_n,
        "rolled_back_n": trainer.rolled_back_n,
        "parked_n": len(trainer.parked),
        **trainer.learner.evidence_told(),
        "is_retraining": trainer.open_job is not None,
    }


def _of_failures(trainer: Trainer, shards: Sequence[Shard]) -> dict[str, Any]:
    """What the model failed at, what its members did, and what it fails at all the time."""
    first = trainer.learner.failures.first
    failed_n: dict[Act, int] = {
        "learn": trainer.unlearnable_n,
        "predict": sum(shard.failed.n for shard in shards),
    }
    in_row_n: dict[Act, int] = {
        "learn": trainer.learner.failed_in_row_n,
        "predict": max((shard.failed.in_row_n for shard in shards), default=0),
    }
    found = [
        Failure(who="model", act=act, n=n, error=first.get(act, ""))
        for act, n in failed_n.items()
        if n
    ]
    for name, failures in trainer.learner.failures_by_member().items():
        found += [
            Failure(who=name, act=act, n=None, error=error) for act, error in failures.first.items()
        ]
    failing = tuple(act for act, n in in_row_n.items() if n >= FAILING_N)
    faults = [
        f"the model failed to {act} the last {in_row_n[act]:,} {_GIVEN[act]}"
        + (f" ({first[act]})" if act in first else "")
        for act in failing
    ]
    return {
        "unlearnable_n": failed_n["learn"],
        "failed_predictions_n": failed_n["predict"],
        "failures": tuple(found),
        "failing": failing,
        "model_fault": "; ".join(faults),
    }


_GIVEN: dict[Act, str] = {"learn": "labels", "predict": "events"}


def _of_drift(shards: Sequence[Shard], classes: tuple[str, ...]) -> dict[str, Any]:
    monitors = [shard.drift for shard in shards]
    level = max((monitor.level for monitor in monitors), default=DriftLevel.STABLE)
    ratios = _highest(monitor.feature_ratios for monitor in monitors)
    shares: dict[str, FeatureShares] = {}
    # Of a feature that several shards show, the one where it moved most.
    for monitor in sorted(monitors, key=lambda m: -max(m.feature_ratios.values(), default=0.0)):
        for name, found in monitor.feature_shares.items():
            if monitor.feature_ratios[name] == ratios[name]:
                shares.setdefault(name, found)
    worst = sorted(shares, key=lambda name: -ratios[name])[:SHARES_MAX]
    return {
        "drift_level": level.name,
        "drift_changes_n": _added(monitor.changes_n for monitor in monitors),
        "drift_changed_at": _highest(monitor.changed_at for monitor in monitors),
        **_causes(monitors, level),
        "drift_statistics": _highest(_named(m.statistics) for m in monitors),
        "drift_alarms_n": _added(_named(m.alarms_n) for m in monitors),
        "drift_alarmed_at": _highest(_named(m.alarmed_at) for m in monitors),
        "feature_psi": _highest(monitor.feature_psi for monitor in monitors),
        "feature_ratios": ratios,
        "feature_shares": {name: shares[name] for name in worst},
        "class_shares": _class_shares(shards, classes),
    }


def _causes(monitors: Sequence[DriftMonitor], level: DriftLevel) -> dict[str, Any]:
    """Why the level stands where it stands: of the partitions that hold it, the first to see it."""
    rises = [m.last_rise for m in monitors if m.level == level > DriftLevel.STABLE and m.last_rise]
    first = min(rises, key=lambda rise: rise.at, default=None)
    return {
        "drift_since": first.since if first else None,
        "drift_features": first.features if first else (),
        "drift_classes": first.classes if first else (),
    }


def _class_shares(
    shards: Sequence[Shard], classes: tuple[str, ...]
) -> dict[str, tuple[float, float]]:
    """By class, (past, now): the share of the predictions."""
    sides = []
    for side in (0, 1):
        counts = _added(
            dict(zip(shard.schema.classes, shard.drift.class_counts[side], strict=False))
            for shard in shards
        )
        total_n = sum(counts.values())
        sides.append({name: n / total_n for name, n in counts.items()} if total_n else {})
    past, now = sides
    named = [name for name in classes if name in past or name in now]
    return {name: (past.get(name, 0.0), now.get(name, 0.0)) for name in named}


def _of_accuracy(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    window, whole, quality = judged(evaluations)
    return {
        "accuracy": window,
        "accuracy_all": whole,
        "quality": quality,
        "unpredicted_n": sum(evaluation.unpredicted_n for evaluation in evaluations),
    }


# ------------------------------------------------------------------------------- annotators


def _most_active(annotators: Annotators) -> tuple[AnnotatorReport, ...]:
    """Those with the most answers, and nobody beyond a fixed number."""
    told = [
        _annotator(name, number, counts)
        for number, (name, counts) in enumerate(annotators.by_name.items(), start=1)
    ]
    return tuple(sorted(told, key=lambda a: (-a.answers_n, a.name))[:ANNOTATORS_MAX])


def _by_number(annotators: Annotators) -> tuple[AnnotatorReport, ...]:
    """The first ones in order of their first answer, and all others as one, who is always there."""
    numbered = list(annotators.by_name.items())
    others = Annotator()
    for counts in (annotators.others, *(counts for _, counts in numbered[NUMBERED_MAX:])):
        others.add(counts)
    first = [
        _annotator(name, number, counts)
        for number, (name, counts) in enumerate(numbered[:NUMBERED_MAX], start=1)
    ]
    return (*first, _annotator(OTHERS, 0, others))


def _annotator(name: str, number: int, counts: Annotator) -> AnnotatorReport:
    return AnnotatorReport(
        name=name,
        number=number,
        answers_n=counts.answers_n,
        refused_n=counts.refused_n,
        compared_n=counts.compared_n,
        agreed_n=counts.agreed_n,
        latency_s=counts.latency_s,
        timed_n=counts.timed_n,
        log_s=counts.log_s,
        log_squares=counts.log_squares,
        falls_n=counts.steadiness.falls_n,
        fall=counts.steadiness.fall,
        gold_n=counts.gold_n,
        gold_right_n=counts.gold_right_n,
        by_class=dict(counts.by_class),
    )


# ------------------------------------------------------------------------------- arithmetic


def _nows(shards: Sequence[Shard]) -> list[float]:
    return [shard.now for shard in shards if math.isfinite(shard.now)]


def _distinct(schemas: Sequence[Schema]) -> list[Schema]:
    """Each object once: in one process shard and trainer share a schema."""
    return list({id(schema): schema for schema in schemas}.values())


def _added(parts: Iterable[Mapping[K, int]]) -> dict[K, int]:
    total: dict[K, int] = {}
    for part in parts:
        for key, n in part.items():
            total[key] = total.get(key, 0) + n
    return total


def _highest(parts: Iterable[Mapping[K, N]]) -> dict[K, N]:
    highest: dict[K, N] = {}
    for part in parts:
        for key, value in part.items():
            highest[key] = max(value, highest.get(key, value))
    return highest


def _columns(parts: Sequence[Sequence[int]], width: int) -> tuple[int, ...]:
    return tuple(sum(part[i] for part in parts) for i in range(width))


def _named(values: Mapping[Any, V]) -> dict[str, V]:
    """The same by one text: keys of several parts are joined by slashes."""
    return {"/".join(key): value for key, value in values.items()}


def _by_reason(asked_by: dict[tuple[str, str], int]) -> dict[str, int]:
    """Requests by the reason of the decision, in order of its first."""
    by_reason: dict[str, int] = {}
    for (reason, _), n in asked_by.items():
        by_reason[reason] = by_reason.get(reason, 0) + n
    return by_reason
