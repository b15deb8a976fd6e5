"""From candidates to requests: cold start, control draws that wait, rounds, a desk that is full."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace.chance import Chance
from headrace.errors import BrokenInvariant
from headrace.messages import LabelRequested, RoundClosed, RoundOpened
from headrace.query import waiting
from headrace.query.asking import Asking
from headrace.query.budgets import Budget, Share
from headrace.query.requests import Candidate, request_id
from headrace.settings import ColdStartSettings, LabelSettings, QuerySettings
from query.pools import pool_of


def asking_with(labels: int = 5, *, strategy: Any = "margin", **settings: Any) -> Asking:
    """With so many labels to spend."""
    label = LabelSettings(
        deadline_s=60.0,
        open_max=settings.pop("open_max", 100),
        closed_n=settings.pop("closed_n", 100),
        late_answers=settings.pop("late_answers", "taken"),
    )
    return Asking(
        QuerySettings(**settings),
        label,
        strategy=strategy,
        budget=Budget([Share(0.1, start=labels)], reserve=0),
        chance=Chance(1),
        stream="s",
    )


def candidate(name: str = "e0", seq: int = 0) -> Candidate:
    return Candidate(
        seq=seq,
        id=name,
        at=float(seq),
        features={"x": 1.0},
        prediction={"a": 1.0},
        served=None,
        served_model=None,
        key=None,
    )


def round_over(subject: Asking, n: int, wanted_n: int, **changes: Any) -> Any:
    pool = pool_of(np.linspace([0.5, 0.5], [1.0, 0.0], n), wanted_n=wanted_n)
    arguments = {"reason": "schedule", "at_random": None, "now": 9.0, "wanted_n": wanted_n}
    return subject.decide_round(pool, np.zeros(n, bool), **(arguments | changes))


# ------------------------------------------------------------------------------- cold start


def test_it_is_cold_until_every_known_class_has_its_labels() -> None:
    subject = asking_with(cold_start=ColdStartSettings(per_class_n=2, labels_max=50))
    assert subject.is_cold([])
    for label in ("a", "a", "a"):
        subject.count_label(label)
    assert subject.is_cold(["a"])
    assert subject.is_cold(["a", "b"])
    subject.count_label("b")
    subject.count_label("b")
    assert not subject.is_cold(["a", "b"])
    assert subject.is_cold(["a", "b", "c"])


def test_it_is_cold_no_longer_after_labels_max() -> None:
    subject = asking_with(cold_start=ColdStartSettings(per_class_n=10, labels_max=3))
    for _ in range(3):
        subject.count_label("a")
    assert not subject.is_cold(["a", "b"])


def test_per_class_0_is_never_cold() -> None:
    assert not asking_with(cold_start=ColdStartSettings(per_class_n=0)).is_cold([])


def test_a_cold_round_is_random_and_says_so() -> None:
    decision = round_over(asking_with(), 20, 4, at_random="cold start")
    assert (decision.strategy, decision.why) == ("random", "cold start")
    assert np.ptp(decision.inclusion) == 0.0
    assert len(decision.chosen) == 4


# ---------------------------------------------------------------------------- control draws


def test_a_control_draw_is_asked_at_once_with_its_probability() -> None:
    subject = asking_with(labels=1)
    [request] = subject.ask_control(candidate(), 3, 7.0)
    assert (request.reason, request.propensity) == ("control", subject.control_p)
    assert (request.at, request.deadline, request.round_n) == (7.0, 67.0, -1)
    assert request.request_id == request_id("s", "e0")
    assert (subject.open_n, subject.budget.spent_n) == (1, 1)


def test_a_control_draw_without_money_waits_and_is_asked_later() -> None:
    subject = asking_with(labels=0)
    drawn_p = subject.control_p
    assert subject.ask_control(candidate(), 3, 7.0) == []
    assert subject.pay_waiting(8.0) == []
    subject.budget.events_passed(1, 8.0)
    subject.budget.refund()
    [request] = subject.pay_waiting(9.0)
    assert (request.at, request.model_version, request.propensity) == (9.0, 3, drawn_p)
    assert subject.pay_waiting(10.0) == []


def test_the_oldest_of_too_many_waiting_is_given_up_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "WAITING_MAX", 3)
    subject = asking_with(labels=0)
    for i in range(5):
        subject.ask_control(candidate(f"e{i}", i), 0, float(i))
    assert subject.queue.given_up_n == 2
    subject.budget.refund(9)
    assert [request.event_id for request in subject.pay_waiting(9.0)] == ["e2", "e3", "e4"]


def test_nothing_is_asked_without_a_label_to_spend() -> None:
    subject = asking_with(labels=1)
    decision = round_over(subject, 5, 2)
    with pytest.raises(BrokenInvariant, match="without a label to spend"):
        subject.ask_round(decision, [candidate("e1"), candidate("e2")], 0)


def test_at_a_full_desk_nothing_can_be_asked_until_one_ends() -> None:
    subject = asking_with(labels=5, open_max=2)
    subject.ask_control(candidate("e0", 0), 0, 0.0)
    subject.ask_control(candidate("e1", 1), 0, 1.0)
    assert (subject.can_ask_n, subject.regular_n) == (0, 0)
    assert subject.ask_control(candidate("e2", 2), 0, 2.0) == []
    subject.end_request("e0", 0.0, is_answered=True)
    assert [request.event_id for request in subject.pay_waiting(3.0)] == ["e2"]


# ----------------------------------------------------------------------------------- rounds


def test_a_round_opens_asks_the_best_first_and_closes() -> None:
    subject = asking_with()
    decision = round_over(subject, 20, 3)
    candidates = [candidate(f"e{row}", int(row)) for row in decision.chosen]
    opened, *requests, closed = subject.ask_round(decision, candidates, 2)
    assert isinstance(opened, RoundOpened)
    assert isinstance(closed, RoundClosed)
    assert (opened.pool_n, opened.wanted_n, closed.asked_n) == (20, 3, 3)
    asked = [request for request in requests if isinstance(request, LabelRequested)]
    assert [r.utility for r in asked] == sorted((r.utility for r in asked), reverse=True)
    assert closed.threshold == min(request.utility for request in asked)
    assert all(request.round_n == opened.round_n for request in asked)
    assert all(0.0 < request.propensity <= 1.0 for request in asked)


def test_rounds_are_numbered_and_each_draws_anew() -> None:
    subject = asking_with(strategy="random")
    decisions = [round_over(subject, 50, 5) for _ in range(3)]
    assert [decision.round_n for decision in decisions] == [0, 1, 2]
    assert len({tuple(decision.chosen.tolist()) for decision in decisions}) == 3
    assert {decision.why for decision in decisions} == {"control"}


def test_an_event_that_was_asked_before_is_known_until_it_is_forgotten() -> None:
    subject = asking_with(closed_n=1)
    keys = subject.chance.keys(["e0", "e1"])
    subject.ask_control(candidate("e0"), 0, 0.0)
    assert subject.ask_control(candidate("e0"), 0, 1.0) == []
    assert subject.are_known(keys).tolist() == [True, False]
    subject.end_request("e0", 0.0, is_answered=True)
    subject.ask_control(candidate("e1"), 0, 2.0)
    assert subject.are_known(keys).tolist() == [True, True]
    subject.end_request("e1", 0.0, is_answered=True)
    assert subject.are_known(keys).tolist() == [False, True]


def test_the_end_of_a_request_that_is_not_ours_changes_nothing() -> None:
    subject = asking_with(labels=2, late_answers="refused")
    subject.ask_control(candidate("e0"), 0, 0.0)
    subject.end_request("e0", 0.0, is_answered=False)
    subject.end_request("e0", 0.0, is_answered=False)
    subject.end_request("stranger", 0.0, is_answered=False)
    assert (subject.open_n, subject.budget.spent_n, subject.can_ask_n) == (0, 0, 2)


def test_what_a_late_answer_may_still_cost_is_not_spent_again() -> None:
    subject = asking_with(labels=2)
    subject.ask_control(candidate("e0"), 0, 0.0)
    subject.end_request("e0", 0.0, is_answered=False)
    assert (subject.open_n, subject.budget.spent_n, subject.can_ask_n) == (0, 1, 1)


# ------------------------------------------------------------------------------ propensities


def test_first_chances_join_the_control_draw_and_the_round() -> None:
    subject = asking_with()
    subject.ask_control(candidate("e2", 2), 0, 2.0)
    decision = round_over(subject, 10, 2)
    ids = [f"e{row}" for row in range(10)]
    found = {
        each.request_id: each.propensity
        for each in subject.settle_first_chances(decision, np.arange(10), ids, 0)
    }
    control_p = subject.control_p
    for row in [2, *decision.chosen.tolist()]:
        expected = control_p + (1.0 - control_p) * decision.inclusion[row]
        assert found[request_id("s", f"e{row}")] == pytest.approx(expected)
    assert subject.propensity_min == min(found.values())


def test_who_left_the_window_before_a_round_had_the_control_draw_alone() -> None:
    subject = asking_with()
    subject.ask_control(candidate("e2", 2), 0, 2.0)
    [chance] = subject.control_draw.settle_gone(5)
    assert (chance.request_id, chance.propensity) == (request_id("s", "e2"), subject.control_p)
    assert subject.control_draw.settle_gone(5) == []


def test_request_ids_do_not_run_into_each_other() -> None:
    assert request_id("a", "bc") != request_id("ab", "c")
    assert request_id("a", "x") == request_id("a", "x")
