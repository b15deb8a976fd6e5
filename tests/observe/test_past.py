"""What is found once of the past: how features are distributed, and the classifier over all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from headrace.chance import Chance
from headrace.observe.drift.classifier import DomainClassifier
from headrace.observe.drift.comparisons import ks, psi
from headrace.observe.drift.marginals import PARTS_N, Marginals
from headrace.observe.drift.monitor import DriftMonitor
from headrace.observe.schema import Schema
from headrace.observe.window import Columns
from headrace.settings import DriftSettings, SchemaSettings
from headrace.state.codec import decode_state, encode_state

P = 1e-3
VALUES = st.floats(-3, 3, width=16) | st.integers(0, 2).map(float) | st.just(float("nan"))


def columns(least_n):
    return hnp.arrays(np.float64, st.integers(least_n, 90), elements=VALUES)


def both(past, recent, kind):
    """The two tests of one feature, and how it is told to be distributed."""
    marginals = Marginals(past[:, np.newaxis], [kind])
    newest = marginals.count_newer(recent[np.newaxis].copy())
    found = [
        float(marginals.compare_features(newest, test, P).statistic[0]) for test in ("psi", "ks")
    ]
    return *found, marginals.shares_of(0, newest)


def binned(past, recent):
    """Counts by the past's deciles, as DRIFT.md has it: plainly, value by value."""
    known = np.sort(past[~np.isnan(past)])
    deciles = known[(np.arange(1, 10) * len(known)) // 10].tolist() if len(known) else []
    heavy = {value for value in deciles if deciles.count(value) > 1}
    borders = sorted({*deciles, *(np.nextafter(value, np.inf) for value in heavy)})
    has_gap = np.isnan(past).any() or np.isnan(recent).any()
    sides = []
    for side in (past, recent):
        counts = [0] * (len(borders) + 1 + has_gap)
        for value in side.tolist():
            counts[-1 if np.isnan(value) else sum(value >= b for b in borders)] += 1
        sides.append(np.array(counts))
    return sides


@settings(max_examples=50, deadline=None)
@given(past=columns(1), recent=columns(1))
def test_the_index_of_a_number_is_that_of_its_bins_counted_one_by_one(past, recent):
    index, _, shares = both(past, recent, "numeric")
    assert index == pytest.approx(psi(*binned(past, recent)), abs=1e-12)
    for side, values in ((shares.past, past), (shares.now, recent)):
        assert sum(side) == pytest.approx(1.0)
        assert side[-1] == np.isnan(values).mean()


@settings(max_examples=50, deadline=None)
@given(past=columns(60), recent=columns(60))
def test_the_distance_is_that_at_all_values_or_little_below(past, recent):
    _, distance, _ = both(past, recent, "numeric")
    known = [np.sort(side[~np.isnan(side)]) for side in (past, recent)]
    if min(map(len, known)) < 30:
        assert distance == 0.0
        return
    exact = ks(*known)
    # Between two knots lie less than 1/80 of the past, and one value of it.
    assert exact - 1 / PARTS_N - 1 / len(known[0]) - 1e-12 <= distance <= exact + 1e-12


@settings(max_examples=50, deadline=None)
@given(past=columns(1), recent=columns(1))
def test_the_index_of_a_category_is_that_of_its_codes(past, recent):
    past, recent = np.floor(past), np.floor(recent)
    index, distance, shares = both(past, recent, "categorical")
    codes = np.unique(np.concatenate([past, recent]))
    counts = [
        np.array([np.isnan(side).sum() if np.isnan(c) else (side == c).sum() for c in codes])
        for side in (past, recent)
    ]
    assert index == pytest.approx(psi(*counts), abs=1e-12)
    assert distance == 0.0
    assert sum(shares.past) == pytest.approx(1.0) and sum(shares.now) == pytest.approx(1.0)


# ------------------------------------------------------------------------------ the classifier


@pytest.mark.parametrize("kinds", [["numeric"] * 6, ["numeric"] * 24, ["categorical"] * 3])
def test_where_there_is_nothing_to_tell_the_auc_spreads_as_it_says(kinds):
    luck = np.random.default_rng(3)
    aucs, spreads = [], []
    for _ in range(80):
        rows = luck.standard_t(4, size=(1500, len(kinds)))
        if "categorical" in kinds:
            rows = np.floor(np.abs(rows))
        told = DomainClassifier(rows[:1000], kinds).compare_rows(rows[1000:].T)
        aucs.append(told.auc)
        spreads.append(told.spread)
    assert abs(np.mean(aucs) - 0.5) < 3 * np.std(aucs) / np.sqrt(len(aucs))
    assert np.std(aucs) < 1.3 * np.mean(spreads)


@pytest.mark.parametrize("shift", [0.2, 0.5, 1.0])
def test_its_auc_is_that_of_telling_the_two_apart(shift):
    luck = np.random.default_rng(5)
    past, recent = luck.normal(size=(4000, 3)), luck.normal(size=(4000, 3)) + shift
    told = DomainClassifier(past, ["numeric"] * 3).compare_rows(recent.T)
    best = stats.norm.cdf(shift * np.sqrt(3) / np.sqrt(2))
    assert told.auc == pytest.approx(best, abs=0.03)
    assert told.share_of == pytest.approx([1 / 3] * 3, abs=0.15)


def test_a_wider_spread_a_gap_and_a_category_are_told_and_one_odd_row_is_not():
    luck = np.random.default_rng(7)
    past = np.column_stack([luck.normal(size=(1000, 2)), luck.integers(0, 3, 1000)])
    past[::50, 1] = np.nan
    kinds = ["numeric", "numeric", "categorical"]
    classifier, same = DomainClassifier(past, kinds), past[luck.permutation(1000)[:500]]
    assert abs(classifier.compare_rows(same.T).auc - 0.5) < 0.06
    odd = same.copy()
    odd[[10, 300]] = 1e9, 1e9, 77.0
    assert abs(classifier.compare_rows(odd.T).auc - 0.5) < 0.06
    changes = (
        lambda x: 2.5 * x,
        lambda x: np.where(x > -0.5, x, np.nan),
        lambda x: np.minimum(x, 1.0),
    )
    for j, change in enumerate(changes):
        moved = same.copy()
        moved[:, j] = change(moved[:, j])
        told = classifier.compare_rows(moved.T)
        assert told.auc > 0.6 and int(told.share_of.argmax()) == j


# -------------------------------------------------------------------------- when it is found again


def stream(rows) -> Columns:
    n = len(rows)
    ids = [f"e{i}" for i in range(n)]
    p, keys = np.full((n, 2), 0.5), Chance(1).keys(ids)
    return Columns.of(
        seq0=0, ids=ids, at=np.arange(float(n)), keys=keys, rows=rows, probabilities=p
    )


def test_the_past_is_looked_at_again_when_it_has_grown_by_half_and_after_an_erasure():
    luck = np.random.default_rng(0)
    events = stream(luck.normal(size=(6000, 2)))
    schema = Schema(SchemaSettings(features={"f0": "numeric", "f1": "numeric"}))
    monitor, seen = DriftMonitor(DriftSettings(), Chance(1)), []
    for seq in range(1000, 6001, 500):
        past = events.take(slice(0, seq))
        monitor.compare_windows(past, past, schema, float(seq), seq)
        if not seen or monitor.windows._past is not seen[-1]:
            seen.append(monitor.windows._past)
    assert [past.last_seq + 501 for past in seen] == [1000, 1500, 2000, 3000, 4500]
    # A state that is read again goes on with what was found, and so with the same bits.
    twin = decode_state(*encode_state(monitor))
    newest = events.take(slice(5500, 6000))
    for one in (monitor, twin):
        one.compare_windows(newest, events, schema, 6500.0, 6500)
    assert twin.windows.feature_psi == monitor.windows.feature_psi
    assert twin.windows.feature_shares == monitor.windows.feature_shares
    monitor.windows.forget_events()
    assert monitor.windows.feature_shares == {}
    monitor.compare_windows(newest, events, schema, 7000.0, 7000)
    assert monitor.windows._past.marginals.n == 5500
    assert monitor.windows.feature_psi != twin.windows.feature_psi
