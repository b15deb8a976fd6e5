import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import compose, linear_model, naive_bayes, optim, preprocessing

from headrace.learn.mixed import MixedNB
from headrace.learn.models import build
from headrace.learn.presets import Intercept
from headrace.learn.scorers import scorer
from learn.columns import Columns, stream
from learn.scored import assert_answers_of_river, by_river, taught

SCALER, MINMAX = preprocessing.StandardScaler, preprocessing.MinMaxScaler
ONE_HOT, TYPE = preprocessing.OneHotEncoder, compose.SelectType
LOGISTIC, SOFTMAX = linear_model.LogisticRegression, linear_model.SoftmaxRegression
GAUSSIAN = naive_bayes.GaussianNB

COMPILED = {
    "logistic": lambda: build("logistic", 1, 2),
    "softmax": lambda: build("logistic", 1, 3),
    "naive-bayes": lambda: build("naive-bayes", 1, 2),
    "bare logistic": LOGISTIC,
    "bare softmax": SOFTMAX,
    "bare naive bayes": GAUSSIAN,
    "scaler | logistic": lambda: SCALER() | LOGISTIC(optim.Adam(0.05), l2=0.01),
    "centred | logistic": lambda: SCALER(with_std=False) | LOGISTIC(intercept_init=0.4),
    "scaler | naive bayes": lambda: SCALER() | GAUSSIAN(),
    "select | scaler | naive bayes": lambda: TYPE(float) | SCALER() | GAUSSIAN(),
    "texts alone": lambda: TYPE(str) | ONE_HOT() | LOGISTIC(),
    "scaler | mixed naive bayes": lambda: (TYPE(float) | SCALER()) + TYPE(str) | MixedNB(),
    "texts unseen, mixed naive bayes": lambda: TYPE(float) | MixedNB(),
    "intercept, naive bayes": lambda: (
        compose.TransformerUnion(TYPE(float), Intercept()) | GAUSSIAN()
    ),
    "strong steps": lambda: SCALER() | LOGISTIC(optim.SGD(500.0), intercept_lr=50.0),
}


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("kinds", [(5, 0, 2), (3, 2, 2), (3, 2, 4), (0, 2, 2)])
@pytest.mark.parametrize("name", COMPILED)
def test_a_compiled_model_answers_as_river_does(name, kinds, missing):
    columns = Columns(*kinds)
    learner = taught(COMPILED[name](), columns, missing=missing)
    # Codes 0 to 4 were learned; column and category come that nobody has learned.
    columns.add("late", "numeric")
    columns.add("late category", "categorical")
    X, _ = stream(columns, 60, seed=2, missing=missing)
    X[5:9, columns.kinds.index("categorical")] = 9.0
    assert_answers_of_river(learner, X)


@pytest.mark.parametrize("name", COMPILED)
def test_scores_follow_every_label(name):
    columns = Columns(3, 1)
    learner = taught(COMPILED[name](), columns, n=3)
    X, y = stream(columns, 25, seed=5)
    for row, code in zip(X, y, strict=True):
        assert_answers_of_river(learner, X[:4])
        learner.learn(row, int(code))


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from([*COMPILED, "tree"]),
    kinds=st.sampled_from([(20, 0, 2), (9, 3, 3), (1, 1, 2), (130, 2, 2)]),
    cuts=st.lists(st.integers(0, 48), max_size=6),
)
def test_a_row_has_the_same_bits_in_any_batch(name, kinds, cuts):
    columns = Columns(*kinds)
    model = build("tree", 1, 2) if name == "tree" else COMPILED[name]()
    learner = taught(model, columns, n=20)
    X, _ = stream(columns, 48, seed=3)
    whole = learner.probabilities(X)
    edges = sorted({0, 48, *cuts})
    parts = [learner.probabilities(X[a:b]) for a, b in itertools.pairwise(edges)]
    single = [learner.probabilities(row[np.newaxis]) for row in X]
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert np.concatenate(single).tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", COMPILED)
def test_columns_and_categories_that_appear_inside_a_batch_move_no_bit(name):
    columns = Columns(19, 1)
    learner = taught(COMPILED[name](), columns, n=40)
    X, _ = stream(columns, 8, seed=3)
    before = learner.probabilities(X)
    for i in range(9):
        columns.add(f"new {i}", "numeric")
    columns.add("new category", "categorical")
    wide = np.pad(X, ((0, 0), (0, 10)), constant_values=np.nan)
    stranger = wide[:1].copy()
    stranger[0, 19:] = 7.0
    together = learner.probabilities(np.concatenate([wide, stranger]))
    assert together[:8].tobytes() == before.tobytes()
    assert learner.probabilities(X).tobytes() == before.tobytes()


def test_a_long_batch_is_scored_in_blocks_of_the_same_bits(monkeypatch):
    learner = taught(COMPILED["naive-bayes"](), Columns(5, 1))
    X, _ = stream(learner.schema, 50, seed=3)
    whole = learner.probabilities(X)
    monkeypatch.setattr(scorer, "CELLS_MAX", 70)
    assert learner.probabilities(X).tobytes() == whole.tobytes()


def test_a_restored_learner_scores_with_the_same_bits():
    for make in COMPILED.values():
        learner = taught(make(), Columns(6, 2))
        X, _ = stream(learner.schema, 20, seed=3)
        before = learner.probabilities(X)
        assert pickle.loads(pickle.dumps(learner)).probabilities(X).tobytes() == before.tobytes()


def test_texts_that_river_would_choke_on_fail_in_both_ways_of_scoring():
    learner = taught(SCALER(with_std=False) | LOGISTIC(), Columns(2, 0))
    learner.schema.add("city", "categorical")
    X = np.array([[1.0, 2.0, np.nan], [1.0, 2.0, 3.0]])
    found = learner.probabilities(X)
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found, by_river(learner).probabilities(X))


def test_no_rows_give_no_answers():
    learner = taught(COMPILED["logistic"](), Columns(2, 1))
    assert learner.probabilities(np.zeros((0, 3))).shape == (0, 2)
