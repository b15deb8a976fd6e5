"""The metrics of events, partitions and the worker itself."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import version

from ...flow.places import LOGS_READ
from ...limits import LIMITS
from ...messages import Reason
from ...observe.signals import CONFIDENCE_BOUNDS
from ...report import PartitionReport, Report
from .catalogue import Buckets, Exported, Over, by, by_class, plain

IGNORED = ("unknown", "mistyped", "not_finite", "other_category", "number_in_text")
SIDES = ("ahead", "behind")
SNAPSHOT_FAULTS = ("write", "refused")
RESTARTS = ("brokers", "network", "fenced", "partitions")


def _read_ignored(report: Report) -> list[tuple[str, float]]:
    reached = {limit.kind: limit.n for limit in report.limits}
    counts = (
        report.unknown_features_n,
        report.mistyped_n,
        report.not_finite_n,
        reached.get("categories", 0),
        reached.get("numbers_in_texts", 0),
    )
    return list(zip(IGNORED, counts, strict=True))


def _of_partitions(
    name: str,
    unit: str,
    about: str,
    value: Callable[[PartitionReport], float | None],
    over: Over = "max",
) -> Exported:
    return by(
        "partition",
        name,
        unit,
        about,
        lambda report: [(str(p.partition), value(p)) for p in report.worker.partitions],
        over=over,
    )


EVENTS = (
    plain(
        "headrace_events_observed_total", "events", "Events scored and kept.", lambda r: r.events_n
    ),
    by(
        "reason",
        "headrace_inputs_rejected_total",
        "inputs",
        "Inputs that could not be used, by reason.",
        lambda r: [(reason.value, r.rejected_n.get(reason.value, 0)) for reason in Reason],
        closed=[reason.value for reason in Reason],
    ),
    by(
        "side",
        "headrace_events_off_clock",
        "events",
        "Events so far that are further from the clock than it follows one: ahead, or behind.",
        lambda r: [("ahead", r.ahead_n), ("behind", r.behind_n)],
        closed=SIDES,
    ),
    plain(
        "headrace_last_event_timestamp_seconds",
        "seconds",
        "Time of the newest event.",
        lambda r: r.now,
        over="max",
    ),
    plain("headrace_window_events", "events", "Events in the window.", lambda r: r.window_n),
    plain(
        "headrace_reservoir_events",
        "events",
        "Events in the sample of the past.",
        lambda r: r.reservoir_n,
    ),
    by(
        "class",
        "headrace_predictions_total",
        "predictions",
        "Predictions, by predicted class.",
        lambda r: by_class(r.predicted_n, r.classes),
    ),
    Exported(
        name="headrace_prediction_confidence_ratio",
        kind="histogram",
        unit="0 to 1",
        about="Probability of the predicted class.",
        read=lambda r: [((), Buckets(CONFIDENCE_BOUNDS, r.confidence_counts, r.confidence_sum))],
    ),
    plain(
        "headrace_predictions_failed_total",
        "predictions",
        "Events on which a model that has learned failed.",
        lambda r: r.failed_predictions_n,
    ),
    plain("headrace_features", "features", "Features known.", lambda r: r.features_n, over="max"),
    plain(
        "headrace_features_vanished",
        "features",
        "Features known that no event in the window has a value for.",
        lambda r: len(r.vanished_features),
        over="max",
    ),
    by(
        "kind",
        "headrace_feature_values_ignored_total",
        "values",
        "Values not used as they came: of a feature too many, of another kind than its feature, "
        "infinite, of a category too many, or a number taken as a category.",
        _read_ignored,
        closed=IGNORED,
    ),
    by(
        "limit",
        "headrace_limit_reached",
        "0 or 1",
        "1: this limit was reached; the closing table, the page of a run and the live view say "
        "which setting helps.",
        lambda r: [(kind, any(limit.kind == kind for limit in r.limits)) for kind in LIMITS],
        closed=LIMITS,
        over="max",
    ),
)

PARTITIONS = (
    _of_partitions(
        "headrace_partition_events_total",
        "events",
        "Events scored and kept, by partition.",
        lambda p: p.events_n,
    ),
    _of_partitions(
        "headrace_partition_last_event_timestamp_seconds",
        "seconds",
        "Time of the newest event, by partition; the event age is what the clock is ahead of it.",
        lambda p: p.last_event_at,
    ),
    _of_partitions(
        "headrace_partition_lag_records",
        "records",
        "Records that are there and not fed yet.",
        lambda p: p.lag_n,
    ),
    _of_partitions(
        "headrace_partition_lag_seconds",
        "seconds",
        "How far the clock is ahead of the record fed last; 0 where none waits.",
        lambda p: p.lag_s,
    ),
    _of_partitions(
        "headrace_partition_drift_level",
        "level",
        "0 STABLE, 1 WARNING, 2 DRIFT, by partition.",
        lambda p: ("STABLE", "WARNING", "DRIFT").index(p.drift_level),
    ),
)

WORKER = (
    plain(
        "headrace_desk_partitions",
        "partitions",
        "Partitions of requests and answers that are looked after here.",
        lambda r: len(r.worker.desk_partitions),
    ),
    plain(
        "headrace_training_log_offset",
        "records",
        "Place in the training log that comes next; the same on every worker that keeps up.",
        lambda r: r.worker.training_offset,
        over="each",
    ),
    plain(
        "headrace_training_log_lag_records",
        "records",
        "Records of the training log that are there and not folded yet.",
        lambda r: r.worker.training_lag_n,
        over="max",
    ),
    plain(
        "headrace_worker_is_decider",
        "0 or 1",
        "1: orders retraining and judges challengers; one worker does.",
        lambda r: r.worker.is_decider,
    ),
    plain(
        "headrace_rebalances_total",
        "rebalances",
        "Times that partitions were handed out anew.",
        lambda r: r.worker.rebalances_n,
        over="max",
    ),
    by(
        "reason",
        "headrace_session_restarts_total",
        "restarts",
        "Times that this worker connected to Kafka anew, by why.",
        lambda r: [(reason, r.worker.restarts_n.get(reason, 0)) for reason in RESTARTS],
        closed=RESTARTS,
    ),
    by(
        "log",
        "headrace_records_lost_total",
        "records",
        "Records that were deleted before they were read, by the setting of their topic.",
        lambda r: [(log, r.worker.lost_n.get(log, 0)) for log in LOGS_READ],
        closed=LOGS_READ,
    ),
    plain(
        "headrace_recomputed_decisions_different_total",
        "decisions",
        "Decisions of a journal that came out otherwise when they were made again, as on another "
        "processor; what was asked then holds.",
        lambda r: r.worker.recomputed_n,
    ),
    plain(
        "headrace_worker_rules_differing",
        "rules",
        "Settings, versions and modules of code of your own that the worker which started last has "
        "otherwise than this one.",
        lambda r: r.worker.differing_n,
        over="max",
    ),
    plain(
        "headrace_last_rebalance_timestamp_seconds",
        "seconds",
        "When that was last.",
        lambda r: r.worker.rebalanced_at,
        over="max",
    ),
    plain(
        "headrace_snapshot_last_timestamp_seconds",
        "seconds",
        "When the last snapshot was written.",
        lambda r: r.worker.snapshot_at,
        over="min",
    ),
    plain(
        "headrace_snapshot_size_bytes",
        "bytes",
        "Size of the last snapshot.",
        lambda r: r.worker.snapshot_bytes,
        over="max",
    ),
    by(
        "kind",
        "headrace_snapshot_failures_total",
        "snapshots",
        "Snapshots that could not be written, or were there and not trusted: damaged, or tampered.",
        lambda r: [
            ("write", r.worker.snapshot_failed_n),
            ("refused", r.worker.snapshot_refused_n),
        ],
        closed=SNAPSHOT_FAULTS,
    ),
    Exported(
        name="headrace_build_info",
        kind="info",
        unit="1",
        about="Always 1; what is running.",
        read=lambda _: [((version("headrace"), platform.python_version(), version("river")), 1.0)],
        labels=("version", "python", "river"),
        over="each",
    ),
)
