"""Commits of what has arrived, and snapshots of everything a worker owns, taken at one moment.

A snapshot has only what has arrived: it says that its shard decided up to there, and nobody checks
again whether the requests before that were sent.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..learn.training_log import TrainingLog
from ..state import frozen
from .effects import Commit, Part, Routine, Save, Saving
from .topic_ids import write_ids
from .worker_state import WorkerState


def freeze_log(log: TrainingLog) -> bytes:
    """Return the state of a training log as bytes."""
    return frozen.freeze(log, kind="training")


def savings_of(flow: WorkerState) -> tuple[Saving, ...]:
    """Return what is to be saved: the model, all desks, and shards whose outputs are all sent."""
    training, position = freeze_log(flow.training.log), flow.training.position
    erasures_n = flow.training.log.erasures_n
    savings = [Saving("training", 0, training, {"training": position}, erasures_n=erasures_n)]
    for owned in flow.owned.writing_shards():
        # After a rebalance in between, some of its outputs may not be sent.
        if not owned.shard.is_due and owned.done == owned.shard.journal:
            positions = owned.shard.places_at(position, owned.writer)
            positions["topics"] = write_ids(flow.places.topic_ids.kept)
            number = owned.shard.partition
            blob = owned.shard.freeze()
            savings.append(Saving("shard", number, blob, positions, training, erasures_n))
    for number, desk in flow.owned.desks.items():
        place: dict[str, int | str] = {"desk": desk.desk.position}
        erasures_n = desk.desk.erasures_n
        savings.append(Saving("desk", number, desk.desk.freeze(), place, erasures_n=erasures_n))
    return tuple(savings)


def commit_positions(flow: WorkerState, positions: Mapping[Part, int]) -> Routine[None]:
    """Commit what has arrived; during a rebalance the group may refuse it, which loses nothing.

    `positions` are where the group's consumer stands, by part.
    """
    commits = flow.commits
    while commits.is_under_way:
        yield None
    changed = commits.select_new(flow.owned.arrived_offsets(positions))
    if not changed:
        return
    commits.is_under_way, turn = True, flow.group.turn
    refusal = yield Commit(changed)
    commits.is_under_way = False
    if refusal is not None:
        flow.agenda.note(f"offsets were not committed, the group shares out anew: {refusal}")
    elif turn == flow.group.turn:
        commits.keep_known(changed)


def save_state(flow: WorkerState) -> Routine[None]:
    """Freeze everything once all that was handed over has arrived, and have it written.

    The flow goes on while it is written.
    """
    if flow.snapshots.is_under_way:
        flow.agenda.note(
            "snapshots take longer than worker.snapshot_every_s to write; one is left out"
        )
        return
    flow.snapshots.is_under_way = True
    flow.agenda.hold()
    flow.hand_over()
    while not flow.outbox.is_empty:
        yield None
    parts: tuple[Saving, ...] = savings_of(flow)
    flow.agenda.release()
    flow.snapshots.bytes_n = sum(len(part.blob) for part in parts)
    failure = yield Save(parts)
    flow.snapshots.end_writing(failure, flow.clocks.wall)
    if failure is not None:
        flow.agenda.note(f"snapshots could not be written: {failure}; going on without")
