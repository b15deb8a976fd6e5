import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import BadSettings, BrokenInvariant
from headrace.observe.window import Columns, Store, Window

NAMES = Columns.__dataclass_fields__


def block(seq0: int, n: int, width: int = 2, classes_n: int = 2, at=None) -> Columns:
    seq = np.arange(seq0, seq0 + n)
    columns = np.arange(1, width + 1)
    return Columns.of(
        seq0=seq0,
        ids=[f"e{i}" for i in seq],
        at=seq.astype(float) if at is None else np.asarray(at, float),
        keys=seq.astype(np.uint64),
        rows=seq[:, None] * 10.0 + columns,
        probabilities=np.full((n, classes_n), 1.0 / classes_n),
        guess=seq / 100.0,
        served=np.full((n, width % 2), 0.5),
    )


def assert_same(a: Columns, b: Columns) -> None:
    for name in NAMES:
        left, right = getattr(a, name), getattr(b, name)
        assert left.shape == right.shape, name
        np.testing.assert_array_equal(left, right, err_msg=name)


def test_it_holds_the_last_events_in_order_of_arrival():
    window = Window(4)
    window.append(block(0, 3))
    window.append(block(3, 3))
    assert len(window) == 4
    assert_same(window.since(0), block(2, 4))
    assert window.since(4).ids.tolist() == ["e4", "e5"]
    assert len(window.since(6)) == 0


@settings(max_examples=50, deadline=None)
@given(
    window_n=st.integers(1, 12),
    window_s=st.none() | st.floats(0.5, 20.0),
    widths=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    lengths=st.lists(st.integers(0, 9), min_size=6, max_size=6),
    times=st.lists(st.floats(0, 50), min_size=54, max_size=54),
)
def test_any_split_leaves_the_same_bits(window_n, window_s, widths, lengths, times):
    whole, single = Window(window_n, window_s), Window(window_n, window_s)
    seq = 0
    for width, n in zip(sorted(widths), lengths, strict=False):
        events = block(seq, n, width, width, at=times[seq : seq + n])
        whole.append(events)
        for i in range(n):
            single.append(events.take(slice(i, i + 1)))
        seq += n
    assert len(whole) == len(single)
    assert_same(whole.since(0), single.since(0))
    assert_same(whole._store._columns, single._store._columns)
    assert (whole.now, whole.next_seq) == (single.now, single.next_seq)


def test_old_rows_are_padded_when_the_schema_grows():
    window = Window(3)
    window.append(block(0, 2, width=1, classes_n=2))
    window.append(block(2, 1, width=3, classes_n=4))
    kept = window.since(0)
    np.testing.assert_array_equal(kept.rows[:2], [[1, np.nan, np.nan], [11, np.nan, np.nan]])
    np.testing.assert_array_equal(kept.probabilities[0], [0.5, 0.5, 0, 0])
    assert kept.rows.flags.c_contiguous
    window.append(block(3, 1, width=1))
    np.testing.assert_array_equal(window.since(3).rows, [[31, np.nan, np.nan]])


def test_growing_by_one_column_copies_seldom():
    store = Store(2)
    widths = set()
    for width in range(1, 65):
        store.put(np.array([0]), block(0, 1, width))
        widths.add(store._columns.rows.shape[1])
    assert widths == {1, 2, 4, 8, 16, 32, 64}


def test_events_older_than_window_s_are_out_even_if_they_arrived_last():
    window = Window(10, window_s=5.0)
    window.append(block(0, 4, at=[0.0, 6.0, 10.0, 1.0]))
    assert window.since(0).ids.tolist() == ["e1", "e2"]
    assert len(window) == 2
    assert window.find(3) is None and window.find(2) == 2
    assert not window.mark_asked(0)
    window.tick(12.0)
    assert window.since(0).ids.tolist() == ["e2"]


def test_asked_events_are_marked():
    window = Window(3)
    window.append(block(0, 5))
    assert window.mark_asked(3)
    assert not window.mark_asked(1)
    assert window.since(0).is_asked.tolist() == [False, True, False]
    window.append(block(5, 3))
    assert not window.since(0).is_asked.any()


def test_what_was_read_does_not_change_afterwards():
    window = Window(2)
    window.append(block(0, 2))
    before = window.since(0)
    window.append(block(2, 2))
    assert before.ids.tolist() == ["e0", "e1"]


def test_a_snapshot_brings_everything_back():
    window = Window(3, 100.0)
    window.append(block(0, 5))
    again = pickle.loads(pickle.dumps(window))
    for each in (window, again):
        each.append(block(5, 1, width=4))
    assert_same(window.since(0), again.since(0))


def test_a_gap_in_the_numbers_is_our_fault():
    window = Window(3)
    window.append(block(0, 2))
    with pytest.raises(BrokenInvariant, match="expects event 2, got 3"):
        window.append(block(3, 1))


@pytest.mark.parametrize("limits", [(0, None), (1, 0.0)])
def test_limits_must_be_above_nothing(limits):
    with pytest.raises(BadSettings, match="must be"):
        Window(*limits)


def test_events_of_different_width_follow_each_other():
    both = Columns.join_blocks([block(0, 2, width=1), block(2, 1, width=3)])
    assert both.ids.tolist() == ["e0", "e1", "e2"]
    np.testing.assert_array_equal(both.rows[0], [1, np.nan, np.nan])
