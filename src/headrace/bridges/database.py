"""The SQLite files in which bridges remember: how one is opened, and how it is changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import BadInput


def open_database(
    path: Path,
    schema: str,
    *,
    version: int,
    fault: str,
    outlives_power: bool = True,
    upgrade: str = "",
) -> sqlite3.Connection:
    """An SQLite file with the tables of `schema`, made where it is new, that others can't read.

    `fault` says what is wrong with a file that is none: "is no desk's". With `outlives_power` a
    transaction that has ended survives a loss of power; tests need not wait for the disk. With
    `upgrade` a file of the version before is taken too, after these statements. Threads
    may share the connection, one at a time. Raises `BadInput` for a file that is not one, or of
    another version.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "new" / "notes.sqlite"
    >>> schema = "CREATE TABLE IF NOT EXISTS notes (note TEXT);"
    >>> db = open_database(path, schema, version=1, fault="holds no notes")
    >>> with open_transaction(db):
    ...     _ = db.execute("INSERT INTO notes VALUES ('milk')")
    >>> db.execute("SELECT note FROM notes").fetchall()
    [('milk',)]
    >>> db.close()
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA synchronous={'FULL' if outlives_power else 'OFF'}")
            there = db.execute("PRAGMA user_version").fetchone()[0]
            if upgrade and there == version - 1:
                db.executescript(
                    f"BEGIN IMMEDIATE; {upgrade} PRAGMA user_version = {version}; COMMIT;"
                )
            elif there not in (0, version):
                raise BadInput(
                    f"{path} is of version {there}; this Headrace reads version {version}"
                )
            db.executescript(schema)
            db.execute(f"PRAGMA user_version = {version}")
        except BaseException:
            db.close()
            raise
    except sqlite3.DatabaseError as error:
        raise BadInput(f"{path} {fault}: {error}") from error
    path.chmod(0o600)
    return db


@contextmanager
def open_transaction(db: sqlite3.Connection) -> Iterator[None]:
    """One transaction: all that is done within it is kept, or nothing."""
    with db:
        db.execute("BEGIN IMMEDIATE")
        yield
