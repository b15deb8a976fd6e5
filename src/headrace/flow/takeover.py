"""Makes partitions ready that were just assigned, one after the other, while the flow goes on.

A rebalance may end this anywhere, so the order matters: what may not have been sent goes out before
a shard is ours, and no request is yielded between the last entry that the shard gets from its own
reading and the first from the worker's trainer.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import BadInput
from ..learn.training_log import TrainingLog
from ..messages import DriftChanged, LabelRequested
from ..query.accounts import MILLION
from ..settings import Settings
from ..settings.kafka import KafkaSettings
from . import wire
from .effects import Load, Look, Part, Resume, Routine, Seek
from .log_reader import read_since
from .owned import OwnedDesk, OwnedShard
from .places import check_place
from .produce import ProducerRecord
from .recovery import CutOffError, Recovered, Recovery, UnusableError
from .shards import PartitionShard
from .topic_ids import read_ids
from .training import new_log
from .worker_state import WorkerState

DOUBT_MS = 60_000
"""How far back to look for requests that may have been sent: clocks of two workers differ."""

Positions = Mapping[str, int | str]


class GrownError(Exception):
    """The events have more partitions than when the flow began."""


def make_empty_shard(
    settings: Settings, partition: int, partitions_n: int
) -> tuple[PartitionShard, TrainingLog, Positions]:
    """Return a shard before its first event, the training log that it sees, and where it stands."""
    log = new_log(settings)
    shard = PartitionShard(settings, partition, partitions_n, log.trainer)
    return shard, log, {"events": 0, "training": 0, "journal": -1, "writer": ""}


def take_over(flow: WorkerState, events: set[int], desks: set[int]) -> Routine[None]:
    """Make anew the assigned partitions that are not ready yet: desks first, they are quick.

    Raises `GrownError` for a partition that came into being since the flow began.
    """
    for number in sorted(desks - flow.owned.desks.keys()):
        yield from _take_desk(flow, number)
    for number in sorted(events - flow.owned.shards.keys()):
        if number >= flow.partitions_n["events"]:
            name = flow.settings.kafka.events
            raise GrownError(f"{name} has more than {flow.partitions_n['events']} partitions now")
        yield from _take_shard(flow, number)


def _take_desk(flow: WorkerState, number: int) -> Routine[None]:
    part = Part(flow.settings.kafka.desk, number)
    desk = yield Load("desk", number)
    while not flow.is_caught_up:
        yield None
    bounds = yield Look((part,), is_of_group=True)
    flow.places.topic_ids.check_ids(bounds)
    first, end, committed = bounds[part].first, bounds[part].end, bounds[part].committed or 0
    heard = flow.training.log.last_end_of(number)
    check_place(part, max(desk.position, heard[0] + 1), end)
    if committed > end:
        flow.agenda.warn(
            f"{part.topic}, partition {number}, ends at {end}, and the group stands at "
            f"{committed}: where nobody moved the group's offsets, it has lost its end"
        )
    if first > desk.position > 0:
        flow.places.count_lost(part, desk.position, first, "requests in them are known no more")
    elif first > 0 == desk.position:
        flow.agenda.warn(
            f"{part.topic}, partition {number}, begins at {first}, and there is no snapshot of its "
            "desk: requests that were deleted and are open are known no more"
        )
    desk.position = max(first, desk.position)
    flow.owned.desks[number] = OwnedDesk(
        desk, written_to=committed, heard=heard, arrived=desk.position
    )
    flow.agenda.add_effects(Seek(part, desk.position), Resume(part))


def _take_shard(flow: WorkerState, number: int) -> Routine[None]:
    began = flow.clocks.elapsed
    recovery, recovered = yield from _recover_shard(flow, number)
    shard, log = recovered.shard, recovered.log
    flow.recomputed.add(recovered.differences)
    if recovered.differences.n:
        flow.agenda.warn(
            f"partition {number} was decided by another machine or version: "
            f"{recovered.differences.told}; what was asked then holds"
        )
    part = Part(flow.settings.kafka.events, number)
    bounds = (yield Look((part,), is_of_group=True))[part]
    first, end, committed = bounds.first, bounds.end, bounds.committed or 0
    check_place(part, shard.position, end)
    _check_journal(flow, recovered, committed)
    if first > shard.position:
        # A shard that has seen nothing yet begins where its log does, or where the group stands.
        stood = shard.position if shard.journal >= 0 else bounds.committed
        if stood is not None and stood < first:
            flow.places.count_lost(part, stood, first, "its shard goes on without these events")
        shard.seek(first)
    while flow.settings.query.budget.is_total and not flow.is_caught_up:
        yield None  # The claims to a total are in the training log.
    owned = OwnedShard(
        shard,
        recovered.journal_end,
        recovered.done,
        arrived=shard.position,
        writer=recovered.writer,
    )
    sent = yield from _find_sent(flow, recovered)
    if recovered.unsent is not None:
        flow.outbox.put(flow.router.pack_outputs(owned, recovered.unsent, shard.journal, sent))
    # The trainer of this worker has gone on meanwhile, or may have been behind.
    while shard.training != flow.training.position:
        if shard.training < flow.training.position:
            yield from recovery.catch_up(shard, log, flow.training.position)
        else:
            yield None
    # No request is yielded until the shard is one of ours, or it would miss an entry.
    shard.attach_trainer(flow.training.trainer)
    flow.owned.shards[number] = owned
    flow.clocks.advance_events(shard.shard.admission.clock.sure)
    _claim_totals(flow, owned)
    while shard.claim_n > flow.training.log.caps.number_of(number):
        if flow.owned.shards.get(number) is not owned:  # Another worker took it meanwhile.
            return
        yield None
    flow.agenda.add_effects(Seek(part, shard.position), Resume(part))
    flow.agenda.note(
        f"partition {number} taken over in {flow.clocks.elapsed - began:.1f} s: "
        f"{recovered.events_n} events read again"
    )


def _claim_totals(flow: WorkerState, owned: OwnedShard) -> None:
    """Claim the shard's part of totals, behind a step that shows whether we own the partition."""
    shard, caps = owned.shard, flow.training.log.caps
    if shard.claim_n < caps.number_of(shard.partition):
        part = caps.limit_of(shard.partition)
        flow.agenda.warn(
            f"the journal of partition {shard.partition} does not say what was spent of "
            f"query.budget: all of its part counts as spent, {part.labels_n} labels of the cap and "
            f"{part.money / MILLION:g} of the money"
        )
    claim = shard.claim_caps(caps)
    if claim is not None:
        batch = flow.router.pack_step(owned, flow.training.position)
        batch.to_others.append(
            ProducerRecord(flow.settings.kafka.training, wire.value_of(claim), partition=0)
        )
        flow.outbox.put(batch)


def _check_journal(flow: WorkerState, found: Recovered, committed: int) -> None:
    """Warn of committed events without a step in the journal, which is written first.

    Raises `BadInput` where nothing is left of the journal.
    """
    shard, kafka = found.shard, flow.settings.kafka
    if committed <= shard.position:
        return
    intro = (
        f"the group has committed events of partition {shard.partition} up to {committed}, and its "
        f"journal ({kafka.journal}) "
    )
    if shard.journal < 0:
        raise BadInput(
            f"{intro}has none: it was deleted or made anew, and nobody can say what was asked. Put "
            "it back, or begin anew with headrace reset"
        )
    flow.agenda.warn(
        f"{intro}only those up to {shard.position}: where nobody moved the group's offsets, it has "
        "lost its end, and the events since are decided once more"
    )


def _recover_shard(flow: WorkerState, number: int) -> Routine[tuple[Recovery, Recovered]]:
    """Recover the shard from its newest snapshot that fits its journal, or from its logs alone.

    Raises `BadInput` where neither is left.
    """
    kafka, topic_ids = flow.settings.kafka, flow.places.topic_ids
    topic_ids.check_ids((yield Look(_parts_of(kafka, number))))
    before: Positions | None = None
    faults = list[str]()
    while True:
        shard, log, positions = yield Load("shard", number, before)
        kept = read_ids(str(positions.get("topics", "")))
        topic_ids.check_kept(kept, f"the snapshot of partition {number}")
        recovery = Recovery(flow.settings, flow.decoder, flow.agenda.warn)
        try:
            recovered = yield from recovery.recover_shard(
                shard, log, writer=str(positions["writer"])
            )
        except UnusableError as error:
            flow.agenda.warn(f"the snapshot of partition {number} is passed over: {error}")
            before = positions
            faults.append(str(error))
        except CutOffError as error:
            if not faults:
                raise
            raise BadInput(
                f"partition {number} can't be made anew: its snapshots fit no place of its journal "
                f"({'; '.join(faults)}), and {error}"
            ) from error
        else:
            topic_ids.check_kept(recovered.topics, f"the journal of partition {number}")
            return recovery, recovered


def _parts_of(kafka: KafkaSettings, number: int) -> tuple[Part, ...]:
    """Return the logs that a shard goes by; one desk stands for all, they share a topic."""
    numbered = (Part(kafka.events, number), Part(kafka.journal, number))
    return (*numbered, Part(kafka.desk, 0), Part(kafka.training, 0))


def _find_sent(flow: WorkerState, found: Recovered) -> Routine[frozenset[bytes]]:
    """Return which unsent outputs are on their topics after all: request ids, drift changes."""
    kafka, outputs = flow.settings.kafka, found.unsent.outputs if found.unsent else []
    since_ms, sent = max(0, found.since_ms - DOUBT_MS), set[bytes]()
    if any(isinstance(output, LabelRequested) for output in outputs):
        parts = tuple(Part(kafka.requests, n) for n in range(flow.partitions_n["requests"]))
        sent |= {record.key for record in (yield from read_since(parts, since_ms))}
    if any(isinstance(output, DriftChanged) for output in outputs):
        sent |= {
            record.value for record in (yield from read_since((Part(kafka.drift, 0),), since_ms))
        }
    return frozenset(sent)
