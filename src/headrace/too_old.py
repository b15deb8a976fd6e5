"""What is too old is forgotten: by which steps, and the order that says so, as [retention] has it.

Time is cut into steps of a day, or of a tenth of the shortest limit if that is less. Once in a step
whatever will be older than allowed by the end of it is erased.
"""

from __future__ import annotations

import math

from .messages import ErasureOrdered
from .settings.retention import DAY_S, RetentionSettings

KEY = "retention"


def step_s_of(settings: RetentionSettings) -> float:
    """How long a step is, seconds; infinite where nothing goes by its age.

    >>> step_s_of(RetentionSettings(days=5)), step_s_of(RetentionSettings())
    (43200.0, inf)
    """
    limits = [days * DAY_S for days in (settings.days, settings.kept_examples_days) if days]
    return min([DAY_S, *(limit / 10.0 for limit in limits)]) if limits else math.inf


def step_of(now: float, step_s: float) -> int:
    """The number of the step that a time is in; 0 where there are none."""
    return math.floor(now / step_s) if math.isfinite(now) else 0


def order_to_forget(settings: RetentionSettings, now: float, key: str) -> ErasureOrdered:
    """The order to forget what is too old now, seconds, or will be by the end of this step.

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
