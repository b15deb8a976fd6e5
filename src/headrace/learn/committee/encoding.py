"""From features to scaled columns: numbers by the moments of every event, texts as indicators.

A numeric feature becomes one column, standardised and cut off at 4 deviations. A categorical one
becomes a column for each of its first values and a few shared columns for the rest; a free text
becomes a small bag of hashed words of length 1. Two different categories are then as far apart as
two draws of a number, so that every feature weighs alike before anything is learned.

Only labelled events add columns; the scale is computed from unlabelled events too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, ClassVar

import numpy as np
import xxhash
from numpy.typing import NDArray

from ...messages import Moments
from .evidence import Floats

CLIP = 4.0
COLUMNS_MAX = 600
"""The most columns in all; further features are ignored and counted."""

VALUES_MAX, SHARED_N, WORDS_N = 24, 8, 64
"""Columns of a categorical feature for its first values, for all others, and of a free text."""

WORDS_MIN = 4
"""A feature whose first text has at least this many words is free text."""


class Encoder:
    """Encodes features by name as a row of columns; only features of labelled events count.

    >>> encoder = Encoder()
    >>> encoder.observe({"amount": Moments(4, 10.0, 16.0)})
    >>> encoder.register({"amount": 12.0, "city": "Rome"})
    True
    >>> encoder.rescale()
    >>> encoder.scale_rows(encoder.raw_rows([{"amount": 14.0, "city": "Rome"}, {"city": "Oslo"}]))
    array([[2., 1.],
           [0., 0.]])
    """

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 features without room were counted."""
        return {name: value for name, value in fields.items() if name != "ignored_n"}

    def __init__(self) -> None:
        self.moments: dict[str, Moments] = {}
        self._numbers: dict[Any, int] = {}
        self._values: dict[Any, dict[str, int]] = {}
        self._shared: dict[Any, int] = {}
        self._words: dict[Any, int] = {}
        # The number of each feature, and for each column the number of its feature.
        self._features: dict[Any, int] = {}
        self._feature_of: list[int] = []
        # The columns of numbers, their means, and the factors of the differences from these.
        self._scale = (np.zeros(0, dtype=np.intp), np.zeros(0), np.zeros(0))

    @property
    def columns_n(self) -> int:
        """The number of columns of a row."""
        return len(self._feature_of)

    @property
    def feature_of(self) -> NDArray[np.intp]:
        """The number of the feature behind each column, shape (columns,)."""
        return np.array(self._feature_of, dtype=np.intp)

    # ---------------------------------------------------------------------------------- learning

    def observe(self, moments: Mapping[str, Moments]) -> None:
        """Add moments of numeric features of any events; they count from the next `rescale` on."""
        for name, more in moments.items():
            known = self.moments.get(name)
            if known is not None:
                self.moments[name] = known.joined(more)
            elif len(self.moments) < COLUMNS_MAX:
                self.moments[name] = more

    def register(self, x: Mapping[Any, Any]) -> bool:
        """Add columns for the new features and categories of a labelled event, in order of names.

        Returns whether any were added; the caller then has to `rescale`.
        """
        before_n = self.columns_n
        for name in sorted(x, key=str):
            value = x[name]
            if isinstance(value, str):
                self._register_text(name, value)
            elif name not in self._features and _number_of(value) is not None:
                self._add_columns(name, 1, self._numbers, name)
        return self.columns_n > before_n

    def rescale(self) -> None:
        """Scale numbers by the moments of all events observed so far, from now on."""
        moments = map(self.moments.get, map(str, self._numbers), repeat(_NOTHING))
        table = np.array([(one.n, one.mean, one.squares) for one in moments]).reshape(-1, 3)
        means, deviations = np.ascontiguousarray(table[:, 1]), _deviations(table[:, 0], table[:, 2])
        varies = deviations > 1e-9 * np.maximum(1.0, np.abs(means))
        factors = np.where(varies, 1.0 / np.where(varies, deviations, 1.0), 0.0)
        self._scale = (np.array(list(self._numbers.values()), dtype=np.intp), means, factors)

    def _register_text(self, name: Any, text: str) -> None:
        if name not in self._features and len(text.split()) >= WORDS_MIN:
            self._add_columns(name, WORDS_N, self._words, name)
            return
        if name in self._words or name in self._numbers:
            return
        values = self._values.setdefault(name, {})
        if text in values or name in self._shared:
            return
        if len(values) < VALUES_MAX:
            self._add_columns(name, 1, values, text)
        else:
            self._add_columns(name, SHARED_N, self._shared, name)

    def forget_texts(self, xs: Sequence[Mapping[Any, Any]]) -> None:
        """Forget each text that has its own column and is in none of these events."""
        for name, values in self._values.items():
            shown = {x.get(name) for x in xs}
            for text in [text for text in values if text not in shown]:
                del values[text]

    def _add_columns(self, name: Any, n: int, starts: dict[Any, int], key: Any) -> None:
        """Add n columns of a feature, if there is room; the first becomes `starts[key]`."""
        start = len(self._feature_of)
        if start + n > COLUMNS_MAX:
            return
        self._feature_of += [self._features.setdefault(name, len(self._features))] * n
        starts[key] = start

    # ------------------------------------------------------------------------------------ encoding

    def raw_rows(self, xs: Iterable[Mapping[Any, Any]]) -> Floats:
        """The unscaled rows, shape (n, columns), with unchanged numbers; NaN for a missing one."""
        rows, columns = [], [*self._numbers.values()]
        for x in xs:
            row = np.zeros(self.columns_n)
            plain = [*map(x.get, self._numbers)]
            # If the sum is finite, every number is.
            if {*map(type, plain)} == {float} and math.isfinite(sum(plain)):  # type: ignore[arg-type]
                row[columns] = plain
            else:
                for value, column in zip(plain, columns, strict=True):
                    number = _number_of(value)
                    row[column] = math.nan if number is None else number
            for name in (*self._values, *self._words):
                value = x.get(name)
                if isinstance(value, str):
                    self._add_text(row, name, value)
            rows.append(row)
        return np.array(rows).reshape(len(rows), self.columns_n)

    def _add_text(self, row: Floats, name: Any, text: str) -> None:
        if name in self._words:
            start = self._words[name]
            words = row[start : start + WORDS_N]
            for word in text.lower().split():
                words[_hash_text(word) % WORDS_N] += 1.0
            length = math.sqrt(float((words * words).sum()))
            if length:
                words /= length
            return
        column = self._values[name].get(text)
        if column is None and name in self._shared:
            column = self._shared[name] + _hash_text(text) % SHARED_N
        if column is not None:
            row[column] = 1.0

    def text_row(self, name: Any, text: str) -> Floats:
        """The part of a row from a text of this feature, shape (columns,); zeros if unknown."""
        row = np.zeros(self.columns_n)
        if name in self._values or name in self._words:
            self._add_text(row, name, text)
        return row

    def scale_rows(self, raw: Floats) -> Floats:
        """The scaled rows for members, shape (n, columns); missing columns of `raw` are 0.

        A missing number is at the mean, which is 0, and so is every number that never varied.
        """
        Z = np.zeros((len(raw), self.columns_n))
        Z[:, : raw.shape[1]] = raw
        if self._numbers:
            columns, means, factors = self._scale
            numbers = (Z[:, columns] - means) * factors
            numbers[np.isnan(numbers)] = 0.0
            Z[:, columns] = np.minimum(np.maximum(numbers, -CLIP), CLIP)
        return Z

    # ------------------------------------------------------------------------------- tables of rows

    @property
    def numbers(self) -> dict[Any, int]:
        """The column of each numeric feature."""
        return self._numbers

    @property
    def texts(self) -> tuple[Any, ...]:
        """The names of the categorical features and free texts."""
        return (*self._values, *self._words)


_NOTHING = Moments(0, 0.0, 0.0)


def _deviations(n: Floats, squares: Floats) -> Floats:
    """`Moments.deviation` of many features, shape (d,), with the same bits."""
    spread = np.sqrt(np.fmax(squares, 0.0) / np.maximum(n, 1.0))
    return np.where(n > 1.0, spread, 0.0)


def _number_of(value: Any) -> float | None:
    """A finite number as a float; None for anything else, a missing value included."""
    if type(value) is float:
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _hash_text(text: str) -> int:
    return int(xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass")))
