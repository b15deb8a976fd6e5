"""Scorers of river's linear models: logistic and softmax regression, perceptron, PA and ALMA."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np
from river import linear_model

from ..schema_view import Floats, SchemaView
from .block import Block
from .inputs import Inputs
from .pipeline import PipelineScorer, TextTables, share_out
from .scorer import code_of


class _LinearScorer(PipelineScorer):
    """Base of the linear models: numbers times weights, plus the weights of the categories."""

    def _take_weights(self, weights: list[Any]) -> None:
        self._read_steps()
        self._known_names: dict[str, None] = {}
        for of_class in weights:
            self._known_names.update(dict.fromkeys(of_class))
        names = self._choose(self._known_names)
        self._weights = np.array([[*map(w.get, names, repeat(0.0))] for w in weights])
        nothing = [0.0] * len(weights)
        tables = {}
        for i, text in enumerate(self._behind.texts):
            if text.is_coded:

                def line_of(value: str | None, name: str = text.name) -> list[float]:
                    encoded = f"{name}_{value}"
                    return [w.get(encoded, 0.0) for w in weights]

                tables[i] = self._table_of(text, line_of, nothing)
        self._tables = TextTables(tables, len(self._behind.texts))

    def _raw(self, whole: Block) -> tuple[Floats, Block]:
        block = self._chosen(whole)
        numbers = np.where(block.is_absent, 0.0, block.numbers)
        raw = np.add.reduce(numbers[:, np.newaxis, :] * self._weights, axis=2)
        self._tables.add_to(raw, block.codes)
        return np.asarray(raw), self._refuse(whole, block)

    def _refuse(self, whole: Block, block: Block) -> Block:
        """The block in which rows fail where a feature that has a weight is no number."""
        if block.is_none is not None:
            whole = whole.fail(block.is_none)
        return self._refuse_texts(whole, self._known_names)


class _BinaryScorer(_LinearScorer):
    """Base of the models of two classes: a sigmoid, 0 below -30 and 1 above 30."""

    def _learned(self) -> tuple[Any, float]:
        """The weights and the intercept."""
        raise NotImplementedError

    def _refresh(self) -> None:
        self._codes = [0, 1]
        weights, self._constant = self._learned()
        self._take_weights([weights])
        if self._inputs.has_intercept:
            self._constant += weights.get("(intercept)", 0.0)

    def _answer_block(self, block: Block) -> tuple[Floats, Block]:
        raw, block = self._raw(block)
        p = _sigmoid(raw[:, 0] + self._constant)
        answers = np.empty((len(raw), 2))
        answers[:, 0] = 1.0 - p
        answers[:, 1] = p
        return answers, block


class LogisticScorer(_BinaryScorer):
    """river's LogisticRegression and Perceptron.

    They read every feature, also without a weight: one that is no number raises, NaN makes NaN.
    """

    @property
    def final(self) -> Any:
        """The regression, without the steps before it."""
        return self._final

    def join(self, finals: Sequence[Any]) -> LogisticsScorer:
        """A scorer for several regressions in the place of this one, which is used up by it."""
        return LogisticsScorer(finals, self._inputs, self._schema)

    def _learned(self) -> tuple[Any, float]:
        return self._final.weights, float(self._final.intercept)

    def _refuse(self, whole: Block, block: Block) -> Block:
        others = self._others
        if len(others):
            is_strange = ~np.isfinite(whole.numbers[:, others]) & ~whole.is_absent[:, others]
            whole = whole.fail(is_strange)
        if whole.is_none is not None:
            whole = whole.fail(whole.is_none)
        return self._refuse_texts(whole)


class LogisticsScorer(LogisticScorer):
    """Several logistic regressions that read the same inputs: each one's probability of `True`.

    Code i stands for the i-th of them.
    """

    def __init__(self, finals: Sequence[Any], inputs: Inputs, schema: SchemaView) -> None:
        super().__init__(finals[0], inputs, schema)
        self._finals = finals

    def _refresh(self) -> None:
        self._codes = list(range(len(self._finals)))
        weights = [final.weights for final in self._finals]
        self._take_weights(weights)
        self._constants = np.array([float(final.intercept) for final in self._finals])
        if self._inputs.has_intercept:
            self._constants += [w.get("(intercept)", 0.0) for w in weights]

    def _answer_block(self, block: Block) -> tuple[Floats, Block]:
        raw, block = self._raw(block)
        return _sigmoid(raw + self._constants), block


def _sigmoid(raw: Floats) -> Floats:
    p = 1.0 / (1.0 + np.exp(-raw))
    p[raw < -30.0] = 0.0
    p[raw > 30.0] = 1.0
    return np.asarray(p)


class MarginScorer(_BinaryScorer):
    """river's PAClassifier and ALMAClassifier."""

    def _learned(self) -> tuple[Any, float]:
        final = self._final
        if isinstance(final, linear_model.ALMAClassifier):
            return final.w, 0.0
        return final.weights, float(final.intercept)


class SoftmaxScorer(_LinearScorer):
    """river's SoftmaxRegression: it has the learned classes, and no intercept of its own."""

    def _refresh(self) -> None:
        weights = self._final.weights
        self._codes = [code_of(label) for label in weights]
        self._take_weights(list(weights.values()))
        self._constants = np.zeros(len(weights))
        if self._inputs.has_intercept:
            self._constants = np.array([w.get("(intercept)", 0.0) for w in weights.values()])

    def _answer_block(self, block: Block) -> tuple[Floats, Block]:
        raw, block = self._raw(block)
        return share_out(raw + self._constants), block
