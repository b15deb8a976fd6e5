"""Logs that are cut, deleted and put back under a cluster: docs/DELIVERY.md, row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from headrace.flow import deadlines, flow, log_reader, outbox, recovery, takeover
from headrace.flow.effects import Follow, Load, Look, Part
from headrace.flow.flow import Flow
from headrace.flow.log_reader import LogReader
from headrace.flow.topic_ids import TopicIds
from headrace.flow.training import Training
from marks import long_ones
from simulation.cluster_audit import Audit, is_caught
from simulation.cluster_logs import KEPT, LOG_FAULTS
from simulation.cluster_worlds import FED_S, World

SEEDS = range(5_000, 5_004)
HALVES = [SEEDS[:2], *long_ones(SEEDS[2:])]
BUSY = ("kill", "join")


def lived(seed: int, *faults: str, puts_back: bool = False) -> World:
    world = World(seed, faults)
    return world.live(puts_back=puts_back)


def wrong_in(seed: int, faults: tuple[str, ...]) -> list[str]:
    return Audit(lived(seed, *faults)).wrong


# Of all clusters two in five draw one of these as well.
@pytest.mark.parametrize("seed", [SEEDS[0], *long_ones(SEEDS[1])])
@pytest.mark.parametrize("fault", LOG_FAULTS)
@pytest.mark.default_n(8)
def test_whatever_happens_to_a_log_is_told_and_no_label_is_lost(fault: str, seed: int) -> None:
    assert wrong_in(seed, (fault, *BUSY)) == [], f"World({seed})"


@pytest.mark.parametrize("seeds", HALVES)
@pytest.mark.parametrize("log", KEPT)
def test_a_log_that_is_deleted_ends_the_workers_with_a_sentence(log: str, seeds: range) -> None:
    for seed in seeds:
        world = lived(seed, f"delete_{log}")
        topic = getattr(world.cluster.kafka, log)
        assert any(topic in sentence for sentence in world.cluster.refused)


@pytest.mark.parametrize("seeds", HALVES)
@pytest.mark.parametrize("log", ["events", "journal", "training"])
def test_when_a_log_is_put_back_all_goes_on_as_if_it_had_never_been_gone(
    log: str, seeds: range
) -> None:
    for seed in seeds:
        world = lived(seed, f"delete_{log}", puts_back=True)
        assert world.refused
        assert world.cluster.refused == []
        assert Audit(world).wrong == [], f"World({seed})"


def test_snapshots_of_another_cluster_are_believed_by_nobody() -> None:
    for seed in SEEDS[:2]:
        there, here = World(seed, ()), World(seed, ())
        here.cluster.name = "here"
        for world in (there, here):
            world.cluster.has_ids, world.cluster.saved_kept = True, "all"
        there.live()
        here.cluster.after(FED_S, lambda there=there, here=here: copy_snapshots(there, here))
        here.live()
        assert any("of another cluster" in sentence for sentence in here.cluster.refused)


def copy_snapshots(there: World, here: World) -> None:
    """All workers die, and find the first snapshots of another cluster when they begin again."""
    first = {part: saved[:1] for part, saved in there.cluster.saved.items()}
    here.cluster.saved = first
    for worker in here.cluster.workers:
        worker.kill()
    here.cluster.start()


def test_brokers_without_ids_are_believed_that_a_log_is_the_same_and_it_is_said() -> None:
    world = World(SEEDS[0], ("refill_desk",))
    world.cluster.has_ids = False
    world.live()
    assert world.cluster.refused == []
    assert any("tell no ids of topics" in sentence for sentence in world.cluster.told)


SAID = [
    ("cut_desk", "requests in them are known no more", 5_005),
    ("cut_desk", "requests that were deleted and are open are known no more", 5_001),
    ("cut_journal", "what its shard knew before is lost", 5_001),
    ("truncate_journal", "it has lost its end", 5_001),
    ("truncate_answers", "it was made anew; it is read from its beginning", 5_000),
    ("delete_answers", "it was made anew; it is read from its beginning", 5_001),
    ("cut_training", "it must be kept for ever", 5_001),
    ("truncate_training", "it was deleted, cut or made anew", 5_001),
    ("truncate_desk", "it was deleted, cut or made anew", 5_000),
    ("delete_journal", "it was deleted, cut or made anew", 5_000),
    ("refill_events", "was deleted and made anew while this worker ran", 5_000),
    ("refill_journal", "was deleted and made anew while this worker ran", 5_000),
    ("refill_answers", "was made anew; it is read from its beginning", 5_000),
]
"""What happens, what is said of it, and the world in which that is seen first."""


@pytest.mark.parametrize(("fault", "said", "first"), SAID)
@pytest.mark.default_n(5)
def test_what_is_said_of_a_log_is_the_sentence_of_its_row(
    fault: str, said: str, first: int
) -> None:
    told = list[str]()
    for seed in (first, *range(5_000, 5_012)):
        cluster = lived(seed, fault, *BUSY).cluster
        told += cluster.warned + cluster.refused
        if any(said in sentence for sentence in told):
            return
    raise AssertionError(told)


# ------------------------------------------------------------------------------ broken flows


def does_not_watch_the_training_log(patch: pytest.MonkeyPatch) -> None:
    places = deadlines._list_places

    def without_training(flow: Flow) -> Any:
        training = flow.settings.kafka.training
        return ((part, place) for part, place in places(flow) if part.topic != training)

    patch.setattr(deadlines, "_list_places", without_training)
    patch.setattr(Flow, "read_up_to", lambda self, part: None)
    # Nor when it starts, or takes a shard over.
    takes_any_place_in(patch, "training")
    is_other = TopicIds.is_other
    patch.setattr(
        TopicIds,
        "is_other",
        lambda self, part, found: "training" not in part.topic and is_other(self, part, found),
    )


def begins_anew_where_the_journal_is_gone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(takeover, "_check_journal", lambda flow, found, committed: None)


def goes_on_without_the_beginning_of_the_training_log(patch: pytest.MonkeyPatch) -> None:
    def open_anyhow(self: Flow) -> Any:
        log, position = yield Load("training")
        part = Part(self.settings.kafka.training, 0)
        first, end, *_ = (yield Look((part,)))[part]
        position = max(first, position)
        run, timer = self._start_retraining, self.clocks.timer
        self.open_training(Training(log, position, end, run=run, timer=timer))
        self.agenda.add_effects(Follow(part, position))

    begin = LogReader.go_to_starts

    def begin_anyhow(self: LogReader) -> Any:
        yield from begin(self)
        self.lost = dict.fromkeys(self.lost, 0)

    patch.setattr(Flow, "_begin_training", open_anyhow)
    patch.setattr(LogReader, "go_to_starts", begin_anyhow)


def passes_over_what_the_desk_has_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("headrace.flow.places.Places.count_lost", lambda self, *what: None)
    patch.setattr("headrace.flow.agenda.Agenda.warn", lambda self, sentence: None)


def takes_any_desk_for_its_own(patch: pytest.MonkeyPatch) -> None:
    takes_any_place_in(patch, "desk")


def takes_any_place_in(patch: pytest.MonkeyPatch, log: str) -> None:
    for module in (deadlines, flow, outbox, recovery, takeover, log_reader):
        check = module.check_place

        def check_others(part: Part, place: int, end: int, check: Any = check) -> None:
            if log not in part.topic:
                check(part, place, end)

        patch.setattr(module, "check_place", check_others)


def takes_a_log_for_the_same_by_its_length(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TopicIds, "is_other", lambda self, part, found: False)


def looks_at_ids_only_when_it_starts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        TopicIds, "check_ids", lambda self, found: [self.is_other(*one) for one in found.items()]
    )


BROKEN: list[tuple[Callable[[pytest.MonkeyPatch], None], str, int]] = [
    (does_not_watch_the_training_log, "delete_training", 5_001),
    (begins_anew_where_the_journal_is_gone, "delete_journal", 5_000),
    (goes_on_without_the_beginning_of_the_training_log, "cut_training", 5_001),
    (passes_over_what_the_desk_has_lost, "cut_desk", 5_001),
    (takes_any_desk_for_its_own, "truncate_desk", 5_000),
    (takes_a_log_for_the_same_by_its_length, "refill_desk", 5_002),
    (takes_a_log_for_the_same_by_its_length, "refill_training", 5_002),
    (looks_at_ids_only_when_it_starts, "refill_events", 5_000),
]


@pytest.mark.parametrize(
    ("broken", "fault", "first"), BROKEN, ids=lambda one: getattr(one, "__name__", "")
)
@pytest.mark.default_n(3)
def test_a_flow_that_lets_a_loss_pass_is_caught(
    broken: Callable[[pytest.MonkeyPatch], None],
    fault: str,
    first: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken(monkeypatch)
    assert is_caught(wrong_in, (first, *range(5_000, 5_012)), (fault, *BUSY))
