"""Where the snapshots of one series are: the interface of a folder, and folders of this machine.

This module knows names and bytes. `snapshots.store` knows numbers, signatures and which snapshots
to keep; `snapshots.remote` has the folders elsewhere.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ...errors import BadInput, BadSettings
from ..jsonl import name_file_in_errors, sync_folder

MAGIC = b"HRSNAP1\n"
"""The first bytes of every snapshot."""

SNAPSHOT_BYTES_MAX = 1 << 30

LEFT_OVER = re.compile(r"\.snapshot-.*\.tmp")
"""Names of files that are being written, or that a killed process left behind."""

_URL = re.compile(r"(?P<protocol>[A-Za-z][\w+.-]+):/(?P<rest>/.+)?")
_LOCAL = ("file", "local")


class FolderUnreachable(OSError):  # noqa: N818 - what has happened to the folder, not to the program
    """A remote folder failed, for now or for good; the text says at what."""


class Folder(Protocol):
    """What a store needs of a folder. `shown` is its path or URL, for people.

    A method that fails raises `OSError`, in a remote folder `FolderUnreachable`.
    """

    shown: str

    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises `FileNotFoundError` if there is none, `BadInput` if
        it can't be a snapshot, such as one of more than `SNAPSHOT_BYTES_MAX` bytes."""

    def write_whole(self, name: str, content: bytes) -> bool:
        """Write a file atomically and durably; replace the one of that name, if any.

        Returns False if the file is another one when it is read back. Raises `FileNotFoundError` if
        another process removed it meanwhile; a second attempt may help.
        """

    def list_names(self) -> list[str]:
        """Return the names of all files, and perhaps of folders too, in any order."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


class LocalFolder:
    """A folder of this machine, created if need be: mode 0700, its files 0600.

    `series` is the name of a folder in `root`. What is written survives a loss of power.
    """

    def __init__(self, root: Path, series: str) -> None:
        make_folder(root)
        self.path = make_folder(root / series)
        self.shown = str(self.path)

    def read(self, name: str) -> bytes:
        return read_regular(self.path / name, starts_with=MAGIC)

    def write_whole(self, name: str, content: bytes) -> bool:
        check_size(name, content)
        temporary = _write_synced(self.path, ".snapshot-", content)
        try:
            temporary.replace(self.path / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(self.path)
        return True

    def list_names(self) -> list[str]:
        return [path.name for path in self.path.iterdir()]

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)


def local_path(place: str | Path) -> Path | None:
    """Return the path of a place on this machine; `None` for the URL of a remote place.

    Raises `BadSettings` for a URL that is incomplete, chained, or may hold a secret.

    >>> local_path("state/snapshots").name, local_path("file:///var/lib/a%20b").name
    ('snapshots', 'a b')
    >>> local_path("s3://bucket/prefix") is None
    True
    >>> local_path("s3:/bucket/prefix")
    Traceback (most recent call last):
    headrace.errors.BadSettings: s3:/bucket/prefix is no folder and no URL; must be such as
    s3://bucket/prefix
    """
    text = str(place)
    match = _URL.match(text)
    if "::" in text and "://" in text:
        raise BadSettings(f"{text} is a chain of file systems; name one, as s3://bucket/prefix")
    if match is None:
        return Path(place)
    protocol = match["protocol"]
    if match["rest"] is None:
        raise BadSettings(
            f"{text} is no folder and no URL; must be such as {protocol}://bucket/prefix"
        )
    try:
        url = urlsplit(text)
    except ValueError as error:
        raise BadSettings(f"{text} is no URL: {error}") from error
    if url.password is not None or url.query or url.fragment:
        raise BadSettings(
            f"the {protocol}:// place of snapshots has a password, ? or # in it; give what is "
            "secret through the environment (docs/SNAPSHOTS.md)"
        )
    if protocol not in _LOCAL:
        return None
    if url.netloc not in ("", "localhost"):
        raise BadSettings(f"{text} names the host {url.netloc}; write {protocol}:///{url.netloc}")
    return Path(url2pathname(url.path))


def read_regular(path: Path, *, starts_with: bytes) -> bytes:
    """Return the content of a regular file of at most `SNAPSHOT_BYTES_MAX` bytes.

    Raises `BadInput` for any other file, and for one that does not begin with `starts_with`, before
    more than its beginning is read. So somebody who can write into the folder, but has no key, can
    neither make this process wait nor fill its memory.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BadInput("a link; must be a regular file") from error
        raise
    try:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            raise BadInput("not a regular file")
    except BaseException:
        os.close(number)
        raise
    with os.fdopen(number, "rb") as file:
        if status.st_size > SNAPSHOT_BYTES_MAX:
            raise BadInput(f"{status.st_size} bytes; no snapshot has over {SNAPSHOT_BYTES_MAX}")
        beginning = file.read(len(starts_with))
        if beginning != starts_with:
            raise BadInput("not a snapshot, or cut short")
        return beginning + file.read(status.st_size)


def check_size(name: str, content: bytes) -> None:
    """Raise `OSError` for content that is too large to be read again."""
    if len(content) > SNAPSHOT_BYTES_MAX:
        raise OSError(errno.EFBIG, f"a snapshot of more than {SNAPSHOT_BYTES_MAX} bytes", name)


def make_folder(folder: Path) -> Path:
    """Return the folder; if it does not exist, create it for its owner alone."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)
    return folder


def write_first(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 unless it exists; of several processes that try, one succeeds."""
    temporary = _write_synced(path.parent, f".{path.name}-", content)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    except OSError:
        # A file system without hard links: of two processes at once, the last one's file stays.
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def _write_synced(folder: Path, prefix: str, content: bytes) -> Path:
    """Write a temporary file of mode 0600 and sync it; it does not have its final name yet."""
    number, name = tempfile.mkstemp(prefix=prefix, suffix=".tmp", dir=folder)
    try:
        with name_file_in_errors(folder), os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)
