"""Workers on processors whose sums differ: what was decided is recorded, and the record wins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray

from headrace.flow.shards import PartitionShard
from headrace.query import asking, choosing
from headrace.query.record import Differences
from headrace.settings.query import ArrivalSettings
from headrace.shard import assessing
from marks import long_ones
from simulation import cluster_worlds
from simulation.cluster import Worker
from simulation.cluster_audit import Audit, rows_of, steps_of
from simulation.cluster_worlds import World

FAULTS = ("kill", "join", "stop", "share_anew")
SEEDS = range(4)

Scores = NDArray[np.float64]

COMPUTING = (
    (choosing, "utilities_of"),
    (asking, "utilities_by_row"),
    (assessing, "rate_rows"),
)
"""Where utilities are computed: in rounds, of one event at a time, and of many on arrival."""


def last_bits(values: Scores) -> Scores:
    """Every number one unit in the last place further up."""
    return np.nextafter(values, np.inf)


def upside_down(values: Scores) -> Scores:
    """What was doubted most is doubted least."""
    return -values


@pytest.fixture
def processors(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Scores], Scores]], None]:
    """Every second worker has another processor, on which these numbers come out otherwise."""
    running = {"number": 0}
    take = Worker.take

    def take_on(self: Worker, *inputs: Any) -> None:
        running["number"] = self.number
        take(self, *inputs)

    def install(moved: Callable[[Scores], Scores]) -> None:
        monkeypatch.setattr(Worker, "take", take_on)
        for module, name in COMPUTING:
            compute = getattr(module, name)

            def compute_on(*arguments: Any, compute: Any = compute) -> Scores:
                values = compute(*arguments)
                return moved(values) if running["number"] % 2 else values

            monkeypatch.setattr(module, name, compute_on)

    return install


def in_rounds(seed: int) -> Any:
    """The settings of a world, asking in rounds, by doubt as soon as both classes are known."""
    settings = cluster_worlds.settings_of(seed)
    rounds = structs.replace(settings.query.rounds, every_n=15)
    cold = structs.replace(settings.query.cold_start, per_class_n=0)
    query = structs.replace(
        settings.query, ask="rounds", rounds=rounds, cold_start=cold, arrival=ArrivalSettings()
    )
    return structs.replace(settings, query=query)


def lived(seed: int) -> World:
    return World(seed, FAULTS).live()


def faults_of(world: World) -> list[str]:
    """What is wrong in the logs, and where a shard has counted otherwise than they do."""
    wrong = Audit(world).wrong
    cluster, kafka = world.cluster, world.cluster.kafka
    for worker in cluster.workers:
        if worker.is_dead or worker.flow is None:
            continue
        for number, owned in worker.flow.owned.shards.items():
            steps = steps_of(rows_of(cluster.written[kafka.journal, number]))
            asked = [name for step in steps for name in step.get("asked", [])]
            shard = owned.shard.shard
            told = shard.asking
            if (told.budget.asked_n, sum(told.asked_by.values())) != (len(asked), len(asked)):
                wrong.append(f"partition {number}: {told.budget.asked_n} of {len(asked)} are paid")
            if told.open_n:
                wrong.append(f"partition {number}: {told.open_n} requests have ended and are open")
            if told.budget.spent_n > 2 + 0.3 * shard.events_n + 1e-9:
                wrong.append(f"partition {number}: {told.budget.spent_n} labels were not earned")
    return wrong


def differences_of(world: World) -> Differences:
    found = Differences()
    for worker in world.cluster.workers:
        found.add(worker.recomputed)
    return found


@pytest.mark.parametrize("seeds_n", [2, *long_ones(len(SEEDS))])
@pytest.mark.parametrize("ask", ["arrival", "rounds"])
@pytest.mark.parametrize("moved", [last_bits, upside_down])
@pytest.mark.default_n(1)
def test_a_worker_of_another_processor_takes_over_what_was_asked(
    moved: Callable[[Scores], Scores],
    ask: str,
    seeds_n: int,
    processors: Callable[[Callable[[Scores], Scores]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if ask == "rounds":
        settings = {seed: in_rounds(seed) for seed in SEEDS}
        monkeypatch.setattr(cluster_worlds, "settings_of", settings.__getitem__)
    processors(moved)
    found, warned = Differences(), list[str]()
    for seed in SEEDS[:seeds_n]:
        world = lived(seed)
        assert faults_of(world) == [], f"World({seed}, {FAULTS})"
        found.add(differences_of(world))
        warned += [told for told in world.cluster.warned if "what was asked then holds" in told]
    assert found.n > 0
    assert warned
    if moved is last_bits:
        assert 0.0 < found.largest < 1e-9
    else:
        assert found.turned_n > 0


def test_workers_of_one_processor_differ_in_nothing() -> None:
    worlds = [lived(seed) for seed in SEEDS[:2]]
    assert [differences_of(world).n for world in worlds] == [0] * len(worlds)
    assert sum(differences_of(world).decided_n for world in worlds) > 0


def test_a_worker_that_goes_by_its_own_sums_is_caught(
    processors: Callable[[Callable[[Scores], Scores]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    processors(upside_down)
    monkeypatch.setattr(PartitionShard, "follow_step", lambda self, step: None)
    assert any(faults_of(lived(seed)) for seed in SEEDS)
