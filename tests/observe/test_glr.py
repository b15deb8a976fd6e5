"""The likelihood ratio of yes and no, and the lines that follow from a rate of false alarms."""

import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency, norm, ttest_ind

from headrace.observe.drift.causes import change_point, missed_classes, moved_features
from headrace.observe.drift.classifier import DomainClassifier
from headrace.observe.drift.comparisons import welch
from headrace.observe.drift.glr import SCALES, Glr
from headrace.observe.drift.lines import Lines


def largest(hits: list[bool], expected: list[float], rise: float) -> tuple[float, int]:
    """The same statistic as it stands in the books: logarithms of likelihoods, scale by scale."""
    best = (0.0, 0)
    for n in SCALES:
        if n > len(hits):
            break
        k, q = sum(hits[-n:]), sum(expected[-n:]) / n + rise
        p = k / n
        if p > q:
            found = k * math.log(p) + (n - k) * math.log(1 - p) if 0 < p < 1 else 0.0
            gain = found - k * math.log(q) - (n - k) * math.log(1 - q)
            best = max(best, (gain, n), key=lambda pair: pair[0])
    return best


@pytest.mark.parametrize("rise", [0.0, 0.03])
def test_it_is_the_largest_likelihood_ratio_over_the_scales(rise):
    rng = np.random.default_rng(3)
    glr, hits, expected = Glr(rise), [], []
    for i in range(300):
        guess = float(rng.uniform(0.05, 0.4))
        hits.append(bool(rng.random() < (guess if i < 200 else 0.7)))
        expected.append(guess)
        glr.add_outcome(hits[-1], guess, float(i))
        gain, n = largest(hits, expected, rise)
        assert glr.statistic == pytest.approx(gain, abs=1e-9)
        assert glr.newest_n == n and (n == 0 or glr.since == i - n + 1)


def test_without_an_expectation_the_numbers_before_are_it():
    glr = Glr()
    for i in range(100):
        glr.add_outcome(i % 10 == 0, None, float(i))
    assert glr.statistic < 2.0
    for i in range(100, 120):
        glr.add_outcome(i % 10 != 0, None, float(i))
    assert glr.statistic > 15.0 and glr.since == 100.0
    # Two samples of coins: what scipy calls the G statistic is twice this.
    told = chi2_contingency([[18, 2], [10, 90]], correction=False, lambda_="log-likelihood")
    assert glr.statistic == pytest.approx(told.statistic / 2, rel=1e-9)


def test_fewer_yes_than_expected_is_nothing_and_a_restart_forgets():
    glr = Glr()
    for i in range(200):
        glr.add_outcome(False, 0.5, float(i))
    assert glr.statistic == 0.0
    for i in range(20):
        glr.add_outcome(True, 0.1, float(i))
    assert glr.statistic > 10.0
    glr.restart()
    assert glr.statistic > 10.0
    glr.add_outcome(True, 0.1, 0.0)
    assert glr.statistic == 0.0


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("share", [0.1, 0.3])
def test_false_alarms_come_no_more_often_than_the_line_allows(share, is_told):
    """20,000 steady labels: at a line for one alarm in 500 there may be 40, by chance 60."""
    lines = Lines(every_n=500, check_every_n=50, watches_n=1, drift_watches_n=1)
    line = lines.glr_drift(0.5)
    rng, glr, alarms_n = np.random.default_rng(5), Glr(), 0
    for i in range(20_000):
        glr.add_outcome(bool(rng.random() < share), share if is_told else None, float(i))
        if glr.statistic >= line:
            alarms_n += 1
            glr.restart()
    assert 0 < alarms_n <= 60


def test_more_watches_and_rarer_alarms_make_higher_lines():
    few = Lines(every_n=10_000, check_every_n=500, watches_n=3, drift_watches_n=1)
    many = Lines(every_n=10_000, check_every_n=500, watches_n=9, drift_watches_n=3)
    rare = Lines(every_n=1_000_000, check_every_n=500, watches_n=3, drift_watches_n=1)
    for strict in (many, rare):
        assert strict.glr_drift(0.05) > few.glr_drift(0.05)
        assert strict.glr_warning(0.05) > few.glr_warning(0.05)
        assert strict.warning_p < few.warning_p
        assert strict.adwin_delta < few.adwin_delta


# -------------------------------------------------------------------------- windowed tests


@pytest.mark.parametrize(("features_n", "correlation"), [(3, 0.0), (15, 0.8), (40, 0.5)])
def test_a_domain_classifier_finds_nothing_in_two_samples_of_one_source(features_n, correlation):
    rng = np.random.default_rng(0)
    z = []
    for _ in range(120):
        rows = math.sqrt(1 - correlation) * rng.normal(size=(600, features_n))
        rows += math.sqrt(correlation) * rng.normal(size=(600, 1))
        told = DomainClassifier(rows[:400], ["numeric"] * features_n).compare_rows(rows[400:].T)
        z.append((told.auc - 0.5) / told.spread)
    assert abs(np.mean(z)) < 0.3
    # Never wider than the normal distribution that the line is taken from.
    assert np.std(z) < 1.15 and np.mean(np.array(z) > 1.96) <= 0.06


def test_a_domain_classifier_finds_means_spreads_categories_and_what_is_missing():
    rng = np.random.default_rng(0)

    def rows(n: int) -> np.ndarray:
        return np.column_stack([rng.normal(size=(n, 3)), rng.integers(0, 3, n)])

    kinds = ["numeric", "numeric", "numeric", "categorical"]
    for j, change in enumerate(
        (
            lambda column: column + 1.0,
            lambda column: column * 3.0,
            lambda column: np.where(rng.random(len(column)) < 0.4, np.nan, column),
            lambda column: np.where(rng.random(len(column)) < 0.6, 7.0, column),
        )
    ):
        past, recent = rows(500), rows(500)
        recent[:, j] = change(recent[:, j])
        told = DomainClassifier(past, kinds).compare_rows(recent.T)
        assert (told.auc - 0.5) / told.spread > 3.0, j
        assert int(told.share_of.argmax()) == j and told.share_of[j] > 0.5


def test_a_domain_classifier_bears_columns_of_nothing():
    rows = np.column_stack([np.full(80, np.nan), np.ones(80), np.arange(80.0)])
    told = DomainClassifier(rows, ["numeric", "numeric", "categorical"]).compare_rows(rows.T)
    assert 0.0 <= told.auc <= 1.0 and np.isfinite(told.share_of).all()


def test_welch_is_the_textbook_statistic():
    rng = np.random.default_rng(0)
    past, recent = rng.normal(0.8, 0.1, 300), rng.normal(0.75, 0.2, 200)
    fall, noise = welch(past, recent, 0.01)
    told = ttest_ind(past, recent, equal_var=False)
    assert fall / noise * norm.isf(0.01) == pytest.approx(told.statistic)


# ---------------------------------------------------------------------------------- causes


@pytest.mark.parametrize("cut", [40, 150, 260])
def test_a_change_is_dated_to_within_a_few_events(cut):
    rng = np.random.default_rng(cut)
    values = np.concatenate([rng.normal(size=cut), rng.normal(1.5, 1.0, 300 - cut)])
    values[::40] *= 1e6
    assert abs(change_point(values) - cut) <= 12


def test_dating_bears_missing_values_and_too_few():
    values = np.array([1.0] * 20 + [np.nan] * 10)
    assert change_point(values) == 20
    assert change_point(np.array([1.0])) == change_point(np.array([])) == 0


def test_features_over_a_line_go_before_parts_in_all_inputs():
    names, parts = ["a", "b", "c"], np.array([0.1, 0.7, 0.2])
    assert moved_features(names, {"a": 1.2, "c": 3.0}, parts) == ("c", "a")
    assert moved_features(names, {"a": 0.2}, parts) == ("b", "c")
    assert moved_features(names, {}, np.zeros(3)) == ()


def test_a_class_that_comes_as_often_as_guessed_is_not_named():
    rng = np.random.default_rng(0)
    judged = []
    for _ in range(400):
        p = float(rng.uniform(0.1, 0.9))
        judged.append(("x" if rng.random() < p else "y", {"x": p, "y": 1 - p}))
    assert missed_classes(judged) == ()
    assert missed_classes([*judged, *[("z", {"x": 0.5, "y": 0.5})] * 6]) == ("z",)
