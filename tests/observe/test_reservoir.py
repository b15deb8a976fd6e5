import copy
import pickle
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from headrace.chance import Chance
from headrace.errors import BadSettings
from headrace.observe.reservoir import Reservoir
from headrace.observe.window import Columns


def block(ids, at, chance: Chance, width: int = 1) -> Columns:
    n = len(ids)
    return Columns.of(
        seq0=0,
        ids=ids,
        at=np.asarray(at, float),
        keys=chance.keys(ids),
        rows=np.tile(np.arange(n, dtype=float)[:, None], (1, width)),
        probabilities=np.full((n, 2), 0.5),
    )


def state(reservoir: Reservoir) -> list:
    columns = reservoir._store._columns
    arrays = [getattr(columns, name).tolist() for name in Columns.__dataclass_fields__]
    return [repr(arrays), reservoir._heap, reservoir._sort_keys.tolist(), reservoir.seen_n]


HALF_LIVES = st.none() | st.floats(1e-3, 1e6)


@settings(max_examples=50, deadline=None)
@given(
    n=st.integers(0, 60),
    k=st.integers(1, 20),
    half_life_s=HALF_LIVES,
    seed=st.integers(0, 9),
    cuts=st.lists(st.integers(0, 60), max_size=5),
)
def test_any_split_leaves_the_same_bits(n, k, half_life_s, seed, cuts):
    chance = Chance(seed)
    at = 1.7e9 + np.arange(n) * 1.37
    events = block([f"e{i}" for i in range(n)], at, chance)
    whole, parts, single = (Reservoir(k, half_life_s, chance) for _ in range(3))
    whole.offer(events)
    borders = [0, *sorted(min(cut, n) for cut in cuts), n]
    for start, stop in pairwise(borders):
        parts.offer(events.take(slice(start, stop)))
    for i in range(n):
        single.offer(events.take(slice(i, i + 1)))
    assert state(whole) == state(parts) == state(single)
    assert len(whole) == min(n, k)


def test_a_long_block_is_the_same_as_short_ones():
    chance = Chance(1)
    events = block([f"e{i}" for i in range(5000)], np.arange(5000), chance)
    for half_life_s in (None, 300.0):
        whole, parts = Reservoir(64, half_life_s, chance), Reservoir(64, half_life_s, chance)
        whole.offer(events)
        for start in range(0, 5000, 7):
            parts.offer(events.take(slice(start, start + 7)))
        assert state(whole) == state(parts)


def test_order_of_arrival_does_not_matter():
    chance = Chance(4)
    events = block([f"e{i}" for i in range(200)], np.arange(200.0), chance)
    one, other = Reservoir(20, 50.0, chance), Reservoir(20, 50.0, chance)
    one.offer(events)
    other.offer(events.take(np.arange(200)[::-1]))
    assert sorted(one.columns().ids) == sorted(other.columns().ids)


def test_without_half_life_every_event_is_equally_likely():
    n, k, runs = 40, 8, 2000
    ids = [f"e{i}" for i in range(n)]
    counts = Counter()
    for seed in range(runs):
        chance = Chance(seed)
        reservoir = Reservoir(k, None, chance)
        reservoir.offer(block(ids, np.zeros(n), chance))
        counts.update(reservoir.columns().ids)
    observed = np.array([counts[name] for name in ids])
    # Each run draws without replacement, which narrows the spread by (n - k) / (n - 1).
    statistic = ((observed - runs * k / n) ** 2).sum() / (runs * k / n) / ((n - k) / (n - 1))
    assert stats.chi2.sf(statistic, n - 1) > 1e-4


@pytest.mark.parametrize("start", [0.0, 1.7e9])
def test_one_draw_is_in_proportion_to_the_decay(start):
    n, half_life_s, runs = 12, 3.0, 4000
    ids = [f"e{i}" for i in range(n)]
    at = start + np.arange(n)
    counts = Counter()
    for seed in range(runs):
        chance = Chance(seed)
        reservoir = Reservoir(1, half_life_s, chance)
        reservoir.offer(block(ids, at, chance))
        counts.update(reservoir.columns().ids)
    weights = 2.0 ** ((at - at[-1]) / half_life_s)
    expected = runs * weights / weights.sum()
    observed = np.array([counts[name] for name in ids])
    assert stats.chisquare(observed, expected).pvalue > 1e-4


def test_more_draws_follow_sequential_drawing_by_weight():
    n, k, half_life_s, runs = 10, 4, 2.0, 4000
    ids = [f"e{i}" for i in range(n)]
    at = np.arange(float(n))
    weights = 2.0 ** (at / half_life_s)
    counts = Counter()
    for seed in range(runs):
        chance = Chance(seed)
        reservoir = Reservoir(k, half_life_s, chance)
        reservoir.offer(block(ids, at, chance))
        counts.update(reservoir.columns().ids)
    rng = np.random.default_rng(0)
    drawn = np.zeros(n)
    for _ in range(runs):
        drawn[rng.choice(n, size=k, replace=False, p=weights / weights.sum())] += 1
    observed = np.array([counts[name] for name in ids])
    p = (drawn + observed) / (2 * runs)
    spread = np.sqrt(2 * runs * p * (1 - p)) + 1e-9
    assert np.abs((observed - drawn) / spread).max() < 4.0


def test_a_half_life_keeps_the_sample_young():
    chance = Chance(0)
    n, half_life_s = 20_000, 1000.0
    reservoir = Reservoir(200, half_life_s, chance)
    reservoir.offer(block([f"e{i}" for i in range(n)], np.arange(float(n)), chance))
    ages = n - reservoir.columns().at
    # Ages of an exponential decay have the mean half-life / ln 2, less what was drawn already.
    assert half_life_s / np.log(2) * 0.8 < ages.mean() < half_life_s / np.log(2) * 1.3


def test_asked_events_are_marked():
    chance = Chance(0)
    reservoir = Reservoir(3, None, chance)
    reservoir.offer(block(["a", "b"], [0.0, 1.0], chance))
    assert reservoir.mark_asked(1)
    assert not reservoir.mark_asked(7)
    assert dict(zip(reservoir.columns().ids, reservoir.columns().is_asked, strict=True)) == {
        "a": False,
        "b": True,
    }


def test_the_sample_is_as_wide_as_the_stream_even_if_nothing_entered():
    chance = Chance(0)
    reservoir = Reservoir(1, 1.0, chance)
    reservoir.offer(block(["a"], [1000.0], chance))
    reservoir.offer(block(["b"], [0.0], chance, width=3))
    columns = reservoir.columns()
    assert columns.ids.tolist() == ["a"]
    np.testing.assert_array_equal(columns.rows, [[0.0, np.nan, np.nan]])


def test_a_snapshot_brings_everything_back():
    chance = Chance(2)
    events = block([f"e{i}" for i in range(300)], np.arange(300.0), chance)
    reservoir = Reservoir(30, 40.0, chance)
    reservoir.offer(events.take(slice(0, 150)))
    again = pickle.loads(pickle.dumps(reservoir))
    for each in (reservoir, again):
        each.offer(events.take(slice(150, 300)))
    assert state(reservoir) == state(again)


@pytest.mark.parametrize("arguments", [(0, None), (1, 0.0), (1, float("nan"))])
def test_limits_must_be_above_nothing(arguments):
    with pytest.raises(BadSettings, match="must be"):
        Reservoir(*arguments, Chance(0))


@pytest.mark.parametrize("n", [0, 3, 60])
def test_a_state_goes_on_as_before_and_so_does_one_of_the_version_before(n):
    chance = Chance(3)
    before, later = (
        Reservoir(10, 50.0, chance),
        block([f"l{i}" for i in range(40)], range(40), chance),
    )
    before.offer(block([str(i) for i in range(n)], range(n), chance))
    fields = before.__getstate__()
    older = fields | {"_heap": before._heap}
    heirs = [copy.deepcopy(before), Reservoir.__new__(Reservoir), Reservoir.__new__(Reservoir)]
    heirs[1].__setstate__(fields)
    heirs[2].__setstate__(Reservoir.upgrade_state(older, 2))
    assert n == 0 or max(-key for _, key, _ in before._heap) > 2**63
    for heir in heirs:
        assert heir._heap == before._heap
        heir.offer(later)
    before.offer(later)
    assert all(state(heir) == state(before) for heir in heirs)
