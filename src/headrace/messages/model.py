"""The messages of a model that goes back to what it was."""

from __future__ import annotations

from .base import Message


class RollBackOrdered(Message, frozen=True, kw_only=True):
    """Somebody wants the model back as it was at version `to`, one of those that are kept.

    Of orders with one `key` only the first is carried out. `key` and `reason` are said again by
    `ModelRolledBack`; `by` names who ordered it, for the audit log.
    """

    at: float
    to: int
    key: str = ""
    reason: str = ""
    by: str = ""


class ModelRolledBack(Message, frozen=True, kw_only=True):
    """An adopted challenger proved worse than the champion it displaced, which is back in use.

    The shares are of the control labels since the adoption, of both before they learned them. With
    `to` it was ordered: the model is what it was at that version, there is no job (-1), and nothing
    was compared; `order_key` and `order_reason` are those of the `RollBackOrdered`.
    """

    job_id: int
    at: float
    model_version: int
    champion_right: float
    challenger_right: float
    labels_n: int
    to: int | None = None
    order_key: str = ""
    order_reason: str = ""
