"""The values on the topics of requests and answers, sealed where a worker has keys.

A value is bound to its topic and to its record's key, which is the id of its request: a broker, or
whoever writes to a topic, can't give one request the answer of another. What repeats or reorders
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
    """What seals and opens; `place` is the record's key. `unseal` raises `NotSealed`."""

    def seal(self, text: bytes, log: str, place: int | str) -> bytes: ...
    def unseal(self, record: bytes, log: str, place: int | str) -> bytes: ...


def key_of(record: Record) -> str:
    """A record's key as text; empty for none."""
    return (record.key or b"").decode("utf-8", "replace")


def unseal_answer(
    seals: Seals | None, record: Record, source: str, at: float
) -> bytes | InputRejected:
    """The value of an answer's record, or why it can't be had."""
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
