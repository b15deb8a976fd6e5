"""Persons erased in clusters of bad luck, audited; and broken flows that the audit must see."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from headrace.flow import orders, output_router
from headrace.flow.desks import PartitionDesk
from headrace.flow.flow import Flow
from headrace.flow.output_router import OutputRouter
from headrace.flow.recovery import Recovery
from headrace.label.desk import Desk
from headrace.label.outcomes import Erased
from headrace.learn import training_log
from headrace.messages import ErasureOrdered, SubjectErased
from simulation.cluster_audit import is_caught
from simulation.cluster_erasures import ErasedWorld, ErasureAudit

SEEDS_N = max(5, int(os.environ.get("HEADRACE_CLUSTERS", "16")) // 3)
LIVES = (
    ("kill", "join"),
    ("freeze", "kill", "join"),
    ("share_anew", "stop", "clock"),
    ("move_offsets", "kill"),
    ("add_partition", "kill"),
)
BROKEN_SEEDS = range(4)


def audited(seed: int, faults: tuple[str, ...]) -> ErasureAudit:
    world = ErasedWorld(seed, faults)
    world.live()
    return ErasureAudit(world)


@pytest.mark.parametrize("seed", range(SEEDS_N))
@pytest.mark.default_n(2)
def test_who_is_erased_is_forgotten_by_everybody_whatever_happens(seed: int) -> None:
    faults = LIVES[seed % len(LIVES)]
    assert audited(seed, faults).wrong == [], f"ErasedWorld({seed}, {faults})"


def test_the_clusters_forget_from_every_place() -> None:
    forgotten: Counter[str] = Counter()
    refitted_n = 0
    for seed in (0, 2, 3):
        audit = audited(seed, ("kill",))
        assert audit.wrong == []
        forgotten += audit.forgotten
        refitted_n += audit.refitted_n
    places = {"window", "reservoir", "open requests", "ended requests", "examples", "categories"}
    assert places | {"model categories", "withdrawn"} <= forgotten.keys()
    assert refitted_n >= 2


# ------------------------------------------------------------------------------ broken flows


def forgets_no_event(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(orders, "erase_events", lambda order, shard: {})


def forgets_no_label(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        training_log,
        "erase_labels",
        lambda order, trainer: SubjectErased(at=order.at, key=order.key),
    )


def keeps_requests(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Desk, "erase", lambda self, request_ids, reason, now: Erased([], [], 0, False))


def tells_one_desk_alone(patch: pytest.MonkeyPatch) -> None:
    route_answer = OutputRouter.route_answer

    def first(self: OutputRouter, *arguments: Any) -> Any:
        records = route_answer(self, *arguments)
        return records[:1] if b"ErasureOrdered" in records[0].value else records

    patch.setattr(OutputRouter, "route_answer", first)


def carries_it_out_as_often_as_it_is_read(patch: pytest.MonkeyPatch) -> None:
    fold = PartitionDesk.fold

    def again(self: PartitionDesk, entry: Any, written_at: float, offset: int) -> Any:
        if isinstance(entry, ErasureOrdered):
            entry = msgspec.structs.replace(entry, key=f"{entry.key} {offset}")
        return fold(self, entry, written_at, offset)

    patch.setattr(PartitionDesk, "fold", again)


def hears_no_order_while_it_takes_over(patch: pytest.MonkeyPatch) -> None:
    catch_up = Recovery.catch_up

    def deaf(self: Recovery, shard: Any, log: Any, training: int) -> Any:
        hear = shard.hear_entry
        shard.hear_entry = lambda entry, log: (
            None if isinstance(entry, ErasureOrdered) else hear(entry, log)
        )
        yield from catch_up(self, shard, log, training)
        del shard.hear_entry

    patch.setattr(Recovery, "catch_up", deaf)


def misses_the_first_desks_order(patch: pytest.MonkeyPatch) -> None:
    on_entry = Flow._on_entry

    def deaf(self: Flow, entry: Any) -> None:
        if not isinstance(entry, ErasureOrdered) or entry.desk:
            on_entry(self, entry)

    patch.setattr(Flow, "_on_entry", deaf)


def tells_annotators_whose_event_it_was(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(output_router, "ERASED", "never a reason")


BROKEN: list[tuple[Callable[[pytest.MonkeyPatch], None], tuple[str, ...]]] = [
    (forgets_no_event, ("kill",)),
    (forgets_no_label, ("kill",)),
    (keeps_requests, ("kill",)),
    (tells_one_desk_alone, ("kill",)),
    (carries_it_out_as_often_as_it_is_read, ("kill",)),
    (hears_no_order_while_it_takes_over, ("kill", "join")),
    (misses_the_first_desks_order, ("kill",)),
    (tells_annotators_whose_event_it_was, ("kill",)),
]


@pytest.mark.parametrize(("broken", "faults"), BROKEN, ids=lambda one: getattr(one, "__name__", ""))
@pytest.mark.default_n(3)
def test_a_broken_flow_is_caught(
    broken: Callable[[pytest.MonkeyPatch], None],
    faults: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken(monkeypatch)
    assert is_caught(lambda *world: audited(*world).wrong, BROKEN_SEEDS, faults)
