"""Distances of a stream and rules that go by them; the quantile filter; what a label gains."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest

from headrace.chance import Chance
from headrace.query.rules import Arriving, Draw, Rule, make_rule
from headrace.query.rules.quantile import BalancedQuantile, estimate_gain, quantile_of
from headrace.query.rules.space import NearestDistances, Space

NUMBERS = np.array([False, False])


def told(rule: Rule, x: Any, p: Any = (0.5, 0.5), rate: float = 0.1, luck: float = 0.999) -> float:
    x, p = np.asarray(x, dtype=np.float64), np.asarray(p, dtype=np.float64)
    event = Arriving(float(1.0 - p.max()), p, x, np.zeros(len(x), np.bool_), rate)
    found = rule.chance(event)
    rule.passed(event, Draw(luck, luck < found, luck < found))
    return found


def drawn(n: int, d: int, purpose: str = "x") -> np.ndarray:
    chance = Chance(4)
    keys = chance.keys(map(str, range(n)))
    return np.stack([chance.uniforms(f"{purpose}{j}", keys) for j in range(d)], axis=1)


# ------------------------------------------------------------------------------- distances


def test_numbers_are_measured_in_deviations_of_what_came() -> None:
    space, X = Space(is_scaled=True), drawn(200, 2) * [1.0, 1_000.0]
    for x in X:
        space.count_event(x, NUMBERS)
    expected = (((X[:5] - X[9]) / X.std(axis=0)) ** 2).sum(axis=1)
    assert space.square_distances(X[:5], X[9], NUMBERS) == pytest.approx(expected)
    plain = Space(is_scaled=False)
    plain.count_event(X[9], NUMBERS)
    assert plain.square_distances(X[:5], X[9], NUMBERS) == pytest.approx(
        ((X[:5] - X[9]) ** 2).sum(axis=1)
    )


def test_what_is_missing_stands_at_the_mean_and_categories_are_apart_or_not() -> None:
    space, kinds = Space(is_scaled=True), np.array([False, True])
    for x in ([0.0, 1.0], [4.0, 2.0], [np.nan, np.nan]):
        space.count_event(np.array(x), kinds)
    points = np.array([[2.0, 1.0], [2.0, 7.0], [np.nan, np.nan], [0.0, 1.0]])
    assert space.square_distances(points, np.array([np.nan, 1.0]), kinds).tolist() == [0, 1, 1, 1]
    assert space.square_distances(points, np.array([2.0, np.nan]), kinds).tolist() == [1, 1, 0, 2]


def test_a_feature_that_comes_later_was_missing_and_one_that_never_varies_says_nothing() -> None:
    near = NearestDistances(Space(is_scaled=True))
    near.add_event(np.array([5.0]), np.array([False]))
    closer = near.add_event(np.array([5.0, 3.0]), NUMBERS)
    assert closer.tolist() == [0] and near.nearest.tolist() == [0.0, 0.0]
    assert np.isnan(near.points[0, 1]) and near.points[1].tolist() == [5.0, 3.0]


def test_a_new_nearest_neighbour_is_nearer_than_all_that_came_since() -> None:
    near, X = NearestDistances(Space(is_scaled=False)), drawn(60, 2)
    for i, x in enumerate(X):
        closer = near.add_event(x, NUMBERS)
        for j in range(i):
            later = [k for k in range(i) if k != j]
            # Those before j count by what j met when it came: the nearest of them.
            others = min((float(((X[j] - X[k]) ** 2).sum()) for k in later), default=np.inf)
            assert (j in closer) == (float(((X[j] - x) ** 2).sum()) < others)


# --------------------------------------------------------------------------------- density


def test_density_passes_over_what_is_far_from_all() -> None:
    rule: Any = make_rule("density", {"distance": "plain"})
    told(rule, [0.0, 0.0])
    assert told(rule, [0.1, 0.0]) > 0.0
    assert told(rule, [9.0, 9.0]) == 0.0
    assert told(rule, [9.0, 9.1]) > 0.0


def test_the_window_of_density_forgets_the_oldest() -> None:
    rule: Any = make_rule("density", {"window": 3})
    for x in drawn(10, 2):
        told(rule, x)
    assert rule.near.points.tolist() == drawn(10, 2)[-3:].tolist()
    assert len(rule.near.nearest) == 3


def test_the_cognition_window_keeps_what_is_met_again_and_again() -> None:
    rule: Any = make_rule("cognitive_variable", {"window": 4, "distance": "plain"})
    told(rule, [0.0, 0.0])
    for i in range(30):
        # Ever nearer to the first, and in between something far away that nobody meets again.
        told(rule, [1.0 / (i + 2.0), 0.0])
        told(rule, [100.0 * (i + 1), 50.0])
    assert rule.near.points.tolist()[0] == [0.0, 0.0]
    assert len(rule.near.points) == len(rule.times) == len(rule.met_n) == 5


@pytest.mark.parametrize("name", ["density", "cognitive_variable", "probabilistic"])
def test_what_a_rule_holds_is_bounded(name: str) -> None:
    rule: Any = make_rule(name, {"window": 8} | ({"memory": 5} if name == "probabilistic" else {}))
    for x in drawn(300, 2):
        told(rule, x, rate=1.0, luck=0.0)
    arrays = [rule.near.points, rule.near.nearest] if name != "probabilistic" else [rule.asked]
    assert max(map(len, arrays)) <= 9


# -------------------------------------------------------------------------------- quantile


@pytest.mark.parametrize("window", [1, 7, 100])
def test_the_quantile_is_that_of_the_latest(window: int) -> None:
    known, utilities = BalancedQuantile(window, 1e12), np.round(drawn(400, 1)[:, 0], 2)
    for i, utility in enumerate(utilities):
        known.allows(float(utility), 0.3)
        latest = utilities[max(0, i + 1 - window) : i + 1]
        assert known.threshold == pytest.approx(float(np.quantile(latest, 0.7)), abs=1e-9)


@pytest.mark.parametrize("q", [0.0, 0.05, 0.5, 0.95, 1.0])
def test_a_quantile_is_what_numpy_says(q: float) -> None:
    for n in (1, 2, 9):
        ordered = np.sort(drawn(n, 1)[:, 0])
        assert quantile_of(ordered, q) == pytest.approx(float(np.quantile(ordered, q)), abs=1e-15)


def test_a_label_too_many_or_too_few_is_made_good() -> None:
    known, utilities, asked_n = BalancedQuantile(100, 50.0), drawn(3_000, 1)[:, 0], 0
    for i, utility in enumerate(utilities + np.linspace(0.0, 5.0, 3_000)):
        is_asked = known.allows(float(utility), 0.1)
        known.passed(is_asked)
        asked_n += is_asked
        assert abs(asked_n - 0.1 * (i + 1)) < 12
    assert asked_n == pytest.approx(300, abs=12)


def test_a_long_window_takes_the_same_calls_as_a_short_one_and_sorts_nothing() -> None:
    def calls(window: int) -> Counter[str]:
        known, found = BalancedQuantile(window, 50.0), Counter[str]()
        utilities = drawn(window + 200, 1)[:, 0].tolist()
        for utility in utilities[:window]:
            known.allows(utility, 0.1)

        def note(frame: Any, event: str, called: Any) -> None:
            if event == "c_call":
                found[called.__name__] += 1

        sys.setprofile(note)
        for utility in utilities[window:]:
            known.allows(utility, 0.1)
        sys.setprofile(None)
        return found

    short = calls(1_000)
    assert calls(20_000) == short
    assert short["searchsorted"] == 400 and not short.keys() & {"sort", "argsort", "partition"}


# ------------------------------------------------------------------------------------ gain


def test_a_label_gains_most_where_there_is_none_and_classes_are_even() -> None:
    even = [estimate_gain(np.array([n, n]), 2, 1e-3) for n in (0.0, 1.0, 5.0, 50.0)]
    assert even == sorted(even, reverse=True)
    assert (
        estimate_gain(np.array([2.0, 2.0]), 2, 1e-3)
        > estimate_gain(np.array([3.5, 0.5]), 2, 1e-3)
        >= -1e-12
    )
    assert estimate_gain(np.array([40.0, 0.0, 0.0]), 2, 1e-3) == pytest.approx(0.0, abs=1e-3)


def test_what_is_asked_near_by_makes_another_label_there_gain_less() -> None:
    rule: Any = make_rule("probabilistic", {"distance": "plain", "tolerance": 1e6})
    for x in drawn(40, 2) * 0.01:
        told(rule, x, luck=0.0, rate=0.5)
    first = rule.filter.latest[:40]
    assert first[0] > 2.0 * first[-1]
    told(rule, [30.0, 30.0])
    assert rule.filter.latest[40] == pytest.approx(first[0])
