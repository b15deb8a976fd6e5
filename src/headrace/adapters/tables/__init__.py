"""Tables of past events from CSV, JSON lines or Parquet, also with .gz, as columns in memory.

Nothing is judged here: which column is the label, and which are features, is said by `table`; which
column holds numbers by `kinds`. A table is read whole: memory is its limit.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from pathlib import Path
from typing import BinaryIO

from ...errors import BadInput, BadSettings
from .delimited import read_csv
from .lines import read_json_lines
from .table import Raw, Table

__all__ = ["SUFFIXES", "Raw", "Table", "format_of", "open_plain", "read_table"]

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


def format_of(path: Path) -> str:
    """The suffix that says what a file is, without a .gz after it; empty for one not known.

    >>> format_of(Path("log.CSV.gz")), format_of(Path("log.txt"))
    ('.csv', '')
    """
    name = path.name.lower().removesuffix(".gz")
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")


def read_table(
    path: Path,
    rows: tuple[int, int | None] = (0, None),
    *,
    line_bytes_max: int = 1 << 20,
    is_flat: bool = True,
) -> Table:
    """Rows [rows[0], rows[1]) of a file, whose format its suffix says; None is the end.

    CSV has a header, and its values are texts. JSON lines hold one object each. Objects, structs
    and arrays are flattened with dots, or with `is_flat` false kept where Parquet has them. Dates
    and durations of Parquet become seconds.

    Raises `BadInput` for a file that can't be read as what it says it is, `BadSettings` for an
    unknown suffix or a missing pyarrow.
    """
    suffix = format_of(path)
    if not suffix:
        raise BadSettings(
            f"{path} is of no known format; known are {', '.join(SUFFIXES)}, each with .gz too"
        )
    try:
        if suffix == ".parquet":
            from .arrow import read_parquet  # noqa: PLC0415 - an extra, wanted by this alone

            return read_parquet(path, rows, is_flat=is_flat)
        with open_plain(path) as file:
            if suffix in (".jsonl", ".ndjson"):
                return read_json_lines(file, path, rows, line_bytes_max)
            return read_csv(file, path, rows, "\t" if suffix == ".tsv" else None)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadInput(f"{path} can't be unpacked: {error}") from error
    except OSError as error:
        # pyarrow's own errors repeat the path and have no words of the system.
        words = "No such file or directory" if isinstance(error, FileNotFoundError) else error
        raise BadInput(f"{path} can't be read: {error.strerror or words}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8: {error.reason}; save it as UTF-8") from error
    except csv.Error as error:
        raise BadInput(f"{path} can't be read: {error}") from error


def open_plain(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked where its name ends with .gz."""
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rb")  # type: ignore[return-value]  # reads as any file does
    return path.open("rb")
