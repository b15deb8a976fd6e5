"""What the draw on arrival remembers: lateness, known doubts, the rate by the budget."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace.chance import Chance
from headrace.query.arrivals import BLOCK_N, Arrivals
from headrace.query.budgets import Budget, PerHour, Share
from headrace.query.online import ONE
from headrace.query.recent import KNOWN_N, Lateness, RecentValues


def aimed(arrivals: Arrivals, budget: Budget, **changes: Any) -> Arrivals:
    arguments = {"open_n": 0, "room_n": 99, "waiting_n": 0, "labels_n": 1_000, "classes_n": 2}
    arrivals.aim_draw(budget, **(arguments | changes))
    return arrivals


def passed(arrivals: Arrivals, budget: Budget, doubts: np.ndarray, **changes: Any) -> int:
    """Let events with these doubts arrive; how many were drawn, all of them paid."""
    keys = arrivals.chance.keys([f"e{budget.events_n + i}" for i in range(len(doubts))])
    start, drawn_n = 0, 0
    while start < len(doubts):
        stop = min(len(doubts), start + arrivals.counted_n)
        look = arrivals.look_ahead(doubts[start:stop], keys[start:stop])
        stop = start + look.n
        budget.events_passed(look.n, float(budget.events_n))
        drawn = arrivals.take_arrived(look, keys[start:stop])
        if drawn is not None:
            budget.charge()
            drawn_n += 1
        if arrivals.is_due:
            aimed(arrivals, budget, **changes)
        start = stop
    return drawn_n


def test_lateness_is_the_median_of_the_answers_and_silence_counts() -> None:
    lateness = Lateness()
    assert lateness.events_n(0, 0) == 0
    assert lateness.events_n(500, 3) == 500
    for i in range(20):
        lateness.note_answer(i * 10, i * 10 + 30)
    assert lateness.events_n(225, 4) == 30
    # One answer that came a week late says nothing about the others.
    lateness.note_answer(0, 230)
    assert lateness.events_n(240, 4) == 30
    assert lateness.events_n(1_230, 4) == 1_000
    assert lateness.events_n(1_230, 0) == 30


def test_values_go_around_where_a_stretch_ends_behind_the_last_place() -> None:
    recent, values = RecentValues(), np.arange(2_000.0)
    for start in range(0, 2_000, 300):
        recent.add(values[start : start + 300])
    recent.put_in_order()
    assert recent.ordered.tolist() == values[2_000 - KNOWN_N :].tolist()


def test_needs_are_kept_though_a_class_that_comes_late_begins_the_doubts_anew() -> None:
    arrivals, budget = Arrivals(0.25, Chance(1), quota_share=0.5), Budget([Share(0.05)], reserve=0)
    for i, n in enumerate((100, 1_500)):
        arrivals.face_classes(2 + i)
        needs, keys = np.full(n, 0.5), arrivals.chance.keys([f"{i}-{j}" for j in range(n)])
        start = 0
        while start < n:
            stop = min(n, start + arrivals.counted_n)
            look = arrivals.look_ahead(needs[start:stop], keys[start:stop], needs=needs[start:stop])
            stop = start + look.n
            budget.events_passed(look.n, float(budget.events_n))
            arrivals.take_arrived(look, keys[start:stop])
            aimed(arrivals, budget)
            start = stop
    assert arrivals.needed is not None
    assert arrivals.needed.is_any


def test_lateness_and_coldness_shape_the_chances() -> None:
    budget = Budget([Share(0.05)], reserve=0)
    arrivals = Arrivals(0.25, Chance(1))
    for _ in range(15):
        arrivals.note_answer(0, 1_000)
    late = aimed(arrivals, budget).chances.shape
    assert late.share == pytest.approx(0.5, abs=0.01)
    assert late.sharpness == pytest.approx(3.0, abs=0.01)
    cold = aimed(Arrivals(0.25, Chance(1)), budget, labels_n=0, classes_n=0).chances.shape
    one = aimed(Arrivals(0.25, Chance(1)), budget, labels_n=50, classes_n=1).chances.shape
    assert cold.share == one.share == 1.0
    given = Arrivals(0.25, Chance(1), is_doubt_given=True)
    assert aimed(given, budget, labels_n=0, classes_n=0).chances.shape == (0.25, 15.0)


def test_doubts_are_put_in_order_at_counted_events_and_the_latest_are_known() -> None:
    arrivals, budget = Arrivals(0.25, Chance(1)), Budget([Share(0.05)], reserve=0)
    doubts = Chance(3).uniforms("doubt", Chance(3).keys([str(i) for i in range(2_000)]))
    counted = []
    for i in range(200):
        counted.append(arrivals.counted_n)
        passed(arrivals, budget, doubts[i : i + 1])
    assert [i for i, n in enumerate(counted) if n == 1] == [0, 1, 3, 7, 15, 31, 63, 127]
    passed(arrivals, budget, doubts[200:1_920])
    known = arrivals.chances.ordered
    assert known.tolist() == np.sort(doubts[1_920 - KNOWN_N : 1_920]).tolist()
    assert BLOCK_N == 128


def test_doubts_about_other_classes_are_forgotten() -> None:
    arrivals, budget = Arrivals(0.25, Chance(1)), Budget([Share(0.05)], reserve=0)
    arrivals.face_classes(2)
    passed(arrivals, budget, np.linspace(0.0, 1.0, 300))
    assert len(arrivals.chances.ordered) > 200
    arrivals.face_classes(2)
    assert len(arrivals.chances.ordered) > 200
    arrivals.face_classes(3)
    assert arrivals.counted_n == 1
    chances = arrivals.chances.of(np.array([0.0, 0.5, 9.0]))
    assert len(set(chances.tolist())) == 1


@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
def test_the_spending_holds_while_doubts_as_a_whole_rise_and_fall(share: float) -> None:
    arrivals, budget = Arrivals(0.25, Chance(1)), Budget([Share(share)], reserve=0)
    aimed(arrivals, budget)
    t = np.arange(20_000)
    noise = Chance(3).uniforms("doubt", Chance(3).keys([str(i) for i in t]))
    doubts = noise + 5.0 * np.sin(t / 700.0) + (t > 9_000) * 20.0
    drawn_n = passed(arrivals, budget, doubts)
    assert drawn_n == pytest.approx(share * len(t), rel=0.01, abs=4)
    assert budget.balance > -2 * ONE


def test_a_pause_is_not_taken_for_the_pace() -> None:
    budget = Budget([PerHour(360.0, burst=100)], reserve=0)
    rates, now = [], 0.0
    for i in range(2_048):
        now += 3_600.0 if i == 1_000 else 1.0
        budget.events_passed(1, now)
        rates.append(budget.steady_labels_per_event())
    assert max(rates[600:]) == pytest.approx(0.1, rel=0.01)
    assert budget.labels_per_event() == pytest.approx(0.1, rel=0.01)


def test_of_what_is_granted_at_the_start_nothing_is_held() -> None:
    budget = Budget([Share(0.1, start=30)], reserve=20)
    assert budget.start_n == 30
    budget.charge(30)
    assert budget.held_n == 0
    budget.charge(25)
    assert budget.held_n == 2
