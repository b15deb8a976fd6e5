"""Clusters in which everything is forgotten by its age, audited; and broken flows that show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from headrace.flow import orders
from headrace.flow.desks import PartitionDesk
from headrace.flow.effects import Part
from headrace.learn import training_log
from headrace.messages import SubjectErased
from headrace.settings.retention import DAY_S
from simulation.cluster import BEGAN_AT
from simulation.cluster_audit import Audit, rows_of
from simulation.cluster_worlds import CALM_S, FED_S, World

LIMIT_S = 20.0
STEP_S = LIMIT_S / 10.0
LOOKS = (FED_S - 20.0, FED_S, FED_S + CALM_S)
"""When it is looked what is held: while events come, and at the end, when all were read."""

LATE_S = 15.0
"""So late it may be read in these worlds that something is to be forgotten."""

LIVES = (("kill", "join"), ("share_anew", "stop"), ("kill",), ("add_partition", "kill"))


class AgedWorld(World):
    """A world in which nothing is kept for longer than `LIMIT_S`; `held`: when, what, how old."""

    def __init__(self, seed: int, faults: tuple[str, ...]) -> None:
        super().__init__(seed, faults)
        retention = msgspec.structs.replace(self.settings.retention, days=LIMIT_S / DAY_S)
        label = msgspec.structs.replace(self.settings.label, closed_n=10_000)
        self.settings = msgspec.structs.replace(self.settings, retention=retention, label=label)
        self.cluster.settings = self.settings
        self.held: list[tuple[float, str, float]] = []
        for moment in LOOKS:
            self.cluster.after(moment, self.look)

    def look(self) -> None:
        """Note how old what each worker holds is."""
        now = self.cluster.now
        for worker in self.cluster.workers:
            if worker.is_dead or worker.is_frozen or worker.flow is None:
                continue
            flow = worker.flow
            held = [("examples", x.at) for x in flow.training.log.trainer.memory.examples()]
            for desk in flow.owned.desks.values():
                held += [("requests", one.event_at) for one in desk.desk.desk.list_requests()]
            for owned in flow.owned.shards.values():
                shard = owned.shard.shard
                held += [("window", at) for at in shard.window.copy_kept().at.tolist()]
                held += [("reservoir", at) for at in shard.reservoir.columns().at.tolist()]
            self.held += [(now, what, BEGAN_AT + now - at) for what, at in held]

    def too_old(self) -> list[tuple[float, str, float]]:
        """What is held at the end and should not be."""
        return [one for one in self.held if one[0] == LOOKS[-1] and one[2] > LIMIT_S + LATE_S]


def lived(seed: int, faults: tuple[str, ...]) -> AgedWorld:
    world = AgedWorld(seed, faults)
    world.live()
    return world


def faults_of(world: AgedWorld) -> list[str]:
    """What the audit says of it.

    Answers to requests that were forgotten may come after, and the log is never read to its end:
    another step begins all the time.
    """
    kafka = world.cluster.kafka
    gone = {
        row["request_id"]
        for _, row, _ in rows_of(world.cluster.written[Part(kafka.requests, 0)])
        if row["type"] == "RequestWithdrawn" and row["reason"] == "retention"
    }
    wrong = [one for one in Audit(world).wrong if " stands at " not in one]
    return [one for one in wrong if not any(name in one for name in gone)]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.default_n(3)
def test_nothing_is_held_for_longer_whatever_happens(seed: int) -> None:
    world = lived(seed, LIVES[seed % len(LIVES)])
    assert faults_of(world) == []
    assert world.too_old() == []


def test_what_is_young_is_held() -> None:
    held = lived(0, ()).held
    assert {what for _, what, _ in held} == {"window", "reservoir", "requests", "examples"}
    assert any(LIMIT_S / 2 < age < LIMIT_S for _, _, age in held)


def test_each_desk_says_once_in_a_step_that_it_begins() -> None:
    world = lived(2, ("kill", "join"))
    steps: dict[int, list[int]] = {0: [], 1: []}
    last = {0: (-1, -1), 1: (-1, -1)}
    for _, row, headers in rows_of(world.cluster.written[Part(world.cluster.kafka.training, 0)]):
        desk, offset, number, *_ = map(int, headers["headrace-origin"].split())
        # Said again after a kill, an entry has the same origin, and counts once.
        if (offset, number) > last[desk]:
            last[desk] = (offset, number)
            if row["type"] == "ErasureOrdered":
                steps[desk].append(int(row["key"].split()[1]))
    for numbers in steps.values():
        assert numbers == sorted(set(numbers)) and len(numbers) > FED_S / STEP_S / 2


# ------------------------------------------------------------------------------ broken flows


def keeps_events(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(orders, "erase_events", lambda order, shard: {})


def keeps_examples(patch: pytest.MonkeyPatch) -> None:
    def forget_nothing(order: Any, trainer: Any) -> SubjectErased:
        trainer.version += 1
        return SubjectErased(at=order.at, key=order.key)

    patch.setattr(training_log, "erase_labels", forget_nothing)


def has_desks_that_forget_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PartitionDesk, "_forget_old", lambda self, now: [])


@pytest.mark.parametrize("broken", [keeps_events, keeps_examples, has_desks_that_forget_nothing])
def test_a_broken_flow_is_caught(
    broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    assert lived(2, ("kill",)).too_old()
