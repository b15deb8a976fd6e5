"""The messages about rolling the model back to an earlier state."""

from __future__ import annotations

from .base import Message


class RollBackOrdered(Message, frozen=True, kw_only=True):
    """An order to bring the model back to an earlier version.

    Attributes:
        at: When it was ordered, seconds since the epoch.
        to: The version, one of those kept (`learn.versions_kept`); any other is rejected.
        key: Names the order; of several orders with the same key only the first is carried out.
            `ModelRolledBack` repeats it.
        reason: Why, in words; `ModelRolledBack` repeats it.
        by: Who ordered it, for the audit log.

    >>> from headrace import Engine
    >>> [refused] = Engine().feed([RollBackOrdered(at=60.0, to=3)])
    >>> str(refused.reason)
    'no_version'
    """

    at: float
    to: int
    key: str = ""
    reason: str = ""
    by: str = ""


class ModelRolledBack(Message, frozen=True, kw_only=True):
    """The model is an earlier one again.

    Either an adopted challenger proved worse than the champion it displaced, which is back in use,
    or somebody ordered it.

    Attributes:
        job_id: The number of the retraining that had made the challenger; -1 if it was ordered.
        at: When, seconds since the epoch.
        model_version: The number of the present version.
        champion_right: How often the champion was right about the control labels since the
            adoption, before it learned them, 0 to 1.
        challenger_right: The same of the challenger.
        labels_n: The number of these labels; 0 if nothing was compared.
        to: The version that the model was brought back to, if it was ordered; else None.
        order_key: The `key` of the `RollBackOrdered`.
        order_reason: The `reason` of the `RollBackOrdered`.

    >>> back = ModelRolledBack(job_id=-1, at=60.0, model_version=140, champion_right=0.0,
    ...     challenger_right=0.0, labels_n=0, to=96)
    >>> back.to
    96
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
