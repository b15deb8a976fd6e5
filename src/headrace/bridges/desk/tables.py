"""The tables of the desk's SQLite file, and which of their cells are sealed."""

from __future__ import annotations

import hashlib

from ...messages import LabelRequested

VERSION = 2

SCHEMA = """
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
SEALED = (
    ("questions", "body", "request_id"),
    ("answers", "label", _ANSWER),
    ("answers", "note", _ANSWER),
)


def event_of(request: LabelRequested) -> str:
    """Return a hash of the event's id; it reveals no more than the request id, stored unsealed."""
    return hashlib.blake2b(
        request.event_id.encode(errors="surrogatepass"), digest_size=8
    ).hexdigest()
