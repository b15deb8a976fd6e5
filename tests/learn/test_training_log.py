"""The training log as all fold it: what a drift that is told twice leads to."""

from __future__ import annotations

from headrace.learn.training_log import ANSWERED_N, TrainingLog
from headrace.messages import RetrainRequested
from learn.test_trainer import trainer_of


def order(job_id: int, at: float, reason: str = "drift") -> RetrainRequested:
    return RetrainRequested(job_id=job_id, at=at, reason=reason, examples_n=0, model_version=0)


def test_a_drift_is_answered_once_its_retraining_stands_in_the_log() -> None:
    log = TrainingLog(trainer_of())
    assert not log.has_answered(7.0)
    assert log.fold(order(0, at=7.0))
    assert log.has_answered(7.0) and not log.has_answered(8.0)


def test_only_orders_for_drift_that_count_answer_one() -> None:
    log = TrainingLog(trainer_of())
    assert not log.fold(order(5, at=7.0)), "not the next number"
    assert log.fold(order(0, at=8.0, reason="schedule"))
    assert not log.has_answered(7.0) and not log.has_answered(8.0)


def test_what_is_remembered_of_drift_has_a_limit() -> None:
    log = TrainingLog(trainer_of())
    for number in range(ANSWERED_N + 1):
        assert log.fold(order(number, at=float(number)))
    assert not log.has_answered(0.0) and log.has_answered(float(ANSWERED_N))
