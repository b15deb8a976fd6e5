"""A partition that another worker took costs that partition, and not the others of its worker."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from headrace.flow.effects import Part
from headrace.flow.produce import ProducerRecord
from headrace.flow.worker_state import WorkerState
from simulation.cluster_audit import Audit, is_caught
from simulation.cluster_worlds import World

AT = 25.0
SEEDS = range(8_000, 8_003)


def alone(seed: int) -> World:
    """A world of one worker, in whose first partition somebody else writes a step at `AT`."""
    world = World(seed, ())
    cluster = world.cluster
    cluster.due.clear()
    cluster.start()
    for i in range(60):
        cluster.after(1.0 + i, world._event)
    cluster.after(AT, lambda: write_step_of_another(world))
    return world


def write_step_of_another(world: World) -> None:
    part = Part(world.cluster.kafka.journal, 0)
    step = {"previous": -2, "training": 0, "start": 0, "stop": 0, "writer": "another"}
    world.cluster.send(
        ProducerRecord(*part[:1], msgspec.json.encode(step), partition=part.partition)
    )


def test_the_other_partitions_go_on_and_the_group_says_who_has_it() -> None:
    for seed in SEEDS:
        world = alone(seed)
        cluster, seen = world.cluster, list[Any]()
        cluster.after(AT + 7.0, lambda world=world, seen=seen: seen.append(shards_of(world)))
        cluster.after(AT + 7.5, cluster.share)
        world.live()
        assert seen == [[1]]
        assert any("partition 0 is let go of" in told for told in cluster.warned)
        assert cluster.restarts == []
        assert shards_of(world) == [0, 1]
        assert Audit(world).wrong == [], f"alone({seed})"


def shards_of(world: World) -> list[int]:
    flow = world.cluster.workers[0].flow
    assert flow is not None
    return sorted(flow.owned.shards)


def test_where_the_group_leaves_it_so_the_worker_joins_it_anew() -> None:
    for seed in SEEDS:
        world = alone(seed).live()
        assert world.cluster.restarts == ["FencedError"]
        assert shards_of(world) == [0, 1]
        assert Audit(world).wrong == [], f"alone({seed})"


def test_a_worker_that_was_frozen_mostly_goes_on_without_what_was_taken() -> None:
    let_go_n = restarts_n = 0
    for seed in range(8_100, 8_108):
        world = World(seed, ("freeze", "freeze", "join")).live()
        let_go_n += sum("is let go of" in told for told in world.cluster.warned)
        restarts_n += world.cluster.restarts.count("FencedError")
        assert Audit(world).wrong == [], f"World({seed})"
    assert let_go_n > 2 * restarts_n


def test_a_flow_that_keeps_what_was_taken_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WorkerState, "let_go", lambda self, partition: None)
    assert is_caught(lambda seed, faults: Audit(alone(seed).live()).wrong, SEEDS)
