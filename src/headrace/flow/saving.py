"""Commits of what has arrived, and snapshots of everything a worker owns, one part at a time.

Each part names its own place in the logs, so parts need not be of one moment. A snapshot has only
what has arrived: it says that its shard decided up to there, and nobody checks again whether the
requests before that were sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Literal, NamedTuple

from ..learn.training_log import TrainingLog
from ..state import frozen
from .effects import Commit, Part, Routine, Save, Saving
from .owned import OwnedDesk, OwnedShard
from .topic_ids import write_ids
from .training import Training
from .worker_state import WorkerState


class PartName(NamedTuple):
    """A part of a worker's state: the training log, or the shard or desk of a partition."""

    kind: Literal["training", "desk", "shard"]
    number: int


def freeze_log(log: TrainingLog) -> bytes:
    """Return the state of a training log as bytes."""
    return frozen.freeze(log, kind="training")


def parts_to_save(flow: WorkerState) -> list[PartName]:
    """Return the name of each part that this worker owns now, the model first."""
    shards = [PartName("shard", owned.shard.partition) for owned in flow.owned.writing_shards()]
    return [PartName("training", 0), *shards, *(PartName("desk", n) for n in flow.owned.desks)]


class FrozenLog:
    """The training log as bytes, made again only where the log has moved on."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._position, self._blob = -1, b""

    def freeze(self) -> tuple[bytes, int]:
        """Return the log as it is now, and the offset up to which it is folded."""
        if self._position != self._training.position:
            self._position, self._blob = self._training.position, freeze_log(self._training.log)
        return self._blob, self._position


def freeze_part(flow: WorkerState, name: PartName, log: FrozenLog) -> Saving | None:
    """Return a part as it is to be saved; None if it is another's by now, or not all sent."""
    kafka, owned = flow.settings.kafka, flow.owned
    if name.kind == "training":
        training, position = log.freeze()
        erasures_n = flow.training.log.erasures_n
        return Saving("training", 0, training, {"training": position}, erasures_n=erasures_n)
    topic = kafka.events if name.kind == "shard" else kafka.desk
    # Until the group has assigned its partitions anew, parts that were given up are still here.
    if Part(topic, name.number) not in owned.parts:
        return None
    if name.kind == "shard":
        return _freeze_shard(flow, owned.shards.get(name.number), log)
    return _freeze_desk(owned.desks.get(name.number))


def _freeze_shard(flow: WorkerState, owned: OwnedShard | None, log: FrozenLog) -> Saving | None:
    # After a rebalance in between, some of its outputs may not be sent.
    if owned is None or owned.shard.is_due or owned.done != owned.shard.journal:
        return None
    training, position = log.freeze()
    positions = owned.shard.places_at(position, owned.writer)
    positions["topics"] = write_ids(flow.places.topic_ids.kept)
    number, erasures_n = owned.shard.partition, flow.training.log.erasures_n
    return Saving("shard", number, owned.shard.freeze(), positions, training, erasures_n)


def _freeze_desk(owned: OwnedDesk | None) -> Saving | None:
    if owned is None:
        return None
    desk, place = owned.desk, {"desk": owned.desk.position}
    return Saving("desk", desk.partition, desk.freeze(), place, erasures_n=desk.erasures_n)


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
    """Freeze some parts at a time, each once all that was handed over has arrived; write them.

    The flow goes on while parts are written. So it stands still for `freeze_s_max` and one part at
    most, and has the bytes of few parts in memory.
    """
    snapshots = flow.snapshots
    if snapshots.is_under_way:
        flow.agenda.note(
            "snapshots take longer than worker.snapshot_every_s to write; one is left out"
        )
        return
    snapshots.is_under_way = True
    failure, bytes_n, log = None, 0, FrozenLog(flow.training)
    names = deque(parts_to_save(flow))
    while names and failure is None:
        while snapshots.is_paused:
            yield None
        parts = yield from _freeze_some(flow, names, log)
        if parts:
            snapshots.is_writing = True
            failure = yield Save(parts)
            snapshots.is_writing = False
        bytes_n += sum(len(part.blob) for part in parts)
    if failure is not None:
        flow.agenda.note(f"snapshots could not be written: {failure}; going on without")
    snapshots.bytes_n = bytes_n
    snapshots.end_writing(failure, flow.clocks.wall)


def _freeze_some(
    flow: WorkerState, names: deque[PartName], log: FrozenLog
) -> Routine[tuple[Saving, ...]]:
    """Take names until freezing their parts has lasted `freeze_s_max`, one at least."""
    flow.agenda.hold()
    flow.hand_over()
    while not flow.outbox.is_empty:
        yield None
    parts, until = [], flow.clocks.timer() + flow.snapshots.freeze_s_max
    while names:
        part = freeze_part(flow, names.popleft(), log)
        if part is not None:
            parts.append(part)
        if flow.clocks.timer() >= until:
            break
    flow.agenda.release()
    return tuple(parts)
