"""The choice: exactly k, by the probabilities that it claims."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from headrace.chance import Chance
from headrace.query.pool import Pool
from headrace.query.rounds import choose, inclusion, redundancy_of

utilities_lists = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=40)


@given(utilities_lists, st.integers(1, 40), st.floats(0.0, 8.0), st.data())
@settings(max_examples=50, deadline=None)
def test_probabilities_are_positive_sum_to_k_and_follow_utility(
    utilities: list[float], k: int, sharpness: float, data: st.DataObject
) -> None:
    counted = data.draw(st.lists(st.booleans(), min_size=len(utilities), max_size=len(utilities)))
    is_candidate = np.array(counted)
    u = np.array(utilities)
    p = inclusion(u, k, sharpness, is_candidate)
    assert ((p > 0.0) & (p <= 1.0)).all()
    if k < is_candidate.sum():
        assert p[is_candidate].sum() == pytest.approx(k)
    order = np.argsort(-u, kind="stable")
    assert (np.diff(p[order]) <= 1e-12).all()
    for value in dict.fromkeys(utilities):
        assert np.ptp(p[u == value]) == 0.0


def test_sharpness_0_is_uniform() -> None:
    assert inclusion(np.arange(10.0), 3, 0.0) == pytest.approx([0.3] * 10)


def test_whoever_would_have_more_than_1_is_taken_for_sure() -> None:
    p = inclusion(np.arange(10.0)[::-1], 3, 4.0)
    assert p[0] == 1.0
    assert p.sum() == pytest.approx(3.0)


def test_all_are_taken_where_k_is_as_large() -> None:
    assert inclusion(np.arange(4.0), 9, 1.5).tolist() == [1.0] * 4
    assert inclusion(np.arange(4.0), 0, 1.5, np.zeros(4, bool)).tolist() == [1.0] * 4


def test_those_already_asked_count_in_the_ranking_and_not_in_the_sum() -> None:
    is_candidate = np.array([False, True, True, True])
    p = inclusion(np.array([4.0, 3.0, 2.0, 1.0]), 1, 1.0, is_candidate)
    assert p[1:].sum() == pytest.approx(1.0)
    assert p[0] == min(1.0, 2.0 * p[1])


@pytest.mark.parametrize(("k", "sharpness"), [(1, 1.5), (4, 1.5), (4, 0.0), (8, 3.0), (12, 1.0)])
def test_choose_includes_by_its_probabilities(k: int, sharpness: float) -> None:
    """Chi-square of counts over many seeds; Pareto sampling is by p to a good approximation."""
    n, seeds = 20, 4_000
    p = inclusion(np.arange(n)[::-1].astype(float), k, sharpness)
    keys = Chance(0).keys(f"e{i}" for i in range(n))
    counts = np.zeros(n)
    for seed in range(seeds):
        chosen = choose(p, k, Chance(seed), f"round {seed}", keys)
        assert len(dict.fromkeys(chosen.tolist())) == k
        counts[chosen] += 1
    assert (counts[p >= 1.0] == seeds).all()
    free = p < 1.0
    # Sampling without replacement: variances are those of p (1 - p), a little less for the sum.
    statistic = ((counts - seeds * p)[free] ** 2 / (seeds * p * (1 - p))[free]).sum()
    freedom = int(free.sum()) - 1
    assert statistic < freedom + 4.5 * np.sqrt(2.0 * freedom)


def test_the_luck_of_one_does_not_hang_on_its_place() -> None:
    ids = [f"e{i}" for i in range(30)]
    keys, p = Chance(1).keys(ids), inclusion(np.arange(30.0), 5, 1.5)
    chosen = choose(p, 5, Chance(1), "round 0", keys)
    turned = choose(p[::-1], 5, Chance(1), "round 0", keys[::-1])
    assert _names(ids, chosen) == _names(ids[::-1], turned)


def test_another_round_is_another_draw() -> None:
    keys, p = Chance(1).keys(map(str, range(50))), np.full(50, 0.2)
    draws = [choose(p, 10, Chance(1), f"round {n}", keys).tolist() for n in range(5)]
    assert len({tuple(draw) for draw in draws}) == 5


def _names(ids: list[str], rows: NDArray[np.intp]) -> list[str]:
    return [ids[row] for row in rows]


def pool_of(X: NDArray[np.float64], categories_n: int = 0) -> Pool:
    """A pool whose last so many columns are categories."""
    n, d = X.shape
    return Pool(
        ids=[str(i) for i in range(n)],
        keys=np.arange(n, dtype=np.uint64),
        at=np.zeros(n),
        X=X,
        is_category=np.arange(d) >= d - categories_n,
        probabilities=np.full((n, 2), 0.5),
        wanted_n=1,
    )


def test_blind_draws_are_on_average_not_redundant_at_all() -> None:
    rng = np.random.default_rng(1)
    X = np.hstack([rng.normal(size=(60, 3)) * [1, 100, 0.01], rng.integers(0, 4, size=(60, 2))])
    X[::7, 1], X[::5, 4] = np.nan, np.nan
    pool = pool_of(X, categories_n=2)
    found = [redundancy_of(pool, rng.choice(60, size=5, replace=False)) for _ in range(2_000)]
    assert np.mean([r for r in found if r is not None]) == pytest.approx(0.0, abs=0.01)


def test_equals_are_redundant_and_opposites_the_contrary() -> None:
    pool = pool_of(np.array([[0.0], [0.0], [1.0], [2.0], [9.0]]))
    assert redundancy_of(pool, np.array([0, 1])) == 1.0
    opposite = redundancy_of(pool, np.array([0, 4]))
    assert opposite is not None and -1.0 <= opposite < 0.0


def test_there_is_no_redundancy_of_one_or_in_a_pool_of_equals() -> None:
    assert redundancy_of(pool_of(np.arange(4.0)[:, None]), np.array([2])) is None
    assert redundancy_of(pool_of(np.ones((4, 1))), np.array([0, 1])) is None
