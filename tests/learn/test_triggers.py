"""What asks for a retraining, and what sets it back."""

from __future__ import annotations

import math

from headrace.learn.triggers import AFTER_DRIFT_N, RetrainTriggers
from headrace.settings import LearnSettings


def counted(labels_n: int, **learn: float) -> RetrainTriggers:
    triggers = RetrainTriggers(LearnSettings(**{"retrain_every_n": None, **learn}))
    for i in range(labels_n):
        triggers.count_label(float(i))
    return triggers


def test_nothing_asks_where_no_setting_says_so():
    triggers = counted(1_000)
    assert triggers.reason(1e9) is None
    assert (triggers.scheduled_at, triggers.drift_at) == (None, -math.inf)


def test_so_many_labels_ask_until_a_retraining_is_ordered():
    triggers = counted(9, retrain_every_n=10)
    assert triggers.reason(9.0) is None
    triggers.count_label(9.0)
    assert triggers.reason(9.0) == "labels"
    triggers.reset("drift", 9.0)
    assert triggers.reason(9.0) is None


def test_the_schedule_begins_with_the_first_label_and_anew_after_it_asked():
    triggers = counted(3, retrain_every_s=60.0)
    assert triggers.scheduled_at == 60.0
    assert (triggers.reason(59.0), triggers.reason(60.0)) == (None, "schedule")
    triggers.reset("labels", 30.0)
    assert triggers.scheduled_at == 60.0
    triggers.reset("schedule", 60.0)
    assert triggers.scheduled_at is None
    triggers.count_label(100.0)
    assert triggers.scheduled_at == 160.0


def test_a_drift_asks_again_after_each_of_so_many_labels():
    triggers = counted(500)
    triggers.reset("drift", 7.0)
    assert triggers.drift_at == 7.0
    asked_after = []
    for i in range(1, 300):
        triggers.count_label(float(i))
        if triggers.reason(float(i)) == "after drift":
            asked_after.append(i)
            triggers.reset("after drift", float(i))
    assert asked_after == list(AFTER_DRIFT_N)
    assert triggers.drift_at == 7.0
