"""What scikit-activeml chooses on the same stream, asked one event at a time: the same events.

Its luck is taken from ours (`Lent`), so that rules that draw can be compared too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm
from skactiveml.classifier import ParzenWindowClassifier
from skactiveml.pool import cost_reduction
from skactiveml.stream import (
    CognitiveDualQueryStrategy,
    PeriodicSampling,
    StreamDensityBasedAL,
    StreamProbabilisticAL,
)
from skactiveml.stream import budgetmanager as managers

from headrace.chance import Chance
from headrace.query.rules import Arriving, Draw, Rule, make_rule
from headrace.query.rules.quantile import estimate_gain

EVENTS_N = 1_000
RATE = 0.1
SEEDS = range(3)


class Lent(np.random.RandomState):
    """A generator of theirs that returns what was put in, however often it is rewound."""

    def __init__(self) -> None:
        super().__init__(0)
        self.uniforms: tuple[float, ...] = (0.0,)
        self.factor = 1.0
        self.calls_n = 0

    def begin(self) -> None:
        self.calls_n = 0

    def random_sample(self, size: Any = None) -> Any:
        found = self.uniforms[min(self.calls_n, len(self.uniforms) - 1)]
        self.calls_n += 1
        return found if size is None else np.full(size, found)

    def normal(self, *_: Any) -> float:
        return self.factor

    def __deepcopy__(self, memo: Any) -> Lent:
        return self


def stream(seed: int, k: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of each event, which grow surer, and its luck."""
    chance = Chance(seed)
    keys = chance.keys(map(str, range(EVENTS_N)))
    raw = np.stack([-np.log(1.0 - chance.uniforms(f"p{j}", keys)) for j in range(k)], axis=1)
    raw **= np.linspace(1.0, 4.0, EVENTS_N)[:, None]
    return raw / raw.sum(axis=1, keepdims=True), chance.uniforms("luck", keys)


def chosen_by(rule: Rule, p: np.ndarray, lucks: np.ndarray, rate: float = RATE) -> list[int]:
    found = []
    for i, (row, luck) in enumerate(zip(p, lucks.tolist(), strict=True)):
        doubt = float(1.0 - row.max())
        event = Arriving(doubt, row, np.zeros(1), np.zeros(1, np.bool_), rate)
        is_chosen = luck < rule.chance(event)
        rule.passed(event, Draw(luck, is_chosen, is_chosen))
        if is_chosen:
            found.append(i)
    return found


def chosen_by_theirs(
    manager: Any, p: np.ndarray, lend: Callable[[int], None] = lambda i: None
) -> list[int]:
    found = []
    for i, row in enumerate(p):
        utilities = np.array([1.0 - row.max()])
        lend(i)
        asked = manager.query_by_utility(utilities)
        lend(i)
        manager.update(np.zeros((1, 1)), asked)
        if len(asked):
            found.append(i)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_the_fixed_threshold_chooses_the_same(seed: int) -> None:
    p, lucks = stream(seed)
    theirs = managers.FixedUncertaintyBudgetManager(classes=[0, 1, 2], budget=RATE)
    ours = chosen_by(make_rule("fixed_uncertainty", {}), p, lucks)
    assert len(ours) > 12 and ours == chosen_by_theirs(theirs, p)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_variable_threshold_chooses_the_same(seed: int) -> None:
    p, lucks = stream(seed)
    theirs = managers.VariableUncertaintyBudgetManager(budget=RATE)
    ours = chosen_by(make_rule("variable_uncertainty", {}), p, lucks)
    assert len(ours) > 40 and ours == chosen_by_theirs(theirs, p)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_random_threshold_chooses_the_same_by_the_same_factors(seed: int) -> None:
    p, lucks = stream(seed)
    lent = Lent()

    def lend(i: int) -> None:
        # Luck below 1 - Phi((c / theta - 1) / delta) is a factor above c / theta.
        lent.factor = float(norm.ppf(1.0 - lucks[i], loc=1.0, scale=0.5))

    theirs = managers.RandomVariableUncertaintyBudgetManager(
        budget=RATE, delta=0.5, random_state=lent
    )
    ours = chosen_by(make_rule("randomised_variable_uncertainty", {"delta": 0.5}), p, lucks)
    assert len(ours) > 40 and ours == chosen_by_theirs(theirs, p, lend)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_split_chooses_the_same_by_the_same_lot(seed: int) -> None:
    p, lucks = stream(seed)
    lent, share = Lent(), 0.3

    def lend(i: int) -> None:
        lent.begin()
        start = share * RATE
        is_lot = not start <= lucks[i] < start + 1.0 - share
        lent.uniforms = (0.0 if is_lot else 0.99, 0.0 if lucks[i] < start else 0.99)

    theirs = managers.SplitBudgetManager(budget=RATE, v=share, random_state=lent)
    ours = chosen_by(make_rule("split", {"share": share}), p, lucks)
    assert len(ours) > 40 and ours == chosen_by_theirs(theirs, p, lend)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_with_a_window_chooses_the_same_by_the_same_luck(seed: int) -> None:
    p, lucks = stream(seed)
    lent = Lent()

    def lend(i: int) -> None:
        lent.uniforms = (lucks[i],)

    theirs = managers.RandomBudgetManager(budget=RATE, random_state=lent)
    ours = chosen_by(make_rule("random", {"window": 100}), p, lucks)
    assert len(ours) > 60 and ours == chosen_by_theirs(theirs, p, lend)


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.05])
def test_periods_are_the_same(rate: float) -> None:
    p, lucks = stream(0)
    theirs, found = PeriodicSampling(budget=rate), []
    for i in range(EVENTS_N):
        asked = theirs.query(np.zeros((1, 1)))
        theirs.update(np.zeros((1, 1)), asked)
        found += [i] * len(asked)
    # Theirs sums in floating point, and is an event late where that falls short of a whole label.
    ours = chosen_by(make_rule("periodic", {}), p, lucks, rate)
    assert len(ours) == len(found) and max(np.abs(np.subtract(ours, found))) <= 1


# ------------------------------------------------------------------ with features of the events

POINTS_N = 300


def points(seed: int) -> np.ndarray:
    chance = Chance(seed)
    keys = chance.keys(map(str, range(POINTS_N)))
    drawn = np.stack([chance.uniforms(f"x{j}", keys) for j in range(4)], axis=1)
    return drawn + np.arange(POINTS_N)[:, None] / POINTS_N


class Told:
    """A classifier of theirs that says what it was given, one event at a time."""

    def __init__(self, p: np.ndarray) -> None:
        self.classifier = ParzenWindowClassifier(classes=list(range(p.shape[1])))
        self.classifier.fit(np.zeros((1, 4)), [0])
        self.p, self.i = p, 0
        self.classifier.predict_proba = lambda X: self.p[[self.i]]


def chosen_with_points(
    rule: Rule, p: np.ndarray, X: np.ndarray, lucks: np.ndarray, *, by_margin: bool = False
) -> list[int]:
    found = []
    for i, luck in enumerate(lucks[: len(X)].tolist()):
        ordered = np.sort(p[i])
        confidence = ordered[-1] - ordered[-2] if by_margin else ordered[-1]
        event = Arriving(float(1.0 - confidence), p[i], X[i], np.zeros(4, np.bool_), RATE)
        is_chosen = luck < rule.chance(event)
        rule.passed(event, Draw(luck, is_chosen, is_chosen))
        if is_chosen:
            found.append(i)
    return found


def chosen_by_strategy(
    strategy: Any, p: np.ndarray, X: np.ndarray, lend: Callable[[int], None] = lambda i: None
) -> list[int]:
    told, found = Told(p), []
    for i, x in enumerate(X):
        told.i = i
        lend(i)
        asked = strategy.query(x[None], clf=told.classifier)
        lend(i)
        strategy.update(x[None], asked)
        if len(asked):
            found.append(i)
    return found


def factor_of(lent: Lent, lucks: np.ndarray) -> Callable[[int], None]:
    def lend(i: int) -> None:
        lent.begin()
        lent.uniforms = (lucks[i],)
        lent.factor = float(norm.ppf(1.0 - lucks[i], loc=1.0, scale=1.0))

    return lend


@pytest.mark.parametrize("seed", SEEDS)
def test_dense_events_below_a_random_threshold_are_the_same(seed: int) -> None:
    (p, lucks), X, lent = stream(seed), points(seed), Lent()
    manager = managers.DensityBasedSplitBudgetManager(budget=RATE, random_state=lent)
    theirs = StreamDensityBasedAL(budget_manager=manager, budget=RATE, random_state=0)
    rule = make_rule("density", {"distance": "plain"})
    ours = chosen_with_points(rule, p, X, lucks, by_margin=True)
    assert len(ours) > 15 and ours == chosen_by_strategy(theirs, p, X, factor_of(lent, lucks))


@pytest.mark.filterwarnings("ignore:force_full_budget is set to False")
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("random", lambda lent: managers.RandomBudgetManager(budget=RATE, random_state=lent)),
        ("fixed", lambda _: managers.FixedUncertaintyBudgetManager([0, 1, 2], budget=RATE)),
        ("variable", lambda _: managers.VariableUncertaintyBudgetManager(budget=RATE)),
        (
            "randomised",
            lambda lent: managers.RandomVariableUncertaintyBudgetManager(
                budget=RATE, random_state=lent
            ),
        ),
    ],
)
@pytest.mark.default_n(2)
def test_the_cognitive_dual_strategies_choose_the_same(name: str, make: Any, full: bool) -> None:
    (p, lucks), X, lent = stream(1), points(1), Lent()
    theirs = CognitiveDualQueryStrategy(
        budget_manager=make(lent), budget=RATE, force_full_budget=full, random_state=0
    )
    rule = make_rule(f"cognitive_{name}", {"distance": "plain", "full_budget": full})
    ours = chosen_with_points(rule, p, X, lucks)
    assert len(ours) > 2 and ours == chosen_by_strategy(theirs, p, X, factor_of(lent, lucks))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_quantile_filter_chooses_the_same(seed: int) -> None:
    p, lucks = stream(seed)
    manager, theirs = managers.BalancedIncrementalQuantileFilter(budget=RATE), []
    for i, row in enumerate(p):
        utilities = np.array([1.0 - row.max()])
        asked = manager.query_by_utility(utilities)
        manager.update(np.zeros((1, 1)), asked, utilities)
        theirs += [i] * len(asked)
    assert len(theirs) > 100 and chosen_by(make_rule("quantile_filter", {}), p, lucks) == theirs


@pytest.mark.parametrize("m", [1, 2, 3])
def test_the_expected_gain_is_the_same(m: int) -> None:
    counts = 4.0 * stream(3, k=4)[0][:40]
    theirs = cost_reduction(counts, m_max=m, prior=0.01)
    assert [estimate_gain(row, m, 0.01) for row in counts] == pytest.approx(theirs, abs=1e-12)


def test_probabilistic_active_learning_chooses_the_same() -> None:
    (p, lucks), X = stream(2), points(2)[:300]
    told, theirs = Told(p), []
    strategy = StreamProbabilisticAL(metric="rbf", metric_dict={"gamma": 2.0 / 4.0}, budget=RATE)
    for i, x in enumerate(X):
        told.i = i
        known = X[theirs] if theirs else np.zeros((1, 4))
        labels = np.zeros(len(theirs)) if theirs else np.array([np.nan])
        asked, utilities = strategy.query(
            x[None], clf=told.classifier, X=known, y=labels, return_utilities=True
        )
        strategy.update(x[None], asked, budget_manager_param_dict={"utilities": utilities})
        theirs += [i] * len(asked)
    rule = make_rule("probabilistic", {"distance": "plain", "gamma": 2.0})
    ours = chosen_with_points(rule, p, X, lucks)
    assert len(ours) > 12 and ours == theirs
