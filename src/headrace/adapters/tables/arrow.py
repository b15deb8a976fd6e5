"""Parquet as columns: nested ones flattened with dots, times and durations in seconds.

pyarrow decides what a column is, by the schema that stands in the file. It is an extra of 50 MB, so
this module is imported for such a file alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from ...errors import BadInput
from .table import Raw, Table

COLUMNS_MAX = 100_000
"""The most columns after flattening; a longer vector is not used."""

EXACT_MAX = 1 << 53
"""Whole numbers beyond this are not exact as floats, so they are left as Python's integers."""


def read_parquet(path: Path, rows: tuple[int, int | None], *, is_flat: bool = True) -> Table:
    """Read the columns of a Parquet file; one that can't be used is left out, with a note.

    Raises `BadInput` for a file that is not Parquet.
    """
    if path.name.lower().endswith(".gz"):
        raise BadInput(f"{path} is Parquet in gzip; unpack it, Parquet is compressed within")
    try:
        table = parquet.read_table(path)
    except pa.ArrowException as error:
        raise BadInput(f"{path} can't be read as Parquet: {error}") from error
    start, stop, _ = slice(*rows).indices(table.num_rows)
    table = table.slice(start, max(0, stop - start))
    columns: dict[str, Raw] = {}
    notes: list[str] = []
    moments: dict[str, bool] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if not is_flat and pa.types.is_nested(column.type):
            columns[name] = [_as_json(value, column.type) for value in column.to_pylist()]
            continue
        try:
            leaves = dict(_split_column(name, column))
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            reason = " ".join(str(error).split())[:200]
            notes.append(f"Column {name!r} is of type {column.type} and can't be used: {reason}.")
            continue
        for leaf, raw in leaves.items():
            if leaf in columns or len(columns) >= COLUMNS_MAX:
                why = "a second one" if leaf in columns else f"one of over {COLUMNS_MAX}"
                notes.append(f"Column {leaf!r} is {why} and not used.")
                continue
            columns[leaf] = raw
        moments |= dict(_find_times(name, column.type))
    return Table(columns, table.num_rows, notes=tuple(notes), moments=moments)


def _find_times(name: str, kind: Any) -> Iterator[tuple[str, bool]]:
    """Yield the names of columns that are times since the epoch, and whether they have a zone."""
    if pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            yield from _find_times(f"{name}.{kind.field(i).name}", kind.field(i).type)
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        yield name, getattr(kind, "tz", None) is not None


def _split_column(name: str, column: Any) -> Iterator[tuple[str, Raw]]:
    """Yield the plain columns that a column holds, by name. Raises pyarrow's errors, ValueError."""
    column = _unwrap_column(column)
    kind = column.type
    if pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            inner = pc.struct_field(column, [i])
            yield from _split_column(f"{name}.{kind.field(i).name}", inner)
    elif pa.types.is_map(kind):
        rows = [None if row is None else dict(row) for row in column.to_pylist()]
        keys = dict.fromkeys(key for row in rows if row for key in row)
        if len(keys) > COLUMNS_MAX:
            raise ValueError(f"it has {len(keys)} keys")
        for key in keys:
            values = [None if row is None else row.get(key) for row in rows]
            values_column = pa.chunked_array([pa.array(values, kind.item_type)])
            yield from _split_column(f"{name}.{key}", values_column)
    elif _is_list(kind):
        rows = column.to_pylist()
        longest = max((len(row) for row in rows if row is not None), default=0)
        if longest > COLUMNS_MAX:
            raise ValueError(f"it holds up to {longest} values")
        for i in range(longest):
            values = [None if row is None or i >= len(row) else row[i] for row in rows]
            values_column = pa.chunked_array([pa.array(values, kind.value_type)])
            yield from _split_column(f"{name}.{i}", values_column)
    else:
        yield name, _to_array(column)


def _as_json(value: Any, kind: Any) -> Any:
    """Convert a nested value for JSON: maps become objects, durations seconds."""
    if value is None:
        return None
    if pa.types.is_map(kind):
        return {str(key): _as_json(item, kind.item_type) for key, item in value}
    if pa.types.is_struct(kind):
        fields = (kind.field(i) for i in range(kind.num_fields))
        return {field.name: _as_json(value[field.name], field.type) for field in fields}
    if _is_list(kind):
        return [_as_json(item, kind.value_type) for item in value]
    if pa.types.is_duration(kind):
        return float(value.total_seconds())
    return value


def _unwrap_column(column: Any) -> Any:
    """Return a column without encodings of its storage: extensions, dictionaries, run ends."""
    while True:
        kind = column.type
        if isinstance(kind, pa.BaseExtensionType):
            column = pa.chunked_array([c.storage for c in column.chunks], kind.storage_type)
        elif pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
        elif pa.types.is_run_end_encoded(kind):
            column = pc.run_end_decode(column)
        else:
            return column


def _to_array(column: Any) -> Raw:
    """Convert a plain column, to an array where that loses nothing. Raises ValueError."""
    kind, types = column.type, pa.types
    if (seconds := _to_seconds(column)) is not None:
        return seconds
    if types.is_decimal(kind) or types.is_float16(kind):
        if types.is_decimal(kind) and (whole := _large_numbers(column)) is not None:
            return whole
        column = column.cast(pa.float64())
    elif types.is_integer(kind):
        ends = pc.min_max(column).as_py()
        if max(abs(ends["min"] or 0), abs(ends["max"] or 0)) > EXACT_MAX:
            return column.to_pylist()  # type: ignore[no-any-return]
    elif types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        try:
            column = column.cast(pa.binary()).cast(pa.string())
        except pa.ArrowException:
            raise ValueError("its bytes are no text") from None
    if types.is_boolean(kind) and column.null_count:
        return column.to_pylist()  # type: ignore[no-any-return]
    if types.is_primitive(column.type):
        return np.asarray(column.to_numpy())
    if _is_text(column.type) or types.is_null(kind):
        return column.to_pylist()  # type: ignore[no-any-return]
    raise ValueError("nothing is known of such values")


def _large_numbers(column: Any) -> list[int | None] | None:
    """Return decimals that are whole numbers too large for floats, such as ids; else None."""
    values = column.to_pylist()
    present = [value for value in values if value is not None]
    is_large = any(abs(value) > EXACT_MAX for value in present)
    if not is_large or any(value != value.to_integral_value() for value in present):
        return None
    return [None if value is None else int(value) for value in values]


def _to_seconds(column: Any) -> Raw | None:
    """Convert times since the epoch or midnight, and durations; None for other columns."""
    kind, types = column.type, pa.types
    if types.is_timestamp(kind) or types.is_date(kind):
        micros = column.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False)
        moments = np.asarray(micros)
        return np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / 1e6)
    if types.is_duration(kind) or types.is_time(kind):
        a_second = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[kind.unit]
        whole = column.cast(pa.int32() if types.is_time32(kind) else pa.int64())
        return np.asarray(whole.to_numpy(), np.float64) / a_second
    return None


def _is_text(kind: Any) -> bool:
    return any(
        is_kind(kind)
        for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    )


def _is_list(kind: Any) -> bool:
    names = ("is_list", "is_large_list", "is_fixed_size_list", "is_list_view", "is_large_list_view")
    return any(getattr(pa.types, name)(kind) for name in names if hasattr(pa.types, name))
