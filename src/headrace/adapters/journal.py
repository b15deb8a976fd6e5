"""The journal: what an engine was fed, and in which order, written before anything is let out.

It does not hold events or answers but says where they stand: bytes [start, stop) of a source, and
a digest of them. Ticks and finished retrainings stand in it themselves. From the journal and its
sources every decision follows again. What a record led to is written behind it, before it is let
out: on another machine the record wins (`query.record`).

A file is a magic of 8 bytes, then records: length of the body (4 bytes, little-endian), XXH32 of
these (4 bytes), XXH3-64 of the body (8 bytes), body (JSON). A process that is killed leaves at most
the beginning of a record at the end, which is dropped when the journal is opened again: nothing
followed from it yet. Damage anywhere else is refused.
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
    """A file that spans refer to by `number`. A relative path is in the folder of the run."""

    number: int
    kind: Kind
    path: str


class Span(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Bytes [start, stop) of a source, whole lines, with the XXH3-64 of them."""

    source: int
    start: int
    stop: int
    digest: str


class Ticked(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The clock was moved to `at`, seconds."""

    at: float


class Retrained(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A job came back; without an `error` its challenger is computed again in a replay."""

    job_id: int
    at: float
    error: str | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """What the record before led to: the requests that were asked, and the numbers behind each.

    `ends` are the bytes at which each of the run's outputs ends with it, `digests` are those of
    what was added. `rescored` is what was said of open questions.
    """

    ids: list[str]
    decided: list[Decided]
    ends: dict[str, int]
    digests: dict[str, str]
    rescored: list[RescoredThen] = []


class Begun(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The journal was begun anew here, byte `origin` of all that was ever recorded.

    What stood before is gone, as after an erasure; the state at this place is in a snapshot. `fed`
    has the stretches of each source that were fed before, by its number; there were `asked_n`
    records of what was asked, and the run's outputs ended at `ends`.
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
    """The journal of one run, open for appending, or with `is_read_only` as it is.

    `sources` holds what was recorded of each by its number, `fed` the bytes fed of it, `last` the
    latest span; `begun` is what was fed before it was begun anew. Places in a journal are bytes of
    all that was ever recorded; `origin` is that of its file, above 0 where it was begun anew.
    Raises `BadInput` for a file that is no journal, or damaged before its end.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "journal"
    >>> journal = Journal(path)
    >>> number = journal.source("events", "/logs/events.jsonl")
    >>> journal.append(Span(source=number, start=0, stop=70, digest=digest(b"...")))
    >>> journal.close()
    >>> journal = Journal(path, is_read_only=True)
    >>> [record.stop for record, _ in journal.records() if isinstance(record, Span)]
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
        """Nothing was ever recorded."""
        return self.size == len(MAGIC)

    def begin_anew(self) -> None:
        """Leave nothing of what was recorded, but for how far each source was fed.

        The whole of it, at once: whoever is killed meanwhile finds the journal as it was.
        """
        begun = Begun(
            origin=self.size,
            sources=[*self.sources.values()],
            fed={str(number): fed.stretches for number, fed in self.fed.items()},
            asked_n=self._asked_n,
            ends=self._ends,
        )
        made = self.path.with_name(f"{self.path.name}.new")
        with made.open("wb", buffering=0) as file:
            write_all(file, MAGIC + _frame_body(_ENCODER.encode(begun)), made)
            os.fsync(file.fileno())
        made.replace(self.path)
        self._file.close()
        self._file = self.path.open("a+b", buffering=0)
        self.last = {}
        self._open_file(is_read_only=False)

    def records(self, start: int = 0) -> Iterator[tuple[Record, int]]:
        """Each record from byte `start` on, and the byte at which it ends."""
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
        """Write a record; when this returns it survives the death of the process."""
        body = _ENCODER.encode(record)
        if isinstance(record, Asked) and len(body) > BODY_BYTES_MAX:
            return  # It is decided again by whoever reads the rest.
        if len(body) > BODY_BYTES_MAX:
            raise BrokenInvariant(f"a journal record of {len(body)} bytes")
        self._write_record(_frame_body(body))
        self.size += _HEAD_BYTES + len(body)
        self._note_record(record)

    def source(self, kind: Kind, path: str) -> int:
        """The number of a source, which is recorded if it is new."""
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
        for record, end in self.records():
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
    """Each record of a journal with what it led to, and the byte at which both end.

    None where it led to nothing, or a version of before or a kill left that out.
    """
    held: tuple[Record, int] | None = None
    for record, end in records:
        if not isinstance(record, Asked):
            if held is not None:
                yield *held, None
            held = record, end
        elif held is not None:
            yield held[0], end, record
            held = None
    if held is not None:
        yield *held, None


class Spans:
    """Bytes that were fed of a source, as stretches that don't touch.

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
        """Where each stretch begins and ends."""
        return list(zip(self._starts, self._stops, strict=True))

    def __contains__(self, position: int) -> bool:
        i = bisect_right(self._starts, position) - 1
        return i >= 0 and position < self._stops[i]

    def add(self, start: int, stop: int) -> None:
        """Note bytes [start, stop), none of which were noted before."""
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
    found = {int(number): Spans() for number in fed}
    for number, stretches in fed.items():
        for start, stop in stretches:
            found[int(number)].add(start, stop)
    return found


def digest(content: bytes) -> str:
    """What tells whether bytes of a source are still the same."""
    return xxhash.xxh3_64_hexdigest(content)


def _frame_body(body: bytes) -> bytes:
    return _make_head(len(body).to_bytes(4, "little"), _make_checksum(body)) + body


def _make_head(length: bytes, checksum: bytes) -> bytes:
    return length + xxhash.xxh32_digest(length) + checksum


def _make_checksum(body: bytes) -> bytes:
    return xxhash.xxh3_64_digest(body)
