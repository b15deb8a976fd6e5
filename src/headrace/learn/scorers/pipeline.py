"""The base of the scorers of models that stand behind the steps of a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..mixed import MixedNB
from ..schema_view import Floats, SchemaView
from .block import Block, BlockColumns, Chain, Text
from .inputs import Inputs
from .scorer import Scorer

LineOf: TypeAlias = Callable[[str | None], list[float]]
"""What m numbers belong to a text; None stands for a feature that is None."""


class PipelineScorer(Scorer):
    """A model behind steps. Subclasses fill their arrays in `_refresh`, after `_read_steps`.

    `_answer_block` then gives the answers for what the steps made of rows. `passes_none`, which the
    caller sets, says whether the model gets None for a missing feature; it may if `asks_for_none`.
    """

    def __init__(self, final: Any, inputs: Inputs, schema: SchemaView) -> None:
        super().__init__(final, inputs, schema)
        self.learns_originals = inputs.reads_originals
        self._reads_texts = inputs.reads_texts or (type(final) is MixedNB and inputs.has_texts)
        self._chain = Chain(inputs.steps)
        self._entry = RawFeatures()
        self._tables = TextTables()
        self._known: tuple[Any, ...] = ()
        self._behind = BlockColumns()
        self._choice: tuple[Any, Any] = ((), ())
        self._names: list[str] = []
        self._places = np.zeros(0, dtype=np.intp)
        self._others = np.zeros(0, dtype=np.intp)

    def score(self, X: Floats) -> tuple[list[int], Floats]:
        """As `Scorer.score`; a column that was added since the last label may count."""
        self.is_stale |= self._is_routed_otherwise
        return super().score(X)

    @property
    def _is_routed_otherwise(self) -> bool:
        known = self._known
        return not known or known[0] != self._schema.width or known[1] != self.passes_none

    @property
    def is_left_to_river(self) -> bool:
        """Whether the columns of the schema are such that only river knows the answers."""
        if self._is_routed_otherwise:
            self._route()
            self.is_stale = True
        return self._is_left_to_river

    # ------------------------------------------------------------------------- after a label

    def _read_steps(self) -> None:
        texts_n = sum(map(len, self._texts.values()))
        known = (self._schema.width, self.passes_none, texts_n)
        if known != self._known or self._chain.has_grown():
            self._route()
        self._chain.read()

    def _route(self) -> None:
        schema, none = self._schema, self.passes_none
        texts_n = sum(map(len, self._texts.values()))
        self._known = (schema.width, none, texts_n)
        sees_free = self._inputs.is_refusing_texts or self.learns_originals
        before = self._entry.route(schema, passes_none=none, sees_free=sees_free)
        self._behind = self._chain.route(before, self._texts)
        self._is_left_to_river = self._chain.is_left_to_river
        self._raw_texts = [i for i, text in enumerate(self._behind.texts) if not text.is_coded]
        # Its length splits long batches.
        self._columns = np.zeros(len(self._behind.names), dtype=np.intp)

    def _choose(self, known: Mapping[str, Any]) -> list[str]:
        """Choose the numbers that the model knows, and return their names."""
        names = self._behind.names
        if (names, known.keys()) != self._choice:
            self._choice = names, dict.fromkeys(known).keys()
            is_known = [name in known for name in names]
            self._places = np.flatnonzero(is_known)
            self._others = np.flatnonzero(np.logical_not(is_known))
            self._names = [names[j] for j in self._places.tolist()]
        return self._names

    def _table_of(self, text: Text, line_of: LineOf, nothing: list[float]) -> Floats:
        """The line of each text of a column by code, and a last line for a missing text."""
        texts = self._texts.get(text.place, ())
        last = line_of(None) if text.has_none else nothing
        return np.array([*map(line_of, texts), last])

    # ------------------------------------------------------------------------------- answers

    def _answers(self, X: Floats) -> Floats:
        block = self._chain.apply(self._entry.enter(X, passes_none=self.passes_none))
        answers, block = self._answer_block(block)
        if block.has_failed is not None:
            answers[block.has_failed] = np.nan
        return answers

    def _answer_block(self, block: Block) -> tuple[Floats, Block]:
        """The answers, shape (n, m), and the block with the rows in which the model raises."""
        raise NotImplementedError

    def _chosen(self, block: Block) -> Block:
        """The block with the numbers that the model knows alone."""
        if len(self._others) == 0:
            return block
        return block.take(self._places)

    def _refuse_texts(self, block: Block, names: Mapping[str, Any] | None = None) -> Block:
        """The block in which rows with a text fail, or only those with a text of these names."""
        texts = self._behind.texts
        columns = [i for i in self._raw_texts if names is None or texts[i].name in names]
        if not columns:
            return block
        has_none = np.array([texts[i].has_none for i in columns], dtype=np.bool_)
        return block.fail(block.is_text()[:, columns] | has_none)


class RawFeatures:
    """The features of a row in front of all steps."""

    def __init__(self) -> None:
        self._numbers = np.zeros(0, dtype=np.intp)
        self._texts = np.zeros(0, dtype=np.intp)
        self._is_hidden: NDArray[np.bool_] | None = None

    def route(self, schema: SchemaView, *, passes_none: bool, sees_free: bool) -> BlockColumns:
        """The columns of this schema; `sees_free` says whether the model gets free texts."""
        columns = list(enumerate(zip(schema.names, schema.kinds, strict=True)))
        numbers = [(j, name) for j, (name, kind) in columns if kind == "numeric"]
        texts = [
            (j, Text(name, j if kind == "categorical" else -1, has_none=passes_none))
            for j, (name, kind) in columns
            if kind == "categorical" or (kind == "text" and (passes_none or sees_free))
        ]
        self._numbers = np.array([j for j, _ in numbers], dtype=np.intp)
        self._texts = np.array([j for j, _ in texts], dtype=np.intp)
        # A row by itself has no free texts, so they are None.
        is_hidden = [text.place < 0 and not sees_free for _, text in texts]
        self._is_hidden = np.array(is_hidden, dtype=np.bool_) if any(is_hidden) else None
        return BlockColumns(tuple(name for _, name in numbers), tuple(text for _, text in texts))

    def enter(self, X: Floats, *, passes_none: bool) -> Block:
        """The rows as a block, for the columns of the latest `route`."""
        numbers, codes = _take(X, self._numbers), _take(X, self._texts)
        if self._is_hidden is not None:
            codes[:, self._is_hidden] = np.nan
        is_missing = np.isnan(numbers)
        if passes_none:
            return Block(numbers, np.zeros(numbers.shape, np.bool_), codes, None, is_missing)
        return Block(numbers, is_missing, codes)


class TextTables:
    """For columns of texts: a line of m numbers for each code, the last one for a missing text."""

    def __init__(self, tables: Mapping[int, Floats] | None = None, columns_n: int = 0) -> None:
        self._tables = dict(tables or {})
        lasts = [len(self._tables.get(i, ())) - 1 for i in range(columns_n)]
        self._last_lines = np.array(lasts, dtype=float)

    def add_to(self, raw: Floats, codes: Floats) -> None:
        """Add the line of each of a row's texts to raw, shape (n, m)."""
        if self._tables:
            lines = np.where(np.isnan(codes), self._last_lines, codes).astype(np.intp)
            for i, table in self._tables.items():
                raw += table.take(lines[:, i], axis=0)


def _take(X: Floats, places: NDArray[np.intp]) -> Floats:
    """These columns of X; NaN for those that it has not."""
    if len(places) and X.shape[1] <= places[-1]:
        X = np.pad(X, ((0, 0), (0, places[-1] + 1 - X.shape[1])), constant_values=np.nan)
    taken: Floats = X.take(places, axis=1)
    return taken


def share_out(joint: Floats) -> Floats:
    """Probabilities for these log likelihoods, shape (n, m)."""
    powers = np.exp(joint - joint.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
