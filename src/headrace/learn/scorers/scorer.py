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
from typing import Any, ClassVar

import numpy as np

from ...observe.schema import OTHER
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


def try_score(scorer: Scorer, X: Floats) -> tuple[list[int], Floats] | None:
    """What `Scorer.score` returns for these rows; None if river has to score them.

    It has to where the model has learned what arrays can't hold: a scaler with a window may pass
    on complex numbers.
    """
    try:
        return None if scorer.is_left_to_river else scorer.score(X)
    except Exception:  # river may well have answers
        return None


class Scorer:
    """Base of the compiled models: arrays of the model's state, rebuilt when `is_stale`.

    Subclasses fill the arrays in `_refresh`, and compute the answers of a block of rows in
    `_answers`. If a subclass `learns_originals`, its model learns the features as they came, not
    the values in rows; it then says in `rows_beyond` where the two differ. If its model has no
    `predict_proba_one`, it does not `gives_probabilities`: it gives 1 to the predicted class.
    """

    learns_originals = False
    gives_probabilities: ClassVar[bool] = True

    def __init__(self, final: Any, inputs: Inputs, schema: SchemaView) -> None:
        self.is_stale = True
        self._final = final
        self._inputs = inputs
        self._schema = schema
        self._reads_texts = False
        self.is_refusing_texts = inputs.is_refusing_texts
        self.asks_for_none = inputs.has_none
        self.passes_none = False
        self._texts: dict[int, list[str]] = {}
        self._codes: list[int] = []
        self._columns = np.zeros(0, dtype=np.intp)

    def score(self, X: Floats) -> tuple[list[int], Floats]:
        """The m class codes, and the answers for rows of shape (n, d), shape (n, m).

        Answers are river's probabilities, not yet normalised; NaN where river would raise.
        """
        self.is_stale |= self._learn_texts(X)
        if self.is_stale:
            self._refresh()
            self.is_stale = False
        m, d = len(self._codes), len(self._columns)
        if m == 0:
            return [], np.zeros((len(X), 0))
        block = max(1, CELLS_MAX // max(1, m * d))
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            blocks = [self._answers(X[i : i + block]) for i in range(0, len(X), block)]
        answers = blocks[0] if len(blocks) == 1 else np.concatenate(blocks or [np.zeros((0, m))])
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
        """The rows with values that the columns can't represent, which river has to score.

        They have a free text, or a category that shares its code with others; they matter where the
        model learns features as they came.
        """
        if not self.learns_originals:
            return []
        kinds, is_beyond = self._schema.kinds, np.zeros(len(X), np.bool_)
        self.is_stale |= self._learn_texts(X)
        for j, kind in enumerate(kinds[: X.shape[1]]):
            if kind == "text":
                is_beyond |= ~np.isnan(X[:, j])
            elif kind == "categorical":
                texts = self._texts.get(j, ())
                is_beyond |= np.isin(X[:, j], [i for i, text in enumerate(texts) if text == OTHER])
        return list(map(int, np.flatnonzero(is_beyond)))

    def _refresh(self) -> None:
        raise NotImplementedError

    def _answers(self, X: Floats) -> Floats:
        raise NotImplementedError

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
