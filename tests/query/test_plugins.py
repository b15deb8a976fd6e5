"""Strategies of scikit-activeml and modAL in a round: what they choose by themselves, we choose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from modAL import uncertainty
from river import naive_bayes
from skactiveml.pool import CoreSet, UncertaintySampling, uncertainty_scores

from headrace import BadSettings, Chance, Engine, LabelRequested
from headrace.drivers.notebook import Simulation
from headrace.plugins import KINDS, Choosing, KnownProbabilities, ScikitActiveml
from headrace.query.strategies import resolve
from headrace.settings import parse
from headrace.testing import check_strategy
from headrace.testing.oracles import Delayed
from query.pools import pool_of
from test_arrival import Stream, asked

MODAL = ("uncertainty_sampling", "margin_sampling", "entropy_sampling")


def candidates(n: int = 40, k: int = 3, wanted_n: int = 5) -> Any:
    chance = Chance(5)
    keys = chance.keys(map(str, range(n)))
    p = np.stack([chance.uniforms(f"p{j}", keys) for j in range(k)], axis=1)
    X = np.stack([chance.uniforms(f"x{j}", keys) for j in range(3)], axis=1)
    return pool_of(p / p.sum(axis=1, keepdims=True), X, wanted_n=wanted_n)


def first(strategy: Any, pool: Any) -> list[int]:
    found = np.argsort(-strategy(pool, Chance(0)), kind="stable")[: pool.wanted_n]
    return [int(i) for i in found]


def test_a_strategy_of_scikit_activeml_keeps_the_contract() -> None:
    check_strategy(ScikitActiveml("CoreSet"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_strategy_of_scikit_activeml_chooses_the_same_in_any_order(kind: str) -> None:
    pool = candidates(14, wanted_n=4)
    members = np.stack([pool.probabilities, pool.probabilities[:, ::-1]])
    pool = replace(pool, members=members, asked=candidates(20).X[14:])
    found = ScikitActiveml(kind)(pool, Chance(1))
    assert found.shape == (14,) and np.isfinite(found).all()
    assert np.sort(found)[-4:].tolist() == [14.0, 15.0, 16.0, 17.0]
    turned = ScikitActiveml(kind)(pool.take(np.arange(14)[::-1].copy()), Chance(1))
    assert turned.tolist() == found[::-1].tolist()
    alike = replace(pool, X=np.ones_like(pool.X))
    assert np.isfinite(ScikitActiveml(kind)(alike, Chance(1))).all()


@pytest.mark.parametrize("name", MODAL)
def test_every_strategy_of_modal_keeps_the_contract_and_chooses_as_it_does(name: str) -> None:
    strategy, pool = Choosing(f"modAL.uncertainty:{name}"), candidates()
    check_strategy(strategy)
    said = KnownProbabilities(pool.points(np.arange(len(pool))), pool.probabilities)
    theirs = getattr(uncertainty, name)(said, pool.points(np.arange(len(pool))), n_instances=5)
    assert sorted(first(strategy, pool)) == sorted(np.asarray(theirs).tolist())


@pytest.mark.parametrize("method", ["least_confident", "margin_sampling", "entropy"])
def test_uncertainty_of_scikit_activeml_ranks_all_candidates(method: str) -> None:
    pool = candidates()
    scores = uncertainty_scores(pool.probabilities, method=method)
    for kind in (UncertaintySampling(method=method), "UncertaintySampling"):
        options = {"method": method} if isinstance(kind, str) else {}
        found = ScikitActiveml(kind, options)(pool, Chance(0))
        assert np.argsort(found).tolist() == np.argsort(scores).tolist()


def test_the_core_set_of_scikit_activeml_goes_by_what_was_asked() -> None:
    pool = replace(candidates(), asked=candidates(60).X[40:])
    points, before = pool.points_with_asked()
    labels = np.concatenate([np.zeros(len(before)), np.full(len(points), np.nan)])
    theirs = CoreSet(random_state=0).query(np.vstack([before, points]), labels, batch_size=5)
    assert first(ScikitActiveml("CoreSet"), pool) == (theirs - len(before)).tolist()


def test_a_function_of_yours_may_give_fewer_and_take_no_number() -> None:
    def farthest(classifier: Any, X: Any) -> Any:
        assert classifier.predict_proba(X[:2]).shape == (2, 3)
        return (X**2).sum(axis=1).argmax()

    pool = candidates()
    squares = (pool.points(np.arange(len(pool))) ** 2).sum(axis=1)
    assert first(Choosing(farthest), pool)[0] == int(squares.argmax())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda c, X: [0, 0], r"gave \[0, 0\] for 40 candidates; must be places"),
        (lambda c, X: [99], "must be places of candidates, from 0 to 39"),
        (lambda c, X: [0.5], "must be places of candidates"),
        (lambda c, X: c.predict_proba(X + 1.0), "about a point that is no candidate"),
        (lambda c, X: c.fit(X, X), "would train the model"),
    ],
)
def test_what_is_no_choice_is_told(given: Any, said: str) -> None:
    with pytest.raises(BadSettings, match=said):
        Choosing(given)(candidates(), Chance(0))


@pytest.mark.parametrize(
    ("strategy", "options", "said"),
    [
        ("scikit_activeml", {"kind": "Quire"}, "goes by candidates and probabilities alone"),
        ("scikit_activeml", {"kind": "Coreset"}, "did you mean CoreSet?"),
        ("scikit_activeml", {"kinds": "CoreSet"}, "did you mean kind?"),
        ("choosing", {"of": "CoreSet"}, "it has function"),
    ],
)
def test_settings_that_name_no_strategy_are_told(
    strategy: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadSettings) as raised:
        resolve(f"headrace.plugins:{strategy}", options)
    assert said in str(raised.value)


def test_an_option_that_theirs_does_not_have_is_told() -> None:
    strategy = ScikitActiveml("CoreSet", {"reach": 1})
    with pytest.raises(BadSettings, match=r"query.options of CoreSet can't be used"):
        strategy(candidates(), Chance(0))


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        ("scikit_activeml", {"kind": "Badge"}),
        ("choosing", {"function": "modAL.uncertainty:entropy_sampling"}),
    ],
)
def test_a_round_asks_by_them_and_a_replay_asks_the_same(
    strategy: str, options: dict[str, Any]
) -> None:
    query = {
        "ask": "rounds",
        "strategy": f"headrace.plugins:{strategy}",
        "options": options,
        "budget": {"share": 0.1, "reserve": 0},
        "cold_start": {"per_class_n": 3},
    }
    found = []
    for _ in range(2):
        settings = parse({"drift": {"watch": []}, "query": query})
        stream = Stream(600)
        simulation = Simulation(Engine(naive_bayes.GaussianNB(), settings=settings), Delayed())
        played = simulation.play_batches([(stream.batch, stream.truths)])
        found.append(asked([o for outputs in played for o in outputs]))
    requests: list[LabelRequested] = found[0]
    assert found[0] == found[1]
    assert f"headrace.plugins:{strategy}" in {r.strategy for r in requests}
    assert all(r.propensity is not None and r.propensity > 0.0 for r in requests)
