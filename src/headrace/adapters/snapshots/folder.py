"""Where the snapshots of one series are: what is asked of a folder, and folders of this machine.

This module knows names and bytes. Numbers, signatures and what to keep are `snapshots`; folders
elsewhere are `snapshots.remote`.
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
"""What a snapshot begins with."""

SNAPSHOT_BYTES_MAX = 1 << 30

LEFT_OVER = re.compile(r"\.snapshot-.*\.tmp")
"""Names of files that are being written, or that a killed write left."""

_URL = re.compile(r"(?P<protocol>[A-Za-z][\w+.-]+):/(?P<rest>/.+)?")
_LOCAL = ("file", "local")


class Unreachable(OSError):  # noqa: N818 - what has happened to the folder, not to the program
    """A folder elsewhere did not do what was asked, for now or for good; the text says what."""


class Folder(Protocol):
    """What a store needs of a folder. `shown` is where it is, for people.

    Each raises `OSError` if it can't, and a remote folder `Unreachable`.
    """

    shown: str

    def read(self, name: str) -> bytes:
        """A file's content. `FileNotFoundError` if there is none of that name, `BadInput` if it can
        be none of ours, such as one of more than `SNAPSHOT_BYTES_MAX` bytes."""

    def write_whole(self, name: str, content: bytes) -> bool:
        """Put a file in place, at once and to last; in the place of one of that name, if any.

        False if something else is there when it is looked at again. `FileNotFoundError` if another
        took it away meanwhile: worth a second attempt.
        """

    def names(self) -> list[str]:
        """Names of all files, of folders perhaps too, in any order."""

    def remove(self, name: str) -> None:
        """Remove a file, or find that it is gone."""


class LocalFolder:
    """A folder of this machine, made if need be: mode 0700, files 0600, made to survive a loss of
    power.
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

    def names(self) -> list[str]:
        return [path.name for path in self.path.iterdir()]

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)


def local_path(place: str | Path) -> Path | None:
    """The folder, if the place is one of this machine; `None` for the URL of another.

    Raises `BadSettings` for a URL that is cut, chained, or may hold a secret.

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
    """The content of a regular file of at most `SNAPSHOT_BYTES_MAX` bytes with this beginning.

    Whoever may write into the folder, without a key, can neither make us wait nor take our memory.
    Raises `BadInput` for what is something else, before anything but the beginning is read.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BadInput("a link; must be a regular file") from error
        raise
    found = os.fstat(number)
    if not stat.S_ISREG(found.st_mode):
        os.close(number)
        raise BadInput("not a regular file")
    with os.fdopen(number, "rb") as file:
        if found.st_size > SNAPSHOT_BYTES_MAX:
            raise BadInput(f"{found.st_size} bytes; no snapshot has over {SNAPSHOT_BYTES_MAX}")
        beginning = file.read(len(starts_with))
        if beginning != starts_with:
            raise BadInput("not a snapshot, or cut short")
        return beginning + file.read(found.st_size)


def check_size(name: str, content: bytes) -> None:
    """Raise `OSError` for what would not be read again because it is too large."""
    if len(content) > SNAPSHOT_BYTES_MAX:
        raise OSError(errno.EFBIG, f"a snapshot of more than {SNAPSHOT_BYTES_MAX} bytes", name)


def make_folder(folder: Path) -> Path:
    """The folder, made for its owner alone if it is not there."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)
    return folder


def write_first(path: Path, content: bytes) -> None:
    """Put a file of mode 0600 in place unless there is one: of many who try, one does."""
    temporary = _write_synced(path.parent, f".{path.name}-", content)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    except OSError:
        # A file system without hard links; there, of two at once the last one does.
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def _write_synced(folder: Path, prefix: str, content: bytes) -> Path:
    """A temporary file of mode 0600 that survives a loss of power, yet without its name."""
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
