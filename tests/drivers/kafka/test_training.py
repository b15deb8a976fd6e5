"""How many entries of the training log a worker folds before events have their turn again."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from headrace.flow.training import FOLDED_AT_ONCE_MAX, Training, new_log
from headrace.flow.wire import value_of
from headrace.learn.retrain import RetrainJob, attempt_job
from headrace.messages import LabelSettled, ModelAdopted, RetrainRequested
from headrace.settings import parse
from simulation.cluster import Kept

SETTINGS = parse({"model": {"name": "logistic"}, "schema": {"classes": ["high", "low"]}})


def label_of(number: int) -> LabelSettled:
    x = float(number % 7)
    return LabelSettled(
        request_id=f"r{number}",
        event_id=f"e{number}",
        label="high" if x > 3 else "low",
        at=1_000.0 + number,
        event_at=1_000.0 + number,
        features={"x": x},
        prediction={},
        reason="doubt",
        seq=number,
        answers_n=1,
        agreement=1.0,
    )


def training_behind(n: int, second_s: float) -> Training:
    """So many entries are read and not folded; by its timer each takes so many seconds."""
    ticks = count()
    training = Training(
        new_log(SETTINGS), 0, n, run=lambda job: None, timer=lambda: next(ticks) * second_s
    )
    records = [Kept("training", 0, i, None, value_of(label_of(i)), (), 0) for i in range(n)]
    training.decode_records(records)
    return training


@pytest.mark.parametrize(("second_s", "folded_n"), [(0.0, FOLDED_AT_ONCE_MAX), (0.012, 5)])
def test_events_have_their_turn_after_so_many_entries_or_so_long(second_s, folded_n):
    training, heard = training_behind(FOLDED_AT_ONCE_MAX + 20, second_s), []
    training.fold_ready(heard.append)
    assert len(heard) == training.position == training.trainer.champion.learned_n == folded_n
    assert training.waiting_n == FOLDED_AT_ONCE_MAX + 20 - folded_n


def test_an_entry_that_takes_longer_than_a_turn_is_folded_all_the_same():
    training = training_behind(3, 60.0)
    for folded_n in (1, 2, 3, 3):
        training.fold_ready(lambda entry: None)
        assert training.position == folded_n
    assert training.catch_up()


def test_how_many_are_folded_in_a_turn_does_not_move_the_model():
    ways = [training_behind(60, second_s) for second_s in (0.0, 0.03)]
    for training in ways:
        while training.waiting_n:
            training.fold_ready(lambda entry: None)
    row = ways[0].trainer.schema.row({"x": 2.5})[None]
    a, b = (one.trainer.probabilities(row).tolist() for one in ways)
    assert a == b != [[0.5, 0.5]]


ORDER = RetrainRequested(job_id=0, at=1_100.0, reason="labels", examples_n=40, model_version=40)
ADOPTION = ModelAdopted(
    job_id=0, at=1_200.0, model_version=42, champion_right=0.1, challenger_right=0.9, labels_n=20
)


def training_of(entries: list[Any], second_s: float, jobs: list[RetrainJob]) -> Training:
    """These entries are read; jobs that are begun are put into the list."""
    ticks = count()
    training = Training(
        new_log(SETTINGS),
        0,
        len(entries),
        run=jobs.append,
        timer=lambda: next(ticks) * second_s,
    )
    records = [Kept("t", 0, i, None, value_of(entry), (), 0) for i, entry in enumerate(entries)]
    training.decode_records(records)
    return training


def fold_all(second_s: float, *, grown: bool = False) -> tuple[list[float], int, int]:
    """Fold a log with an adoption, each measured step taking so many seconds.

    Returns what the model says then, in how many turns, and how many jobs were begun.
    """
    labels = [label_of(i) for i in range(60)]
    jobs: list[RetrainJob] = []
    training, turns_n, done_n = (
        training_of([*labels[:40], ORDER, *labels[40:]], second_s, jobs),
        0,
        0,
    )
    while training.waiting_n:
        training.fold_ready(lambda entry: None)
    training.decode_records([Kept("t", 0, 61, None, value_of(ADOPTION), (), 0)])
    while training.waiting_n:
        if len(jobs) > done_n:
            done_n = len(jobs)
            training.end_retraining(0, *attempt_job(jobs[-1]))
        training.fold_ready(lambda entry: None)
        turns_n += 1
        if grown and turns_n == 2:
            training.trainer.schema.class_code("a third")
    assert training.trainer.retrainings.adopted_n == 1
    row = training.trainer.schema.row({"x": 2.5})[None]
    return training.trainer.probabilities(row)[0].tolist(), turns_n, len(jobs)


def test_a_challenger_learns_what_settled_since_in_slices_before_it_is_adopted():
    at_once, in_slices = fold_all(0.0), fold_all(0.02)
    assert at_once[0] == in_slices[0] != [0.5, 0.5]
    assert at_once[1] == 1 and in_slices[1] > 3
    assert at_once[2] == in_slices[2] == 1


def test_a_job_is_run_again_if_a_class_comes_between_two_slices():
    said, turns_n, jobs_n = fold_all(0.02, grown=True)
    assert jobs_n == 2 and turns_n > 5
    assert len(said) == 3
