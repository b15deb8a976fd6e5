"""An order of a round is carried out once, or says why it is not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from headrace import Engine, InputRejected, LabelRequested, RoundOpened, RoundOrdered
from headrace.messages import Reason
from headrace.settings import parse
from test_engine import GENEROUS, events, only, settings_with


def test_orders_with_one_key_open_one_round_which_says_key_and_reason() -> None:
    raw = {"query": {"budget": {"share": 0.01, "start": 8}, "rounds": {"every_n": 1_000}}}
    engine = Engine(settings=parse({**GENEROUS, **raw}))
    engine.feed(events(60))
    order = RoundOrdered(at=60.0, labels_n=2, key="audit 7", reason="a complaint")
    [opened] = only(engine.feed([order]), RoundOpened)
    assert (opened.order_key, opened.order_reason) == ("audit 7", "a complaint")
    restored = Engine(settings=engine.settings)
    restored.restore(engine.snapshot())
    for one in (engine, restored):
        assert one.feed([order, msgspec.structs.replace(order, at=61.0)]) == []
        assert len(only(one.feed([RoundOrdered(at=62.0, labels_n=2)]), LabelRequested)) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels_n": 0},
        {"labels_n": -3},
        {"labels_n": 2.5},
        {"labels_n": True},
        {"key": "two\nlines"},
        {"reason": "x" * 201},
    ],
)
def test_an_order_that_is_none_is_rejected_with_what_is_wrong(wrong: dict[str, Any]) -> None:
    engine = Engine(settings=settings_with())
    engine.feed(events(15))
    order = msgspec.structs.replace(RoundOrdered(at=20.0), **wrong)
    [rejected] = only(engine.feed([order]), InputRejected)
    assert rejected.reason == Reason.BAD_ORDER
    assert next(iter(wrong)) in rejected.detail


def test_an_order_before_any_event_says_that_there_is_nothing_to_choose_from() -> None:
    engine = Engine(settings=settings_with())
    [rejected] = only(engine.feed([RoundOrdered(at=20.0, key="early")]), InputRejected)
    assert rejected.reason == Reason.NO_ROUND
    assert "no event" in rejected.detail
    assert rejected.input_id == "early"


def audited(audit_n: int) -> Engine:
    """An engine that has asked 40 labels, and has what it set aside and nothing else."""
    budget = {"share": 0.5, "reserve": 4, "reserve_audit": audit_n, "reserve_share": 0.1}
    raw = {"query": {"ask": "rounds", "budget": budget, "rounds": {"every_n": 10}}}
    engine = Engine(settings=parse({**GENEROUS, **raw}))
    engine.feed(events(100))
    return engine


def test_what_is_held_for_audits_is_spent_by_nothing_else() -> None:
    engine = audited(3)
    asking = engine.shard.asking
    assert asking.budget.held_n == 4 + 3
    assert asking.regular_n == asking.budget.available_n - 7
    spent_n = len(only(engine.feed([RoundOrdered(at=101.0, key="drift")]), LabelRequested))
    assert spent_n >= 1
    assert asking.budget.available_n == 3
    [refused] = only(engine.feed([RoundOrdered(at=102.0, key="more")]), InputRejected)
    assert "held for another purpose" in refused.detail
    audit = RoundOrdered(at=103.0, key="audit", is_audit=True, reason="quarterly")
    outputs = engine.feed([audit])
    [opened] = only(outputs, RoundOpened)
    assert (opened.reason, opened.order_reason) == ("audit", "quarterly")
    asked = only(outputs, LabelRequested)
    assert len(asked) == 3
    assert {(one.reason, one.strategy) for one in asked} == {("audit", "random")}
    assert len({one.propensity for one in asked}) == 1
    assert asking.budget.held_n == 0 and asking.budget.available_n == 0
    assert engine.report.asking.rounds_by_reason["audit"] == 1


def test_an_audit_leaves_what_is_held_for_drift() -> None:
    engine = audited(0)
    free_n = engine.shard.asking.budget.available_n - 4
    outputs = engine.feed([RoundOrdered(at=101.0, is_audit=True)])
    assert len(only(outputs, LabelRequested)) == max(0, free_n)
    assert engine.shard.asking.budget.available_n == 4
