"""Files of lines: read as they grow, and written so that no line is ever written twice.

This module knows nothing of JSON or of events. A line is bytes that end with a newline.
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
"""A file that is being replaced may be missing for a moment; longer than this is an error."""

_KEPT_BYTES = 256


def split_lines(content: bytes, length_max: int) -> list[bytes]:
    """Split bytes into lines, each with its newline; joined, the lines are the bytes again.

    A line of more than `length_max` bytes is cut into parts of `length_max + 1` bytes: a reader
    still sees that each part is too long, and no line takes all the memory.

    >>> split_lines(b"a\\n\\nbcdefg\\nh", length_max=3)
    [b'a\\n', b'\\n', b'bcde', b'fg\\n', b'h']
    """
    if b"\r" not in content:  # `splitlines` would end a line at a \r as well.
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
    """Reads the lines of a file as it grows; the file may not exist yet.

    `peek` returns the next lines and leaves them, `advance` moves past them.

    - `position`: the byte at which to start.
    - `length_max`: the bytes of a line; a longer one is returned in parts, see `split_lines`.
    - `chunk_bytes`: how many bytes are read at a time, which changes no line.
    - `is_whole`: whether a last line without a newline is complete; by default it always is.

    If another file gets the same name, reading goes on in it where it begins with all that was
    read, as a file that an editor or an export has rewritten. Otherwise, as after a rotation of
    logs, this raises `BadInput`; so it does if the file is gone, or shorter than what was read.

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
        """Return at most n next lines; with `is_final` also a complete one without a newline."""
        while len(self._lines) < n and self._read_chunk():
            pass
        lines = list(islice(self._lines, n))
        if is_final and self._rest and len(lines) < n and self._is_whole(self._rest):
            lines.append(self._rest)
        return lines

    def advance(self, n: int) -> None:
        """Move past the first n lines that `peek` returned."""
        for _ in range(n):
            if self._lines:
                self.position += len(self._lines.popleft())
            else:
                self.position += len(self._rest)
                self._rest = b""

    @property
    def rest_n(self) -> int:
        """How many bytes were read behind the last newline."""
        return len(self._rest)

    @property
    def size(self) -> int:
        """The size of the file now, in bytes; 0 while there is none."""
        return self.path.stat().st_size if self.path.exists() else 0

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _read_chunk(self) -> bool:
        """Read one more chunk; return False at the end of the file."""
        if self._file is None:
            if not self.path.exists():
                return False
            self._file = open_input(self.path)
        # The last bytes read are read again and compared: a file that was rewritten in place may
        # have grown past them already, so its size alone would not show it.
        kept_n = min(_KEPT_BYTES, len(self._kept))
        content = os.pread(self._file.fileno(), kept_n + self._chunk_bytes, self._read_to - kept_n)
        if len(content) <= kept_n:
            size = os.fstat(self._file.fileno()).st_size
            if size < self._read_to:
                raise BadInput(
                    f"{self.path} has {size} bytes, and {self._read_to} were read of it before; "
                    "give a file that was begun anew another name"
                )
        if content[:kept_n] != self._kept and not _is_wiped(self._kept, content[:kept_n]):
            raise BadInput(
                f"{self.path} was written anew while it was read: its bytes before "
                f"{self._read_to} are others now; append to it, or give a new file another name"
            )
        chunk, self._kept = content[kept_n:], content[:kept_n]
        if not chunk:
            return not self._lines and self._has_changed_places()
        self._kept = (self._kept + chunk)[-_KEPT_BYTES:]
        self._read_to += len(chunk)
        lines = split_lines(self._rest + chunk, self._length_max)
        self._rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        self._lines += lines
        return True

    def _has_changed_places(self) -> bool:
        """Whether another file has this name now; if so, reading has moved to that file."""
        assert self._file is not None
        try:
            status = self.path.stat()
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
        if _is_same(status, os.fstat(self._file.fileno())):
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
    """Whether bytes read again differ only by lines that were wiped meanwhile (`wiping`)."""
    pairs = zip(kept, found, strict=False)
    return len(kept) == len(found) and all(is_ in (was, 0x20) for was, is_ in pairs)


@contextmanager
def name_file_in_errors(path: Path) -> Iterator[None]:
    """Add the file's name to an `OSError` raised within; that of a full disk has none."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def write_all(file: FileIO, content: bytes, path: Path) -> None:
    """Write all bytes to an unbuffered file. Raises `OSError`, which names the file."""
    rest = memoryview(content)
    with name_file_in_errors(path):
        while rest:
            rest = rest[file.write(rest) :]


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a loss of power; done on POSIX, needless elsewhere."""
    if os.name != "posix":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class Appender:
    """Appends to a file what the file does not hold yet.

    Writing starts at byte `position`. Bytes that the file has behind it were written by a run that
    was killed: new content is compared with them, and skipped where it is the same. So nothing is
    written twice, a torn last line is completed, and nothing is ever removed.

    Raises `BadInput` if the file is shorter than `position`; `write` raises `BrokenInvariant` where
    the file holds other bytes.
    """

    def __init__(self, path: Path, *, position: int) -> None:
        self.path = path
        self.position = position
        if path.exists() and not (path.is_file() or path.is_dir()):
            # The earlier content of a pipe can't be compared, so a restart would write it twice.
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
        """Whether the file holds bytes behind `position`, from a run that was killed."""
        return self.position < self.size

    def append_missing(
        self,
        lines: Sequence[bytes],
        end: int,
        was: str,
        digest: Callable[[bytes], str],
        seal: Callable[[Sequence[bytes], int], Sequence[bytes]] = lambda lines, position: lines,
    ) -> int:
        """Append those of `lines` that the file lacks; what the file holds up to `end` stays.

        - `lines`: what is decided now, from byte `position` on, each with its newline.
        - `end`, `was`: the byte at which the recorded lines end, and their digest.
        - `digest`: computes the digest of bytes.
        - `seal`: turns lines into the lines that the file stores, given the byte of the first.

        Lines in the file stay even where they differ, because a reader may have read them. Only a
        last line that a kill cut short, and that begins differently now, is removed. Returns how
        many lines differ from those that stay. Raises `BrokenInvariant` where the file holds
        neither these lines nor the recorded ones.
        """
        held = os.pread(self._file.fileno(), max(0, end - self.position), self.position)
        sealed = seal(lines, self.position)
        content = b"".join(sealed)
        if content.startswith(held) and (self.size < end or len(held) == len(content)):
            self.write(content)
            return 0
        if self.size >= end and digest(held) != was:
            raise BrokenInvariant(self._describe_difference(held, content))
        held_lines = held.splitlines(keepends=True)
        if held_lines and not held_lines[-1].endswith(b"\n"):
            held = held[: -len(held_lines.pop())]
            self._file.truncate(self.position + len(held))
            self.size = self.position + len(held)
        self.position += len(held)
        if self.position >= self.size and self.position < end:
            self.write(b"".join(seal(lines[len(held_lines) :], self.position)))
            sealed = sealed[: len(held_lines)]
        return sum(was != now for was, now in zip_longest(held_lines, sealed))

    def check(self) -> None:
        """Raise `BadInput` if another file, or none, has this name now."""
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
        pairs = enumerate(zip(held, content, strict=False))
        # One may be the beginning of the other: then they differ where the shorter one ends.
        shorter_n = min(len(held), len(content))
        same_n = next((i for i, (there, here) in pairs if there != here), shorter_n)
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
        # The previous run may have been killed within a line; what comes now starts a new line.
        if size and os.pread(self._file.fileno(), 1, size - 1) != b"\n":
            self._copy_chunk(b"\n")

    def pump(self, timeout_s: float) -> bool:
        """Wait at most `timeout_s` for bytes, and copy them; return whether there were any."""
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
    """Open a file for reading. Raises `BadInput` if it can't be opened."""
    try:
        return path.open("rb")
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}") from error
