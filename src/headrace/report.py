"""One frozen Report of numbers about an engine: what every adapter reads, and all it reads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from .learn.evaluation import Estimate

if TYPE_CHECKING:
    from .engine import Engine


class AnnotatorReport(msgspec.Struct, frozen=True, kw_only=True):
    """One annotator; shares are of answers that could be compared with a settled label."""

    name: str
    answers_n: int
    refused_n: int
    compared_n: int
    agreed_n: int
    mean_latency_s: float | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Frozen numbers. Times are seconds since the epoch, shares 0 to 1, `_n` counts since start.

    `accuracy` is over the latest window of events, `accuracy_all` over the whole stream; both are
    estimates from the labels bought, with the naive share beside them. `drift_statistics` are by
    "signal/detector", each divided by its own threshold.
    """

    stream: str
    now: float | None
    events_n: int
    rejected_n: dict[str, int]
    predicted_n: dict[str, int]
    features_n: int
    unknown_features_n: int
    mistyped_n: int
    not_finite_n: int
    vanished_features: tuple[str, ...]
    classes: tuple[str, ...]

    strategy: str
    is_cold: bool
    asked_n: int
    asked_by_reason: dict[str, int]
    refunded_n: int
    budget_available_n: int
    budget_held_n: int
    labels_per_event: float
    is_exhausted: bool
    rounds_n: int
    threshold: float
    propensity_min: float
    window_n: int
    reservoir_n: int

    open_n: int
    oldest_open_at: float | None
    settled_n: int
    disputed_n: int
    expired_n: int
    withdrawn_n: int
    late_n: int
    duplicate_n: int
    corrected_n: int
    refused_n: int
    answers_rejected_n: int
    labels_by_class: dict[str, int]
    agreement: float | None
    annotators: tuple[AnnotatorReport, ...]
    turnaround_counts: tuple[int, ...]
    turnaround_sum_s: float

    model_version: int
    learned_n: int
    unlearnable_n: int
    failed_predictions_n: int
    memory_n: int
    retrained_n: int
    adopted_n: int
    kept_n: int
    is_retraining: bool

    drift_level: str
    drift_statistics: dict[str, float]
    drift_alarms_n: dict[str, int]
    feature_psi: dict[str, float]

    accuracy: Estimate
    accuracy_all: Estimate


ANNOTATORS_MAX = 50


def report_of(engine: Engine) -> Report:
    """The engine's numbers as they stand; changes nothing."""
    shard, desk, trainer, schema = engine.shard, engine.desk, engine.trainer, engine.schema
    asking, counts = shard.asking, desk.counts
    window = shard.window.since(0)
    return Report(
        stream=engine.settings.stream,
        now=engine.now if math.isfinite(engine.now) else None,
        events_n=shard.events_n,
        rejected_n=dict(shard.admission.rejected),
        predicted_n={c: shard.predicted_n[c] for c in schema.classes if c in shard.predicted_n},
        features_n=schema.width,
        unknown_features_n=schema.unknown_n,
        mistyped_n=schema.mistyped_n,
        not_finite_n=schema.not_finite_n,
        vanished_features=schema.vanished(window.rows),
        classes=tuple(schema.classes),
        strategy=asking.strategy_name,
        is_cold=asking.is_cold(schema.classes),
        asked_n=asking.budget.asked_n,
        asked_by_reason=dict(asking.asked_by_reason),
        refunded_n=asking.budget.refunded_n,
        budget_available_n=asking.budget.available_n,
        budget_held_n=asking.budget.held_n,
        labels_per_event=asking.budget.labels_per_event(),
        is_exhausted=asking.budget.is_exhausted,
        rounds_n=asking.rounds_n,
        threshold=asking.threshold,
        propensity_min=asking.propensity_min,
        window_n=len(window),
        reservoir_n=len(shard.reservoir),
        open_n=desk.open_n,
        oldest_open_at=desk.oldest_open_at,
        settled_n=counts.settled_n,
        disputed_n=counts.disputed_n,
        expired_n=counts.expired_n,
        withdrawn_n=counts.withdrawn_n,
        late_n=counts.late_n,
        duplicate_n=counts.duplicate_n,
        corrected_n=counts.corrected_n,
        refused_n=counts.refused_n,
        answers_rejected_n=counts.rejected_n,
        labels_by_class=dict(asking.class_labels_n),
        agreement=desk.annotators.alpha,
        annotators=_annotators(engine),
        turnaround_counts=tuple(desk.turnaround.counts),
        turnaround_sum_s=desk.turnaround.sum_s,
        model_version=trainer.version,
        learned_n=trainer.learned_n,
        unlearnable_n=trainer.unlearnable_n,
        failed_predictions_n=trainer.learner.failed_predictions_n,
        memory_n=len(trainer.memory),
        retrained_n=trainer.retrained_n,
        adopted_n=trainer.adopted_n,
        kept_n=trainer.kept_n,
        is_retraining=trainer.open_job is not None,
        drift_level=shard.drift.level.name,
        drift_statistics={f"{s}/{d}": v for (s, d), v in shard.drift.statistics.items()},
        drift_alarms_n={"/".join(key): n for key, n in shard.drift.alarms_n.items()},
        feature_psi=dict(shard.drift.feature_psi),
        accuracy=shard.evaluation.estimate(),
        accuracy_all=shard.evaluation.estimate_all(),
    )


def _annotators(engine: Engine) -> tuple[AnnotatorReport, ...]:
    """Those with the most answers, and nobody beyond a fixed number."""
    by_name = engine.desk.annotators.by_name
    names = sorted(by_name, key=lambda name: (-by_name[name].answers_n, name))[:ANNOTATORS_MAX]
    return tuple(
        AnnotatorReport(
            name=name,
            answers_n=by_name[name].answers_n,
            refused_n=by_name[name].refused_n,
            compared_n=by_name[name].compared_n,
            agreed_n=by_name[name].agreed_n,
            mean_latency_s=by_name[name].mean_latency_s,
        )
        for name in names
    )
