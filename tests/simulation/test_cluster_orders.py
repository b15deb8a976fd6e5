"""Operators' orders in clusters of bad luck, audited; and broken flows that the audit must see."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from headrace.flow import orders
from headrace.flow.effects import Part
from headrace.flow.flow import Flow
from headrace.flow.output_router import OutputRouter
from headrace.flow.recovery import Recovery
from headrace.messages import RoundOrdered
from headrace.query.orders import Orders
from simulation.cluster_audit import Audit, is_caught
from simulation.cluster_orders import OrderAudit, OrderedWorld, outcome_of

SEEDS_N = max(6, int(os.environ.get("HEADRACE_CLUSTERS", "16")) // 2)
LIVES = (
    ("kill", "join"),
    ("freeze", "kill", "join"),
    ("share_anew", "stop", "clock"),
    ("move_offsets", "kill"),
    ("add_partition", "kill"),
    ("cut_events", "freeze"),
)
BROKEN_SEEDS = range(6)


def wrong_in(seed: int, faults: tuple[str, ...]) -> list[str]:
    world = OrderedWorld(seed, faults)
    world.live()
    return [*Audit(world).wrong, *OrderAudit(world).wrong]


@pytest.mark.parametrize("seed", range(SEEDS_N))
@pytest.mark.default_n(3)
def test_every_order_is_carried_out_once_by_every_shard(seed: int) -> None:
    faults = LIVES[seed % len(LIVES)]
    assert wrong_in(seed, faults) == [], f"OrderedWorld({seed}, {faults})"


def test_the_clusters_hold_every_kind_of_order() -> None:
    found = []
    for seed in (2, 5, 11):  # Neither a cap nor money limits these.
        world = OrderedWorld(seed, ("kill",))
        world.live()
        found.append(OrderAudit(world))
    assert all(len(audit.asked) >= 5 for audit in found)
    assert sum(sum(audit.asked.values()) for audit in found) > 30
    assert sum(audit.back_n for audit in found) > 2
    assert sum(audit.refused_n for audit in found) > 2


def test_who_waits_is_told_what_the_logs_say() -> None:
    for seed, faults in ((1, ("kill", "join")), (2, ("freeze", "kill"))):
        world = OrderedWorld(seed, faults)
        world.live()
        audit = OrderAudit(world)
        for key, asked_n in audit.asked.items():
            found = outcome_of(world, "round", key)
            assert found is not None and found["asked_n"] == asked_n
            assert found["state"] == ("asked" if asked_n else "refused")
            assert asked_n or found["why"]
        backs = [outcome_of(world, "roll-back", f"version {i}") for i in range(4)]
        states = [found["state"] for found in backs if found is not None]
        assert states.count("rolled back") == audit.back_n
        assert states.count("refused") == audit.refused_n
        assert outcome_of(world, "round", "never ordered") is None
        assert outcome_of(world, "round", "round 0", since_ms=10**12) is None


def test_who_waits_hears_nothing_before_all_shards_have_said_it() -> None:
    world = OrderedWorld(1, ())
    world.live()
    journal = world.cluster.log(Part(world.cluster.kafka.journal, 1))
    names = [
        told["order"]
        for one in journal.records
        for told in msgspec.json.decode(one.value).get("orders", [])
    ]
    key = next(name for name in names if name.startswith("round ")).removeprefix("round ")
    found = outcome_of(world, "round", key)
    assert found is not None and found["state"] != "ordered"
    said = [i for i, one in enumerate(journal.records) if f"round {key}".encode() in one.value]
    del journal.records[said[0] :]
    assert outcome_of(world, "round", key) == {"state": "ordered"}


# ------------------------------------------------------------------------------ broken flows


def gives_every_shard_the_whole(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(orders, "part_of", lambda order, partition: order)


def rounds_every_part_up(patch: pytest.MonkeyPatch) -> None:
    def rounded(order: RoundOrdered, partition: int) -> RoundOrdered:
        n = order.labels_n
        part = None if n is None else -(-n // max(1, order.shards_n))
        return msgspec.structs.replace(order, labels_n=part)

    patch.setattr(orders, "part_of", rounded)


def forgets_keys(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Orders, "is_known", lambda self, key: False)


def hears_no_order_while_it_takes_over(patch: pytest.MonkeyPatch) -> None:
    catch_up = Recovery.catch_up

    def deaf(self: Recovery, shard: Any, log: Any, training: int) -> Any:
        hear = shard.hear_entry
        shard.hear_entry = lambda entry, log: (
            None if isinstance(entry, RoundOrdered) else hear(entry, log)
        )
        yield from catch_up(self, shard, log, training)
        del shard.hear_entry

    patch.setattr(Recovery, "catch_up", deaf)


def writes_no_step_for_orders(patch: pytest.MonkeyPatch) -> None:
    on_entry = Flow._on_entry

    def silent(self: Flow, entry: Any) -> None:
        on_entry(self, entry)
        for owned in self.owned.shards.values():
            owned.shard._open._orders.clear()

    patch.setattr(Flow, "_on_entry", silent)


def passes_orders_on_past_the_desk(patch: pytest.MonkeyPatch) -> None:
    route_to_desk = OutputRouter.route_to_desk

    def straight(self: OutputRouter, entry: Any, now: float, desk: int | None = None) -> Any:
        record = route_to_desk(self, entry, now, desk)
        if not isinstance(entry, RoundOrdered):
            return record
        return record._replace(topic=self.kafka.training, headers=())

    patch.setattr(OutputRouter, "route_to_desk", straight)


BROKEN: list[tuple[Callable[[pytest.MonkeyPatch], None], tuple[str, ...]]] = [
    (gives_every_shard_the_whole, ("kill",)),
    (rounds_every_part_up, ("kill",)),
    (forgets_keys, ("kill",)),
    (hears_no_order_while_it_takes_over, ("kill", "join")),
    (writes_no_step_for_orders, ("kill",)),
    (passes_orders_on_past_the_desk, ("kill",)),
]


@pytest.mark.parametrize(("broken", "faults"), BROKEN, ids=lambda one: getattr(one, "__name__", ""))
@pytest.mark.default_n(2)
def test_a_broken_flow_is_caught(
    broken: Callable[[pytest.MonkeyPatch], None],
    faults: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken(monkeypatch)
    assert is_caught(wrong_in, BROKEN_SEEDS, faults)
