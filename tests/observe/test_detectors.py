import pickle
import pickletools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from headrace.errors import BadSettings
from headrace.observe.drift.comparisons import ks, ks_noise, psi, psi_noise
from headrace.observe.drift.detectors import Feed, check_options

RIVER = ("adwin", "page_hinkley", "kswin", "ddm", "eddm", "hddm_a", "hddm_w", "fhddm")
QUICK = {"page_hinkley": {"threshold": 20.0}, "kswin": {"alpha": 1e-4}}


def bits(n: int, share: float, seed: int) -> list[float]:
    return (np.random.default_rng(seed).random(n) < share).astype(float).tolist()


def first_alarm(feed: Feed, values: list[float]) -> int | None:
    return next((i for i, x in enumerate(values) if feed.feed_number(x) == 2), None)


@pytest.mark.parametrize("name", RIVER)
def test_more_errors_are_an_alarm_and_the_ratio_is_over_the_line(name):
    feed = Feed(name, QUICK.get(name, {}), is_one_sided=True, seed=1)
    for x in bits(400, 0.15, 1):
        feed.feed_number(x)
    assert first_alarm(feed, bits(600, 0.75, 2)) is not None
    ratio = feed.ratio()
    assert ratio is None if name == "adwin" else ratio >= 1.0


# Without EDDM, which gives false alarms on a steady stream as well.
@pytest.mark.parametrize("name", [name for name in RIVER if name != "eddm"])
def test_fewer_errors_are_no_alarm(name):
    feed = Feed(name, QUICK.get(name, {}), is_one_sided=True, seed=1)
    assert first_alarm(feed, bits(400, 0.75, 1) + bits(800, 0.05, 2)) is None


@pytest.mark.parametrize("name", ["adwin", "page_hinkley", "kswin", "hddm_a", "hddm_w"])
def test_with_both_sides_a_fall_is_an_alarm(name):
    feed = Feed(name, QUICK.get(name, {}), is_one_sided=False, seed=1)
    assert first_alarm(feed, bits(400, 0.9, 1) + bits(800, 0.05, 2)) is not None


@pytest.mark.parametrize("name", RIVER)
def test_ratios_are_numbers_at_every_step(name):
    feed = Feed(name, {}, is_one_sided=True)
    for x in [0.0] * 60 + [1.0] * 60 + bits(200, 0.5, 3):
        feed.feed_number(x)
        ratio = feed.ratio()
        assert ratio is None or 0.0 <= ratio <= 10.0


@pytest.mark.parametrize("name", RIVER)
def test_a_snapshot_goes_on_as_before_and_needs_no_code(name):
    feed = Feed(name, {}, is_one_sided=True, seed=5)
    for x in bits(150, 0.2, 1):
        feed.feed_number(x)
    blob = pickle.dumps(feed)
    assert "getattr" not in {arg for _, arg, _ in pickletools.genops(blob)}
    again = pickle.loads(blob)
    later = bits(200, 0.2, 2) + bits(200, 0.8, 3)
    assert [feed.feed_number(x) for x in later] == [again.feed_number(x) for x in later]
    assert feed.ratio() == again.ratio()


def test_options_reach_river_in_its_types():
    feed = Feed("adwin", {"delta": 0.01, "clock": 8.0}, is_one_sided=True)
    assert (feed._detector.delta, feed._detector.clock) == (0.01, 8)
    assert isinstance(feed._detector.clock, int)


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("adwin", {"dleta": 1.0}, "known are delta, clock"),
        ("psi", {"bins": 10.0}, "known are threshold"),
        ("ddm", {"warm_start": 2.5}, "must be a whole number"),
        ("ks", {"threshold": 0.0}, "must be above 0"),
        ("eddm", {"alpha": 0.5, "beta": 0.9}, "does not take"),
    ],
)
def test_bad_options_say_what_to_do(name, options, text):
    with pytest.raises(BadSettings, match=text):
        check_options(name, options)
        Feed(name, options, is_one_sided=True)


@pytest.mark.parametrize("seed", range(5))
def test_ks_is_the_textbook_statistic(seed):
    rng = np.random.default_rng(seed)
    past, recent = rng.integers(0, 9, 57) / 2.0, rng.normal(1.0, 3.0, 91).round(1)
    past.sort()
    recent.sort()
    both = stats.ks_2samp(past, recent).statistic
    assert ks(past, recent) == pytest.approx(both, abs=1e-12)
    # scipy's "greater": the distribution function of the first lies above.
    above = stats.ks_2samp(past, recent, alternative="greater").statistic
    assert ks(past, recent, is_one_sided=True) == pytest.approx(above, abs=1e-12)


@pytest.mark.parametrize(("n", "m"), [(30, 30), (200, 2000)])
def test_chance_alone_stays_below_the_noise(n, m):
    rng = np.random.default_rng(0)
    indices, distances = [], []
    for _ in range(2000):
        counts = rng.multinomial(n, [0.1] * 10), rng.multinomial(m, [0.1] * 10)
        indices.append(psi(*counts) / psi_noise(*counts, 1e-6))
    for _ in range(300):
        distance = ks(np.sort(rng.random(n)), np.sort(rng.random(m)))
        distances.append(distance / ks_noise(n, m, 1e-3))
    assert max(indices) < 1.0
    assert sum(d > 1.0 for d in distances) <= 3


def test_equal_shares_have_index_nothing():
    assert psi(np.array([5, 5]), np.array([5, 5])) == 0.0


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 99),
    rise=st.sampled_from([0.0, 0.4]),
    piece_n=st.integers(1, 400),
    is_one_sided=st.booleans(),
)
def test_many_numbers_fed_at_once_are_fed_as_one_by_one(seed, rise, piece_n, is_one_sided):
    luck = np.random.default_rng(seed)
    values = np.concatenate([luck.random(700), luck.random(500) + rise, luck.random(300)]).tolist()
    alone, many = (Feed("adwin", {"delta": 0.2}, is_one_sided=is_one_sided) for _ in range(2))
    told, i = [], 0
    while i < len(values):
        fed_n, level = many.step_many(values[i : i + piece_n])
        assert 1 <= fed_n <= piece_n
        told += [0] * (fed_n - 1) + [level]
        i += fed_n
    assert told == [alone.feed_number(x) for x in values]
    assert pickle.dumps(many) == pickle.dumps(alone)
