"""The keys of snapshots: where they are read from, and which of them signs.

This module signs nothing. No `repr`, log or error shows a key.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import BadSettings
from .folder import local_path, make_folder, write_first

KEY_ENV = "HEADRACE_SNAPSHOT_KEY"
KEY_FILE_ENV = "HEADRACE_SNAPSHOT_KEY_FILE"
OLD_KEYS_FILE_ENV = "HEADRACE_SNAPSHOT_OLD_KEYS_FILE"
KEY_BYTES_MIN = 32
KEY_ID_BYTES = 8
OWN_KEY_FILE = "snapshot.key"
_KEY_FILE_BYTES_MAX = 1 << 16


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The key that signs, and old keys that only verify, for the time when a key is replaced.

    Raises `BadSettings` for a key under 32 bytes.

    >>> Keys(b"n" * 32, old=(b"o" * 32,))
    Keys(signing '59814d8e7915b19f', 1 old)
    """

    signing: bytes
    old: tuple[bytes, ...] = field(default=())

    def __post_init__(self) -> None:
        for key in self:
            key_id(key)

    def __iter__(self) -> Iterator[bytes]:
        yield self.signing
        yield from self.old

    def __repr__(self) -> str:
        return f"Keys(signing {self.signing_id!r}, {len(self.old)} old)"

    @property
    def signing_id(self) -> str:
        return key_id(self.signing)

    def find(self, wanted_id: str) -> bytes | None:
        """Return the key with this id; `None` if it is not among these."""
        return next((key for key in self if key_id(key) == wanted_id), None)


def load_keys(place: str | Path, *, makes_key: bool = True) -> Keys:
    """Return the keys for a place of snapshots; read them once for all series in it.

    The key that signs is from `HEADRACE_SNAPSHOT_KEY`, or the file that
    `HEADRACE_SNAPSHOT_KEY_FILE` names. Without either, a local folder has its own in its file
    `snapshot.key`, which is created with a new key where it is missing and `makes_key` is true.
    Such a key verifies no file from elsewhere, and everybody who can read the folder can sign: to
    guard against them, keep the key outside. The old keys are the lines of the file that
    `HEADRACE_SNAPSHOT_OLD_KEYS_FILE` names.

    Raises `BadSettings` if both variables are set, if neither is and the place is remote, if there
    is no key and `makes_key` is false, if a file can't be read, a key is shorter than 32 bytes, or
    the file in the folder is a link, another user's, or readable by others.
    """
    signing = _key_of_environment()
    return Keys(_key_of_folder(place, makes_key) if signing is None else signing, _old_keys())


def given_keys() -> Keys:
    """Return the keys that the environment names, and no others: for files from elsewhere.

    Raises `BadSettings` if it names none, or one that can't be used.
    """
    key = _key_of_environment()
    if key is None:
        raise BadSettings(
            f"neither {KEY_ENV} nor {KEY_FILE_ENV} is set, so no signature can be verified; give "
            f"the key of the run: what it had there, or else {OWN_KEY_FILE} in its snapshots"
        )
    return Keys(key, _old_keys())


def _key_of_environment() -> bytes | None:
    text, file = os.environ.get(KEY_ENV), os.environ.get(KEY_FILE_ENV)
    if text is not None and file is not None:
        raise BadSettings(f"{KEY_ENV} and {KEY_FILE_ENV} are both set; unset one of them")
    if text is not None:
        return text.strip().encode()
    return None if file is None else _read_key_file(Path(file), KEY_FILE_ENV).strip()


def _old_keys() -> tuple[bytes, ...]:
    old = os.environ.get(OLD_KEYS_FILE_ENV)
    return () if old is None else tuple(_read_key_file(Path(old), OLD_KEYS_FILE_ENV).split())


def key_id(key: bytes) -> str:
    """Return the id of a key: 16 hexadecimal digits, which reveal nothing about the key.

    Raises `BadSettings` for a key under 32 bytes.
    """
    if len(key) < KEY_BYTES_MIN:
        raise BadSettings(
            f"the snapshot key has {len(key)} bytes; must have at least {KEY_BYTES_MIN}, "
            "such as `openssl rand -hex 32` gives"
        )
    return hmac.digest(key, b"headrace snapshot key id", "sha256")[:KEY_ID_BYTES].hex()


def _read_key_file(path: Path, named_by: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_KEY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise BadSettings(f"{named_by} names {path}, which can't be read: {error}") from error
    if len(content) > _KEY_FILE_BYTES_MAX:
        raise BadSettings(
            f"{named_by} names {path}, which has over {_KEY_FILE_BYTES_MAX} bytes: no file of keys"
        )
    return content


def _key_of_folder(place: str | Path, makes_key: bool) -> bytes:
    folder = local_path(place)
    if folder is None:
        raise BadSettings(
            f"{place} holds no key of its own, or whoever can write there could sign; set "
            f"{KEY_ENV} or {KEY_FILE_ENV}, the same for all workers (`openssl rand -hex 32`)"
        )
    if not makes_key and not os.path.lexists(folder / OWN_KEY_FILE):
        raise BadSettings(
            f"{folder} has no {OWN_KEY_FILE}: nothing was ever saved there. See worker.snapshots, "
            f"which goes from the folder of the settings' file, or set {KEY_ENV}"
        )
    path = make_folder(folder) / OWN_KEY_FILE
    if not os.path.lexists(path):
        # Of two processes that start at once, one creates the key and both read it.
        write_first(path, secrets.token_bytes(KEY_BYTES_MIN).hex().encode())
    # Somebody else may have put the file there: with a key of theirs, or as a pipe without end.
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise BadSettings(f"the key {path} is no regular file; remove it, and one is made")
    if os.name == "posix" and status.st_uid not in (0, os.geteuid()):
        raise BadSettings(f"the key {path} is another user's; remove it, or chown it")
    if os.name == "posix" and stat.S_IMODE(status.st_mode) & 0o077:
        raise BadSettings(f"others may read the key {path}; make a new one, or chmod 600 it")
    return _read_key_file(path, "the folder of snapshots").strip()
