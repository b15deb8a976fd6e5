"""What was written to a folder and read from it, in an SQLite file that survives the bridge.

A request waits, then it is in a file of tasks, then it has ended. For a file of answers the answer
of each annotator to each request is stored, so that only new answers count when it is read again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ...messages import LabelRequested
from ..bridge import Delivery, Reply
from ..database import open_transaction
from ..reply_log import ReplyLog, open_replies
from .format import Given

KEPT_N = 100_000
"""How many requests are remembered after their end, with the answers to them."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS asked (
    n INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL UNIQUE, body BLOB,
    since REAL NOT NULL, file INTEGER, needs_name INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS by_file ON asked (file, n);
CREATE TABLE IF NOT EXISTS task_files (
    n INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, is_stale INTEGER NOT NULL DEFAULT 1,
    digest TEXT NOT NULL DEFAULT '', next_digest TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS answer_files (name TEXT PRIMARY KEY, look TEXT, digest TEXT);
CREATE TABLE IF NOT EXISTS said (
    file TEXT, request_id TEXT, annotator TEXT, label TEXT, at REAL NOT NULL,
    n INTEGER NOT NULL, PRIMARY KEY (file, request_id, annotator));
CREATE INDEX IF NOT EXISTS by_voice ON said (request_id, annotator, n);
"""

_REQUEST = msgspec.json.Decoder(LabelRequested)
_TICK_S = 0.001
"""How much later a correction is than the answer that it corrects, at least."""


def digest_of(content: bytes) -> str:
    """Return a hash by which a change of a file is noticed."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A file of tasks that has to be written, with its open requests.

    `ours` are the digests of the last content that was written, and of one that may have been.
    """

    n: int
    name: str
    ours: tuple[str, ...]
    requests: tuple[LabelRequested, ...]

    @property
    def was_written(self) -> bool:
        """Whether the file is known to have been written before."""
        return bool(self.ours[0])


class FolderMemory:
    """The memory of one folder. Raises `BadInput` for a file of another kind or version."""

    def __init__(self, path: Path, *, outlives_power: bool = True) -> None:
        self._db = open_replies(path, _SCHEMA, outlives_power=outlives_power)
        self.replies = ReplyLog(self._db)

    def close(self) -> None:
        self._db.close()

    def use_settings(self, digest: str) -> None:
        """Forget that files were read if settings have changed, so that they are read again."""
        if self.replies.recall_note("settings", digest) != digest:
            with open_transaction(self._db):
                self._db.execute("DELETE FROM answer_files")
                self._db.execute("UPDATE notes SET value = ? WHERE name = 'settings'", (digest,))

    # ---------------------------------------------------------------------------------- tasks

    def take_deliveries(self, deliveries: Sequence[Delivery], now: float) -> None:
        """Store requests, each once, and end those whose delivery has no request."""
        with open_transaction(self._db):
            for delivery in deliveries:
                if delivery.request is not None:
                    # Without names, a correction looks like an answer of another person.
                    needs_name = (
                        delivery.request.answers_wanted > 1 or delivery.request.opinion_n > 1
                    )
                    self._db.execute(
                        "INSERT OR IGNORE INTO asked (request_id, body, since, needs_name) "
                        "VALUES (?, ?, ?, ?)",
                        (
                            delivery.request_id,
                            msgspec.json.encode(delivery.request),
                            now,
                            needs_name,
                        ),
                    )
                    continue
                self._db.execute(
                    "UPDATE task_files SET is_stale = 1 WHERE n = (SELECT file FROM asked "
                    "WHERE request_id = ? AND body IS NOT NULL)",
                    (delivery.request_id,),
                )
                self._db.execute(
                    "UPDATE asked SET body = NULL WHERE request_id = ?", (delivery.request_id,)
                )
            old = "SELECT request_id FROM asked WHERE body IS NULL AND n <= "
            old += "(SELECT MAX(n) FROM asked) - ?"
            self._db.execute(f"DELETE FROM said WHERE request_id IN ({old})", (KEPT_N,))
            self._db.execute(f"DELETE FROM asked WHERE request_id IN ({old})", (KEPT_N,))

    def assign_requests(self, suffix: str, tasks_max: int, gather_s: float, now: float) -> None:
        """Assign waiting requests to files of tasks, whose names end in `suffix`.

        `tasks_max` requests make a file; so do fewer when one has waited for `gather_s` seconds.
        """
        where = "FROM asked WHERE file IS NULL AND body IS NOT NULL"
        waiting_n, since = self._db.execute(f"SELECT COUNT(*), MIN(since) {where}").fetchone()
        # After a clock was put back, waiting may be negative: requests must not wait for ever.
        while waiting_n >= tasks_max or (waiting_n and not 0 <= now - since < gather_s):
            with open_transaction(self._db):
                rows = self._db.execute(
                    f"SELECT n, request_id {where} ORDER BY n LIMIT ?", (tasks_max,)
                ).fetchall()
                ids = digest_of("\n".join(row[1] for row in rows).encode())
                cursor = self._db.execute("INSERT INTO task_files (name) VALUES ('')")
                file_n = cursor.lastrowid
                name = f"tasks-{file_n:06}-{ids[:8]}{suffix}"
                self._db.execute("UPDATE task_files SET name = ? WHERE n = ?", (name, file_n))
                self._db.executemany(
                    "UPDATE asked SET file = ? WHERE n = ?", [(file_n, row[0]) for row in rows]
                )
            waiting_n -= len(rows)

    def list_stale(self) -> list[TaskFile]:
        """Return the files of tasks that have to be written, with the requests still open."""
        rows = self._db.execute(
            "SELECT n, name, digest, next_digest FROM task_files WHERE is_stale ORDER BY n"
        ).fetchall()
        return [
            TaskFile(n, name, (digest, next_digest), self._read_open(n))
            for n, name, digest, next_digest in rows
        ]

    def _read_open(self, file_n: int) -> tuple[LabelRequested, ...]:
        rows = self._db.execute(
            "SELECT body FROM asked WHERE file = ? AND body IS NOT NULL ORDER BY n", (file_n,)
        )
        return tuple(_REQUEST.decode(row[0]) for row in rows)

    def will_write(self, file: TaskFile, digest: str) -> None:
        """Store the digest of what will be written, so that it is known as ours after a crash."""
        self._db.execute("UPDATE task_files SET next_digest = ? WHERE n = ?", (digest, file.n))

    def has_written(self, file: TaskFile, digest: str) -> None:
        """Store that a file is up to date; a file without open requests is forgotten."""
        if not file.requests:
            self._db.execute("DELETE FROM task_files WHERE n = ?", (file.n,))
            return
        self._db.execute(
            "UPDATE task_files SET is_stale = 0, digest = ? WHERE n = ?", (digest, file.n)
        )

    def needs_name(self, request_id: str) -> bool | None:
        """Whether answers to the request must name their annotators; None for an unknown request.

        A request that ended long ago is no longer known.
        """
        row = self._db.execute(
            "SELECT needs_name FROM asked WHERE request_id = ?", (request_id,)
        ).fetchone()
        return None if row is None else bool(row[0])

    # -------------------------------------------------------------------------------- answers

    def read_before(self) -> dict[str, tuple[str, str]]:
        """Return the look and the digest of each file of answers when it was read last, by name."""
        rows = self._db.execute("SELECT name, look, digest FROM answer_files")
        return {name: (look, digest) for name, look, digest in rows}

    def forget_files(self, names: Sequence[str]) -> None:
        """Forget the looks of files that are gone; the answers in them stay."""
        with open_transaction(self._db):
            self._db.executemany(
                "DELETE FROM answer_files WHERE name = ?", [(name,) for name in names]
            )

    def looked_at(self, name: str, look: str, digest: str) -> None:
        """Store the look and the digest of a file that was read."""
        self._db.execute(
            "INSERT OR REPLACE INTO answer_files VALUES (?, ?, ?)", (name, look, digest)
        )

    def take_answers(
        self,
        file: tuple[str, str, str],
        given: Sequence[Given],
        blank: Sequence[str],
        at: float,
    ) -> None:
        """Store the answers of a file, and add the new ones to the replies.

        - `file`: its name, its look and the digest of its content.
        - `given`: answers with known requests, valid classes and annotators.
        - `blank`: requests that the file has without an answer; earlier answers in it are removed.
        - `at`: the time of answers without a time of their own, in seconds since the epoch.
        """
        latest = {(one.request_id, one.annotator): one for one in sorted(given, key=_order_answers)}
        named = {one.request_id for one in given}
        with open_transaction(self._db):
            for one in latest.values():
                self._save_answer(file[0], one, at)
            for request_id in dict.fromkeys(blank):
                if request_id not in named:
                    self._retract_answers(file[0], request_id, at)
            self.looked_at(*file)

    def _save_answer(self, name: str, one: Given, file_at: float) -> None:
        voice = (one.request_id, one.annotator)
        before = self._db.execute(
            "SELECT label, at FROM said WHERE file = ? AND request_id = ? AND annotator = ?",
            (name, *voice),
        ).fetchone()
        if before is not None and before[0] == one.label and one.at in (None, before[1]):
            return
        last = self._db.execute(
            "SELECT label, at FROM said WHERE request_id = ? AND annotator = ? "
            "ORDER BY n DESC LIMIT 1",
            voice,
        ).fetchone()
        is_known = last is not None and last[0] == one.label and one.at in (None, last[1])
        at = one.at
        if at is None:
            at = file_at if last is None or is_known else max(file_at, last[1] + _TICK_S)
        self._db.execute(
            "INSERT OR REPLACE INTO said VALUES (?, ?, ?, ?, ?, "
            "(SELECT COALESCE(MAX(n), 0) + 1 FROM said WHERE request_id = ? AND annotator = ?))",
            (name, *voice, one.label, at, *voice),
        )
        if not is_known:
            self.replies.add(Reply(one.request_id, one.label, at, one.annotator))

    def _retract_answers(self, name: str, request_id: str, at: float) -> None:
        rows = self._db.execute(
            "SELECT annotator FROM said WHERE file = ? AND request_id = ? AND label IS NOT NULL",
            (name, request_id),
        ).fetchall()
        for (annotator,) in rows:
            self._save_answer(name, Given(0, request_id, None, None, annotator), at)


def _order_answers(one: Given) -> tuple[bool, float, int]:
    """Return a key that sorts answers by time, or by line without one; the last one counts."""
    return (one.at is not None, one.at or 0.0, one.line)
