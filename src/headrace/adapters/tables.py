"""Tables of past events from CSV, JSON lines or Parquet, as columns in memory.

Nothing is judged here: which column is the label, and which are features, is the caller's to say.
A table is read whole, each column in the narrowest type its file gave: memory is its limit.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import BadInput, BadSettings
from ..messages import Value

Column = NDArray[Any] | list[Value]

MISSING = frozenset(("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"))
"""What stands for a missing value in a CSV file."""

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


@dataclass(frozen=True, eq=False)
class Table:
    """`rows_n` rows. A column is an array of numbers or booleans, or a list of raw values.

    In an array a missing value is NaN, in a list it is None.
    """

    columns: dict[str, Column]
    rows_n: int


def read_table(path: Path, rows: tuple[int, int | None] = (0, None)) -> Table:
    """Rows [rows[0], rows[1]) of a file, whose format its suffix says; None is the end.

    CSV has a header; a column in which every value is a number, or missing, becomes numbers. JSON
    lines hold one object each; objects within are flattened with dots. Dates become seconds since
    the epoch in Parquet, and stay text elsewhere. Raises `BadInput` for a file that can't be read
    as what it says it is, `BadSettings` for an unknown suffix or a missing pyarrow.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise BadSettings(f"{path} is of no known format; known are {', '.join(SUFFIXES)}")
    try:
        if suffix == ".parquet":
            return _from_parquet(path, rows)
        if suffix in (".jsonl", ".ndjson"):
            return _from_json_lines(path, rows)
        return _from_csv(path, rows, "\t" if suffix == ".tsv" else None)
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8: {error.reason}; save it as UTF-8") from error
    except csv.Error as error:
        raise BadInput(f"{path} can't be read: {error}") from error


# ---------------------------------------------------------------------------------------- CSV


def _from_csv(path: Path, rows: tuple[int, int | None], delimiter: str | None) -> Table:
    with path.open(newline="", encoding="utf-8-sig") as file:
        first = file.readline()
        file.seek(0)
        if delimiter is None:
            delimiter = ";" if first.count(";") > first.count(",") else ","
        lines = csv.reader(file, delimiter=delimiter)
        names = next(lines, [])
        if not names or len(set(names)) < len(names):
            raise BadInput(f"{path} has no header, or one that names a column twice")
        found = []
        for line in islice((line for line in lines if line), *rows):
            if len(line) != len(names):
                raise BadInput(
                    f"line {lines.line_num} of {path} has {len(line)} values; its header names "
                    f"{len(names)}"
                )
            found.append(line)
    columns: Sequence[Sequence[str]] = list(zip(*found, strict=True)) or [()] * len(names)
    read = {name: _numbers_or_texts(values) for name, values in zip(names, columns, strict=True)}
    return Table(read, len(found))


def _numbers_or_texts(values: Sequence[str]) -> Column:
    stripped = [value.strip() for value in values]
    try:
        return np.array([np.nan if v in MISSING else float(v) for v in stripped], np.float64)
    except ValueError:
        return [None if value in MISSING else value for value in stripped]


# ------------------------------------------------------------------------------------ JSON lines


def _from_json_lines(path: Path, rows: tuple[int, int | None]) -> Table:
    decoder = msgspec.json.Decoder()
    columns: dict[str, list[Value]] = {}
    rows_n = 0
    with path.open("rb") as file:
        lines = enumerate(file, start=1)
        filled = ((number, line) for number, line in lines if not line.isspace())
        for number, line in islice(filled, *rows):
            try:
                record = decoder.decode(line)
            except msgspec.DecodeError as error:
                raise BadInput(f"line {number} of {path} is not JSON: {error}") from error
            if not isinstance(record, dict):
                raise BadInput(f"line {number} of {path} is not an object")
            for name, value in _flat(record, ""):
                if name not in columns:
                    columns[name] = [None] * rows_n
                columns[name].append(value)
            rows_n += 1
            for values in columns.values():
                if len(values) < rows_n:
                    values.append(None)
    return Table({name: _narrowed(values) for name, values in columns.items()}, rows_n)


def _flat(record: dict[str, Any], prefix: str) -> Iterable[tuple[str, Value]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            # An array is a value for each place: how logs write feature vectors.
            yield from _flat({str(i): part for i, part in enumerate(value)}, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _narrowed(values: list[Value]) -> Column:
    """The values as an array where all are booleans, or all are numbers or missing."""
    kinds = set(map(type, values))
    if kinds == {bool}:
        return np.array(values, np.bool_)
    if kinds <= {int, float, type(None)}:
        return np.array([np.nan if v is None else float(v) for v in values], np.float64)
    return values


# --------------------------------------------------------------------------------------- Parquet


def _from_parquet(path: Path, rows: tuple[int, int | None]) -> Table:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra, 50 MB, wanted by this format alone
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise BadSettings(
            f"{path.name} is Parquet, which pyarrow reads; install headrace[parquet]"
        ) from None
    try:
        table = parquet.read_table(path)
    except pa.ArrowInvalid as error:
        raise BadInput(f"{path} can't be read as Parquet: {error}") from error
    start, stop, _ = slice(*rows).indices(table.num_rows)
    table = table.slice(start, max(0, stop - start))
    columns = {name: _from_arrow(table[name], pa) for name in table.column_names}
    return Table(columns, table.num_rows)


def _from_arrow(column: Any, pa: Any) -> Column:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        micro = np.asarray(
            column.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False)
        )
        return np.where(np.isnat(micro), np.nan, micro.astype(np.int64) / 1e6)
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
        kind = column.type
    if (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or (pa.types.is_boolean(kind) and column.null_count == 0)
    ):
        return np.asarray(column.to_numpy())
    values: list[Value] = column.to_pylist()
    return values
