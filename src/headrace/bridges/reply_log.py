"""Replies that a bridge has made and the carrier may not have yet, in an SQLite file of the bridge.

It is for bridges that can't ask their tool again: replies that were read or computed once are kept
here until the carrier confirms that they are safe. A mark is the file's own id and a number, so
that a mark of an earlier file, which was lost, is recognized.
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
    """Open an SQLite file with the tables of a `ReplyLog` and those of `schema`; create a new one.

    `outlives_power` is false in tests, which need not wait for the disk. Raises `BadInput` for a
    file of another kind or version.
    """
    return open_database(
        path,
        _SCHEMA + schema,
        version=VERSION,
        fault="can't be used as the memory of a bridge",
        outlives_power=outlives_power,
    )


class ReplyLog:
    """Replies in order, each with a number; replies that the carrier has are deleted.

    >>> import tempfile
    >>> db = open_replies(Path(tempfile.mkdtemp()) / "replies.sqlite")
    >>> log = ReplyLog(db)
    >>> log.add(Reply("r1", "ham", 1.0, "ada"))
    >>> replies, mark = log.read_after("", 10)
    >>> [(r.request_id, r.label) for r in replies], log.read_after(mark, 10) == ((), mark)
    ([('r1', 'ham')], True)
    >>> db.close()
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.id = self.recall_note("id", uuid.uuid4().hex)

    def recall_note(self, name: str, default: str) -> str:
        """Return the note of this name; the first call stores `default`, and later ones keep it."""
        self._db.execute("INSERT OR IGNORE INTO notes VALUES (?, ?)", (name, default))
        row = self._db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return str(row[0])

    def add(self, reply: Reply) -> None:
        """Append a reply, in the transaction that is open."""
        self._db.execute("INSERT INTO replies (body) VALUES (?)", (msgspec.json.encode(reply),))

    def read_after(self, mark: str, n: int) -> tuple[tuple[Reply, ...], str]:
        """Return the next replies behind a mark, at most n, and the mark behind them.

        Replies up to the mark are deleted, for the carrier has them. A mark of another file counts
        as "".
        """
        file_id, _, number = mark.partition(":")
        start = int(number) if file_id == self.id else 0
        self._db.execute("DELETE FROM replies WHERE n <= ?", (start,))
        rows = self._db.execute("SELECT n, body FROM replies ORDER BY n LIMIT ?", (n,)).fetchall()
        replies = [replace(_REPLY.decode(body), reply_id=f"{self.id}:{n}") for n, body in rows]
        return tuple(replies), f"{self.id}:{rows[-1][0]}" if rows else mark
