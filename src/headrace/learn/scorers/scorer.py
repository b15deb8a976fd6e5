"""The base of the scorers: a river model as arrays, many rows in one pass, as river answers.

Answers agree with river's to about 1e-12, because sums run in another order. The bits of a row do
not depend on its batch. So there is no matrix product here, and every sum runs over the columns
that the *model* knows: the schema's columns may become more inside a batch, and numpy's pairwise
sum would then pair them otherwise. A scorer never learns.

One difference remains: if a categorical feature `a` has a value `b` and another feature is called
`a_b`, river's encoder merges the two, while here both count.
"""

from __future__ import annotations

import math
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..mixed import MixedNB
from ..schema_view import Floats, SchemaView
from .inputs import Inputs

CELLS_MAX = 1_000_000
"""Rows x classes x features held at once; longer batches are scored in blocks."""


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
    the values in rows; it then says in `rows_beyond` where the two differ.
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

    @property
    def is_too_large(self) -> bool:
        """Whether the arrays would take too much memory, so that river has to score."""
        return False

    @property
    def is_left_to_river(self) -> bool:
        """Whether river has to score, however many rows there are."""
        return self.is_too_large

    def rows_beyond(self, X: Floats) -> list[int]:
        """Return the rows with values that the columns can't represent; river scores those."""
        return []

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
