"""Long histories: fewer labels, and one history for all processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from headrace.chance import Chance
from headrace.commands.pilot import runs
from headrace.commands.pilot.command import cases_of, default_budgets
from headrace.commands.pilot.compare import Interval, count_saved_labels
from headrace.commands.pilot.history import History
from headrace.commands.pilot.runs import codes_of, learn_all, play_all, schema_of
from headrace.commands.pilot.sharing import share_history
from headrace.errors import BadSettings
from headrace.settings import Settings, parse
from headrace.wiring import make_learner

QUICK = parse({"model": {"name": "logistic"}})


def history(n: int) -> History:
    chance = Chance(5)
    x = np.array([chance.uniform("x", str(i)) for i in range(n)])
    return History("made", ("x",), {"x": x}, {}, ("no", "yes"), (x > 0.4).astype(np.int64))


def test_a_long_history_buys_no_more_labels_by_default() -> None:
    assert default_budgets(100_000) == (0.01, 0.05)
    assert default_budgets(581_012) == (0.0017, 0.0086)
    assert {c.budget for c in cases_of(history(300), Settings())} >= set(default_budgets(300))


@pytest.mark.parametrize("every_n", [1, 7, 2_000])
def test_the_reference_predicts_each_event_before_any_later_label(every_n: int) -> None:
    past = history(1_100)
    taken: list[NDArray[np.float64]] = []
    tails: list[float | None] = []
    learn_all(
        past, QUICK, 0, lambda rows, predicted: taken.append(predicted), lambda n: None,
        on_tail=tails.append, every_n=every_n,
    )  # fmt: skip
    schema = schema_of(past, QUICK)
    learner, codes = make_learner(QUICK, schema, Chance(0)), codes_of(past, schema)
    rows = schema.rows(next(past.iterate_batches(len(past)))[0])
    expected = []
    for i, row in enumerate(rows):
        expected.append(learner.probabilities(row[None], None, [None].__getitem__)[0])
        if i % every_n == 0:
            learner.learn(row, int(codes[i]), original=None)
    assert np.array_equal(np.concatenate(taken), np.array(expected))
    assert len(tails) == 1


def test_the_reference_says_which_labels_it_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "REFERENCE_LABELS_MAX", 60)
    found = play_all(history(595), QUICK, 0, lambda n: None)
    assert (found.labels_n, found.case.strategy, found.case.budget) == (60, "1 label in 10", 0.1)


def test_processes_read_one_history_from_files(tmp_path: Path) -> None:
    past = history(50)
    shared = share_history(past, tmp_path)
    assert not shared.rest.numbers
    np.save(tmp_path / "0.npy", past.numbers["x"] * 2)
    assert np.array_equal(shared.open().numbers["x"], past.numbers["x"] * 2)
    with pytest.raises(BadSettings, match="name a folder with room in TMPDIR"):
        share_history(past, tmp_path / "gone")


@pytest.mark.parametrize(
    ("points", "labels_n", "bound"), [(0.1, 402.0, "at least"), (-0.3, 99.0, "at most")]
)
def test_beyond_random_at_a_few_labels_more_or_less_nothing_is_lost_or_saved(
    points: float, labels_n: float, bound: str
) -> None:
    curve = [(100.0, 0.60), (400.0, 0.80)]
    difference = Interval(mean=points, low=points - 0.01, high=points + 0.01)
    saving = count_saved_labels(curve, labels_n, difference)
    assert saving is not None
    assert (saving.share, saving.bound, saving.is_sure) == (0.0, bound, True)
