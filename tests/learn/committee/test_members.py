"""River classifiers in a committee: scored as arrays where they can be, as river answers."""

import numpy as np
import pytest
from river import forest, neighbors, tree

from headrace.learn.committee.committee import Committee
from headrace.learn.committee.discriminant import Discriminant
from headrace.learn.committee.members import RiverMember
from headrace.learn.learner import Learner
from headrace.learn.presets import build_adaptive_tree, build_knn
from headrace.observe.schema import Schema
from headrace.settings import SchemaSettings
from learn.columns import Columns, stream

MODELS = {
    "tree": lambda: tree.HoeffdingTreeClassifier(grace_period=10, delta=0.5, tau=0.4),
    "adaptive tree": lambda: build_adaptive_tree(1, 2),
    "forest": lambda: forest.ARFClassifier(3, seed=1),
    "knn": lambda: build_knn(1, 2),
}


def learner_of(model, schema):
    return Learner(Committee(members=[model, Discriminant()]), schema)


def member_of(learner):
    (member,) = learner.model.river_members()
    return member


@pytest.mark.parametrize("name", MODELS)
def test_members_that_learn_features_as_they_came_are_scored_as_arrays(name, monkeypatch):
    columns = Columns(3, 1)
    learner = learner_of(MODELS[name](), columns)
    X, y = stream(columns, 120, seed=2)
    at = np.arange(120.0)
    for i in range(80):
        learner.learn(X[i], int(y[i]), at=float(i))
    found = learner.probabilities(X[80:], at[80:])
    assert member_of(learner)._scorer is not None
    monkeypatch.setattr(RiverMember, "_compile_scorer", lambda self, rows: None)
    expected = learner.probabilities(X[80:], at[80:])
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-9)


def test_a_member_is_asked_about_what_is_in_rows_whatever_it_learned(monkeypatch):
    schema = Schema(SchemaSettings(classes=["a", "b"], categories_max=2))
    learner = learner_of(MODELS["tree"](), schema)
    colours = ["red", "green", "blue", "violet"]
    events = [
        {"x": float(i % 7), "colour": colours[i % 4], "note": f"{'word ' * 60}{i % 3}", "n": i % 5}
        for i in range(160)
    ]
    rows = np.stack([schema.row(event) for event in events])
    for i, (row, event) in enumerate(zip(rows, events, strict=True)):
        learner.learn(row, int(i % 4 > 1), at=float(i), original=event)
    at = np.arange(160.0)
    found = learner.probabilities(rows, at, events.__getitem__)
    monkeypatch.setattr(RiverMember, "_compile_scorer", lambda self, rows: None)
    expected = learner.probabilities(rows, at, events.__getitem__)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-9)


def test_members_that_are_asked_row_by_row_are_named():
    for model, name in (
        (tree.SGTClassifier(), "the committee's SGTClassifier"),
        (neighbors.KNNClassifier(), "the committee's KNNClassifier"),
        (MODELS["tree"](), ""),
    ):
        assert learner_of(model, Columns(2)).row_by_row == name
    assert Learner(Committee(), Columns(2)).row_by_row == ""
