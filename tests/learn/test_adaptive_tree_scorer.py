"""Adaptive trees as arrays: alternate trees answer beside their branches, as in river."""

import copy

import numpy as np
import pytest
from river import tree

from headrace.learn.learner import Learner
from headrace.learn.presets import build_adaptive_tree
from headrace.learn.scorers.trees import TreeScorer
from learn.columns import Columns, stream
from learn.test_tree_scorer import ADAPTIVE, ALERT, EARLY, FAST, OFTEN, agree, by_river


def grown(columns, seed=2, n=200, **options):
    """A learner whose tree has branches below branches, and its rows."""
    learner = Learner(ADAPTIVE(seed=1, **EARLY | options), columns)
    X, y = stream(columns, n, seed=seed)
    for row, code in zip(X, y, strict=True):
        learner.learn(row, int(code))
    agree(learner, X)
    return learner, X


def branches_of(model):
    return list(model._root.iter_branches())


def add_alternate(learner, branch, shares):
    """Give a branch an alternate leaf, as river does on drift."""
    leaf = learner.model._new_leaf(dict(shares), parent=branch)
    leaf._mean_error.update(0.25)
    branch._alternate_tree = leaf
    learner._scorer.is_stale = True


def test_the_preset_is_scored_as_arrays():
    assert type(Learner(build_adaptive_tree(0, 2), Columns(2))._scorer) is TreeScorer


@pytest.mark.parametrize("leaf_prediction", ["mc", "nb", "nba"])
def test_alternate_leaves_answer_beside_the_tree(leaf_prediction):
    columns = Columns(3, 1, 3)
    learner, X = grown(columns, leaf_prediction=leaf_prediction)
    before = learner.probabilities(X)
    branches = branches_of(learner.model)
    assert len(branches) > 2
    for branch in branches:
        add_alternate(learner, branch, {0: 3.0, 2: 1.0})
        agree(learner, X)
    assert np.isnan(X).any()
    assert not np.allclose(learner.probabilities(X), before)
    # When they are gone again, all is as before.
    for branch in branches:
        branch._alternate_tree = None
    learner._scorer.is_stale = True
    np.testing.assert_array_equal(learner.probabilities(X), before)


def test_an_alternate_leaf_that_learns_is_read_anew():
    columns = Columns(3, 0, 2)
    learner, X = grown(columns)
    add_alternate(learner, learner.model._root, {0: 1.0})
    for i, row in enumerate(X[:12]):
        learner.learn(row, i % 2)
        agree(learner, X)


def test_a_row_that_passes_an_alternate_branch_is_a_failure():
    columns = Columns(3, 0, 2)
    learner, X = grown(columns)
    root = learner.model._root
    inner = next(branch for branch in branches_of(learner.model) if branch is not root)
    root._alternate_tree = copy.deepcopy(inner)
    learner._scorer.is_stale = True
    assert np.isnan(by_river(learner).probabilities(X)).all()
    assert np.isnan(learner.probabilities(X)).all()


def test_a_leaf_without_a_label_is_a_failure():
    columns = Columns(3, 0, 2)
    learner, X = grown(columns)
    add_alternate(learner, learner.model._root, {})
    assert np.isnan(by_river(learner).probabilities(X)).all()
    assert np.isnan(learner.probabilities(X)).all()


def test_drift_grows_and_replaces_alternate_trees():
    columns = Columns(2, 0, 2)
    learner = Learner(ADAPTIVE(**ALERT), columns)
    X, y = stream(columns, 900, seed=5)
    y[300:600] = 1 - y[300:600]
    for i, (row, code) in enumerate(zip(X, y, strict=True)):
        learner.learn(row, int(code))
        if i % 9 == 0:
            agree(learner, X[i : i + 9])
    assert learner.model.n_alternate_trees > 0


def test_a_fast_tree_that_changes_a_split_is_read_anew():
    columns = Columns(3, 0, 2)
    learner = Learner(FAST(**OFTEN), columns)
    X, y = stream(columns, 400, seed=5, missing=0.0)
    # The second column takes over from the first.
    y[200:] = X[200:, 1] > np.median(X[200:, 1])
    roots = []
    for i, (row, code) in enumerate(zip(X, y, strict=True)):
        learner.learn(row, int(code))
        roots.append(learner.model._root)
        if i % 9 == 0:
            agree(learner, X[i : i + 9])
    replaced = {id(root) for root in roots if isinstance(root, tree.nodes.branch.DTBranch)}
    assert len(replaced) > 1
