"""Which columns of a table are numbers, which are categories, and notes about doubtful ones.

A column is judged as a whole. In CSV every value is a text: where at least nine in ten spell a
number, the column is numeric, and the other values count as missing. Codes are the exception: whole
numbers with leading zeros, or with more digits than a float holds, are categories. `[columns]`
overrides all of this. JSON and Parquet themselves distinguish numbers from texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...messages import Value, class_name
from ...observe.declared import (
    Declared,
    NumberOf,
    number_with_comma,
    number_with_groups,
    number_with_point,
)
from ...observe.values import DIGITS_MAX, format_value
from ...settings import ColumnsSettings
from .table import Raw, Table, values_of

Column: TypeAlias = NDArray[Any] | list[Value]

MISSING = frozenset(
    ("?", "-", ".", "NA", "N/A", "n/a", "na", "#N/A", "#NA", "NaN", "nan", "NAN", "<NA>", "NaT",
     "null", "NULL", "Null", "None", "none", "nil", "\\N", "(null)", "missing", "unknown", "--")
)  # fmt: skip
"""Texts that often mean a missing value: missing among numbers, a value among categories."""

ODD_SHARE = 0.1
"""The largest share of a numeric column's values that may be no numbers."""

DISTINCT_SHARE, DISTINCT_MIN = 0.5, 50
"""Categories hardly repeat with more distinct values than this share, and than this number."""

NAMES_SHOWN = 5

_SENTENCES = {
    "odd": "Taken as missing, for it is no number: {}. columns.categorical keeps it.",
    "word": "Taken as missing among numbers: {}.",
    "kept": "Kept as values of their own: {}. columns.missing takes them as missing.",
    "code": "Codes, not numbers, with leading zeros or over 15 digits: {}. "
    "columns.numeric reads them as numbers.",
    "mixed": "Categories, though many values are numbers: {}. "
    "columns.numeric takes the others as missing.",
    "spelled": "Categories, for they are texts that spell numbers: {}. "
    "columns.numeric reads them as numbers.",
    "comma": "With a decimal comma: {}. columns.decimal says otherwise.",
    "groups": "With commas that group thousands: {}. columns.decimal says otherwise.",
    "distinct": "Categories that hardly repeat: {}. columns.text or columns.ignored may fit.",
    "empty": "Without any value, so not used: {}.",
}


class Kinds:
    """Reads the columns of one table; `kinds` has the kind of each, by name, once it was read.

    >>> kinds = Kinds(Table({}, 4, is_text=True), ColumnsSettings())
    >>> kinds.make_column("x", ["1", "n/a", None, "2.5"])
    array([1. , nan, nan, 2.5])
    >>> kinds.make_column("zip", ["0101", "7", "8", "9"])
    ['0101', '7', '8', '9']
    >>> kinds.kinds
    {'x': 'numeric', 'zip': 'categorical'}
    """

    def __init__(self, table: Table, columns: ColumnsSettings) -> None:
        self.kinds: dict[str, str] = {}
        self._columns = columns
        self._declared = Declared(columns)
        self._is_text = table.is_text
        # Where commas separate the values, a comma within a value is hardly a decimal comma.
        self._is_comma_first = table.separator not in ("", ",")
        self._told: dict[str, list[str]] = {}

    def make_column(self, name: str, raw: Raw) -> Column | None:
        """Return a column as numbers, shape (n,), or as texts; None if it has no value at all."""
        if not isinstance(raw, list) and not self._is_changed(name):
            column: Column | None = raw
            if raw.dtype.kind == "f" and bool(np.isnan(raw).all()):
                column = None
        else:
            column = self._read_column(name, values_of(raw))
        if column is None:
            self._note_column("empty", name)
            return None
        kind = "categorical" if isinstance(column, list) else "numeric"
        self.kinds[name] = "text" if name in self._columns.text else kind
        return column

    def read_shares(self, name: str, raw: Raw) -> list[Any]:
        """Return a column of probabilities: each text that spells a number as that number.

        A comma is a decimal comma only where all texts of the column are numbers so: elsewhere it
        separates the probabilities of an array.
        """
        values = values_of(raw)
        texts = [v for v in values if isinstance(v, str) and v not in MISSING]
        number_of = self._reader_of(texts)
        if any(number_of(text) is None for text in texts):
            number_of = number_with_point
        self._note_commas(name, texts, number_of)
        numbers = [number_of(value) if isinstance(value, str) else None for value in values]
        return [v if n is None else n for v, n in zip(values, numbers, strict=True)]

    def describe_doubts(self) -> list[str]:
        """Return one sentence for each kind of doubt, with the columns that it is about."""
        sentences = []
        for doubt, sentence in _SENTENCES.items():
            if columns := self._told.get(doubt):
                names = ", ".join(columns[:NAMES_SHOWN])
                more = len(columns) - NAMES_SHOWN
                sentences.append(sentence.format(f"{names} and {more} more" if more > 0 else names))
        return sentences

    def _is_changed(self, name: str) -> bool:
        texts = (*self._columns.categorical, *self._columns.text)
        return bool(self._columns.missing) or name in texts

    def _read_column(self, name: str, values: list[Any]) -> Column | None:
        values = [None if self._declared.is_missing(value) else value for value in values]
        present = [value for value in values if value is not None]
        if not present:
            return None
        if name in self._columns.categorical or name in self._columns.text:
            return _to_texts(values)
        texts = [value for value in present if isinstance(value, str)]
        if name in self._columns.numeric:
            return self._read_numbers(name, values, self._number_of(name, texts))
        if not texts:
            return self._read_plain(name, values)
        if not self._is_text and len(texts) == len(present):
            return self._read_categories(name, values, present)
        return self._read_mixed(name, values, present)

    def _read_plain(self, name: str, values: list[Any]) -> Column:
        """Read numbers of JSON and Parquet; whole numbers that no float holds are codes."""
        whole = (v for v in values if isinstance(v, int) and abs(v) > 10**DIGITS_MAX)
        if (code := next((v for v in whole if int(float(v)) != v), None)) is not None:
            self._note_column("code", name, code)
            return _to_texts(values)
        return self._read_numbers(name, values, number_with_point)

    def _read_mixed(self, name: str, values: list[Any], present: list[Any]) -> Column:
        """Read texts that may spell numbers, or numbers with texts among them."""
        texts = [value for value in present if isinstance(value, str)]
        rest = [value for value in texts if value not in MISSING]
        number_of = self._number_of(name, rest) if self._is_text else lambda text: None
        odd = [value for value in rest if number_of(value) is None]
        numbers_n = len(present) - len(texts) + len(rest) - len(odd)
        if numbers_n == 0:
            return self._read_categories(name, values, present)
        if len(odd) > ODD_SHARE * (numbers_n + len(odd)):
            if numbers_n > len(odd):
                self._note_column("mixed", name, odd[0])
            return self._read_categories(name, values, present)
        if self._is_text and (code := _code_of(rest, number_of)) is not None:
            self._note_column("code", name, code)
            return _to_texts(values)
        return self._read_numbers(name, values, number_of)

    def _read_numbers(
        self, name: str, values: list[Any], number_of: NumberOf
    ) -> NDArray[np.float64]:
        numbers = [number_of(v) if isinstance(v, str) else _to_float(v) for v in values]
        lost = [v for v, n in zip(values, numbers, strict=True) if n is None and v is not None]
        odd = [value for value in lost if value not in MISSING]
        if odd:
            self._note_column("odd", f"{name} ({len(odd):,} of {len(values):,} values", odd[0])
        elif lost:
            self._note_column("word", f"{name} ({len(lost):,} of {len(values):,} values", lost[0])
        return np.array([np.nan if n is None else n for n in numbers], np.float64)

    def _read_categories(self, name: str, values: list[Any], present: list[Any]) -> list[Value]:
        texts = _to_texts(values)
        different = set(texts) - {None}
        if word := next((value for value in present if value in MISSING), None):
            self._note_column("kept", name, word)
        if not self._is_text and all(
            number_with_point(str(value)) is not None for value in different
        ):
            self._note_column("spelled", name, present[0])
        elif len(different) > max(DISTINCT_MIN, DISTINCT_SHARE * len(present)):
            self._note_column("distinct", f"{name} ({len(different):,} of {len(present):,} differ)")
        return texts

    def _number_of(self, name: str, texts: Sequence[str]) -> NumberOf:
        """Return the reader of numbers that can read most texts of a column, and note commas."""
        best = self._reader_of(texts)
        self._note_commas(name, texts, best)
        return best

    def _reader_of(self, texts: Sequence[str]) -> NumberOf:
        if self._columns.decimal == ",":
            return number_with_comma
        ways: list[NumberOf] = [number_with_point]
        if self._columns.decimal == "found":
            others = [number_with_groups, number_with_comma]
            ways += others[::-1] if self._is_comma_first else others
        different = list(dict.fromkeys(text for text in texts if "," in text))
        if not different:
            return number_with_point
        return max(ways, key=lambda way: sum(way(text) is not None for text in different))

    def _note_commas(self, name: str, texts: Sequence[str], number_of: NumberOf) -> None:
        """Note what commas in numbers were taken for, unless the settings say it."""
        read = (text for text in texts if "," in text and number_of(text) is not None)
        if self._columns.decimal != "," and (example := next(read, None)) is not None:
            what = "comma" if number_of is number_with_comma else "groups"
            self._note_column(what, name, example)

    def _note_column(self, what: str, name: str, example: object = None) -> None:
        entry = name
        if example is not None:
            entry += (
                f", such as {format_value(example)})"
                if "(" in name
                else f" (such as {format_value(example)})"
            )
        self._told.setdefault(what, []).append(entry)


def _to_float(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _to_texts(values: Sequence[Any]) -> list[Value]:
    return [None if value is None else class_name(value) for value in values]


def _code_of(texts: Sequence[str], number_of: Callable[[str], float | None]) -> str | None:
    """Return one of the whole numbers that are codes; None if there are decimals, or no codes."""
    numbers = [text for text in texts if number_of(text) is not None]
    digits = [text.lstrip("+-") for text in numbers]
    if not all(text.isdecimal() for text in digits):
        return None
    return next(
        (
            text
            for text, bare in zip(numbers, digits, strict=True)
            if (len(bare) > 1 and bare[0] == "0") or len(bare) > DIGITS_MAX
        ),
        None,
    )
