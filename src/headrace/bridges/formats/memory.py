"""What a folder has of us and what was read of it, in an SQLite file: it survives the bridge.

A request waits, then it has a file of tasks, then it has ended. A file of answers was read up to
what it said then: what each annotator said in it of each request, so that reading it again finds
what is new in it and nothing else.
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
"""So many requests are remembered after their end, and what was said of them."""

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
"""A correction is later than what it corrects, by so much at least."""


def digest_of(content: bytes) -> str:
    """A hash by which two contents of a file are told apart."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A file of tasks that has to be written, and the digests of what we may have put there."""

    n: int
    name: str
    ours: tuple[str, ...]
    requests: tuple[LabelRequested, ...]

    @property
    def was_written(self) -> bool:
        """Whether an earlier content of it is known to have been there."""
        return bool(self.ours[0])


class FolderMemory:
    """The memory of one folder. Raises `BadInput` for a file that is not one."""

    def __init__(self, path: Path, *, outlives_power: bool = True) -> None:
        self._db = open_replies(path, _SCHEMA, outlives_power=outlives_power)
        self.replies = ReplyLog(self._db)

    def close(self) -> None:
        self._db.close()

    def use_settings(self, digest: str) -> None:
        """Forget how files looked that were read with other settings: they are read again."""
        if self.replies.noted("settings", digest) != digest:
            with open_transaction(self._db):
                self._db.execute("DELETE FROM answer_files")
                self._db.execute("UPDATE notes SET value = ? WHERE name = 'settings'", (digest,))

    # ---------------------------------------------------------------------------------- tasks

    def take(self, deliveries: Sequence[Delivery], now: float) -> None:
        """Remember requests, each once, and those that have ended."""
        with open_transaction(self._db):
            for one in deliveries:
                if one.request is not None:
                    # Of several answers nobody could tell a correction from another's answer.
                    needs_name = one.request.answers_wanted > 1 or one.request.opinion_n > 1
                    self._db.execute(
                        "INSERT OR IGNORE INTO asked (request_id, body, since, needs_name) "
                        "VALUES (?, ?, ?, ?)",
                        (one.request_id, msgspec.json.encode(one.request), now, needs_name),
                    )
                    continue
                self._db.execute(
                    "UPDATE task_files SET is_stale = 1 WHERE n = (SELECT file FROM asked "
                    "WHERE request_id = ? AND body IS NOT NULL)",
                    (one.request_id,),
                )
                self._db.execute(
                    "UPDATE asked SET body = NULL WHERE request_id = ?", (one.request_id,)
                )
            old = "SELECT request_id FROM asked WHERE body IS NULL AND n <= "
            old += "(SELECT MAX(n) FROM asked) - ?"
            self._db.execute(f"DELETE FROM said WHERE request_id IN ({old})", (KEPT_N,))
            self._db.execute(f"DELETE FROM asked WHERE request_id IN ({old})", (KEPT_N,))

    def gather(self, suffix: str, tasks_max: int, gather_s: float, now: float) -> None:
        """Give waiting requests a file, if there are enough of them or one has waited so long."""
        where = "FROM asked WHERE file IS NULL AND body IS NOT NULL"
        waiting_n, since = self._db.execute(f"SELECT COUNT(*), MIN(since) {where}").fetchone()
        # A clock that was put back must not make them wait for ever.
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

    def stale(self) -> list[TaskFile]:
        """The files of tasks that are not what they should be, with the requests still open."""
        rows = self._db.execute(
            "SELECT n, name, digest, next_digest FROM task_files WHERE is_stale ORDER BY n"
        ).fetchall()
        return [
            TaskFile(n, name, (digest, next_digest), self._open_in(n))
            for n, name, digest, next_digest in rows
        ]

    def _open_in(self, file_n: int) -> tuple[LabelRequested, ...]:
        rows = self._db.execute(
            "SELECT body FROM asked WHERE file = ? AND body IS NOT NULL ORDER BY n", (file_n,)
        )
        return tuple(_REQUEST.decode(row[0]) for row in rows)

    def will_write(self, file: TaskFile, digest: str) -> None:
        """Remember what is about to be written, so that it is known for ours after a crash."""
        self._db.execute("UPDATE task_files SET next_digest = ? WHERE n = ?", (digest, file.n))

    def has_written(self, file: TaskFile, digest: str) -> None:
        """Remember that a file is as it should be; one without open requests is forgotten."""
        if not file.requests:
            self._db.execute("DELETE FROM task_files WHERE n = ?", (file.n,))
            return
        self._db.execute(
            "UPDATE task_files SET is_stale = 0, digest = ? WHERE n = ?", (digest, file.n)
        )

    def needs_name(self, request_id: str) -> bool | None:
        """Whether answers to the request must say who gave them; None where it was not asked here.

        A request that ended long ago is no longer known.
        """
        found = self._db.execute(
            "SELECT needs_name FROM asked WHERE request_id = ?", (request_id,)
        ).fetchone()
        return None if found is None else bool(found[0])

    # -------------------------------------------------------------------------------- answers

    def read_before(self) -> dict[str, tuple[str, str]]:
        """How each file of answers looked when it was read last, and the digest of what it held."""
        rows = self._db.execute("SELECT name, look, digest FROM answer_files")
        return {name: (look, digest) for name, look, digest in rows}

    def forget_files(self, names: Sequence[str]) -> None:
        """Forget how files looked that are gone; what was said in them stays."""
        with open_transaction(self._db):
            self._db.executemany(
                "DELETE FROM answer_files WHERE name = ?", [(name,) for name in names]
            )

    def looked_at(self, name: str, look: str, digest: str) -> None:
        """Remember how a file looks whose content is known."""
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
        """Remember what a file says, and add what is new in it to the replies.

        `file` is its name, how it looks and the digest of its content.
        `given` has known requests and valid classes, and names who answered. `blank` are requests
        that the file has without an answer: what it said of them before is taken back. `at` is the
        time of answers that have none of their own.
        """
        latest = {(one.request_id, one.annotator): one for one in sorted(given, key=_order_answers)}
        named = {one.request_id for one in given}
        with open_transaction(self._db):
            for one in latest.values():
                self._save_answer(file[0], one, at)
            for request_id in dict.fromkeys(blank):
                if request_id not in named:
                    self._take_back(file[0], request_id, at)
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

    def _take_back(self, name: str, request_id: str, at: float) -> None:
        rows = self._db.execute(
            "SELECT annotator FROM said WHERE file = ? AND request_id = ? AND label IS NOT NULL",
            (name, request_id),
        ).fetchall()
        for (annotator,) in rows:
            self._save_answer(name, Given(0, request_id, None, None, annotator), at)


def _order_answers(one: Given) -> tuple[bool, float, int]:
    """By time where there is one, else by line: the last of an annotator counts."""
    return (one.at is not None, one.at or 0.0, one.line)
