"""What a worker says of itself: one `Report` over its shards and desks, with lag and the like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...flow.mail import OwnedShard
from ...report import PartitionReport, Report, WorkerReport
from ...reporting import partition_of as told_of
from ...reporting import report_of_parts
from .reading import partition_of

if TYPE_CHECKING:
    from .session import Session


def report_of_session(session: Session, restarts_n: Mapping[str, int] | None = None) -> Report:
    """The numbers of what this worker owns now; to be made by the loop's own thread."""
    worker = WorkerReport(
        partitions=tuple(
            _told(session, number, owned) for number, owned in sorted(session.shards.items())
        ),
        desk_partitions=tuple(sorted(session.desks)),
        training_offset=session.training.position,
        training_lag_n=session.training.waiting_n,
        is_decider=session.training.is_decider,
        rebalances_n=session.rebalances_n,
        rebalanced_at=session.rebalanced_at,
        snapshot_at=session.saver.at,
        snapshot_bytes=session.saver.bytes_n,
        snapshot_failed_n=session.saver.failed_n,
        snapshot_refused_n=session.states.refused_n,
        rejected_n=dict(session.mail.rejected_n),
        restarts_n=dict(restarts_n or {}),
        lost_n=dict(session.lost_n),
    )
    return report_of_parts(
        session.settings,
        session.training.trainer,
        {number: owned.shard.shard for number, owned in session.shards.items()},
        {number: owned.desk.desk for number, owned in session.desks.items()},
        worker=worker,
    )


def _told(session: Session, number: int, owned: OwnedShard) -> PartitionReport:
    """One partition; what lies before us is as old as the newest event that was read."""
    tp = partition_of(session.settings.kafka.events, number)
    end = session.consumer.highwater(tp) if tp in session.held else None
    lag_n = None if end is None else max(0, end - owned.shard.position)
    lag_s = None
    if lag_n == 0:
        lag_s = 0.0
    elif lag_n is not None and owned.read_at is not None:
        lag_s = max(0.0, session.clock() - owned.read_at)
    return told_of(number, owned.shard.shard, lag_n=lag_n, lag_s=lag_s)
