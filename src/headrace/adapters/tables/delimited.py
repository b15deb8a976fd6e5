"""CSV as people write it: other separators, duplicate names, empty columns, no header.

Python's `csv` reads the cells; `kinds` finds what they mean, once a column is complete.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import BadInput
from ...observe.declared import number_with_point
from .table import FaultyLines, Raw, Table

SEPARATORS = (",", ";", "\t", "|")

CELL_MAX = 1 << 30
"""The most characters of one cell: free text may be long."""


def read_csv(
    file: BinaryIO, path: Path, rows: tuple[int, int | None], separator: str | None
) -> Table:
    """Read the columns of a CSV file as texts, with None where a cell is empty.

    `rows` are [start, stop), from 0; `separator` is None where it is to be guessed. `path` names
    the file in errors. Raises `BadInput` without a header, and where too many lines are faulty.
    """
    csv.field_size_limit(CELL_MAX)
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        head = [text.readline(), text.readline()]
        skipped = 0
        if head[0].lower().startswith("sep=") and len(head[0].strip()) == len("sep=") + 1:
            # Excel's own way to name the separator.
            separator, skipped = head[0].strip()[-1], 1
        separator = separator or _separator_of(head)
        text.seek(0)
        lines = csv.reader(islice(text, skipped, None), delimiter=separator, skipinitialspace=True)
        header = [name.strip() for name in next(lines, [])]
        if not any(header):
            raise BadInput(f"{path} has no header: its first line must name the columns")
        faults = FaultyLines(path, skipped)
        cell_rows = list(_read_rows(lines, len(header), rows, faults))
    notes = [*_doubt_header(header), *faults.describe_lines(len(cell_rows))]
    cells: Sequence[Sequence[str]] = list(zip(*cell_rows, strict=True)) or [()] * len(header)
    columns: dict[str, Raw] = {}
    for name, values in zip(_name_columns(header, cells, notes), cells, strict=True):
        if name:
            columns[name] = [value.strip() or None for value in values]
    return Table(columns, len(cell_rows), is_text=True, separator=separator, notes=tuple(notes))


def _read_rows(
    lines: Any, width: int, rows: tuple[int, int | None], faults: FaultyLines
) -> Iterator[list[str]]:
    """Yield rows as long as the header; a row may have empty values beyond it, nothing else."""
    for line in islice((line for line in lines if any(map(str.strip, line))), *rows):
        if len(line) < width or any(map(str.strip, line[width:])):
            faults.add(lines.line_num, f"has {len(line)} values; its header names {width}")
            continue
        yield line[:width]


def _separator_of(head: Sequence[str]) -> str:
    """Return the separator that cuts both first lines into the same number of values, the most."""

    def count_cells(separator: str) -> tuple[bool, int]:
        cut = [next(csv.reader([line], delimiter=separator), []) for line in head if line.strip()]
        return len({len(line) for line in cut}) == 1, len(cut[0]) if cut else 0

    return max(
        SEPARATORS, key=lambda candidate: (count_cells(candidate)[1] > 1, *count_cells(candidate))
    )


def _doubt_header(header: Sequence[str]) -> list[str]:
    numbers = [name for name in header if number_with_point(name) is not None]
    if not numbers:
        return []
    return [
        f"The first line was taken for the header, and names a column {numbers[0]!r}, which is a "
        "number: if it is a row, put a header before it."
    ]


def _name_columns(header: list[str], cells: Sequence[Sequence[str]], notes: list[str]) -> list[str]:
    """Return a unique name for each column, "" for a column to leave out; append to `notes`."""
    names: list[str] = []
    taken = set(header)
    for j, name in enumerate(header):
        unique = name
        if not name:
            if not any(map(str.strip, cells[j])):
                names.append("")
                continue
            if _counts_rows(cells[j]):
                notes.append(f"Column {j + 1} has no name and numbers the rows: it is not used.")
                names.append("")
                continue
            unique = f"column {j + 1}"
            notes.append(f"Column {j + 1} has no name; it is read as {unique!r}.")
        elif name in names:
            n = 2
            while f"{name}.{n}" in taken:
                n += 1
            unique = f"{name}.{n}"
            notes.append(f"The header names {name!r} twice; column {j + 1} is read as {unique!r}.")
        taken.add(unique)
        names.append(unique)
    return names


def _counts_rows(cells: Sequence[str]) -> bool:
    """Whether a column numbers the rows, as data frames write it."""
    first = cells[0].strip() if cells else ""
    return first.isdecimal() and list(cells) == [str(int(first) + i) for i in range(len(cells))]
