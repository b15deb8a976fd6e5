"""Limits are said when they are reached, once each, with the setting that helps."""

from __future__ import annotations

import pytest
from river import facto, tree
from river.preprocessing import StandardScaler

from headrace import Answer, Engine, Event, Settings
from headrace.models import Committee
from headrace.report.limits import LIMITS
from headrace.settings import ColumnsSettings, SchemaSettings, parse


def reached(values, *, columns=None, **schema):
    """What is told after these events' features."""
    settings = Settings(schema=SchemaSettings(**schema), columns=columns or ColumnsSettings())
    engine = Engine(settings=settings)
    engine.feed([Event(id=str(i), at=float(i), features=x) for i, x in enumerate(values)])
    return {limit.kind: (limit.n, limit.sentence) for limit in engine.report.limits}


def test_nothing_is_told_of_what_fits():
    assert reached([{"x": 1.0, "city": "Rome"}] * 50) == {}


@pytest.mark.parametrize(
    ("values", "schema", "kind", "n", "words"),
    [
        (
            [{"a": 1.0, "b": 2.0, "c": 3.0}] * 4,
            {"features_max": 2},
            "features", 4, ("(c)", "schema.features_max is 2"),
        ),
        (
            [{"a": 1.0, "odd": 2.0}] * 3,
            {"features": {"a": "numeric"}},
            "features", 3, ("(odd)", "schema.features does not declare"),
        ),
        (
            [{"sku": f"s{i % 5}"} for i in range(10)],
            {"categories_max": 3},
            "categories", 4, ("(sku)", "schema.categories_max", "columns.text"),
        ),
        (
            [{"a": 1.0}, {"a": "seven"}, {"a": "eight"}],
            {},
            "mistyped", 2, ("(a)", "columns.categorical", "columns.missing"),
        ),
        (
            [{"code": "AB"}, {"code": 12}, {"code": 13}],
            {},
            "numbers_in_texts", 2, ("(code)", "columns.numeric"),
        ),
        (
            [{"age": f"{20 + i}", "km": f"{i}.5"} for i in range(10)],
            {},
            "numbers_as_texts", 2, ("(age, km)", "columns.numeric", "columns.categorical"),
        ),
        ([{"a": 1.0}, {"a": float("inf")}], {}, "not_finite", 1, ("infinite",)),
    ],
)  # fmt: skip
def test_a_limit_is_told_with_the_setting_that_helps(values, schema, kind, n, words):
    told = reached(values, **schema)
    assert list(told) == [kind] and kind in LIMITS
    assert told[kind][0] == n
    assert all(word in told[kind][1] for word in words)


@pytest.mark.parametrize(
    ("texts", "columns"),
    [
        ([str(i) for i in range(9)], {}),
        ([f"{i:05}" for i in range(20)], {}),
        ([f"{i}" for i in range(10**16, 10**16 + 20)], {}),
        ([str(i) for i in range(20)] + ["12 km"], {}),
        ([str(i) for i in range(20)], {"categorical": ["x"]}),
        ([str(i) for i in range(20)], {"numeric": ["x"]}),
    ],
    ids=[
        "few",
        "leading zeros",
        "many digits",
        "one is none",
        "declared as categories",
        "declared as numbers",
    ],
)
def test_texts_that_may_well_be_categories_are_not_told(texts, columns):
    values = [{"x": text} for text in texts]
    assert reached(values, columns=ColumnsSettings(**columns)) == {}


def test_classes_of_the_served_model_that_find_no_room_are_told():
    engine = Engine(settings=Settings(schema=SchemaSettings(classes_max=2)))
    engine.feed(
        [
            Event(id=str(i), at=float(i), features={"x": 1.0}, predicted=f"c{i % 4}")
            for i in range(20)
        ]
    )
    (limit,) = engine.report.limits
    assert (limit.kind, limit.n) == ("classes", 2)
    assert "(c2, c3)" in limit.sentence and "schema.classes_max is 2" in limit.sentence


def test_many_names_are_shortened():
    values = [{f"f{i:03}": 1.0 for i in range(40)}]
    told = reached(values, features_max=2)["features"][1]
    assert "f002, f003, f004, f005, f006 and 33 more" in told


def test_a_category_is_counted_however_events_are_batched():
    events = [Event(id=str(i), at=float(i), features={"sku": f"s{i % 7}"}) for i in range(60)]
    whole, single = (Engine(settings=Settings(schema=SchemaSettings(categories_max=3)))
                     for _ in range(2))  # fmt: skip
    whole.feed(events)
    for event in events:
        single.feed([event])
    assert whole.report.limits == single.report.limits


def test_a_model_that_is_asked_row_by_row_is_named_once_that_costs_something(monkeypatch):
    monkeypatch.setattr("headrace.report.limits.ROW_BY_ROW_N", 30)
    events = [Event(id=str(i), at=float(i), features={"x": float(i)}) for i in range(40)]
    by_rows = facto.FMClassifier(seed=1)
    found = []
    for model in (by_rows, StandardScaler() | by_rows, tree.HoeffdingTreeClassifier(), None):
        engine = Engine(model)
        engine.feed(events[:20])
        assert engine.report.limits == ()
        engine.feed(events[20:])
        found.append([(one.kind, one.n, one.sentence) for one in engine.report.limits])
    (alone,), (behind,), *none = found
    assert alone[:2] == behind[:2] == ("row_by_row", 40)
    assert "and FMClassifier is asked about each" in alone[2]
    assert "and StandardScaler | FMClassifier is asked about each" in behind[2]
    assert none == [[], []]


def test_members_that_are_asked_row_by_row_are_named_and_trees_that_grew_too_large(monkeypatch):
    monkeypatch.setattr("headrace.report.limits.ROW_BY_ROW_N", 30)
    events = [Event(id=str(i), at=float(i), features={"x": float(i)}) for i in range(40)]
    small = tree.HoeffdingTreeClassifier()
    committee = Committee(members=[small, tree.SGTClassifier(), tree.SGTClassifier()])
    engine = Engine(committee)
    engine.feed(events)
    (limit,) = engine.report.limits
    assert "and the committee's SGTClassifier is asked about each" in limit.sentence
    engine = Engine(small.clone(), classes=["a", "b"])
    engine.feed(events[:39])
    assert engine.report.limits == ()
    monkeypatch.setattr("headrace.learn.scorers.trees.LEAF_CELLS_MAX", -1)
    engine.feed(events[39:])
    (limit,) = engine.report.limits
    assert "and HoeffdingTreeClassifier is asked about each" in limit.sentence


def test_events_without_the_served_prediction_that_is_judged_are_told():
    events = [
        Event(id=str(i), at=float(i), features={"x": 1.0}, predicted="a" if i % 4 else None)
        for i in range(40)
    ]
    for judged, predicted, kinds in (
        ("served", events, [("unserved", 10)]),
        ("served", [event for event in events if event.predicted], []),
        ("model", events, []),
    ):
        engine = Engine(settings=parse({"evaluation": {"judged": judged}}))
        engine.feed(predicted)
        assert [(one.kind, one.n) for one in engine.report.limits] == kinds
    nothing = Engine(settings=parse({"evaluation": {"judged": "served"}}))
    nothing.feed([Event(id="e", at=0.0, features={"x": 1.0})])
    (limit,) = nothing.report.limits
    assert limit.sentence.startswith("1 of the latest 1 events without a prediction of the served")


@pytest.mark.parametrize(("answered", "kinds"), [("True", []), ("true", ["classes_apart"])])
def test_served_classes_that_nobody_ever_answers_are_told(answered, kinds):
    settings = {"evaluation": {"judged": "served"}, "query": {"budget": {"share": 1.0}}}
    engine = Engine(settings=parse(settings | {"model": {"name": "naive-bayes"}}))
    for i in range(20):
        event = Event(id=str(i), at=float(i), features={"x": 1.0}, predicted="True")
        for request in engine.feed([event]):
            engine.feed([Answer(request_id=request.request_id, label=answered, at=float(i))])
    limits = engine.report.limits
    assert [limit.kind for limit in limits] == kinds
    assert all(
        "labels of true, where the served model predicted True" in one.sentence for one in limits
    )
