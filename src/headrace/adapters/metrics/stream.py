"""The metrics of events, partitions and the worker itself."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import version
from operator import attrgetter
from typing import Any

from ...flow.places import LOGS_READ
from ...messages import Reason
from ...observe.drift import DriftLevel
from ...observe.signals import CONFIDENCE_BOUNDS
from ...report import PartitionReport, Report
from ...report.limits import LIMITS
from ...report.numbers import find_number
from .catalogue import (
    Buckets,
    Exported,
    compute_by,
    define_by_label,
    define_gathered,
    define_metric,
    per_class,
)

IGNORED = ("unknown", "mistyped", "not_finite", "other_category", "number_in_text")
RESTARTS = ("brokers", "network", "fenced", "partitions")


def _read_ignored(report: Report) -> list[tuple[str, float]]:
    reached = {limit.kind: limit.n for limit in report.limits}
    counts = (
        report.schema.unknown_n,
        report.schema.mistyped_n,
        report.schema.not_finite_n,
        reached.get("categories", 0),
        reached.get("numbers_in_texts", 0),
    )
    return list(zip(IGNORED, counts, strict=True))


def _by_partition(
    name: str, field: str, convert: Callable[[Any], float | None] = lambda value: value
) -> Exported:
    note, read = find_number(PartitionReport, field), attrgetter(field)
    return compute_by(
        "partition",
        name,
        note.unit,
        note.about,
        lambda report: [(str(p.partition), convert(read(p))) for p in report.worker.partitions],
        over=note.reducer.over,
    )


EVENTS = (
    define_metric("headrace_events_observed_total", "events.observed_n"),
    define_by_label(
        "reason",
        "headrace_inputs_rejected_total",
        "events.rejected_n",
        closed=[reason.value for reason in Reason],
    ),
    define_gathered(
        "side",
        "headrace_events_off_clock",
        "events",
        "Events so far whose time was too far from the stream's clock: ahead of it, so that they "
        "did not move it, or behind it.",
        {"ahead": "events.ahead_n", "behind": "events.behind_n"},
    ),
    define_metric("headrace_last_event_timestamp_seconds", "events.last_at"),
    define_metric("headrace_window_events", "events.window_n"),
    define_metric("headrace_reservoir_events", "events.reservoir_n"),
    per_class("headrace_predictions_total", "events.predicted_n"),
    Exported(
        name="headrace_prediction_confidence_ratio",
        kind="histogram",
        unit="0 to 1",
        about="Probability of the predicted class.",
        read=lambda r: [
            ((), Buckets(CONFIDENCE_BOUNDS, r.events.confidence_counts, r.events.confidence_sum))
        ],
    ),
    define_metric("headrace_predictions_failed_total", "events.failed_predictions_n"),
    define_metric("headrace_features", "schema.features_n"),
    define_metric("headrace_features_appeared_total", "schema.appeared_n"),
    define_metric("headrace_features_vanished", "schema.vanished", len),
    compute_by(
        "kind",
        "headrace_feature_values_ignored_total",
        "values",
        "Values that were not used as they came. unknown: the feature found no room; mistyped: of "
        "another kind than the feature; not_finite: infinite; other_category: one category too "
        "many; number_in_text: a number taken as a category.",
        _read_ignored,
        closed=IGNORED,
    ),
    compute_by(
        "limit",
        "headrace_limit_reached",
        "0 or 1",
        "1 if this limit was reached, else 0. The closing table, the page of a run and the live "
        "view say which setting helps.",
        lambda r: [(kind, any(limit.kind == kind for limit in r.limits)) for kind in LIMITS],
        closed=LIMITS,
        over="max",
    ),
)

PARTITIONS = (
    _by_partition("headrace_partition_events_total", "events_n"),
    _by_partition("headrace_partition_last_event_timestamp_seconds", "last_event_at"),
    _by_partition("headrace_partition_lag_records", "lag_n"),
    _by_partition("headrace_partition_lag_seconds", "lag_s"),
    _by_partition("headrace_partition_drift_level", "drift_level", DriftLevel.__getitem__),
)

WORKER = (
    define_metric("headrace_desk_partitions", "worker.desk_partitions", len),
    define_metric("headrace_training_log_offset", "worker.training_offset"),
    define_metric("headrace_training_log_lag_records", "worker.training_lag_n"),
    define_metric("headrace_worker_is_decider", "worker.is_decider"),
    define_metric("headrace_rebalances_total", "worker.rebalances_n"),
    define_by_label(
        "reason", "headrace_session_restarts_total", "worker.restarts_n", closed=RESTARTS
    ),
    define_by_label("log", "headrace_records_lost_total", "worker.lost_n", closed=LOGS_READ),
    define_metric("headrace_recomputed_decisions_different_total", "worker.recomputed_n"),
    define_metric("headrace_worker_rules_differing", "worker.differing_n"),
    define_metric("headrace_last_rebalance_timestamp_seconds", "worker.rebalanced_at"),
    define_metric("headrace_snapshot_last_timestamp_seconds", "worker.snapshots.written_at"),
    define_metric("headrace_snapshot_size_bytes", "worker.snapshots.bytes_n"),
    define_gathered(
        "kind",
        "headrace_snapshot_failures_total",
        "snapshots",
        "Snapshots that could not be written (write), or that were found and not trusted, because "
        "they were damaged or tampered with (refused).",
        {"write": "worker.snapshots.failed_n", "refused": "worker.snapshots.refused_n"},
    ),
    Exported(
        name="headrace_build_info",
        kind="info",
        unit="1",
        about="Always 1. The labels are the versions that are running.",
        read=lambda _: [((version("headrace"), platform.python_version(), version("river")), 1.0)],
        labels=("version", "python", "river"),
        over="each",
    ),
)
