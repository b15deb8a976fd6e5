"""A table as an inference log, or an export as a log of answers: JSON lines, one a row.

So CSV, Parquet, arrays and packed files are read by the same decoders as every other log.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ...errors import BadInput, BadSettings
from ...observe.declared import number_with_point
from ...settings import AnswersSettings, InputSettings, Settings
from . import format_of, open_plain, read_table
from .kinds import Kinds
from .table import Raw, Table, feature_columns, times_of, values_of

CHUNK_BYTES = 1 << 20

LINE_FORMATS = ("", ".jsonl", ".ndjson")

_ENCODER = msgspec.json.Encoder(enc_hook=str, decimal_format="number")


def is_table(path: Path) -> bool:
    """Whether a file holds no lines that a log could be read from as they stand.

    >>> is_table(Path("log.csv")), is_table(Path("log.jsonl.gz")), is_table(Path("log.txt"))
    (True, True, False)
    """
    return is_table_of_columns(path) or path.name.lower().endswith(".gz")


def is_table_of_columns(path: Path) -> bool:
    """Whether a file has columns, whose kinds are found as it is read."""
    return format_of(path) not in LINE_FORMATS


def lines_of(
    path: Path, settings: Settings, on_note: Callable[[str], None] = lambda sentence: None
) -> Iterator[bytes]:
    """The bytes of the log that a file holds, some lines at a time.

    JSON lines are unpacked. A row of a table becomes one record: where `[input]` reads no batches,
    its columns that have no other meaning are the features; else the record is the row as it
    stands. `on_note` is told what was read as what. Raises `BadSettings` where a column is missing,
    `BadInput` for a file that can't be read.
    """
    if not is_table_of_columns(path):
        yield from _read_unpacked(path)
        return
    fields = settings.input
    is_plain = fields.batch == "none" and not fields.decoder and not fields.join.id
    table = read_table(path, is_flat=is_plain)
    for note in table.notes:
        on_note(note)
    rows = _read_events(table, settings, on_note) if is_plain else _read_rows(table, fields)
    lines: list[bytes] = []
    for row in rows:
        lines.append(_ENCODER.encode(row))
        if len(lines) == 1024:
            yield b"\n".join([*lines, b""])
            lines.clear()
    if lines:
        yield b"\n".join([*lines, b""])


def is_export(path: Path) -> bool:
    """Whether a file of answers is a table, packed, or one array of JSON; false if there is none.

    Raises `BadInput` for an array that does not end.
    """
    return path.is_file() and (is_table(path) or _read_array(path) is not None)


def export_lines(path: Path, settings: AnswersSettings) -> Iterator[bytes]:
    """The lines of an export: each element of its array, or row of its table.

    An element that holds many answers becomes a line for each. Raises `BadInput` for a file that
    can't be read.
    """
    if is_table_of_columns(path):
        table = read_table(path, is_flat=False)
        records: Any = _read_rows(table, settings)
    elif (array := _read_array(path)) is not None:
        records = array
    else:
        yield from b"".join(_read_unpacked(path)).splitlines()
        return
    for record in records:
        yield from map(_ENCODER.encode, _each_answer(record, settings.batch_path))


def _read_array(path: Path) -> list[Any] | None:
    """The array of JSON that a file is; None where it is none."""
    try:
        with open_plain(path) as file:
            begin = file.read(CHUNK_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
            if not begin.startswith(b"["):
                return None
            content = begin + file.read()
    except (OSError, EOFError) as error:
        raise BadInput(f"{path} can't be read: {error}") from error
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        if _is_json(content.partition(b"\n")[0]):
            return None
        raise BadInput(
            f"{path} begins as an array of JSON and is none: {error}; export it again"
        ) from error
    return found if isinstance(found, list) else None


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _each_answer(record: Any, path: str) -> list[Any]:
    """The record once for each answer in the array at `path`, with that one alone in it."""
    answers = record.get(path) if isinstance(record, dict) and path else None
    if not isinstance(answers, list) or len(answers) < 2:
        return [record]
    return [{**record, path: [answer]} for answer in answers]


def _read_unpacked(path: Path) -> Iterator[bytes]:
    try:
        with open_plain(path) as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except (OSError, EOFError) as error:
        raise BadInput(f"{path} can't be unpacked: {error}") from error


def _read_events(
    table: Table, settings: Settings, on_note: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Each row as a record with the fields that [input] names."""
    fields, columns = settings.input, table.columns
    faults = [
        f"there is no column {path!r}, which input.{name} names; known are {', '.join(columns)}"
        for name, path in (("id", fields.id), ("at", fields.at))
        if path not in columns
    ]
    if faults:
        raise BadSettings(faults)
    raws = feature_columns(columns, (), fields, settings.columns)
    kinds = Kinds(table, settings.columns)
    read = {name: kinds.column(name, raw) for name, raw in raws.items()}
    features = {
        name: _own_values(raws[name], column) for name, column in read.items() if column is not None
    }
    for kind in ("numeric", "categorical", "text"):
        if names := [name for name, one in kinds.kinds.items() if one == kind]:
            on_note(f"read as {kind}: {', '.join(names[:20])}{_count_more(names, 20)}")
    for note in kinds.notes():
        on_note(note)
    others = {path: values_of(columns[path]) for path in _list_paths(fields) if path in columns}
    others[fields.at] = times_of(table, fields.at, fields)
    prefix = f"{fields.probabilities}."
    shares = {
        name.removeprefix(prefix): [_to_number(value) for value in values_of(raw)]
        for name, raw in columns.items()
        if fields.probabilities and name.startswith(prefix)
    }
    for i in range(table.rows_n):
        record: dict[str, Any] = {path: values[i] for path, values in others.items()}
        found = {name: values[i] for name, values in features.items() if values[i] is not None}
        record |= {fields.features: found} if fields.features else found
        if shares:
            record[fields.probabilities] = {name: values[i] for name, values in shares.items()}
        yield record


def _list_paths(fields: InputSettings) -> tuple[str, ...]:
    return (fields.id, fields.at, fields.predicted, fields.key, fields.model_version, fields.label,
            fields.status)  # fmt: skip


def _own_values(raw: Raw, column: Any) -> list[Any]:
    """What stands in a request: the values as the table has them, numbers as numbers."""
    values = values_of(column)
    if not isinstance(raw, list):
        return values_of(raw)
    if all(value is None or (isinstance(value, float) and value.is_integer()) for value in values):
        return [None if value is None else int(value) for value in values]
    return values


def _to_number(value: Any) -> Any:
    """A number that is written as text as a number, else the text."""
    number = number_with_point(value) if isinstance(value, str) else None
    return value if number is None else number


def _read_rows(table: Table, fields: InputSettings | AnswersSettings) -> Iterator[dict[str, Any]]:
    """Each row as it stands."""
    values = {name: values_of(raw) for name, raw in table.columns.items()}
    is_answers = isinstance(fields, AnswersSettings) and fields.at in values
    if is_answers or fields.at in table.moments:
        values[fields.at] = times_of(table, fields.at, fields)
    for i in range(table.rows_n):
        yield {name: column[i] for name, column in values.items() if column[i] is not None}


def _count_more(names: list[str], shown_n: int) -> str:
    return f" and {len(names) - shown_n:,} more" if len(names) > shown_n else ""
