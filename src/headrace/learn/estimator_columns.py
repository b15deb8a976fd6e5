"""Features as columns of numbers, as a scikit-learn estimator needs them.

A number is one column, standardised by the mean and deviation of the learned examples; a missing
number is 0, which is their mean. A category is one column per value: 1 if it has that value, 0 if
it has another or a new one, or is missing. Spare columns are 0, so that later features fit in
without the estimator being made anew; before they came, their columns were 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from .schema_view import Floats

COLUMNS_MAX = 2_048
"""The most columns; later ones are ignored."""

_LARGEST, _LARGEST_SCALED = 1e100, 1e30
"""Numbers are clipped to these: squares must not overflow, and trees store 32 bits."""

Column: TypeAlias = tuple[str, str | None]
"""The name of a number with None, or of a category with one of its values."""


class EstimatorColumns:
    """The columns of features, and the means and deviations that numbers are scaled by.

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
    def from_examples(
        cls, examples: Iterable[Mapping[str, Any]], *, is_scaled: bool
    ) -> EstimatorColumns:
        """Columns for the features of these examples, with room for as many again."""
        counted = cls(COLUMNS_MAX, is_scaled=is_scaled)
        examples = list(examples)
        for x in examples:
            counted.learn(x)
        width = 8
        while width < min(COLUMNS_MAX, 2 * len(counted.places)):
            width *= 2
        columns = cls(width, is_scaled=is_scaled)
        for x in examples:
            columns.learn(x)
        return columns

    def learn(self, x: Mapping[str, Any]) -> bool:
        """Add an example to the means; return false if there is no room for its columns."""
        for name, value in x.items():
            column, number = _column_of(name, value)
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
                self._add_number(place, number)
        return True

    def _add_number(self, place: int, number: float) -> None:
        """Update a column's mean and sum of squares by Welford's method."""
        self._n[place] += 1.0
        from_mean = number - self.centres[place]
        self.centres[place] += from_mean / self._n[place]
        self._squares[place] += from_mean * (number - self.centres[place])
        if self.is_scaled:
            variance = float(self._squares[place] / self._n[place])
            self.spreads[place] = math.sqrt(variance) if variance > 0.0 else 1.0

    def row(self, x: Mapping[str, Any]) -> Floats:
        """The columns of one example, shape (width,)."""
        columns = np.zeros(self.width)
        if not self.is_scaled:
            columns += self.centres
        for name, value in x.items():
            column, number = _column_of(name, value)
            place = None if column is None else self.places.get(column)
            if column is not None and place is not None:
                columns[place] = 1.0 if column[1] is not None else self._scale_value(number, place)
        return columns

    def numbers(self, values: Floats, place: int) -> Floats:
        """The column at this place, shape (n,), from a number per event, NaN if missing."""
        missing = 0.0 if self.is_scaled else self.centres[place]
        return np.where(np.isnan(values), missing, self._scale_value(values, place))

    def _scale_value(self, value: Any, place: int) -> Any:
        value = np.clip(value, -_LARGEST, _LARGEST)
        if self.is_scaled:
            value = (value - self.centres[place]) / self.spreads[place]
        return np.clip(value, -_LARGEST_SCALED, _LARGEST_SCALED)


def _column_of(name: str, value: Any) -> tuple[Column | None, float]:
    """The column of a feature and its number; None for the column of a missing feature."""
    if value is None:
        return None, 0.0
    if isinstance(value, str):
        return (name, value), 1.0
    number = float(value)
    if math.isnan(number):
        return None, 0.0
    return (name, None), min(max(number, -_LARGEST), _LARGEST)
