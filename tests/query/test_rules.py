"""Rules that ask on arrival: the contract of each, rules that break it, and what each is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from headrace import BadSettings, Chance
from headrace.query.budgets import Budget, Share
from headrace.query.ruled import RuledArrivals
from headrace.query.rules import RULES, Arriving, Draw, Rule, make_rule, options_of
from headrace.query.rules.threshold import chance_below
from headrace.testing import check_online
from headrace.testing.online import SEEDS_N
from marks import long_ones
from query.pools import pool_of


@pytest.mark.parametrize("seeds_n", [40, *long_ones(SEEDS_N)])
@pytest.mark.parametrize("name", RULES)
@pytest.mark.default_n(5)
def test_every_rule_keeps_the_contract(
    name: str, seeds_n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seeds are what costs: fewer try the draw of each rule, all that of the first below."""
    monkeypatch.setattr("headrace.testing.online.SEEDS_N", seeds_n)
    check_online(lambda: make_rule(name, {}))


def test_a_rule_keeps_the_contract_as_it_is_shipped() -> None:
    check_online(lambda: make_rule("random", {}))


# --------------------------------------------------------------------------- broken on purpose


class Steady:
    """A rule in order, for others to break."""

    def __init__(self) -> None:
        self.n = 0

    def chance(self, event: Arriving) -> float:
        return event.rate

    def passed(self, event: Arriving, draw: Draw) -> None:
        self.n += 1


class Shared(Steady):
    """What one instance has seen another one knows."""

    seen: list[float] = []  # noqa: RUF012 - that is what is broken

    def chance(self, event: Arriving) -> float:
        self.seen.append(event.doubt)
        return min(1.0, 1.0 / len(self.seen))


class Gambling(Steady):
    def chance(self, event: Arriving) -> float:
        return float(np.random.default_rng().random())


class Greedy(Steady):
    def chance(self, event: Arriving) -> float:
        return 3.0 * event.rate


class Unsure(Steady):
    def chance(self, event: Arriving) -> float:
        return float(event.x[0])


class Meddling(Steady):
    def chance(self, event: Arriving) -> float:
        event.x[:] = 0.0
        return event.rate


class Forgetful(Steady):
    def chance(self, event: Arriving) -> float:
        return 0.5 if self.n > 40 else 0.0

    def __getstate__(self) -> dict[str, Any]:
        return {"n": 0}

    def __deepcopy__(self, memo: dict[int, Any]) -> Forgetful:
        copied = Forgetful()
        copied.n = self.n
        return copied


class Brief(Steady):
    """It has lost what it had at every look: a copy of it begins anew."""

    def chance(self, event: Arriving) -> float:
        return 0.5 if self.n % 8 == 7 else 0.0

    def __deepcopy__(self, memo: dict[int, Any]) -> Brief:
        return Brief()


class Stuck(Steady):
    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("it is not to be kept")

    def __deepcopy__(self, memo: dict[int, Any]) -> Stuck:
        return Stuck()


class Frail(Steady):
    def chance(self, event: Arriving) -> float:
        return float(event.probabilities.max() < 0.5)


ONE_STEADY = Steady()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ONE_STEADY, "Steady has to be made anew"),
        (Shared, "Shared, events of 1 classes|Shared, events of 2 classes"),
        (Gambling, "Gambling, events of"),
        (Greedy, "Greedy gave an event the probability 3.0"),
        (Unsure, "Unsure gave an event the probability nan"),
        (Meddling, "Meddling changed an event"),
        (Forgetful, "forgets something when it is pickled"),
        (Stuck, "Stuck can't be pickled: it is not to be kept"),
        (Brief, "Brief, events of 2 classes: batches of"),
        (Frail, "Frail failed on an event of 0 classes: ValueError"),
    ],
)
def test_a_broken_rule_is_caught(make: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_online(make)


def test_a_draw_that_is_not_what_it_says_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lucky(Chance):
        def uniforms(self, purpose: str, keys: Any) -> Any:
            found = super().uniforms(purpose, keys)
            return found * 0.8 if purpose == "rule" else found

    monkeypatch.setattr("headrace.testing.online.Chance", Lucky)
    with pytest.raises(AssertionError, match="more or less often than it says"):
        check_online(lambda: make_rule("random", {}))


# ------------------------------------------------------------------------------- one by one


@dataclass
class Told:
    """Leads a rule over events; what it said and what was drawn of each."""

    rule: Rule
    rate: float = 0.1
    chances: list[float] = field(default_factory=list)
    is_chosen: list[bool] = field(default_factory=list)

    def see(self, p: Any, luck: float = 0.5, members: Any = None) -> float:
        p = np.asarray(p, dtype=np.float64)
        event = Arriving(
            float(1.0 - p.max()), p, np.zeros(1), np.zeros(1, np.bool_), self.rate, members
        )
        found = self.rule.chance(event)
        self.rule.passed(event, Draw(luck, luck < found, luck < found))
        self.chances.append(found)
        self.is_chosen.append(luck < found)
        return found


def test_the_fixed_threshold_is_that_part_of_what_the_likeliest_class_can_have() -> None:
    told = Told(make_rule("fixed_uncertainty", {}), rate=0.5)
    assert [told.see([p, 1.0 - p]) for p in (0.76, 0.74)] == [0.0, 1.0]
    assert Told(make_rule("fixed_uncertainty", {"limit": 0.9})).see([0.89, 0.11]) == 1.0


def test_the_variable_threshold_falls_when_it_asks_and_rises_when_it_does_not() -> None:
    rule: Any = make_rule("variable_uncertainty", {"step": 0.1})
    told = Told(rule, rate=1.0)
    told.see([0.6, 0.4])
    assert rule.theta == pytest.approx(0.9)
    told.see([0.95, 0.05])
    assert rule.theta == pytest.approx(0.99)
    assert told.is_chosen == [True, False]


def test_nothing_is_asked_and_nothing_moves_while_the_rate_is_spent() -> None:
    rule: Any = make_rule("variable_uncertainty", {"window": 10})
    told = Told(rule, rate=0.1)
    for _ in range(60):
        told.see([0.5, 0.5])
    theta, gaps = rule.theta, np.diff(np.flatnonzero(told.is_chosen))
    assert told.is_chosen[0] and min(gaps) > 1
    assert 6 <= len(gaps) + 1 <= 9
    assert theta == pytest.approx(0.99 ** sum(told.is_chosen))


def test_a_threshold_that_only_falls_can_rise_again() -> None:
    rule: Any = make_rule("variable_uncertainty", {"step": 0.5, "window": 1})
    told = Told(rule, rate=1.0)
    rule.spent.window = 10**6
    for _ in range(2_000):
        told.see(np.full(1000, 1e-3))
        rule.theta = max(rule.theta, 1e-3 + 1e-9) if rule.theta <= 1e-3 else rule.theta
    assert rule.theta > 0.0


def test_the_random_threshold_asks_as_often_as_a_normal_factor_would() -> None:
    factors = np.random.default_rng(1).normal(1.0, 0.3, 200_000)
    for confidence in (0.3, 0.6, 0.9):
        share = float((confidence < 0.7 * factors).mean())
        assert chance_below(confidence, 0.7, 0.3) == pytest.approx(share, abs=0.005)


def test_a_split_leaves_every_event_a_chance_and_the_lot_moves_no_threshold() -> None:
    rule: Any = make_rule("split", {"share": 0.4})
    told = Told(rule, rate=0.5)
    assert told.see([0.6, 0.4], luck=0.9) == pytest.approx(0.6 + 0.4 * 0.5)
    assert rule.theta == 1.0
    rule.theta = 0.55
    assert told.see([0.6, 0.4], luck=0.1) == pytest.approx(0.2)
    assert rule.theta == 0.55 and told.is_chosen == [False, True]
    told.see([0.6, 0.4], luck=0.5)
    assert rule.theta == pytest.approx(0.55 * 1.01)


def test_selective_sampling_is_b_over_b_plus_the_margin() -> None:
    told = Told(make_rule("selective_sampling", {"scale": 0.25}))
    assert told.see([0.5, 0.25, 0.25], luck=0.99) == pytest.approx(0.5)
    assert told.see([0.4, 0.4, 0.2], luck=0.99) == 1.0
    assert Told(make_rule("selective_sampling", {}), rate=0.25).see([0.5, 0.25, 0.25]) == 0.5


def test_importance_weighting_rises_with_how_far_members_are_apart() -> None:
    told = Told(make_rule("iwal", {"least": 0.1}), rate=1.0)
    apart = [
        told.see([0.5, 0.5], luck=0.99, members=np.array([[p, 1.0 - p], [0.5, 0.5]]))
        for p in (0.5, 0.6, 0.8, 1.0)
    ]
    assert apart == pytest.approx([0.1, 0.1 + 0.9 * 0.1, 0.1 + 0.9 * 0.3, 0.1 + 0.9 * 0.5])
    assert told.see([0.5, 0.5]) == 0.0


def test_periods_are_even_and_what_could_not_be_asked_is_not_saved_up() -> None:
    told = Told(make_rule("periodic", {}), rate=0.1)
    for i in range(200):
        told.see([0.5, 0.5], luck=1.0 if i in range(95, 125) else 0.0)
    asked = np.flatnonzero(told.is_chosen)
    assert asked[:9].tolist() == list(range(9, 90, 10))
    assert asked[9] == 125 and set(np.diff(asked[10:])) == {10}


# ------------------------------------------------------------------------------- the draw


def arrivals_by(rule: Rule, k: int = 2) -> tuple[RuledArrivals, Budget]:
    budget = Budget([Share(0.1)], reserve=0)
    arrivals = RuledArrivals("rule", rule, 0.25, Chance(1))
    budget.events_passed(40, 0.0)
    aimed(arrivals, budget, k)
    return arrivals, budget


def aimed(arrivals: RuledArrivals, budget: Budget, k: int = 2, waiting_n: int = 0) -> None:
    arrivals.aim_draw(budget, open_n=0, room_n=99, waiting_n=waiting_n, labels_n=9, classes_n=k)


def test_a_run_that_is_cut_short_leaves_the_rule_where_it_was_cut() -> None:
    pool = pool_of(np.full((20, 2), 0.5))
    cut, _ = arrivals_by(Steady())
    look = cut.look_ahead(np.zeros(20), pool.keys, pool)
    assert look.n == 5
    cut.take_arrived(look, pool.keys[:3])
    again = cut.look_ahead(np.zeros(17), pool.keys[3:], pool.take(np.arange(3, 20)))
    whole, _ = arrivals_by(Steady())
    assert again.n == look.n - 3 and again.is_drawn == look.is_drawn
    drawn = whole.take_arrived(whole.look_ahead(np.zeros(20), pool.keys, pool), pool.keys[: look.n])
    assert cut.take_arrived(again, pool.keys[3 : look.n]) == drawn
    assert cut.rule.n == whole.rule.n == look.n  # type: ignore[attr-defined]


def test_a_rule_asks_nothing_without_a_label_in_hand_and_the_control_draw_stays() -> None:
    arrivals, budget = arrivals_by(Steady())
    assert arrivals.rule_rate == pytest.approx(3.0 * arrivals.control_p)
    budget.charge(4)
    aimed(arrivals, budget)
    assert arrivals.rule_rate == 0.0 and arrivals.control_p > 0.0
    # Far in debt nothing at all is drawn: what is drawn would wait and wait.
    aimed(arrivals, budget, waiting_n=9)
    assert arrivals.control_p == 0.0


def test_a_model_of_one_class_leaves_the_whole_rate_to_the_control_draw() -> None:
    one, two = arrivals_by(Steady(), k=1)[0], arrivals_by(Steady())[0]
    assert one.control_p == pytest.approx(4.0 * two.control_p)


# --------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("spilt", {}, "query.arrival.rule is 'spilt'; did you mean split?"),
        ("zzz", {}, "known are rank, random"),
        ("split", {"shares": 0.1}, "shares is no option of split; it has share, step, window; did"),
        ("random", {"step": 1}, "step is no option of random; it has window"),
        ("periodic", {"step": 1}, "step is no option of periodic; it has none"),
        ("split", {"share": "0.1"}, "share is '0.1'; must be a number from 0 to 1"),
        ("split", {"window": 10.5}, "window is 10.5; must be a whole number from 1 to 100000"),
        ("split", {"window": True}, "window is True; must be a whole number"),
        ("split", {"step": float("nan")}, "step is nan; must be a number"),
        ("nowhere:Rule", {}, "query.arrival.rule is 'nowhere:Rule'; there is no module nowhere"),
        ("math:floor", {"x": 1}, "query.arrival.options of math:floor can't be used"),
        ("decimal:Decimal", {}, "makes a Decimal; a rule has the methods chance and passed"),
    ],
)
def test_a_rule_that_cannot_be_made_says_why(name: str, options: Any, said: str) -> None:
    with pytest.raises(BadSettings) as raised:
        make_rule(name, options)
    assert said in str(raised.value)


@pytest.mark.parametrize("name", RULES)
def test_options_have_defaults_within_their_bounds(name: str) -> None:
    for option, (default, bounds) in options_of(RULES[name]).items():
        make_rule(name, {option: default})
        assert bounds.text.endswith("."), option
        if not bounds.choices and not isinstance(default, bool):
            make_rule(name, {option: type(default)(bounds.low)})
            make_rule(name, {option: type(default)(bounds.high)})
