"""Notes from the desk's SQLite file: what people wrote beside their answers."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from .cells import DeskCells


@dataclass(frozen=True, slots=True)
class DeskNote:
    """What somebody wrote beside an answer.

    `label` is None for "cannot tell", `at` when it was given (seconds since the epoch); `event_id`
    is None where the question is too old to be remembered.
    """

    note: str
    label: str | None
    annotator: str
    at: float
    request_id: str
    event_id: str | None


def list_notes(db: sqlite3.Connection, cells: DeskCells) -> list[DeskNote]:
    """Return the notes beside answers that were not undone, in the order of writing."""
    rows = db.execute(
        "SELECT a.n, a.request_id, a.person, a.label, a.note, a.at, q.body FROM answers a "
        "LEFT JOIN questions q ON q.request_id = a.request_id WHERE a.is_undone = 0 ORDER BY a.n"
    ).fetchall()
    notes = []
    for n, request_id, person, label, stored, at, body in rows:
        if text := cells.decode_note(n, request_id, person, stored):
            notes.append(
                DeskNote(
                    note=text,
                    label=cells.decode_label(n, request_id, person, label),
                    annotator=person,
                    at=at,
                    request_id=request_id,
                    event_id=body and cells.decode_request(request_id, body).event_id,
                )
            )
    return notes
