"""The message that orders a round of questions."""

from __future__ import annotations

from .base import Message


class RoundOrdered(Message, frozen=True, kw_only=True):
    """Somebody asks for a round now; `labels_n=None` takes what the budget allows.

    Of orders with one `key` only the first is carried out. `reason` is said again by `RoundOpened`;
    `by` names who ordered it, for the audit log. An audit asks events drawn blindly, and may spend
    what is set aside for audits. On Kafka `shards_n` shards share `labels_n`; the
    worker that takes the order in sets it.
    """

    at: float
    labels_n: int | None = None
    key: str = ""
    reason: str = ""
    by: str = ""
    shards_n: int = 0
    is_audit: bool = False
