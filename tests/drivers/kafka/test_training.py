"""How many entries of the training log a worker folds before events have their turn again."""

from __future__ import annotations

from itertools import count

import pytest

from headrace.flow.training import FOLDED_AT_ONCE_MAX, Training, new_log
from headrace.flow.wire import value_of
from headrace.messages import LabelSettled
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
