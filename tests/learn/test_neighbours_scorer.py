"""Neighbours as arrays say what river says: the same neighbours, with the same votes."""

import copy
import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import compose, neighbors, preprocessing, utils

from headrace.learn.learner import Learner
from headrace.learn.presets import build_knn
from headrace.learn.scorers.neighbours import NeighboursScorer, is_of_neighbours
from headrace.observe.schema import OTHER, Schema
from headrace.settings import SchemaSettings
from learn.columns import Columns, stream


def knn(window=40, n=5, distance=None, **options):
    engine = neighbors.LazySearch(window_size=window, dist_func=distance)
    return neighbors.KNNClassifier(n_neighbors=n, engine=engine, **options)


def minkowski(p):
    return functools.partial(utils.math.minkowski_distance, p=p)


def numbers(*steps):
    return functools.reduce(lambda a, b: a | b, steps, compose.SelectType(float, int))


def texts(**options):
    return compose.SelectType(str) | preprocessing.OneHotEncoder(**options)


SCALER = preprocessing.StandardScaler

# Of numbers only, then of texts too.
PLAIN = {
    "alone": knn,
    "one": lambda: knn(n=1),
    "more than there are": lambda: knn(window=7, n=9),
    "many": lambda: knn(n=20),
    "unweighted": lambda: knn(weighted=False),
    "softmax": lambda: knn(softmax=True),
    "manhattan": lambda: knn(distance=minkowski(1)),
    "euclidean by name": lambda: knn(distance=minkowski(2)),
    "scaled": lambda: SCALER() | knn(),
    "centred": lambda: SCALER(with_std=False) | knn(),
}
MIXED = {
    "preset": lambda: build_knn(0, 2),
    "texts first": lambda: (texts(drop_zeros=True) + numbers(SCALER())) | knn(),
    "with zeros": lambda: (numbers(SCALER()) + texts()) | knn(window=25),
    "with zeros, manhattan": lambda: (texts() + numbers()) | knn(distance=minkowski(1)),
    "numbers of all": lambda: compose.TransformerUnion(numbers(SCALER())) | knn(),
    "texts of all": lambda: compose.TransformerUnion(texts()) | knn(),
}

OTHERS = [
    neighbors.KNNClassifier(),
    knn(distance=minkowski(3)),
    knn(distance=functools.partial(utils.math.minkowski_distance, p=2, missing=0)),
    SCALER(window_size=9) | knn(),
    preprocessing.MinMaxScaler() | knn(),
    (numbers() + numbers(SCALER())) | knn(),
    (compose.SelectType(float) + texts()) | knn(),
    (numbers() + texts(drop_first=True)) | knn(),
]


def by_river(learner):
    """The same learner, made to ask river row by row."""
    other = copy.copy(learner)
    other._scorer = None
    return other


def agree(learner, X):
    found, expected = learner.probabilities(X), by_river(learner).probabilities(X)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from([*PLAIN, *MIXED]),
    classes_n=st.integers(2, 4),
    missing=st.sampled_from([0.0, 0.2]),
    is_coarse=st.booleans(),
    seed=st.integers(0, 99),
    gaps=st.lists(st.integers(1, 60), min_size=2, max_size=6),
)
def test_neighbours_answer_as_river_does_after_any_labels(
    name, classes_n, missing, is_coarse, seed, gaps
):
    columns = Columns(3, 2 if name in MIXED else 0, classes_n)
    learner = Learner((PLAIN | MIXED)[name](), columns)
    X, y = stream(columns, 300, seed, missing)
    if is_coarse:
        # Many examples are equally far from a row, or equal to it.
        X = np.round(X / 4.0)
    for start, stop in itertools.pairwise(np.cumsum([0, *gaps]).tolist()):
        for row, code in zip(X[start:stop], y[start:stop], strict=False):
            learner.learn(row, int(code))
        agree(learner, X[max(0, stop - 8) : stop + 16])
    columns.add("late", "numeric")
    wide = np.pad(X[:30], ((0, 0), (0, 1)), constant_values=3.0)
    agree(learner, wide)
    learner.learn(wide[0], 1)
    agree(learner, wide)
    assert type(learner._scorer) is NeighboursScorer


@pytest.mark.parametrize("model", OTHERS, ids=str)
def test_other_searches_are_left_to_river(model):
    assert not is_of_neighbours(model)
    columns = Columns(2)
    learner = Learner(model, columns)
    assert learner._scorer is None


@pytest.mark.parametrize("name", ["alone", "preset"])
def test_a_row_has_the_same_bits_in_any_batch(name):
    columns = Columns(9, 2 if name in MIXED else 0, 3)
    learner = Learner((PLAIN | MIXED)[name](), columns)
    X, y = stream(columns, 460, seed=4)
    for row, code in zip(X[:200], y, strict=False):
        learner.learn(row, int(code))
    whole = learner.probabilities(X[200:])
    parts = [learner.probabilities(X[i : i + n]) for i, n in ((200, 1), (201, 16), (217, 243))]
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert whole.tobytes() == by_river(learner).probabilities(X[200:]).tobytes()


def test_texts_that_nothing_encodes_are_left_to_river():
    columns = Columns(2, 1)
    learner = Learner(knn(), columns)
    X, y = stream(columns, 30, seed=1, missing=0.0)
    for row, code in zip(X, y, strict=True):
        learner.learn(row, int(code))
    found = learner.probabilities(X)
    assert np.isnan(found).all()
    # Without the texts the search goes on, as soon as they have left the window.
    X[:, 2] = np.nan
    for row, code in zip(np.tile(X, (2, 1)), np.tile(y, 2), strict=True):
        learner.learn(row, int(code))
    agree(learner, X)
    assert not np.isnan(learner.probabilities(X)).any()


def test_what_columns_do_not_tell_apart_is_left_to_river():
    schema = Schema(SchemaSettings(classes=["a", "b"], categories_max=2))
    learner = Learner(build_knn(0, 2), schema)
    colours = ["red", "green", "blue", "violet"]
    events = [
        {"x": float(i % 7), "colour": colours[i % 4], "note": f"{'word ' * 60}{i % 3}", "n": i % 5}
        for i in range(160)
    ]
    rows = [schema.row(event) for event in events]
    for i, (row, event) in enumerate(zip(rows, events, strict=True)):
        learner.learn(row, int(i % 4 > 1), original=event)
    assert "text" in schema.kinds
    assert OTHER in schema.categories["colour"]
    X, plain = np.stack(rows[-20:]), [{**event, "note": None} for event in events[-20:]]
    for asked in (events[-20:], plain):
        told = X.copy()
        if asked is plain:
            told[:, schema.names.index("note")] = np.nan
        found = learner.probabilities(told, None, asked.__getitem__)
        expected = by_river(learner).probabilities(told, None, asked.__getitem__)
        np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-12)
    assert len(learner._scorer.rows_beyond(told)) == 10


def test_where_river_divides_by_nothing_the_row_is_a_failure():
    columns = Columns(2)
    learner = Learner(knn(), columns)
    X, y = stream(columns, 40, seed=1, missing=0.0)
    for row, code in zip(X, y, strict=True):
        learner.learn(row, int(code))
    X[3, 1] = 1e200
    found = learner.probabilities(X)
    assert np.isnan(by_river(learner).probabilities(X)[3]).all()
    assert np.flatnonzero(np.isnan(found[:, 0])).tolist() == [3]


def test_an_example_that_the_schema_does_not_know_counts_with_all_its_features():
    columns, narrow = Columns(4, 1), Columns(2, 1)
    narrow.names = ["x0", "x1", "c0"]
    learner = Learner(build_knn(0, 2), columns)
    X, y = stream(columns, 60, seed=1)
    for row, code in zip(X, y, strict=True):
        learner.learn(row, int(code))
    agree(learner.view_through(narrow), X[:, [0, 1, 4]])
