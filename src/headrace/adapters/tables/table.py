"""The table that every format is read into: named columns, and notes on what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...errors import BadInput, BadSettings
from ...observe.declared import number_with_point
from ...settings import AnswersSettings, ColumnsSettings, InputSettings

Raw: TypeAlias = NDArray[Any] | list[Any]
"""A column as it was read: an array of numbers or booleans, or a list of values and None."""

FAULTY_SHARE = 0.05
"""A file with a larger share of faulty lines is refused: it is probably of another format."""


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of `rows_n` rows, by name. A missing value is NaN in an array, None in a list.

    `is_text`: every value is still a text as in the file, to be interpreted by `kinds`.
    `separator` is the character between the values of a line. `notes` are sentences about what was
    left out. `moments` are the columns that the file declares as times, in seconds here, and
    whether each has a time zone.
    """

    columns: dict[str, Raw]
    rows_n: int
    is_text: bool = False
    separator: str = ""
    notes: tuple[str, ...] = ()
    moments: dict[str, bool] = field(default_factory=dict)


def values_of(raw: Raw) -> list[Any]:
    """Return the values of a column as Python objects, missing ones as None."""
    if isinstance(raw, list):
        return [None if isinstance(v, float) and v != v else v for v in raw]  # noqa: PLR0124
    if raw.dtype.kind == "f":
        return [None if v != v else v for v in raw.tolist()]  # noqa: PLR0124
    return list(np.asarray(raw).tolist())


def times_of(table: Table, path: str, fields: InputSettings | AnswersSettings) -> list[Any]:
    """Return the times of a column for a decoder with `fields.zone` and `fields.at_unit`.

    The times that the file declares have their own unit, and perhaps a zone, which win over the
    settings: where the settings have a unit or a zone, such times become texts of RFC 3339.
    """
    values = values_of(table.columns[path])
    if path not in table.moments:
        return [value if (n := _parse_number(value)) is None else n for value in values]
    if fields.at_unit == "s" and not fields.zone:
        return values
    is_zoned = table.moments[path] or not fields.zone
    return [None if value is None else _text_of(value, is_zoned) for value in values]


def _parse_number(value: Any) -> float | None:
    return number_with_point(value) if isinstance(value, str) else None


def _text_of(seconds: float, is_zoned: bool) -> str:
    """Return a time as RFC 3339; one out of its range becomes a text that decoders refuse."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return str(seconds)
    return (moment if is_zoned else moment.replace(tzinfo=None)).isoformat()


class FaultyLines:
    """Counts faulty lines: a few are left out with a note, with many the file is refused.

    `before_n` lines of the file stand before the first one that is counted.
    """

    def __init__(self, path: Path, before_n: int = 0) -> None:
        self.n = 0
        self._path = path
        self._before_n = before_n
        self._first = ""

    def add(self, line: int, said: str) -> None:
        """Count line number `line`, from 1, as faulty; `said` is what is wrong with it."""
        self._first = self._first or f"line {line + self._before_n} of {self._path} {said}"
        self.n += 1

    def describe_lines(self, rows_n: int) -> list[str]:
        """Return a sentence about the lines left out. Raises `BadInput` if they are too many."""
        if not self.n:
            return []
        if self.n > FAULTY_SHARE * (self.n + rows_n):
            more = f"; {self.n} lines are at fault" if self.n > 1 else ""
            raise BadInput(f"{self._first}{more}")
        lines = "1 line was" if self.n == 1 else f"{self.n} lines were"
        return [f"{lines} left out; the first: {self._first}."]


def feature_columns(
    columns: dict[str, Raw],
    taken: Sequence[str | None],
    fields: InputSettings,
    declared: ColumnsSettings,
) -> dict[str, Raw]:
    """Return the columns that are features, by the names that the features get.

    - `columns`: all columns of a table.
    - `taken`: columns with another meaning; so have those that `fields`, [input], names, the served
      model's probabilities among them.
    - `fields`: where `fields.features` is set and columns begin with it and a dot, as "features.x",
      only these are features, without that prefix.
    - `declared`: [columns]; its `ignored` are left out.

    Raises `BadSettings` where [columns] names a column that is no feature.
    """
    other = {fields.id, fields.at, fields.key, fields.model_version, fields.predicted,
             fields.probabilities, fields.label, fields.status, *taken}  # fmt: skip
    features = {
        column: values
        for column, values in columns.items()
        if column not in other and not column.startswith(f"{fields.probabilities}.")
    }
    prefix = f"{fields.features}."
    if fields.features and any(column.startswith(prefix) for column in features):
        features = {
            column.removeprefix(prefix): values
            for column, values in features.items()
            if column.startswith(prefix)
        }
    faults = [
        f"columns.{kind} names {name!r}, which is no feature here; known are "
        f"{', '.join(list(features)[:20])}"
        for kind in ("numeric", "categorical", "text")
        for name in getattr(declared, kind)
        if name not in features
    ]
    if faults:
        raise BadSettings(faults)
    return {name: raw for name, raw in features.items() if name not in declared.ignored}
