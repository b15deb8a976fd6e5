"""The journal: what an engine was fed, and in which order, written before any output is published.

The journal does not store events or answers. It stores where they stand, as bytes [start, stop) of
a source, and a digest of those bytes. Ticks and finished retrainings are stored in the journal
itself. Every decision can be computed again from the journal and its sources. The requests that a
record led to are written behind it, before they are published: a replay on another machine uses
what was recorded, not what it computes (`query.record`).

A file is a magic of 8 bytes, then records: length of the body (4 bytes, little-endian), XXH32 of
the length (4 bytes), XXH3-64 of the body (8 bytes), body (JSON). A killed process leaves at most
the beginning of a record at the end of the file. It is dropped when the journal is opened again,
for nothing followed from it yet. Damage anywhere else raises an error.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
import xxhash

from ..errors import BadInput, BrokenInvariant
from ..query.record import Decided, RescoredThen
from .jsonl import name_file_in_errors, write_all

MAGIC = b"HRJOUR1\n"
BODY_BYTES_MAX = 1 << 18
_HEAD_BYTES = 16

Kind: TypeAlias = Literal["events", "answers", "orders"]


class Source(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A file that spans refer to by `number`. A relative `path` starts at the folder of the run."""

    number: int
    kind: Kind
    path: str


class Span(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Bytes [start, stop) of a source, which are whole lines, and their XXH3-64."""

    source: int
    start: int
    stop: int
    digest: str


class Ticked(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The clock was moved to `at`, seconds."""

    at: float


class Retrained(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A retraining job finished. Where `error` is None, a replay trains its challenger again."""

    job_id: int
    at: float
    error: str | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """What the previous record led to: the requests asked, and the numbers behind each decision.

    `ends` has, by output of the run, the byte at which it ends once these requests are written;
    `digests` has the digest of what was added to each. `rescored` are the decisions made about
    requests that were open.
    """

    ids: list[str]
    decided: list[Decided]
    ends: dict[str, int]
    digests: dict[str, str]
    rescored: list[RescoredThen] = []


class Begun(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The journal was begun anew here, at byte `origin` of all that was ever recorded.

    The records before were removed, as after an erasure; a snapshot has the state at this place.
    `fed` has, by number of the source, the stretches that were fed before; `asked_n` is how many
    `Asked` records there were, and `ends` the bytes at which the outputs of the run ended.
    """

    origin: int
    sources: list[Source]
    fed: dict[str, list[tuple[int, int]]]
    asked_n: int
    ends: dict[str, int]


Record: TypeAlias = Source | Span | Ticked | Retrained | Asked | Begun

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


class Journal:
    """The journal of one run, open for appending, or for reading alone with `is_read_only`.

    By number of the source, `sources` has its record, `fed` the bytes of it that were fed, `last`
    its latest span, and `begun` the bytes that were fed before the journal was begun anew. Places
    in a journal are counted in bytes of all that was ever recorded; `origin` is the place at which
    this file begins, above 0 where it was begun anew. Raises `BadInput` for a file that is no
    journal, or is damaged before its end.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "journal"
    >>> journal = Journal(path)
    >>> number = journal.number_source("events", "/logs/events.jsonl")
    >>> journal.append(Span(source=number, start=0, stop=70, digest=hash_content(b"...")))
    >>> journal.close()
    >>> journal = Journal(path, is_read_only=True)
    >>> [record.stop for record, _ in journal.read_records() if isinstance(record, Span)]
    [70]
    >>> journal.close()
    """

    def __init__(self, path: Path, *, is_read_only: bool = False) -> None:
        self.path = path
        self.sources: dict[int, Source] = {}
        self.fed: dict[int, Spans] = {}
        self.last: dict[int, Span] = {}
        self.origin = 0
        self.begun: dict[int, Spans] = {}
        self._asked_n = 0
        self._ends: dict[str, int] = {}
        self.size = len(MAGIC)
        try:
            self._file = path.open("rb" if is_read_only else "a+b", buffering=0)
        except OSError as error:
            raise BadInput(f"{path} can't be opened: {error.strerror}") from error
        try:
            self._open_file(is_read_only)
        except BaseException:
            self._file.close()
            raise

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever recorded."""
        return self.size == len(MAGIC)

    def begin_anew(self) -> None:
        """Replace all records by one `Begun`, which keeps how far each source was fed.

        The file is replaced at once: a process that is killed meanwhile leaves the old journal.
        """
        begun = Begun(
            origin=self.size,
            sources=[*self.sources.values()],
            fed={str(number): fed.stretches for number, fed in self.fed.items()},
            asked_n=self._asked_n,
            ends=self._ends,
        )
        path = self.path.with_name(f"{self.path.name}.new")
        with path.open("wb", buffering=0) as file:
            write_all(file, MAGIC + _frame_body(_ENCODER.encode(begun)), path)
            os.fsync(file.fileno())
        path.replace(self.path)
        self._file.close()
        self._file = self.path.open("a+b", buffering=0)
        self.last = {}
        self._open_file(is_read_only=False)

    def read_records(self, start: int = 0) -> Iterator[tuple[Record, int]]:
        """Yield each record from byte `start` on, and the byte at which it ends."""
        origin = self.origin
        start = max(start - origin, len(MAGIC))
        with self.path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise BadInput(f"{self.path} is not a journal of this version of Headrace")
            end = file.seek(0, os.SEEK_END)
            file.seek(start)
            while start < end:
                head = file.read(_HEAD_BYTES)
                has_head = head == _make_head(head[:4], head[8:])
                length = int.from_bytes(head[:4], "little") if has_head else 0
                body = file.read(length)
                if not has_head or head[8:] != _make_checksum(body):
                    # After a loss of power, the end of a file may hold nothing but zeros.
                    if len(head) < _HEAD_BYTES or not file.read(1 << 16).strip(b"\0"):
                        return
                    raise BadInput(
                        f"{self.path} is damaged at byte {start} of {end}; put back a copy of it, "
                        "or start with another --state"
                    )
                start += _HEAD_BYTES + length
                record = _DECODER.decode(body)
                if isinstance(record, Begun):
                    origin = record.origin
                yield record, origin + start

    def append(self, record: Record) -> None:
        """Append a record; when this returns it survives the death of the process.

        An `Asked` of more than `BODY_BYTES_MAX` bytes is left out.
        """
        body = _ENCODER.encode(record)
        if isinstance(record, Asked) and len(body) > BODY_BYTES_MAX:
            return  # A replay decides it again from the other records.
        if len(body) > BODY_BYTES_MAX:
            raise BrokenInvariant(f"a journal record of {len(body)} bytes")
        self._write_record(_frame_body(body))
        self.size += _HEAD_BYTES + len(body)
        self._note_record(record)

    def number_source(self, kind: Kind, path: str) -> int:
        """Return the number of a source; a new source is recorded first."""
        for number, known in self.sources.items():
            if (known.kind, known.path) == (kind, path):
                return number
        number = len(self.sources)
        self.append(Source(number=number, kind=kind, path=path))
        return number

    def sync(self) -> None:
        """Make all that was written survive a loss of power."""
        with name_file_in_errors(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def _open_file(self, is_read_only: bool) -> None:
        if not is_read_only and os.fstat(self._file.fileno()).st_size < len(MAGIC):
            self._file.truncate(0)
            self._write_record(MAGIC)
        for record, end in self.read_records():
            self._note_record(record)
            self.size = end
        if not is_read_only:
            self._file.truncate(self.size - self.origin)

    def _write_record(self, content: bytes) -> None:
        write_all(self._file, content, self.path)

    def _note_record(self, record: Record) -> None:
        if isinstance(record, Source):
            self.sources[record.number] = record
            self.fed[record.number] = Spans()
        elif isinstance(record, Span):
            self.fed[record.source].add(record.start, record.stop)
            self.last[record.source] = record
        elif isinstance(record, Asked):
            self._asked_n += 1
            self._ends = record.ends
        elif isinstance(record, Begun):
            self.origin, self._asked_n, self._ends = record.origin, record.asked_n, record.ends
            self.sources = {source.number: source for source in record.sources}
            self.fed, self.begun = _spans_of(record.fed), _spans_of(record.fed)


def pair_asked(
    records: Iterable[tuple[Record, int]],
) -> Iterator[tuple[Record, int, Asked | None]]:
    """Yield each record, the byte at which it and its `Asked` end, and that `Asked`.

    The last is None where a record led to nothing, or where an older version or a kill left its
    `Asked` out.
    """
    waiting: tuple[Record, int] | None = None
    for record, end in records:
        if not isinstance(record, Asked):
            if waiting is not None:
                yield *waiting, None
            waiting = record, end
        elif waiting is not None:
            yield waiting[0], end, record
            waiting = None
    if waiting is not None:
        yield *waiting, None


class Spans:
    """The bytes of a source that were fed, as stretches that don't touch each other.

    >>> fed = Spans()
    >>> for start, stop in [(0, 10), (20, 30), (10, 15)]:
    ...     fed.add(start, stop)
    >>> fed.first_gap, 14 in fed, 15 in fed, 20 in fed
    (15, True, False, True)
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []

    @property
    def first_gap(self) -> int:
        """The first byte that was not fed."""
        return self._stops[0] if self._starts and self._starts[0] == 0 else 0

    @property
    def stretches(self) -> list[tuple[int, int]]:
        """The first byte of each stretch, and the byte behind its last."""
        return list(zip(self._starts, self._stops, strict=True))

    def __contains__(self, position: int) -> bool:
        i = bisect_right(self._starts, position) - 1
        return i >= 0 and position < self._stops[i]

    def add(self, start: int, stop: int) -> None:
        """Add bytes [start, stop), none of which may have been added before."""
        i = bisect_right(self._starts, start)
        if i > 0 and self._stops[i - 1] == start:
            i -= 1
            self._stops[i] = stop
        else:
            self._starts.insert(i, start)
            self._stops.insert(i, stop)
        if i + 1 < len(self._starts) and self._starts[i + 1] == stop:
            del self._starts[i + 1]
            self._stops[i] = self._stops.pop(i + 1)


def _spans_of(fed: Mapping[str, Iterable[tuple[int, int]]]) -> dict[int, Spans]:
    spans = {int(number): Spans() for number in fed}
    for number, stretches in fed.items():
        for start, stop in stretches:
            spans[int(number)].add(start, stop)
    return spans


def hash_content(content: bytes) -> str:
    """Return the XXH3-64 of some bytes, by which a change of a source is noticed."""
    return xxhash.xxh3_64_hexdigest(content)


def _frame_body(body: bytes) -> bytes:
    return _make_head(len(body).to_bytes(4, "little"), _make_checksum(body)) + body


def _make_head(length: bytes, checksum: bytes) -> bytes:
    return length + xxhash.xxh32_digest(length) + checksum


def _make_checksum(body: bytes) -> bytes:
    return xxhash.xxh3_64_digest(body)
