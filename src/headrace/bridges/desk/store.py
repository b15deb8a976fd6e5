"""The questions at the desk, who has which, and the answers to them, in an SQLite file.

A question is given to one person for a while (a lease), then to another. It is over when it has as
many answers as it wants, or when it was withdrawn or has expired; where its answers decide nothing,
the run asks for one more. An answer is held back for a few seconds in which it can be undone; after
that a new answer corrects it.

The web server and the carrier call from different threads; each call is one transaction.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...adapters.sealing import Sealer
from ...errors import BadInput
from ...label.consensus import select_standing
from ...messages import Answer, LabelRequested
from ..bridge import Delivery, Receipt, Reply
from ..database import open_database, open_transaction
from .cells import DeskCells
from .figures import add_point, describe_people, log_of
from .notes import DeskNote, list_notes
from .routing import HERE_S, WAITING_N, Known, choose_suited, is_as_they_come, rank_of
from .tables import SCHEMA, SEALED, VERSION, event_of

UNDO_S = 5.0
"""How long an answer can be undone as if it had not been given (seconds)."""

KEPT_N = 20_000
"""How many answers, and questions that are over, are remembered."""


@dataclass(frozen=True, slots=True)
class Leased:
    """A question leased to somebody until `until`, seconds since the epoch."""

    request: LabelRequested
    until: float


class DeskStore:
    """The memory of a desk. Raises `BadInput` for a file of another kind or version.

    `lease_s` is how long a question is one person's, `expertise_share` the share of questions given
    by expertise (`routing`). With `outlives_power` content survives a loss of power. A `sealer`
    seals questions, labels and notes (`DeskCells`), not who answered which question, and when.

    >>> import tempfile
    >>> store = DeskStore(Path(tempfile.mkdtemp()) / "desk.sqlite", lease_s=60.0)
    >>> store.lease_next("ann") is None
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
        self._path = path
        self._lease_s = lease_s
        self._expertise_share = expertise_share
        self._clock = clock
        self._lock = threading.Lock()
        self._db = open_database(
            path,
            SCHEMA,
            version=VERSION,
            fault="is no desk's",
            outlives_power=outlives_power,
            # The event of a question from version 1 is not known.
            upgrade="ALTER TABLE questions ADD COLUMN event TEXT NOT NULL DEFAULT '';",
        )
        self._db.create_function("log_of", 1, log_of, deterministic=True)
        try:
            self._cells = DeskCells(self._db, path, sealer, SEALED)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    # ------------------------------------------------------------------------- for the carrier

    def take_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Store new questions, and end those whose delivery has no request."""
        with self._lock, open_transaction(self._db):
            for delivery in deliveries:
                if delivery.request is None:
                    self._end_request(delivery.request_id)
                    continue
                self._db.execute(
                    "INSERT INTO questions (request_id, body, rank, event) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (request_id) DO UPDATE SET body = excluded.body, "
                    "rank = excluded.rank",
                    (
                        delivery.request_id,
                        self._cells.encode_request(delivery.request),
                        rank_of(delivery.request),
                        event_of(delivery.request),
                    ),
                )
            for table in ("questions", "answers"):
                which = "is_open = 0 AND " if table == "questions" else ""
                self._db.execute(
                    f"DELETE FROM {table} WHERE {which}n <= (SELECT MAX(n) FROM {table}) - {KEPT_N}"
                )

    def read_replies(self, mark: str) -> Receipt:
        """Return the answers behind number `mark` that can no longer be undone.

        Raises `BadInput` for a mark behind the latest answer: another file was read before.
        """
        start = int(mark or 0)
        with self._lock:
            given_n = self._query_number(
                "SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'answers'"
            )
            if start > given_n:
                raise BadInput(
                    f"{self._path} has {given_n} answers, and {start} were read of it; put it back "
                    "as it was, or give the desk another --folder"
                )
            now = self._clock()
            # Up to the first that can be undone: a clock that was set back mixes up their times.
            rows = self._db.execute(
                "SELECT n, request_id, person, label, at, is_undone FROM answers "
                "WHERE n > ? AND n < COALESCE((SELECT MIN(n) FROM answers WHERE n > ? AND "
                "at > ? AND at <= ?), n + 1) ORDER BY n LIMIT 500",
                (start, start, now - UNDO_S, now),
            ).fetchall()
        return Receipt(
            tuple(
                Reply(
                    request_id,
                    self._cells.decode_label(n, request_id, person, label),
                    at,
                    person,
                    str(n),
                )
                for n, request_id, person, label, at, is_undone in rows
                if not is_undone
            ),
            str(rows[-1][0]) if rows else mark,
        )

    # ---------------------------------------------------------------------------- for a person

    def lease_next(self, person: str, known: Known | None = None) -> Leased | None:
        """Lease to `person` the question they have, or the next best one; None if there is none.

        Questions drawn at random come first, in their order: the accuracy is estimated from them
        alone, as far as all earlier ones are answered. Then come the most useful to the model, and
        last those that the person passed. An `expertise_share` of their questions is instead the
        one that suits them among the first few, by the skills `known` of people.
        """
        now = self._clock()
        with self._lock, open_transaction(self._db):
            row = self._db.execute(
                "SELECT q.request_id, q.body FROM leases l JOIN questions q USING (request_id) "
                "WHERE l.person = ? AND l.until > ?",
                (person, now),
            ).fetchone()
            if row is None:
                row = self._choose_question(person, known or {}, now)
            if row is None:
                return None
            until = now + self._lease_s
            self._db.execute("DELETE FROM leases WHERE person = ? OR until <= ?", (person, now))
            self._db.execute(
                "INSERT INTO leases (request_id, person, until, given) VALUES (?, ?, ?, ?)",
                (row[0], person, until, now),
            )
            return Leased(self._cells.decode_request(*row), until)

    def _choose_question(self, person: str, known: Known, now: float) -> tuple[str, bytes] | None:
        """Return the question for this person: the first free one, or the one that suits."""
        free = self._list_free(person, now)
        first = next(free, None)
        if first is None or not self._expertise_share:
            return None if first is None else first[:2]
        turn = self._query_number("SELECT COALESCE(MAX(n), 0) FROM answers")
        if first[2] or is_as_they_come(person, turn, self._expertise_share):
            return first[:2]
        here = self._db.execute("SELECT DISTINCT person FROM answers WHERE at > ?", (now - HERE_S,))
        waiting = [first]
        for question in free:
            if question[2] or len(waiting) == WAITING_N:
                break
            waiting.append(question)
        requests = [self._cells.decode_request(*question[:2]) for question in waiting]
        return waiting[choose_suited(person, requests, [row[0] for row in here], known) or 0][:2]

    def _list_free(self, person: str, now: float) -> Iterator[tuple[str, bytes, bool]]:
        """Yield the open questions that this person may answer now, the best first.

        Nobody is asked twice about one event. The third item is whether they passed the question.
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
            request = self._cells.decode_request(request_id, body)
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

    def add_answer(
        self,
        person: str,
        request_id: str,
        label: str | None,
        *,
        note: str = "",
        took_s: float | None = None,
        saw_guess: bool = False,
    ) -> float | None:
        """Store an answer; return when it was given, or None if no such question is known.

        `label` is None for "cannot tell". An answer to a question that is over is stored too, as a
        correction or a late opinion; the run decides if it counts. The same answer again, as after
        a reply that got lost, is no new one.
        """
        now = self._clock()
        with self._lock, open_transaction(self._db):
            question = self._db.execute(
                "SELECT body FROM questions WHERE request_id = ?", (request_id,)
            ).fetchone()
            if question is None:
                return None
            earlier = self._find_answer(request_id, person)
            if earlier is not None and earlier[1:] == (label, note):
                now = earlier[0]
            else:
                # The run takes the latest for the one that counts.
                now = now if earlier is None else max(now, math.nextafter(earlier[0], math.inf))
                self._insert_answer(request_id, person, label, note, took_s, saw_guess, now)
            self._db.execute(
                "DELETE FROM leases WHERE request_id = ? AND person = ?", (request_id, person)
            )
            request = self._cells.decode_request(request_id, question[0])
            if len(self._list_answers(request)) >= request.answers_wanted:
                self._end_request(request_id)
        return now

    def pass_on(self, person: str, request_id: str) -> None:
        """Leave this question to somebody else; it comes back to this person last.

        Who has answered it takes that back: an answer that was handed on becomes "cannot tell".
        """
        now = self._clock()
        with self._lock, open_transaction(self._db):
            self._take_back(request_id, person, now)
            earlier = self._find_answer(request_id, person)
            if earlier is not None and earlier[1] is not None:
                at = max(now, math.nextafter(earlier[0], math.inf))
                self._insert_answer(request_id, person, None, earlier[2], None, False, at)
            self._db.execute(
                "INSERT OR REPLACE INTO passed (request_id, person, at) VALUES (?, ?, ?)",
                (request_id, person, now),
            )
            self._db.execute(
                "DELETE FROM leases WHERE request_id = ? AND person = ?", (request_id, person)
            )

    def undo_answer(self, person: str) -> str | None:
        """Undo a person's last answer, lease its question to them again, and return its id.

        An answer that was handed on stays until a new one corrects it, and its question stays over
        for others. None without an answer.
        """
        with self._lock, open_transaction(self._db):
            now = self._clock()
            row = self._db.execute(
                "SELECT request_id FROM answers WHERE person = ? AND is_undone = 0 "
                "ORDER BY n DESC LIMIT 1",
                (person,),
            ).fetchone()
            if row is None:
                return None
            request_id = str(row[0])
            self._take_back(request_id, person, now)
            self._db.execute("DELETE FROM leases WHERE person = ?", (person,))
            self._db.execute(
                "INSERT INTO leases (request_id, person, until, given) VALUES (?, ?, ?, ?)",
                (request_id, person, now + self._lease_s, now),
            )
        return request_id

    def find_question(self, request_id: str) -> LabelRequested | None:
        """Return a question, open or over; None if it is not known."""
        with self._lock:
            row = self._db.execute(
                "SELECT body FROM questions WHERE request_id = ?", (request_id,)
            ).fetchone()
        return None if row is None else self._cells.decode_request(request_id, row[0])

    # ------------------------------------------------------------------------- for the status

    def newest_n(self) -> int:
        """Return the number of the latest question, 0 before the first."""
        with self._lock:
            return self._query_number("SELECT COALESCE(MAX(n), 0) FROM questions")

    def list_recent(self, n: int) -> list[LabelRequested]:
        """Return the latest questions, at most n, the latest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT request_id, body FROM questions ORDER BY n DESC LIMIT ?", (n,)
            )
            return [self._cells.decode_request(*row) for row in rows]

    def list_named_classes(self) -> list[str]:
        """Return the classes that people named in valid answers, in the order of first use.

        The order is that of all answers, so that a class keeps its place when one is corrected.
        """
        with self._lock:
            rows = self._db.execute(
                "SELECT n, request_id, person, label, n IN (SELECT MAX(n) FROM answers "
                "WHERE is_undone = 0 GROUP BY request_id, person) FROM answers "
                "WHERE label IS NOT NULL ORDER BY n"
            )
            named = [(str(self._cells.decode_label(*row[:4])), row[4]) for row in rows]
        valid = {label for label, is_valid in named if is_valid}
        return [*dict.fromkeys(label for label, _ in named if label in valid)]

    def list_notes(self) -> list[DeskNote]:
        """Return the notes beside answers that were not undone, in the order of writing."""
        with self._lock:
            return list_notes(self._db, self._cells)

    def count_questions(self, person: str) -> dict[str, int]:
        """Count open questions and this person's, and answers: all, and theirs within a day."""
        now = self._clock()
        with self._lock:
            count = self._query_number
            return {
                "open_n": count("SELECT COUNT(*) FROM questions WHERE is_open = 1"),
                "mine_n": count(
                    "SELECT COUNT(*) FROM leases WHERE person = ? AND until > ?", person, now
                ),
                "answered_n": count("SELECT COUNT(*) FROM answers WHERE is_undone = 0"),
                "mine_today_n": count(
                    "SELECT COUNT(*) FROM answers WHERE is_undone = 0 AND person = ? AND at > ?",
                    person,
                    now - 86_400.0,
                ),
            }

    def list_people(self) -> list[dict[str, Any]]:
        """Return who answered, how often, how fast, and who has a question now.

        `took_s` is the geometric mean of the seconds a question took them, between its 95 % bounds.
        """
        with self._lock:
            return describe_people(self._db, self._clock())

    def add_estimate(self, labels_n: int, accuracy: float, low: float, high: float) -> None:
        """Store the accuracy that was estimated after `labels_n` labels, with its bounds."""
        row = (labels_n, accuracy, low, high)
        with self._lock:
            query = "SELECT * FROM series WHERE labels_n = ?"
            if self._db.execute(query, (labels_n,)).fetchone() == row:
                return  # the page asks every few seconds, and nothing has changed
        with self._lock, open_transaction(self._db):
            add_point(self._db, row)

    def list_estimates(self) -> list[list[float]]:
        """Return rows of labels, accuracy and its 95 % bounds, in the order of labels."""
        with self._lock:
            return [list(row) for row in self._db.execute("SELECT * FROM series ORDER BY labels_n")]

    # ---------------------------------------------------------------------------------- parts

    def _insert_answer(
        self,
        request_id: str,
        person: str,
        label: str | None,
        note: str,
        *rest: float | None,
    ) -> None:
        """Store an answer, its label and note sealed where there are keys.

        `rest` is how long it took, whether the guess was seen, and when it was given.
        """
        n = self._db.execute(
            "INSERT INTO answers (request_id, person, note, took_s, saw_guess, at) "
            "VALUES (?, ?, '', ?, ?, ?)",
            (request_id, person, *rest),
        ).lastrowid
        assert n is not None
        stored = self._cells.encode_answer(n, request_id, person, label, note)
        self._db.execute("UPDATE answers SET label = ?, note = ? WHERE n = ?", (*stored, n))

    def _take_back(self, request_id: str, person: str, now: float) -> None:
        """Undo a person's answers to a question, as far as they can be; it is open again then."""
        undone = self._db.execute(
            "UPDATE answers SET is_undone = 1 WHERE request_id = ? AND person = ? "
            "AND at > ? AND at <= ?",
            (request_id, person, now - UNDO_S, now),
        )
        if undone.rowcount:
            self._db.execute("UPDATE questions SET is_open = 1 WHERE request_id = ?", (request_id,))

    def _find_answer(self, request_id: str, person: str) -> tuple[float, str | None, str] | None:
        """Return when a person last answered a question, with which label and note; or None."""
        row = self._db.execute(
            "SELECT n, at, label, note FROM answers WHERE request_id = ? AND person = ? "
            "AND is_undone = 0 ORDER BY n DESC LIMIT 1",
            (request_id, person),
        ).fetchone()
        if row is None:
            return None
        n, at, label, stored = row
        note = self._cells.decode_note(n, request_id, person, stored)
        return at, self._cells.decode_label(n, request_id, person, label), note

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
        answers = [
            Answer(
                request_id=request.request_id,
                label=self._cells.decode_label(n, request.request_id, person, label),
                at=at,
                annotator=person,
            )
            for n, person, label, at in rows
        ]
        return select_standing(answers, request.answers_wanted)
