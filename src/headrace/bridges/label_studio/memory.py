"""What the bridge has read from Label Studio: the votes on each task, in an SQLite file.

With it an answer that was taken back can be told from one that was never given. What is read counts
only when the carrier comes again with the mark that it was given for it: then it has the replies.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..database import open_database, open_transaction
from .votes import Votes

KEPT_N = 200_000
"""So many tasks are remembered. What changes in an older one is read as if it were new: nothing is
lost, but that an answer to it was taken back is not noticed."""

VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    task_id INTEGER PRIMARY KEY, request_id TEXT NOT NULL, votes BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_request ON tasks (request_id);
CREATE TABLE IF NOT EXISTS given (
    task_id INTEGER PRIMARY KEY, request_id TEXT NOT NULL, votes BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

_VOTES = msgspec.json.Decoder(Votes)


@dataclass(frozen=True, slots=True)
class Known:
    """A task as it was read: whose request it is, empty for nobody's, and the votes on it."""

    task_id: int
    request_id: str
    votes: Votes


class Memory:
    """Raises `BadInput` for a file that is not one."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path, _SCHEMA, version=VERSION, fault="is no memory of a bridge")

    def close(self) -> None:
        self._db.close()

    def confirm(self, mark: str, n: int) -> None:
        """Keep what was given for this mark, or forget it where another one came back.

        `n` counts the marks for which something was given. Where it is behind those that were kept
        already, the carrier has an older outbox, or a new one, and lacks their replies: all is
        forgotten, so that they are given again.
        """
        with open_transaction(self._db):
            if n < int(self._get_value("kept_n") or 0):
                self._db.execute("DELETE FROM tasks")
                self._set_value("kept_n", str(n))
            elif mark and mark == self._get_value("given"):
                self._db.execute("INSERT OR REPLACE INTO tasks SELECT * FROM given")
                self._set_value("kept_n", str(n))
                self._db.execute(
                    "DELETE FROM tasks WHERE task_id <= (SELECT task_id FROM tasks "
                    "ORDER BY task_id DESC LIMIT 1 OFFSET ?)",
                    (KEPT_N,),
                )
            self._db.execute("DELETE FROM given")

    def votes(self, task_id: int) -> Votes | None:
        """The votes on a task when it was read last; None for one that never was."""
        found = self._db.execute("SELECT votes FROM tasks WHERE task_id = ?", (task_id,)).fetchone()
        return None if found is None else _VOTES.decode(found[0])

    def has_another(self, request_id: str, task_id: int) -> bool:
        """Whether a task was read that is of the same request and is not this one."""
        found = self._db.execute(
            "SELECT 1 FROM tasks WHERE request_id = ? AND task_id != ? LIMIT 1",
            (request_id, task_id),
        ).fetchone()
        return found is not None

    def give(self, mark: str, tasks: list[Known]) -> None:
        """Remember what was read, for when this mark comes back."""
        with open_transaction(self._db):
            self._db.executemany(
                "INSERT OR REPLACE INTO given VALUES (?, ?, ?)",
                [(one.task_id, one.request_id, msgspec.json.encode(one.votes)) for one in tasks],
            )
            self._set_value("given", mark)

    def _get_value(self, name: str) -> str:
        found = self._db.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return "" if found is None else str(found[0])

    def _set_value(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, value))
