"""Snapshots as files: signed, numbered, written whole or not at all; here or in an object store.

This module does not know what a snapshot holds: `frozen` makes the bytes and reads them. It sees to
it that nothing of a file is looked at before its signature is verified, because to read a state is
to trust whoever wrote it. How bytes get to a folder is `snapshots.folder` and `snapshots.remote`.

A file is: magic, id of the key (8 bytes), length of the header (4 bytes), header (JSON), body, and
an HMAC-SHA256 (RFC 2104) of all before it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ...errors import BadInput, BadSettings
from .folder import LEFT_OVER, MAGIC, Folder, LocalFolder, Unreachable, local_path, read_regular
from .keys import KEY_ID_BYTES, Keys, load_keys
from .remote import RemoteFolder

__all__ = ["Keys", "Snapshot", "SnapshotStore", "Unreachable", "load_keys"]

_LENGTH_BYTES = 4
_TAG_BYTES = 32
_START_BYTES = len(MAGIC) + KEY_ID_BYTES + _LENGTH_BYTES
_NAME = re.compile(r"snapshot-(\d{12,})\.hr")
_ATTEMPTS_N = 2
_REFUSED_SHOWN_MAX = 10
_SERIES = re.compile(r"(?!snapshot)[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A verified snapshot: the bytes of `frozen.freeze`, and where to go on in each input.

    `path` is where it was read, a path or a URL.
    """

    seq: int
    blob: bytes = field(repr=False)
    positions: dict[str, int | str]
    at: float | None
    path: str


class SnapshotStore:
    """The snapshots of one series of one stream: a folder here, or one that fsspec reaches.

    `place` is a folder or a URL: `s3://bucket/prefix`, `gs://...`, `memory://...`; a `file://` is
    the folder it names. `series` is one of many in a place, such as `shard-3`, and has a folder of
    its own below it. `keys` sign and verify; without them `load_keys` finds them, which many series
    do once. `kept_n` is how many files are kept.

    Two processes may write the same series, such as a worker that doesn't know yet that another has
    taken over: each file is whole, the highest number is the newest, and none removes a number
    above its own. All methods may be called from any thread. They wait for the disk or the network.

    `newest` is the path of the snapshot that was read or written last. `refused` says why `latest`
    passed over the files it passed over, `not_removed` what the last `write` could not remove and
    why; one sentence each.

    Raises `BadSettings` for a place that is none, or needs a package that is not installed, a
    series that can't be a folder, keys that can't be had, or `kept_n` under 1; `OSError` for a
    folder that can't be made.

    >>> import tempfile
    >>> keys = Keys(b"k" * 32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = SnapshotStore(folder, stream="clicks", series="shard-3", keys=keys, kept_n=2)
    ...     path = store.write(7, b"state", {"events.jsonl": 1234})
    ...     found = store.latest()
    >>> path[-32:], found.blob, found.positions
    ('shard-3/snapshot-000000000007.hr', b'state', {'events.jsonl': 1234})
    """

    def __init__(
        self,
        place: str | Path,
        *,
        stream: str,
        series: str = "",
        keys: Keys | None = None,
        kept_n: int,
    ) -> None:
        if kept_n < 1:
            raise BadSettings(f"snapshots_kept is {kept_n}; must be above 0")
        if series and not _SERIES.fullmatch(series):
            raise BadSettings(
                f"the series of snapshots is {series!r}; must be 1 to 200 of A-Z a-z 0-9 . _ -, "
                "begin with a letter or digit, and not with snapshot"
            )
        self.stream = stream
        self.series = series
        self.kept_n = kept_n
        self.newest = ""
        self.refused: list[str] = []
        self.not_removed: list[str] = []
        self._keys = load_keys(place) if keys is None else keys
        self._folder = _opened_folder(place, series)
        self._left_over: list[str] = []

    def __repr__(self) -> str:
        return (
            f"SnapshotStore({self._folder.shown!r}, stream={self.stream!r}, series={self.series!r})"
        )

    def write(
        self,
        seq: int,
        blob: bytes,
        positions: Mapping[str, int | str],
        *,
        at: float | None = None,
    ) -> str:
        """Write snapshot number `seq`, then remove those that are more than `kept_n` back.

        `positions` says where to go on in each input, `at` is when (seconds since the epoch). When
        this returns, a path or a URL, the file survives a loss of power here and was read back
        there. Raises `OSError` if it can't be written, which is `Unreachable` for a remote place;
        the earlier snapshots are then still there.
        """
        if seq < 0:
            raise BadSettings(f"the number of a snapshot is {seq}; must be 0 or above")
        header = _Header(
            stream=self.stream,
            series=self.series,
            seq=seq,
            sha256=hashlib.sha256(blob).hexdigest(),
            positions=dict(positions),
            at=at,
        )
        self.not_removed = []
        # Half written when `latest` looked, and still: whoever wrote it is dead.
        self._remove_files(self._left_over)
        self._left_over = []
        self._put_snapshot(seq, _seal_blob(header, blob, self._keys))
        self._prune_old(seq)
        self.newest = self._path_of(_make_name(seq))
        return self.newest

    def latest(
        self, read: Callable[[Snapshot], object] | None = None, *, seq_min: int = 0
    ) -> Snapshot | None:
        """The newest snapshot that is ours, whole and unaltered; `None` if there is none.

        `read` makes of it what the caller wants; where it raises `BadInput`, the snapshot is passed
        over for the one before. `seq_min` is the least number that the caller knows was written: an
        older file that somebody put back is refused. Files that are refused stay where they are.

        Raises `OSError` if the folder can't be listed, and `Unreachable` if none passes but there
        is one that a remote place would not give out just now.
        """
        self.refused = []
        tried: set[int] = set()
        unreachable: Unreachable | None = None
        names = self._folder.names()
        self._left_over = [name for name in names if LEFT_OVER.fullmatch(name)]
        waiting = sorted(_parse_numbers(names))
        while waiting:
            seq = waiting.pop()
            tried.add(seq)
            is_gone = False
            try:
                snapshot = self._read_snapshot(seq, seq_min)
                if read is not None:
                    read(snapshot)
                self.newest = snapshot.path
                return snapshot
            except FileNotFoundError:
                self.refused.append(f"{_make_name(seq)}: gone since it was listed")
                is_gone = True
            except (BadInput, OSError) as error:
                self.refused.append(f"{_make_name(seq)}: {error}")
                if isinstance(error, Unreachable):
                    unreachable = unreachable or error
            # Meanwhile others may have written newer ones, and removed these. Not looked for after
            # each one refused, of which somebody may have put many there.
            if is_gone or not waiting:
                waiting = sorted(_parse_numbers(self._folder.names()) - tried)
        if unreachable is not None:
            raise unreachable
        return None

    def newest_seq(self) -> int:
        """The highest number that is there, whatever is in it; -1 if there is none."""
        return max(_parse_numbers(self._folder.names()), default=-1)

    def first_refused(self) -> list[str]:
        """The first ten of `refused`, and how many more there are."""
        more_n = len(self.refused) - _REFUSED_SHOWN_MAX
        more = [f"and {more_n} others"] if more_n > 0 else []
        return self.refused[:_REFUSED_SHOWN_MAX] + more

    def remove_before(self, seq: int) -> None:
        """Remove every snapshot below this number, and what killed writes left.

        For whoever knows that no other process writes the series. Raises `OSError` if one can't be
        removed.
        """
        names = self._folder.names()
        for name in names:
            if LEFT_OVER.fullmatch(name):
                self._folder.remove(name)
        for number in _parse_numbers(names):
            if number < seq:
                self._folder.remove(_make_name(number))

    def clear(self) -> int:
        """Remove every snapshot, those too that `latest` refuses; how many there were.

        For whoever knows that no other process writes the series. Raises `OSError` if one can't be
        removed: it may then still be found.
        """
        names = [_make_name(seq) for seq in _parse_numbers(self._folder.names())]
        for name in names:
            self._folder.remove(name)
        return len(names)

    def _put_snapshot(self, seq: int, content: bytes) -> None:
        for _ in range(_ATTEMPTS_N):
            try:
                if not self._folder.write_whole(_make_name(seq), content):
                    # Another wrote the same number just now, which is as good; or it was cut short.
                    self._read_snapshot(seq, seq)
                return
            except FileNotFoundError as error:
                # Another took it for a left-over; or it is further, and this one too old to keep.
                gone = error
            except BadInput as error:
                raise Unreachable(
                    f"{self._path_of(_make_name(seq))} is not as written: {error}"
                ) from error
        if self.newest_seq() <= seq:
            raise gone

    def _read_snapshot(self, seq: int, seq_min: int) -> Snapshot:
        if seq < seq_min:
            raise BadInput(f"number {seq} is older than {seq_min}, which is known to exist")
        name = _make_name(seq)
        header, blob = _verify_file(self._folder.read(name), self._keys)
        if header.stream != self.stream:
            raise BadInput(f"of the stream {header.stream!r}; this one is {self.stream!r}")
        if header.series != self.series:
            raise BadInput(f"of the series {header.series!r}; this one is {self.series!r}")
        if header.seq != seq:
            raise BadInput(f"renamed: it was written as number {header.seq}")
        return Snapshot(seq, blob, header.positions, header.at, self._path_of(name))

    def _path_of(self, name: str) -> str:
        return f"{self._folder.shown}/{name}"

    def _prune_old(self, seq: int) -> None:
        # Higher numbers are another's, or from before a restart further back and will be passed.
        try:
            numbers = _parse_numbers(self._folder.names())
        except OSError as error:
            self.not_removed.append(f"what is old: {error}")
        else:
            written = sorted(number for number in numbers if number <= seq)
            self._remove_files([_make_name(number) for number in written[: -self.kept_n]])

    def _remove_files(self, names: list[str]) -> None:
        for name in names:
            try:
                self._folder.remove(name)
            except OSError as error:
                self.not_removed.append(f"{name}: {error}")


def series_in(place: str | Path) -> list[str]:
    """The series that a place of snapshots has, and what else lies there, in order.

    Raises `BadSettings` for a place that is none, `OSError` if it can't be listed.
    """
    return sorted(_opened_folder(place, "").names())


def seal_snapshot(
    blob: bytes, *, stream: str, series: str, seq: int, said: Mapping[str, int | str], keys: Keys
) -> bytes:
    """The bytes of a signed file beside any store; `said` stands in its header as `positions`."""
    digest = hashlib.sha256(blob).hexdigest()
    header = _Header(stream=stream, series=series, seq=seq, sha256=digest, positions=dict(said))
    return _seal_blob(header, blob, keys)


def read_sealed(path: Path, *, series: str, keys: Keys) -> Snapshot:
    """What `seal_snapshot` gave, once its signature is verified. Raises `BadInput`, `OSError`."""
    header, blob = _verify_file(read_regular(path, starts_with=MAGIC), keys)
    if header.series != series:
        raise BadInput(f"{path}: of the series {header.series!r}; {series!r} is wanted")
    return Snapshot(header.seq, blob, header.positions, header.at, str(path))


def _opened_folder(place: str | Path, series: str) -> Folder:
    path = local_path(place)
    return RemoteFolder(str(place), series) if path is None else LocalFolder(path, series)


def _make_name(seq: int) -> str:
    return f"snapshot-{seq:012d}.hr"


def _parse_numbers(names: list[str]) -> set[int]:
    """The numbers of those that are named exactly as snapshots are."""
    found = ((int(match[1]), name) for name in names if (match := _NAME.fullmatch(name)))
    return {seq for seq, name in found if name == _make_name(seq)}


# ------------------------------------------------------------------------------- the envelope


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    stream: str
    series: str = ""
    seq: int
    sha256: str
    positions: dict[str, int | str]
    at: float | None = None


def _seal_blob(header: _Header, blob: bytes, keys: Keys) -> bytes:
    encoded = msgspec.json.encode(header)
    signed = b"".join(
        (
            MAGIC,
            bytes.fromhex(keys.signing_id),
            len(encoded).to_bytes(_LENGTH_BYTES, "big"),
            encoded,
            blob,
        )
    )
    return signed + _make_tag(keys.signing, signed)


def _verify_file(content: bytes, keys: Keys) -> tuple[_Header, bytes]:
    """Header and body of a file. Raises `BadInput` if one of our keys did not sign all of it."""
    if len(content) < _START_BYTES + _TAG_BYTES or not content.startswith(MAGIC):
        raise BadInput("not a snapshot, or cut short")
    signed_by = content[len(MAGIC) : len(MAGIC) + KEY_ID_BYTES].hex()
    key = keys.find(signed_by)
    if key is None:
        raise BadInput(f"signed with the key {signed_by}, which is not among ours")
    if not hmac.compare_digest(_make_tag(key, content[:-_TAG_BYTES]), content[-_TAG_BYTES:]):
        raise BadInput("altered or cut short: its signature does not fit")
    # From here on it is what a holder of the key wrote.
    end = _START_BYTES + int.from_bytes(content[_START_BYTES - _LENGTH_BYTES : _START_BYTES], "big")
    try:
        header = msgspec.json.decode(content[_START_BYTES:end], type=_Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"its header can't be read: {error}") from error
    blob = content[end:-_TAG_BYTES]
    if hashlib.sha256(blob).hexdigest() != header.sha256:
        raise BadInput("its body is not the one its header describes")
    return header, blob


def _make_tag(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256")
