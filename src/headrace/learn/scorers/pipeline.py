"""The base of the scorers of models that stand behind the steps of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...observe.schema import OTHER
from ..mixed import MixedNB
from ..schema_view import Floats, SchemaView
from .block import Block, Chain, Columns, Text
from .inputs import Inputs
from .scorer import Scorer


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
        self._growing = self._chain.growing()
        self._known: tuple[Any, ...] = ()
        self._behind = Columns()
        self._choice: tuple[Any, Any] = ((), ())
        self._places = np.zeros(0, dtype=np.intp)
        self._others = np.zeros(0, dtype=np.intp)

    def score(self, X: Floats) -> tuple[list[int], Floats]:
        """As `Scorer.score`; a column that was added since the last label may count."""
        self.is_stale |= self._known[:2] != (self._schema.width, self.passes_none)
        return super().score(X)

    @property
    def is_left_to_river(self) -> bool:
        """Whether the columns of the schema are such that only river knows the answers."""
        if self._known[:2] != (self._schema.width, self.passes_none):
            self._route()
            self.is_stale = True
        return self._is_left_to_river

    def rows_beyond(self, X: Floats) -> list[int]:
        """The rows with a free text, or with a category that shares its code with others."""
        if not self.learns_originals:
            return []
        kinds, is_beyond = self._schema.kinds, np.zeros(len(X), np.bool_)
        self._learn_texts(X)
        for j, kind in enumerate(kinds[: X.shape[1]]):
            if kind == "text":
                is_beyond |= ~np.isnan(X[:, j])
            elif kind == "categorical" and OTHER in self._texts.get(j, ()):
                is_beyond |= X[:, j] == self._texts[j].index(OTHER)
        return np.flatnonzero(is_beyond).tolist()

    # ------------------------------------------------------------------------- after a label

    def _read_steps(self) -> None:
        texts_n = sum(map(len, self._texts.values()))
        known = (self._schema.width, self.passes_none, texts_n)
        if known != self._known or any(step.has_grown() for step in self._growing):
            self._route()
        self._chain.read()

    def _route(self) -> None:
        schema, none = self._schema, self.passes_none
        texts_n = sum(map(len, self._texts.values()))
        self._known = (schema.width, none, texts_n)
        columns = list(zip(schema.names, schema.kinds, strict=True))
        numbers = [j for j, (_, kind) in enumerate(columns) if kind == "numeric"]
        sees_free = self._inputs.is_refusing_texts or self.learns_originals
        texts = [
            (j, Text(name, j if kind == "categorical" else -1, has_none=none))
            for j, (name, kind) in enumerate(columns)
            if kind == "categorical" or (kind == "text" and (none or sees_free))
        ]
        self._number_places = np.array(numbers, dtype=np.intp)
        self._text_places = np.array([j for j, _ in texts], dtype=np.intp)
        # A row by itself has no free texts, so they are None.
        is_hidden = [text.place < 0 and not sees_free for _, text in texts]
        self._is_hidden = np.array(is_hidden, dtype=np.bool_) if any(is_hidden) else None
        before = Columns(tuple(schema.names[j] for j in numbers), tuple(t for _, t in texts))
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

    _names: list[str] = []  # noqa: RUF012 -- replaced, never changed

    def _table_of(self, text: Text, line_of: Any, nothing: list[float]) -> Floats:
        """The line of each text of a column by code, and a last line for a missing text."""
        texts = self._texts.get(text.place, ())
        last = line_of(None) if text.has_none else nothing
        return np.array([*map(line_of, texts), last])

    # ------------------------------------------------------------------------------- answers

    def _answers(self, X: Floats) -> Floats:
        block = self._chain.apply(self._enter(X))
        answers, block = self._answer_block(block)
        if block.has_failed is not None:
            answers[block.has_failed] = np.nan
        return answers

    def _answer_block(self, block: Block) -> tuple[Floats, Block]:
        """The answers, shape (n, m), and the block with the rows in which the model raises."""
        raise NotImplementedError

    def _enter(self, X: Floats) -> Block:
        numbers, codes = _take(X, self._number_places), _take(X, self._text_places)
        if self._is_hidden is not None:
            codes[:, self._is_hidden] = np.nan
        is_missing = np.isnan(numbers)
        if self.passes_none:
            return Block(numbers, np.zeros(numbers.shape, np.bool_), codes, None, is_missing)
        return Block(numbers, is_missing, codes)

    def _chosen(self, block: Block) -> Block:
        """The block with the numbers that the model knows alone."""
        if len(self._others) == 0:
            return block
        return block.take(self._places)

    def _set_tables(self, tables: dict[int, Floats]) -> None:
        """Set the table of `_table_of` of each column of texts that has one."""
        self._tables = list(tables.items())
        columns = range(len(self._behind.texts))
        lasts = [len(tables[i]) - 1 if i in tables else 0 for i in columns]
        self._last_lines = np.array(lasts, dtype=float)

    def _add_tables(self, block: Block, raw: Floats) -> None:
        """Add the line of each text to raw, shape (n, m)."""
        if self._tables:
            codes = block.codes
            lines = np.where(np.isnan(codes), self._last_lines, codes).astype(np.intp)
            for i, table in self._tables:
                raw += table.take(lines[:, i], axis=0)

    def _refuse_texts(self, block: Block, names: Mapping[str, Any] | None = None) -> Block:
        """The block in which rows with a text fail, or only those with a text of these names."""
        texts = self._behind.texts
        columns = [i for i in self._raw_texts if names is None or texts[i].name in names]
        if not columns:
            return block
        has_none = np.array([texts[i].has_none for i in columns], dtype=np.bool_)
        return block.fail(block.is_text()[:, columns] | has_none)


def _take(X: Floats, places: Any) -> Floats:
    """These columns of X; NaN for those that it has not."""
    if len(places) and X.shape[1] <= places[-1]:
        X = np.pad(X, ((0, 0), (0, places[-1] + 1 - X.shape[1])), constant_values=np.nan)
    taken: Floats = X.take(places, axis=1)
    return taken


def share_out(joint: Floats) -> Floats:
    """Probabilities for these log likelihoods, shape (n, m)."""
    powers = np.exp(joint - joint.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
