"""Distributions to look at: bins of the past, both sides whole, texts never told."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headrace.observe.drift.marginals import Marginals
from headrace.observe.shares import BINS, FeatureShares

NUMBERS = st.lists(st.floats(-1e6, 1e6) | st.just(np.nan), min_size=1, max_size=60)


def shares(past, now, kind="numeric") -> FeatureShares:
    """As a check has them."""
    sides = [np.array(values, dtype=np.float64) for values in (past, now)]
    marginals = Marginals(sides[0][:, np.newaxis], [kind])
    return marginals.shares_of(0, marginals.count_newer(sides[1][np.newaxis].copy()))


def check(found):
    assert set(found.bins) <= set(BINS)
    assert len(found.bins) == len(set(found.bins)) == len(found.past) == len(found.now)
    np.testing.assert_allclose([sum(found.past), sum(found.now)], 1.0)
    assert list(found.borders) == sorted(set(found.borders))


@given(NUMBERS, NUMBERS)
def test_each_side_of_a_number_is_whole(past, now):
    found = shares(past, now)
    check(found)
    assert len(found.bins) == len(found.borders) + 2
    assert found.past[-1] == np.isnan(past).mean()


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, np.nan]), min_size=1), NUMBERS)
def test_each_side_of_a_category_is_whole(past, now):
    check(shares(past, now, "categorical"))


def test_eight_bins_hold_an_eighth_of_the_past_each():
    found = shares(range(800), range(400))
    np.testing.assert_allclose(found.past, [1 / 8] * 8 + [0])
    np.testing.assert_allclose(found.now, [1 / 4] * 4 + [0] * 5)


def test_a_number_with_few_values_has_few_bins():
    found = shares([0, 0, 0, 0, 1, 1], [1, 1])
    assert found.borders == (0.0, 1.0)
    assert found.now == (0.0, 0.0, 1.0, 0.0)


def test_the_most_frequent_categories_come_first_and_the_rest_is_other():
    past = [i for i in range(12) for _ in range(12 - i)] + [np.nan]
    found = shares(past, [11, 11, 0, 99], "categorical")
    assert found.bins == BINS
    assert found.now == (0.25, 0, 0, 0, 0, 0, 0, 0, 0.75, 0)
    assert list(found.past[:8]) == sorted(found.past[:8], reverse=True)
