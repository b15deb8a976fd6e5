"""The tests of river's trees as arrays: rows go from all roots to the leaves, level by level.

If a feature is missing, or a test with many branches does not know a category, river takes the most
travelled branch; so do rows here. `leaves` reads the content of a leaf.

A branch of an adaptive tree may have an alternate tree, whose leaf answers beside that of the tree.
River 0.26 raises where the alternate tree is not a leaf.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from river import tree as trees
from river.tree.nodes.branch import DTBranch, NominalBinaryBranch, NumericBinaryBranch

from ..schema_view import Floats

Numbers: TypeAlias = NDArray[np.intp]

NO_ALTERNATE, ALTERNATE_BRANCH = -1, -2
"""In place of the number of an alternate leaf: there is none; it is a branch, so river raises."""

_REBUILT = (trees.HoeffdingAdaptiveTreeClassifier, trees.ExtremelyFastDecisionTreeClassifier)
"""The trees that replace their branches, so that the number of leaves doesn't tell a change."""

EMPTY = SimpleNamespace(splitters=None, stats={})
"""The leaf of a tree that has learned nothing."""


@dataclass(frozen=True)
class TreeColumns:
    """The columns of features in rows that have one more column, number `width`, always missing.

    - `place_of`: the column of each feature that trees may read.
    - `codes`: the code of each category, by categorical column.
    - `numbers`: by column, codes of numbers that trees test like categories; they are added when
      trees are read.
    """

    place_of: Mapping[Any, int]
    codes: Mapping[int, Mapping[Any, int]]
    width: int
    numbers: dict[int, dict[Any, int]] = field(default_factory=dict)

    def place(self, name: Any) -> int:
        """The column of a feature; the always missing one if rows don't have the feature."""
        return self.place_of.get(name, self.width)

    def code(self, place: int, value: Any) -> int | None:
        """The code of a category in this column; None if no row can have it."""
        if place in self.codes:
            return self.codes[place].get(value)
        if place == self.width or isinstance(value, str):
            return None
        known = self.numbers.setdefault(place, {})
        return known.setdefault(value, len(known))

    def codes_in(self, values: Floats, place: int) -> Numbers:
        """The codes of these values of a column, shape (n,); -1 for a missing or unknown one."""
        if place in self.numbers:
            known = self.numbers[place]
            return np.array([known.get(value, -1) for value in values.tolist()], dtype=np.intp)
        return np.where(np.isnan(values), -1.0, values).astype(np.intp)

    def table(self, place: int, by_value: Mapping[Any, float], otherwise: float) -> Floats:
        """An array of values by code; the last one, at code -1, is that of all other codes."""
        by_code = {
            code: values
            for category, values in by_value.items()
            if (code := self.code(place, category)) is not None
        }
        values = np.full(max(by_code, default=-1) + 2, otherwise)
        values[list(by_code)] = list(by_code.values())
        return values


class _Tree:
    """The arrays of one tree; its nodes are numbered so that siblings follow one another."""

    def __init__(self, tree: Any, columns: TreeColumns) -> None:
        self.tree = tree
        self.root = tree._root
        self.leaves_n = leaves_n_of(tree)
        self.nodes: list[Any] = [EMPTY if self.root is None else self.root]
        self.parents: list[tuple[Any, int]] = [(None, 0)]
        self.tested: list[int] = []
        self.thresholds: list[float] = []
        self.first: list[int] = []
        self.alternates: list[int] = []
        self.ways: dict[int, Floats] = {}
        self._branches: list[tuple[Any, list[Any], Any]] = []
        for number, node in enumerate(self.nodes):
            is_branch = isinstance(node, DTBranch)
            is_numeric = isinstance(node, NumericBinaryBranch)
            self.tested.append(columns.place(node.feature) if is_branch else -1)
            self.thresholds.append(node.threshold if is_numeric else np.nan)
            self.first.append(len(self.nodes))
            self.alternates.append(NO_ALTERNATE)
            if is_branch:
                self.nodes += node.children
                self.parents += [(node, i) for i in range(len(node.children))]
                if not is_numeric:
                    self.ways[number] = _ways(node, self.tested[-1], columns)
                if isinstance(tree, _REBUILT):
                    self._read_alternate(node)

    def _read_alternate(self, node: Any) -> None:
        alternate = getattr(node, "_alternate_tree", None)
        self._branches.append((node, list(node.children), alternate))
        if isinstance(alternate, DTBranch):
            self.alternates[-1] = ALTERNATE_BRANCH
        elif alternate is not None:
            self.alternates[-1] = len(self.nodes)
            self.nodes.append(alternate)
            self.parents.append((None, 0))

    @property
    def has_grown(self) -> bool:
        """Whether the tree has other branches than when it was read.

        The number of leaves tells it, except for one case that `Routes.has_grown_at` finds.
        """
        if self.root is not self.tree._root:
            return True
        if isinstance(self.tree, _REBUILT):
            return any(
                node.children != children or getattr(node, "_alternate_tree", None) is not alternate
                for node, children, alternate in self._branches
            )
        return self.leaves_n != leaves_n_of(self.tree)


def leaves_n_of(tree: Any) -> int:
    """The number of leaves of a tree, including those that no longer learn."""
    if isinstance(tree, _REBUILT):
        # River counts the leaves of replaced branches wrongly.
        return 0 if tree._root is None else int(tree._root.n_leaves)
    return int(tree._n_active_leaves + tree._n_inactive_leaves)


def _ways(node: Any, place: int, columns: TreeColumns) -> Floats:
    """The branch of a categorical test by code; -1 where river knows none."""
    if isinstance(node, NominalBinaryBranch):
        return columns.table(place, {node.value: 0.0}, 1.0)
    return columns.table(place, node._mapping, -1.0)


class Routes:
    """The nodes of several trees, numbered consecutively; `trees` has the tree of each node."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.trees: list[Any] = []
        self._parents: list[tuple[Any, int]] = []
        self._read: dict[int, _Tree] = {}
        self._roots = self._tested = self._first = np.zeros(0, dtype=np.intp)
        self._alternates = np.zeros(0, dtype=np.intp)
        self.has_alternates = False
        self._thresholds = np.zeros(0)
        self._ways: dict[int, Floats] = {}
        self._most_travelled: dict[int, int] = {}

    def refresh(self, trees: Sequence[Any], columns: TreeColumns, *, is_anew: bool = False) -> bool:
        """Read the trees that have grown since the last time, or all; whether any was read."""
        # The most travelled branch may change after every label.
        self._most_travelled = {}
        known = {} if is_anew else self._read
        # A `_Tree` references its tree, so that no other tree can get the same id.
        previous = [known.get(id(tree)) for tree in trees]
        current = [
            _Tree(tree, columns) if before is None or before.has_grown else before
            for tree, before in zip(trees, previous, strict=True)
        ]
        self._read = {id(read_tree.tree): read_tree for read_tree in current}
        is_as_before = len(known) == len(current) and all(map(operator.is_, current, previous))
        if not is_as_before:
            self._join(current)
        return not is_as_before

    def _join(self, read: list[_Tree]) -> None:
        starts = np.cumsum([0, *(len(tree.nodes) for tree in read)])
        joined = list(zip(starts.tolist(), read, strict=False))
        self._roots = starts[:-1].astype(np.intp)
        self.nodes = [node for tree in read for node in tree.nodes]
        self.trees = [tree.tree for tree in read for _ in tree.nodes]
        self._parents = [parent for tree in read for parent in tree.parents]
        self._tested = np.array([j for tree in read for j in tree.tested], dtype=np.intp)
        self._thresholds = np.array([x for tree in read for x in tree.thresholds], dtype=float)
        first = [start + number for start, tree in joined for number in tree.first]
        self._first = np.array(first, dtype=np.intp)
        alternates = [
            start + number if number >= 0 else number
            for start, tree in joined
            for number in tree.alternates
        ]
        self._alternates = np.array(alternates, dtype=np.intp)
        self.has_alternates = bool((self._alternates != NO_ALTERNATE).any())
        self._ways = {
            start + number: ways for start, tree in joined for number, ways in tree.ways.items()
        }

    def has_grown_at(self, number: int) -> bool:
        """Whether another node has replaced this leaf in its tree."""
        parent, i = self._parents[number]
        return parent is not None and parent.children[i] is not self.nodes[number]

    def leaves(
        self,
        rows: Floats,
        columns: TreeColumns,
        beside: list[tuple[Numbers, Numbers]] | None = None,
    ) -> Numbers:
        """The number of the leaf that each row reaches in each tree, shape (n, trees).

        To `beside` are added the alternate trees on the way, as numbers of pairs of a row and a
        tree, and numbers of leaves, or `ALTERNATE_BRANCH`.
        """
        trees_n = len(self._roots)
        reached = np.tile(self._roots, len(rows))
        row_of = np.repeat(np.arange(len(rows)), trees_n)
        going = np.flatnonzero(self._tested[reached] >= 0)
        if beside is not None:
            self._note_alternates(going, reached[going], beside)
        while going.size:
            nodes = reached[going]
            values = rows[row_of[going], self._tested[nodes]]
            branches = (values > self._thresholds[nodes]).astype(np.intp)
            for number in self._nominal_in(nodes):
                here = np.flatnonzero(nodes == number)
                codes = columns.codes_in(values[here], int(self._tested[number]))
                table = self._ways[number]
                branches[here] = table[np.minimum(codes, len(table) - 1)]
            unknown = np.flatnonzero(np.isnan(values) | (branches < 0))
            if unknown.size:
                branches[unknown] = [self._usual_way(number) for number in nodes[unknown].tolist()]
            nodes = self._first[nodes] + branches
            reached[going] = nodes
            if beside is not None:
                self._note_alternates(going, nodes, beside)
                # River's walk yields a node twice if the way to it is the most travelled one.
                self._note_alternates(going[unknown], nodes[unknown], beside)
            going = going[self._tested[nodes] >= 0]
        return reached.reshape(len(rows), trees_n)

    def _note_alternates(
        self, pairs: Numbers, nodes: Numbers, beside: list[tuple[Numbers, Numbers]]
    ) -> None:
        alternates = self._alternates[nodes]
        here = np.flatnonzero(alternates != NO_ALTERNATE)
        if here.size:
            beside.append((pairs[here], alternates[here]))

    def _nominal_in(self, nodes: Numbers) -> list[int]:
        if not self._ways:
            return []
        return [number for number in np.unique(nodes).tolist() if number in self._ways]

    def _usual_way(self, number: int) -> int:
        """The branch that most examples took; river computes it once per label."""
        way = self._most_travelled.get(number)
        if way is None:
            way = self._most_travelled[number] = self.nodes[number].most_common_path()[0]
        return way
