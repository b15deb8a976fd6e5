"""The triggers of a retraining: the schedule, a number of labels, a drift."""

from __future__ import annotations

import math

from ..settings import LearnSettings

AFTER_DRIFT_N = (25, 50, 100, 200)
"""Numbers of labels after a drift that each trigger a retraining: only these labels are recent."""


class RetrainTriggers:
    """Labels and times since the latest retraining and the latest drift.

    `drift_at` is the time of that drift, minus infinity before the first; `scheduled_at` is the
    next time of the schedule, None until a label starts it. Both are in seconds.

    >>> triggers = RetrainTriggers(LearnSettings(retrain_every_n=2, retrain_every_s=60.0))
    >>> triggers.count_label(1.0)
    >>> triggers.reason(60.0), triggers.reason(61.0)
    (None, 'schedule')
    >>> triggers.count_label(2.0)
    >>> triggers.reason(60.0)
    'labels'
    """

    def __init__(self, settings: LearnSettings) -> None:
        self.drift_at = -math.inf
        self.scheduled_at: float | None = None
        self._settings = settings
        self._labels_n = 0
        self._labels_since_drift_n = 0
        self._follow_ups_n = len(AFTER_DRIFT_N)

    def count_label(self, at: float) -> None:
        """Count a label that was settled at the time `at`, seconds."""
        self._labels_n += 1
        self._labels_since_drift_n += 1
        if every_s := self._settings.retrain_every_s:
            self.scheduled_at = min(self.scheduled_at or math.inf, at + every_s)

    def reason(self, now: float) -> str | None:
        """The first reason for a retraining at `now`, seconds, or None."""
        every_n = self._settings.retrain_every_n
        if self.scheduled_at is not None and now >= self.scheduled_at:
            return "schedule"
        if every_n is not None and self._labels_n >= every_n:
            return "labels"
        due_n = AFTER_DRIFT_N[self._follow_ups_n :][:1]
        return "after drift" if due_n and self._labels_since_drift_n >= due_n[0] else None

    def reset(self, reason: str, at: float) -> None:
        """Note that a retraining was ordered for this reason at the time `at`, seconds."""
        self._labels_n = 0
        if reason == "schedule":
            # The next label restarts the schedule: without one there is nothing new to learn.
            self.scheduled_at = None
        elif reason == "drift":
            self.drift_at, self._labels_since_drift_n, self._follow_ups_n = at, 0, 0
        elif reason == "after drift":
            self._follow_ups_n += 1
