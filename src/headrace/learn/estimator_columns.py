"""Features as the columns of numbers that a scikit-learn estimator takes.

A number is one column: standardised by the mean and deviation of the examples learned, 0 where it
is missing, which is their mean. A category is one column a value: 1 where it is that value, 0 where
it is another, a new one, or missing. Columns beyond those in use stand ready and are 0: what comes
later fits in without the estimator being made anew, and was 0 before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from .schema_view import Floats

COLUMNS_MAX = 2_048
"""Of more columns than this the later ones are not read."""

_LARGEST, _LARGEST_SCALED = 1e100, 1e30
"""Beyond these, numbers are cut: squares must not overflow, trees keep them in 32 bits."""

Column: TypeAlias = tuple[str, str | None]
"""The name of a number with None, or of a category with one of its values."""


class EstimatorColumns:
    """Which columns there are, and by how much numbers are shifted and divided.

    >>> columns = EstimatorColumns(width=4)
    >>> [columns.learn(x) for x in ({"x": 1.0, "c": "a"}, {"x": 3.0, "c": "b"})]
    [True, True]
    >>> columns.row({"x": 3.0, "c": "b"}).tolist(), columns.row({"c": "new"}).tolist()
    ([1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0])
    """

    def __init__(self, width: int, *, is_scaled: bool = True) -> None:
        self.width = width
        self.is_scaled = is_scaled
        self.places: dict[Column, int] = {}
        self.centres = np.zeros(width)
        self.spreads = np.ones(width)
        self._n = np.zeros(width)
        self._squares = np.zeros(width)

    @classmethod
    def of(cls, examples: Iterable[Mapping[str, Any]], *, is_scaled: bool) -> EstimatorColumns:
        """Columns for all of these, and as many again."""
        counted = cls(COLUMNS_MAX, is_scaled=is_scaled)
        examples = list(examples)
        for x in examples:
            counted.learn(x)
        width = 8
        while width < min(COLUMNS_MAX, 2 * len(counted.places)):
            width *= 2
        found = cls(width, is_scaled=is_scaled)
        for x in examples:
            found.learn(x)
        return found

    def learn(self, x: Mapping[str, Any]) -> bool:
        """Take an example into the means; false where it has columns that there is no room for."""
        for name, value in x.items():
            column, number = _read(name, value)
            if column is None:
                continue
            place = self.places.get(column)
            if place is None:
                if len(self.places) == self.width:
                    if self.width < COLUMNS_MAX:
                        return False
                    continue
                place = self.places[column] = len(self.places)
            if column[1] is None:
                self._move(place, number)
        return True

    def _move(self, place: int, number: float) -> None:
        """Welford's running mean and sum of squares."""
        self._n[place] += 1.0
        from_mean = number - self.centres[place]
        self.centres[place] += from_mean / self._n[place]
        self._squares[place] += from_mean * (number - self.centres[place])
        if self.is_scaled:
            variance = float(self._squares[place] / self._n[place])
            self.spreads[place] = math.sqrt(variance) if variance > 0.0 else 1.0

    def row(self, x: Mapping[str, Any]) -> Floats:
        """One example as numbers, shape (width,)."""
        found = np.zeros(self.width)
        if not self.is_scaled:
            found += self.centres
        for name, value in x.items():
            column, number = _read(name, value)
            place = None if column is None else self.places.get(column)
            if column is not None and place is not None:
                found[place] = 1.0 if column[1] is not None else self._scaled(number, place)
        return found

    def numbers(self, values: Floats, place: int) -> Floats:
        """The column at this place from the numbers of n events, NaN where missing; shape (n,)."""
        missing = 0.0 if self.is_scaled else self.centres[place]
        return np.where(np.isnan(values), missing, self._scaled(values, place))

    def _scaled(self, value: Any, place: int) -> Any:
        value = np.clip(value, -_LARGEST, _LARGEST)
        if self.is_scaled:
            value = (value - self.centres[place]) / self.spreads[place]
        return np.clip(value, -_LARGEST_SCALED, _LARGEST_SCALED)


def _read(name: str, value: Any) -> tuple[Column | None, float]:
    """The column of a feature and its number; no column for what is missing."""
    if value is None:
        return None, 0.0
    if isinstance(value, str):
        return (name, value), 1.0
    number = float(value)
    if math.isnan(number):
        return None, 0.0
    return (name, None), min(max(number, -_LARGEST), _LARGEST)
