"""Arguments of an engine that can't be meant are refused with a sentence, before anything runs."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

import headrace as hr
from headrace.query.budgets import Cap, Share
from headrace.settings import BudgetSettings, LabelSettings, QuerySettings, parse


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        (hr.Settings(query=QuerySettings(ask="round")), "query.ask is 'round'; must be one of"),
        (hr.Settings(label=LabelSettings(late_answers="refuse")), "did you mean 'refused'"),
        (hr.Settings(label=LabelSettings(consensus="dawid-skene")), "label.consensus is"),
        (hr.Settings(label=LabelSettings(answers_wanted=0)), "must be at least 1"),
        (hr.Settings(label=LabelSettings(deadline_s=-5.0)), "label.deadline_s is -5.0"),
        (hr.Settings(label=LabelSettings(deadline_s="5")), "label.deadline_s is '5'"),
        (hr.Settings(label=LabelSettings(experts="eve")), "label.experts is 'eve'"),
        (hr.Settings(stream=3), "stream is 3; must be a text"),
        (hr.Settings(seed=-1), "seed is -1"),
        (hr.Settings(query=QuerySettings(budget=BudgetSettings(share=object()))), "no file can"),
        ({"seed": 7}, "settings is a dict; pass a Settings"),
    ],
)
def test_settings_made_in_python_are_checked_as_those_of_a_file(settings: Any, fault: str) -> None:
    with pytest.raises(hr.BadSettings, match=fault):
        hr.Engine(settings=settings)


def test_scalars_of_numpy_in_settings_are_taken_for_what_they_are() -> None:
    budget = BudgetSettings(share=np.float64(0.25))
    given = hr.Settings(seed=np.int64(7), query=QuerySettings(budget=budget))
    engine = hr.Engine(settings=given)
    assert engine.settings == parse({"seed": 7, "query": {"budget": {"share": 0.25}}})
    hr.Engine(settings=engine.settings).restore(engine.snapshot())


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        ([0, 1], ["0", "1"]),
        ((False, True), ["false", "true"]),
        (np.array(["a", "b"]), ["a", "b"]),
        (pd.Series([2, 1]), ["2", "1"]),
        ((name for name in "ab"), ["a", "b"]),
    ],
)
def test_classes_are_named_as_answers_are(classes: Any, names: list[str]) -> None:
    engine = hr.Engine(classes=classes, seed=1)
    assert engine.schema.classes == engine.settings.schema.classes == names
    assert {type(name) for name in engine.schema.classes} == {str}


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"classes": "spam"}, "classes is 'spam'; must be a list"),
        ({"classes": {"a"}}, "must be a list, such as"),
        ({"classes": 3}, "classes is 3"),
        ({"classes": [None]}, "a class is None"),
        ({"classes": [" "]}, "a class is ' '"),
        ({"classes": [b"a"]}, "a class .* b'a'"),
        ({"privacy": "key"}, "privacy is 'key'; pass a Privacy"),
        ({"detectors": ["error"]}, "detectors is .* must be a dict"),
        ({"budget": Share}, "is no budget; pass an account"),
        ({"budget": {"share": 0.1}}, "is no budget; pass an account"),
    ],
)
def test_an_argument_of_another_kind_is_refused(arguments: dict[str, Any], fault: str) -> None:
    with pytest.raises(hr.BadSettings, match=fault):
        hr.Engine(**arguments)


def test_accounts_may_come_from_a_generator() -> None:
    engine = hr.Engine(budget=(one for one in (Share(0.1), Cap(5))))
    assert len(engine.shard.asking.budget.accounts) == 2


@pytest.mark.parametrize(
    "event",
    [
        {"id": 10**5_000, "features": {"x": 1.0}},
        {"id": "a", "features": {"x": 10**5_000}},
        {"id": "a", "features": {"x": {"y": [-(10**5_000)]}}},
        {"id": "a", "features": {"x": 1.0}, "key": 10**5_000},
    ],
)
def test_a_whole_number_that_no_text_can_hold_is_rejected(event: dict[str, Any]) -> None:
    engine = hr.Engine(budget=Share(0.5), seed=1)
    [rejected] = engine.feed([hr.Event(at=1.0, **event)])
    assert isinstance(rejected, hr.InputRejected)
    assert rejected.reason == "bad_features"
    assert "over 4000 digits" in rejected.detail
    msgspec.json.encode(rejected)
    fine = engine.feed([hr.Event(id="b", at=2.0, features={"x": 10**3_999})])
    assert all(map(msgspec.json.encode, fine))
    with pytest.raises(hr.BadInput, match="over 4000 digits"):
        engine.predict({"x": 10**5_000})


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"event_ids": "12"}, "event_ids must be a tuple of texts"),
        ({"event_ids": (1,)}, "event_ids must be a tuple of texts"),
        ({"field": "x", "values": "1"}, "values must be a tuple of texts"),
        ({"field": "x", "values": (1,)}, "values must be a tuple of texts"),
        ({"values": ("1",)}, "it has values and no field"),
        ({"before": "yesterday"}, "before must be a number of seconds"),
        ({"before": 1.7e12}, "before must be a number of seconds"),
    ],
)
def test_an_erasure_that_names_nobody_rightly_is_rejected(fields: Any, fault: str) -> None:
    engine = hr.Engine(budget=Share(0.5), seed=1)
    engine.feed([hr.Event(id=str(i), at=float(i), features={"x": 1}) for i in range(4)])
    kept_n = len(engine.shard.window)
    [rejected] = engine.feed([hr.ErasureOrdered(at=4.0, key="k", **fields)])
    assert isinstance(rejected, hr.InputRejected)
    assert rejected.reason == "bad_order" and fault in rejected.detail
    assert len(engine.shard.window) == kept_n
    # The key is not used up.
    [*_, done] = engine.feed([hr.ErasureOrdered(at=4.0, key="k", event_ids=["1"])])
    assert isinstance(done, hr.SubjectErased) and done.erased["window"] == 1


@pytest.mark.parametrize("at", [1.7e12, 10**400, True, -1e12])
def test_a_tick_in_milliseconds_moves_no_clock(at: Any) -> None:
    engine = hr.Engine(budget=Share(0.5), seed=1)
    engine.feed([hr.Event(id="a", at=5.0, features={"x": 1})])
    with pytest.raises(hr.BadSettings, match=r"the at of a Tick is .* must be seconds since"):
        engine.feed([hr.Tick(at=at)])
    assert engine.now == 5.0
    engine.feed([hr.Tick(at=np.int64(9))])
    assert engine.now == 9.0


@pytest.mark.parametrize("inputs", [None, 3])
def test_feed_takes_a_list(inputs: Any) -> None:
    with pytest.raises(hr.BadSettings, match="feed takes a list of inputs"):
        hr.Engine().feed(inputs)


@pytest.mark.parametrize(
    "at",
    [
        np.array(["2024-05-01"], "datetime64[D]"),
        pd.to_datetime(["2024-05-01"]),
        pd.Series(pd.to_datetime(["2024-05-01"], utc=True)),
    ],
)
def test_dates_in_arrays_are_no_seconds(at: Any) -> None:
    with pytest.raises(hr.BadInput, match=r"at has datetime64.* must be numbers, times in seconds"):
        hr.EventBatch.from_arrays([[1.0]], ["x"], ids=["a"], at=at)


@pytest.mark.parametrize("account", [Share, hr.budgets.PerHour])
def test_an_account_without_room_for_a_label_is_refused(account: Any) -> None:
    for burst in (0, -1):
        with pytest.raises(hr.BadSettings, match="or none is ever asked"):
            account(0.5, burst=burst)
    with pytest.raises(hr.BadSettings, match="start is -2"):
        account(0.5, start=-2)


@pytest.mark.parametrize(
    "shares", [{"wrong": 2.0}, {"silent": -0.1}, {"wrong": 0.6, "silent": 0.6}]
)
def test_moods_of_a_crowd_that_are_no_shares_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(hr.BadSettings, match="must be shares, at most 1 in all"):
        hr.oracles.Crowd(**shares)
