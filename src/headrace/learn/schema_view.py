"""What the learning side must know of a table's columns: the border between schema and models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..messages import Features

Floats: TypeAlias = NDArray[np.float64]


class SchemaView(Protocol):
    """What a learner must know of the columns; names, kinds and classes only grow at their end."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the columns."""
        ...

    @property
    def kinds(self) -> Sequence[str]:
        """`numeric` or `categorical`, for each column."""
        ...

    @property
    def classes(self) -> Sequence[str]:
        """The classes; their places are the codes."""
        ...

    @property
    def width(self) -> int:
        """Number of columns."""
        ...

    def features(self, row: Floats, original: Features | None = None) -> dict[str, Any]:
        """The row as river wants it: what is missing left out, categories as text.

        With the features as they came, values are those: whole numbers, booleans, whole texts.
        """
        ...


class LastRow:
    """The features of the row read last, for all who learn one label: champion and twins."""

    __slots__ = ("_asked", "_features")

    def __init__(self) -> None:
        self._asked: tuple[Any, ...] = (None, None, None)
        self._features: dict[str, Any] = {}

    def features(
        self, row: Floats, schema: SchemaView, original: Features | None
    ) -> dict[str, Any]:
        """What the schema makes of the row, in a dict of its own: some models change theirs."""
        before = self._asked
        if row is not before[0] or schema is not before[1] or original is not before[2]:
            self._asked = row, schema, original
            given = () if original is None else (original,)
            self._features = schema.features(row, *given)
        return self._features.copy()
