"""Workers that go by different settings, versions or code notice each other."""

from __future__ import annotations

from typing import Any

from headrace.flow.effects import Part
from simulation.cluster_audit import Audit
from simulation.cluster_worlds import World

OLD = {"query.budget": "1f", "version of river": "0.21.0"}
NEW = {"version of river": "0.22.0"}
SENTENCE = "another worker goes by other settings or code: "


def world_of(seed: int) -> World:
    world = World(seed, ())
    world.cluster.rules = OLD
    return world


def start_new(world: World) -> Any:
    world.cluster.rules = NEW
    return world.cluster.start()


def test_who_runs_is_told_once_of_a_worker_that_differs_and_of_what() -> None:
    world = world_of(7_001)
    cluster = world.cluster
    cluster.after(20.0, lambda: start_new(world))
    world.live()
    old, new = cluster.workers[:-1], cluster.workers[-1]
    assert [one.flow.rules.differing for one in old if one.flow] == [
        ["query.budget", "version of river (0.21.0 here, 0.22.0 there)"]
    ] * len(old)
    assert new.flow is not None
    assert new.flow.rules.differing == []
    told = [one for one in cluster.warned if one.startswith(SENTENCE)]
    assert len(told) == len(old) > 0
    assert "query.budget, version of river (0.21.0 here, 0.22.0 there)." in told[0]
    assert any("that started last went by other settings or code" in one for one in cluster.told)
    assert Audit(world).wrong == []


def test_when_all_were_started_anew_nothing_differs_any_more() -> None:
    world = world_of(7_001)
    cluster = world.cluster

    def upgrade() -> None:
        for i, worker in enumerate(list(cluster.workers)):
            cluster.after(8.0 * i, worker.stop)
            cluster.after(8.0 * i + 1.0, lambda: start_new(world))

    cluster.after(15.0, upgrade)
    world.live()
    alive = [worker.flow for worker in cluster.workers if not worker.is_dead and worker.flow]
    assert alive
    assert [flow.rules.differing for flow in alive] == [[]] * len(alive)
    assert Audit(world).wrong == []


def test_workers_that_are_alike_say_so_once_and_tell_nothing() -> None:
    world = world_of(7_002)
    for at in (10.0, 25.0, 40.0):
        world.cluster.after(at, world.cluster.start)
    world.live()
    records = world.cluster.written[Part(world.cluster.kafka.training, 0)]
    said_n = sum(b"RulesInUse" in record.value for record in records)
    assert 1 <= said_n <= 3  # several may have begun before any of them was heard
    assert not any(SENTENCE in one for one in world.cluster.warned)
