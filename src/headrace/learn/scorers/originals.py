"""The base of scorers whose models learn the features as they came, not the values in rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...observe.schema import OTHER
from ..schema_view import Floats, SchemaView
from .inputs import Inputs
from .scorer import Scorer


class OriginalsScorer(Scorer):
    """A scorer of rows for a model that learns free texts and all categories.

    It is stale after a label, as any scorer, and when the schema has got another column: the model
    may know a column that was added since the last label.
    """

    learns_originals = True

    def __init__(self, model: Any, schema: SchemaView) -> None:
        super().__init__(model, Inputs(), schema)
        self._reads_texts = True
        self._width = -1

    def score(self, X: Floats) -> tuple[list[int], Floats]:
        """As `Scorer.score`."""
        self._note_width()
        return super().score(X)

    def rows_beyond(self, X: Floats) -> list[int]:
        """The rows with a free text, or with a category that shares its code with others."""
        kinds, is_beyond = self._schema.kinds, np.zeros(len(X), np.bool_)
        for j, kind in enumerate(kinds[: X.shape[1]]):
            if kind == "text":
                is_beyond |= ~np.isnan(X[:, j])
            elif kind == "categorical":
                self._learn_texts(X)
                shared = [i for i, text in enumerate(self._texts[j]) if text == OTHER]
                is_beyond |= np.isin(X[:, j], shared)
        return list(map(int, np.flatnonzero(is_beyond)))

    def _note_width(self) -> None:
        self.is_stale |= self._width != self._schema.width
        self._width = self._schema.width
