"""What annotators see is the event itself, and models get what they were made for."""

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest
from river import (
    base,
    compose,
    feature_extraction,
    linear_model,
    naive_bayes,
    preprocessing,
    stats,
    tree,
)

import headrace as hr
from headrace.learn.trainer import Trainer
from headrace.messages import Output
from headrace.observe.decode import Decoder
from headrace.settings import InputSettings, parse

VALUES: dict[str, Any] = {
    "wide id": 1234567890123456789,
    "wider id": 2**64 - 1,
    "widest id": 10**30 + 7,
    "negative": -(2**63),
    "true": True,
    "false": False,
    "whole": 12,
    "number": 0.1 + 0.2,
    "text": "my parcel came late and one cup was broken",
    "category": "Bern",
    "padded": "0042",
    "date": "2024-05-01",
    "umlauts": "Zürich 🚲",
    "empty": "",
    "null": None,
    "says missing": "N/A",
}


def asked(outputs: list[Output]) -> list[hr.LabelRequested]:
    return [output for output in outputs if isinstance(output, hr.LabelRequested)]


def generous(**sections: Any) -> hr.Engine:
    query = {"budget": {"share": 1.0, "start": 500}}
    return hr.Engine(settings=parse({"query": query, "seed": 1, **sections}))


@pytest.mark.parametrize("ask", ["arrival", "rounds"])
@pytest.mark.parametrize("size", [1, 7, 40])
def test_a_request_shows_the_events_own_values_of_the_same_types(ask: str, size: int) -> None:
    query: dict[str, Any] = {"ask": ask, "budget": {"share": 1.0}}
    if ask == "rounds":
        query["rounds"] = {"every_n": 20}
    engine = hr.Engine(settings=parse({"query": query, "seed": 1}))
    events = [hr.Event(id=f"e{i}", at=float(i), features={**VALUES, "n": i}) for i in range(80)]
    found = [r for i in range(0, 80, size) for r in asked(engine.feed(events[i : i + size]))]
    assert len(found) > 20
    for request in found:
        expected = {**VALUES, "n": int(request.event_id[1:])}
        assert request.features == expected
        assert [type(v) for v in request.features.values()] == [type(v) for v in expected.values()]


def test_a_settled_label_carries_the_same_and_a_snapshot_keeps_it() -> None:
    first, second = generous(), generous()
    [request] = asked(first.feed([hr.Event(id="e", at=0.0, features=dict(VALUES))]))
    second.restore(first.snapshot())
    for engine in (first, second):
        [settled] = engine.feed([hr.Answer(request_id=request.request_id, label="a", at=1.0)])
        assert isinstance(settled, hr.LabelSettled)
        assert settled.features == VALUES


def test_the_same_from_lines_of_a_file() -> None:
    line = (
        b'{"id": "e", "at": 0, "features": {"post": 1234567890123456789, "big": '
        b'123456789012345678901234567890, "is_new": true, "x": {"y": [1, "a"]}}}'
    )
    batch = Decoder(InputSettings()).decode([line]).batch
    [request] = asked(generous().feed([batch]))
    assert request.features == {
        "post": 1234567890123456789,
        "big": 123456789012345678901234567890,
        "is_new": True,
        "x.y.0": 1,
        "x.y.1": "a",
    }
    assert request.features["is_new"] is True


def test_values_beyond_every_limit_are_shown_though_the_model_reads_none_of_them() -> None:
    engine = generous(schema={"categories_max": 3, "features_max": 2})
    events = [
        hr.Event(id=str(i), at=float(i), features={"a": f"user {i}", "b": 1.5, "c": f"shop {i}"})
        for i in range(30)
    ]
    requests = asked(engine.feed(events))
    assert {r.features["a"] for r in requests} >= {"user 20", "user 29"}
    assert {r.features["c"] for r in requests} >= {"shop 20", "shop 29"}


def test_whoever_changes_a_dict_after_the_feed_changes_no_request() -> None:
    query = {"ask": "rounds", "budget": {"share": 1.0}, "rounds": {"every_n": 10}}
    engine = hr.Engine(settings=parse({"query": query, "seed": 1}))
    features = {"a": 0}
    found = []
    for i in range(40):
        features["a"] = i
        found += asked(engine.feed([hr.Event(id=str(i), at=float(i), features=features)]))
    assert found
    assert all(request.features == {"a": int(request.event_id)} for request in found)


# ------------------------------------------------------------------------------- for models


def messages(n: int = 500) -> Iterator[tuple[dict[str, Any], str]]:
    r = random.Random(1)
    words = {"praise": ["great", "thanks", "love"], "complaint": ["late", "broken", "refund"]}
    for i in range(n):
        label = r.choice(sorted(words))
        said = [r.choice([*words[label], "the", "it"]) for _ in range(6)]
        yield {"text": " ".join(said) + f" order {i}"}, label


@pytest.mark.parametrize(
    "vectorizer", [feature_extraction.TFIDF(on="text"), feature_extraction.BagOfWords(on="text")]
)
@pytest.mark.parametrize("first", ["", "ok", "the parcel came late and one cup was broken"])
@pytest.mark.default_n(2)
def test_texts_reach_models_that_want_them_uncut_whatever_came_first(vectorizer, first) -> None:
    model = vectorizer | naive_bayes.MultinomialNB()
    settings = parse({"schema": {"categories_max": 20}})
    engine = hr.Engine(model, settings=settings, budget=hr.budgets.Share(0.2), seed=1)
    report = hr.run(engine, [({"text": first}, "praise"), *messages()]).report
    assert report.model.unlearnable_n == 0
    assert report.estimates.accuracy_all.accuracy is not None
    assert report.estimates.accuracy_all.accuracy > 0.85


def test_the_committee_reads_texts_and_categories_beyond_the_limit() -> None:
    settings = parse({"schema": {"categories_max": 5}})
    engine = hr.Engine(settings=settings, budget=hr.budgets.Share(0.2), seed=1)
    report = hr.run(engine, messages()).report
    assert report.estimates.accuracy_all.accuracy is not None
    assert report.estimates.accuracy_all.accuracy > 0.8


class Keeper(base.Classifier):
    """Keeps what it was given."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def learn_one(self, x: dict[str, Any], y: Any) -> None:
        self.seen.append(dict(x))

    def predict_proba_one(self, x: dict[str, Any]) -> dict[Any, float]:
        return {}


def kept(missing: str) -> list[dict[str, Any]]:
    settings = parse({"model": {"missing": missing}})
    engine = hr.Engine(Keeper(), settings=settings, budget=hr.budgets.Share(1.0), seed=1)
    rows: list[dict[str, Any]] = [{"a": 1, "b": True, "c": "x", "d": 0.5}, {"a": 2}, {"a": None}]
    hr.run(engine, [(x, i % 2 == 0) for i, x in enumerate(rows * 5)])
    trainer: Trainer = engine.trainer
    return [dict(x) for x in trainer.champion.learner.model.seen]


def test_a_model_gets_pythons_own_values_and_missing_ones_as_set() -> None:
    full = {"a": 1, "b": True, "c": "x", "d": 0.5}
    absent, none = kept("absent"), kept("none")
    assert full in absent
    assert all(type(x["a"]) is int and x["b"] is True for x in absent if "b" in x)
    assert all(None not in x.values() for x in absent)
    assert {"a": 2, "b": None, "c": None, "d": None} in none


def with_gaps(n: int = 400) -> Iterator[tuple[dict[str, Any], bool]]:
    r = random.Random(3)
    for _ in range(n):
        a, b = r.gauss(0, 1), r.gauss(5, 2)
        yield {"amount": a, "load": None if r.random() < 0.2 else b}, a + 0.3 * (b - 5) > 0


def filled(x: dict[str, Any]) -> dict[str, Any]:
    return {"amount": x["amount"] or 0.0, "load": x["load"] or 5.0}


IMPUTERS = {
    "mean": preprocessing.StatImputer(("load", stats.Mean())),
    "select": compose.Select("amount", "load") | preprocessing.StatImputer(("load", stats.Mean())),
    "previous": preprocessing.PreviousImputer() | preprocessing.StatImputer(("load", 5.0)),
    "constant": preprocessing.StatImputer(("load", 0.0)),
    "function": compose.FuncTransformer(filled),
    "selected tree": compose.Select("amount", "load"),
}


@pytest.mark.parametrize("name", IMPUTERS)
@pytest.mark.parametrize("is_left_out", [False, True])
@pytest.mark.default_n(4)
def test_imputers_selections_and_functions_get_none_for_what_is_missing(name, is_left_out) -> None:
    last = tree.HoeffdingTreeClassifier() if "tree" in name else linear_model.LogisticRegression()
    engine = hr.Engine(copy.deepcopy(IMPUTERS[name]) | last, budget=hr.budgets.Share(0.5), seed=1)
    rows = [
        ({k: v for k, v in x.items() if v is not None or not is_left_out}, y)
        for x, y in [({"amount": 0.1, "load": 5.0}, True), *with_gaps()]
    ]
    report = hr.run(engine, rows).report
    assert report.model.unlearnable_n == report.events.failed_predictions_n == 0


@pytest.mark.parametrize(
    "model",
    [
        preprocessing.StandardScaler() | linear_model.LogisticRegression(),
        naive_bayes.GaussianNB(),
        tree.HoeffdingTreeClassifier(),
        preprocessing.MinMaxScaler() | linear_model.Perceptron(),
    ],
)
def test_models_that_want_nothing_for_what_is_missing_get_nothing(model) -> None:
    engine = hr.Engine(model, budget=hr.budgets.Share(0.5), seed=1)
    report = hr.run(engine, with_gaps()).report
    assert report.model.unlearnable_n == report.events.failed_predictions_n == 0
