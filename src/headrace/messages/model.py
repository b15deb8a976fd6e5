"""The messages about rolling the model back to an earlier state."""

from __future__ import annotations

from .base import Message


class RollBackOrdered(Message, frozen=True, kw_only=True):
    """An order to bring the model back to version `to`, which must be one of those kept.

    If several orders have the same `key`, only the first is carried out. `ModelRolledBack` repeats
    `key` and `reason`; `by` names who ordered it, for the audit log.
    """

    at: float
    to: int
    key: str = ""
    reason: str = ""
    by: str = ""


class ModelRolledBack(Message, frozen=True, kw_only=True):
    """An adopted challenger proved worse than the champion it displaced, which is back in use.

    The two shares are how often each model was right about the control labels since the adoption,
    before it learned them. With `to` somebody ordered it: the model is as it was at that version,
    there is no job (-1), and nothing was compared; `order_key` and `order_reason` are those of the
    `RollBackOrdered`.
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
