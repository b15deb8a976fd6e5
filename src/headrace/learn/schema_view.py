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
