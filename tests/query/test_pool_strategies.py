"""Strategies that look at many candidates, or at members: the values of their papers, by hand."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from river import ensemble, forest, linear_model, naive_bayes, preprocessing

import headrace
from headrace import Engine, Event
from headrace.chance import Chance
from headrace.errors import BadSettings
from headrace.learn.learner import Learner
from headrace.messages import Answer, LabelRequested
from headrace.observe.decode import batch_of
from headrace.observe.schema import Schema
from headrace.query.strategies import (
    STRATEGIES,
    ExpectedCost,
    ExpectedErrorReduction,
    KCenter,
    VarianceReduction,
    needs_of,
    resolve,
)
from headrace.query.strategies.change import NOISE
from headrace.query.strategies.order import CANDIDATES_MAX, COLUMNS_MAX, project_points
from headrace.settings import SchemaSettings, parse
from headrace.testing import check_strategy
from query.pools import pool_of

CHANCE = Chance(3)
LN2 = math.log(2)

# Three members about four candidates: agreed and sure, agreed and unsure, split, split but sure.
MEMBERS = np.array(
    [
        [[0.9, 0.1], [0.5, 0.5], [0.8, 0.2], [1.0, 0.0]],
        [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.0, 1.0]],
        [[0.9, 0.1], [0.5, 0.5], [0.8, 0.2], [1.0, 0.0]],
    ]
)


def committee_pool() -> Any:
    return replace(pool_of(MEMBERS.mean(axis=0)), members=MEMBERS)


def utilities(name: str, pool: Any, **options: Any) -> Any:
    return resolve(name, options)[1](pool, CHANCE)


def best(name: str, pool: Any, n: int, **options: Any) -> list[int]:
    found = utilities(name, replace(pool, wanted_n=n), **options)
    return np.argsort(-found, kind="stable")[:n].tolist()


def entropy_of(*p: float) -> float:
    return -sum(x * math.log(x) for x in p if x)


# --------------------------------------------------------------------------------- committees


def test_the_measures_of_disagreement_are_those_of_their_papers() -> None:
    pool = committee_pool()
    split = entropy_of(2 / 3, 1 / 3)
    # A member that is torn between two classes gives each half a vote.
    assert utilities("vote_entropy", pool) == pytest.approx([0.0, LN2, split, split])
    assert utilities("variation_ratio", pool) == pytest.approx([0.0, 0.5, 1 / 3, 1 / 3])
    mean = [entropy_of(*row) for row in MEMBERS.mean(axis=0)]
    assert utilities("consensus_entropy", pool) == pytest.approx(mean)
    own = [np.mean([entropy_of(*row) for row in MEMBERS[:, i]]) for i in range(4)]
    told_apart = [a - b for a, b in zip(mean, own, strict=True)]
    assert utilities("kl_to_consensus", pool) == pytest.approx(told_apart, abs=1e-12)
    by_hand = [
        np.mean([sum(p * math.log(p / q) for p, q in zip(row, centre, strict=True) if p)
                 for row in MEMBERS[:, i]])
        for i, centre in enumerate(MEMBERS.mean(axis=0))
    ]  # fmt: skip
    assert utilities("bald", pool) == pytest.approx(by_hand, abs=1e-12)


def test_one_opinion_disagrees_with_nobody() -> None:
    pool = pool_of([[0.9, 0.1], [0.5, 0.5]])
    assert utilities("kl_to_consensus", pool).tolist() == [0.0, 0.0]


def taught(model: Any) -> Learner:
    """Sixty labels: x above 4 is high."""
    schema = Schema(SchemaSettings(classes=["low", "high"]))
    learner = Learner(model, schema)
    events = [Event(id=str(i), at=float(i), features={"x": float(i % 10)}) for i in range(60)]
    for i, row in enumerate(schema.rows(batch_of(events))):
        learner.learn(row, int(i % 10 > 4), at=float(i))
    return learner


@pytest.mark.parametrize(
    ("model", "members_n"),
    [
        (headrace.models.Committee(), 4),
        (ensemble.BaggingClassifier(naive_bayes.GaussianNB(), n_models=3, seed=1), 3),
        (
            preprocessing.StandardScaler()
            | ensemble.BaggingClassifier(linear_model.LogisticRegression(), n_models=5, seed=1),
            5,
        ),
        (forest.ARFClassifier(n_models=4, seed=1), 4),
        (ensemble.VotingClassifier([naive_bayes.GaussianNB(), naive_bayes.BernoulliNB()]), 2),
    ],
)
def test_members_are_asked_one_by_one(model: Any, members_n: int) -> None:
    learner = taught(model)
    assert learner.has_members
    X = np.array([[1.0], [8.0]])
    said = learner.members(X, np.array([70.0, 70.0]), lambda i: None)
    assert said is not None and said.shape == (members_n, 2, 2)
    assert said.sum(axis=2) == pytest.approx(np.ones((members_n, 2)))
    # Most are right of what was taught.
    assert (said[:, 0, 0] > 0.5).mean() >= 0.5 and (said[:, 1, 1] > 0.5).mean() >= 0.5


def test_a_model_without_members_is_told() -> None:
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    with pytest.raises(BadSettings, match=r"vote_entropy.*the model has none; set model.name to"):
        Engine(model, strategy="vote_entropy")
    with pytest.raises(BadSettings, match="the model has none"):
        Engine(model, settings=parse({"query": {"strategy": "weighted_sum",
            "options": {"of": {"margin": 1, "bald": 1}}}}))  # fmt: skip
    Engine(strategy="vote_entropy")


def test_what_needs_no_members_asks_for_none() -> None:
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    needy = {"vote_entropy", "variation_ratio", "consensus_entropy", "kl_to_consensus", "bald"}
    for name, strategy in STRATEGIES.items():
        assert ("members" in needs_of(strategy)) == (name in needy), name
        if name not in needy:
            Engine(model, strategy=name)


def test_what_reads_members_or_the_past_is_for_rounds() -> None:
    for name in ("vote_entropy", "k_center"):
        with pytest.raises(BadSettings, match=f"strategy {name} reads .*set query.ask to rounds"):
            Engine(settings=parse({"query": {"strategy": name, "ask": "arrival"}}))


# -------------------------------------------------------------------------------------- costs


def test_the_expected_cost_is_of_the_prediction_that_costs_least() -> None:
    pool = pool_of([[0.9, 0.1], [0.99, 0.01]])
    costs = [[0.0, 1.0], [20.0, 0.0]]
    # Saying "the second" costs 0.9, saying "the first" 2.0; then 0.99 against 0.2.
    assert ExpectedCost(costs)(pool, CHANCE) == pytest.approx([0.9, 0.2])
    assert utilities("expected_cost", pool) == pytest.approx([0.1, 0.01])
    three = pool_of([[0.5, 0.2, 0.3]])
    assert ExpectedCost(costs)(three, CHANCE) == pytest.approx([0.5 + 0.2])


# ---------------------------------------------------------------------------------- diversity

CLUSTERS = np.array([[0.0, 0.0], [0.1, 0.0], [0.0, 0.1], [9.0, 0.0], [9.1, 0.0], [0.0, 9.0]])


def clusters(asked: Any = None) -> Any:
    pool = pool_of(np.full((6, 2), 0.5), CLUSTERS)
    return replace(pool, asked=None if asked is None else np.array(asked))


@pytest.mark.parametrize("name", ["k_center", "k_means", "prob_cover", "dpp", "typicality"])
def test_what_covers_takes_one_of_each_cluster(name: str) -> None:
    chosen = best(name, clusters(), 3)
    assert len({0 if i < 3 else 1 if i < 5 else 2 for i in chosen}) == 3


@pytest.mark.parametrize("name", ["k_center", "prob_cover", "typicality", "ranked_batch"])
def test_what_was_asked_before_is_covered(name: str) -> None:
    chosen = best(name, clusters(asked=[[9.05, 0.0], [0.05, 0.05]]), 1)
    assert chosen == [5]


def test_k_center_is_the_greedy_farthest_first() -> None:
    pool = replace(pool_of(np.full((4, 2), 0.5), np.array([[0.0], [1.0], [4.0], [10.0]])),
                   asked=np.array([[0.0]]))  # fmt: skip
    assert best("k_center", pool, 2) == [3, 2]


def test_badge_begins_with_the_largest_gradient_and_avoids_its_like() -> None:
    X = np.array([[3.0], [3.0], [-3.0], [0.0]])
    p = np.array([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.99, 0.01]])
    chosen = best("badge", pool_of(p, X), 2)
    assert X[chosen[0]] != X[chosen[1]] and 3 not in chosen[:1]


def test_a_dpp_is_greedy_for_the_determinant() -> None:
    X = np.array([[0.0], [0.2], [1.5], [3.0]])
    p = np.array([[0.5, 0.5], [0.52, 0.48], [0.7, 0.3], [0.6, 0.4]])
    pool = pool_of(p, X)
    found = best("dpp", pool, 2)
    points = pool.points(np.lexsort((pool.at, pool.keys)))
    steps = points[1:] - points[:-1]
    width = np.median((steps * steps).sum(axis=1))
    all_points = pool.points(np.arange(4))
    q = 1.0 - np.abs(p[:, 0] - p[:, 1])
    apart = (all_points - all_points.T) ** 2
    L = np.outer(q, q) * np.exp(-apart / (2 * width))
    first = int(np.argmax(np.diag(L)))
    dets = [
        np.linalg.det(L[np.ix_([first, j], [first, j])]) if j != first else -1 for j in range(4)
    ]
    assert found == [first, int(np.argmax(dets))]


def test_an_outlier_is_unsure_but_speaks_for_nobody() -> None:
    X = np.array([[0.0], [0.1], [0.2], [0.15], [50.0]])
    p = np.array([[0.6, 0.4]] * 4 + [[0.55, 0.45]])
    assert best("margin", pool_of(p, X), 1) == [4]
    assert best("information_density", pool_of(p, X), 1)[0] < 4
    assert best("information_density", pool_of(p, X), 1, beta=0.0) == [4]


# ------------------------------------------------------------------------------------- change


def test_the_expected_gradient_length_is_that_of_softmax_regression() -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.9, 0.1, 0.0]])
    pool = pool_of(p, np.array([[1.0], [-1.0]]))
    points = pool.points(np.arange(2))
    expected = [
        sum(
            p[i, y] * np.linalg.norm(np.outer(p[i] - np.eye(3)[y], [*points[i], 1.0]))
            for y in range(3)
        )
        for i in range(2)
    ]
    assert utilities("expected_gradient_length", pool) == pytest.approx(expected)


def test_the_variance_reduction_is_what_an_inversion_gives() -> None:
    rng = Chance(5)
    keys = rng.keys(map(str, range(6)))
    X = np.stack([rng.uniforms("a", keys), rng.uniforms("b", keys)], axis=1)
    p = rng.uniforms("p", keys)
    pool = replace(pool_of(np.stack([p, 1 - p], axis=1), X), asked=X[:2])
    points, before = pool.points_with_asked()
    rows, asked = (np.hstack([q, np.ones((len(q), 1))]) for q in (points, before))
    w = np.maximum(p, 1 - p) * np.minimum(p, 1 - p)
    F = np.eye(3) + 0.25 * asked.T @ asked

    def total(information: Any) -> float:
        return float(sum(w[s] * rows[s] @ np.linalg.inv(information) @ rows[s] for s in range(6)))

    expected = [total(F) - total(F + w[c] * np.outer(rows[c], rows[c])) for c in range(6)]
    assert VarianceReduction()(pool, CHANCE) == pytest.approx(
        np.array(expected) - min(0.0, *expected), rel=1e-9
    )


def test_the_expected_error_reduction_is_what_a_gaussian_field_gives() -> None:
    X = np.array([[0.0], [0.5], [2.0], [3.0]])
    p = np.array([[0.5, 0.5], [0.6, 0.4], [0.9, 0.1], [0.3, 0.7]])
    pool = replace(pool_of(p, X), asked=np.array([[0.2]]))
    points, before = pool.points_with_asked()
    ordered = points[np.lexsort((pool.at, pool.keys))]
    width = 2 * np.median(((ordered[1:] - ordered[:-1]) ** 2).sum(axis=1))
    every = np.vstack([points, before])
    K = np.exp(-((every - every.T) ** 2) / width)
    prior = K[:4, :4] - np.outer(K[:4, 4], K[4, :4]) / (K[4, 4] + NOISE)
    expected = []
    for c in range(4):
        after = 0.0
        for y in range(2):
            gain = prior[c] / (prior[c, c] + NOISE)
            moved = p + np.outer(gain, np.eye(2)[y] - p[c])
            after += p[c, y] * (1 - np.clip(moved.max(axis=1), 0, 1)).mean()
        expected.append((1 - p.max(axis=1)).mean() - after)
    found = ExpectedErrorReduction()(pool, CHANCE)
    assert found == pytest.approx(np.array(expected) - min(0.0, *expected), abs=1e-9)


# ---------------------------------------------------------------------------------- made of others


def test_a_ranked_batch_goes_from_likeness_to_doubt_as_labels_come() -> None:
    X = np.array([[0.0], [0.0], [6.0]])
    p = np.array([[0.5, 0.5], [0.5, 0.5], [0.95, 0.05]])
    few, many = np.array([[0.0]]), np.zeros((60, 1))
    assert best("ranked_batch", replace(pool_of(p, X), asked=few), 1) == [2]
    assert best("ranked_batch", replace(pool_of(p, X), asked=many), 1)[0] in (0, 1)


def test_a_weighted_sum_follows_the_heavier() -> None:
    X = np.array([[0.1 * i] for i in range(9)] + [[50.0]])
    p = np.array([[0.8, 0.2]] * 9 + [[0.5, 0.5]])
    pool = pool_of(p, X)
    assert best("weighted_sum", pool, 1, of={"margin": 9.0, "information_density": 1.0}) == [9]
    assert best("weighted_sum", pool, 1, of={"margin": 1.0, "information_density": 9.0})[0] < 9


def test_two_stages_order_a_shortlist() -> None:
    X = np.array([[0.0], [0.1], [0.2], [9.0], [99.0]])
    p = np.array([[0.5, 0.5]] * 3 + [[0.51, 0.49], [1.0, 0.0]])
    chosen = best("two_stage", pool_of(p, X), 2, per_label=2)
    assert 3 in chosen and 4 not in chosen


# ------------------------------------------------------------------------------ names and options


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("prob_cover", {"reech": 1.0}, "reech is no option of prob_cover; it has reach; did you"),
        ("prob_cover", {"reach": 0.0}, "reach is 0.0; must be above 0"),
        ("margin", {"beta": 1.0}, "beta is no option of margin; it has none"),
        ("expected_cost", {"costs": [[0, 1]]}, "costs must be as many rows as columns"),
        ("expected_cost", {"costs": [[0, -1], [1, 0]]}, "costs must be"),
        ("expected_cost", {"costs": "free"}, "costs must be"),
        ("weighted_sum", {"of": {"margn": 1.0}}, "'margn'.*did you mean margin"),
        ("weighted_sum", {"of": {"margin": 0}}, "of.margin is 0; must be above 0"),
        ("weighted_sum", {"of": {}}, "of is empty"),
        ("two_stage", {"first": "k_centre"}, "first is 'k_centre'.*did you mean k_center"),
        ("two_stage", {"then": 3}, "then is 3; must be the name of a strategy"),
        ("two_stage", {"per_label": 0}, "per_label is 0"),
        ("ranked_batch", {"by": "nothing"}, "by is 'nothing'"),
        ("information_density", {"beta": -1.0}, "beta is -1.0"),
        ("dpp", {"quality": 99.0}, "quality is 99.0"),
        ("variance_reduction", {"ridge": 0.0}, "ridge is 0.0"),
    ],
)
def test_a_wrong_option_is_told(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSettings, match=said):
        resolve(name, options)
    with pytest.raises(BadSettings, match=said):
        Engine(settings=parse({"query": {"strategy": name, "options": options}}))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("expected_cost", {"costs": [[0, 1, 2], [1, 0, 3], [5, 1, 0]]}),
        ("information_density", {"beta": 2.0}),
        ("k_means", {"weighted": False}),
        ("prob_cover", {"reach": 2.0}),
        ("dpp", {"quality": 0.0}),
        ("variance_reduction", {"ridge": 0.1}),
        ("ranked_batch", {"by": "kl_to_consensus"}),
        ("weighted_sum", {"of": {"entropy": 1, "typicality": 2, "vote_entropy": 3}}),
        ("two_stage", {"first": "bald", "then": "badge", "per_label": 3}),
    ],
)
@pytest.mark.default_n(4)
def test_options_keep_the_contract(name: str, options: dict[str, Any]) -> None:
    check_strategy(resolve(name, options)[1])


# ----------------------------------------------------------------------------- limits, and runs


def test_of_many_candidates_a_hashed_sample_is_compared() -> None:
    n = CANDIDATES_MAX + 500
    X = np.stack([np.arange(n, dtype=np.float64), np.ones(n)], axis=1)
    pool = replace(pool_of(np.full((n, 2), 0.5), X), wanted_n=10)
    found = KCenter()(pool, CHANCE)
    assert np.isfinite(found).all()
    assert (found >= 0.0).sum() == CANDIDATES_MAX
    turned = np.arange(n)[::-1].copy()
    assert KCenter()(pool.take(turned), CHANCE).tolist() == found[turned].tolist()


def test_many_columns_are_projected_and_distances_kept() -> None:
    d, keys = 40 * COLUMNS_MAX, CHANCE.keys(map(str, range(30)))
    points = np.stack([CHANCE.uniforms(f"c{j}", keys) for j in range(d)], axis=1)
    low, other = project_points(points, points[:3], CHANCE)
    assert low.shape == (30, COLUMNS_MAX) and np.allclose(low[:3], other)
    pairs = list(itertools.combinations(range(30), 2))
    ratio = [
        ((low[i] - low[j]) ** 2).sum() / ((points[i] - points[j]) ** 2).sum() for i, j in pairs
    ]
    assert 0.9 < np.mean(ratio) < 1.1 and max(ratio) < 2.0


def stream(n: int) -> tuple[list[Event], dict[str, str]]:
    keys = CHANCE.keys(map(str, range(n)))
    a, b = CHANCE.uniforms("a", keys), CHANCE.uniforms("b", keys)
    colours = ["red", "blue", None]
    events = [
        Event(id=str(i), at=float(i),
              features={"a": float(a[i]), "b": float(b[i]), "colour": colours[i % 3]})
        for i in range(n)
    ]  # fmt: skip
    truths = {str(i): ("low", "mid", "high")[int(1.5 * (a[i] + b[i]))] for i in range(n)}
    return events, truths


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "random"])
@pytest.mark.default_n(9)
def test_every_strategy_runs_and_decides_alike_at_any_batching(name: str) -> None:
    events, truths = stream(300)
    settings = parse(
        {
            "query": {
                "strategy": name,
                "ask": "rounds",
                "budget": {"share": 0.1},
                "cold_start": {"per_class_n": 2},
            },
            "model": {"name": "committee"},
            "drift": {"watch": []},
        }
    )
    outputs = []
    for size in (7, 300):
        engine, found = Engine(settings=settings, seed=5), []
        # A round is due each 50 events: its answers come before the next.
        for start in range(0, 300, 50):
            part = events[start : start + 50]
            for i in range(0, 50, size):
                found += engine.feed(part[i : i + size])
            asked = [one for one in found if isinstance(one, LabelRequested)]
            new = [one for one in asked if one.at >= start - 1]
            answers = [
                Answer(request_id=one.request_id, label=truths[one.event_id], at=start + 50.0)
                for one in new
            ]
            found += engine.feed(answers)
        outputs.append(found)
    assert outputs[0] == outputs[1]
    by_strategy = [
        one for one in outputs[0] if isinstance(one, LabelRequested) and one.strategy == name
    ]
    assert len(by_strategy) >= 10
    assert all(0.0 < one.propensity <= 1.0 for one in by_strategy)
