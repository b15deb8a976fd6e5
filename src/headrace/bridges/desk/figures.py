"""Figures from the desk's SQLite file: who labels how fast, and the curve of the accuracy."""

from __future__ import annotations

import math
import sqlite3
from typing import Any

from ...learn.intervals import typical_of

SERIES_N = 400
"""The most points of the curve that are kept."""


def describe_people(db: sqlite3.Connection, now: float) -> list[dict[str, Any]]:
    """Return a dict for everybody who has answered or has a question, in the order of names."""
    rows = db.execute(
        "SELECT person, COUNT(*), MAX(at), COUNT(took_s), SUM(log_of(took_s)), "
        "SUM(log_of(took_s) * log_of(took_s)) FROM answers WHERE is_undone = 0 "
        "GROUP BY person ORDER BY person"
    ).fetchall()
    leased = dict(
        db.execute("SELECT person, COUNT(*) FROM leases WHERE until > ? GROUP BY person", (now,))
    )
    names = sorted({row[0] for row in rows} | set(leased))
    by_name = {row[0]: row[1:] for row in rows}
    people = []
    for name in names:
        answered_n, last_at, timed_n, *logs = by_name.get(name, (0, None, 0, 0.0, 0.0))
        people.append(
            {
                "name": name,
                "answered_n": answered_n,
                "took_s": typical_of(timed_n, *logs),
                "last_at": last_at,
                "leased_n": leased.get(name, 0),
            }
        )
    return people


def add_point(db: sqlite3.Connection, row: tuple[int, float, float, float]) -> None:
    """Store a point of the curve: labels, accuracy, and its bounds."""
    db.execute("INSERT OR REPLACE INTO series VALUES (?, ?, ?, ?)", row)
    if db.execute("SELECT COUNT(*) FROM series").fetchone()[0] > SERIES_N:
        # Every second point of the first half is removed: the curve keeps its shape.
        db.execute(
            "DELETE FROM series WHERE rowid IN (SELECT rowid FROM (SELECT rowid, "
            "ROW_NUMBER() OVER (ORDER BY labels_n) AS i FROM series) "
            f"WHERE i % 2 = 0 AND i < {SERIES_N // 2})"
        )


def log_of(seconds: float | None) -> float | None:
    """Return the logarithm of seconds, which count as at least a tenth of a second."""
    return None if seconds is None else math.log(max(0.1, seconds))
