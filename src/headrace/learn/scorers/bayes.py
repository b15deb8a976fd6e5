"""The scorer of the naive Bayes models with normal numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..mixed import MixedNB
from ..schema_view import Floats, SchemaView
from .block import Block, Text
from .inputs import Inputs
from .pipeline import PipelineScorer, TextTables, share_out
from .scorer import code_of

PDF_FLOOR = 10e-10
"""The constant that river's GaussianNB adds to every density before the logarithm."""


class BayesScorer(PipelineScorer):
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
        self._read_steps()
        names = self._choose(known)
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
        if isinstance(self._final, MixedNB):
            tables = {
                i: self._read_chances(text, list(counts))
                for i, text in enumerate(self._behind.texts)
                if text.name in self._final.texts
            }
            self._tables = TextTables(tables, len(self._behind.texts))

    def _read_chances(self, text: Text, labels: list[Any]) -> Floats:
        """The log chance of each text of a column in each class."""

        def line_of(value: str | None) -> list[float]:
            final, name = self._final, text.name
            return [final.log_chance(label, name, value) for label in labels]

        return self._table_of(text, line_of, [0.0] * len(labels))

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

    def _answer_block(self, block: Block) -> tuple[Floats, Block]:
        whole, block = block, self._chosen(block)
        distances = (block.numbers[:, np.newaxis, :] - self._centres) * self._precisions
        logs = np.log(PDF_FLOOR + np.exp(-0.5 * distances * distances) * self._heights)
        if block.is_absent.any():
            logs = np.where(block.is_absent[:, np.newaxis, :], 0.0, logs)
        if block.is_none is not None:
            # Without a variance a Gaussian does not look at the value.
            is_varied = (self._precisions > 0.0).any(axis=0)
            logs = np.where(block.is_none[:, np.newaxis, :], 0.0, logs)
            whole = whole.fail(block.is_none & is_varied)
        joint = logs.sum(axis=2) + self._priors
        self._tables.add_to(joint, block.codes)
        return share_out(joint), whole


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
