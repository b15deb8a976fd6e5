"""What a bridge has done and has still to do, in an SQLite file: it survives the bridge.

A request is `new`, then `sending`, then `sent`; one that is to go from the tool is `leaving`, then
`gone`. Those with the highest priority are sent first, in their order. Each change is written
before or after the act it stands for, so that whatever was cut can be told from what was done.
Replies wait here until the log of answers has them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..adapters.sealing import Sealer
from ..messages import ForAnnotators, LabelRequested, RequestRescored
from .bridge import Delivery, Receipt, Reply
from .database import Cells, open_database, open_transaction
from .erasing import FORGOTTEN

KEPT_N = 100_000
"""So many requests are remembered after their end; an answer to an older one still passes."""

VERSION = 2

_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    n INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT NOT NULL UNIQUE, state TEXT NOT NULL,
    body BLOB NOT NULL,
    expires REAL NOT NULL, reason TEXT NOT NULL DEFAULT '', was_cut INTEGER NOT NULL DEFAULT 0,
    priority REAL NOT NULL DEFAULT 0, is_moved INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS by_state ON requests (state, n);
CREATE INDEX IF NOT EXISTS by_end ON requests (expires) WHERE state IN ('new', 'sending', 'sent');
CREATE INDEX IF NOT EXISTS by_move ON requests (n) WHERE is_moved;
CREATE TABLE IF NOT EXISTS replies (
    n INTEGER PRIMARY KEY AUTOINCREMENT, reply_id TEXT NOT NULL UNIQUE, body BLOB,
    is_handed INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS by_handed ON replies (is_handed, n);
CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

_UPGRADE = """
ALTER TABLE requests ADD COLUMN priority REAL NOT NULL DEFAULT 0;
ALTER TABLE requests ADD COLUMN is_moved INTEGER NOT NULL DEFAULT 0;
"""

_SEALED = (("requests", "body", "request_id"), ("replies", "body", "reply_id"))

_REQUEST = msgspec.json.Decoder(LabelRequested)
_REPLY = msgspec.json.Decoder(Reply)


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests in the outbox by where they are, and replies that wait for the log of answers."""

    waiting_n: int
    sent_n: int
    gone_n: int
    replies_n: int
    to_hand_on_n: int


class Outbox:
    """The memory of one bridge. Raises `BadInput` for a file that is not one.

    What is remembered outlives the process, and a loss of power unless told otherwise. Requests and
    replies are sealed where there is a `sealer` (`Cells`).

    >>> import tempfile
    >>> outbox = Outbox(Path(tempfile.mkdtemp()) / "desk.sqlite")
    >>> outbox.counts().waiting_n
    0
    >>> outbox.close()
    """

    def __init__(
        self, path: Path, *, sealer: Sealer | None = None, outlives_power: bool = True
    ) -> None:
        self.path = path
        self._db = open_database(
            path,
            _SCHEMA,
            version=VERSION,
            fault="is no outbox of a bridge",
            outlives_power=outlives_power,
            upgrade=_UPGRADE,
        )
        try:
            self._cells = Cells(self._db, path, sealer, _SEALED)
        except BaseException:
            self._db.close()
            raise
        # What was under way when the bridge ended may have reached the tool.
        self._db.execute("UPDATE requests SET was_cut = 1 WHERE state IN ('sending', 'leaving')")

    def close(self) -> None:
        self._db.close()

    def mark(self, name: str) -> str:
        """A place that was reached: "log" in the log of requests, "tool" in the tool."""
        found = self._db.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else ""

    # ------------------------------------------------------------------------------- requests

    def take_in(
        self, records: Sequence[ForAnnotators], place: str, now: float, *, reorders: bool = False
    ) -> None:
        """Remember records of the log of requests, and the place up to which it was read.

        A request expires at its deadline, but is open at least as long as it was meant to be from
        when it is taken in, `now`: a bridge that was away asks late rather than never. A priority
        that changes is that of what is still to be sent; where the tool `reorders`, what it has
        is sent once more.
        """
        with open_transaction(self._db):
            for record in records:
                if isinstance(record, LabelRequested):
                    lasts_s = max(0.0, record.deadline - record.at)
                    self._db.execute(
                        "INSERT OR IGNORE INTO requests "
                        "(request_id, state, body, expires, priority) VALUES (?, 'new', ?, ?, ?)",
                        (
                            record.request_id,
                            self._cells.put(
                                msgspec.json.encode(record), "requests.body", record.request_id
                            ),
                            max(record.deadline, now + lasts_s),
                            record.priority,
                        ),
                    )
                elif isinstance(record, RequestRescored):
                    self._move_request(record, reorders=reorders)
                else:
                    # With it go the questions for one more answer to it.
                    of_it = (record.request_id, f"{record.request_id}:w", f"{record.request_id}:x")
                    which = "(request_id = ? OR (request_id >= ? AND request_id < ?))"
                    self._end_requests(which, of_it, record.reason)
                    if record.reason in FORGOTTEN:
                        self._db.execute(f"UPDATE requests SET body = X'' WHERE {which}", of_it)
            self._save_value("log", place)

    def _move_request(self, said: RequestRescored, *, reorders: bool) -> None:
        """A request of which nobody is asked any longer leaves by a record of its own."""
        found = self._db.execute(
            "SELECT body FROM requests WHERE request_id = ? AND state IN ('new', 'sending', ?)",
            (said.request_id, "sent" if reorders else "new"),
        ).fetchone()
        if found is None or said.withdrawn:
            return
        place = "requests.body", said.request_id
        request = _REQUEST.decode(self._cells.get(found[0], *place))
        request = msgspec.structs.replace(request, priority=said.priority)
        self._db.execute(
            "UPDATE requests SET body = ?, priority = ?, is_moved = (state = 'sent') "
            "WHERE request_id = ?",
            (self._cells.put(msgspec.json.encode(request), *place), said.priority, said.request_id),
        )

    def expire(self, now: float) -> None:
        """Let all requests leave the tool whose time is over."""
        with open_transaction(self._db):
            self._end_requests("expires <= ?", (now,), "expired")

    def _end_requests(self, which: str, values: tuple[str | float, ...], reason: str) -> None:
        # One that no tool has seen is gone at once.
        self._db.execute(
            f"UPDATE requests SET state = 'gone', reason = ? WHERE state = 'new' AND {which}",
            (reason, *values),
        )
        self._db.execute(
            "UPDATE requests SET state = 'leaving', reason = ?, was_cut = 0, priority = 1 "
            f"WHERE state IN ('sending', 'sent') AND {which}",
            (reason, *values),
        )

    def to_send(self, n: int) -> list[Delivery]:
        """The next deliveries, at most n, the best first, then the oldest.

        They count as under way from here.
        """
        rows = self._db.execute(
            "SELECT request_id, state, body, reason, was_cut FROM requests "
            "WHERE state IN ('new', 'sending', 'leaving') OR (is_moved AND state = 'sent') "
            "ORDER BY priority DESC, n LIMIT ?",
            (n,),
        ).fetchall()
        self._db.executemany(
            "UPDATE requests SET state = 'sending' WHERE request_id = ? AND state = 'new'",
            [(row[0],) for row in rows],
        )
        return [
            Delivery(
                request_id=request_id,
                request=None
                if state == "leaving"
                else _REQUEST.decode(self._cells.get(body, "requests.body", request_id)),
                reason=reason,
                may_be_there=bool(was_cut) or state == "sent",
            )
            for request_id, state, body, reason, was_cut in rows
        ]

    def not_sent(self, deliveries: Iterable[Delivery]) -> None:
        """Remember that these were under way when something went wrong."""
        self._db.executemany(
            "UPDATE requests SET was_cut = 1 WHERE request_id = ?",
            [(one.request_id,) for one in deliveries],
        )

    def sent(self, deliveries: Iterable[Delivery]) -> None:
        """Remember that the tool has taken these."""
        with open_transaction(self._db):
            self._db.executemany(
                "UPDATE requests SET state = CASE state WHEN 'leaving' THEN 'gone' ELSE 'sent' END,"
                " was_cut = 0, is_moved = 0 WHERE request_id = ?",
                [(one.request_id,) for one in deliveries],
            )
            self._db.execute(
                "DELETE FROM requests WHERE state = 'gone' AND "
                "n <= (SELECT MAX(n) FROM requests) - ?",
                (KEPT_N,),
            )

    # -------------------------------------------------------------------------------- replies

    def take_replies(self, receipt: Receipt) -> int:
        """Remember what the tool gave, and its mark, at once; how many replies are new."""
        new_n = 0
        with open_transaction(self._db):
            for reply in receipt.replies:
                body = msgspec.json.encode(reply)
                reply_id = reply.reply_id or hashlib.blake2b(body, digest_size=16).hexdigest()
                new_n += self._db.execute(
                    "INSERT OR IGNORE INTO replies (reply_id, body) VALUES (?, ?)",
                    (reply_id, self._cells.put(body, "replies.body", reply_id)),
                ).rowcount
            self._save_value("tool", receipt.mark)
        return new_n

    def to_hand_on(self, n: int) -> list[tuple[str, Reply]]:
        """The next replies for the log of answers, each with its id, at most n, in order."""
        rows = self._db.execute(
            "SELECT reply_id, body FROM replies WHERE is_handed = 0 ORDER BY n LIMIT ?", (n,)
        ).fetchall()
        return [
            (reply_id, _REPLY.decode(self._cells.get(body, "replies.body", reply_id)))
            for reply_id, body in rows
        ]

    def handed_on(self, reply_ids: Sequence[str]) -> None:
        """Remember that the log of answers has these; only their ids are kept, for a while."""
        with open_transaction(self._db):
            self._db.executemany(
                "UPDATE replies SET is_handed = 1, body = NULL WHERE reply_id = ?",
                [(one,) for one in reply_ids],
            )
            self._db.execute(
                "DELETE FROM replies WHERE is_handed = 1 AND n <= (SELECT MAX(n) FROM replies) - ?",
                (KEPT_N,),
            )

    def counts(self) -> Counts:
        by_state = dict(self._db.execute("SELECT state, COUNT(*) FROM requests GROUP BY state"))
        handed = dict(
            self._db.execute("SELECT is_handed, COUNT(*) FROM replies GROUP BY is_handed")
        )
        return Counts(
            waiting_n=by_state.get("new", 0) + by_state.get("sending", 0),
            sent_n=by_state.get("sent", 0) + by_state.get("leaving", 0),
            gone_n=by_state.get("gone", 0),
            replies_n=sum(handed.values()),
            to_hand_on_n=handed.get(0, 0),
        )

    def _save_value(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO marks (name, value) VALUES (?, ?)", (name, value))
