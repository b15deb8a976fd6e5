"""When rounds open: four workflows, at any batching, over a snapshot, with late annotators."""

from __future__ import annotations

from typing import Any

import pytest
from bench.team import Annotator, Team

import headrace as hr
from headrace import Engine, LabelRequested, RoundOpened
from headrace.errors import BadSettings
from headrace.messages import Answer, Tick
from headrace.query.schedule import Adaptive, Hybrid, Parallel, Sequential, Situation, Workflow
from headrace.settings import parse
from headrace.testing import check_workflow
from test_engine import events, only

KINDS = ("parallel", "sequential", "hybrid", "adaptive")


def settings_of(kind: str, **workflow: Any) -> Any:
    return parse(
        {
            "seed": 3,
            "model": {"name": "naive-bayes"},
            "schema": {"classes": ["no", "yes"]},
            "label": {"deadline_s": 100.0},
            "query": {
                "ask": "rounds",
                "control_share": 0.1,
                "budget": {"share": 0.3, "reserve": 0},
                "rounds": {"every_n": 10},
                "cold_start": {"per_class_n": 2},
                "workflow": {"kind": kind, **workflow},
            },
        }
    )


@pytest.mark.parametrize(
    "make",
    [
        Parallel,
        lambda: Parallel(7),
        Sequential,
        lambda: Hybrid(10, 20, 0.8),
        lambda: Adaptive(5, 40, 60.0),
    ],
)
def test_every_workflow_keeps_the_rules(make: Any) -> None:
    check_workflow(make)


class Never:
    waits = False

    def batch_n(self, situation: Situation) -> int:
        return 0


class Moody:
    """Decides by what it was asked before, and forgets it in a copy."""

    waits = True
    n = 0

    def batch_n(self, situation: Situation) -> int:
        type(self).n += 1
        return self.n % 7


class ByLabels:
    """Waits for a label of what it asked last, which may have been withdrawn."""

    waits = True
    asked_at = -1

    def batch_n(self, situation: Situation) -> int:
        if situation.labels_n == self.asked_at:
            return 0
        self.asked_at = situation.labels_n
        return 5


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (Never, "asks nothing, with"),
        (Moody, "otherwise"),
        (ByLabels, "asks nothing any more once its open questions were withdrawn"),
    ],
)
def test_the_check_finds_what_is_broken(broken: Any, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check_workflow(broken)


def team() -> Team:
    return Team(
        [Annotator("ada", 11.0), Annotator("ben", 47.0), Annotator("cyd", 23.0, 0.5, 200.0)]
    )


def played(kind: str, n: int = 600, **workflow: Any) -> tuple[Engine, list[Any]]:
    engine = Engine(settings=settings_of(kind, **workflow))
    pairs = [(e, "yes" if e.features["x"] > 0 else "no") for e in events(n)]
    return engine, hr.run(engine, pairs, oracle=team()).outputs


@pytest.mark.parametrize("kind", KINDS)
def test_a_workflow_spends_no_more_than_the_budget_and_asks(kind: str) -> None:
    engine, outputs = played(kind)
    asked_n = len(only(outputs, LabelRequested))
    assert 10 <= asked_n <= 0.3 * 600
    assert engine.report.labels.settled_n > 5


def test_one_by_one_has_one_question_of_a_round_open() -> None:
    _, outputs = played("sequential")
    open_n = 0
    for output in outputs:
        if isinstance(output, LabelRequested) and output.round_n >= 0:
            open_n += 1
            assert open_n == 1
        elif type(output).__name__ in {"LabelSettled", "RequestExpired"}:
            open_n -= output.reason != "control" if hasattr(output, "reason") else 1


def test_a_hybrid_batch_opens_when_enough_of_the_last_one_is_in() -> None:
    _, outputs = played("hybrid", batch_n=5, warm_up_n=4, enough=0.8)
    batches: list[set[str]] = []
    ended: set[str] = set()
    sizes = []
    for output in outputs:
        if isinstance(output, RoundOpened):
            if batches:
                last = batches[-1]
                assert len(last & ended) >= 0.8 * len(last) - 1e-9
            batches.append(set())
            sizes.append(output.wanted_n)
        elif isinstance(output, LabelRequested) and output.round_n >= 0:
            batches[-1].add(output.request_id)
        elif type(output).__name__ in {"LabelSettled", "RequestExpired"}:
            ended.add(output.request_id)
    assert sizes[0] == 1
    assert sizes.count(5) > 3


def test_an_adaptive_batch_is_what_is_done_while_the_model_learns() -> None:
    def at(open_n: int, pace: float | None, idle: bool = False, batch_open_n: int = 0) -> Situation:
        return Situation(0.0, 99, 20, open_n, 10, batch_open_n, pace, idle)

    workflow: Workflow = Adaptive(size=4, size_max=50, retrain_s=60.0)
    assert workflow.batch_n(at(0, None)) == 4
    assert workflow.batch_n(at(1, 0.5)) == 29
    assert workflow.batch_n(at(30, 0.5)) == 0
    assert workflow.batch_n(at(0, 0.5, idle=True)) == 45
    assert workflow.batch_n(at(0, 0.5, idle=True)) == 50
    assert [workflow.batch_n(at(0, 0.1, batch_open_n=9)) for _ in range(4)] == [9, 6, 6, 6]


@pytest.mark.parametrize("kind", KINDS)
def test_any_batching_and_a_snapshot_between_decide_the_same(kind: str) -> None:
    stream = events(400)

    def outputs_of(size: int, cut: int | None) -> list[Any]:
        batch = {} if kind == "sequential" else {"batch_n": 6}
        engine = Engine(settings=settings_of(kind, **batch))
        found: list[Any] = []
        for start in range(0, 400, 80):
            for i in range(start, start + 80, size):
                found += engine.feed(stream[i : min(i + size, start + 80)])
            if start == cut:
                blob, engine = engine.snapshot(), Engine(settings=engine.settings)
                engine.restore(blob)
            asked = [o for o in found if isinstance(o, LabelRequested) and o.at > engine.now - 90]
            for request in (o for o in asked if o.seq % 4):
                label = "yes" if request.features["x"] > 0 else "no"
                answer = Answer(request_id=request.request_id, label=label, at=engine.now)
                found += engine.feed([answer])
        return [*found, *engine.feed([Tick(at=2_000.0)])]

    whole = outputs_of(80, None)
    assert len(only(whole, RoundOpened)) > 3
    assert outputs_of(7, 160) == whole


def test_settings_that_say_two_things_are_refused() -> None:
    with pytest.raises(BadSettings, match="there are no batches"):
        parse({"query": {"workflow": {"kind": "hybrid"}}})
    with pytest.raises(BadSettings, match="one by one"):
        parse({"query": {"ask": "rounds", "workflow": {"kind": "sequential", "batch_n": 5}}})


class EveryOther:
    """One of somebody's own: a pair of questions at every other chance."""

    waits = False

    def __init__(self) -> None:
        self.n = 0

    def batch_n(self, situation: Situation) -> int:
        self.n += 1
        return 2 if self.n % 2 == 0 else 0


def test_a_workflow_of_ones_own_is_passed_checked_and_goes_through_a_snapshot() -> None:
    check_workflow(EveryOther)
    passed = EveryOther()
    engine = Engine(settings=settings_of("parallel"), workflow=passed)
    outputs = engine.feed(events(100))
    assert passed.n == 0
    assert {o.wanted_n for o in only(outputs, RoundOpened)} <= {1, 2}
    assert len(only(outputs, RoundOpened)) == 5
    other = Engine(settings=settings_of("parallel"), workflow=EveryOther())
    other.restore(engine.snapshot())
    more = events(45, start=100)
    assert other.feed(more) == engine.feed(more)
    with pytest.raises(BadSettings, match="no batches"):
        Engine(workflow=EveryOther())
