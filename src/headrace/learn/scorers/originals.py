"""The base of scorers whose models learn the features as they came, not the values in rows."""

from __future__ import annotations

from typing import Any

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

    def _note_width(self) -> None:
        self.is_stale |= self._width != self._schema.width
        self._width = self._schema.width
