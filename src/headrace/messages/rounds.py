"""The message that orders a round of questions."""

from __future__ import annotations

from .base import Message


class RoundOrdered(Message, frozen=True, kw_only=True):
    """An order to open a round now.

    Attributes:
        at: When it was ordered, seconds since the epoch.
        labels_n: How many labels to ask; None asks for as many as the budget allows.
        key: Names the order; of several orders with the same key only the first is carried out.
            `RoundOpened` repeats it.
        reason: Why, in words; `RoundOpened` repeats it.
        by: Who ordered it, for the audit log.
        shards_n: On Kafka, the number of shards that share `labels_n`; the worker that receives
            the order sets it.
        is_audit: Whether it is an audit, which asks about events drawn blindly, and may spend the
            labels set aside for audits.

    >>> from headrace import Engine
    >>> [refused] = Engine().feed([RoundOrdered(at=60.0, labels_n=5)])
    >>> str(refused.reason)
    'no_round'
    """

    at: float
    labels_n: int | None = None
    key: str = ""
    reason: str = ""
    by: str = ""
    shards_n: int = 0
    is_audit: bool = False
