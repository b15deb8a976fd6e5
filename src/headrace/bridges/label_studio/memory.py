"""What the bridge has read from Label Studio: the votes on each task, in an SQLite file.

It is needed to tell an answer that was removed from one that was never given. What was read counts
only when the carrier calls again with the mark of its receipt: then the carrier has the replies.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..database import open_database, open_transaction
from .votes import Votes

KEPT_N = 200_000
"""How many tasks are remembered. An older task that changes is read as a new one: nothing is lost,
but the removal of an answer to it is not noticed."""

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
    """A task as it was read: the id of its request, "" if it is not ours, and the votes on it."""

    task_id: int
    request_id: str
    votes: Votes


class VoteMemory:
    """The votes read from Label Studio. Raises `BadInput` for a file of another kind."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path, _SCHEMA, version=VERSION, fault="is no memory of a bridge")

    def close(self) -> None:
        self._db.close()

    def confirm_mark(self, mark: str, n: int) -> None:
        """Keep the tasks given with this mark; forget them if another mark came back.

        `n` counts the marks with news up to this one. If it is lower than that of a mark that was
        kept already, the carrier has an older or a new outbox, and lacks replies: everything is
        forgotten, so that they are returned again.
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

    def find_votes(self, task_id: int) -> Votes | None:
        """Return the votes on a task when it was read last; None if it never was."""
        row = self._db.execute("SELECT votes FROM tasks WHERE task_id = ?", (task_id,)).fetchone()
        return None if row is None else _VOTES.decode(row[0])

    def has_another(self, request_id: str, task_id: int) -> bool:
        """Whether another task of the same request was read."""
        row = self._db.execute(
            "SELECT 1 FROM tasks WHERE request_id = ? AND task_id != ? LIMIT 1",
            (request_id, task_id),
        ).fetchone()
        return row is not None

    def store_tasks(self, mark: str, tasks: list[Known]) -> None:
        """Store the tasks that were read, until this mark comes back."""
        with open_transaction(self._db):
            self._db.executemany(
                "INSERT OR REPLACE INTO given VALUES (?, ?, ?)",
                [
                    (task.task_id, task.request_id, msgspec.json.encode(task.votes))
                    for task in tasks
                ],
            )
            self._set_value("given", mark)

    def _get_value(self, name: str) -> str:
        row = self._db.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return "" if row is None else str(row[0])

    def _set_value(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, value))
