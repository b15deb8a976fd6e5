"""The scorer of the naive Bayes models with normal numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..schema_view import Floats, SchemaView
from .inputs import Inputs
from .scorer import Scorer, code_of

PDF_FLOOR = 10e-10
"""The constant that river's GaussianNB adds to every density before the logarithm."""


class BayesScorer(Scorer):
    """GaussianNB and MixedNB: log prior, floored log densities of numbers, log chances of texts.

    A feature that no class has learned counts the same for all classes and is left out.
    """

    def __init__(self, final: Any, inputs: Inputs, schema: SchemaView) -> None:
        super().__init__(final, inputs, schema)
        self._read: tuple[list[str], dict[Any, tuple[float, list[tuple[float, float]]]]] = ([], {})

    def _refresh(self) -> None:
        counts, gaussians = self._final.class_counts, self._final.gaussians
        self._codes = [code_of(label) for label in counts]
        by_class = [gaussians.get(label, {}) for label in counts]
        known: dict[str, None] = {}
        for of_class in by_class:
            known.update(dict.fromkeys(of_class))
        names = self._take_columns(known)
        shape = (len(by_class), len(names))
        if names != self._read[0]:
            self._read = names, {}
        moments = [
            pair
            for of in zip(counts.items(), by_class, strict=True)
            for pair in self._read_gaussians(*of)
        ]
        self._centres = np.array([mean for mean, _ in moments]).reshape(shape)
        self._precisions = np.array([precision for _, precision in moments]).reshape(shape)
        self._heights = self._precisions / math.sqrt(math.tau)
        total = sum(counts.values())
        self._priors = np.array([math.log(n / total) for n in counts.values()])
        if self._inputs.has_intercept:
            self._priors += [_log_density(g.get("(intercept)"), 1.0) for g in by_class]
        self._tables = []
        for j, texts in self._texts.items():
            name, final = self._schema.names[j], self._final
            if name in final.texts:
                lines = [[final.log_chance(c, name, text) for c in counts] for text in texts]
                self._tables.append((j, np.array([*lines, [0.0] * len(counts)])))

    def _read_gaussians(
        self, counted: tuple[Any, float], gaussians: Any
    ) -> list[tuple[float, float]]:
        """The mean and precision of each number in one class, updated if it has learned since."""
        label, count = counted
        names, by_label = self._read
        known = by_label.get(label)
        if known is None or known[0] != count:
            pairs = [_mean_and_precision(gaussian) for gaussian in map(gaussians.get, names)]
            known = by_label[label] = (count, pairs)
        return known[1]

    def _answers(self, X: Floats) -> Floats:
        numbers, is_missing = self._numbers(X)
        distances = (numbers[:, np.newaxis, :] - self._centres) * self._precisions
        logs = np.log(PDF_FLOOR + np.exp(-0.5 * distances * distances) * self._heights)
        if is_missing.any():
            logs = np.where(is_missing[:, np.newaxis, :], 0.0, logs)
        joint = logs.sum(axis=2) + self._priors
        self._add_categories(X, joint)
        powers = np.exp(joint - joint.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _mean_and_precision(gaussian: Any) -> tuple[float, float]:
    """The mean and 1 / standard deviation; without a variance 0, for a density of 0 as in river."""
    if gaussian is None:
        return 0.0, 0.0
    variance, n = gaussian._var, gaussian._var.mean.n
    if n <= variance.ddof or variance._S <= 0.0:
        return 0.0, 0.0
    return float(variance.mean._mean), 1.0 / math.sqrt(variance._S / (n - variance.ddof))


def _log_density(gaussian: Any, x: float) -> float:
    return math.log(PDF_FLOOR + (0.0 if gaussian is None else gaussian(x)))
