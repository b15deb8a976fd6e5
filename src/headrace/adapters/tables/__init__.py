"""Tables of past events from CSV, JSON lines or Parquet, also with .gz, as columns in memory.

This module reads columns and does not interpret them: `table` decides which are features, `kinds`
which hold numbers. A table is read whole, so memory is its limit.
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

__all__ = ["PACKING_ERRORS", "SUFFIXES", "Raw", "Table", "format_of", "open_plain", "read_table"]

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")

PACKING_ERRORS = (gzip.BadGzipFile, EOFError, zlib.error)
"""What reading a packed file raises where it was cut short or damaged."""


def format_of(path: Path) -> str:
    """Return the suffix of a file, which names its format, without .gz; "" if it is not known.

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
    """Read a file, whose suffix names its format.

    CSV must have a header, and its values are texts. JSON lines hold one object each. Dates and
    durations of Parquet become seconds.

    - `rows`: read rows [rows[0], rows[1]), from 0; None is the end.
    - `line_bytes_max`: a longer line of JSON counts as faulty.
    - `is_flat`: flatten objects, structs and arrays with dots; false keeps those of Parquet.

    Raises `BadInput` for a file that can't be read as what its suffix says, `BadSettings` for an
    unknown suffix or a missing pyarrow.
    """
    suffix = format_of(path)
    if not suffix:
        raise BadSettings(
            f"{path} is of no known format; known are {', '.join(SUFFIXES)}, each with .gz too"
        )
    try:
        if suffix == ".parquet":
            try:
                from .arrow import read_parquet  # noqa: PLC0415 - an extra, for this format alone
            except ImportError:
                raise BadSettings(
                    f"{path.name} is Parquet, which pyarrow reads; install headrace[parquet]"
                ) from None
            return read_parquet(path, rows, is_flat=is_flat)
        with open_plain(path) as file:
            if suffix in (".jsonl", ".ndjson"):
                return read_json_lines(file, path, rows, line_bytes_max)
            return read_csv(file, path, rows, "\t" if suffix == ".tsv" else None)
    except PACKING_ERRORS as error:
        raise BadInput(f"{path} can't be unpacked: {error}") from error
    except OSError as error:
        # pyarrow's own errors repeat the path and have no `strerror`.
        words = "No such file or directory" if isinstance(error, FileNotFoundError) else error
        raise BadInput(f"{path} can't be read: {error.strerror or words}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8: {error.reason}; save it as UTF-8") from error
    except csv.Error as error:
        raise BadInput(f"{path} can't be read: {error}") from error


def open_plain(path: Path) -> BinaryIO:
    """Open a file for reading its bytes, unpacked if its name ends with .gz."""
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rb")  # type: ignore[return-value]  # reads as any file does
    return path.open("rb")
