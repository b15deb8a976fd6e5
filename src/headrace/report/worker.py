"""The sections about the worker: its partitions, its snapshots, its place in the logs.

Times in `WorkerReport` and `SnapshotsReport` are those of the wall clock, times in
`PartitionReport` those of the stream.
"""

from __future__ import annotations

from dataclasses import dataclass

from .numbers import EACH, MAX, MIN, SUM, by_key, number, optional


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionReport:
    """One partition of the events, and its shard; lags are None where they are not known."""

    partition: int
    events_n: int = number("events", "Events scored and kept, by partition.", MAX)
    last_event_at: float | None = optional(
        "seconds",
        "Time of the newest event of each partition; time() minus this is its age. No sample "
        "before the first event.",
    )
    lag_n: int | None = optional(
        "records",
        "Records of the partition that are not processed yet. No sample while that is not known.",
    )
    lag_s: float | None = optional(
        "seconds",
        "While records wait: how long ago the record that was read last had come to its "
        "topic. 0 while none waits.",
    )
    drift_level: str = number(
        "level",
        "Drift level of each partition: 0 STABLE, 1 WARNING, 2 DRIFT.",
        MAX,
        default="STABLE",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotsReport:
    """The snapshots that were written, that could not be written, or were not trusted."""

    written_at: float | None = optional(
        "seconds", "When the last snapshot was written. No sample before the first.", MIN
    )
    bytes_n: int | None = optional("bytes", "Size of the last snapshot.")
    failed_n: int = number("snapshots", "Snapshots that could not be written.")
    refused_n: int = number("snapshots", "Snapshots that were found and not trusted.")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """The driver's numbers. Without `partitions` those of the shards are shown, without lag.

    `rejected_n` counts, by reason, inputs that never reached a part; `lost_n` counts records by
    log.
    """

    partitions: tuple[PartitionReport, ...] = number(
        "partitions", "Partitions of the events that this worker processes.", EACH, default=()
    )
    desk_partitions: tuple[int, ...] = number(
        "partitions",
        "Partitions of requests and answers that this worker looks after.",
        SUM,
        default=(),
    )
    training_offset: int | None = optional(
        "records",
        "Offset of the training log record that this worker takes next. The same on every worker "
        "that keeps up.",
        EACH,
    )
    training_lag_n: int | None = optional(
        "records",
        "Records of the training log that this worker has read but not yet taken into its model. "
        "It reads about 5,000 ahead at most.",
    )
    is_decider: bool = number(
        "0 or 1",
        "1 if this worker orders retraining and judges challengers, else 0. One worker of the "
        "stream does.",
        default=True,
    )
    rebalances_n: int = number(
        "rebalances", "Times that the partitions were distributed anew among the workers.", MAX
    )
    rebalanced_at: float | None = optional(
        "seconds", "When the partitions were last distributed anew."
    )
    snapshots: SnapshotsReport = number(
        "snapshots", "The snapshots of this worker.", EACH, default=SnapshotsReport()
    )
    rejected_n: dict[str, int] = by_key("inputs", "Inputs that could not be used, by reason.")
    restarts_n: dict[str, int] = by_key(
        "restarts", "Times that this worker had to connect to Kafka again, by reason."
    )
    lost_n: dict[str, int] = by_key(
        "records",
        "Records that were deleted before they were read, by the setting in [kafka] that "
        "names their topic.",
    )
    recomputed_n: int = number(
        "decisions",
        "Decisions from a journal that came out differently when this worker made them again, for "
        "example on another kind of processor. What was asked before holds.",
    )
    differing_n: int = number(
        "rules",
        "Settings, versions and modules of your own code in which this worker differs from the "
        "worker that started last.",
        MAX,
    )
