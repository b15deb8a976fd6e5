"""Features as `[columns]` declares them; and which texts are numbers, for tables and streams alike.

What is not declared passes as it is. Nothing is remembered from one event to the next.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from ..messages import Features, Value, class_name
from ..settings.columns import ColumnsSettings

NumberOf: TypeAlias = Callable[[str], float | None]

_POINT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_COMMA = re.compile(r"[+-]?(?:\d+,?\d*|,\d+|\d{1,3}(?:\.\d{3})+,\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)


def number_with_point(text: str) -> float | None:
    """The number that a text spells with a decimal point; None if it spells none.

    Stricter than `float`: `1_000` is an identifier, and other than ASCII digits are letters.

    >>> number_with_point("-1.5e3"), number_with_point(".5"), number_with_point("1_000")
    (-1500.0, 0.5, None)
    """
    return float(text) if _POINT.fullmatch(text) or _INFINITE.fullmatch(text) else None


def number_with_comma(text: str) -> float | None:
    """The same with a decimal comma; points before it may group thousands.

    >>> number_with_comma("3,75"), number_with_comma("1.234,5"), number_with_comma("1.5")
    (3.75, 1234.5, None)
    """
    if not _COMMA.fullmatch(text):
        return None
    return float(text.replace(".", "").replace(",", "."))


def number_with_groups(text: str) -> float | None:
    """The same with a decimal point and commas that group thousands.

    >>> number_with_groups("1,234.5"), number_with_groups("12"), number_with_groups("1,23")
    (1234.5, 12.0, None)
    """
    if _GROUPED.fullmatch(text):
        return float(text.replace(",", ""))
    return number_with_point(text)


class Declared:
    """What `[columns]` says, applied to the features of one event after the other.

    >>> declared = Declared(ColumnsSettings(numeric=["x"], categorical=["zip"], missing=["-"]))
    >>> declared.apply_to({"x": "1.5", "zip": 101, "y": "-"})
    {'x': 1.5, 'zip': '101', 'y': None}
    """

    def __init__(self, columns: ColumnsSettings) -> None:
        self._numeric = tuple(columns.numeric)
        self._as_text = (*columns.categorical, *columns.text)
        self._ignored = tuple(columns.ignored)
        self._missing: frozenset[Value] = frozenset(columns.missing)
        # A stand-in such as -999 is a number in most logs.
        self._missing |= {
            n for word in columns.missing if (n := number_with_point(word)) is not None
        }
        self._number = number_with_comma if columns.decimal == "," else number_with_point
        self.is_any = bool(self._numeric or self._as_text or self._ignored or self._missing)

    def is_missing(self, value: Value) -> bool:
        """Whether a value is one of those that `columns.missing` names."""
        return not isinstance(value, bool) and value in self._missing

    def apply_to(self, features: Features) -> Features:
        """The features with what is declared of them; the others as they are."""
        found = dict(features)
        if self._missing:
            found = {name: None if self.is_missing(v) else v for name, v in features.items()}
        for name in self._ignored:
            found.pop(name, None)
        for name in self._numeric:
            if isinstance(value := found.get(name), str):
                found[name] = self._number(value.strip())
        for name in self._as_text:
            if not isinstance(value := found.get(name), str) and value is not None:
                found[name] = _as_text(value)
        return found


def _as_text(value: Value) -> str | None:
    return None if value != value else class_name(value)  # noqa: PLR0124 - NaN is missing
