"""What was read before a worker's place moved is void: neither fed nor committed.

A consumer may have read on when the group shares out anew, or when it is sent back. Whatever of
that arrives afterwards says nothing about where the worker stands.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drivers.kafka.calm import World, encoded
from drivers.kafka.test_parts import events_of, settings_of
from headrace.flow import effects as ef
from headrace.flow import flow
from headrace.flow.effects import Part

BEHIND = 99
"""A place that a consumer claims: behind records that no client is given."""


@pytest.fixture
def world() -> World:
    found = World(settings_of())
    found.feed(events_of(3))
    return found


def events_part(world: World) -> Part:
    return Part(world.kafka.events, 0)


def read(world: World, turn: int, records_n: int = 0, place: int | None = None) -> None:
    """The newest `records_n` events arrive, and where the consumer stood, read in this turn."""
    part = events_part(world)
    records = world.of(*part)[-records_n:] if records_n else []
    found = {part: records} if records else {}
    positions = None if place is None else {part: place}
    world.cluster.workers[0].take(ef.Polled(turn, found, positions))


def committed(world: World) -> int:
    world.settle()
    return world.cluster.committed[events_part(world)]


def test_where_a_consumer_stands_is_committed(world: World) -> None:
    read(world, world.flow.group.turn, place=BEHIND)
    assert committed(world) == BEHIND


def test_a_place_read_before_the_group_shared_out_anew_is_not_committed(world: World) -> None:
    before = world.flow.group.turn
    world.cluster.share()
    world.settle()
    assert world.flow.group.turn > before
    read(world, before, place=BEHIND)
    assert committed(world) == 3


def test_records_read_before_the_group_shared_out_anew_are_read_again(world: World) -> None:
    before = world.flow.group.turn
    world.cluster.share()
    world.settle()
    for event in events_of(3, seed=2):
        world.send(world.kafka.events, encoded(event))
    # The consumer has passed over two that nobody fed.
    world.cluster.workers[0].places[events_part(world)] = 6
    read(world, before, records_n=1)
    assert committed(world) == 6
    assert world.shards[0].shard.shard.events_n == 6


def test_a_place_read_before_the_consumer_was_sent_back_is_not_committed(world: World) -> None:
    before = world.flow.group.turn
    world.cluster.share()
    world.settle()
    now = world.flow.group.turn
    world.send(world.kafka.events, encoded(events_of(1, seed=2)[0]))
    read(world, before, records_n=1)
    # Read in this turn, but before the consumer was sent back.
    read(world, now, place=BEHIND)
    assert committed(world) == 4
    assert world.shards[0].shard.shard.events_n == 4


def test_a_partition_that_is_fenced_while_it_looks_for_a_gap_is_not_fed(world: World) -> None:
    for event in events_of(2, seed=2):
        world.send(world.kafka.events, encoded(event))
    # The last of them alone: before it feeds that, it looks whether the other was deleted.
    read(world, world.flow.group.turn, records_n=1)
    world.flow.let_go(0)
    world.settle()
    assert world.cluster.restarts == []
    assert 0 not in world.shards


@pytest.mark.parametrize(
    "claim",
    [
        test_a_place_read_before_the_group_shared_out_anew_is_not_committed,
        test_a_place_read_before_the_consumer_was_sent_back_is_not_committed,
    ],
    ids=["shared out anew", "sent back"],
)
def test_a_flow_that_believes_any_turn_is_caught(
    claim: Callable[[World], None], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_if_due = flow.Flow._commit_if_due

    def believing(self: flow.Flow) -> None:
        polled = self.commits._polled
        if polled is not None:
            found = ef.Polled(self.group.turn, polled.records, polled.positions)
            self.commits.keep_polled(found)
        commit_if_due(self)

    monkeypatch.setattr(flow.Flow, "_commit_if_due", believing)
    with pytest.raises(AssertionError, match="== "):
        claim(world)
