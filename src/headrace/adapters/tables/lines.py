"""JSON lines as columns, decoded as every log is (NaN and a byte order mark are fine)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from ...observe.raw import record_of
from ...observe.values import DEPTH_MAX, Refusal
from .table import FaultyLines, Raw, Table, values_of

FIELDS_MAX = 100_000
"""The most values of one line, after flattening."""


def read_json_lines(
    file: BinaryIO, path: Path, rows: tuple[int, int | None], line_bytes_max: int
) -> Table:
    """Read the columns of a file with one object a line, flattened with dots.

    `rows` are [start, stop) among the lines that are not blank. Raises `BadInput` where too many
    lines are faulty, or longer than `line_bytes_max` bytes.
    """
    columns: dict[str, list[Any]] = {}
    rows_n, faults = 0, FaultyLines(path)
    filled = ((number, line) for number, line in enumerate(file, start=1) if not line.isspace())
    for number, line in islice(filled, *rows):
        try:
            record = flatten_record(record_of(line.rstrip(b"\r\n"), line_bytes_max))
        except Refusal as refusal:
            faults.add(number, refusal.detail.removeprefix("the line "))
            continue
        for name, value in record.items():
            if name not in columns:
                columns[name] = [None] * rows_n
            columns[name].append(value)
        rows_n += 1
        for values in columns.values():
            if len(values) < rows_n:
                values.append(None)
    notes = faults.describe_lines(rows_n)
    plain: dict[str, Raw] = {name: values_of(values) for name, values in columns.items()}
    return Table(plain, rows_n, notes=tuple(notes))


def flatten_record(record: dict[str, Any]) -> dict[str, Any]:
    """Return the values of an object by their dotted names. Raises `Refusal`."""
    values: dict[str, Any] = {}
    for name, value in _flatten_part(record, "", 0):
        if name in values or len(values) >= FIELDS_MAX:
            why = f"names {name!r} twice" if name in values else f"has over {FIELDS_MAX} fields"
            raise Refusal("bad_features", why)  # type: ignore[arg-type]
        values[name] = value
    return values


def _flatten_part(record: dict[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > DEPTH_MAX:
        raise Refusal("bad_features", f"is nested deeper than {DEPTH_MAX}")  # type: ignore[arg-type]
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _flatten_part(value, f"{prefix}{name}.", depth + 1)
        elif isinstance(value, list):
            # Logs write feature vectors as arrays: each place becomes a value of its own.
            places = {str(i): item for i, item in enumerate(value)}
            yield from _flatten_part(places, f"{prefix}{name}.", depth + 1)
        else:
            yield f"{prefix}{name}", value
