"""Lines that are wiped: overwritten with spaces where they stand, so that nothing else moves.

Places in a file stay what they were, for a journal, a bridge or whoever else reads it from where
they were; and a line of spaces is passed over by every reader. What a disk or a file system keeps
of bytes that were overwritten is not for this module: see docs/ERASURE.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from .jsonl import name_file_in_errors

CHUNK_N = 512
"""Lines looked at together."""


def pieces_of(path: Path) -> Iterator[list[tuple[int, bytes]]]:
    """The lines of a file, many at a time: where each begins, and the line with its newline."""
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
    """Overwrite bytes [start, stop) of a file with spaces, but for ends of lines; to last.

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
            there = os.pread(file.fileno(), stop - start, start)
            left = b"".join(b"\n" if byte == 0x0A else b" " for byte in there)
            os.pwrite(file.fileno(), left, start)
        os.fsync(file.fileno())


def wipe_where(path: Path, is_gone: Callable[[bytes, int], bool]) -> int:
    """Wipe the lines of a file for which this holds; how many. A file that is not there has none.

    It is asked about a line and the byte at which it begins, unless the line is blank already.
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
