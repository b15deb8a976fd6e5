"""A state goes on only in an engine made as the one that it is of; else it is refused by name."""

from __future__ import annotations

import re
from typing import Any

import pytest
from river import linear_model, preprocessing, tree
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

import headrace as hr
from headrace.query.budgets import Cap, PerHour, Share
from headrace.query.schedule import Sequential
from headrace.settings import LabelSettings, QuerySettings, RunSettings
from headrace.state import frozen


class Streak:
    """A detector of one's own."""

    drift_detected = False

    def update(self, x: float) -> None:
        """Take in one number."""


class Own(Share):
    """An account of one's own, which changes what it was made with."""

    def events_passed(self, n: int) -> None:
        super().events_passed(n)
        self.share += 0.001


def linear() -> Any:
    return preprocessing.StandardScaler() | linear_model.LogisticRegression()


def engine(model: Any = None, **given: Any) -> hr.Engine:
    return hr.Engine(linear() if model is None else model, **{"seed": 7, **given})


def in_rounds() -> hr.Settings:
    return hr.Settings(seed=7, query=QuerySettings(ask="rounds"))


def events() -> list[hr.Event]:
    return [hr.Event(id=str(i), at=float(i), features={"x": i % 3}) for i in range(60)]


DIFFERENT = [
    (engine(), engine(seed=8), "seed is 8, and the state was made with 7"),
    (engine(), engine(settings=hr.Settings(stream="clicks")), "stream is 'clicks'"),
    (engine(), engine(classes=["a", "b"]), "schema.classes is ['a', 'b']"),
    (
        engine(),
        engine(settings=hr.Settings(label=LabelSettings(deadline_s=60.0))),
        "label.deadline_s is 60.0, and the state was made with 86400.0",
    ),
    (
        engine(),
        engine(tree.HoeffdingTreeClassifier()),
        "model is 'HoeffdingTreeClassifier', and the state was made with "
        "'StandardScaler | LogisticRegression'",
    ),
    (engine(LogisticRegression()), engine(GaussianNB()), "estimator is 'GaussianNB'"),
    (engine(), engine(strategy="entropy"), "strategy is 'entropy'"),
    (
        engine(budget=Share(0.3)),
        engine(budget=Share(0.01)),
        "budget.Share[0].share is 0.01, and the state was made with 0.3",
    ),
    (
        engine(budget=[Share(0.3)]),
        engine(budget=[Share(0.3), Cap(9)]),
        "budget.Cap[1] is {'cap': 9}",
    ),
    (engine(budget=[Share(0.3), Cap(8)]), engine(budget=[Share(0.3), Cap(9)]), "cap is 9"),
    (engine(), engine(budget=PerHour(9)), "budget.PerHour[0] is {'per_hour': 9"),
    (engine(), engine(detectors={"error": Streak()}), "detectors is ['Streak']"),
    (
        engine(settings=in_rounds()),
        engine(settings=in_rounds(), workflow=Sequential()),
        "workflow is 'Sequential'",
    ),
]


@pytest.mark.parametrize(("then", "now", "said"), DIFFERENT, ids=[said for _, _, said in DIFFERENT])
def test_a_state_of_an_engine_made_otherwise_is_refused(
    then: hr.Engine, now: hr.Engine, said: str
) -> None:
    blob, before = then.snapshot(), now.snapshot()
    with pytest.raises(hr.BadSettings, match=re.escape(said)):
        now.restore(blob)
    assert now.snapshot() == before


def test_what_decides_nothing_may_change() -> None:
    first = engine()
    first.feed(events())
    settings = hr.Settings(run=RunSettings(tick_s=9.0), label=LabelSettings(cost=3.0))
    second = engine(settings=settings)
    second.restore(first.snapshot())
    assert second.report.events.observed_n == 60


def test_what_an_account_of_ones_own_was_made_with_is_not_known() -> None:
    first, second = engine(budget=Own(0.3)), engine(budget=Own(0.3))
    first.feed(events())
    second.restore(first.snapshot())
    assert second.feed(events()) == first.feed(events())


@pytest.mark.parametrize("part", ["settings", "asking", "drift"])
def test_a_state_that_lacks_a_part_is_refused(part: str) -> None:
    first = engine()
    delattr(first.shard, part)
    parts = (first.schema, first.shard, first.desk, first.trainer)
    with pytest.raises(hr.BadInput, match="the state is not whole"):
        engine().restore(frozen.freeze(parts, kind="engine"))


def test_a_fault_of_a_strategy_is_no_fault_of_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every `AttributeError` was said to be the state's, so that a start passed it over."""
    first, second = engine(), engine()

    def attach_strategy(self: Any, strategy: Any) -> None:
        raise AttributeError("a fault of the strategy")

    monkeypatch.setattr(type(second.shard.asking), "attach_strategy", attach_strategy)
    with pytest.raises(AttributeError, match="a fault of the strategy"):
        second.restore(first.snapshot())
