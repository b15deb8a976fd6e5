"""What every format is read into: named columns, and sentences about what was left out."""

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
"""A column as its file has it: an array of numbers or booleans, or a list of values or None."""

FAULTY_SHARE = 0.05
"""With more faulty lines than this a file is refused: it is something else than it seems."""


@dataclass(frozen=True, eq=False)
class Table:
    """`rows_n` rows. In an array a missing value is NaN, in a list it is None.

    `is_text`: every value is a text as it stands in the file, and what it means is to be found.
    `separator` is what stood between the values of a line. `moments` are the columns that the file
    itself calls times, here in seconds, and whether they are of a known zone.
    """

    columns: dict[str, Raw]
    rows_n: int
    is_text: bool = False
    separator: str = ""
    notes: tuple[str, ...] = ()
    moments: dict[str, bool] = field(default_factory=dict)


def values_of(raw: Raw) -> list[Any]:
    """The values of a column as Python's own, missing ones as None."""
    if isinstance(raw, list):
        return [None if isinstance(v, float) and v != v else v for v in raw]  # noqa: PLR0124
    if raw.dtype.kind == "f":
        return [None if v != v else v for v in raw.tolist()]  # noqa: PLR0124
    return list(np.asarray(raw).tolist())


def times_of(table: Table, path: str, fields: InputSettings | AnswersSettings) -> list[Any]:
    """The times of a column as `fields.zone` and `fields.at_unit` take them.

    Moments are of no other unit than their own, and of the zone of the settings only where they
    have none: they become texts where the settings have a unit or a zone.
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
    """RFC 3339; what is no date in it stays a text that is refused as a time."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return str(seconds)
    return (moment if is_zoned else moment.replace(tzinfo=None)).isoformat()


class Faults:
    """Lines that can't be used: a few are left out and told, with many the file is refused.

    `before_n` lines of the file stand before the first one that is counted.
    """

    def __init__(self, path: Path, before_n: int = 0) -> None:
        self.n = 0
        self._path = path
        self._before_n = before_n
        self._first = ""

    def add(self, line: int, said: str) -> None:
        """Line `line`, from 1, is at fault: what is said of it."""
        self._first = self._first or f"line {line + self._before_n} of {self._path} {said}"
        self.n += 1

    def told(self, rows_n: int) -> list[str]:
        """Sentences about what was left out. Raises `BadInput` when it is too much."""
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
    """Columns that may be known when an event arrives, by the names that features get.

    `taken` are columns that mean something else. What [input] gives another meaning is no feature;
    where there are columns "features.*", only these are. Raises `BadSettings` where [columns] names
    a column that is not there.
    """
    other = {fields.id, fields.at, fields.key, fields.model_version, fields.predicted,
             fields.label, fields.status, *taken}  # fmt: skip
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
