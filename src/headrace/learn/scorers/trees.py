"""River's Hoeffding trees and their ensembles, many rows in one pass, with the same bits as river.

The module compiles `HoeffdingTreeClassifier`, `HoeffdingAdaptiveTreeClassifier` and
`ExtremelyFastDecisionTreeClassifier` with river's three observers of numbers, and the ensembles of
such trees that add up their probabilities (`votes`): `ARFClassifier`, `SRPClassifier`, bagging and
boosting. The arrays of a tree stay valid until it grows, those of a leaf until
it learns; so after a label only what changed is read again. This module never learns.

A row with a value that its columns can't represent, a free text or a category beyond the limit, is
scored by river: see `rows_beyond`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from river import ensemble, forest, tree

from ..schema_view import Floats, SchemaView
from .leaves import COMPILED_SPLITTERS, Leaves
from .originals import OriginalsScorer
from .routes import Numbers, Routes, TreeColumns, leaves_n_of
from .scorer import code_of
from .votes import is_adding, weights_of

LEAF_CELLS_MAX = 2**23
"""The most leaves x classes x features of trees scored as arrays; river scores larger ones."""

_TREES = (
    tree.HoeffdingTreeClassifier,
    tree.HoeffdingAdaptiveTreeClassifier,
    tree.ExtremelyFastDecisionTreeClassifier,
)


def is_of_trees(model: Any) -> bool:
    """Whether the kinds of the model and of its members can be compiled.

    >>> is_of_trees(forest.ARFClassifier(seed=1)), is_of_trees(forest.AMFClassifier(seed=1))
    (True, False)
    """
    if type(model) is forest.ARFClassifier:
        return model.splitter is None or type(model.splitter) in COMPILED_SPLITTERS
    if is_adding(model):
        model = model.model
    return _is_tree(model) and type(model.splitter) in COMPILED_SPLITTERS


class TreeScorer(OriginalsScorer):
    """A tree or an ensemble of trees as arrays; the caller sets `is_stale` after `learn_one`."""

    def __init__(self, model: Any, schema: SchemaView) -> None:
        super().__init__(model, schema)
        self._known = (-1, -1, -1)
        self._start_anew()

    def _start_anew(self) -> None:
        schema = self._schema
        place_of = {
            name: j
            for j, (name, kind) in enumerate(zip(schema.names, schema.kinds, strict=True))
            if kind != "text"
        }
        codes = {j: {text: i for i, text in enumerate(of)} for j, of in self._texts.items()}
        self._features = TreeColumns(place_of, codes, schema.width)
        self._codes = list(range(len(schema.classes)))
        self._label_of: dict[Any, int] = {code: code for code in self._codes}
        self._routes, self._leaves = Routes(), Leaves()
        self._trees: list[Any] = []
        self._are_adaptive = False
        self._weights = np.ones(0)
        self._places = np.zeros(0, dtype=np.intp)

    @property
    def is_too_large(self) -> bool:
        """Whether arrays of all leaves, classes and features would take more than 400 MB."""
        leaves_n = sum(leaves_n_of(tree_) for tree_, _ in _members_of(self._final))
        return leaves_n * len(self._schema.classes) * self._schema.width > LEAF_CELLS_MAX

    # ------------------------------------------------------------------------- after a label

    def _refresh(self) -> None:
        texts_n, k = sum(map(len, self._texts.values())), len(self._schema.classes)
        known, self._known = self._known, (self._schema.width, texts_n, k)
        if known != self._known:
            self._start_anew()
        members = list(_members_of(self._final))
        self._trees = [tree_ for tree_, _ in members]
        self._are_adaptive = any(map(_is_adaptive, self._trees))
        self._weights = np.array([weight for _, weight in members])
        # `score` uses its length to split long batches.
        self._columns = np.zeros(len(members) * self._schema.width, dtype=np.intp)
        unknown = {
            label for tree_ in self._trees for label in tree_.classes
        } - self._label_of.keys()
        for label in sorted(unknown, key=str):
            self._label_of[label] = len(self._codes)
            self._codes.append(code_of(label))
        self._read_trees()

    def _read_trees(self, *, is_anew: bool = False) -> None:
        if self._routes.refresh(self._trees, self._features, is_anew=is_anew):
            self._leaves.keep(self._routes.nodes)
        self._places = np.full(len(self._routes.nodes), -1, dtype=np.intp)

    def _leaves_of(self, rows: Floats) -> tuple[Numbers, Numbers, Numbers]:
        """The leaves that answer, with current data, and the pairs for which river raises.

        Pairs of a row and a tree have the numbers 0 to n x trees - 1. Leaves are given by the
        number of the pair and the place of the leaf, shape (m,) each, in river's order: those of
        alternate trees, then the pair's own, which are the last n x trees.
        """
        beside: list[tuple[Numbers, Numbers]] | None = [] if self._routes.has_alternates else None
        own = self._routes.leaves(rows, self._features, beside).ravel()
        pairs, numbers = np.arange(len(own)), own
        failed = np.zeros(0, dtype=np.intp)
        if beside:
            pairs = np.concatenate([*(pairs_beside for pairs_beside, _ in beside), pairs])
            numbers = np.concatenate([*(alternates for _, alternates in beside), own])
            failed = pairs[numbers < 0]
            pairs, numbers = pairs[numbers >= 0], numbers[numbers >= 0]
        new_ones = np.unique(numbers[self._places[numbers] < 0]).tolist()
        if any(map(self._routes.has_grown_at, new_ones)):
            # A leaf became a branch with one leaf, so the number of leaves did not change.
            self._read_trees(is_anew=True)
            return self._leaves_of(rows)
        for number in new_ones:
            leaf, owner = self._routes.nodes[number], self._routes.trees[number]
            place = self._leaves.place(leaf, owner, self._features, self._label_of)
            self._places[number] = place
        return pairs, self._places[numbers], failed

    # ------------------------------------------------------------------------------- answers

    def _answers(self, X: Floats) -> Floats:
        rows = np.full((len(X), self._features.width + 1), np.nan)
        rows[:, : X.shape[1]] = X
        n, trees_n, k = len(X), len(self._weights), len(self._codes)
        if not trees_n:
            return np.zeros((n, k))
        pairs, places, failed = self._leaves_of(rows)
        answers = self._leaves.predict_rows(rows, places, pairs // trees_n, self._features)
        # Slots without a class go to a last column, which is cut off.
        by_leaf = np.zeros((len(pairs), k + 1))
        by_leaf[np.arange(len(pairs))[:, np.newaxis], self._leaves.labels[places]] = answers
        by_pair = by_leaf[:, :k]
        if len(pairs) > n * trees_n:
            by_pair = np.zeros((n * trees_n, k))
            np.add.at(by_pair, pairs, by_leaf[:, :k])
        by_pair[failed] = np.nan
        if self._are_adaptive:
            total = np.add.accumulate(by_pair, axis=1)[:, -1:]
            by_pair = np.where(
                total > 0.0, by_pair * (1.0 / np.where(total > 0.0, total, 1.0)), by_pair
            )
        by_tree = by_pair.reshape(n, trees_n, k)
        return by_tree[:, 0] if _is_tree(self._final) else self._pool_members(by_tree)

    def _pool_members(self, said: Floats) -> Floats:
        """Pool answers of shape (n, members, k), weighted and added one after the other."""
        pooled = np.add.accumulate(said * self._weights[:, np.newaxis], axis=1)[:, -1]
        total = np.add.accumulate(pooled, axis=1)[:, -1:]
        return np.where(total > 0.0, pooled / np.where(total > 0.0, total, 1.0), pooled)


def _is_tree(model: Any) -> bool:
    return type(model) in _TREES


def _is_adaptive(model: Any) -> bool:
    """Whether leaves answer by their errors, and alternate trees beside the tree."""
    return type(model) is tree.HoeffdingAdaptiveTreeClassifier


def _members_of(model: Any) -> Iterator[tuple[Any, float]]:
    """The trees of a model, each with its weight in the vote."""
    if _is_tree(model):
        yield model, 1.0
        return
    is_patches = type(model) is ensemble.SRPClassifier
    for member, weight in zip(model.models, weights_of(model), strict=True):
        yield (member.model if is_patches else member), weight
