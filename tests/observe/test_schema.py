import itertools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import BadSettings
from headrace.messages import Event, EventBatch
from headrace.observe.decode import batch_of
from headrace.observe.schema import OTHER, Schema
from headrace.settings import SchemaSettings

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.just(10**400),
    st.floats(width=32),
    st.sampled_from(["a", "b", "c", "1.5", ""]),
)
STREAMS = st.lists(st.dictionaries(st.sampled_from("zyxwv"), VALUES, max_size=5), max_size=12)


def event(i: int, features: dict) -> Event:
    return Event(id=str(i), at=float(i), features=features)


def batch(*features: dict) -> EventBatch:
    return batch_of([event(i, row) for i, row in enumerate(features)])


def state(schema: Schema) -> dict:
    fields = schema.__getstate__().items()
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in fields}


def padded(rows: np.ndarray, width: int) -> list[bytes]:
    gap = np.full((len(rows), width - rows.shape[1]), np.nan)
    whole = np.hstack([rows, gap])
    return [np.where(np.isnan(row), np.nan, row).tobytes() for row in whole]


@settings(max_examples=50, deadline=None)
@given(STREAMS, st.sets(st.integers(0, 12)), st.integers(1, 6), st.integers(1, 3), st.booleans())
def test_any_split_gives_the_same_rows_and_state(stream, cuts, features_max, most, is_declared):
    declared = {"x": "numeric", "z": "categorical"} if is_declared and features_max > 1 else {}
    chosen = SchemaSettings(features=declared, features_max=features_max, categories_max=most)
    whole, split, single = Schema(chosen), Schema(chosen), Schema(chosen)
    events = [event(i, row) for i, row in enumerate(stream)]
    at_once = whole.rows(batch_of(events))
    edges = [0, *sorted(cut for cut in cuts if cut < len(events)), len(events)]
    parts = [split.rows(batch_of(events[a:b])) for a, b in itertools.pairwise(edges)]
    ones = [single.rows(batch_of([e])) for e in events]
    assert state(split) == state(whole) == state(single)
    expected = padded(at_once, whole.width)
    assert [row for part in parts for row in padded(part, whole.width)] == expected
    assert [row for part in ones for row in padded(part, whole.width)] == expected
    assert at_once.flags.c_contiguous
    assert at_once.dtype == np.float64


@settings(max_examples=50, deadline=None)
@given(STREAMS)
def test_slices_of_a_batch_give_the_same_as_the_batch(stream):
    whole, split = Schema(SchemaSettings()), Schema(SchemaSettings())
    columns = batch(*stream)
    at_once = whole.rows(columns)
    rows = []
    for i in range(len(columns)):
        one = EventBatch(
            ids=columns.ids[i : i + 1],
            at=columns.at[i : i + 1],
            names=columns.names,
            number_names=columns.number_names,
            numbers=columns.numbers[i : i + 1],
            texts={name: values[i : i + 1] for name, values in columns.texts.items()},
        )
        rows += padded(split.rows(one), whole.width)
    assert rows == padded(at_once, whole.width)
    assert state(split) == state(whole)


def test_features_are_ordered_by_their_first_value_and_then_by_name():
    schema = Schema(SchemaSettings())
    schema.rows(batch({"a": None, "c": None}, {"d": 1, "b": 2}, {"a": math.inf}, {"a": "red"}))
    assert schema.names == ("b", "d", "a")
    assert schema.kinds == ("numeric", "numeric", "categorical")
    assert schema.appeared_n == 3
    assert schema.unused.not_finite_n == 1


def test_a_value_of_the_other_kind_is_missing_and_counted():
    schema = Schema(SchemaSettings())
    rows = schema.rows(batch({"c": "red", "x": 1}, {"c": [], "x": "two"}, {"c": {}, "x": True}))
    assert np.array_equal(rows, [[0, 1], [np.nan, np.nan], [np.nan, 1]], equal_nan=True)
    assert schema.unused.mistyped_n == 3
    assert schema.seen_n.tolist() == [1, 2]


def test_a_number_in_a_categorical_feature_is_the_category_spelled_so():
    schema = Schema(SchemaSettings(features={"zip": "categorical"}))
    texts = schema.rows(batch({"zip": "8001"}, {"zip": 8001}, {"zip": 8001.0}, {"zip": "n/a"}))
    numbers = schema.rows(batch({"zip": 8001}, {"zip": 3000}))
    assert texts[:, 0].tolist() == [0, 0, 0, 1]
    assert numbers[:, 0].tolist() == [0, 2]
    assert schema.categories["zip"] == ["8001", "n/a", "3000"]
    assert schema.unused.mistyped_n == 0


def test_declared_features_are_fixed():
    schema = Schema(SchemaSettings(features={"x": "numeric", "c": "categorical"}))
    rows = schema.rows(batch({"new": 1.0, "x": 2.0, "also": "a", "gone": None}))
    assert np.array_equal(rows, [[2, np.nan]], equal_nan=True)
    assert (schema.names, schema.unused.unknown_n, schema.appeared_n) == (("x", "c"), 2, 0)


def test_no_more_features_than_allowed():
    schema = Schema(SchemaSettings(features_max=2))
    assert schema.rows(batch({"a": 1, "b": 2, "c": 3}, {"c": 4, "d": "x"})).shape == (2, 2)
    assert (schema.names, schema.unused.unknown_n) == (("a", "b"), 3)


def test_categories_beyond_the_limit_share_one_code():
    schema = Schema(SchemaSettings(categories_max=2))
    rows = schema.rows(batch(*({"c": text} for text in "abcda")))
    assert rows[:, 0].tolist() == [0, 1, 2, 2, 0]
    assert schema.features(rows[3]) == {"c": OTHER}
    assert schema.categories == {"c": ["a", "b", OTHER]}


def test_known_numeric_columns_are_taken_as_they_are():
    schema = Schema(SchemaSettings())
    columns = batch({"a": 1, "b": 2})
    schema.rows(columns)
    assert schema.rows(columns) is columns.numbers
    again = batch({"a": 1, "b": 2}, {"a": -math.inf, "b": None})
    rows = schema.rows(again)
    assert np.array_equal(rows, [[1, 2], [np.nan, np.nan]], equal_nan=True)
    assert (schema.unused.not_finite_n, schema.seen_n.tolist()) == (1, [3, 3])
    assert np.isinf(again.numbers[1, 0])


def test_features_leave_out_what_is_missing():
    schema = Schema(SchemaSettings())
    rows = schema.rows(batch({"a": True, "c": "red"}, {"c": "blue"}, {"y": 3}))
    assert schema.features(rows[0]) == {"a": 1.0, "c": "red"}
    assert schema.features(rows[1]) == {"c": "blue"}
    assert schema.features(rows[0, :1]) == {"a": 1.0}


def test_vanished_are_those_seen_before_and_missing_now():
    schema = Schema(SchemaSettings(features={"x": "numeric", "y": "numeric", "never": "numeric"}))
    rows = schema.rows(batch({"x": 1, "y": 1}, {"x": 2}))
    assert schema.find_vanished(rows) == ()
    assert schema.find_vanished(rows[1:]) == ("y",)
    assert schema.find_vanished(rows[1:, :1]) == ("y",)
    assert schema.find_vanished(rows[:0]) == ()


def test_classes_are_added_up_to_the_limit():
    schema = Schema(SchemaSettings(classes=["ham"], classes_max=2))
    assert schema.code_of("spam") is None
    assert [schema.class_code(label) for label in ("spam", "ham", "other")] == [1, 0, None]
    assert (schema.classes, schema.code_of("spam")) == (["ham", "spam"], 1)


def test_an_empty_batch_changes_nothing():
    schema = Schema(SchemaSettings())
    before = state(schema)
    assert schema.rows(batch()).shape == (0, 0)
    assert state(schema) == before


def test_a_pickled_schema_goes_on():
    schema = Schema(SchemaSettings())
    schema.rows(batch({"x": 1, "c": "red"}))
    twin = pickle.loads(pickle.dumps(schema))
    more = batch({"x": 2, "c": "blue", "d": 1})
    assert np.array_equal(schema.rows(more), twin.rows(more))
    assert state(schema) == state(twin)


def test_declaring_more_than_allowed_is_a_fault():
    with pytest.raises(BadSettings, match=r"schema.features declares 2.*\n.*schema.classes"):
        Schema(
            SchemaSettings(
                features={"a": "numeric", "b": "numeric"},
                features_max=1,
                classes=["a", "b"],
                classes_max=1,
            )
        )


def test_a_row_that_is_only_read_leaves_the_schema_as_it_is():
    schema = Schema(SchemaSettings(categories_max=2))
    schema.rows(batch_of([Event(id="1", at=0.0, features={"x": 2.0, "colour": "red"})]))
    before = pickle.dumps(schema)
    row = schema.row({"x": 1.0, "colour": "new", "unknown": 3.0}, is_read_only=True)
    assert row.shape == (2,) and math.isnan(row[0]) and row[1] == 1.0
    assert pickle.dumps(schema) == before
    # Once categories share the last code, one that is not known has it too.
    for i, colour in enumerate(["blue", "green"]):
        schema.rows(batch_of([Event(id=str(i), at=1.0, features={"x": 2.0, "colour": colour})]))
    before = pickle.dumps(schema)
    assert schema.row({"colour": "new"}, is_read_only=True)[0] == 2.0
    assert schema.row({"colour": "blue"}, is_read_only=True)[0] == 1.0
    assert pickle.dumps(schema) == before


@given(st.lists(st.floats() | st.integers(-5, 5) | st.none(), min_size=3, max_size=3))
def test_a_row_of_plain_numbers_is_read_as_any_other(values):
    schema = Schema(SchemaSettings(features=dict.fromkeys("abc", "numeric")))
    features = dict(zip("cab", values, strict=True))
    # With a feature that the schema does not know the short way is not taken.
    slow = schema.row(features | {"unknown": 1.0})
    assert schema.row(features).tobytes() == slow.tobytes()
