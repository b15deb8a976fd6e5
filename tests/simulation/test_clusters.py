"""Clusters of bad luck, audited; and broken flows that the audit must not let pass."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from headrace.flow import deadlines, flow, log_reader, outbox, takeover
from headrace.flow.flow import Flow
from headrace.flow.outbox import Outbox
from headrace.flow.output_router import OutputRouter
from headrace.flow.recovery import Recovery
from headrace.messages import RequestRescored
from marks import long_ones
from simulation.cluster_audit import Audit, is_caught
from simulation.cluster_worlds import FAULTS, World

SEEDS_N = int(os.environ.get("HEADRACE_CLUSTERS", "1000"))
AT_ONCE = 16
SHORT_N = 5 * AT_ONCE
"""So many are of every run of the tests, the others of `make test-long`."""


def wrong_in(seed: int, faults: tuple[str, ...]) -> list[str]:
    return Audit(World(seed, faults).live()).wrong


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(first, marks=[pytest.mark.long] if first >= SHORT_N else [])
        for first in range(0, SEEDS_N, AT_ONCE)
    ],
)
@pytest.mark.default_n(2)
def test_every_cluster_passes_the_audit(first: int) -> None:
    for seed in range(first, min(first + AT_ONCE, SEEDS_N)):
        world = World(seed).live()
        assert Audit(world).wrong == [], f"World({seed}), {world.drawn}"


@pytest.mark.parametrize("first", [1_000, *long_ones(1_100, 1_200)])
def test_the_clusters_hold_everything_that_is_audited(first: int) -> None:
    seen: Counter[str] = Counter()
    for seed, name in enumerate(FAULTS, first):
        world = World(seed, (name,)).live()
        assert Audit(world).wrong == [], f"World({seed}, {(name,)})"
        seen.update(world.cluster.restarts)
        seen["refused"] += len(world.cluster.refused)
        seen["asked"] += len(world.asked)
        seen["answered"] += len(world.answered)
        seen["lost"] += sum("were deleted before" in told for told in world.cluster.warned)
        seen["taken over"] += sum("taken over" in told for told in world.cluster.told)
        seen["retrained"] += sum(
            b"ModelAdopted" in record.value or b"ModelKept" in record.value
            for record in world.cluster.log((world.cluster.kafka.training, 0)).records
        )
    wanted = ["GrownError", "refused", "asked", "answered", "lost", "taken over", "retrained"]
    assert [name for name in wanted if not seen[name]] == []


# ------------------------------------------------------------------------------ broken flows


def commits_before_it_writes(patch: pytest.MonkeyPatch) -> None:
    put = Outbox.put

    def put_early(self: Outbox, batch: Any) -> None:
        batch.arrived()
        put(self, batch)

    patch.setattr(Outbox, "put", put_early)


def commits_what_it_has_not_fed(patch: pytest.MonkeyPatch) -> None:
    polled = Flow._keep_read

    def polled_early(self: Flow, one: Any) -> None:
        if one.positions is not None:
            self.agenda.start(flow.commit_positions(self, one.positions))
        polled(self, one)

    patch.setattr(Flow, "_keep_read", polled_early)


def tells_people_before_its_journal(patch: pytest.MonkeyPatch) -> None:
    def carry_out(self: Outbox) -> Any:
        self._is_under_way = True
        while self._waiting:
            batches = list(self._waiting)
            self._waiting.clear()
            for stage in ("to_others", "to_desks"):
                records = [record for batch in batches for record in getattr(batch, stage)]
                yield from self._write_records(records)
            yield from self._write_records([p.journal for p in batches if p.journal is not None])
            for batch in batches:
                batch.arrived()
        self._is_under_way = False

    patch.setattr(Outbox, "carry_out", carry_out)


def fences_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outbox, "_is_fenced", lambda step, offset: False)


def believes_any_place(patch: pytest.MonkeyPatch) -> None:
    for module in (deadlines, flow, outbox, takeover, log_reader):
        patch.setattr(module, "check_place", lambda part, position, end: None)


def takes_what_was_said_from_committed_offsets(patch: pytest.MonkeyPatch) -> None:
    fold = OutputRouter.fold_desk_records

    def of_desk_by_offset(self: OutputRouter, owned: Any, records: Any) -> Any:
        owned.heard = max(owned.heard, (owned.written_to - 1, 1_000))
        return fold(self, owned, records)

    patch.setattr(OutputRouter, "fold_desk_records", of_desk_by_offset)


def forgets_what_was_not_sent(patch: pytest.MonkeyPatch) -> None:
    recovered = Recovery._make_recovered

    def without_unsent(self: Recovery, *arguments: Any) -> Any:
        found = recovered(self, *arguments)
        found.unsent = None
        return found

    patch.setattr(Recovery, "_make_recovered", without_unsent)


def sends_again_without_looking(patch: pytest.MonkeyPatch) -> None:
    def nothing_sent(flow: Flow, found: Any) -> Any:
        yield from ()
        return frozenset()

    patch.setattr(takeover, "_find_sent", nothing_sent)


def lets_go_before_all_has_arrived(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Outbox, "is_empty", property(lambda self: True))


def lets_no_deadline_pass(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(flow, "say_due", lambda flow: None)


def passes_over_a_gap_in_silence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("headrace.flow.places.Places.count_lost", lambda self, *what: None)


def takes_questions_back_behind_their_desks(patch: pytest.MonkeyPatch) -> None:
    pack_outputs = OutputRouter.pack_outputs

    def without_desks(self: OutputRouter, *arguments: Any) -> Any:
        batch = pack_outputs(self, *arguments)
        batch.to_desks = [
            record for record in batch.to_desks if b"RequestRescored" not in record.value
        ]
        return batch

    patch.setattr(OutputRouter, "pack_outputs", without_desks)


def tells_nobody_what_it_takes_back(patch: pytest.MonkeyPatch) -> None:
    route_to_others = OutputRouter._route_to_others

    def without_people(self: OutputRouter, output: Any, value: bytes | None = None) -> Any:
        return [] if isinstance(output, RequestRescored) else route_to_others(self, output, value)

    patch.setattr(OutputRouter, "_route_to_others", without_people)


def takes_back_what_its_journal_does_not_say(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("headrace.flow.steps.rescored_of", lambda outputs, after_n: [])


BROKEN: list[tuple[Callable[[pytest.MonkeyPatch], None], tuple[str, ...], int]] = [
    (commits_before_it_writes, ("kill", "join"), 0),
    (commits_what_it_has_not_fed, ("kill", "join"), 0),
    (tells_people_before_its_journal, ("kill", "freeze"), 0),
    (fences_nobody, ("freeze", "freeze", "join"), 3),
    (believes_any_place, ("truncate_events", "join"), 1),
    (takes_what_was_said_from_committed_offsets, ("move_offsets", "kill", "join"), 72),
    (forgets_what_was_not_sent, ("kill", "join"), 24),
    (sends_again_without_looking, ("kill", "join"), 0),
    (lets_go_before_all_has_arrived, ("share_anew", "join", "stop"), 1),
    (lets_no_deadline_pass, ("join",), 0),
    (passes_over_a_gap_in_silence, ("cut_events", "kill"), 0),
    (takes_questions_back_behind_their_desks, ("kill", "join"), 17),
    (tells_nobody_what_it_takes_back, ("kill", "join"), 21),
    (takes_back_what_its_journal_does_not_say, ("kill", "join"), 21),
]
"""What is broken, the faults of the worlds, and the first of a hundred that are tried."""


@pytest.mark.parametrize(
    ("broken", "faults", "first"), BROKEN, ids=lambda one: getattr(one, "__name__", "")
)
@pytest.mark.default_n(3)
def test_a_broken_flow_is_caught(
    broken: Callable[[pytest.MonkeyPatch], None],
    faults: tuple[str, ...],
    first: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken(monkeypatch)
    assert is_caught(wrong_in, range(first, first + 100), faults)
