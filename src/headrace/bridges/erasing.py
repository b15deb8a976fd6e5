"""Erase requests from what bridges and desks remember in SQLite, whether they run or not.

A task that is in a tool is marked, and the bridge removes it there when it runs next. The data of a
request is deleted at once, and nothing of it is left in free pages or in the log of SQLite.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from functools import partial
from pathlib import Path

import msgspec

from ..adapters.sealing import Sealer
from ..messages.request_ids import base_id, is_further
from .database import is_sealed, open_transaction

REASON = "erased"
FORGOTTEN = (REASON, "retention")
"""Reasons of a withdrawal after which the request is forgotten altogether."""

BUSY_S = 10.0
"""How long to wait for a bridge that locks its file; its own transactions take milliseconds."""

_ROWS = ("questions", "leases", "passed", "answers", "tasks", "given", "said")
"""Tables whose rows about a request are deleted."""

_WITH_BODIES = ("requests", "asked")
"""Tables whose rows stay, with an empty body."""


def erase_requests(
    folder: Path, request_ids: Collection[str], sealer: Sealer | None = None
) -> tuple[dict[str, int], list[str]]:
    """Erase requests from every memory below a folder; return rows by file, and busy files.

    Questions for one more answer to a request are erased with it. A file that is no SQLite is
    skipped. `sealer` opens sealed files; one that it can't open counts as busy.
    """
    erased: dict[str, int] = {}
    busy: list[str] = []
    for path in sorted(folder.rglob("*.sqlite")) if folder.is_dir() else []:
        name = str(path.relative_to(folder))
        try:
            if rows_n := _erase_from(path, request_ids, sealer):
                erased[name] = rows_n
        except sqlite3.OperationalError:
            busy.append(name)
        except sqlite3.DatabaseError:
            continue
    return erased, busy


def _erase_from(path: Path, request_ids: Collection[str], sealer: Sealer | None) -> int:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_S)) as db:
        db.execute("PRAGMA secure_delete = ON")
        rows = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        tables = {name for (name,) in rows}
        db.execute("CREATE TEMP TABLE erased_ids (request_id TEXT PRIMARY KEY)")
        db.executemany(
            "INSERT INTO erased_ids VALUES (?)", [(request_id,) for request_id in request_ids]
        )
        if is_sealed(db):
            column = f"{path.stem}.replies.body"
            db.create_function("opened", 2, partial(_unseal_body, sealer, column))
        _add_further(db, tables.intersection((*_ROWS, *_WITH_BODIES)))
        with open_transaction(db):
            rows_n = sum(_delete_rows(db, table) for table in _ROWS if table in tables)
            for table, erase in _OTHERS.items():
                if table in tables:
                    rows_n += erase(db)
        # Free pages hold what was deleted earlier, and the log of SQLite holds all of it.
        db.execute("VACUUM")
        is_busy = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if is_busy:
            raise sqlite3.OperationalError("somebody reads it")
    return rows_n


def _add_further(db: sqlite3.Connection, tables: Collection[str]) -> None:
    """Add to the erased ids those of questions for one more answer to them (`further_id`)."""
    for table in sorted(tables):
        db.execute(
            f"INSERT OR IGNORE INTO erased_ids SELECT request_id FROM {table} WHERE "
            "substr(request_id, 1, instr(request_id, ':w') - 1) IN "
            "(SELECT request_id FROM erased_ids)"
        )


def _unseal_body(sealer: Sealer | None, column: str, key: str, body: bytes) -> bytes | None:
    return None if sealer is None else sealer.unseal(body, column, key)


def _delete_rows(db: sqlite3.Connection, table: str) -> int:
    return db.execute(
        f"DELETE FROM {table} WHERE request_id IN (SELECT request_id FROM erased_ids)"
    ).rowcount


def _empty_outbox(db: sqlite3.Connection) -> int:
    """Empty requests: one that was never sent is gone, one that the tool may have leaves it."""
    rows_n = db.execute(
        "UPDATE requests SET body = X'', reason = ?, was_cut = 0, state = CASE state "
        "WHEN 'new' THEN 'gone' WHEN 'gone' THEN 'gone' ELSE 'leaving' END "
        "WHERE length(body) > 0 AND request_id IN (SELECT request_id FROM erased_ids)",
        (REASON,),
    ).rowcount
    return int(rows_n)


def _empty_folder(db: sqlite3.Connection) -> int:
    """Empty requests; the files of tasks that have one are marked to be rewritten without it."""
    condition = "request_id IN (SELECT request_id FROM erased_ids)"
    db.execute(
        "UPDATE task_files SET is_stale = 1 WHERE n IN "
        f"(SELECT file FROM asked WHERE {condition} AND body IS NOT NULL)"
    )
    rows_n = db.execute(
        f"UPDATE asked SET body = NULL WHERE body IS NOT NULL AND {condition}"
    ).rowcount
    return int(rows_n)


def _erase_replies(db: sqlite3.Connection) -> int:
    """Delete the replies that the log of answers does not have yet."""
    erased_ids = {request_id for (request_id,) in db.execute("SELECT request_id FROM erased_ids")}
    body = "opened(reply_id, body)" if is_sealed(db) else "body"
    rows = db.execute(f"SELECT n, {body} FROM replies WHERE body IS NOT NULL").fetchall()
    if any(body is None for _, body in rows):
        raise sqlite3.OperationalError("it is sealed, and there are no keys")
    named = ((n, str(msgspec.json.decode(body).get("request_id"))) for n, body in rows)
    ours = [
        (n,) for n, name in named if (base_id(name) if is_further(name) else name) in erased_ids
    ]
    db.executemany("DELETE FROM replies WHERE n = ?", ours)
    return len(ours)


_OTHERS: dict[str, Callable[[sqlite3.Connection], int]] = {
    "requests": _empty_outbox,
    "asked": _empty_folder,
    "replies": _erase_replies,
}
