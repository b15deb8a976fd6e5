import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headrace.observe import signals

COLUMNS = hnp.arrays(
    np.float64,
    st.integers(0, 60),
    elements=st.floats(-3, 3, width=16) | st.integers(0, 2).map(float) | st.just(float("nan")),
)


@settings(max_examples=50, deadline=None)
@given(past=COLUMNS, recent=COLUMNS)
def test_every_value_is_in_exactly_one_bin(past, recent):
    for counts in (
        signals.decile_counts(np.sort(past), np.sort(recent)),
        signals.category_counts(past, recent),
    ):
        assert [int(side.sum()) for side in counts] == [past.size, recent.size]
        assert counts[0].size == counts[1].size
        assert min(side.min(initial=0) for side in counts) >= 0


def test_deciles_of_the_past_hold_a_tenth_each():
    before, _ = signals.decile_counts(np.arange(1000.0), np.arange(3.0))
    assert before.tolist() == [100] * 10


def test_a_value_that_fills_deciles_has_a_bin_of_its_own():
    past, recent = np.sort([0.0] * 95 + [1.0] * 5), np.sort([0.0] * 50 + [1.0] * 50)
    before, after = signals.decile_counts(past, recent)
    assert before[before > 0].tolist() == [95, 5]
    assert after[after > 0].tolist() == [50, 50]
    constant, risen = signals.decile_counts(np.zeros(50), np.full(50, 2.0))
    assert not np.any((constant > 0) & (risen > 0))


def test_what_is_missing_is_counted_apart():
    before, after = signals.decile_counts(np.arange(40.0), np.full(40, np.nan))
    assert before[-1] == 0 and after[-1] == 40
    both = signals.category_counts(np.array([1.0, np.nan]), np.array([np.nan, np.nan]))
    assert [side.tolist() for side in both] == [[1, 1], [0, 2]]


def test_doubt_is_within_bounds_whatever_rounding_did():
    doubts = signals.doubts(np.array([1.0 + 1e-12, 0.25, np.nan]))
    assert doubts[:2] == [0.0, 0.75]
    assert np.isnan(doubts[2])


def test_no_prediction_is_wrong():
    assert signals.is_wrong({}, "a")
    assert not signals.is_wrong({"a": 0.5, "b": 0.5}, "a")
    assert signals.predicted_classes(np.empty((2, 0))).tolist() == [0, 0]


def test_classes_that_were_not_predicted_are_counted_as_none():
    assert signals.class_counts(np.array([2, 0, 2]), 4).tolist() == [1, 0, 2, 0]


TABLES = st.tuples(st.integers(1, 5), st.integers(1, 80), st.integers(1, 40)).flatmap(
    lambda shape: st.tuples(
        *(
            hnp.arrays(np.float64, (shape[0], n), elements=st.floats(-3, 3, width=16))
            for n in shape[1:]
        )
    )
)


@settings(max_examples=100, deadline=None)
@given(tables=TABLES, gap=st.booleans())
def test_deciles_of_many_rows_are_those_of_each(tables, gap):
    past, recent = (np.sort(table, axis=1) for table in tables)
    if gap:
        past[-1, -1] = np.nan
    found = signals.decile_tables(past, recent)
    alone = [signals.decile_counts(a, b) for a, b in zip(past, recent, strict=True)]
    if any(side.size != 10 for counts in alone for side in counts) or gap:
        assert found is None
    else:
        assert found is not None
        for both, counts in zip(zip(*found, strict=True), alone, strict=True):
            assert [side.tolist() for side in both] == [side.tolist() for side in counts]


def test_deciles_that_differ_are_taken_all_at_once():
    luck = np.random.default_rng(1)
    past, recent = (np.sort(luck.normal(size=(6, n)), axis=1) for n in (200, 50))
    before, after = signals.decile_tables(past, recent)
    alone = [signals.decile_counts(a, b) for a, b in zip(past, recent, strict=True)]
    assert before.tolist() == [counts[0].tolist() for counts in alone]
    assert after.tolist() == [counts[1].tolist() for counts in alone]
