"""Mondrian trees as arrays say what river says, whatever was learned and whatever is missing."""

import copy
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import forest
from river.tree.mondrian import MondrianTreeClassifier

from headrace.learn.learner import Learner
from headrace.learn.scorers import mondrian
from headrace.learn.scorers.mondrian import MondrianScorer, is_of_mondrian_trees
from learn.columns import Columns, stream

AMF = forest.AMFClassifier

KINDS = {
    "forest": lambda: AMF(4, seed=1),
    "of one": lambda: AMF(1, seed=2, dirichlet=0.1),
    "slow": lambda: AMF(3, seed=3, step=0.1),
    "not aggregated": lambda: AMF(3, seed=4, use_aggregation=False),
    "pure nodes split": lambda: AMF(3, seed=5, split_pure=True),
    "of few nodes": lambda: AMF(3, seed=6, max_nodes=15),
    "tree": lambda: MondrianTreeClassifier(seed=7),
}


def by_river(learner):
    """The same learner, made to ask river row by row."""
    other = copy.copy(learner)
    other._scorer = None
    return other


def agree(learner, X):
    found, expected = learner.probabilities(X), by_river(learner).probabilities(X)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-12)
    few = np.concatenate([learner.probabilities(X[i : i + 3]) for i in range(0, len(X), 3)])
    assert few.tobytes() == found.tobytes()


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(list(KINDS)),
    classes_n=st.integers(2, 4),
    missing=st.sampled_from([0.0, 0.2]),
    is_coarse=st.booleans(),
    seed=st.integers(0, 99),
    gaps=st.lists(st.integers(1, 40), min_size=2, max_size=8),
)
def test_mondrian_trees_answer_as_river_does_after_any_labels(
    name, classes_n, missing, is_coarse, seed, gaps
):
    columns = Columns(3, 0, classes_n)
    learner = Learner(KINDS[name](), columns)
    X, y = stream(columns, 340, seed, missing)
    if is_coarse:
        X = np.round(X / 4.0)
    for start, stop in itertools.pairwise(np.cumsum([0, *gaps]).tolist()):
        for row, code in zip(X[start:stop], y[start:stop], strict=False):
            learner.learn(row, int(code))
        agree(learner, X[max(0, stop - 8) : stop + 16])
    columns.add("late", "numeric")
    wide = np.pad(X[:30], ((0, 0), (0, 1)), constant_values=3.0)
    agree(learner, wide)
    for row in wide[:5] * 5.0:
        learner.learn(row, 1)
        agree(learner, wide)
    assert type(learner._scorer) is MondrianScorer


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.default_n(3)
def test_long_streams_grow_trees_whose_answers_follow_every_label(name):
    columns = Columns(3, 0, 3)
    learner = Learner(KINDS[name](), columns)
    X, y = stream(columns, 300, seed=3)
    for i, (row, code) in enumerate(zip(X, y, strict=True)):
        learner.learn(row, int(code))
        if i % 10 == 0:
            agree(learner, X[i : i + 9])


def test_a_row_has_the_same_bits_in_any_batch():
    columns = Columns(9, 0, 3)
    learner = Learner(KINDS["forest"](), columns)
    X, y = stream(columns, 260, seed=4)
    for row, code in zip(X[:200], y, strict=False):
        learner.learn(row, int(code))
    whole = learner.probabilities(X[200:])
    parts = [learner.probabilities(X[i : i + n]) for i, n in ((200, 1), (201, 16), (217, 43))]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_labels_that_river_can_not_learn_change_no_answer():
    columns = Columns(2, 1, 3)
    learner = Learner(KINDS["forest"](), columns)
    X, y = stream(columns, 80, seed=1, missing=0.0)
    y[:40] = np.minimum(y[:40], 1)
    plain = X.copy()
    plain[:, 2] = np.nan
    for row, code in zip(plain[:40], y[:40], strict=True):
        learner.learn(row, int(code))
    agree(learner, X)
    # River raises for the text; by then the first tree, and the forest, know the third class.
    assert not learner.learn(X[50], 2)
    agree(learner, X)
    for row, code in zip(plain[40:], y[40:], strict=True):
        learner.learn(row, int(code))
    agree(learner, X)


def test_trees_too_large_for_arrays_are_left_to_river(monkeypatch):
    columns = Columns(3)
    learner = Learner(KINDS["forest"](), columns)
    X, y = stream(columns, 60, seed=1)
    for row, code in zip(X, y, strict=True):
        learner.learn(row, int(code))
    before = learner.probabilities(X)
    monkeypatch.setattr(mondrian, "NODE_CELLS_MAX", 3)
    monkeypatch.setattr(MondrianScorer, "score", None)
    np.testing.assert_allclose(learner.probabilities(X), before, rtol=0.0, atol=1e-12)


def test_regressors_are_no_classifiers():
    assert not is_of_mondrian_trees(forest.AMFRegressor(seed=1))
