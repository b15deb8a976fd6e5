"""The SQLite files in which bridges remember: opened, changed, and sealed where there are keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..adapters.sealing import Sealer
from ..errors import BadInput, BadSettings, NotSealed


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


SEALED = 0x48525331
"""The `application_id` of a file whose cells are sealed."""


def is_sealed(db: sqlite3.Connection) -> bool:
    """Whether the cells of this file are sealed."""
    found: int = db.execute("PRAGMA application_id").fetchone()[0]
    return found == SEALED


class Cells:
    """Cells of one file: `put` makes of a text what is stored, `get` of what is stored the text.

    A cell is bound to its file's name, its column and the key of its row. `columns` are those that
    are sealed, each as (table, column, SQL of the row's key). A file that was begun without keys is
    sealed when it is first opened with some, all of it at once; from then on a cell that is plain
    is refused. Raises `BadSettings` for a file that is sealed where there are no keys.

    >>> db = sqlite3.connect(":memory:", isolation_level=None)
    >>> cells = Cells(db, Path("notes.sqlite"), Sealer([b"k" * 32], "payments"), [])
    >>> cells.get(cells.put(b"milk", "notes.note", "1"), "notes.note", "1")
    b'milk'
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        path: Path,
        sealer: Sealer | None,
        columns: Iterable[tuple[str, str, str]],
    ) -> None:
        self._path, self._sealer = path, sealer
        was_sealed = is_sealed(db)
        if sealer is None:
            if was_sealed:
                raise BadSettings(
                    f"{path} is sealed, and sealing.keys_file names no keys; name those it was "
                    "sealed with"
                )
            return
        # What is removed or replaced shall not stay in a page that is free.
        db.execute("PRAGMA secure_delete = ON")
        if not was_sealed:
            self._seal_all(db, columns)

    @property
    def are_sealed(self) -> bool:
        """Whether there are keys."""
        return self._sealer is not None

    def put(self, text: bytes, column: str, key: str) -> bytes:
        """What is stored of a text in this `table.column`, in the row with this key."""
        if self._sealer is None:
            return text
        return self._sealer.seal(text, self._log(column), key)

    def get(self, stored: bytes, column: str, key: str) -> bytes:
        """The text. Raises `BadInput` for a cell that is not sealed, was altered or moved."""
        if self._sealer is None:
            return stored
        try:
            return self._sealer.unseal(stored, self._log(column), key)
        except NotSealed as error:
            raise BadInput(
                f"{self._path}, {column} of row {key!r}: {error}. Put the file back as it was"
            ) from None

    def _log(self, column: str) -> str:
        return f"{self._path.stem}.{column}"

    def _seal_all(self, db: sqlite3.Connection, columns: Iterable[tuple[str, str, str]]) -> None:
        with open_transaction(db):
            for table, column, key in columns:
                rows = db.execute(
                    f"SELECT rowid, {key}, {column} FROM {table} WHERE {column} IS NOT NULL"
                ).fetchall()
                for rowid, name, text in rows:
                    plain = text.encode() if isinstance(text, str) else text
                    stored = self.put(plain, f"{table}.{column}", str(name))
                    db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (stored, rowid))
            db.execute(f"PRAGMA application_id = {SEALED}")
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
