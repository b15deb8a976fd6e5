"""Snapshots as files: signed, numbered, written whole or not at all.

This module does not know what a snapshot holds: `frozen` makes the bytes and reads them. It sees to
it that nothing of a file is looked at before its signature is verified, because to read a state is
to trust whoever wrote it. One process writes to a folder.

A file is: magic, id of the key (8 bytes), length of the header (4 bytes), header (JSON), body, and
an HMAC-SHA256 (RFC 2104) of all before it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ..errors import BadInput, BadSettings

KEY_ENV = "HEADRACE_SNAPSHOT_KEY"
KEY_FILE_ENV = "HEADRACE_SNAPSHOT_KEY_FILE"
OLD_KEYS_FILE_ENV = "HEADRACE_SNAPSHOT_OLD_KEYS_FILE"
KEY_BYTES_MIN = 32
OWN_KEY_FILE = "snapshot.key"

_MAGIC = b"HRSNAP1\n"
_KEY_ID_BYTES = 8
_LENGTH_BYTES = 4
_TAG_BYTES = 32
_START_BYTES = len(_MAGIC) + _KEY_ID_BYTES + _LENGTH_BYTES
_TEMPORARY = ".snapshot-"
_NAME = re.compile(r"snapshot-(\d{12,})\.hr")


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    stream: str
    seq: int
    sha256: str
    positions: dict[str, int | str]
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A verified snapshot: the bytes of `frozen.freeze`, and where to go on in each input."""

    seq: int
    blob: bytes = field(repr=False)
    positions: dict[str, int | str]
    at: float | None
    path: Path


class SnapshotStore:
    """The snapshots of one stream in one folder.

    `key` signs; `old_keys` only verify, while keys are changed. Without a key, `load_key` and
    `load_old_keys` find them. `kept_n` is how many files are kept. The folder is made if need be,
    and what a killed write left in it is removed.

    `refused` says why `latest` passed over the files it passed over, one sentence each.

    Raises `BadSettings` for a key under 32 bytes or `kept_n` under 1.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = SnapshotStore(Path(folder), stream="clicks", key=b"k" * 32, kept_n=2)
    ...     path = store.write(7, b"state", {"events.jsonl": 1234})
    ...     found = store.latest()
    >>> path.name, found.blob, found.positions
    ('snapshot-000000000007.hr', b'state', {'events.jsonl': 1234})
    """

    def __init__(
        self,
        folder: Path,
        *,
        stream: str,
        key: bytes | None = None,
        old_keys: tuple[bytes, ...] = (),
        kept_n: int,
    ) -> None:
        if kept_n < 1:
            raise BadSettings(f"run.snapshots_kept is {kept_n}; must be above 0")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if key is None:
            key = load_key(folder)[1]
            old_keys += load_old_keys()
        self.folder = folder
        self.stream = stream
        self.kept_n = kept_n
        self.refused: list[str] = []
        self._key_id = key_id(key)
        self._keys = {key_id(each): each for each in (*old_keys, key)}
        for left_over in folder.glob(f"{_TEMPORARY}*.tmp"):
            left_over.unlink(missing_ok=True)

    def __repr__(self) -> str:
        return f"SnapshotStore({str(self.folder)!r}, stream={self.stream!r})"

    def write(
        self,
        seq: int,
        blob: bytes,
        positions: Mapping[str, int | str],
        *,
        at: float | None = None,
    ) -> Path:
        """Write snapshot number `seq`, then remove those that are more than `kept_n` back.

        `positions` says where to go on in each input, `at` is when (seconds since the epoch). When
        this returns, the file survives a loss of power. Raises `OSError` if it can't be written;
        the earlier snapshots are then still there.
        """
        if seq < 0:
            raise BadSettings(f"the number of a snapshot is {seq}; must be 0 or above")
        header = msgspec.json.encode(
            _Header(
                stream=self.stream,
                seq=seq,
                sha256=hashlib.sha256(blob).hexdigest(),
                positions=dict(positions),
                at=at,
            )
        )
        signed = b"".join(
            (
                _MAGIC,
                bytes.fromhex(self._key_id),
                len(header).to_bytes(_LENGTH_BYTES, "big"),
                header,
                blob,
            )
        )
        path = self.folder / f"snapshot-{seq:012d}.hr"
        _write_whole(path, signed + _tag(self._keys[self._key_id], signed))
        self._prune(seq)
        return path

    def latest(self, *, seq_min: int = 0) -> Snapshot | None:
        """The newest snapshot that is ours, whole and unaltered; `None` if there is none.

        `seq_min` is the least number that the caller knows was written: an older file that somebody
        put back is refused. Files that are refused stay where they are.
        """
        self.refused = []
        for seq, path in reversed(self._numbered()):
            try:
                if seq < seq_min:
                    raise BadInput(f"number {seq} is older than {seq_min}, which is known to exist")
                return self._read(path, seq)
            except (BadInput, OSError) as error:
                self.refused.append(f"{path.name}: {error}")
        return None

    def _read(self, path: Path, seq: int) -> Snapshot:
        content = path.read_bytes()
        if len(content) < _START_BYTES + _TAG_BYTES or not content.startswith(_MAGIC):
            raise BadInput("not a snapshot, or cut short")
        signed_by = content[len(_MAGIC) : len(_MAGIC) + _KEY_ID_BYTES].hex()
        key = self._keys.get(signed_by)
        if key is None:
            raise BadInput(f"signed with the key {signed_by}, which is not among ours")
        if not hmac.compare_digest(_tag(key, content[:-_TAG_BYTES]), content[-_TAG_BYTES:]):
            raise BadInput("altered or cut short: its signature does not fit")
        # From here on it is what a holder of the key wrote.
        end = _START_BYTES + int.from_bytes(
            content[_START_BYTES - _LENGTH_BYTES : _START_BYTES], "big"
        )
        try:
            header = msgspec.json.decode(content[_START_BYTES:end], type=_Header)
        except msgspec.DecodeError as error:
            raise BadInput(f"its header can't be read: {error}") from error
        blob = content[end:-_TAG_BYTES]
        if header.stream != self.stream:
            raise BadInput(f"of the stream {header.stream!r}; this one is {self.stream!r}")
        if header.seq != seq:
            raise BadInput(f"renamed: it was written as number {header.seq}")
        if hashlib.sha256(blob).hexdigest() != header.sha256:
            raise BadInput("its body is not the one its header describes")
        return Snapshot(seq, blob, header.positions, header.at, path)

    def _numbered(self) -> list[tuple[int, Path]]:
        names = ((_NAME.fullmatch(path.name), path) for path in self.folder.iterdir())
        return sorted((int(match[1]), path) for match, path in names if match)

    def _prune(self, seq: int) -> None:
        # Higher numbers are left from before a restart further back; this run will pass them.
        written = [path for number, path in self._numbered() if number <= seq]
        for path in written[: -self.kept_n]:
            path.unlink(missing_ok=True)


# -------------------------------------------------------------------------------------- keys


def load_key(folder: Path) -> tuple[str, bytes]:
    """The id of the key that signs, and the key.

    From `HEADRACE_SNAPSHOT_KEY` or the file named by `HEADRACE_SNAPSHOT_KEY_FILE`; otherwise from
    `snapshot.key` in `folder`, which is made with a fresh key at first. A key made there verifies
    no file from elsewhere, and whoever can read the folder can sign: to guard against them, keep
    the key outside.

    Raises `BadSettings` if both variables are set, the file can't be read, the key is shorter than
    32 bytes, or others may read the file in `folder`.
    """
    text, file = os.environ.get(KEY_ENV), os.environ.get(KEY_FILE_ENV)
    if text is not None and file is not None:
        raise BadSettings(f"{KEY_ENV} and {KEY_FILE_ENV} are both set; unset one of them")
    if text is not None:
        key = text.strip().encode()
    elif file is not None:
        key = _read_key_file(Path(file), KEY_FILE_ENV).strip()
    else:
        key = _own_key(folder / OWN_KEY_FILE)
    return key_id(key), key


def load_old_keys() -> tuple[bytes, ...]:
    """Keys that only verify: lines of the file that `HEADRACE_SNAPSHOT_OLD_KEYS_FILE` names.

    Raises `BadSettings` if it can't be read.
    """
    file = os.environ.get(OLD_KEYS_FILE_ENV)
    return () if file is None else tuple(_read_key_file(Path(file), OLD_KEYS_FILE_ENV).split())


def key_id(key: bytes) -> str:
    """Which key it is, in 16 hexadecimal digits that say nothing about it.

    Raises `BadSettings` for a key under 32 bytes.
    """
    if len(key) < KEY_BYTES_MIN:
        raise BadSettings(
            f"the snapshot key has {len(key)} bytes; must have at least {KEY_BYTES_MIN}, "
            "such as `openssl rand -hex 32` gives"
        )
    return _tag(key, b"headrace snapshot key id")[:_KEY_ID_BYTES].hex()


def _tag(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256")


def _read_key_file(path: Path, named_by: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadSettings(f"{named_by} names {path}, which can't be read: {error}") from error


def _own_key(path: Path) -> bytes:
    if not path.exists():
        _write_whole(path, secrets.token_bytes(KEY_BYTES_MIN).hex().encode())
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise BadSettings(f"others may read the key {path}; make a new one, or chmod 600 it")
    return _read_key_file(path, "the folder of snapshots").strip()


# ------------------------------------------------------------------------------------- files


def _write_whole(path: Path, content: bytes) -> None:
    """Put a file of mode 0600 in place, at once and to last."""
    number, name = tempfile.mkstemp(prefix=_TEMPORARY, suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename last; only POSIX systems can, and need to."""
    if os.name != "posix":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
