"""Scorers of river's linear models: logistic and softmax regression."""

from __future__ import annotations

from itertools import repeat

import numpy as np

from ..schema_view import Floats
from .scorer import Scorer, code_of


class _LinearScorer(Scorer):
    """Base of the linear models: numbers times weights, plus the weights of the categories."""

    def _take_weights(self, weights: list[dict[str, float]]) -> None:
        known: dict[str, None] = {}
        for of_class in weights:
            known.update(dict.fromkeys(of_class))
        names = self._take_columns(known)
        self._weights = np.array([[*map(w.get, names, repeat(0.0))] for w in weights])
        self._tables = []
        for j, texts in self._texts.items():
            encoded = [f"{self._schema.names[j]}_{text}" for text in texts]
            lines = [[w.get(name, 0.0) for w in weights] for name in encoded]
            self._tables.append((j, np.array([*lines, [0.0] * len(weights)])))

    def _raw(self, X: Floats) -> Floats:
        numbers, is_missing = self._numbers(X)
        numbers[is_missing] = 0.0
        raw = np.add.reduce(numbers[:, np.newaxis, :] * self._weights, axis=2)
        self._add_categories(X, raw)
        return np.asarray(raw)


class LogisticScorer(_LinearScorer):
    """river's LogisticRegression: sigmoid, 0 below -30 and 1 above 30."""

    def _refresh(self) -> None:
        self._codes = [0, 1]
        weights = self._final.weights
        self._take_weights([weights])
        self._constant = float(self._final.intercept)
        if self._inputs.has_intercept:
            self._constant += weights.get("(intercept)", 0.0)

    def _answers(self, X: Floats) -> Floats:
        raw = self._raw(X)[:, 0] + self._constant
        p = 1.0 / (1.0 + np.exp(-raw))
        p[raw < -30.0] = 0.0
        p[raw > 30.0] = 1.0
        answers = np.empty((len(X), 2))
        answers[:, 0] = 1.0 - p
        answers[:, 1] = p
        return answers


class SoftmaxScorer(_LinearScorer):
    """river's SoftmaxRegression: it has the learned classes, and no intercept of its own."""

    def _refresh(self) -> None:
        weights = self._final.weights
        self._codes = [code_of(label) for label in weights]
        self._take_weights(list(weights.values()))
        self._constants = np.zeros(len(weights))
        if self._inputs.has_intercept:
            self._constants = np.array([w.get("(intercept)", 0.0) for w in weights.values()])

    def _answers(self, X: Floats) -> Floats:
        raw = self._raw(X) + self._constants
        powers = np.exp(raw - raw.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
