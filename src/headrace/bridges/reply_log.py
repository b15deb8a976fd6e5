"""Replies that a bridge has made and the carrier may not have yet, in an SQLite file of the bridge.

For bridges whose tool is not asked again: what was read once, or computed once, is kept here until
the carrier says that it is safe. A mark is the file's own id and a number, so that a file that was
lost and begun anew is told from the one before.
"""

from __future__ import annotations

import sqlite3
import uuid
from dataclasses import replace
from pathlib import Path

import msgspec

from .bridge import Reply
from .database import open_database

VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS replies (n INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL);
"""

_REPLY = msgspec.json.Decoder(Reply)


def open_replies(
    path: Path, schema: str = "", *, outlives_power: bool = True
) -> sqlite3.Connection:
    """An SQLite file with the tables of a `ReplyLog` and those of `schema`, made where it is new.

    `outlives_power` is for tests that need not wait for the disk. Raises `BadInput` for a file that
    is not one.
    """
    return open_database(
        path,
        _SCHEMA + schema,
        version=VERSION,
        fault="can't be used as the memory of a bridge",
        outlives_power=outlives_power,
    )


class ReplyLog:
    """Replies in order, each with a number; those that are safe are forgotten.

    >>> import tempfile
    >>> db = open_replies(Path(tempfile.mkdtemp()) / "replies.sqlite")
    >>> log = ReplyLog(db)
    >>> log.add(Reply("r1", "ham", 1.0, "ada"))
    >>> replies, mark = log.after("", 10)
    >>> [(reply.request_id, reply.label) for reply in replies], log.after(mark, 10) == ((), mark)
    ([('r1', 'ham')], True)
    >>> db.close()
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.id = self.noted("id", uuid.uuid4().hex)

    def noted(self, name: str, default: str) -> str:
        """A note that was made once and stays: the one there, or this one from now on."""
        self._db.execute("INSERT OR IGNORE INTO notes VALUES (?, ?)", (name, default))
        found = self._db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return str(found[0])

    def add(self, reply: Reply) -> None:
        """Append a reply, in the transaction that is open."""
        self._db.execute("INSERT INTO replies (body) VALUES (?)", (msgspec.json.encode(reply),))

    def after(self, mark: str, n: int) -> tuple[tuple[Reply, ...], str]:
        """The next replies behind a mark, at most n, and the mark behind them.

        What stands before the mark is forgotten: the carrier has it. A mark of another file counts
        as none.
        """
        whose, _, number = mark.partition(":")
        start = int(number) if whose == self.id else 0
        self._db.execute("DELETE FROM replies WHERE n <= ?", (start,))
        rows = self._db.execute("SELECT n, body FROM replies ORDER BY n LIMIT ?", (n,)).fetchall()
        replies = [replace(_REPLY.decode(body), reply_id=f"{self.id}:{n}") for n, body in rows]
        return tuple(replies), f"{self.id}:{rows[-1][0]}" if rows else mark
