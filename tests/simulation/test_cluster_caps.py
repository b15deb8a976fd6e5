"""A cap and money hold over all partitions, whatever becomes of those, settings and workers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headrace.flow.shards import PartitionShard
from headrace.learn.caps import Caps, part_of
from headrace.query.accounts import Total
from marks import long_ones
from simulation.cluster_audit import Audit, is_caught
from simulation.cluster_caps import CAP_FAULTS, DEAREST, set_limit
from simulation.cluster_caps import MONEY as MONEY_IN_ALL
from simulation.cluster_worlds import World

CAPS, MONEY = range(6_000, 6_012, 3), range(6_001, 6_013, 3)
"""Of three worlds one has a cap, and one has money (`limited_by`)."""

BUSY = ("kill", "freeze")


@pytest.mark.parametrize("seeds_n", [2, *long_ones(3)])
@pytest.mark.parametrize("seeds", [CAPS, MONEY], ids=["cap", "money"])
@pytest.mark.parametrize("fault", ["add_partition", "cut_journal", *CAP_FAULTS])
@pytest.mark.default_n(3)
def test_a_total_holds(fault: str, seeds: range, seeds_n: int) -> None:
    for seed in seeds[:seeds_n]:
        world = World(seed, (fault, *BUSY)).live()
        assert Audit(world).wrong == [], f"World({seed})"


@pytest.mark.parametrize("seeds", [CAPS, MONEY], ids=["cap", "money"])
def test_what_is_added_is_spent_and_no_shard_forgets(seeds: range) -> None:
    asked_n = 0
    for seed in seeds[:2]:
        world = World(seed, ())
        world.cluster.after(40.0, lambda world=world: set_limit(world, 30))
        asked_n += len(world.live().asked) - len(World(seed, ()).live().asked)
        assert not any("passed over" in told for told in world.cluster.warned)
        assert Audit(world).wrong == []
    assert asked_n > 4


@pytest.mark.parametrize("seed", [CAPS[0], MONEY[0]])
def test_what_is_for_less_than_a_label_a_partition_is_held(seed: int) -> None:
    world = World(seed, ("add_partition",))
    world.cluster.after(0.5, lambda: set_limit(world, 1))
    # Of money each partition has a part, and none a whole label.
    assert len(world.live().asked) == (1 if world.limited == "cap" else 0)
    assert Audit(world).wrong == []


def test_what_labels_of_cheap_classes_leave_is_spent() -> None:
    asked = [len(World(seed, ()).live().asked) for seed in MONEY]
    assert max(asked) > MONEY_IN_ALL / DEAREST


# ------------------------------------------------------------------------------ broken flows


def totals_in_the_shard(patch: pytest.MonkeyPatch) -> None:
    def allow(self: PartitionShard, spent: Total, caps: Caps) -> None:
        budget, of = self.shard.asking.budget, (self.partitions_n, self.partition)
        limit = Total(part_of(self._cap or 0, *of), part_of(self._money or 0, *of))
        budget.set_total(limit, budget.total_spent)

    patch.setattr(PartitionShard, "_allow_spending", allow)


def gives_every_partition_its_part(patch: pytest.MonkeyPatch) -> None:
    def raised(limits: dict[int, int], total: int, have_claimed: list[bool]) -> dict[int, int]:
        n = len(have_claimed)
        return {i: max(limits.get(i, 0), part_of(total, n, i)) for i in range(n) if have_claimed[i]}

    patch.setattr("headrace.learn.caps._raise_limits", raised)


def forgets_what_was_spent(patch: pytest.MonkeyPatch) -> None:
    keep = PartitionShard.keep_spent
    patch.setattr(
        PartitionShard, "keep_spent", lambda self, n, spent, caps: keep(self, n, Total(), caps)
    )


BROKEN: list[tuple[Callable[[pytest.MonkeyPatch], None], str]] = [
    (totals_in_the_shard, "add_partition"),
    (totals_in_the_shard, "change_settings"),
    (totals_in_the_shard, "reset"),
    (gives_every_partition_its_part, "add_partition"),
    (forgets_what_was_spent, "reset"),
    (forgets_what_was_spent, "change_settings"),
]


@pytest.mark.parametrize("first", [CAPS[0], MONEY[0]], ids=["cap", "money"])
@pytest.mark.parametrize(("broken", "fault"), BROKEN, ids=lambda one: getattr(one, "__name__", one))
@pytest.mark.default_n(3)
def test_a_flow_that_spends_more_is_caught(
    broken: Callable[[pytest.MonkeyPatch], None],
    fault: str,
    first: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken(monkeypatch)
    # Most show in one of the first two; a later one shows that every partition has a part.
    seeds = [first, first + 3, first + 102, *range(first + 6, first + 150, 3)]
    assert is_caught(overspent_in, seeds, (fault,))


def overspent_in(seed: int, faults: tuple[str, ...]) -> list[str]:
    wrong = Audit(World(seed, faults).live()).wrong
    return [sentence for sentence in wrong if "are spent of" in sentence]
