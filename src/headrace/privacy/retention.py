"""Retention: when events and examples are too old, and the order that erases them ([retention]).

Time is cut into steps of a day, or of a tenth of the shortest limit if that is less. Once in a step
an order erases whatever will be older than allowed by the end of the step.
"""

from __future__ import annotations

import math

from ..messages import ErasureOrdered
from ..settings.retention import DAY_S, RetentionSettings

KEY = "retention"


def step_s_of(settings: RetentionSettings) -> float:
    """Return the length of a step in seconds; infinite if nothing is erased by age.

    >>> step_s_of(RetentionSettings(days=5)), step_s_of(RetentionSettings())
    (43200.0, inf)
    """
    limits = [days * DAY_S for days in (settings.days, settings.kept_examples_days) if days]
    return min([DAY_S, *(limit / 10.0 for limit in limits)]) if limits else math.inf


def step_of(now: float, step_s: float) -> int:
    """Return the number of the step that `now`, seconds, is in; 0 if it is not finite."""
    return math.floor(now / step_s) if math.isfinite(now) else 0


def order_to_forget(settings: RetentionSettings, now: float, key: str) -> ErasureOrdered:
    """Return the order to erase what is too old at `now`, seconds, or by the end of its step.

    >>> order = order_to_forget(RetentionSettings(days=5), 10 * DAY_S + 5.0, "ten")
    >>> order.before == order.examples_before == 5.5 * DAY_S
    True
    """
    step_s = step_s_of(settings)
    end = (step_of(now, step_s) + 1) * step_s
    days, examples_days = settings.days, settings.kept_examples_days
    return ErasureOrdered(
        at=now,
        key=key,
        before=None if days is None else end - days * DAY_S,
        examples_before=None if examples_days is None else end - examples_days * DAY_S,
        is_unlearned=settings.unlearns,
    )
