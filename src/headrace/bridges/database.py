"""The SQLite files of bridges: how they are opened, changed, and sealed where there are keys."""

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
    """Open an SQLite file with the tables of `schema`, or create it; other users can't read it.

    - `version`: the version of the schema, which is stored in the file.
    - `fault`: the end of the error for a file that is no SQLite, such as "is no desk's".
    - `outlives_power`: a finished transaction survives a loss of power; tests need not wait for it.
    - `upgrade`: SQL that brings a file of the previous version to this one.

    Threads may share the connection, one at a time. Raises `BadInput` for a file that is no SQLite,
    of another version, or that can't be opened, and `OSError`.

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
    # SQLite gives its other files, which have the same content, the rights that this one has.
    path.touch(mode=0o600)
    path.chmod(0o600)
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA synchronous={'FULL' if outlives_power else 'OFF'}")
            stored_version = db.execute("PRAGMA user_version").fetchone()[0]
            if upgrade and stored_version == version - 1:
                db.executescript(
                    f"BEGIN IMMEDIATE; {upgrade} PRAGMA user_version = {version}; COMMIT;"
                )
            elif stored_version not in (0, version):
                raise BadInput(
                    f"{path} is of version {stored_version}; this Headrace reads version {version}"
                )
            db.executescript(schema)
            db.execute(f"PRAGMA user_version = {version}")
        except BaseException:
            db.close()
            raise
    except sqlite3.OperationalError as error:
        raise BadInput(f"{path} can't be used: {error}") from error
    except sqlite3.DatabaseError as error:
        raise BadInput(f"{path} {fault}: {error}") from error
    return db


@contextmanager
def open_transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Do everything within as one transaction: all of it is kept, or nothing."""
    with db:
        db.execute("BEGIN IMMEDIATE")
        yield


SEALED = 0x48525331
"""The `application_id` of a file whose cells are sealed."""


def is_sealed(db: sqlite3.Connection) -> bool:
    """Whether the cells of this file are sealed."""
    application_id: int = db.execute("PRAGMA application_id").fetchone()[0]
    return application_id == SEALED


class SealedCells:
    """Cells of one file: `seal_text` converts a text to what is stored, `unseal_text` reverses it.

    - `db`, `path`: the open file, and its path.
    - `sealer`: seals the cells; None stores them as they are.
    - `columns`: the columns to seal, each as (table, column, SQL of the row's key).

    A cell is bound to its file's name, its column and the key of its row. A file that was begun
    without keys is sealed as a whole when it is first opened with keys; from then on plain cells
    are refused. Raises `BadSettings` for a sealed file without keys.

    >>> db = sqlite3.connect(":memory:", isolation_level=None)
    >>> cells = SealedCells(db, Path("notes.sqlite"), Sealer([b"k" * 32], "payments"), [])
    >>> cells.unseal_text(cells.seal_text(b"milk", "notes.note", "1"), "notes.note", "1")
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
        # Content that is removed or replaced must not stay in a free page.
        db.execute("PRAGMA secure_delete = ON")
        if not was_sealed:
            self._seal_all(db, columns)

    @property
    def are_sealed(self) -> bool:
        """Whether cells are sealed, because there are keys."""
        return self._sealer is not None

    def seal_text(self, text: bytes, column: str, key: str) -> bytes:
        """Return what to store for a text in this `table.column`, in the row with this key."""
        if self._sealer is None:
            return text
        return self._sealer.seal(text, self._log_of(column), key)

    def unseal_text(self, stored: bytes, column: str, key: str) -> bytes:
        """Return the text of a cell. Raises `BadInput` if it is plain, was altered or moved."""
        if self._sealer is None:
            return stored
        try:
            return self._sealer.unseal(stored, self._log_of(column), key)
        except NotSealed as error:
            raise BadInput(
                f"{self._path}, {column} of row {key!r}: {error}. Put the file back as it was"
            ) from None

    def _log_of(self, column: str) -> str:
        return f"{self._path.stem}.{column}"

    def _seal_all(self, db: sqlite3.Connection, columns: Iterable[tuple[str, str, str]]) -> None:
        with open_transaction(db):
            for table, column, key in columns:
                rows = db.execute(
                    f"SELECT rowid, {key}, {column} FROM {table} WHERE {column} IS NOT NULL"
                ).fetchall()
                for rowid, name, text in rows:
                    plain = text.encode() if isinstance(text, str) else text
                    stored = self.seal_text(plain, f"{table}.{column}", str(name))
                    db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (stored, rowid))
            db.execute(f"PRAGMA application_id = {SEALED}")
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
