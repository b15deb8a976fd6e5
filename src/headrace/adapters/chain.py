"""A chain of entries in files: each holds the SHA-256 of the previous, so that none can change.

An entry is one line of JSON in its canonical encoding: UTF-8, keys in order, no blanks, each float
by its shortest text. Its hash is the SHA-256 of the line without the newline. `n` counts entries
from 0, `prev` is the hash of entry n - 1, and 64 zeros in the first. The chain goes on from file to
file: `NAME-000001.jsonl`, `NAME-000002.jsonl`.

Whoever may write the files can rewrite all of them from any entry on. To notice this you need the
latest hash, kept elsewhere, or the records that the entries are about: see docs/AUDIT.md.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ..errors import BadInput, BadSettings
from .jsonl import name_file_in_errors, write_all

FORMAT = 1
NOTHING = "0" * 64
"""The hash before the first entry."""

FILE_BYTES_MAX = 64 << 20
FILES_MAX = 1_000
LINE_BYTES_MAX = 1 << 20

_ENCODER = msgspec.json.Encoder(order="sorted")

Entry = Mapping[str, Any]


def encode_entry(entry: Entry) -> bytes:
    """Return the canonical encoding of an entry, without a newline.

    >>> encode_entry({"what": "asked", "n": 1, "propensity": 0.1})
    b'{"n":1,"propensity":0.1,"what":"asked"}'
    """
    return _ENCODER.encode(dict(entry))


def hash_of(line: bytes) -> str:
    """Return the hash of an entry; `line` is its encoding without the newline."""
    return hashlib.sha256(line).hexdigest()


def files_of(folder: Path, name: str) -> list[Path]:
    """Return the files of a chain in order; an empty list where there is no such chain."""
    return sorted(folder.glob(f"{name}-[0-9][0-9][0-9][0-9][0-9][0-9].jsonl"))


def names_in(folder: Path) -> list[str]:
    """Return the names of the chains in a folder, in order."""
    return sorted({path.name[:-13] for path in folder.glob("*-??????.jsonl")})


class HashChain:
    """A chain open for writing, by one process at a time, which holds the lock `NAME.lock`.

    - `folder`, `name`: where its files are, and how their names begin.
    - `first`: fields to add to the first entry of a new chain, "begun".
    - `mends`: a last line that a kill cut short is removed on opening; with `mends` an entry
      "mended" at `at` records it, otherwise the caller is trusted to write the same entry again.
    - `waits`: wait while another process has the chain; without it `BadSettings` is raised.
    - `file_bytes_max`: the size at which the next file is begun; `opening` makes its first entry.
    - `files_max`: with more files the oldest are removed, after an entry that records it.

    `n` is the number of entries, `head` the hash of the last one. Raises `BadSettings` for a folder
    that can't be made, `BadInput` where the last entry is damaged.

    >>> import tempfile
    >>> chain = HashChain(Path(tempfile.mkdtemp()), "acts")
    >>> chain.append([{"what": "login", "by": "ann"}])
    >>> chain.n, len(chain.head)
    (2, 64)
    >>> [entry["what"] for entry in read_entries(chain.folder, "acts")]
    ['begun', 'login']
    >>> chain.close()
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        first: Entry | None = None,
        mends: bool = False,
        waits: bool = True,
        at: float | None = None,
        file_bytes_max: int = FILE_BYTES_MAX,
        files_max: int = FILES_MAX,
        opening: Callable[[], Entry] | None = None,
    ) -> None:
        self.folder = folder
        self.name = name
        self.n, self.head = 0, NOTHING
        self.last: dict[str, Any] = {}
        self._opening = opening
        self._file_bytes_max = file_bytes_max
        self._files_max = files_max
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BadSettings(f"{folder} can't be made: {error.strerror}") from error
        self._lock = (folder / f"{name}.lock").open("ab")
        self._take_lock(waits)
        self._file: Any = None
        try:
            cut_n = self._open_chain()
            if self.n == 0:
                begun = {"what": "begun", "chain": name, "format": FORMAT}
                self.append([begun | dict(first or {})])
            if cut_n and mends:
                self.append([{"what": "mended", "at": at, "bytes_n": cut_n}])
        except BaseException:
            self.close()
            raise

    def append(self, entries: Iterable[Entry], *, is_synced: bool = False) -> None:
        """Write entries; when this returns they survive the death of the process.

        With `is_synced` they survive a loss of power as well.
        """
        lines: list[bytes] = []
        for entry in entries:
            if self._size + sum(map(len, lines)) >= self._file_bytes_max:
                self._write_lines(lines)
                lines = []
                self._begin_file()
            lines.append(self._encode_line(entry))
        self._write_lines(lines)
        if is_synced:
            self.sync()

    def sync(self) -> None:
        """Make all that was written survive a loss of power."""
        with name_file_in_errors(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._lock.close()

    def _take_lock(self, waits: bool) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError:
            self._lock.close()
            raise BadSettings(
                f"{self.folder} is written by another process; stop that one, or give another "
                "folder"
            ) from None

    def _encode_line(self, entry: Entry) -> bytes:
        self.last = dict(entry) | {"n": self.n, "prev": self.head}
        line = encode_entry(self.last)
        self.n, self.head = self.n + 1, hash_of(line)
        return line + b"\n"

    def _write_lines(self, lines: list[bytes]) -> None:
        content = b"".join(lines)
        if content:
            write_all(self._file, content, self._path)
            self._size += len(content)

    def _open_chain(self) -> int:
        """Find the end of the chain; return how many bytes of a torn line were removed."""
        files = files_of(self.folder, self.name)
        cut_n = 0
        for path in reversed(files):
            content, rest_n = _last_line(path)
            if rest_n:
                cut_n += rest_n
                os.truncate(path, path.stat().st_size - rest_n)
            if content is not None:
                self.last = _decode_line(content, path)
                self.n, self.head = int(self.last["n"]) + 1, hash_of(content)
                break
        number = int(files[-1].stem[-6:]) if files else 1
        self._open_file(number)
        if self._size == 0 and number > 1:
            # The process was killed between the creation of this file and its first line.
            self._write_opening()
        return cut_n

    def _open_file(self, number: int) -> None:
        if self._file is not None:
            self._file.close()
        self._number = number
        self._path = self.folder / f"{self.name}-{number:06d}.jsonl"
        with name_file_in_errors(self._path):
            self._file = self._path.open("ab", buffering=0)
        self._size = os.fstat(self._file.fileno()).st_size

    def _begin_file(self) -> None:
        self.sync()
        self._open_file(self._number + 1)
        self._write_opening()

    def _write_opening(self) -> None:
        self._remove_oldest()
        if self._opening is not None:
            self._write_lines([self._encode_line(self._opening())])

    def _remove_oldest(self) -> None:
        """Remove files above the limit, once the entry that records it is safe on the disk."""
        old = files_of(self.folder, self.name)[: -self._files_max]
        if not old:
            return
        first_line = next(_read_lines(files_of(self.folder, self.name)[len(old)]), None)
        # All remaining files may be new and empty: then the next entry is the first that remains.
        until_n, until = (self.n, self.head)
        if first_line is not None:
            entry = _decode_line(first_line, old[-1])
            until_n, until = int(entry["n"]), str(entry["prev"])
        removed = {"what": "removed", "until_n": until_n, "until": until}
        self._write_lines([self._encode_line(removed)])
        self.sync()
        for path in old:
            path.unlink()


@dataclass(frozen=True, slots=True)
class Link:
    """An entry as it was read: its place, its hash, and its `fault` in words, "" if it has none."""

    path: Path
    line_n: int
    entry: dict[str, Any]
    hash: str
    fault: str = ""

    @property
    def place(self) -> str:
        return f"{self.path.name}, line {self.line_n}" if self.line_n else self.path.name


def check_links(files: Sequence[Path]) -> Iterator[Link]:
    """Yield the entries of a chain in order, up to the first broken one, which has a `fault`.

    `files` may begin in the middle of the chain. A last line without a newline is no entry (see
    `rest_of`), and a fault where another file follows.
    """
    n, head = -1, NOTHING
    for i, path in enumerate(files):
        for line_n, line in enumerate(_read_lines(path), start=1):
            entry, fault = _check_line(line)
            if not fault and n < 0:
                n, head = entry["n"], entry["prev"]
                if n == 0 and head != NOTHING:
                    fault = "it is the first, and says that one came before"
            if not fault and entry["n"] != n:
                fault = f"it is numbered {entry['n']}, and {n} is next"
            if not fault and entry["prev"] != head:
                fault = f"it was not written after entry {n - 1} as that stands here"
            if fault:
                yield Link(path, line_n, entry, "", fault)
                return
            head = hash_of(line)
            yield Link(path, line_n, entry, head)
            n += 1
        if i + 1 < len(files) and (rest_n := rest_of(path)):
            yield Link(path, 0, {}, "", f"{rest_n} bytes at its end are no entry, and it goes on")
            return


def read_entries(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """Yield the entries of a chain. Raises `BadInput` at the first broken one."""
    for link in check_links(files_of(folder, name)):
        if link.fault:
            raise BadInput(f"{link.place}: {link.fault}")
        yield link.entry


def rest_of(path: Path) -> int:
    """Return how many bytes stand behind the last newline of a file, as a kill leaves them."""
    return _last_line(path)[1]


def _check_line(line: bytes) -> tuple[dict[str, Any], str]:
    """Decode an entry; return it, and what is wrong with it in words, "" if nothing is."""
    try:
        entry = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {}, "it is no entry"
    if not (isinstance(entry.get("n"), int) and isinstance(entry.get("prev"), str)):
        return entry, "it has no number or no hash"
    if not isinstance(entry.get("what"), str):
        return entry, "it does not say what happened"
    return entry, "" if encode_entry(entry) == line else "it is not in the canonical encoding"


def _decode_line(line: bytes, path: Path) -> dict[str, Any]:
    entry, fault = _check_line(line)
    if fault:
        raise BadInput(
            f"{path} is damaged: of its last entry, {fault}; headrace audit verify tells more. Put "
            "it back, or move the folder away to begin another chain"
        )
    return entry


def _read_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file that end with a newline, without it."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]


def _last_line(path: Path) -> tuple[bytes | None, int]:
    """Return the last line that ends with a newline, without it, and how many bytes follow it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - LINE_BYTES_MAX))
        content = file.read()
    body, end, rest = content.rpartition(b"\n")
    if not end:
        return None, len(rest)
    return body.rpartition(b"\n")[2], len(rest)
