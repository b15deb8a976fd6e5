"""Files of lines: read as they grow, and written so that no line is ever written twice.

This module knows nothing of JSON or of events: to it a line is bytes that end with a newline.
"""

from __future__ import annotations

import os
import select
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from itertools import islice, zip_longest
from pathlib import Path
from typing import BinaryIO

from ..errors import BadInput, BrokenInvariant

CHUNK_BYTES = 1 << 20

GONE_S = 5.0
"""A file that is replaced may be missing for a moment: after so many seconds it is said."""

_KEPT_BYTES = 256


def split_lines(content: bytes, length_max: int) -> list[bytes]:
    """The lines of some bytes, each with its newline; together they are the bytes again.

    A line of more than `length_max` bytes is cut after `length_max + 1` of them, as often as need
    be, so that each part is still seen to be too long and no line takes all the memory.

    >>> split_lines(b"a\\n\\nbcdefg\\nh", length_max=3)
    [b'a\\n', b'\\n', b'bcde', b'fg\\n', b'h']
    """
    if b"\r" not in content:  # There `splitlines` ends a line too.
        parts = content.splitlines(keepends=True)
    else:
        *whole, rest = content.split(b"\n")
        parts = [part + b"\n" for part in whole]
        parts += [rest] if rest else []
    if max(map(len, parts), default=0) <= length_max + 1:
        return parts
    lines = []
    for line in parts:
        start = 0
        while len(line) - start > length_max + 1:
            lines.append(line[start : start + length_max + 1])
            start += length_max + 1
        if start < len(line):
            lines.append(line[start:])
    return lines


class Tail:
    """Reads the lines of a file from `position`, bytes; the file may grow, or not be there yet.

    `peek` looks at the next lines, `advance` takes them. How the bytes are read makes no difference
    to the lines. `is_whole` tells of a last line without a newline whether it may count; by itself,
    each one does.

    Another file under the same name is gone on with if it begins with all that was read, as one
    that an editor or an export has written anew. Raises `BadInput` if it does not, as after a
    rotation of logs, if the file is gone, and if it is found shorter than what was read of it.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "events.jsonl"
    >>> _ = path.write_bytes(b"one" + chr(10).encode() + b"tw")
    >>> tail = Tail(path, length_max=100)
    >>> tail.peek(5, is_final=False), tail.peek(5, is_final=True)
    ([b'one\\n'], [b'one\\n', b'tw'])
    >>> tail.close()
    """

    def __init__(
        self,
        path: Path,
        *,
        position: int = 0,
        length_max: int,
        chunk_bytes: int = CHUNK_BYTES,
        is_whole: Callable[[bytes], bool] = lambda line: True,
    ) -> None:
        self.path = path
        self.position = position
        self._is_whole = is_whole
        self._length_max = length_max
        self._chunk_bytes = chunk_bytes
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._read_to = position
        self._file: BinaryIO | None = None
        self._gone_from: float | None = None
        self._kept = b""

    def peek(self, n: int, *, is_final: bool) -> list[bytes]:
        """The next lines, at most n; with `is_final` a whole one without a newline counts too."""
        while len(self._lines) < n and self._read():
            pass
        found = list(islice(self._lines, n))
        if is_final and self._rest and len(found) < n and self._is_whole(self._rest):
            found.append(self._rest)
        return found

    def advance(self, n: int) -> None:
        """Leave n of the lines behind that `peek` has shown."""
        for _ in range(n):
            if self._lines:
                self.position += len(self._lines.popleft())
            else:
                self.position += len(self._rest)
                self._rest = b""

    @property
    def rest_n(self) -> int:
        """Bytes behind the last line that has a newline, as far as they were read."""
        return len(self._rest)

    @property
    def size(self) -> int:
        """Bytes in the file now; 0 while there is none."""
        return self.path.stat().st_size if self.path.exists() else 0

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _read(self) -> bool:
        """One chunk more; false at the end of the file."""
        if self._file is None:
            if not self.path.exists():
                return False
            self._file = open_input(self.path)
        # What was read last is looked at again: a file that is written anew in its place may have
        # grown past that before anybody looked.
        kept_n = min(_KEPT_BYTES, len(self._kept))
        found = os.pread(self._file.fileno(), kept_n + self._chunk_bytes, self._read_to - kept_n)
        if len(found) <= kept_n:
            size = os.fstat(self._file.fileno()).st_size
            if size < self._read_to:
                raise BadInput(
                    f"{self.path} has {size} bytes, and {self._read_to} were read of it before; "
                    "give a file that was begun anew another name"
                )
        if found[:kept_n] != self._kept and not _is_wiped(self._kept, found[:kept_n]):
            raise BadInput(
                f"{self.path} was written anew while it was read: its bytes before "
                f"{self._read_to} are others now; append to it, or give a new file another name"
            )
        chunk, self._kept = found[kept_n:], found[:kept_n]
        if not chunk:
            return not self._lines and self._has_changed_places()
        self._kept = (self._kept + chunk)[-_KEPT_BYTES:]
        self._read_to += len(chunk)
        lines = split_lines(self._rest + chunk, self._length_max)
        self._rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        self._lines += lines
        return True

    def _has_changed_places(self) -> bool:
        """Whether another file has our name now, with which we have gone on."""
        assert self._file is not None
        try:
            there = self.path.stat()
        except FileNotFoundError:
            self._gone_from = self._gone_from or time.monotonic()
            if time.monotonic() - self._gone_from < GONE_S:
                return False
            raise BadInput(
                f"{self.path} was moved or removed while it was read; {self._read_to} bytes of it "
                "were. Put it back: a replay and a restart read it again. Instead of rotating it, "
                "begin a new run with the new file"
            ) from None
        self._gone_from = None
        if _is_same(there, os.fstat(self._file.fileno())):
            return False
        other = open_input(self.path)
        if not _begins_alike(self._file, other, self._read_to):
            other.close()
            raise BadInput(
                f"{self.path} was replaced by another file while it was read, and {self._read_to} "
                "bytes of the one before were. Put that one back: a replay and a restart read it "
                "again. Instead of rotating it, begin a new run with the new file"
            )
        self._file.close()
        self._file = other
        return True


def _is_same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _begins_alike(one: BinaryIO, other: BinaryIO, length: int) -> bool:
    """Whether the first `length` bytes of two files are the same."""
    for start in range(0, length, CHUNK_BYTES):
        n = min(CHUNK_BYTES, length - start)
        before = os.pread(one.fileno(), n, start)
        if len(before) < n or before != os.pread(other.fileno(), n, start):
            return False
    return True


def _is_wiped(kept: bytes, found: bytes) -> bool:
    """Whether what was read differs by nothing but lines that were wiped since (`wiping`)."""
    pairs = zip(kept, found, strict=False)
    return len(kept) == len(found) and all(is_ in (was, 0x20) for was, is_ in pairs)


@contextmanager
def name_file_in_errors(path: Path) -> Iterator[None]:
    """Let an `OSError` of writing say which file it was: a full disk does not by itself."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def write_all(file: FileIO, content: bytes, path: Path) -> None:
    """Write all bytes to an unbuffered file. Raises `OSError` with the name of the file."""
    left = memoryview(content)
    with name_file_in_errors(path):
        while left:
            left = left[file.write(left) :]


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a loss of power; only POSIX systems can, and need to."""
    if os.name != "posix":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class Appender:
    """Appends to a file what it does not hold yet.

    What is written counts from `position`, bytes. As long as the file is longer than that, it was
    written before, by a run that was killed: it is compared, and skipped where it is the same. So
    nothing is written twice, a torn last line is completed, and nothing is ever taken back.

    Raises `BadInput` if the file is shorter than `position`, and, from `write`, `BrokenInvariant`
    where it holds something else.
    """

    def __init__(self, path: Path, *, position: int) -> None:
        self.path = path
        self.position = position
        if path.exists() and not (path.is_file() or path.is_dir()):
            # What it holds already could not be compared, so a restart would write it twice.
            raise BadInput(f"{path} can't be written: it is not a regular file; give one")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise BadInput(f"{path} can't be written: {error.strerror}") from error
        self.size = os.fstat(self._file.fileno()).st_size
        if self.size < position:
            self._file.close()
            raise BadInput(
                f"{path} has {self.size} bytes, and {position} were written to it before; put it "
                "back, or start with another --state"
            )

    def write(self, content: bytes) -> None:
        """Append some bytes; when this returns they survive the death of the process."""
        if self.position < self.size:
            held = os.pread(self._file.fileno(), len(content), self.position)
            if not content.startswith(held):
                raise BrokenInvariant(self._describe_difference(held, content))
            self.position += len(held)
            content = content[len(held) :]
        if content:
            self.check()
            write_all(self._file, content, self.path)
            self.position += len(content)
            self.size += len(content)

    @property
    def is_behind(self) -> bool:
        """The file holds more than what was let out so far."""
        return self.position < self.size

    def keep(
        self,
        lines: Sequence[bytes],
        end: int,
        was: str,
        digest: Callable[[bytes], str],
        seal: Callable[[Sequence[bytes], int], Sequence[bytes]] = lambda lines, position: lines,
    ) -> int:
        """Append of these lines what the file does not hold, which was to end at byte `end`.

        `seal` makes of lines what stands in the file from a byte on.

        What it holds stays, whatever it is: whoever reads it has read it. Only a last line that
        a kill cut short, and that begins otherwise now, is taken back. Returns how many lines are
        others than those that stay.
        """
        there = os.pread(self._file.fileno(), max(0, end - self.position), self.position)
        sealed = seal(lines, self.position)
        content = b"".join(sealed)
        if content.startswith(there) and (self.size < end or len(there) == len(content)):
            self.write(content)
            return 0
        if self.size >= end and digest(there) != was:
            raise BrokenInvariant(self._describe_difference(there, content))
        kept = there.splitlines(keepends=True)
        if kept and not kept[-1].endswith(b"\n"):
            there = there[: -len(kept.pop())]
            self._file.truncate(self.position + len(there))
            self.size = self.position + len(there)
        self.position += len(there)
        if self.position >= self.size and self.position < end:
            self.write(b"".join(seal(lines[len(kept) :], self.position)))
            sealed = sealed[: len(kept)]
        return sum(was != now for was, now in zip_longest(kept, sealed))

    def check(self) -> None:
        """Raises `BadInput` if the file is no longer the one under its name."""
        try:
            is_ours = _is_same(self.path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            is_ours = False
        if not is_ours:
            raise BadInput(
                f"{self.path} was moved, removed or replaced while it was written; put back the "
                "one that was, and start again: nothing is lost"
            )

    def sync(self) -> None:
        """Make all that was written survive a loss of power."""
        with name_file_in_errors(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def _describe_difference(self, held: bytes, content: bytes) -> str:
        pairs = zip(held, content, strict=False)
        same_n = next(i for i, (there, here) in enumerate(pairs) if there != here)
        start = content.rfind(b"\n", 0, same_n) + 1
        shown = [
            text[start:].split(b"\n")[0][:500].decode(errors="replace") for text in (held, content)
        ]
        return (
            f"{self.path} differs at byte {self.position + same_n} from what the journal gives:\n"
            f"  it holds {shown[0]}\n  decided  {shown[1]}"
        )


class Pipe:
    """Copies what comes through a pipe to a file, which a `Tail` reads."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path
        self._file = path.open("a+b", buffering=0)
        self.has_ended = False
        size = os.fstat(self._file.fileno()).st_size
        # The run before may have been killed within a line; what comes now is a new one.
        if size and os.pread(self._file.fileno(), 1, size - 1) != b"\n":
            self._copy_chunk(b"\n")

    def pump(self, timeout_s: float) -> bool:
        """Wait for bytes, at most so long, and copy them; true if there were any."""
        if self.has_ended or not select.select([self._descriptor], [], [], timeout_s)[0]:
            return False
        chunk = os.read(self._descriptor, CHUNK_BYTES)
        self.has_ended = not chunk
        self._copy_chunk(chunk)
        return bool(chunk)

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def _copy_chunk(self, chunk: bytes) -> None:
        write_all(self._file, chunk, self._path)


def open_input(path: Path) -> BinaryIO:
    """A file to read. Raises `BadInput` with a sentence."""
    try:
        return path.open("rb")
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}") from error
