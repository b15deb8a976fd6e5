"""The message that orders a round of questions."""

from __future__ import annotations

from .base import Message


class RoundOrdered(Message, frozen=True, kw_only=True):
    """An order to open a round now; `labels_n=None` asks for as many labels as the budget allows.

    If several orders have the same `key`, only the first is carried out. `RoundOpened` repeats
    `reason`; `by` names who ordered it, for the audit log. An audit asks about events drawn
    blindly, and may spend the labels set aside for audits. On Kafka `shards_n` shards share
    `labels_n`; the worker that receives the order sets `shards_n`.
    """

    at: float
    labels_n: int | None = None
    key: str = ""
    reason: str = ""
    by: str = ""
    shards_n: int = 0
    is_audit: bool = False
