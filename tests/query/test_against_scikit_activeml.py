"""What scikit-activeml gives on the same input: equal utilities, and the same choice in order.

Its committee functions and `uncertainty_scores` take probabilities as they are, so that nothing but
the rule is compared; `CoreSet` is given the points between which our distances are taken.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from skactiveml.classifier import ParzenWindowClassifier
from skactiveml.pool import CoreSet, ProbabilisticAL, ProbCover, uncertainty_scores
from skactiveml.pool import _query_by_committee as committees

from headrace.chance import Chance
from headrace.plugins import ScikitActiveml
from headrace.query.pool import Labelled
from headrace.query.strategies import resolve
from headrace.query.strategies.diversity import median_distance
from query.pools import pool_of

SEEDS = range(5)
WANTED_N = 5


def draws(seed: int, purpose: str, *shape: int) -> Any:
    """Numbers from 0 to 1, of this shape."""
    chance = Chance(seed)
    n = int(np.prod(shape))
    return chance.uniforms(purpose, chance.keys(map(str, range(n)))).reshape(shape)


def distributions(seed: int, *shape: int) -> Any:
    raw = -np.log(np.maximum(draws(seed, "p", *shape), 1e-12))
    return raw / raw.sum(axis=-1, keepdims=True)


def ours(name: str, pool: Any, **options: Any) -> Any:
    return resolve(name, options)[1](pool, Chance(0))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("least_confidence", "least_confident"),
        ("margin", "margin_sampling"),
        ("entropy", "entropy"),
    ],
)
def test_uncertainty_is_the_same(name: str, method: str, seed: int) -> None:
    p = distributions(seed, 40, 4)
    assert ours(name, pool_of(p)) == pytest.approx(uncertainty_scores(p, method=method))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_expected_cost_is_the_same(seed: int) -> None:
    p, costs = distributions(seed, 40, 3), 9.0 * draws(seed, "costs", 3, 3)
    np.fill_diagonal(costs, 0.0)
    theirs = uncertainty_scores(p, cost_matrix=costs, method="least_confident")
    assert ours("expected_cost", pool_of(p), costs=costs.tolist()) == pytest.approx(theirs)


@pytest.mark.parametrize("seed", SEEDS)
def test_committees_disagree_alike(seed: int) -> None:
    members = distributions(seed, 4, 30, 3)
    pool = replace(pool_of(members.mean(axis=0)), members=members)
    votes = members.argmax(axis=2).T
    theirs = {
        "kl_to_consensus": committees.average_kl_divergence(members),
        "vote_entropy": committees.vote_entropy(votes, [0, 1, 2]),
        "variation_ratio": committees.variation_ratios(votes),
    }
    for name, expected in theirs.items():
        assert ours(name, pool) == pytest.approx(expected, abs=1e-12), name


@pytest.mark.parametrize("seed", SEEDS)
def test_the_core_set_is_the_same_in_the_same_order(seed: int) -> None:
    X, asked = draws(seed, "X", 60, 3), draws(seed, "asked", 8, 3)
    pool = replace(pool_of(np.full((60, 2), 0.5), X, wanted_n=WANTED_N), asked=asked)
    points, before = pool.points_with_asked()
    labels = np.concatenate([np.arange(8) % 2, np.full(60, np.nan)])
    theirs = CoreSet(random_state=0).query(np.vstack([before, points]), labels, batch_size=WANTED_N)
    chosen = np.argsort(-ours("k_center", pool), kind="stable")[:WANTED_N]
    assert (theirs - 8).tolist() == chosen.tolist()


@pytest.mark.parametrize("seed", SEEDS)
def test_bald_ranks_the_same(seed: int) -> None:
    members = distributions(seed, 4, 30, 3)
    X = draws(seed, "X", 30, 3)
    pool = replace(pool_of(members.mean(axis=0), X, wanted_n=1), members=members)
    theirs = ScikitActiveml("GreedyBALD")(pool, Chance(0))
    assert np.argsort(ours("bald", pool)).tolist() == np.argsort(theirs).tolist()


@pytest.mark.filterwarnings("ignore:The maximum purity")
@pytest.mark.parametrize("seed", SEEDS)
def test_each_ball_covers_as_many_as_theirs(seed: int) -> None:
    """Among balls that cover as many theirs draws by lot: ours has to be one of them."""
    X, asked = draws(seed, "X", 50, 2), draws(seed, "asked", 6, 2)
    pool = replace(pool_of(np.full((50, 2), 0.5), X, wanted_n=WANTED_N), asked=asked)
    points, before = pool.points_with_asked()
    by_key = np.lexsort((pool.at, pool.keys))
    radius = 0.2 * np.sqrt(median_distance(points[by_key]))
    chosen = np.argsort(-ours("prob_cover", pool, reach=0.2), kind="stable")[:WANTED_N]
    everything = np.vstack([before, points])
    y = np.concatenate([np.arange(6) % 2, np.full(50, np.nan)])
    for row in chosen.tolist():
        theirs = ProbCover(n_classes=2, deltas=[radius], random_state=0)
        found = theirs.query(everything, y, batch_size=1, return_utilities=True)[1][0]
        assert found[6 + row] == np.nanmax(found) > 0
        y[6 + row] = 0.0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("labels_max", [1, 2])
@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_the_probabilistic_gain_is_the_same(seed: int, labels_max: int, beta: float) -> None:
    X, asked = draws(seed, "X", 40, 3), draws(seed, "asked", 12, 3)
    codes = np.arange(12) % 3
    pool = replace(pool_of(np.full((40, 3), 1.0 / 3.0), X), labelled=Labelled(asked, codes))
    points, before = pool.points_beside(asked)
    # Of neighbours in the order in which a strategy sees the pool.
    gamma = 0.5 / median_distance(points[np.lexsort((pool.at, pool.keys))])
    y = np.concatenate([codes, np.full(40, np.nan)])
    everything = np.vstack([before, points])
    parzen = ParzenWindowClassifier(classes=[0, 1, 2], metric_dict={"gamma": gamma})
    density = np.exp(-gamma * ((points[:, None] - points) ** 2).sum(axis=2)).mean(axis=1)
    theirs = ProbabilisticAL(
        metric="rbf", metric_dict={"gamma": gamma}, m_max=labels_max, random_state=0
    ).query(
        everything,
        y,
        parzen,
        utility_weight=np.concatenate([np.ones(12), density**beta]),
        return_utilities=True,
    )[1][0][12:]
    found = ours("mcpal", pool, labels_max=labels_max, beta=beta)
    assert found == pytest.approx(theirs, rel=1e-7, abs=1e-12)
