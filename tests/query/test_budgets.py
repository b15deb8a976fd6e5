"""Budgets: exact at any batching, to the billionth of a label."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import BadSettings
from headrace.query.accounts import Forgetting, Money, PerPeriod
from headrace.query.budgets import Account, Budget, Cap, PerHour, Share, from_settings
from headrace.settings import BudgetSettings


def passed(budget: Budget, sizes: list[int], gap_s: float = 1.0) -> Budget:
    """Events a moment apart, in pieces of these sizes cut where the mean gap is taken."""
    seen_n = 0
    for size in sizes:
        left = size
        while left:
            step = min(left, budget.next_gap_n)
            seen_n += step
            left -= step
            budget.events_passed(step, 1_000.0 + gap_s * seen_n)
    return budget


@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.integers(1, 20))
@settings(max_examples=50, deadline=None)
def test_any_batching_earns_the_same(sizes: list[int], burst: int) -> None:
    def budget() -> Budget:
        return Budget([Share(0.0371, burst=burst, start=1), PerHour(321.7, burst=burst)], reserve=3)

    once, singly = passed(budget(), sizes), passed(budget(), [1] * sum(sizes))
    assert [a.balance for a in once.accounts] == [a.balance for a in singly.accounts]
    assert once.labels_per_event() == singly.labels_per_event()


@pytest.mark.parametrize(
    "made",
    [
        Share,
        lambda value: Share(0.1, burst=value),
        PerHour,
        Cap,
        lambda value: PerPeriod(value, period_s=60.0),
        Forgetting,
        lambda value: Money(value, price=1.0),
        lambda value: Money(9.0, price=value),
        lambda value: Money(9.0, price=1.0, by_class={"fraud": value}),
    ],
)
@pytest.mark.parametrize("value", ["5 %", None, True, float("nan")])
def test_what_is_no_number_is_refused_with_a_sentence(made: Any, value: object) -> None:
    with pytest.raises(BadSettings, match="must be a number"):
        made(value)


def test_a_share_is_exact_where_floats_are_not() -> None:
    budget = passed(Budget([Share(0.1)], reserve=0), [1] * 30)
    assert budget.available_n == 3


def test_unspent_labels_pile_up_to_the_burst_and_no_further() -> None:
    assert passed(Budget([Share(0.5, burst=7)], reserve=0), [1_000]).available_n == 7


def test_a_refund_beyond_the_burst_is_kept_and_earns_nothing_more() -> None:
    budget = passed(Budget([Share(0.5, burst=7)], reserve=0), [100])
    budget.charge(5)
    passed(budget, [100])
    budget.refund(5)
    assert budget.available_n == 12
    assert passed(budget, [100]).available_n == 12
    assert (budget.asked_n, budget.refunded_n, budget.spent_n) == (5, 5, 0)


def test_a_rate_earns_with_time_only_and_from_the_first_moment_on() -> None:
    budget = Budget([PerHour(3_600.0)], reserve=0)
    budget.events_passed(1, 5_000.0)
    assert budget.available_n == 0
    budget.time_passed(5_010.0)
    assert budget.available_n == 10
    budget.time_passed(5_010.0)
    assert budget.available_n == 10


def test_the_poorest_account_decides() -> None:
    budget = passed(Budget([Share(0.5), Cap(3)], reserve=0), [100])
    assert budget.available_n == 3
    budget.charge(3)
    assert (budget.available_n, budget.is_exhausted) == (0, True)
    budget.refund()
    assert (budget.available_n, budget.is_exhausted) == (1, False)


@pytest.mark.parametrize(("share", "asked_n"), [(0.005, 200), (0.1, 10), (1.0, 1)])
def test_a_part_of_what_is_asked_is_held_up_to_the_reserve(share: float, asked_n: int) -> None:
    account = Share(1.0, burst=1_000)
    budget = passed(Budget([account], reserve=2, reserve_share=share), [800])
    held = []
    for _ in range(4):
        held.append(budget.held_n)
        budget.charge(asked_n)
    assert held == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("limits", "reserve_n", "audit_n"),
    [
        ({"share": 0.1}, 20, 50),
        ({"share": 0.1, "burst": 10}, 5, 0),
        ({"per_hour": 1.0, "burst": 60}, 20, 10),
        ({"per_hour": 1.0, "burst": 1}, 0, 0),
        ({"per_period": 7}, 0, 0),
        ({"per_period": 30}, 3, 3),
        ({"share": 0.05, "share_over_n": 100}, 0, 0),
        ({"share": 0.05, "share_over_n": 1_000}, 5, 5),
        ({"per_period": 30, "reserve_share": 1.0}, 15, 3),
        ({"share": 0.1, "reserve": 2, "reserve_audit": 3, "burst": 12}, 2, 3),
    ],
)
def test_what_is_set_aside_leaves_room_for_others(
    limits: dict[str, Any], reserve_n: int, audit_n: int
) -> None:
    budget = from_settings(BudgetSettings(**{"reserve_audit": 50, **limits}))
    assert budget.reserve.held_n(10_000) == reserve_n
    assert budget.audit.held_n(10_000) == audit_n


def test_labels_per_event_follows_the_pace_of_events() -> None:
    slow = passed(Budget([PerHour(36.0)]), [512], gap_s=10.0)
    fast = passed(Budget([PerHour(36.0)]), [512], gap_s=1.0)
    assert slow.labels_per_event() == pytest.approx(0.1)
    assert fast.labels_per_event() == pytest.approx(0.01)
    assert passed(Budget([PerHour(36.0), Share(0.02)]), [512], 10.0).labels_per_event() == 0.02


def test_a_budget_goes_on_after_pickling() -> None:
    budget = passed(Budget([Share(0.3), PerHour(5.0), Cap(90)]), [77])
    again = pickle.loads(pickle.dumps(budget))
    for each in (budget, again):
        passed(each, [100])
    assert [a.balance for a in again.accounts] == [a.balance for a in budget.accounts]


def test_settings_make_all_accounts_that_are_set() -> None:
    limits = BudgetSettings(share=0.1, per_hour=5.0, cap=9, start=2, reserve=4, reserve_audit=3)
    budget = from_settings(limits)
    assert [type(account) for account in budget.accounts] == [Share, PerHour, Cap]
    assert (budget.available_n, budget.reserve.most_n, budget.audit.most_n) == (2, 4, 3)


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: Share(0.0), "above 0 and at most 1"),
        (lambda: Share(1.1), "above 0 and at most 1"),
        (lambda: PerHour(0.0), "above 0"),
        (lambda: Cap(-1), "at least 0"),
        (lambda: Budget([Cap(5)]), "set share or per_hour as well"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(make: Account, fault: str) -> None:
    with pytest.raises(BadSettings, match=fault):
        make()  # type: ignore[operator]


@given(st.floats(1e-6, 1.0), st.integers(1, 30), st.integers(0, 40), st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_so_many_events_go_by_before_labels_are_available(
    share: float, burst: int, asked_n: int, wanted_n: int
) -> None:
    def after(events_n: int) -> int:
        budget = Budget([Share(share, burst=burst, start=2), Cap(1_000)], reserve=0)
        budget.charge(asked_n)
        budget.events_passed(events_n, 0.0)
        return budget.available_n

    budget = Budget([Share(share, burst=burst, start=2), Cap(1_000)], reserve=0)
    budget.charge(asked_n)
    until = budget.events_until(wanted_n)
    assert (after(until - 1) if until else 0) < wanted_n
    assert after(until) == min(burst, max(wanted_n, 2 - asked_n)) or until == 0


def test_what_earns_with_time_may_have_a_label_at_the_next_event() -> None:
    assert Budget([PerHour(60.0)]).events_until(3) == 0
