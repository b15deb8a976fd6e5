"""Wiping lines: they are overwritten with spaces in place, so that nothing else moves.

All other lines keep their places, by which a journal, a bridge or another reader knows them, and
every reader skips a line of spaces. What a disk or a file system still holds of overwritten bytes
is beyond this module: see docs/ERASURE.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from .jsonl import name_file_in_errors

CHUNK_N = 512
"""How many lines `pieces_of` yields at a time."""


def pieces_of(path: Path) -> Iterator[list[tuple[int, bytes]]]:
    """Yield the lines of a file, many at a time, each with the byte at which it begins."""
    start, piece = 0, list[tuple[int, bytes]]()
    with path.open("rb") as file:
        for line in file:
            piece.append((start, line))
            start += len(line)
            if len(piece) == CHUNK_N:
                yield piece
                piece = []
    if piece:
        yield piece


def wipe_stretches(path: Path, stretches: list[tuple[int, int]]) -> None:
    """Overwrite bytes [start, stop) of a file with spaces, newlines excepted, and sync the file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "log"
    >>> _ = path.write_bytes(b"one\\ntwo\\nthree\\n")
    >>> wipe_stretches(path, [(4, 8)])
    >>> path.read_bytes()
    b'one\\n   \\nthree\\n'
    """
    if not stretches:
        return
    with name_file_in_errors(path), path.open("r+b", buffering=0) as file:
        for start, stop in stretches:
            content = os.pread(file.fileno(), stop - start, start)
            blanks = b"".join(b"\n" if byte == 0x0A else b" " for byte in content)
            os.pwrite(file.fileno(), blanks, start)
        os.fsync(file.fileno())


def wipe_where(path: Path, is_gone: Callable[[bytes, int], bool]) -> int:
    """Wipe the lines of a file for which `is_gone` is true; return how many, 0 without a file.

    `is_gone` is called with a line and the byte at which it begins; not with blank lines.
    """
    if not path.exists():
        return 0
    stretches = [
        (start, start + len(line))
        for piece in pieces_of(path)
        for start, line in piece
        if not line.isspace() and is_gone(line, start)
    ]
    wipe_stretches(path, stretches)
    return len(stretches)
