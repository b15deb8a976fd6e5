"""The interface between schema and models: what learners need to know of a table's columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..messages import Features

Floats: TypeAlias = NDArray[np.float64]


class SchemaView(Protocol):
    """The columns and classes of rows for a learner; all lists only grow at their end."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the columns."""
        ...

    @property
    def kinds(self) -> Sequence[str]:
        """`numeric`, `categorical` or `text`, for each column."""
        ...

    @property
    def classes(self) -> Sequence[str]:
        """The classes; the code of a class is its index."""
        ...

    @property
    def width(self) -> int:
        """Number of columns."""
        ...

    def features(self, row: Floats, original: Features | None = None) -> dict[str, Any]:
        """The features of a row for river: missing ones left out, categories as text.

        With `original`, the features as they came, values are those of the event: integers,
        booleans, full texts.
        """
        ...


class LastRow:
    """A cache of the latest row's features, for the champion and twins that learn one label."""

    __slots__ = ("_asked", "_features")

    def __init__(self) -> None:
        self._asked: tuple[Any, ...] = (None, None, None)
        self._features: dict[str, Any] = {}

    def features(
        self, row: Floats, schema: SchemaView, original: Features | None
    ) -> dict[str, Any]:
        """The schema's features of the row, as a new dict each time: some models change it."""
        before = self._asked
        if row is not before[0] or schema is not before[1] or original is not before[2]:
            self._asked = row, schema, original
            originals = () if original is None else (original,)
            self._features = schema.features(row, *originals)
        return self._features.copy()
