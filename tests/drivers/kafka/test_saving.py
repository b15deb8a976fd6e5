"""Snapshots are frozen and written part after part, and the flow goes on in between."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from drivers.kafka.calm import World, encoded
from drivers.kafka.test_parts import events_of, settings_of
from headrace import Answer
from headrace.flow import effects as ef
from simulation.cluster import Worker

WRITING_S = 5.0
"""Longer than an event takes through all logs."""


class SlowStore:
    """Writes each part for a while; `on_write` hears of it when the writing begins."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, world: World) -> None:
        self.world = world
        self.on_write: Callable[..., None] = lambda *parts: None
        self.failures: dict[str, str] = {}
        self._carry_out = Worker.carry_out
        carry = self._carry

        def carry_out(worker: Worker, effect: ef.Effect) -> None:
            carry(worker, effect)

        monkeypatch.setattr(Worker, "carry_out", carry_out)

    def _carry(self, worker: Worker, effect: ef.Effect) -> None:
        match effect:
            case ef.Ask(number=number, request=ef.Save(parts=parts) as request):
                self.on_write(*parts)
                worker.later(WRITING_S, partial(self._end, worker, number, request))
            case _:
                self._carry_out(worker, effect)

    def _end(self, worker: Worker, number: int, request: ef.Save) -> None:
        failure = self.failures.get(request.parts[0].kind)
        worker.answer(number, failure or worker.result(request))


@pytest.fixture
def world() -> World:
    made = World(settings_of(), partitions_n=2)
    for partition in (0, 1):
        made.feed(events_of(40, seed=partition), partition)
    return made


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, world: World) -> SlowStore:
    return SlowStore(monkeypatch, world)


def newest(world: World, kind: str, number: int = 0) -> ef.Saving:
    return world.cluster.saved[kind, number][-1]


def save_all(world: World) -> None:
    world.save()
    while world.flow.snapshots.is_under_way:
        world.cluster.run(world.cluster.now + 1.0)


def states_of(world: World) -> list[Any]:
    return [world.shards[n].shard.freeze() for n in (0, 1)]


def test_events_are_fed_while_a_part_is_written(world: World, store: SlowStore) -> None:
    def send_more(part: ef.Saving) -> None:
        if part.kind == "training":
            for event in events_of(5, seed=7):
                world.send(world.kafka.events, encoded(event), 1)

    store.on_write = send_more
    save_all(world)
    assert newest(world, "shard", 0).positions["events"] == 40
    assert newest(world, "shard", 1).positions["events"] == 45


def test_a_shard_is_saved_with_the_model_that_it_had_seen(world: World, store: SlowStore) -> None:
    asked = [request.request_id for request in world.requests()]

    def answer_all(part: ef.Saving) -> None:
        if part.kind == "training":
            at = world.cluster.now
            for request_id in asked:
                world.cluster.send(
                    world.flow.router.route_to_desk(
                        Answer(request_id=request_id, label="high", at=at), at, 0
                    )
                )

    store.on_write = answer_all
    save_all(world)
    model, shard = newest(world, "training"), newest(world, "shard")
    assert asked and int(shard.positions["training"]) > int(model.positions["training"])
    assert shard.training != model.blob


def test_the_next_worker_goes_on_from_parts_of_different_moments(
    world: World, store: SlowStore
) -> None:
    def send_more(part: ef.Saving) -> None:
        for event in events_of(3, seed=part.number + 11):
            world.send(world.kafka.events, encoded(event), part.number % 2)

    store.on_write = send_more
    save_all(world)
    store.on_write = lambda part: None
    world.settle()
    assert states_of(world.recovered()) == states_of(world)


def test_what_can_not_be_written_ends_this_save_and_not_the_next(
    world: World, store: SlowStore
) -> None:
    store.failures["shard"] = "the disk is full"
    save_all(world)
    assert [kind for kind, _ in world.cluster.saved] == ["training"]
    assert world.flow.snapshots.failed_n == 1
    assert "snapshots could not be written: the disk is full; going on without" in (
        world.cluster.told
    )
    store.failures.clear()
    save_all(world)
    assert {("shard", 0), ("shard", 1), ("desk", 0)} <= set(world.cluster.saved)
    assert world.flow.snapshots.bytes_n == sum(
        len(parts[-1].blob) for parts in world.cluster.saved.values()
    )


def test_parts_that_take_no_time_are_saved_together(world: World, store: SlowStore) -> None:
    world.flow.snapshots.freeze_s_max = 1.0
    sizes = []
    store.on_write = lambda *parts: sizes.append(len(parts))
    save_all(world)
    assert sizes == [4]


def test_partitions_are_given_up_once_the_part_under_way_is_written(
    world: World, store: SlowStore
) -> None:
    """What is written later would stand before what the next owner has saved."""
    writing: list[tuple[str, bool]] = []
    worker = world.cluster.workers[0]

    def revoke(part: ef.Saving) -> None:
        if part.kind == "shard":
            world.cluster.after(1.0, lambda: worker.take(ef.Revoked()))
            for after_s in (WRITING_S - 0.5, WRITING_S + 0.5):
                world.cluster.after(after_s, look)
        writing.append((part.kind, bool(world.flow.owned.parts)))

    def look() -> None:
        writing.append(("look", bool(world.flow.owned.parts)))

    store.on_write = revoke
    world.save()
    while world.flow.snapshots.is_under_way:
        world.cluster.run(world.cluster.now + 1.0)
    world.cluster.run(world.cluster.now + 1.0)
    # Nothing of what was given up is saved any more: neither the other shard nor the desk.
    assert writing == [("training", True), ("shard", True), ("look", True), ("look", False)]
