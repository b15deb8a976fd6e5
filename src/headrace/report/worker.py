"""What only the driver around the parts knows: partitions, logs, snapshots, restarts.

Times are by the clock of the day, seconds, but for `PartitionReport.last_event_at`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .numbers import EACH, MAX, MIN, SUM, by_key, number, optional


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionReport:
    """One partition of the events, and its shard; lags are None where nobody knows."""

    partition: int
    events_n: int = number("events", "Events scored and kept, by partition.", MAX)
    last_event_at: float | None = optional(
        "seconds",
        "Time of the newest event, by partition; the event age is what the clock is ahead of it.",
    )
    lag_n: int | None = optional("records", "Records that are there and not fed yet.")
    lag_s: float | None = optional(
        "seconds", "How far the clock is ahead of the record fed last; 0 where none waits."
    )
    drift_level: str = number(
        "level", "0 STABLE, 1 WARNING, 2 DRIFT, by partition.", MAX, default="STABLE"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotsReport:
    """Snapshots that were written, and those that could not be, or were not trusted."""

    written_at: float | None = optional("seconds", "When the last snapshot was written.", MIN)
    bytes_n: int | None = optional("bytes", "Size of the last snapshot.")
    failed_n: int = number("snapshots", "Snapshots that could not be written.")
    refused_n: int = number("snapshots", "Snapshots that were there and not trusted.")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """What the driver knows. Without `partitions` those of the shards are shown, without lag.

    `rejected_n` counts inputs that no part ever saw, by reason, `lost_n` records by log.
    """

    partitions: tuple[PartitionReport, ...] = number(
        "partitions", "Partitions of the events that are fed here.", EACH, default=()
    )
    desk_partitions: tuple[int, ...] = number(
        "partitions",
        "Partitions of requests and answers that are looked after here.",
        SUM,
        default=(),
    )
    training_offset: int | None = optional(
        "records",
        "Place in the training log that comes next; the same on every worker that keeps up.",
        EACH,
    )
    training_lag_n: int | None = optional(
        "records", "Records of the training log that are there and not folded yet."
    )
    is_decider: bool = number(
        "0 or 1", "1: orders retraining and judges challengers; one worker does.", default=True
    )
    rebalances_n: int = number("rebalances", "Times that partitions were handed out anew.", MAX)
    rebalanced_at: float | None = optional("seconds", "When that was last.")
    snapshots: SnapshotsReport = number(
        "snapshots", "What is saved.", EACH, default=SnapshotsReport()
    )
    rejected_n: dict[str, int] = by_key("inputs", "Inputs that could not be used, by reason.")
    restarts_n: dict[str, int] = by_key(
        "restarts", "Times that this worker connected to Kafka anew, by why."
    )
    lost_n: dict[str, int] = by_key(
        "records", "Records that were deleted before they were read, by the setting of their topic."
    )
    recomputed_n: int = number(
        "decisions",
        "Decisions of a journal that came out otherwise when they were made again, as on another "
        "processor; what was asked then holds.",
    )
    differing_n: int = number(
        "rules",
        "Settings, versions and modules of code of your own that the worker which started last has "
        "otherwise than this one.",
        MAX,
    )
