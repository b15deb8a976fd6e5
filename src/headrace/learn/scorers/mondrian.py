"""River's Mondrian trees and forests, many rows in one pass.

The module compiles `AMFClassifier` and `MondrianTreeClassifier`. Rows go from the roots to the
leaves, level by level. A leaf's answer joins the shares of classes in all nodes above it, in
river's order; it is computed once for all rows that reach the leaf. A node is read when a row first
reaches it. A label changes the nodes on one way through each tree, and each of them has one more
sample than before; so only these are read again.

Texts are in no split, because river can't learn them.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from river import forest
from river.tree.mondrian import MondrianTreeClassifier

from ..schema_view import Floats, SchemaView
from .originals import OriginalsScorer
from .routes import Numbers
from .scorer import code_of

NODE_CELLS_MAX = 2**23
"""The most nodes x classes of trees scored as arrays; river scores larger ones."""

ALONE_MAX = 4
"""Up to this many rows are walked through the trees one by one, which needs no arrays."""


def is_of_mondrian_trees(model: Any) -> bool:
    """Whether the model is a Mondrian tree or a forest of them.

    >>> is_of_mondrian_trees(forest.AMFClassifier(seed=1))
    True
    """
    return type(model) in {forest.AMFClassifier, MondrianTreeClassifier}


class MondrianScorer(OriginalsScorer):
    """A Mondrian tree or forest as arrays; the caller sets `is_stale` after `learn_one`."""

    def __init__(self, model: Any, schema: SchemaView) -> None:
        super().__init__(model, schema)
        self._nodes: _Nodes | None = None
        self._known: tuple[Any, ...] = ()

    @property
    def is_left_to_river(self) -> bool:
        """Whether river has to score.

        It does where arrays of all nodes and classes would take more than 100 MB, and where a label
        that could not be learned was noted by some trees only.
        """
        trees, classes = self._trees(), self._final._classes
        nodes_n = sum(tree._n_nodes for tree in trees)
        labels = trees[0]._idx_to_class if trees else []
        are_alike = all(tree._idx_to_class == labels for tree in trees)
        return (
            not are_alike or len(labels) != len(classes) or nodes_n * len(labels) > NODE_CELLS_MAX
        )

    def _trees(self) -> list[Any]:
        is_tree = type(self._final) is MondrianTreeClassifier
        return [self._final] if is_tree else list(self._final)

    def score(self, X: Floats) -> tuple[list[int], Floats]:
        """As `Scorer.score`; a few rows are scored without arrays, with the same bits."""
        trees = self._trees()
        if len(X) > ALONE_MAX or not trees:
            return super().score(X)
        self._note_width()
        labels, places = trees[0]._idx_to_class, self._numeric_places()
        answers = np.zeros((len(X), len(labels)))
        for i, row in enumerate(X.tolist()):
            said = [_predict_row(tree, row, places) for tree in trees]
            if type(self._final) is not MondrianTreeClassifier:
                shares = [[p / self._final.n_estimators for p in by_label] for by_label in said]
                said = [[functools.reduce(operator.add, of) for of in zip(*shares, strict=True)]]
            answers[i] = said[0]
        return [code_of(label) for label in labels], answers

    def _numeric_places(self) -> dict[str, int]:
        """The column of each feature that is a number."""
        kinds = enumerate(zip(self._schema.names, self._schema.kinds, strict=True))
        return {name: j for j, (name, kind) in kinds if kind == "numeric"}

    def _refresh(self) -> None:
        trees = self._trees()
        labels = list(trees[0]._idx_to_class) if trees else []
        known = (self._schema.width, labels)
        if self._nodes is None or known != self._known or self._nodes.are_others(trees):
            places, width = self._numeric_places(), self._schema.width
            self._nodes = _Nodes(trees, len(labels), places, width)
        self._known = known
        self._nodes.refresh()
        self._codes = [code_of(label) for label in labels]
        # `score` uses its length to split long batches.
        self._columns = np.zeros(4 * len(trees), dtype=np.intp)

    def _answers(self, X: Floats) -> Floats:
        assert self._nodes is not None
        rows = np.full((len(X), self._schema.width + 1), np.nan)
        rows[:, : X.shape[1]] = X
        by_tree = self._nodes.predict_rows(rows)
        if type(self._final) is MondrianTreeClassifier:
            return by_tree[:, 0]
        return np.asarray(np.add.accumulate(by_tree / self._final.n_estimators, axis=1)[:, -1])


def _predict_row(tree: Any, row: list[float], places: Mapping[str, int]) -> list[float]:
    """A tree's answer for one row, by label, with the operations of `_Nodes` in the same order."""
    dirichlet, labels_n, node = tree.dirichlet, len(tree._idx_to_class), tree._root
    padding = [0] * labels_n
    while not node.is_leaf:
        place = places.get(node.feature, len(row))
        value = row[place] if place < len(row) else math.nan
        if math.isnan(value):
            _, node = node.most_common_path()
        else:
            node = node.children[value > node.threshold]

    def share() -> list[float]:
        n = node.n_samples + dirichlet * labels_n
        counts = node.counts if len(node.counts) == labels_n else (node.counts + padding)
        return [(count + dirichlet) / n for count in counts[:labels_n]]

    scores = share()
    if not tree.use_aggregation:
        return scores
    while node.parent is not None:
        node = node.parent
        half = 0.5 * math.exp(node.weight - node.log_weight_tree)
        rest = 1.0 - half
        scores = [half * p + rest * s for p, s in zip(share(), scores, strict=True)]
    total = 0.0
    for score in scores:
        total += score
    return [score * (1.0 / total) for score in scores] if total > 0.0 else scores


class _NodeArrays:
    """What is known of n nodes, by their numbers; `samples` is -1 for a node that was not read.

    - `parents`: the node above, -1 for a root; `children`, shape (n, 2).
    - `tested`: the column that a branch tests against its threshold, -1 for a leaf.
    - `usual`: the side of rows without the value.
    - `halves`: half of a node's weight beside what is below it.
    - `counts`, `answers`: of samples, and of a leaf, by label, shape (n, labels); NaN if not known.
    """

    def __init__(self, n: int, labels_n: int) -> None:
        self.samples: Numbers = np.full(n, -1, np.intp)
        self.parents: Numbers = np.full(n, -1, np.intp)
        self.children: Numbers = np.zeros((n, 2), np.intp)
        self.tested: Numbers = np.full(n, -1, np.intp)
        self.thresholds: Floats = np.full(n, np.nan)
        self.usual: Numbers = np.zeros(n, np.intp)
        self.halves: Floats = np.zeros(n)
        self.counts: Floats = np.zeros((n, labels_n))
        self.answers: Floats = np.full((n, labels_n), np.nan)

    def enlarge(self) -> _NodeArrays:
        """The same arrays with room for twice as many nodes, and some more."""
        larger = _NodeArrays(2 * len(self.samples) + 64, self.counts.shape[1])
        for name, array in vars(self).items():
            vars(larger)[name][: len(array)] = array
        return larger


class _Nodes:
    """The nodes of several trees, numbered in the order in which they were met.

    - `labels_n`: the number of labels, which all trees have met in the same order.
    - `place_of`: the columns of numbers; rows have one more column, `width`, always missing.
    """

    def __init__(
        self, trees: Sequence[Any], labels_n: int, place_of: Mapping[str, int], width: int
    ) -> None:
        self._trees, self._labels_n = list(trees), labels_n
        self._place_of, self._width = place_of, width
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._arrays = _NodeArrays(0, labels_n)
        self._roots: Numbers = np.zeros(len(trees), dtype=np.intp)

    def are_others(self, trees: Sequence[Any]) -> bool:
        """Whether these are other trees, or half of the nodes have left them."""
        nodes_n = sum(tree._n_nodes for tree in trees)
        is_same = len(trees) == len(self._trees) and all(map(operator.is_, trees, self._trees))
        return not is_same or len(self._objects) > 2 * nodes_n + 100

    def refresh(self) -> None:
        """Read again the nodes that have learned since they were read, and the new ones there.

        A new branch may have been put above nodes that were read.
        """
        self._arrays.answers[:] = np.nan
        for i, tree in enumerate(self._trees):
            self._roots[i] = self._number(tree._root, -1)
            waiting, nodes_n = [int(self._roots[i])], len(self._objects)
            while waiting:
                number = waiting.pop()
                is_read, is_new = self._arrays.samples[number] >= 0, number >= nodes_n
                has_learned = self._objects[number].n_samples != self._arrays.samples[number]
                if is_new or (is_read and has_learned):
                    waiting += self._read(number)

    def _number(self, node: Any, parent: int) -> int:
        """The number of a node below this parent; a new one, if it is met for the first time."""
        number = self._numbers.get(id(node))
        if number is None:
            number = self._numbers[id(node)] = len(self._objects)
            self._objects.append(node)
            if number == len(self._arrays.samples):
                self._arrays = self._arrays.enlarge()
        self._arrays.parents[number] = parent
        return number

    def _read(self, number: int) -> list[int]:
        """Read a node; return the numbers of its children."""
        node, arrays = self._objects[number], self._arrays
        arrays.samples[number] = node.n_samples
        arrays.counts[number, : len(node.counts)] = node.counts
        if node.is_leaf:
            arrays.tested[number] = -1
            return []
        # The C library's exponential, as in river; numpy's differs in the last bits.
        arrays.halves[number] = 0.5 * math.exp(node.weight - node.log_weight_tree)
        left, right = node.children
        arrays.tested[number] = self._place_of.get(node.feature, self._width)
        arrays.thresholds[number] = node.threshold
        arrays.usual[number] = left.weight < right.weight
        children = [self._number(child, number) for child in (left, right)]
        self._arrays.children[number] = children
        return children

    def predict_rows(self, rows: Floats) -> Floats:
        """The answers of each tree, shape (n, trees, labels), for rows of shape (n, width + 1)."""
        leaves = self._find_leaves(rows)
        is_reached = np.zeros(len(self._arrays.samples), np.bool_)
        is_reached[leaves] = True
        new_ones = np.flatnonzero(is_reached & np.isnan(self._arrays.answers[:, 0]))
        self._arrays.answers[new_ones] = self._predict_leaves(new_ones)
        return self._arrays.answers[leaves]

    def _find_leaves(self, rows: Floats) -> Numbers:
        """The number of the leaf that each row reaches in each tree, shape (n, trees)."""
        trees_n = len(self._trees)
        reached = np.tile(self._roots, len(rows))
        row_of = np.repeat(np.arange(len(rows)), trees_n)
        going = np.arange(len(reached))
        while going.size:
            nodes = reached[going]
            is_unread = np.zeros(len(self._arrays.samples), np.bool_)
            is_unread[nodes] = True
            for number in np.flatnonzero(is_unread & (self._arrays.samples < 0)).tolist():
                self._read(number)
            is_branch = self._arrays.tested[nodes] >= 0
            going, nodes = going[is_branch], nodes[is_branch]
            values = rows[row_of[going], self._arrays.tested[nodes]]
            sides = (values > self._arrays.thresholds[nodes]).astype(np.intp)
            sides = np.where(np.isnan(values), self._arrays.usual[nodes], sides)
            reached[going] = self._arrays.children[nodes, sides]
        return reached.reshape(len(rows), trees_n)

    def _predict_leaves(self, leaves: Numbers) -> Floats:
        """The answers of these leaves, each for its tree, shape (m, labels)."""
        scores = self._share(leaves)
        # The trees of a forest have the same settings.
        if not self._trees[0].use_aggregation:
            return scores
        going, nodes = np.arange(len(leaves)), self._arrays.parents[leaves]
        while True:
            going, nodes = going[nodes >= 0], nodes[nodes >= 0]
            if not going.size:
                break
            halves = self._arrays.halves[nodes, np.newaxis]
            scores[going] = halves * self._share(nodes) + (1.0 - halves) * scores[going]
            nodes = self._arrays.parents[nodes]
        total = np.add.accumulate(scores, axis=1)[:, -1:]
        return np.where(total > 0.0, scores * (1.0 / np.where(total > 0.0, total, 1.0)), scores)

    def _share(self, nodes: Numbers) -> Floats:
        """The shares of the labels in these nodes, smoothed."""
        dirichlet = self._trees[0].dirichlet
        n = self._arrays.samples[nodes] + dirichlet * self._labels_n
        return np.asarray((self._arrays.counts[nodes] + dirichlet) / n[:, np.newaxis])
