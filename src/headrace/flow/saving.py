"""Commits of what has arrived, and snapshots of everything a worker owns, taken at one moment.

Only what has arrived may be in one: a snapshot says that its shard decided so far, and nobody looks
again whether the requests of before were sent.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..learn.training_log import TrainingLog
from ..state import frozen
from .effects import Commit, Part, Routine, Save, Saving
from .hand import Hand
from .topic_ids import written_ids


def frozen_log(log: TrainingLog) -> bytes:
    """The state of a training log as bytes."""
    return frozen.freeze(log, kind="training")


def savings_of(flow: Hand) -> tuple[Saving, ...]:
    """The model, and of the shards and desks those of which all was sent."""
    training, position = frozen_log(flow.training.log), flow.training.position
    erasures_n = flow.training.log.erasures_n
    found = [Saving("training", 0, training, {"training": position}, erasures_n=erasures_n)]
    for owned in flow.shards_now():
        # A rebalance may have come between, and what it decided is not all sent.
        if not owned.shard.is_due and owned.done == owned.shard.journal:
            positions = owned.shard.places(position, owned.writer)
            positions["topics"] = written_ids(flow.topic_ids.kept)
            number = owned.shard.partition
            blob = owned.shard.freeze()
            found.append(Saving("shard", number, blob, positions, training, erasures_n))
    for number, desk in flow.desks.items():
        place: dict[str, int | str] = {"desk": desk.desk.position}
        erasures_n = desk.desk.erasures_n
        found.append(Saving("desk", number, desk.desk.freeze(), place, erasures_n=erasures_n))
    return tuple(found)


def commit(flow: Hand, positions: Mapping[Part, int]) -> Routine[None]:
    """Commit what has arrived; a rebalance may refuse it, and nothing is lost by that."""
    while flow.is_committing:
        yield None
    kafka, offsets = flow.settings.kafka, dict[Part, int]()
    for number, owned in flow.shards.items():
        part = Part(kafka.events, number)
        offsets[part] = owned.arrived
        if owned.arrived == owned.shard.position:
            # Behind what nobody gets: marks of transactions, and what they took back.
            offsets[part] = max(owned.arrived, positions.get(part, 0))
    offsets |= {Part(kafka.desk, n): owned.arrived for n, owned in flow.desks.items()}
    offsets |= {part: route.arrived for part, route in flow.routes.items()}
    changed = {
        part: offset
        for part, offset in offsets.items()
        if part in flow.held and offset > flow.committed.get(part, -1)
    }
    if not changed:
        return
    flow.is_committing, turn = True, flow.turn
    refusal = yield Commit(changed)
    flow.is_committing = False
    if refusal is not None:
        flow.note(f"offsets were not committed, the group shares out anew: {refusal}")
    elif turn == flow.turn:
        flow.committed.update(changed)


def save(flow: Hand) -> Routine[None]:
    """Freeze everything as it stands, when all that was handed over has arrived.

    It is then written while the flow goes on.
    """
    if flow.is_saving:
        flow.note("snapshots take longer than worker.snapshot_every_s to write; one is left out")
        return
    flow.is_saving = True
    flow.holds_n += 1
    flow.hand_over()
    while not flow.outbox.is_empty:
        yield None
    parts: tuple[Saving, ...] = savings_of(flow)
    flow.holds_n -= 1
    flow.saved_bytes_n = sum(len(part.blob) for part in parts)
    failure = yield Save(parts)
    flow.is_saving = False
    if failure is not None:
        flow.save_failed_n += 1
        flow.note(f"snapshots could not be written: {failure}; going on without")
    else:
        flow.saved_at = flow.wall
