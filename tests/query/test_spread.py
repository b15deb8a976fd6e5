"""Half at random, half spread: a draw with known probabilities that leaves no corner out."""

import numpy as np
import pytest

from headrace.chance import Chance
from headrace.query.pool import Pool
from headrace.query.rounds import choose
from headrace.query.spread import find_corners, spread_inclusion


def pool(X, is_category=None) -> Pool:
    X = np.asarray(X, float)
    n = len(X)
    ids = [str(i) for i in range(n)]
    return Pool(
        ids=ids,
        keys=Chance(1).keys(ids),
        at=np.zeros(n),
        X=X,
        is_category=np.zeros(X.shape[1], bool) if is_category is None else np.array(is_category),
        probabilities=np.ones((n, 1)),
        wanted_n=1,
    )


@pytest.mark.parametrize("k", [1, 5, 20, 60, 119, 120, 500])
@pytest.mark.parametrize("asked_n", [0, 40])
def test_probabilities_sum_to_the_labels_and_none_is_small(k, asked_n):
    rng = np.random.default_rng(k)
    corner = np.sort(rng.integers(0, 1 + k // 2, 120) ** 2 % 7)
    is_candidate = np.arange(120) >= asked_n
    p = spread_inclusion(corner, k, is_candidate)
    n = 120 - asked_n
    assert p[is_candidate].sum() == pytest.approx(min(k, n))
    assert p.min() >= min(1.0, k / (2 * n)) * (1 - 1e-9) and p.max() <= 1.0


def test_events_are_chosen_as_often_as_they_say():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 0.1, (90, 2)), rng.normal(9, 0.1, (6, 2)), [[50.0, 0.0]]])
    found = pool(rows)
    corner = find_corners(found, 8)
    p = spread_inclusion(corner, 8, np.ones(97, bool))
    counts, rounds_n = np.zeros(97), 4000
    for i in range(rounds_n):
        chosen = choose(p, 8, Chance(i), "round 0", found.keys, corner)
        assert len(np.unique(chosen)) == 8
        counts[chosen] += 1
    assert np.abs(counts / rounds_n - p).max() < 5 * np.sqrt(0.25 / rounds_n)


def test_a_corner_gets_what_it_has_coming_give_or_take_one():
    rng = np.random.default_rng(0)
    found = pool(rng.normal(size=(200, 3)))
    corner = find_corners(found, 12)
    p = spread_inclusion(corner, 12, np.ones(200, bool))
    for i in range(50):
        chosen = choose(p, 12, Chance(i), "round 0", found.keys, corner)
        for number in range(12):
            coming = p[corner == number].sum()
            assert abs((corner[chosen] == number).sum() - coming) < 1.0 + 1e-9


def test_what_is_rare_and_new_is_met_more_often_than_at_random():
    """Six of 300 events are of a new kind: at random 20 labels meet 0.4 of them on average."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(294, 2)), rng.normal(8, 0.2, (6, 2))])
    found = pool(rows)
    corner = find_corners(found, 20)
    p = spread_inclusion(corner, 20, np.ones(300, bool))
    assert p[294:].sum() > 1.5 * 20 * 6 / 300


def test_corners_bear_outliers_categories_and_what_is_missing():
    rows = np.array([[0.0, 0.0], [0.1, 0.0], [np.nan, 1.0], [1e12, 0.0], [0.05, np.nan]])
    found = find_corners(pool(rows, [False, True]), 5)
    assert len(set(found.tolist())) >= 3 and found.max() <= 4
    assert find_corners(pool(np.ones((7, 2))), 3).tolist() == [0] * 7
    assert len(find_corners(pool(np.zeros((0, 2))), 3)) == 0


def test_a_category_counts_by_its_code_for_the_first_centre_alone():
    rows = np.array([[0.0, 3.0], [0.1, 3.0], [0.4, 1.0], [-0.5, 2.0]])
    of_numbers, of_both = pool(rows[:, :1]), pool(rows, [False, True])
    # Corners have numbers in the order of their centres, and there are as many as rows.
    assert find_corners(of_numbers, 4).tolist().index(0) == 0
    assert find_corners(of_both, 4).tolist().index(0) == 2
    # Behind it other codes for the same values change nothing.
    rng = np.random.default_rng(0)
    codes, others = rng.integers(1, 6, 60), np.array([0, 9, 7, 3, 8, 1])
    numbers = rng.normal(size=60)
    numbers[0], codes[0] = numbers[1:].mean(), 0
    found, renamed = (
        find_corners(pool(np.stack([numbers, column], axis=1), [False, True]), 12).tolist()
        for column in (codes, others[codes])
    )
    assert found == renamed
    assert found[0] == 0
