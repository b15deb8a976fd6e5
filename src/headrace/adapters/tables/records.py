"""Convert a table to an inference log, or an export to a log of answers: JSON lines, one a row.

So the decoders of logs read CSV, Parquet, arrays and packed files as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ...errors import BadInput, BadSettings
from ...settings import AnswersSettings, InputSettings, Settings
from ..jsonl import open_input
from . import PACKING_ERRORS, format_of, open_plain, read_table
from .kinds import Kinds
from .table import Raw, Table, feature_columns, times_of, values_of

CHUNK_BYTES = 1 << 20

LINE_FORMATS = ("", ".jsonl", ".ndjson")

_BEGINNINGS = {
    b"\x1f\x8b": "is packed by gzip; give it a name that ends with .gz",
    b"PAR1\x15": "is Parquet; give it a name that ends with .parquet",
    b"BZh": "is packed by bzip2, which is not read; unpack it",
    b"\xfd7zXZ": "is packed by xz, which is not read; unpack it",
    b"\x28\xb5\x2f\xfd": "is packed by zstd, which is not read; unpack it",
    b"PK\x03\x04": "is a zip file, which is not read; unpack it",
    b"\xff\xfe": "is UTF-16; save it as UTF-8",
    b"\xfe\xff": "is UTF-16; save it as UTF-8",
}
"""What a file is that begins with these bytes, which no line of a log does, and what to do."""

_ENCODER = msgspec.json.Encoder(enc_hook=str, decimal_format="number")


def is_table(path: Path) -> bool:
    """Whether a file must be converted, because its bytes are not the lines of a log.

    >>> is_table(Path("log.csv")), is_table(Path("log.jsonl.gz")), is_table(Path("log.txt"))
    (True, True, False)
    """
    return is_table_of_columns(path) or path.name.lower().endswith(".gz")


def refuse_no_lines(path: Path) -> None:
    """Raise `BadInput` for a file that should hold lines and can't: a pipe, packed, or UTF-16."""
    if path.is_fifo():
        raise BadInput(
            f"{path} is a pipe, and a restart reads its inputs again; give a file, or --events - "
            "for events from a pipe"
        )
    if is_table(path) or not path.is_file():
        return
    with open_input(path) as file:
        begin = file.read(8)
    for bytes_, fault in _BEGINNINGS.items():
        if begin.startswith(bytes_):
            raise BadInput(f"{path} {fault}")


def is_table_of_columns(path: Path) -> bool:
    """Whether a file's format has columns, as CSV and Parquet do."""
    return format_of(path) not in LINE_FORMATS


def lines_of(
    path: Path, settings: Settings, on_note: Callable[[str], None] = lambda sentence: None
) -> Iterator[bytes]:
    """Yield the bytes of the log that a file holds, piece by piece.

    JSON lines are unpacked; a piece of them may end within a line. A row of a table becomes one
    record: where `[input]` reads no batches, the columns that have no other meaning are the
    features; otherwise the record is the row itself. `on_note` is called with sentences about how
    columns were read. Raises `BadSettings` where a column is missing, `BadInput` for a file that
    can't be read.
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
    """Whether a file of answers is a table, packed, or one array of JSON; False without a file.

    Raises `BadInput` for an array that is cut short.
    """
    return path.is_file() and (is_table(path) or _read_array(path) is not None)


def export_lines(path: Path, settings: AnswersSettings) -> Iterator[bytes]:
    """Yield the lines of an export: one for each element of its array, or row of its table.

    An element that holds several answers becomes a line for each. Raises `BadInput` for a file that
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
    """Return the array of JSON that a file holds; None if it holds something else."""
    try:
        with open_plain(path) as file:
            begin = file.read(CHUNK_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
            if not begin.startswith(b"["):
                return None
            content = begin + file.read()
    except (OSError, *PACKING_ERRORS) as error:
        raise BadInput(f"{path} can't be read: {error}") from error
    try:
        array = json.loads(content)
    except (ValueError, RecursionError) as error:
        if _is_json(content.partition(b"\n")[0]):
            return None
        raise BadInput(
            f"{path} begins as an array of JSON and is none: {error}; export it again"
        ) from error
    return array if isinstance(array, list) else None


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _each_answer(record: Any, path: str) -> list[Any]:
    """Return a copy of the record for each answer in the array at `path`, with that one alone."""
    answers = record.get(path) if isinstance(record, dict) and path else None
    if not isinstance(answers, list) or len(answers) < 2:
        return [record]
    return [{**record, path: [answer]} for answer in answers]


def _read_unpacked(path: Path) -> Iterator[bytes]:
    try:
        with open_plain(path) as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except (OSError, *PACKING_ERRORS) as error:
        raise BadInput(f"{path} can't be unpacked: {error}") from error


def _read_events(
    table: Table, settings: Settings, on_note: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Yield each row as a record with the fields that [input] names."""
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
    read = {name: kinds.make_column(name, raw) for name, raw in raws.items()}
    features = {
        name: _own_values(raws[name], column) for name, column in read.items() if column is not None
    }
    raw_shares = _raw_shares(columns, fields.probabilities)
    shares = {name: kinds.read_shares(name, raw) for name, raw in raw_shares.items()}
    for kind in ("numeric", "categorical", "text"):
        if names := [name for name, kind_of in kinds.kinds.items() if kind_of == kind]:
            more = f" and {len(names) - 20:,} more" if len(names) > 20 else ""
            on_note(f"read as {kind}: {', '.join(names[:20])}{more}")
    for note in kinds.describe_doubts():
        on_note(note)
    paths = (fields.id, fields.at, fields.predicted, fields.key, fields.model_version, fields.label,
             fields.status)  # fmt: skip
    others = {path: values_of(columns[path]) for path in paths if path in columns}
    others[fields.at] = times_of(table, fields.at, fields)
    served = shares.pop(fields.probabilities, [])
    for i in range(table.rows_n):
        record: dict[str, Any] = {path: values[i] for path, values in others.items()}
        present = {name: values[i] for name, values in features.items() if values[i] is not None}
        record |= {fields.features: present} if fields.features else present
        if served and served[i] is not None:
            record[fields.probabilities] = served[i]
        if shares:
            record[fields.probabilities] = {
                name.removeprefix(f"{fields.probabilities}."): values[i]
                for name, values in shares.items()
            }
        yield record


def _raw_shares(columns: dict[str, Raw], path: str) -> dict[str, Raw]:
    """Return the column of the probabilities, and those below it, one a class."""
    return {
        name: raw for name, raw in columns.items() if path and f"{name}.".startswith(f"{path}.")
    }


def _own_values(raw: Raw, column: Any) -> list[Any]:
    """Return a feature's values as a request shows them: a column of whole numbers as integers."""
    values = values_of(column)
    if not isinstance(raw, list):
        return values_of(raw)
    if all(value is None or (isinstance(value, float) and value.is_integer()) for value in values):
        return [None if value is None else int(value) for value in values]
    return values


def _read_rows(table: Table, fields: InputSettings | AnswersSettings) -> Iterator[dict[str, Any]]:
    """Yield each row unchanged, without missing values; known times as [input] reads them."""
    values = {name: values_of(raw) for name, raw in table.columns.items()}
    is_answers = isinstance(fields, AnswersSettings) and fields.at in values
    if is_answers or fields.at in table.moments:
        values[fields.at] = times_of(table, fields.at, fields)
    for i in range(table.rows_n):
        yield {name: column[i] for name, column in values.items() if column[i] is not None}
