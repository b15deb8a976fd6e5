"""Accounts for labels that are not all alike: never more is spent than there is, at any instant."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import Engine, LabelRequested, RequestExpired, RoundOrdered
from headrace.errors import BadSettings
from headrace.messages import Answer, Tick
from headrace.query.accounts import LABEL, AskedLabel, Forgetting, Money, PerPeriod, in_millionths
from headrace.query.budgets import Account, Budget, Cap, PerHour, Share, from_settings
from headrace.settings import BudgetSettings, parse
from headrace.testing import check_budget
from test_engine import events, only

PRICES = {"fraud": 5.0, "odd": 0.5}
FACTORS = {"ada": 4.0, "ben": 0.5}
TEAMS = [(), ("ada",), ("ben",), ("eve",), ("ada", "ben")]
MAKERS: list[Callable[[], Account]] = [
    lambda: Share(0.3, start=20),
    lambda: PerHour(900.0, start=20),
    lambda: Cap(50),
    lambda: PerPeriod(20, period_s=3_600.0, carry_over=0.5),
    lambda: PerPeriod(20, period_s=60.0),
    lambda: Forgetting(0.3, window_n=100),
    lambda: Money(300.0, price=2.0, by_class=PRICES, by_annotator=FACTORS, doubt_factor=3.0),
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.default_n(3)
def test_every_account_keeps_exact_books(make: Callable[[], Account]) -> None:
    check_budget(make)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("events"), st.integers(1, 40), st.floats(0.0, 400.0)),
        st.tuples(st.just("ask"), st.floats(0.0, 1.0), st.sampled_from(["fine", "fraud"])),
        st.tuples(st.just("label"), st.integers(0, 50), st.sampled_from(["fine", *PRICES])),
        st.tuples(st.just("refund"), st.integers(0, 50), st.none()),
    ),
    max_size=120,
)


@given(STEPS)
@settings(max_examples=50, deadline=None)
def test_what_is_spent_is_never_more_than_allowed(steps: list[Any]) -> None:
    """Counted by hand: labels, labels of the period, the forgetting estimate, and money.

    A label may come for any request at any time, also for one that was not paid back.
    """
    share, over_n = 0.3, 30
    budget = Budget(
        [
            Share(share, burst=25, start=10),
            Forgetting(share, window_n=over_n),
            PerPeriod(12, period_s=600.0, carry_over=0.5),
            Cap(40),
            Money(60.0, price=2.0, by_class=PRICES, by_annotator=FACTORS, doubt_factor=3.0),
        ],
        reserve=0,
    )
    now, events_n, asked_n, estimate, in_period = 0.0, 0, 0, 0.0, 0
    open_: list[tuple[str, float, float]] = []
    spent = {}
    budget.events_passed(1, now)
    for kind, x, y in steps:
        if kind == "events":
            for _ in range(x):
                before, now = now, now + y / x
                budget.events_passed(1, now)
                estimate *= 1.0 - 1.0 / over_n
                if now // 600.0 != before // 600.0:
                    in_period = 0
            events_n += x
        elif kind == "ask" and budget.available_n:
            asked_n += 1
            name, factor = f"r{asked_n}", 1.0 + 2.0 * x
            budget.charge(asked=AskedLabel(name, y, x))
            open_.append((name, factor, events_n))
            spent[name] = 5.0 * 4.0 * factor
            estimate, in_period = estimate + 1.0, in_period + 1
        elif kind == "label" and open_:
            name, factor, _ = open_.pop(x % len(open_))
            by = TEAMS[x % len(TEAMS)]
            budget.settle(name, y, by)
            # Whoever is not named may be the dearest.
            times = sum(FACTORS.get(who, 1.0) for who in by) / len(by) if by else 4.0
            spent[name] = PRICES.get(y, 2.0) * times * factor
        elif kind == "refund" and open_:
            name, _, asked_at = open_.pop(x % len(open_))
            budget.refund(request_id=name, asked_before_n=int(events_n - asked_at))
            spent[name] = 0.0
            asked_n_net = sum(1 for value in spent.values() if value)
            estimate -= (1.0 - 1.0 / over_n) ** (events_n - asked_at)
            in_period -= 1
            assert budget.spent_n == asked_n_net
        assert budget.spent_n <= min(40, 10 + 25 + share * events_n + 1)
        assert sum(spent.values()) <= 60.0 + 1e-6
        assert estimate < share * over_n + 1.0 + 1e-6
        assert in_period <= 18
        assert all(account.balance >= 0 for account in budget.accounts)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_any_batching_earns_the_same(sizes: list[int], asked_n: int) -> None:
    def earned(steps: list[int]) -> list[int]:
        accounts: list[Account] = [
            PerPeriod(7, period_s=333.0, carry_over=0.25),
            Forgetting(0.2, window_n=50),
        ]
        now = 0.0
        for account in accounts:
            account.time_passed(now)
            for _ in range(min(asked_n, account.balance // LABEL)):
                account.charge(None)  # type: ignore[attr-defined]
        for n in steps:
            now += 20.0 * n
            for account in accounts:
                account.events_passed(n)
                account.time_passed(now)
        return [account.balance for account in accounts]

    assert earned(sizes) == earned([1] * sum(sizes))


def test_what_a_period_leaves_goes_over_once() -> None:
    account = PerPeriod(10, period_s=100.0, carry_over=1.0)
    account.time_passed(0.0)
    for _ in range(20):
        account.charge(None)
    assert account.balance == 0
    for now, labels in ((100.0, 10), (200.0, 20), (900.0, 20), (901.0, 20)):
        account.time_passed(now)
        assert account.balance == labels * LABEL
    account.charge(None)
    account.time_passed(850.0)
    assert account.balance == 19 * LABEL


def test_the_forgetting_estimate_is_that_of_the_paper_and_bounds_bursts() -> None:
    """Asked whenever it may: within a few per cent of the share, and never far above it."""
    account, asked_n = Forgetting(0.1, window_n=100), 0
    for _ in range(20_000):
        account.events_passed(1)
        if account.balance >= LABEL:
            account.charge(None)
            asked_n += 1
    assert 0.1 <= asked_n / 20_000 <= 0.107
    quiet = Forgetting(0.1, window_n=100)
    quiet.events_passed(100_000)
    assert quiet.balance // LABEL == 10


def test_money_holds_the_dearest_back_until_the_label_has_come() -> None:
    account = Money(30.0, price=2.0, by_class={"fraud": 5.0}, doubt_factor=2.0)
    assert account.balance // LABEL == 3
    account.charge(AskedLabel("a", "fine", 1.0))
    assert math.isclose(account.left, 20.0)
    account.settle("a", "fine", [])
    assert math.isclose(account.left, 26.0)
    account.charge(AskedLabel("b", "fine", 0.0))
    account.settle("b", "fraud", [])
    account.settle("b", "fine", [])
    assert math.isclose(account.left, 21.0)


def test_what_a_label_costs_goes_by_who_answered() -> None:
    account = Money(100.0, price=2.0, by_annotator={"ada": 5.0, "ben": 0.5})
    for name, by, left in (
        ("a", ["ada"], 90.0),
        ("b", ["ben"], 89.0),
        ("c", ["eve"], 87.0),
        ("d", ["ada", "eve"], 81.0),
        ("e", [], 71.0),
        ("f", ["ben", ""], 65.5),
    ):
        account.charge(AskedLabel(name, "fine", 0.0))
        account.settle(name, "fine", by)
        assert math.isclose(account.left, left)


def test_an_engine_pays_annotators_their_prices() -> None:
    budget = {"share": 0.5, "start": 5, "money": 100.0, "price_by_annotator": {"ada": 4.0}}
    engine = Engine(
        settings=parse({"query": {"budget": budget}, "label": {"names_annotators": True}})
    )
    asked = only(engine.feed(events(60)), LabelRequested)[:3]
    account = engine.shard.asking.budget.accounts[-1]
    assert isinstance(account, Money)
    held = account.left
    for request, who in zip(asked, ("ada", "ben", "eve"), strict=True):
        engine.feed([Answer(request_id=request.request_id, label="a", at=70.0, annotator=who)])
    assert math.isclose(account.left, held + 3.0 + 3.0)


@pytest.mark.parametrize("late", ["taken", "refused"])
def test_money_holds_when_answers_come_after_the_deadline(late: str) -> None:
    raw = {
        "seed": 3,
        "schema": {"classes": ["fine", "fraud"]},
        "label": {"deadline_s": 5.0, "late_answers": late},
        "query": {
            "budget": {
                "share": 1.0, "money": 40.0, "price": 1.0, "reserve": 0,
                "price_by_class": {"fraud": 4.0},
            },
            "rounds": {"every_n": 10},
            "cold_start": {"per_class_n": 0},
        },
    }  # fmt: skip
    engine = Engine(settings=parse(raw))
    outputs = engine.feed(events(300))
    asked = {o.request_id: 4.0 for o in outputs if isinstance(o, LabelRequested)}
    outputs += engine.feed([Tick(at=10_000.0)])
    expired = {o.request_id for o in only(outputs, RequestExpired)}
    assert expired == set(asked)
    if late == "refused":
        asked = dict.fromkeys(asked, 0.0)
    for i, name in enumerate(asked):
        label = "fraud" if i % 3 == 0 else "fine"
        followed = engine.feed([Answer(request_id=name, label=label, at=10_001.0)])
        is_taken = any(type(o).__name__ == "LabelSettled" for o in followed)
        assert is_taken == (late == "taken")
        asked[name] = (4.0 if label == "fraud" else 1.0) if is_taken else 0.0
        assert sum(asked.values()) <= 40.0
    outputs = engine.feed(events(300, start=10_002))
    more = only(outputs, LabelRequested)
    assert more
    open_n = len(more) - len(only(outputs, RequestExpired)) if late == "refused" else len(more)
    assert sum(asked.values()) + 4.0 * open_n <= 40.0


@pytest.mark.parametrize("start", [0, 1_700_000_000])
def test_the_first_period_has_its_labels_too(start: int) -> None:
    raw = {"query": {"budget": {"per_period": 20, "period_s": 3_600.0}, "rounds": {"every_n": 10}}}
    engine = Engine(settings=parse(raw))
    assert only(engine.feed(events(100, start=start)), LabelRequested)


def test_an_audit_and_a_round_leave_what_they_set_aside_for_each_other() -> None:
    """Each label asked may set another one aside: the last one of a round could not be paid."""
    budget = {"share": 1.0, "cap": 60, "reserve": 20, "reserve_audit": 20}
    raw = {"query": {"budget": budget, "rounds": {"every_n": 1_000}, "control_share": 0.25}}
    engine = Engine(settings=parse(raw))
    asked_n = len(only(engine.feed(events(110)), LabelRequested))
    assert 30 < asked_n < 55
    for is_audit in (False, True):
        order = RoundOrdered(at=180.0, key=str(is_audit), is_audit=is_audit)
        asked_n += len(only(engine.feed([order]), LabelRequested))
        reserves = engine.shard.asking.budget
        assert reserves.available_n >= (0 if is_audit else reserves.audit.held_n(asked_n) - 1)
    assert asked_n <= 60


def test_settings_lead_to_accounts_and_contradictions_are_told() -> None:
    every = BudgetSettings(
        share=0.05,
        share_over_n=100,
        per_period=20,
        money=50.0,
        price_by_class={"a": 2.0},
        price_by_annotator={"ada": 4.0},
        price_doubt=3.0,
        cap=9,
    )
    accounts = from_settings(every).accounts
    assert [type(account) for account in accounts] == [Share, Cap, Forgetting, PerPeriod, Money]
    assert isinstance(accounts[-1], Money) and accounts[-1].doubt_factor == 3.0
    assert accounts[-1].dearest == in_millionths(2.0 * 3.0 * 4.0)
    with pytest.raises(BadSettings, match="share_over_n is 100"):
        parse({"query": {"budget": {"share_over_n": 100, "per_hour": 3.0}}})
    with pytest.raises(BadSettings, match=r"by_annotator is set .* set label\.names_annotators"):
        parse({"query": {"budget": {"share": 0.1, "price_by_annotator": {"ada": 2.0}}}})
    with pytest.raises(BadSettings, match="no rate"):
        Engine(settings=parse({"query": {"budget": {"money": 3.0}}}))
    with pytest.raises(BadSettings, match="must be above 0"):
        Money(3.0, price=0.0)
    with pytest.raises(BadSettings, match="window"):
        Forgetting(0.1, window_n=0)
    with pytest.raises(BadSettings, match="goes over"):
        PerPeriod(3, period_s=60.0, carry_over=2.0)
