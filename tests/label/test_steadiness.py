"""An annotator's drift: the statistic, its false alarms, what corrections change, who is told."""

from __future__ import annotations

import random

import pytest

from headrace.label.desk import Desk
from headrace.label.steadiness import _LINE, ALARM_EVERY_N, Fall, Steadiness
from headrace.messages import Answer, LabelRequested
from headrace.observe.drift.glr import Glr
from headrace.settings import parse
from headrace.state.codec import decode_state, encode_state


def test_it_alarms_where_the_likelihood_ratio_of_drift_does():
    luck = random.Random(3)
    watch, glr, alarms_n = Steadiness(), Glr(), 0
    for i in range(6_000):
        agrees = luck.random() < (0.9 if i % 600 < 400 else 0.6)
        glr.add_outcome(not agrees, None, float(i))
        watch.note_comparison(agrees, float(i))
        if glr.statistic >= _LINE:
            alarms_n += 1
            glr.restart()
            assert watch.fall is not None and watch.fall.at == float(i)
            assert watch.fall.n == glr.newest_n
        assert watch.falls_n == alarms_n
    assert alarms_n >= 8


@pytest.mark.parametrize("share", [0.05, 0.15, 0.3])
def test_a_steady_annotator_is_accused_no_more_often_than_is_said(share: float):
    """100,000 comparisons: 10 alarms are allowed, and by chance 19 in one of 200 such runs."""
    luck, watch = random.Random(11), Steadiness()
    for i in range(100_000):
        watch.note_comparison(luck.random() >= share, float(i))
    assert watch.falls_n < 19
    assert ALARM_EVERY_N == 10_000


def test_somebody_who_gets_better_or_is_new_is_not_accused():
    watch = Steadiness()
    for i in range(400):
        watch.note_comparison(i > 200 or i % 2 == 0, float(i))
    few = Steadiness()
    for i in range(25):
        few.note_comparison(i < 20, float(i))
    assert (watch.falls_n, few.falls_n) == (0, 0)


# ------------------------------------------------------------------------------ at the desk


def request(i: int) -> LabelRequested:
    return LabelRequested(
        request_id=f"r{i}", event_id=f"e{i}", at=0.0, event_at=0.0, deadline=1e9, features={},
        reason="round", strategy="random", utility=0.0, threshold=0.0, propensity=0.1,
        model_version=0, prediction={}, round_n=0, seq=i, answers_wanted=3,
    )  # fmt: skip


def says(i: int, who: str, label: str, at: float) -> Answer:
    return Answer(request_id=f"r{i}", label=label, at=at, annotator=who)


def desk() -> Desk:
    return Desk(parse({"label": {"answers_wanted": 3}}).label, ["a", "b"], 10)


def played(there: Desk, n: int, wrong_from: int) -> None:
    for i in range(n):
        there.open_request(request(i))
        cy = "b" if i >= wrong_from else "a"
        for who, label in (("al", "a"), ("bo", "a"), ("cy", cy)):
            there.take_answer(says(i, who, label, float(i)), float(i))


def test_who_names_another_class_than_the_others_is_noticed_and_nobody_else():
    there = desk()
    played(there, 120, wrong_from=100)
    falls = {name: a.steadiness.fall for name, a in there.annotators.by_name.items()}
    assert falls["al"] is None and falls["bo"] is None
    assert falls["cy"] == Fall(at=102.0, agreed_n=2, n=5, agreed_before_n=98, before_n=98)


def test_a_correction_takes_nothing_back_and_is_not_compared_twice():
    there = desk()
    played(there, 50, wrong_from=50)
    for i in range(50):  # cy corrects each, twice: the label stays as it is
        there.take_answer(says(i, "cy", "b", 100.0), 100.0)
        there.take_answer(says(i, "cy", "a", 101.0), 101.0)
    cy = there.annotators.by_name["cy"]
    assert (cy.steadiness.n, cy.steadiness.disagreed, cy.steadiness.falls_n) == (50, 0, 0)
    assert (cy.compared_n, cy.agreed_n) == (50, 50)


def test_the_state_of_before_is_read():
    state = encode_state(desk().annotators)
    assert decode_state(*state).by_name == {}
    there = desk()
    played(there, 3, wrong_from=9)
    old = there.annotators.by_name["al"]
    fields = {"answers_n": 3, "refused_n": 0, "compared_n": 3, "agreed_n": 3, "latency_s": 3.0}
    new = type(old)(**old.upgrade_state(fields, 1))
    assert (new.answers_n, new.timed_n, new.steadiness) == (3, 0, Steadiness())
