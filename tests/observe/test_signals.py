import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headrace.observe import signals


def test_doubt_is_within_bounds_whatever_rounding_did():
    doubts = signals.doubts_of(np.array([1.0 + 1e-12, 0.25, np.nan]))
    assert doubts[:2] == [0.0, 0.75]
    assert np.isnan(doubts[2])


def test_no_prediction_is_wrong():
    assert signals.is_wrong({}, "a")
    assert not signals.is_wrong({"a": 0.5, "b": 0.5}, "a")
    assert signals.predicted_classes(np.empty((2, 0))).tolist() == [0, 0]


@settings(max_examples=50, deadline=None)
@given(rows=hnp.arrays(float, st.tuples(st.integers(0, 20), st.integers(1, 6)),
                       elements=st.sampled_from([0.0, 0.25, 0.5])))  # fmt: skip
def test_the_first_of_equals_is_predicted_and_of_no_answer_the_first_class(rows):
    rows[::3] = np.nan
    assert signals.predicted_classes(rows).tolist() == rows.argmax(axis=1).tolist()
