"""What time brings: deadlines that pass, and a regular check of where our logs end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .effects import Bounds, Look, Part, Routine
from .places import check_place
from .produce import ProduceBatch
from .worker_state import WorkerState

LOOK_EVERY_S = 5.0
"""Seconds between two looks at our logs."""


def say_due(flow: WorkerState) -> None:
    """Write down deadlines that have passed: those of desks in their logs, of shards as steps."""
    desks, shards = list(flow.owned.desks.items()), flow.owned.writing_shards()
    deadlines = [owned.desk.next_deadline for _, owned in desks]
    deadlines += [owned.shard.shard.next_deadline() for owned in shards]
    deadlines.append(flow.training.trainer.next_deadline())
    if flow.clocks.wants_look(deadlines):
        flow.agenda.start(_look_at_group(flow))
    for number, desk in desks:
        if Part(flow.settings.kafka.desk, number) not in flow.owned.parts:
            continue
        tick = desk.desk.tick_if_due(flow.clocks.read_for(desk.desk.next_deadline))
        if tick is not None:
            record = flow.router.route_to_desk(tick, tick.at, number)
            flow.outbox.put(ProduceBatch(lambda: None, to_desks=[record]))
    for shard in shards:
        deadline = shard.shard.shard.next_deadline()
        now = flow.clocks.read_for(deadline)
        if deadline is not None and flow.clocks.events < now and deadline <= now:
            shard.shard.tick(now)
            flow.outbox.put(flow.router.pack_step(shard, flow.training.position))


def _look_at_group(flow: WorkerState) -> Routine[None]:
    """Find out whether any worker of the group has an event to feed."""
    name = flow.settings.kafka.events
    parts = tuple(Part(name, number) for number in range(flow.partitions_n["events"]))
    flow.clocks.note_group((yield Look(parts, is_of_group=True)))


def _check_route(flow: WorkerState, part: Part, place: int, found: Bounds) -> None:
    """Go back to the beginning of a topic of answers or drift that was made anew."""
    if place != flow.owned.place_of(part):
        return
    if flow.places.is_made_anew(part, found):
        flow.go_to(part, found.first)
    elif place > found.end:
        flow.go_to(part, flow.places.of_group(part, found._replace(committed=place)))


def watch_brokers(flow: WorkerState) -> Routine[None]:
    """Look at our logs every `LOOK_EVERY_S` seconds: do brokers answer, are our places valid?"""
    while True:
        asked_at, places = flow.clocks.elapsed, dict(_list_places(flow))
        bounds_by_part: Mapping[Part, Bounds] | None = yield Look(tuple(places), may_fail=True)
        if bounds_by_part is not None:
            flow.group.hear_brokers(flow.clocks.elapsed)
            flow.places.topic_ids.check_ids(
                {p: bounds for p, bounds in bounds_by_part.items() if p not in flow.owned.routes}
            )
            for part, place in places.items():
                if part in flow.owned.routes:
                    _check_route(flow, part, place, bounds_by_part[part])
                else:
                    check_place(part, place, bounds_by_part[part].end)
        while flow.clocks.elapsed - asked_at < LOOK_EVERY_S:
            yield None


def _list_places(flow: WorkerState) -> Iterator[tuple[Part, int]]:
    """Yield our place in every log that is ours to read or to write."""
    kafka = flow.settings.kafka
    yield Part(kafka.training, 0), flow.training_place
    for part in sorted(flow.owned.parts):
        place = flow.owned.place_of(part)
        if place is not None:
            yield part, place
    for owned in flow.owned.writing_shards():
        # Steps on their way have no offset yet.
        yield Part(kafka.journal, owned.shard.partition), owned.done + 1
