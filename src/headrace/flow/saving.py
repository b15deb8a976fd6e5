"""Commits of what has arrived, and snapshots of everything a worker owns, taken at one moment.

Only what has arrived may be in one: a snapshot says that its shard decided so far, and nobody looks
again whether the requests of before were sent.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..learn.training_log import TrainingLog
from ..state import frozen
from .effects import Commit, Part, Routine, Save, Saving
from .topic_ids import write_ids
from .worker_state import WorkerState


def freeze_log(log: TrainingLog) -> bytes:
    """The state of a training log as bytes."""
    return frozen.freeze(log, kind="training")


def savings_of(flow: WorkerState) -> tuple[Saving, ...]:
    """The model, and of the shards and desks those of which all was sent."""
    training, position = freeze_log(flow.training.log), flow.training.position
    erasures_n = flow.training.log.erasures_n
    found = [Saving("training", 0, training, {"training": position}, erasures_n=erasures_n)]
    for owned in flow.owned.writing_shards():
        # A rebalance may have come between, and what it decided is not all sent.
        if not owned.shard.is_due and owned.done == owned.shard.journal:
            positions = owned.shard.places(position, owned.writer)
            positions["topics"] = write_ids(flow.places.topic_ids.kept)
            number = owned.shard.partition
            blob = owned.shard.freeze()
            found.append(Saving("shard", number, blob, positions, training, erasures_n))
    for number, desk in flow.owned.desks.items():
        place: dict[str, int | str] = {"desk": desk.desk.position}
        erasures_n = desk.desk.erasures_n
        found.append(Saving("desk", number, desk.desk.freeze(), place, erasures_n=erasures_n))
    return tuple(found)


def commit(flow: WorkerState, positions: Mapping[Part, int]) -> Routine[None]:
    """Commit what has arrived; a rebalance may refuse it, and nothing is lost by that."""
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


def save(flow: WorkerState) -> Routine[None]:
    """Freeze everything as it stands, when all that was handed over has arrived.

    It is then written while the flow goes on.
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
    flow.snapshots.end(failure, flow.clocks.wall)
    if failure is not None:
        flow.agenda.note(f"snapshots could not be written: {failure}; going on without")
