"""What a bridge has done and has still to do, in an SQLite file that survives the bridge.

A request is `new`, then `sending`, then `sent`; one that is to be removed from the tool is
`leaving`, then `gone`. Requests with the highest priority are sent first, the oldest of equal ones.
Each change of state is written before or after its act, so that an act that was cut short can be
told from one that was done. Replies wait here until the log of answers has them.
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
from .database import SealedCells, open_database, open_transaction
from .erasing import FORGOTTEN

KEPT_N = 100_000
"""How many requests are remembered after their end; answers to older ones still pass."""

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
class OutboxCounts:
    """How many requests are waiting, in the tool and gone; replies, and those still to hand on."""

    waiting_n: int
    sent_n: int
    gone_n: int
    replies_n: int
    to_hand_on_n: int


class BridgeOutbox:
    """The memory of one bridge. Raises `BadInput` for a file of another kind or version.

    Its content survives the process, and with `outlives_power` a loss of power. With a `sealer`
    requests and replies are sealed (`SealedCells`).

    >>> import tempfile
    >>> outbox = BridgeOutbox(Path(tempfile.mkdtemp()) / "desk.sqlite")
    >>> outbox.count_requests().waiting_n
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
            self._cells = SealedCells(self._db, path, sealer, _SEALED)
        except BaseException:
            self._db.close()
            raise
        # Requests that were under way when the bridge ended may have reached the tool.
        self._db.execute("UPDATE requests SET was_cut = 1 WHERE state IN ('sending', 'leaving')")

    def close(self) -> None:
        self._db.close()

    def find_mark(self, name: str) -> str:
        """Return the place that was reached in the log of requests, "log", or in the "tool"."""
        row = self._db.execute("SELECT value FROM marks WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    # ------------------------------------------------------------------------------- requests

    def take_in(
        self, records: Sequence[ForAnnotators], place: str, now: float, *, reorders: bool = False
    ) -> None:
        """Remember records of the log of requests, and the place up to which it was read.

        A request expires at its deadline, but not before it was open from `now` on for as long as
        it was meant to be: a bridge that was away asks late rather than never. A new priority
        changes the order of requests still to be sent; where the tool `reorders`, a request that it
        has is sent again.
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
                            self._cells.seal_text(
                                msgspec.json.encode(record), "requests.body", record.request_id
                            ),
                            max(record.deadline, now + lasts_s),
                            record.priority,
                        ),
                    )
                elif isinstance(record, RequestRescored):
                    self._move_request(record, reorders=reorders)
                else:
                    # The questions for one more answer to this request end with it.
                    ids = (record.request_id, f"{record.request_id}:w", f"{record.request_id}:x")
                    which = "(request_id = ? OR (request_id >= ? AND request_id < ?))"
                    self._end_requests(which, ids, record.reason)
                    if record.reason in FORGOTTEN:
                        self._db.execute(f"UPDATE requests SET body = X'' WHERE {which}", ids)
            self._save_value("log", place)

    def _move_request(self, said: RequestRescored, *, reorders: bool) -> None:
        """Store a request's new priority; if it is withdrawn, a record of its own ends it."""
        row = self._db.execute(
            "SELECT body FROM requests WHERE request_id = ? AND state IN ('new', 'sending', ?)",
            (said.request_id, "sent" if reorders else "new"),
        ).fetchone()
        if row is None or said.withdrawn:
            return
        place = "requests.body", said.request_id
        request = _REQUEST.decode(self._cells.unseal_text(row[0], *place))
        request = msgspec.structs.replace(request, priority=said.priority)
        self._db.execute(
            "UPDATE requests SET body = ?, priority = ?, is_moved = (state = 'sent') "
            "WHERE request_id = ?",
            (
                self._cells.seal_text(msgspec.json.encode(request), *place),
                said.priority,
                said.request_id,
            ),
        )

    def expire_requests(self, now: float) -> None:
        """End all requests whose time is over; those in the tool are to be removed there."""
        with open_transaction(self._db):
            self._end_requests("expires <= ?", (now,), "expired")

    def _end_requests(self, which: str, values: tuple[str | float, ...], reason: str) -> None:
        # A request that the tool has never seen is gone at once.
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
        """Return the next deliveries, at most n, by highest priority, then the oldest first.

        From now on they count as under way.
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
                else _REQUEST.decode(self._cells.unseal_text(body, "requests.body", request_id)),
                reason=reason,
                may_be_there=bool(was_cut) or state == "sent",
            )
            for request_id, state, body, reason, was_cut in rows
        ]

    def not_sent(self, deliveries: Iterable[Delivery]) -> None:
        """Remember that sending these failed, so that the tool may have them or not."""
        self._db.executemany(
            "UPDATE requests SET was_cut = 1 WHERE request_id = ?",
            [(one.request_id,) for one in deliveries],
        )

    def note_sent(self, deliveries: Iterable[Delivery]) -> None:
        """Remember that the tool has taken these deliveries."""
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
        """Store the replies of a receipt and its mark, in one step; return how many are new."""
        new_n = 0
        with open_transaction(self._db):
            for reply in receipt.replies:
                body = msgspec.json.encode(reply)
                reply_id = reply.reply_id or hashlib.blake2b(body, digest_size=16).hexdigest()
                new_n += self._db.execute(
                    "INSERT OR IGNORE INTO replies (reply_id, body) VALUES (?, ?)",
                    (reply_id, self._cells.seal_text(body, "replies.body", reply_id)),
                ).rowcount
            self._save_value("tool", receipt.mark)
        return new_n

    def to_hand_on(self, n: int) -> list[tuple[str, Reply]]:
        """Return the next replies for the log of answers, at most n, in order, with their ids."""
        rows = self._db.execute(
            "SELECT reply_id, body FROM replies WHERE is_handed = 0 ORDER BY n LIMIT ?", (n,)
        ).fetchall()
        return [
            (reply_id, _REPLY.decode(self._cells.unseal_text(body, "replies.body", reply_id)))
            for reply_id, body in rows
        ]

    def handed_on(self, reply_ids: Sequence[str]) -> None:
        """Remember that the log of answers has these; only the ids of the latest are kept."""
        with open_transaction(self._db):
            self._db.executemany(
                "UPDATE replies SET is_handed = 1, body = NULL WHERE reply_id = ?",
                [(one,) for one in reply_ids],
            )
            self._db.execute(
                "DELETE FROM replies WHERE is_handed = 1 AND n <= (SELECT MAX(n) FROM replies) - ?",
                (KEPT_N,),
            )

    def count_requests(self) -> OutboxCounts:
        by_state = dict(self._db.execute("SELECT state, COUNT(*) FROM requests GROUP BY state"))
        handed = dict(
            self._db.execute("SELECT is_handed, COUNT(*) FROM replies GROUP BY is_handed")
        )
        return OutboxCounts(
            waiting_n=by_state.get("new", 0) + by_state.get("sending", 0),
            sent_n=by_state.get("sent", 0) + by_state.get("leaving", 0),
            gone_n=by_state.get("gone", 0),
            replies_n=sum(handed.values()),
            to_hand_on_n=handed.get(0, 0),
        )

    def _save_value(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO marks (name, value) VALUES (?, ?)", (name, value))
