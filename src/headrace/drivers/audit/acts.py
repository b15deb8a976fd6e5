"""Acts of people and programs that no record of a run has: a chain of its own, by the day's clock.

Starts and ends of a run, snapshots, logins at a desk, tokens given and removed, orders over HTTP,
commands that make state anew, erasures. Any process may add to it, one at a time.
"""

from __future__ import annotations

import getpass
import os
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from ...adapters.chain import HashChain
from ...settings import Settings

ACTS, DECIDED = "acts", "decided"
"""The chains of an audit log: what people and programs did, and what the records say."""

FOLDER = "audit"
"""The folder of a log: in the run's folder, or beside the settings file of workers on Kafka."""


class Acts:
    """Adds acts to the log in a folder, if there is one.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> Acts(folder / "none").record("login", by="ann")
    >>> (folder / "none").exists()
    False
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    @property
    def is_kept(self) -> bool:
        return self.folder is not None and self.folder.is_dir()

    def record(self, what: str, **fields: Any) -> None:
        """Add one act; when this returns it survives a loss of power."""
        if self.folder is None or not self.folder.is_dir():
            return
        at = time.time()
        with closing(HashChain(self.folder, ACTS, mends=True, at=at)) as chain:
            chain.append([{"what": what, "at": at, "user": find_user(), **fields}], is_synced=True)


def open_worker_acts(path: Path | None, settings: Settings) -> Acts:
    """Return the acts beside the settings file of workers on Kafka, if `audit.is_kept` there."""
    if path is None or not settings.audit.is_kept:
        return Acts(None)
    folder = path.parent / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Acts(folder)


def find_user() -> str:
    """Return the name of this process's user, or the number if it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
