"""A pilot beyond accuracy on arrival: F1, recall, a hold-out tail, labels to reach an accuracy."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from commands.test_pilot import case, history, nothing, outcome
from headrace.commands.pilot.compare import reaches_of
from headrace.commands.pilot.runs import ALL, _Judge, play_all, play_case, schema_of, settings_of
from headrace.settings import Settings, parse

SETTINGS = Settings()
QUICK = parse({"model": {"name": "logistic"}})


def test_f1_and_balanced_accuracy_are_those_of_scikit_learn() -> None:
    past = history(400)
    judge = _Judge(past, schema_of(past, SETTINGS))
    luck = np.random.default_rng(3)
    k = len(past.classes)
    chances = luck.dirichlet(np.ones(k), size=400)
    judge.record_predictions(np.arange(400), chances)
    truths, predicted = judge.truths, chances.argmax(axis=1)
    assert judge.balanced == pytest.approx(metrics.balanced_accuracy_score(truths, predicted))
    f1 = metrics.f1_score(truths, predicted, average="macro")
    assert judge.macro_f1 == pytest.approx(f1)


def test_a_prediction_that_failed_is_no_class_of_its_own() -> None:
    past = history(10)
    judge = _Judge(past, schema_of(past, SETTINGS))
    judge.record_predictions(np.arange(10), np.full((10, len(past.classes)), np.nan))
    assert (judge.balanced, judge.macro_f1, judge.accuracy) == (0.0, 0.0, 0.0)


def test_the_tail_is_judged_by_a_model_that_has_seen_none_of_it() -> None:
    """With the classes of the last fifth turned round it is right where it was wrong before."""
    before, after = history(600), history(600)
    after.codes[480:] = 1 - after.codes[480:]
    found, other = (play_case(one, QUICK, case(), nothing).tail for one in (before, after))
    full, turned = (play_all(one, QUICK, 0, nothing).tail for one in (before, after))
    assert found is not None
    assert full is not None
    assert other == pytest.approx(1.0 - found, abs=1e-12)
    assert turned == pytest.approx(1.0 - full, abs=0.03)
    assert full > 0.6


def test_limits_of_the_settings_do_not_reach_into_a_pilot() -> None:
    raw = {"query": {"budget": {"share": 0.1, "share_over_n": 50, "money": 3.0, "per_period": 2}}}
    budget = settings_of(history(), parse(raw), case()).query.budget
    assert (budget.money, budget.per_period, budget.share_over_n) == (None, None, None)


def test_labels_to_reach_are_read_off_the_budgets_that_were_run() -> None:
    runs = [
        outcome(strategy, budget, 0, accuracy, labels_n)
        for strategy, points in (
            ("random", [(0.01, 0.60, 100), (0.04, 0.80, 400)]),
            ("margin", [(0.01, 0.75, 100), (0.04, 0.85, 400)]),
        )
        for budget, accuracy, labels_n in points
    ]
    found = {
        (reach.part, reach.strategy): (round(reach.labels_n), reach.bound)
        for reach in reaches_of(runs, all_labels=0.85 / 0.95)
    }
    assert found[0.95, "random"] == (400, "at least")
    assert found[0.95, "margin"] == (400, "")
    assert found[0.9, "random"][1] == "at least"
    assert found[0.9, "margin"] == (215, "")
    assert found[0.98, "margin"] == (400, "at least")
    assert ALL not in {strategy for _, strategy in found}
