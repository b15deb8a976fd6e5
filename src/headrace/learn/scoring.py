"""A river model as arrays: many rows scored in one pass, with the same answers as river's.

The module compiles LogisticRegression, SoftmaxRegression, GaussianNB and MixedNB, alone or behind
selections by type, one StandardScaler, one OneHotEncoder (not before a naive Bayes), and unions of
those. For any other model `compile` returns None, and the caller scores it by river, row by row.
This module never learns.

Answers agree with river's to about 1e-12, because sums run in another order. The bits of a row do
not depend on its batch. So there is no matrix product here, and every sum runs over the columns
that the *model* knows: the schema's columns may become more inside a batch, and numpy's pairwise
sum would then pair them otherwise.

One difference remains: if a categorical feature `a` has a value `b` and another feature is called
`a_b`, river's encoder merges the two, while here both count.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import compose, linear_model, naive_bayes, optim

from .mixed import MixedNB
from .schema_view import Floats, SchemaView
from .scoring_inputs import Inputs, pass_step

CELLS_MAX = 1_000_000
"""Rows x classes x features held at once; longer batches are scored in blocks."""

PDF_FLOOR = 10e-10
"""The constant that river's GaussianNB adds to every density before the logarithm."""


def compile(model: Any, schema: SchemaView) -> Scorer | None:  # noqa: A001
    """A scorer for this model, or None if the model can't be compiled.

    Whether a model compiles depends on its steps alone, not on what it learned or on the schema.

    >>> from river import neighbors
    >>> compile(neighbors.KNNClassifier(), None) is None
    True
    """
    steps = list(model.steps.values()) if type(model) is compose.Pipeline else [model]
    inputs = Inputs()
    for step in steps[:-1]:
        following = pass_step(inputs, step)
        if following is None:
            return None
        inputs = following
    final = steps[-1]
    if type(final) is linear_model.LogisticRegression:
        if type(final.loss).mean_func is not optim.losses.BinaryLoss.mean_func:
            return None
        raises = inputs.has_texts and inputs.encoder is None
        inputs = replace(inputs, is_refusing_texts=inputs.is_refusing_texts or raises)
        return LogisticScorer(final, inputs, schema)
    if type(final) is linear_model.SoftmaxRegression:
        return SoftmaxScorer(final, inputs, schema)
    if type(final) in {naive_bayes.GaussianNB, MixedNB} and inputs.encoder is None:
        return BayesScorer(final, inputs, schema)
    return None


def code_of(label: Any) -> int:
    """The class code of a model's label; -1 if it is none, such as a text learned elsewhere."""
    return int(label) if isinstance(label, int | np.integer | np.bool_) else -1


def by_class(codes: list[Any], answers: Floats, k: int) -> Floats:
    """Answers for these class codes, shape (n, m), as columns of the k classes, shape (n, k)."""
    if codes == list(range(k)):
        return answers
    by_code = np.zeros((len(answers), k))
    for column, code in enumerate(codes):
        if 0 <= code < k:
            by_code[:, code] = answers[:, column]
    return by_code


def is_likeliest(said: Floats, code: int) -> bool:
    """Whether this class has the highest of these probabilities, shape (k,).

    Among equal ones the lowest code is the likeliest; in a row of NaN, where a model failed, none.

    >>> is_likeliest(np.array([0.5, 0.5]), 0), is_likeliest(np.array([]), 0)
    (True, False)
    """
    return len(said) > 0 and int(said.argmax()) == code and not math.isnan(said[0])


class Scorer:
    """Base of the compiled models: arrays of the model's state, rebuilt when `is_stale`.

    Subclasses fill the arrays in `_refresh`, and compute the answers of a block of rows in
    `_answers`. If a subclass `learns_originals`, its model learns the features as they came, not
    the values in rows.
    """

    learns_originals = False

    def __init__(self, final: Any, inputs: Inputs, schema: SchemaView) -> None:
        self.is_stale = True
        self._final = final
        self._inputs = inputs
        self._schema = schema
        self._reads_texts = inputs.encoder is not None or type(final) is MixedNB
        self._reads_texts &= inputs.has_texts
        self.is_refusing_texts = inputs.is_refusing_texts
        self._texts: dict[int, list[str]] = {}
        self._codes: list[int] = []
        self._columns = np.zeros(0, dtype=np.intp)
        self._chosen: tuple[Any, Any, list[str]] = ((), (), [])
        self._means = np.zeros(0)
        self._factors = np.zeros(0)
        self._tables: list[tuple[int, Floats]] = []

    def score(self, X: Floats) -> tuple[list[int], Floats]:
        """The m class codes, and the answers for rows of shape (n, d), shape (n, m).

        Answers are river's probabilities, not yet normalised; NaN where river would raise.
        """
        if self._learn_texts(X) or self.is_stale:
            self._refresh()
            self.is_stale = False
        m, d = len(self._codes), len(self._columns)
        if m == 0:
            return [], np.zeros((len(X), 0))
        block = max(1, CELLS_MAX // max(1, m * d))
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            blocks = [self._answers(X[i : i + block]) for i in range(0, len(X), block)]
        answers = blocks[0] if len(blocks) == 1 else np.concatenate(blocks or [np.zeros((0, m))])
        if self._inputs.is_refusing_texts and set(self._schema.kinds) != {"numeric"}:
            for j, kind in enumerate(self._schema.kinds[: X.shape[1]]):
                if kind != "numeric":
                    answers[~np.isnan(X[:, j])] = np.nan
        return self._codes, answers

    def _refresh(self) -> None:
        raise NotImplementedError

    def _answers(self, X: Floats) -> Floats:
        raise NotImplementedError

    # ------------------------------------------------------------------------------- numbers

    def _take_columns(self, known: Any) -> list[str]:
        """Choose the model's numeric columns, with their scaling, and return their names."""
        scaler, columns = self._inputs.scaler, (tuple(self._schema.names), known.keys())
        if columns != self._chosen[:2]:
            self._choose_columns(known)
        names = self._chosen[2]
        if scaler is not None:
            means = [*map(scaler.means.get, names, repeat(0.0))]
            self._means = np.array(means, dtype=float)
            if scaler.with_std:
                variances = map(scaler.vars.get, names, repeat(0.0))
                # Without variance river's scaler returns 0.
                self._factors = np.array([1.0 / v**0.5 if v else 0.0 for v in variances])
        return names

    def _choose_columns(self, known: Any) -> None:
        schema, chosen = self._schema, list[tuple[int, str]]()
        if self._inputs.has_numbers:
            chosen = [
                (j, name)
                for j, (name, kind) in enumerate(zip(schema.names, schema.kinds, strict=True))
                if kind == "numeric" and name in known
            ]
        names = [name for _, name in chosen]
        self._columns = np.array([j for j, _ in chosen], dtype=np.intp)
        self._means = np.zeros(len(names))
        self._factors = np.ones(len(names))
        self._chosen = tuple(schema.names), dict.fromkeys(known).keys(), names

    def _numbers(self, X: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """The scaled columns of the model, shape (n, d), and where values are missing."""
        columns = self._columns
        if len(columns) and X.shape[1] <= columns[-1]:
            X = np.pad(X, ((0, 0), (0, columns[-1] + 1 - X.shape[1])), constant_values=np.nan)
        scaled = X.take(columns, axis=1)
        if self._inputs.scaler is not None:
            scaled -= self._means
            scaled *= self._factors
        return scaled, np.isnan(scaled)

    # ---------------------------------------------------------------------------- categories

    def _learn_texts(self, X: Floats) -> bool:
        """Look up the text of every new category in X; return whether there was one."""
        if not self._reads_texts:
            return False
        kinds, has_new = self._schema.kinds, False
        columns = [j for j in range(X.shape[1]) if kinds[j] == "categorical"]
        highest = np.fmax.reduce(X.take(columns, axis=1), axis=0, initial=-1.0)
        for j, code in zip(columns, highest.tolist(), strict=True):
            texts = self._texts.setdefault(j, [])
            while len(texts) <= code:
                row = np.full(self._schema.width, np.nan)
                row[j] = len(texts)
                texts.append(str(self._schema.features(row)[self._schema.names[j]]))
                has_new = True
        return has_new

    def _add_categories(self, X: Floats, raw: Floats) -> None:
        """Add the values in the table of each categorical column to raw, shape (n, m)."""
        for j, table in self._tables:
            if j < X.shape[1]:
                codes = X[:, j]
                # The last line of a table is for missing values.
                raw += table[np.where(np.isnan(codes), len(table) - 1, codes).astype(np.intp)]


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
