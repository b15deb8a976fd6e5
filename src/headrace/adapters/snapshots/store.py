"""Snapshots as files: signed, numbered, written whole or not at all; here or in an object store.

This module does not know what a snapshot holds: `frozen` makes the bytes and reads them. It decodes
no part of a file before its signature is verified, because to read a state is to trust whoever
wrote it. `snapshots.folder` and `snapshots.remote` bring the bytes to a folder.

A file is: magic, id of the key (8 bytes), length of the header (4 bytes), header (JSON), body, and
an HMAC-SHA256 (RFC 2104) of everything before it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ...errors import BadInput, BadSettings
from .folder import (
    LEFT_OVER,
    MAGIC,
    Folder,
    FolderUnreachable,
    LocalFolder,
    local_path,
    read_regular,
)
from .keys import KEY_ID_BYTES, Keys, load_keys
from .remote import RemoteFolder

__all__ = ["FolderUnreachable", "Keys", "Snapshot", "SnapshotStore", "load_keys"]

_LENGTH_BYTES = 4
_TAG_BYTES = 32
_START_BYTES = len(MAGIC) + KEY_ID_BYTES + _LENGTH_BYTES
_NAME = re.compile(r"snapshot-(\d{12,})\.hr")
_ATTEMPTS_N = 2
_REFUSED_SHOWN_MAX = 10
_SERIES = re.compile(r"(?!snapshot)[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A verified snapshot. `seq` is its number, `blob` the bytes that `frozen.freeze` made.

    `positions` has the place at which to go on in each input, by its name. `at` is the time of the
    stream then, in seconds since the epoch, and `path` where it was read from, a path or a URL.
    """

    seq: int
    blob: bytes = field(repr=False)
    positions: dict[str, int | str]
    at: float | None
    path: str


class SnapshotStore:
    """The snapshots of one series of one stream: a folder here, or one that fsspec reaches.

    Two processes may write the same series, such as a worker that doesn't know yet that another has
    taken over: each file is whole, the highest number is the newest, and no process removes a
    number above its own. Methods may be called from any thread; they wait for disk or network.

    Args:
        place: A folder or a URL: `s3://bucket/prefix`, `gs://...`, `memory://...`; a `file://` is
            the folder it names.
        stream: The name of the stream, which stands in every file.
        series: One of many in a place, such as `shard-3`; it has its own folder below the place.
        keys: Sign and verify; by default from `load_keys`. Load them once for many series.
        kept_n: How many files are kept, at least 1.

    Attributes:
        newest: The path of the snapshot that was read or written last.
        refused: A sentence for each file that `read_latest` refused.
        not_removed: A sentence for each file that the last `write` could not remove.

    Raises:
        BadSettings: The place, series or `kept_n` is bad, a package is not installed, or keys can't
            be read.
        OSError: A folder can't be created.

    >>> import tempfile
    >>> keys = Keys(b"k" * 32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = SnapshotStore(folder, stream="clicks", series="shard-3", keys=keys, kept_n=2)
    ...     path = store.write(7, b"state", {"events.jsonl": 1234})
    ...     snapshot = store.read_latest()
    >>> path[-32:], snapshot.blob, snapshot.positions
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
        self._folder = _open_folder(place, series)
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
        oldest: int = 0,
    ) -> str:
        """Write a snapshot, then remove all up to it but the latest `kept_n`.

        By the return a local file survives a loss of power, and a remote one was read back.

        Args:
            seq: Its number, at least 0.
            blob: The frozen state.
            positions: The place at which to go on in each input.
            at: The stream's time, seconds since the epoch.
            oldest: Every number below it is removed too and, unless it is 0, each half-written file
                that was there at the `write` before: whoever began it was killed.

        Returns:
            The path or URL.

        Raises:
            BadSettings: The number is below 0.
            OSError: It can't be written, and the earlier ones are then still there, or one below
                `oldest` can't be removed; in a remote place `FolderUnreachable`.
        """
        if seq < 0:
            raise BadSettings(f"the number of a snapshot is {seq}; must be 0 or above")
        content = seal_snapshot(
            blob,
            stream=self.stream,
            series=self.series,
            seq=seq,
            said=positions,
            keys=self._keys,
            at=at,
        )
        self.not_removed = []
        # Half written when `read_latest` looked, and still here: the process that wrote it is dead.
        self._remove_files(self._left_over)
        self._left_over = []
        self._put_snapshot(seq, content)
        self._prune_old(seq, min(seq, oldest))
        self.newest = self._path_of(_make_name(seq))
        return self.newest

    def read_latest(
        self,
        read: Callable[[Snapshot], object] | None = None,
        *,
        seq_min: int = 0,
        before: int | None = None,
    ) -> Snapshot | None:
        """Read the newest snapshot that is ours, whole and unaltered. Refused files stay where they
        are.

        Args:
            read: Called with the snapshot; where it raises `BadInput`, the previous one is tried.
            seq_min: A number that the caller knows was written: an older file, which somebody may
                have put back, is refused.
            before: Only lower numbers are looked at.

        Returns:
            The snapshot; None if there is none.

        Raises:
            OSError: The folder can't be listed.
            FolderUnreachable: No snapshot passes, but one could not be read from the remote place
                just now.
        """
        self.refused = []
        tried: set[int] = set()
        unreachable: FolderUnreachable | None = None
        names = self._folder.list_names()
        self._left_over = [name for name in names if LEFT_OVER.fullmatch(name)]
        waiting = _select_numbers(names, before)
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
                if isinstance(error, FolderUnreachable):
                    unreachable = unreachable or error
            # Other processes may have written newer ones meanwhile, and removed these. We don't
            # list the folder after each refusal, for somebody may have put many bad files there.
            if is_gone or not waiting:
                numbers = _select_numbers(self._folder.list_names(), before)
                waiting = [number for number in numbers if number not in tried]
        if unreachable is not None:
            raise unreachable
        return None

    def read_positions(self) -> list[dict[str, int | str]]:
        """Read the `positions` of all snapshots.

        Returns:
            Those of all that are ours and whole, the oldest first.

        Raises:
            OSError: The folder can't be listed, or one can't be read; in a remote place
                `FolderUnreachable`.
        """
        found = []
        for seq in _select_numbers(self._folder.list_names(), None):
            # One that is gone was replaced by a newer one; nobody goes on from one that is refused.
            with suppress(FileNotFoundError, BadInput):
                found.append(self._read_snapshot(seq, 0).positions)
        return found

    def newest_seq(self) -> int:
        """Return the highest number of a file, whatever is in it; -1 if there is none."""
        return max(_parse_numbers(self._folder.list_names()), default=-1)

    def first_refused(self) -> list[str]:
        """Return the first ten sentences of `refused`, and one that counts the others."""
        more_n = len(self.refused) - _REFUSED_SHOWN_MAX
        more = [f"and {more_n} others"] if more_n > 0 else []
        return self.refused[:_REFUSED_SHOWN_MAX] + more

    def remove_before(self, seq: int) -> None:
        """Remove old snapshots, and files that killed processes left behind.

        Call it only where no other process writes the series.

        Args:
            seq: Every snapshot below this number is removed.

        Raises:
            OSError: A file can't be removed.
        """
        names = self._folder.list_names()
        for name in names:
            if LEFT_OVER.fullmatch(name):
                self._folder.remove(name)
        for number in _parse_numbers(names):
            if number < seq:
                self._folder.remove(_make_name(number))

    def clear(self) -> int:
        """Remove every snapshot, even those that `read_latest` refuses.

        Call it only where no other process writes the series.

        Returns:
            How many there were.

        Raises:
            OSError: One can't be removed, and may then still be read.
        """
        names = [_make_name(seq) for seq in _parse_numbers(self._folder.list_names())]
        for name in names:
            self._folder.remove(name)
        return len(names)

    def _put_snapshot(self, seq: int, content: bytes) -> None:
        for _ in range(_ATTEMPTS_N):
            try:
                if not self._folder.write_whole(_make_name(seq), content):
                    # Another process wrote this number just now, which is as good, or the file
                    # was cut short, which reading it shows.
                    self._read_snapshot(seq, seq)
                return
            except FileNotFoundError as error:
                # Another process removed it: as a left-over, or as too old beside its own.
                gone = error
            except BadInput as error:
                raise FolderUnreachable(
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

    def _prune_old(self, seq: int, oldest: int) -> None:
        try:
            names = self._folder.list_names()
        except OSError as error:
            if oldest:
                raise
            self.not_removed.append(f"what is old: {error}")
            return
        if oldest:
            # Not at once: whoever writes one now goes on. That of a killed process is there again.
            self._left_over = [name for name in names if LEFT_OVER.fullmatch(name)]
        numbers = _parse_numbers(names)
        for number in sorted(numbers):
            if number < oldest:
                self._folder.remove(_make_name(number))
        # Higher numbers are another process's, or from before a restart that went further back;
        # this one will reach and replace the latter.
        written = sorted(number for number in numbers if oldest <= number <= seq)
        self._remove_files([_make_name(number) for number in written[: -self.kept_n]])

    def _remove_files(self, names: list[str]) -> None:
        for name in names:
            try:
                self._folder.remove(name)
            except OSError as error:
                self.not_removed.append(f"{name}: {error}")


def series_in(place: str | Path) -> list[str]:
    """Return the names of the series in a place of snapshots, and of other files there, in order.

    Raises `BadSettings` for a bad place, `OSError` if it can't be listed.
    """
    return sorted(_open_folder(place, "").list_names())


def seal_snapshot(
    blob: bytes,
    *,
    stream: str,
    series: str,
    seq: int,
    said: Mapping[str, int | str],
    keys: Keys,
    at: float | None = None,
) -> bytes:
    """Return the bytes of a signed file, in a store or outside any.

    `blob` is its body; `stream`, `series`, `seq` and `at` stand in its header, as does `said` under
    the name `positions`. The first of `keys` signs it.
    """
    header = msgspec.json.encode(
        _Header(
            stream=stream,
            series=series,
            seq=seq,
            sha256=hashlib.sha256(blob).hexdigest(),
            positions=dict(said),
            at=at,
        )
    )
    key_id, length = bytes.fromhex(keys.signing_id), len(header).to_bytes(_LENGTH_BYTES, "big")
    signed = b"".join((MAGIC, key_id, length, header, blob))
    return signed + _make_tag(keys.signing, signed)


def read_sealed(path: Path, *, series: str, keys: Keys) -> Snapshot:
    """Read a file that `seal_snapshot` made, once its signature is verified.

    Raises `BadInput` for a file that is damaged, of another series, or signed by another key, and
    `OSError` if it can't be read.
    """
    header, blob = _verify_file(read_regular(path, starts_with=MAGIC), keys)
    if header.series != series:
        raise BadInput(f"{path}: of the series {header.series!r}; {series!r} is wanted")
    return Snapshot(header.seq, blob, header.positions, header.at, str(path))


def _open_folder(place: str | Path, series: str) -> Folder:
    path = local_path(place)
    return RemoteFolder(str(place), series) if path is None else LocalFolder(path, series)


def _make_name(seq: int) -> str:
    return f"snapshot-{seq:012d}.hr"


def _parse_numbers(names: list[str]) -> set[int]:
    """Return the numbers of the files that are named exactly as snapshots are."""
    numbered = ((int(match[1]), name) for name in names if (match := _NAME.fullmatch(name)))
    return {seq for seq, name in numbered if name == _make_name(seq)}


def _select_numbers(names: list[str], before: int | None) -> list[int]:
    """Return the numbers of snapshots that are below `before`, if it is one, in order."""
    return sorted(seq for seq in _parse_numbers(names) if before is None or seq < before)


# ------------------------------------------------------------------------------- the envelope


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    stream: str
    series: str = ""
    seq: int
    sha256: str
    positions: dict[str, int | str]
    at: float | None = None


def _verify_file(content: bytes, keys: Keys) -> tuple[_Header, bytes]:
    """Return header and body of a file. Raises `BadInput` unless one of our keys signed it all."""
    if len(content) < _START_BYTES + _TAG_BYTES or not content.startswith(MAGIC):
        raise BadInput("not a snapshot, or cut short")
    signed_by = content[len(MAGIC) : len(MAGIC) + KEY_ID_BYTES].hex()
    key = keys.find(signed_by)
    if key is None:
        raise BadInput(f"signed with the key {signed_by}, which is not among ours")
    if not hmac.compare_digest(_make_tag(key, content[:-_TAG_BYTES]), content[-_TAG_BYTES:]):
        raise BadInput("altered or cut short: its signature does not fit")
    # From here on, a holder of the key wrote the bytes.
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
