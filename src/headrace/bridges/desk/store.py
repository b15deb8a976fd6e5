"""The questions at the desk, who has which, and what people said: an SQLite file.

A question is given to one person for a while (a lease), then to another. It is over when it has as
many answers as it wants, or when it was withdrawn or has expired; where its answers decide nothing
the run asks for one more. An answer is held back for a few seconds in which it can be taken back;
after that a new one corrects it.

The web server and the carrier call from different threads; each call is one transaction.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ...adapters.sealing import Sealer
from ...label.consensus import standing
from ...learn.intervals import typical_of
from ...messages import Answer, LabelRequested
from ..bridge import Delivery, Receipt, Reply
from ..database import Cells, open_database, open_transaction
from .routing import HERE_S, WAITING_N, Known, choose_suited, is_as_they_come, rank_of

UNDO_S = 5.0
"""So long an answer can be taken back as if it had not been given."""

KEPT_N = 20_000
"""Questions that are over, and answers, of which so many are remembered."""

SERIES_N = 400
VERSION = 2

_SCHEMA = """
CREATE TABLE IF NOT EXISTS questions (
    n INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL UNIQUE, body BLOB NOT NULL,
    rank REAL NOT NULL, is_open INTEGER NOT NULL DEFAULT 1, event TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS by_rank ON questions (is_open, rank DESC, n);
CREATE INDEX IF NOT EXISTS by_event ON questions (event);
CREATE TABLE IF NOT EXISTS leases (
    request_id TEXT NOT NULL, person TEXT NOT NULL, until REAL NOT NULL, given REAL NOT NULL,
    PRIMARY KEY (request_id, person));
CREATE TABLE IF NOT EXISTS passed (
    request_id TEXT NOT NULL, person TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (request_id, person));
CREATE TABLE IF NOT EXISTS answers (
    n INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL, person TEXT NOT NULL,
    label TEXT, note TEXT NOT NULL, took_s REAL, saw_guess INTEGER NOT NULL, at REAL NOT NULL,
    is_undone INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS by_request ON answers (request_id, n);
CREATE INDEX IF NOT EXISTS by_person ON answers (person, n);
CREATE TABLE IF NOT EXISTS series (
    labels_n INTEGER PRIMARY KEY, accuracy REAL NOT NULL, low REAL NOT NULL, high REAL NOT NULL);
"""

_ANSWER = "n || ' ' || request_id || ' ' || person"
_SEALED = (
    ("questions", "body", "request_id"),
    ("answers", "label", _ANSWER),
    ("answers", "note", _ANSWER),
)

_REQUEST = msgspec.json.Decoder(LabelRequested)


@dataclass(frozen=True, slots=True)
class Leased:
    """A question that somebody has, until `until`, seconds since the epoch."""

    request: LabelRequested
    until: float


class Store:
    """What the desk knows. Raises `BadInput` for a file that is not its own.

    `lease_s` is how long a question is one person's, `expertise_share` which share of them goes by
    who is how good (`routing`). What is written outlives the process, and a loss of power unless
    told otherwise. Questions, labels and notes are sealed where there is a `sealer` (`Cells`); who
    answered which, and when, is not.

    >>> import tempfile
    >>> store = Store(Path(tempfile.mkdtemp()) / "desk.sqlite", lease_s=60.0)
    >>> store.next("ann") is None
    True
    >>> store.close()
    """

    def __init__(
        self,
        path: Path,
        *,
        lease_s: float,
        expertise_share: float = 0.0,
        sealer: Sealer | None = None,
        outlives_power: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lease_s = lease_s
        self._expertise_share = expertise_share
        self._clock = clock
        self._lock = threading.Lock()
        self._db = open_database(
            path,
            _SCHEMA,
            version=VERSION,
            fault="is no desk's",
            outlives_power=outlives_power,
            # Of what a desk of version 1 has, the event is not known.
            upgrade="ALTER TABLE questions ADD COLUMN event TEXT NOT NULL DEFAULT '';",
        )
        self._db.create_function("log_of", 1, _log_of, deterministic=True)
        try:
            self._cells = Cells(self._db, path, sealer, _SEALED)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    # ------------------------------------------------------------------------- for the carrier

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """New questions, and those that are to go."""
        with self._lock, open_transaction(self._db):
            for one in deliveries:
                if one.request is None:
                    self._end_request(one.request_id)
                    continue
                self._db.execute(
                    "INSERT INTO questions (request_id, body, rank, event) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (request_id) DO UPDATE SET body = excluded.body, "
                    "rank = excluded.rank",
                    (
                        one.request_id,
                        self._cells.put(
                            msgspec.json.encode(one.request), "questions.body", one.request_id
                        ),
                        rank_of(one.request),
                        _event_of(one.request),
                    ),
                )
            for table in ("questions", "answers"):
                which = "is_open = 0 AND " if table == "questions" else ""
                self._db.execute(
                    f"DELETE FROM {table} WHERE {which}n <= (SELECT MAX(n) FROM {table}) - {KEPT_N}"
                )

    def replies(self, mark: str) -> Receipt:
        """Answers behind number `mark` that can no longer be taken back."""
        start = int(mark or 0)
        with self._lock:
            rows = self._db.execute(
                "SELECT n, request_id, person, label, at, is_undone FROM answers "
                "WHERE n > ? AND at <= ? ORDER BY n LIMIT 500",
                (start, self._clock() - UNDO_S),
            ).fetchall()
        return Receipt(
            tuple(
                Reply(one, self._read_label(n, one, person, label), at, person, str(n))
                for n, one, person, label, at, is_undone in rows
                if not is_undone
            ),
            str(rows[-1][0]) if rows else mark,
        )

    # ---------------------------------------------------------------------------- for a person

    def next(self, person: str, known: Known | None = None) -> Leased | None:
        """The question that `person` has, or the next best one for them; None if there is none.

        Questions drawn at random come first, in their order, for the accuracy is told by them
        alone, as far as all before are answered; then the most useful to the model. One that they
        passed comes last. With an `expertise_share` that many of their questions are the one of the
        first few that suits them, by what is `known` of people.
        """
        now = self._clock()
        with self._lock, open_transaction(self._db):
            held = self._db.execute(
                "SELECT q.request_id, q.body FROM leases l JOIN questions q USING (request_id) "
                "WHERE l.person = ? AND l.until > ? AND q.is_open = 1",
                (person, now),
            ).fetchone()
            if held is None:
                held = self._choose_question(person, known or {}, now)
            if held is None:
                return None
            until = now + self._lease_s
            self._db.execute("DELETE FROM leases WHERE person = ? OR until <= ?", (person, now))
            self._db.execute(
                "INSERT INTO leases (request_id, person, until, given) VALUES (?, ?, ?, ?)",
                (held[0], person, until, now),
            )
            return Leased(self._decode_request(*held), until)

    def _choose_question(self, person: str, known: Known, now: float) -> tuple[str, bytes] | None:
        """The question that this person gets: the first that is free, or the one that suits."""
        free = self._list_free(person, now)
        first = next(free, None)
        if first is None or not self._expertise_share:
            return None if first is None else first[:2]
        turn = self._query_number("SELECT COALESCE(MAX(n), 0) FROM answers")
        if first[2] or is_as_they_come(person, turn, self._expertise_share):
            return first[:2]
        here = self._db.execute("SELECT DISTINCT person FROM answers WHERE at > ?", (now - HERE_S,))
        waiting = [first]
        for one in free:
            if one[2] or len(waiting) == WAITING_N:
                break
            waiting.append(one)
        requests = [self._decode_request(*one[:2]) for one in waiting]
        return waiting[choose_suited(person, requests, [row[0] for row in here], known) or 0][:2]

    def _list_free(self, person: str, now: float) -> Iterator[tuple[str, bytes, bool]]:
        """Open questions that this person may answer and nobody else is at, the best first.

        Nobody is asked twice about one event. With each, whether they passed it: those come last.
        """
        rows = self._db.execute(
            "SELECT q.request_id, q.body, q.event, p.at FROM questions q "
            "LEFT JOIN passed p ON p.request_id = q.request_id AND p.person = ? "
            "WHERE q.is_open = 1 AND NOT EXISTS (SELECT 1 FROM answers a WHERE a.is_undone = 0 "
            "AND a.request_id = q.request_id AND a.person = ?) "
            "ORDER BY p.at IS NOT NULL, p.at, q.rank DESC, q.n",
            (person, person),
        )
        for request_id, body, event, passed_at in rows:
            request = self._decode_request(request_id, body)
            if person in request.not_by or (event and self._has_met(person, event)):
                continue
            others_n = self._db.execute(
                "SELECT COUNT(*) FROM leases WHERE request_id = ? AND person != ? AND until > ?",
                (request_id, person, now),
            ).fetchone()[0]
            answered_n = len(self._list_answers(request))
            wanted_n = max(1, request.answers_wanted - answered_n)
            if others_n < wanted_n:
                yield request_id, body, passed_at is not None

    def _has_met(self, person: str, event: str) -> bool:
        """Whether this person has answered a question about this event."""
        query = (
            "SELECT 1 FROM questions q CROSS JOIN answers a ON a.request_id = q.request_id "
            "WHERE q.event = ? AND a.person = ? AND a.is_undone = 0"
        )
        return self._db.execute(query, (event, person)).fetchone() is not None

    def answer(
        self,
        person: str,
        request_id: str,
        label: str | None,
        *,
        note: str = "",
        took_s: float | None = None,
        saw_guess: bool = False,
    ) -> float | None:
        """Remember an answer; when it was given, or None where no such question is known.

        One to a question that is over counts as well: a correction, or a second opinion that came
        late; the run decides what it is worth.
        """
        now = self._clock()
        with self._lock, open_transaction(self._db):
            found = self._db.execute(
                "SELECT body FROM questions WHERE request_id = ?", (request_id,)
            ).fetchone()
            if found is None:
                return None
            row = self._db.execute(
                "INSERT INTO answers (request_id, person, label, note, took_s, saw_guess, at) "
                "VALUES (?, ?, NULL, '', ?, ?, ?)",
                (request_id, person, took_s, saw_guess, now),
            )
            self._write_down(row.lastrowid, request_id, person, label, note)
            self._db.execute(
                "DELETE FROM leases WHERE request_id = ? AND person = ?", (request_id, person)
            )
            request = self._decode_request(request_id, found[0])
            if self._has_enough(request):
                self._end_request(request_id)
        return now

    def pass_on(self, person: str, request_id: str) -> None:
        """Somebody else shall have this question; it comes back to this person last."""
        with self._lock, open_transaction(self._db):
            self._db.execute(
                "INSERT OR REPLACE INTO passed (request_id, person, at) VALUES (?, ?, ?)",
                (request_id, person, self._clock()),
            )
            self._db.execute(
                "DELETE FROM leases WHERE request_id = ? AND person = ?", (request_id, person)
            )

    def undo(self, person: str) -> str | None:
        """Take this person's last answer back, and lease the question to them again.

        One that was handed on already stays until they answer anew, which corrects it. None where
        there is no answer.
        """
        now = self._clock()
        with self._lock, open_transaction(self._db):
            found = self._db.execute(
                "SELECT n, request_id, at FROM answers WHERE person = ? AND is_undone = 0 "
                "ORDER BY n DESC LIMIT 1",
                (person,),
            ).fetchone()
            if found is None:
                return None
            n, request_id, at = found
            if at > now - UNDO_S:
                self._db.execute("UPDATE answers SET is_undone = 1 WHERE n = ?", (n,))
            self._db.execute("UPDATE questions SET is_open = 1 WHERE request_id = ?", (request_id,))
            self._db.execute("DELETE FROM leases WHERE person = ?", (person,))
            self._db.execute(
                "INSERT INTO leases (request_id, person, until, given) VALUES (?, ?, ?, ?)",
                (request_id, person, now + self._lease_s, now),
            )
        return str(request_id)

    def question(self, request_id: str) -> LabelRequested | None:
        """A question that is known, open or over."""
        with self._lock:
            found = self._db.execute(
                "SELECT body FROM questions WHERE request_id = ?", (request_id,)
            ).fetchone()
        return None if found is None else self._decode_request(request_id, found[0])

    # --------------------------------------------------------------------------- for who looks

    def newest_n(self) -> int:
        """The number of the latest question, 0 before the first: it moves when one comes."""
        with self._lock:
            return self._query_number("SELECT COALESCE(MAX(n), 0) FROM questions")

    def recent(self, n: int) -> list[LabelRequested]:
        """The latest questions, at most n, the latest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT request_id, body FROM questions ORDER BY n DESC LIMIT ?", (n,)
            )
            return [self._decode_request(*row) for row in rows]

    def named(self) -> list[str]:
        """The classes that people named in answers that stand, in the order of their first use."""
        with self._lock:
            rows = self._db.execute(
                "SELECT n, request_id, person, label FROM answers WHERE label IS NOT NULL AND n IN "
                "(SELECT MAX(n) FROM answers WHERE is_undone = 0 GROUP BY request_id, person) "
                "ORDER BY n"
            )
            return [*dict.fromkeys(str(self._read_label(*row)) for row in rows)]

    def counts(self, person: str) -> dict[str, int]:
        """Open questions, those that this person has, and answers: all, and theirs of a day."""
        now = self._clock()
        with self._lock:
            one = self._query_number
            return {
                "open_n": one("SELECT COUNT(*) FROM questions WHERE is_open = 1"),
                "mine_n": one(
                    "SELECT COUNT(*) FROM leases WHERE person = ? AND until > ?", person, now
                ),
                "answered_n": one("SELECT COUNT(*) FROM answers WHERE is_undone = 0"),
                "mine_today_n": one(
                    "SELECT COUNT(*) FROM answers WHERE is_undone = 0 AND person = ? AND at > ?",
                    person,
                    now - 86_400.0,
                ),
            }

    def people(self) -> list[dict[str, Any]]:
        """Who answered, how often, how fast, and who has a question now.

        `took_s` is the geometric mean of the seconds a question took them, between its 95 % bounds.
        """
        now = self._clock()
        with self._lock:
            rows = self._db.execute(
                "SELECT person, COUNT(*), MAX(at), COUNT(took_s), SUM(log_of(took_s)), "
                "SUM(log_of(took_s) * log_of(took_s)) FROM answers WHERE is_undone = 0 "
                "GROUP BY person ORDER BY person"
            ).fetchall()
            leased = dict(
                self._db.execute(
                    "SELECT person, COUNT(*) FROM leases WHERE until > ? GROUP BY person", (now,)
                )
            )
        names = sorted({row[0] for row in rows} | set(leased))
        by_name = {row[0]: row[1:] for row in rows}
        found = []
        for name in names:
            answered_n, last_at, timed_n, *logs = by_name.get(name, (0, None, 0, 0.0, 0.0))
            found.append(
                {
                    "name": name,
                    "answered_n": answered_n,
                    "took_s": typical_of(timed_n, *logs),
                    "last_at": last_at,
                    "leased_n": leased.get(name, 0),
                }
            )
        return found

    def estimated(self, labels_n: int, accuracy: float, low: float, high: float) -> None:
        """Remember what the accuracy was estimated to be after so many labels."""
        row = (labels_n, accuracy, low, high)
        with self._lock:
            query = "SELECT * FROM series WHERE labels_n = ?"
            if self._db.execute(query, (labels_n,)).fetchone() == row:
                return  # whoever looks asks every few seconds, and nothing has happened
        with self._lock, open_transaction(self._db):
            self._db.execute("INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?)", row)
            n = self._query_number("SELECT COUNT(*) FROM series")
            if n > SERIES_N:
                # Every second one of the first half goes: the curve keeps its shape.
                self._db.execute(
                    "DELETE FROM series WHERE rowid IN (SELECT rowid FROM (SELECT rowid, "
                    "ROW_NUMBER() OVER (ORDER BY labels_n) AS i FROM series) "
                    f"WHERE i % 2 = 0 AND i < {SERIES_N // 2})"
                )

    def series(self) -> list[list[float]]:
        """Labels, accuracy and its 95 % bounds, in the order of labels."""
        with self._lock:
            return [list(row) for row in self._db.execute("SELECT * FROM series ORDER BY labels_n")]

    # ---------------------------------------------------------------------------------- parts

    def _decode_request(self, request_id: str, body: bytes) -> LabelRequested:
        return _REQUEST.decode(self._cells.get(body, "questions.body", request_id))

    def _write_down(
        self, n: int | None, request_id: str, person: str, label: str | None, note: str
    ) -> None:
        """What was said in the answer with number n, sealed where there are keys."""
        stored: list[str | bytes | None] = [label, note]
        if self._cells.are_sealed:
            row = f"{n} {request_id} {person}"
            stored[0] = label and self._cells.put(label.encode(), "answers.label", row)
            stored[1] = self._cells.put(note.encode(), "answers.note", row)
        self._db.execute("UPDATE answers SET label = ?, note = ? WHERE n = ?", (*stored, n))

    def _read_label(
        self, n: int, request_id: str, person: str, stored: str | bytes | None
    ) -> str | None:
        if stored is None or not self._cells.are_sealed:
            return stored  # type: ignore[return-value]  # without keys it is text
        content = stored.encode() if isinstance(stored, str) else stored
        return self._cells.get(content, "answers.label", f"{n} {request_id} {person}").decode()

    def _query_number(self, query: str, *values: object) -> int:
        return int(self._db.execute(query, values).fetchone()[0])

    def _end_request(self, request_id: str) -> None:
        self._db.execute("UPDATE questions SET is_open = 0 WHERE request_id = ?", (request_id,))
        self._db.execute("DELETE FROM leases WHERE request_id = ?", (request_id,))
        self._db.execute("DELETE FROM passed WHERE request_id = ?", (request_id,))

    def _list_answers(self, request: LabelRequested) -> list[Answer]:
        rows = self._db.execute(
            "SELECT n, person, label, at FROM answers WHERE request_id = ? AND is_undone = 0",
            (request.request_id,),
        )
        given = [
            Answer(
                request_id=request.request_id,
                label=self._read_label(n, request.request_id, person, label),
                at=at,
                annotator=person,
            )
            for n, person, label, at in rows
        ]
        return standing(given, request.answers_wanted)

    def _has_enough(self, request: LabelRequested) -> bool:
        """Whether as many have answered as it wants; the run asks for one more where it does."""
        return len(self._list_answers(request)) >= request.answers_wanted


def _event_of(request: LabelRequested) -> str:
    """What stands for its event: as much as its id tells, which is no secret of the file."""
    return hashlib.blake2b(
        request.event_id.encode(errors="surrogatepass"), digest_size=8
    ).hexdigest()


def _log_of(seconds: float | None) -> float | None:
    """The logarithm, of less than a tenth of a second as of that."""
    return None if seconds is None else math.log(max(0.1, seconds))
