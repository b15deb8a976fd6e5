"""Converts features as `[columns]` declares them; and reads numbers in texts.

Tables and streams both use this. Features that are not declared stay as they are. Nothing is
remembered from one event to the next.
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
    """Return the number that a text spells with a decimal point; None if it spells none.

    Stricter than `float`: `1_000` is an identifier, and digits other than ASCII ones are letters.

    >>> number_with_point("-1.5e3"), number_with_point(".5"), number_with_point("1_000")
    (-1500.0, 0.5, None)
    """
    return float(text) if _POINT.fullmatch(text) or _INFINITE.fullmatch(text) else None


def number_with_comma(text: str) -> float | None:
    """Return the number that a text spells with a decimal comma; points may group thousands.

    >>> number_with_comma("3,75"), number_with_comma("1.234,5"), number_with_comma("1.5")
    (3.75, 1234.5, None)
    """
    if not _COMMA.fullmatch(text):
        return None
    return float(text.replace(".", "").replace(",", "."))


def number_with_groups(text: str) -> float | None:
    """Return the number that a text spells with a decimal point; commas may group thousands.

    >>> number_with_groups("1,234.5"), number_with_groups("12"), number_with_groups("1,23")
    (1234.5, 12.0, None)
    """
    if _GROUPED.fullmatch(text):
        return float(text.replace(",", ""))
    return number_with_point(text)


class Declared:
    """Applies the declarations of `[columns]` to the features of events.

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
        """Return a copy of the features, with the declared ones converted, emptied or left out."""
        applied = dict(features)
        if self._missing:
            applied = {name: None if self.is_missing(v) else v for name, v in features.items()}
        for name in self._ignored:
            applied.pop(name, None)
        for name in self._numeric:
            if isinstance(value := applied.get(name), str):
                applied[name] = self._number(value.strip())
        for name in self._as_text:
            if not isinstance(value := applied.get(name), str) and value is not None:
                applied[name] = _as_text(value)
        return applied


def _as_text(value: Value) -> str | None:
    return None if value != value else class_name(value)  # noqa: PLR0124 - NaN is missing
