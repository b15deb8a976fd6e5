"""What a model means by a label is kept, whichever class is labelled first."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from river import (
    compose,
    forest,
    imblearn,
    linear_model,
    multiclass,
    naive_bayes,
    optim,
    preprocessing,
    tree,
)
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

import headrace as hr
from headrace.learn.learner import Learner
from headrace.learn.own_labels import OwnLabels
from headrace.messages import class_name
from headrace.models import Committee, SklearnClassifier, check_model
from headrace.observe.schema import Schema
from headrace.settings import SchemaSettings

LABELS = {"booleans": (False, True), "integers": (0, 1)}


def scaled(**options: Any) -> compose.Pipeline:
    return preprocessing.StandardScaler() | linear_model.LogisticRegression(**options)


def weigh_true() -> compose.Pipeline:
    return scaled(loss=optim.losses.Log(weight_pos=9.0))


def sample_booleans() -> Any:
    wanted = {False: 0.2, True: 0.8}
    return imblearn.RandomOverSampler(naive_bayes.GaussianNB(), desired_dist=wanted, seed=1)


def sample_for_logistic() -> Any:
    wanted = {False: 0.1, True: 0.9}
    return imblearn.RandomUnderSampler(scaled(), desired_dist=wanted, seed=1)


def grow_tree() -> Any:
    return tree.HoeffdingTreeClassifier(grace_period=20)


def rows(n: int = 100) -> list[tuple[dict[str, float], bool]]:
    """Overlapping classes; one event in five is true."""
    chance = random.Random(1)
    found = []
    for _ in range(n):
        is_true = chance.random() < 0.2
        found.append(
            ({"x": chance.gauss(1.5 * is_true, 1.0), "y": chance.gauss(0.0, 1.0)}, is_true)
        )
    return found


def shares_of(
    model: Any, labels: tuple[Any, Any], first: bool
) -> tuple[hr.Engine, dict[str, float], list[tuple[dict[str, float], Any]]]:
    """An engine that learned all rows, one of the class `first` before all others.

    Also its uncalibrated shares of a row between the classes, and what it learned, in order.
    """
    engine = hr.Engine(model, budget=hr.budgets.Share(1.0), seed=3)
    events = rows()
    outputs = engine.feed(
        [hr.Event(id=str(i), at=float(i), features=x) for i, (x, _) in enumerate(events)]
    )
    asked = [int(one.event_id) for one in outputs if isinstance(one, hr.LabelRequested)]
    requests = dict(
        zip(asked, [o for o in outputs if isinstance(o, hr.LabelRequested)], strict=True)
    )
    asked.sort(key=lambda i: events[i][1] is not first)
    asked = [asked[0], *sorted(asked[1:])]
    learned = []
    for i in asked:
        label = labels[events[i][1]]
        [settled] = engine.feed(
            [hr.Answer(request_id=requests[i].request_id, label=label, at=engine.now)]
        )
        assert isinstance(settled, hr.LabelSettled)
        learned.append((events[i][0], label))
    assert engine.schema.classes[0] == class_name(labels[first])
    assert engine.report.model.unlearnable_n == 0
    middle = {"x": 0.75, "y": 0.0}
    row = engine.schema.row(middle)
    said = engine.trainer.champion.learner.probabilities(row[None], None, lambda _: middle)[0]
    return engine, dict(zip(engine.schema.classes, said.tolist(), strict=True)), learned


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("build", [weigh_true, sample_booleans, sample_for_logistic])
def test_what_a_model_does_for_true_it_does_for_true(
    build: Callable[[], Any], first: bool, kind: str
) -> None:
    _, shares, learned = shares_of(build(), LABELS[kind], first)
    own = build()
    for x, y in learned:
        own.learn_one(x, y)
    expected = own.predict_proba_one({"x": 0.75, "y": 0.0})
    for label in LABELS[kind]:
        assert shares[class_name(label)] == pytest.approx(expected[label])


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    "build",
    [
        scaled,
        naive_bayes.GaussianNB,
        grow_tree,
        lambda: SklearnClassifier(LogisticRegression()),
        lambda: forest.AMFClassifier(3, seed=1),
        lambda: tree.mondrian.MondrianTreeClassifier(seed=1),
    ],
)
def test_a_trained_model_keeps_what_it_knows(
    build: Callable[[], Any], first: bool, kind: str
) -> None:
    model, labels = build(), LABELS[kind]
    for x, is_true in rows():
        model.learn_one({"x": x["x"] + 3.0 * is_true, "y": x["y"]}, labels[is_true])
    own = copy.deepcopy(model)
    engine, shares, learned = shares_of(model, labels, first)
    for x, y in learned:
        own.learn_one(x, y)
    expected = own.predict_proba_one({"x": 0.75, "y": 0.0})
    for label in labels:
        assert shares[class_name(label)] == pytest.approx(expected[label])
    blob = engine.snapshot()
    before = engine.predict({"x": 2.0})
    engine.restore(blob)
    assert engine.predict({"x": 2.0}) == before


@pytest.mark.parametrize(
    "model",
    [
        naive_bayes.GaussianNB(),
        grow_tree(),
        forest.AMFClassifier(3, seed=1),
        tree.mondrian.MondrianTreeClassifier(seed=1),
    ],
    ids=str,
)
def test_a_model_that_was_trained_with_texts_as_labels_answers_at_once(model: Any) -> None:
    for x, is_true in rows():
        model.learn_one({"x": x["x"] + 3.0 * is_true, "y": x["y"]}, ("fine", "fraud")[is_true])
    expected = model.predict_proba_one({"x": 4.0, "y": 0.0})
    schema = Schema(SchemaSettings(classes=["fraud", "fine"]))
    row = schema.row({"x": 4.0, "y": 0.0})
    [shares] = Learner(model, schema).probabilities(row[np.newaxis])
    assert shares.tolist() == pytest.approx([expected["fraud"], expected["fine"]])
    assert shares[0] > 0.5


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("labels", [(False, True), (0, 1), ("fine", "fraud")])
@pytest.mark.parametrize(
    "build",
    [
        LogisticRegression,
        lambda class_weight: make_pipeline(LogisticRegression(class_weight=class_weight)),
        lambda class_weight: SGDClassifier(loss="log_loss", class_weight=class_weight),
        lambda class_weight: RandomForestClassifier(5, max_depth=2, class_weight=class_weight),
    ],
)
@pytest.mark.default_n(4)
def test_class_weights_of_scikit_learn_go_to_the_classes_that_they_name(
    build: Callable[..., Any], labels: tuple[Any, Any], first: bool
) -> None:
    equal = shares_of(build(class_weight=None), labels, first)[1]
    heavy = shares_of(build(class_weight={labels[1]: 50.0, labels[0]: 1.0}), labels, first)[1]
    name = class_name(labels[1])
    assert heavy[name] > equal[name] + 0.1


def test_a_weight_for_one_class_leaves_the_others_apart() -> None:
    _, shares, _ = shares_of(LogisticRegression(class_weight={1: 50.0}), (0, 1), True)
    assert shares["1"] > 0.8 > 0.2 > shares["0"] > 0.0


def test_priors_by_the_order_of_classes_are_refused() -> None:
    with pytest.raises(hr.BadSettings, match="GaussianNB has priors, by the order of classes"):
        hr.Engine(GaussianNB(priors=[0.1, 0.9]))


def test_a_committee_that_has_learned_is_refused() -> None:
    committee = Committee()
    committee.learn_one({"x": 1.0}, True)
    with pytest.raises(hr.BadSettings, match="the committee has learned 1 labels already"):
        hr.Engine(committee)
    check_model(committee.clone())


def test_a_class_that_a_trained_model_does_not_know_takes_the_place_of_none() -> None:
    model = naive_bayes.GaussianNB()
    for y in (0, 1, 2):
        for x in (0.0, 0.1, 0.2):
            model.learn_one({"x": 10.0 * y + x}, y)
    own = OwnLabels.from_model(model)
    names = ["3", "0", "2", "1"]
    assert [own.label(code, names) for code in range(4)] == [3, 0, 2, 1]
    assert [own.code(label, names) for label in (3, 0, 2, 1)] == [0, 1, 2, 3]
    assert own.code(0, ["3"]) == -1
    # Where classes have other names, the numbers are those of the classes.
    assert [own.label(code, ["a", "b"]) for code in range(2)] == [0, 1]
    assert own.code(1, ["a", "b"]) == 1


def test_the_bits_of_an_output_code_are_no_labels() -> None:
    model = multiclass.OutputCodeClassifier(
        linear_model.LogisticRegression(), code_size=6, coding_method="random", seed=1
    )
    assert not OwnLabels.from_model(model)
    for i in range(9):
        model.learn_one({"x": float(i % 3)}, "abc"[i % 3])
    assert set(OwnLabels.from_model(model).by_name) == {"a", "b", "c"}


def test_a_state_from_before_keeps_the_truth_that_its_model_learned() -> None:
    fields = OwnLabels.upgrade_state({"by_name": {}, "_are_texts": False}, 1)
    own = OwnLabels({})
    vars(own).update(fields)
    assert not own.is_turned(["true", "false"])
