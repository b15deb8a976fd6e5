"""Strategies: the values of their papers, spread where it is promised, names that are found."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headrace import Engine, Event
from headrace.chance import Chance
from headrace.errors import BadSettings
from headrace.query.pool import Labelled, Sample, compare_predictions
from headrace.query.strategies import STRATEGIES, resolve, utilities_of
from headrace.query.strategies.hybrid import hybrid
from headrace.query.strategies.uncertainty import entropy, least_confidence, margin, random
from headrace.settings import parse
from query.pools import pool_of

CHANCE = Chance(3)
THREE = [[0.5, 0.3, 0.2], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]]


def test_least_confidence_is_what_is_left_of_the_largest() -> None:
    assert least_confidence(pool_of(THREE), CHANCE) == pytest.approx([0.5, 0.0, 2 / 3])


def test_margin_is_the_nearness_of_the_two_largest() -> None:
    assert margin(pool_of(THREE), CHANCE) == pytest.approx([0.8, 0.0, 1.0])


def test_entropy_is_in_nats_and_takes_zeros() -> None:
    first = -(0.5 * math.log(0.5) + 0.3 * math.log(0.3) + 0.2 * math.log(0.2))
    assert entropy(pool_of(THREE), CHANCE) == pytest.approx([first, 0.0, math.log(3)])


@pytest.mark.parametrize("strategy", [random, least_confidence, margin, entropy])
@pytest.mark.parametrize("classes_n", [0, 1])
def test_without_classes_to_choose_from_all_candidates_are_alike(
    strategy: Any, classes_n: int
) -> None:
    utilities = strategy(pool_of(np.ones((4, classes_n))), CHANCE)
    assert len(dict.fromkeys(utilities.tolist())) == 1


def test_hybrid_spreads_its_choice_where_margin_takes_neighbours() -> None:
    # Eight candidates in one corner are the most uncertain, two elsewhere a little less so.
    X = np.array([[0.0, 0.01 * i] for i in range(8)] + [[9.0, 0.0], [0.0, 9.0]])
    p = np.array([[0.5, 0.5]] * 8 + [[0.52, 0.48]] * 2)
    pool = pool_of(p, X, wanted_n=3)
    by_margin = np.argsort(-margin(pool, CHANCE), kind="stable")[:3]
    by_hybrid = np.argsort(-hybrid(pool, CHANCE), kind="stable")[:3]
    assert by_margin.tolist() == [0, 1, 2]
    assert {8, 9} < set(by_hybrid.tolist())


def test_hybrid_keeps_the_certain_below_the_shortlist() -> None:
    p = np.array([[0.5, 0.5]] * 10 + [[1.0, 0.0]] * 30)
    utilities = hybrid(pool_of(p, np.arange(40.0)[:, None], wanted_n=1), CHANCE)
    assert utilities[:10].min() >= 1.0 > utilities[10:].max()


def test_hybrid_tells_categories_apart_and_lives_with_missing_values() -> None:
    X = np.array([[np.nan, 0.0], [np.nan, 0.0], [np.nan, 1.0], [np.nan, np.nan]])
    pool = pool_of([[0.5, 0.5]] * 4, X, wanted_n=2, is_category=[False, True])
    points = pool.points(np.arange(4))
    assert np.isfinite(points).all()
    apart = ((points[0] - points[2]) ** 2).sum()
    assert (apart, ((points[0] - points[1]) ** 2).sum()) == (pytest.approx(1.0), 0.0)


def test_disagreement_ranks_by_distance_for_every_strategy() -> None:
    model = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]])
    served = np.array([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9]])
    facing = compare_predictions(model, served)
    assert facing.sum(axis=1) == pytest.approx([1.0, 1.0, 1.0])
    for strategy in (least_confidence, margin, entropy):
        assert np.argsort(strategy(pool_of(facing), CHANCE)).tolist() == [0, 1, 2]


def test_a_name_a_path_and_a_callable_are_found() -> None:
    assert resolve("margin") == ("margin", margin)
    path = "headrace.query.strategies.uncertainty:entropy"
    assert resolve(path) == (path, entropy)
    assert resolve(margin) == ("margin", margin)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("entropi", "did you mean entropy"),
        ("no.such:thing", "there is no module no[.]"),
        ("headrace.chance:nothing", "headrace.chance has no such function"),
        ("headrace.query.control:CONTROL_MIN", "has no such function"),
    ],
)
def test_a_strategy_that_is_not_there_is_told(name: str, fault: str) -> None:
    with pytest.raises(BadSettings, match=fault):
        resolve(name)


@pytest.mark.parametrize(
    ("found", "fault"), [(np.zeros(2), "shape"), ([0.0, np.inf, 1.0], "not a finite number")]
)
def test_a_strategy_is_held_to_its_contract(found: Any, fault: str) -> None:
    with pytest.raises(BadSettings, match=fault):
        utilities_of(lambda pool, chance: found, "mine", pool_of(THREE), CHANCE)


# ----------------------------------------------------------------------- one that is broken


def raises(pool: Any, chance: Any) -> Any:
    raise KeyError("amount")


def meddles(pool: Any, chance: Any) -> Any:
    pool.X[:] = 0.0
    return np.zeros(len(pool))


@pytest.mark.parametrize(
    ("strategy", "said"),
    [
        (raises, r"strategy raises failed on 20 candidates with 2 classes: KeyError: 'amount'"),
        (meddles, "strategy meddles failed .* assignment destination is read-only"),
        (lambda pool, chance: ["a"] * len(pool), "could not convert string to float"),
        (lambda pool, chance: pool.at + 1j, "utilities are complex numbers"),
        (lambda pool, chance: iter(pool.at), r"failed on 20 candidates .*check_strategy tries it"),
    ],
)
def test_a_strategy_that_fails_in_a_round_is_named(strategy: Any, said: str) -> None:
    query: dict[str, Any] = {
        "ask": "rounds",
        "rounds": {"every_n": 20},
        "cold_start": {"per_class_n": 0},
    }
    settings = parse(
        {"query": query | {"budget": {"share": 1.0}}, "schema": {"classes": ["a", "b"]}}
    )
    engine = Engine(strategy=strategy, settings=settings)
    with pytest.raises(BadSettings, match=said):
        engine.feed([Event(id=str(i), at=float(i), features={"x": float(i)}) for i in range(40)])


@pytest.mark.parametrize("strategy", [3, object, None.__class__])
def test_what_can_not_be_called_is_refused(strategy: Any) -> None:
    with pytest.raises(BadSettings, match="must be a name or a callable"):
        Engine(strategy=strategy)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", STRATEGIES)
def test_numbers_whose_squares_are_too_large_are_borne(name: str) -> None:
    pool = pool_of([[0.7, 0.3]] * 30, 1.7e308 * np.linspace(-1.0, 1.0, 30)[:, None], wanted_n=4)
    before = pool.X[::7]
    pool = replace(
        pool,
        asked=before,
        labelled=Labelled(before, np.arange(len(before)) % 2),
        reservoir=Sample(before + 0.0, np.arange(len(before), dtype=np.uint64)),
        members=np.stack([pool.probabilities] * 2),
    )
    assert np.isfinite(utilities_of(STRATEGIES[name], name, pool, CHANCE)).all()
