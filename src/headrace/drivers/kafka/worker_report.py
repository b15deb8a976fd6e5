"""The report of a worker: what its flow owns, and how far that is behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...flow.effects import Part
from ...flow.flow import Flow
from ...report import PartitionReport, Report, SnapshotsReport, WorkerReport
from ...report.building import combine_report, describe_partition


def build_flow_report(
    flow: Flow,
    *,
    end_of: Callable[[Part], int | None],
    now: float,
    refused_n: int,
    restarts_n: Mapping[str, int],
) -> Report:
    """Return the numbers of what a worker owns now.

    `end_of` returns the end of a part as the brokers last reported it, None where unknown; `now` is
    the time of day, seconds, `refused_n` how many snapshots were refused, and `restarts_n` how many
    sessions ended early, by the kind of error.
    """
    worker = WorkerReport(
        partitions=tuple(
            _describe_part(flow, number, end_of, now) for number in sorted(flow.owned.shards)
        ),
        desk_partitions=tuple(sorted(flow.owned.desks)),
        training_offset=flow.training.position,
        training_lag_n=flow.training.waiting_n,
        is_decider=flow.training.is_decider,
        rebalances_n=flow.group.rebalances_n,
        rebalanced_at=flow.group.rebalanced_at,
        snapshots=SnapshotsReport(
            written_at=flow.snapshots.saved_at,
            bytes_n=flow.snapshots.bytes_n,
            failed_n=flow.snapshots.failed_n,
            refused_n=refused_n,
        ),
        rejected_n=dict(flow.router.rejected_n),
        restarts_n=dict(restarts_n),
        lost_n=dict(flow.places.lost_n),
        recomputed_n=flow.recomputed.n,
        differing_n=len(flow.rules.differing),
    )
    return combine_report(
        flow.settings,
        flow.training.trainer,
        {number: owned.shard.shard for number, owned in flow.owned.shards.items()},
        {number: owned.desk.desk for number, owned in flow.owned.desks.items()},
        worker=worker,
    )


def _describe_part(
    flow: Flow, number: int, end_of: Callable[[Part], int | None], now: float
) -> PartitionReport:
    """Describe one partition; the lag in time is the age of the newest event that was read."""
    owned, part = flow.owned.shards[number], Part(flow.settings.kafka.events, number)
    end = end_of(part) if part in flow.owned.parts else None
    lag_n = None if end is None else max(0, end - owned.shard.position)
    lag_s = None
    if lag_n == 0:
        lag_s = 0.0
    elif lag_n is not None and owned.read_at is not None:
        lag_s = max(0.0, now - owned.read_at)
    return describe_partition(number, owned.shard.shard, lag_n=lag_n, lag_s=lag_s)
