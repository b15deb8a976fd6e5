"""A cap holds over all partitions, whatever becomes of partitions, settings, shards and workers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headrace.flow.shards import PartitionShard
from headrace.learn.caps import Caps, part_of
from simulation.cluster_audit import Audit
from simulation.cluster_caps import CAP_FAULTS, set_cap
from simulation.cluster_worlds import World

SEEDS = range(6_000, 6_012, 3)
"""Every third world has a cap (`settings_of`)."""

BROKEN_SEEDS = range(6_000, 6_036, 3)
BUSY = ("kill", "freeze")


@pytest.mark.parametrize("fault", ["add_partition", "cut_journal", *CAP_FAULTS])
def test_a_cap_holds(fault: str) -> None:
    for seed in SEEDS:
        world = World(seed, (fault, *BUSY)).live()
        assert Audit(world).wrong == [], f"World({seed})"


def test_what_a_raised_cap_adds_is_spent_and_no_shard_forgets() -> None:
    for seed in SEEDS:
        world = World(seed, ())
        world.cluster.after(40.0, lambda world=world: set_cap(world, 30))
        assert len(world.live().asked) > 12
        assert not any("passed over" in told for told in world.cluster.warned)
        assert Audit(world).wrong == []


def test_a_cap_below_the_number_of_partitions_is_held() -> None:
    world = World(SEEDS[0], ("add_partition",))
    world.cluster.after(0.5, lambda: set_cap(world, 1))
    assert len(world.live().asked) == 1
    assert Audit(world).wrong == []


# ------------------------------------------------------------------------------ broken flows


def caps_in_the_shard(patch: pytest.MonkeyPatch) -> None:
    def allow(self: PartitionShard, spent_n: int, caps: Caps) -> None:
        budget, cap = self.shard.asking.budget, self._cap or 0
        budget.set_cap(part_of(cap, self.partitions_n, self.partition), budget.spent_n)

    patch.setattr(PartitionShard, "_allow", allow)


def gives_every_partition_its_part(patch: pytest.MonkeyPatch) -> None:
    def divide(self: Caps, cap: int, n: int) -> None:
        for i in self._claims:
            self._limits[i] = max(self._limits[i], part_of(cap, n, i))

    patch.setattr(Caps, "_divide", divide)


def forgets_what_was_spent(patch: pytest.MonkeyPatch) -> None:
    keep = PartitionShard.keep_cap
    patch.setattr(
        PartitionShard, "keep_cap", lambda self, number, spent_n, caps: keep(self, number, 0, caps)
    )


BROKEN: list[tuple[Callable[[pytest.MonkeyPatch], None], tuple[str, ...]]] = [
    (caps_in_the_shard, ("add_partition",)),
    (caps_in_the_shard, ("change_settings",)),
    (caps_in_the_shard, ("reset",)),
    (gives_every_partition_its_part, ("add_partition",)),
    (forgets_what_was_spent, ("reset",)),
    (forgets_what_was_spent, ("change_settings",)),
]


@pytest.mark.parametrize(("broken", "faults"), BROKEN, ids=lambda one: getattr(one, "__name__", ""))
def test_a_flow_that_spends_more_is_caught(
    broken: Callable[[pytest.MonkeyPatch], None],
    faults: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken(monkeypatch)
    assert any(is_caught(seed, faults) for seed in BROKEN_SEEDS)


def is_caught(seed: int, faults: tuple[str, ...]) -> bool:
    return any("of a cap of" in wrong for wrong in Audit(World(seed, faults).live()).wrong)
