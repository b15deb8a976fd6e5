"""Trees as arrays say what river says, whatever was learned and whatever is missing."""

import copy
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import drift, ensemble, forest, linear_model, tree
from river.tree import splitter
from river.tree.nodes.branch import NominalMultiwayBranch

from headrace.learn.learner import Learner
from headrace.learn.scorers import trees
from headrace.learn.scorers.trees import TreeScorer, is_of_trees
from headrace.observe.schema import OTHER, Schema
from headrace.settings import SchemaSettings
from learn.columns import Columns, stream

TREE = tree.HoeffdingTreeClassifier
FAST = tree.ExtremelyFastDecisionTreeClassifier
ADAPTIVE = tree.HoeffdingAdaptiveTreeClassifier
EARLY = {"grace_period": 8, "delta": 0.5, "tau": 0.4}
OFTEN = {"min_samples_reevaluate": 6, **EARLY}
ALERT = {
    "drift_detector": drift.ADWIN(delta=0.9, clock=1, grace_period=2, min_window_length=2),
    "drift_window_threshold": 10,
    "switch_significance": 0.9,
    "seed": 1,
    **EARLY,
}

KINDS = {
    "adaptive leaves": lambda: TREE(**EARLY),
    "naive bayes": lambda: TREE(leaf_prediction="nb", nb_threshold=5, **EARLY),
    "majority": lambda: TREE(leaf_prediction="mc", **EARLY),
    "binary splits": lambda: TREE(binary_split=True, **EARLY),
    "gini": lambda: TREE(split_criterion="gini", **EARLY),
    "hellinger, shallow": lambda: TREE(split_criterion="hellinger", max_depth=2, **EARLY),
    "numbers as categories": lambda: TREE(nominal_attributes=["x0"], **EARLY),
    "poor features dropped": lambda: TREE(remove_poor_attrs=True, **EARLY),
    "few active leaves": lambda: TREE(max_size=0.01, memory_estimate_period=20, **EARLY),
    "histograms": lambda: TREE(splitter=splitter.HistogramSplitter(n_bins=12), **EARLY),
    "histograms, naive bayes": lambda: TREE(
        splitter=splitter.HistogramSplitter(), leaf_prediction="nb", **EARLY
    ),
    "every value": lambda: TREE(splitter=splitter.ExhaustiveSplitter(), **EARLY),
    "extremely fast": lambda: FAST(**OFTEN),
    "extremely fast, naive bayes": lambda: FAST(leaf_prediction="nb", **OFTEN),
    "extremely fast, binary": lambda: FAST(
        leaf_prediction="mc", binary_split=True, max_depth=3, **OFTEN
    ),
    "adaptive": lambda: ADAPTIVE(**ALERT),
    "adaptive, naive bayes": lambda: ADAPTIVE(leaf_prediction="nb", nb_threshold=4, **ALERT),
    "adaptive, majority": lambda: ADAPTIVE(leaf_prediction="mc", bootstrap_sampling=False, **ALERT),
    "adaptive, histograms": lambda: ADAPTIVE(splitter=splitter.HistogramSplitter(), **ALERT),
    "bagging of adaptive": lambda: ensemble.BaggingClassifier(ADAPTIVE(**ALERT), 3, seed=3),
    "patches of extremely fast": lambda: ensemble.SRPClassifier(FAST(**OFTEN), 3, seed=6),
    "forest": lambda: forest.ARFClassifier(4, seed=1, **EARLY),
    "forest, unweighted": lambda: forest.ARFClassifier(
        3, seed=2, disable_weighted_vote=True, **EARLY
    ),
    "bagging": lambda: ensemble.BaggingClassifier(TREE(**EARLY), 3, seed=3),
    "adwin bagging": lambda: ensemble.ADWINBaggingClassifier(TREE(**EARLY), 3, seed=4),
    "leveraging bagging": lambda: ensemble.LeveragingBaggingClassifier(TREE(**EARLY), 3, seed=5),
    "random patches": lambda: ensemble.SRPClassifier(TREE(**EARLY), 3, seed=6),
}


class OwnSplitter(splitter.GaussianSplitter):
    """Somebody's own observer of numbers."""


OTHERS = [
    TREE(splitter=OwnSplitter()),
    forest.ARFClassifier(splitter=OwnSplitter(), seed=1),
    tree.SGTClassifier(),
    ensemble.BaggingClassifier(linear_model.LogisticRegression(), 3, seed=1),
    ensemble.BaggingClassifier(ensemble.BaggingClassifier(TREE(), 2, seed=1), 2, seed=1),
    forest.AMFClassifier(seed=1),
]


def by_river(learner):
    """The same learner, made to ask river row by row."""
    other = copy.copy(learner)
    other._scorer = None
    return other


def agree(learner, X):
    found, expected = learner.probabilities(X), by_river(learner).probabilities(X)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(list(KINDS)),
    kinds=st.sampled_from([(4, 0, 2), (3, 2, 2), (2, 2, 4), (0, 2, 3)]),
    missing=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 99),
    gaps=st.lists(st.integers(1, 60), min_size=2, max_size=6),
)
def test_trees_answer_as_river_does_after_any_labels(name, kinds, missing, seed, gaps):
    columns = Columns(*kinds)
    learner = Learner(KINDS[name](), columns)
    X, y = stream(columns, 300, seed, missing)
    if "as categories" in name and kinds[0]:
        X[:, 0] = np.round(X[:, 0])
    for start, stop in itertools.pairwise(np.cumsum([0, *gaps]).tolist()):
        for row, code in zip(X[start:stop], y[start:stop], strict=False):
            learner.learn(row, int(code))
        agree(learner, X[-16:])
    assert isinstance(learner._scorer, TreeScorer)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.default_n(4)
def test_long_streams_grow_trees_whose_answers_follow_every_label(name):
    columns = Columns(3, 2, 3)
    learner = Learner(KINDS[name](), columns)
    X, y = stream(columns, 300, seed=3)
    for i, (row, code) in enumerate(zip(X, y, strict=True)):
        learner.learn(row, int(code))
        if i % 25 == 0:
            agree(learner, X[i : i + 9])
    # Columns and categories that nobody has learned.
    columns.add("late", "numeric")
    wide = np.pad(X[:30], ((0, 0), (0, 1)), constant_values=3.0)
    wide[:9, 3] = 9.0
    agree(learner, wide)
    assert any(hasattr(node, "children") for node in learner._scorer._routes.nodes)


@pytest.mark.parametrize("model", OTHERS, ids=str)
def test_other_trees_are_left_to_river(model):
    assert not is_of_trees(model)


def test_a_row_has_the_same_bits_in_any_batch():
    columns = Columns(9, 2, 3)
    learner = Learner(KINDS["forest"](), columns)
    X, y = stream(columns, 260, seed=4)
    for row, code in zip(X[:200], y, strict=False):
        learner.learn(row, int(code))
    whole = learner.probabilities(X[200:])
    parts = [learner.probabilities(X[i : i + n]) for i, n in ((200, 1), (201, 16), (217, 43))]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_what_columns_do_not_tell_apart_is_left_to_river():
    schema = Schema(SchemaSettings(classes=["a", "b"], categories_max=2))
    learner = Learner(TREE(**EARLY), schema)
    colours = ["red", "green", "blue", "violet"]
    events = [
        {"x": float(i % 7), "colour": colours[i % 4], "note": f"{'word ' * 60}{i % 3}", "n": i % 5}
        for i in range(160)
    ]
    rows = [schema.row(event) for event in events]
    for i, (row, event) in enumerate(zip(rows, events, strict=True)):
        learner.learn(row, int(i % 4 > 1), original=event)
    assert "text" in schema.kinds
    assert OTHER in schema.categories["colour"]
    X, plain = np.stack(rows[-20:]), [{**event, "note": None} for event in events[-20:]]
    for asked in (events[-20:], plain):
        told = X.copy()
        if asked is plain:
            told[:, schema.names.index("note")] = np.nan
        found = learner.probabilities(told, None, asked.__getitem__)
        expected = by_river(learner).probabilities(told, None, asked.__getitem__)
        np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-12)
    # Half of the rows have a category of their own, and no note: those are scored as columns.
    assert len(learner._scorer.rows_beyond(told)) == 10


def test_where_river_raises_the_row_is_a_failure():
    columns = Columns(2)
    learner = Learner(TREE(leaf_prediction="nb"), columns)
    X, y = stream(columns, 40, seed=1, missing=0.0)
    for row, code in zip(X, y, strict=True):
        learner.learn(row, int(code))
    X[3, 1] = 1e200
    found = learner.probabilities(X)
    assert np.isnan(by_river(learner).probabilities(X)[3]).all()
    assert np.flatnonzero(np.isnan(found[:, 0])).tolist() == [3]


def test_a_leaf_that_became_a_branch_with_one_leaf_is_read_anew():
    columns = Columns(0, 1)
    learner = Learner(TREE(**EARLY), columns)
    X, y = stream(columns, 120, seed=2, missing=0.0)
    for row, code in zip(X, y, strict=True):
        learner.learn(row, int(code))
    agree(learner, X)
    model = learner.model
    parent = next(node for node in learner._scorer._routes.nodes if hasattr(node, "children"))
    leaf = parent.children[0]
    below = model._new_leaf({0: 5.0}, parent=leaf)
    parent.children[0] = NominalMultiwayBranch(leaf.stats, "c0", ["v0"], leaf.depth, below)
    learner._scorer.is_stale = True
    agree(learner, X)


def test_trees_too_large_for_arrays_are_left_to_river(monkeypatch):
    columns = Columns(3)
    learner = Learner(KINDS["forest"](), columns)
    X, y = stream(columns, 60, seed=1)
    for row, code in zip(X, y, strict=True):
        learner.learn(row, int(code))
    before = learner.probabilities(X)
    monkeypatch.setattr(trees, "LEAF_CELLS_MAX", 3)
    monkeypatch.setattr(TreeScorer, "score", None)
    np.testing.assert_allclose(learner.probabilities(X), before, rtol=0.0, atol=1e-12)


def test_a_learner_that_gives_none_for_what_is_missing_asks_river():
    assert Learner(TREE(), Columns(2), missing="none")._scorer is None
