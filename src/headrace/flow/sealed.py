"""The values on the topics of requests and answers, sealed where a worker has keys.

A value is bound to its topic and to its record's key, which is the id of its request: a broker, or
anybody who writes to a topic, can't give one request the answer of another. Repeating or reordering
records is harmless, as it is without seals (docs/DELIVERY.md).
"""

from __future__ import annotations

from typing import Protocol

from ..errors import NotSealed
from ..messages import InputRejected, Reason
from .records import Record

REQUESTS_TOPIC, ANSWERS_TOPIC = "topic of requests", "topic of answers"
"""The names of these logs, whatever the topics are called."""


class Seals(Protocol):
    """Seals and opens values; `place` is the record's key. `unseal` raises `NotSealed`."""

    def seal(self, text: bytes, log: str, place: int | str) -> bytes: ...
    def unseal(self, record: bytes, log: str, place: int | str) -> bytes: ...


def key_of(record: Record) -> str:
    """Return a record's key as text; empty for none."""
    return (record.key or b"").decode("utf-8", "replace")


def unseal_answer(
    seals: Seals | None, record: Record, source: str, at: float
) -> bytes | InputRejected:
    """Return the value of an answer's record, opened, or a rejection if that can't be done.

    Without `seals` values are plain. A rejection names its `source` and `at`, in seconds.
    """
    value = record.value or b""
    if seals is None:
        return value
    try:
        return seals.unseal(value, ANSWERS_TOPIC, key_of(record))
    except NotSealed as error:
        return InputRejected(
            reason=Reason.NOT_SEALED,
            detail=str(error),
            at=at,
            source=source,
            position=record.offset,
        )
