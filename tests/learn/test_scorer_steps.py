"""Pipelines of river's transformers and models, scored as arrays, answer as river does."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import (
    compose,
    feature_extraction,
    feature_selection,
    linear_model,
    naive_bayes,
    optim,
    preprocessing,
    stats,
)

from headrace.learn.learner import Learner
from headrace.learn.mixed import MixedNB
from headrace.learn.scorers.compiling import compile_model
from headrace.observe.schema import OTHER, Schema
from headrace.settings import SchemaSettings
from learn.columns import Columns, stream
from learn.scored import assert_answers_of_river, by_river, taught

TYPE, SELECT, DISCARD = compose.SelectType, compose.Select, compose.Discard
PREFIX, SUFFIX, RENAME = compose.Prefixer, compose.Suffixer, compose.Renamer
SCALER, MINMAX, MAXABS = (
    preprocessing.StandardScaler,
    preprocessing.MinMaxScaler,
    preprocessing.MaxAbsScaler,
)
ROBUST, FADING = preprocessing.RobustScaler, preprocessing.AdaptiveStandardScaler
NORMALIZER, BINARIZER = preprocessing.Normalizer, preprocessing.Binarizer
ONE_HOT, ORDINAL = preprocessing.OneHotEncoder, preprocessing.OrdinalEncoder
IMPUTER, PREVIOUS = preprocessing.StatImputer, preprocessing.PreviousImputer
POWERS, VARIED = feature_extraction.PolynomialExtender, feature_selection.VarianceThreshold
LOGISTIC, SOFTMAX = linear_model.LogisticRegression, linear_model.SoftmaxRegression
PERCEPTRON, PA, ALMA = (
    linear_model.Perceptron,
    linear_model.PAClassifier,
    linear_model.ALMAClassifier,
)
GAUSSIAN, BERNOULLI = naive_bayes.GaussianNB, naive_bayes.BernoulliNB
MULTINOMIAL, COMPLEMENT = naive_bayes.MultinomialNB, naive_bayes.ComplementNB


class Eager(linear_model.LogisticRegression):
    """A subclass that learns otherwise, and answers as its base."""

    def learn_one(self, x, y, w=1.0):
        super().learn_one(x, y, 2.0 * w)


class Shy(linear_model.LogisticRegression):
    def predict_proba_one(self, x):
        return {False: 0.5, True: 0.5}


def texts(encoder=ONE_HOT, **options):
    return TYPE(str) | encoder(**options)


def numbers(*steps):
    return compose.Pipeline(TYPE(float), *steps)


def means(*names):
    return IMPUTER(*((name, stats.Mean()) for name in names))


CATEGORIES = {"c0": {"v0", "v1", "v3"}, "c1": {"v1", "v2"}, "late category": {"v9"}}

COMPILED = {
    # Linear models.
    "perceptron": lambda: numbers(SCALER()) + texts() | PERCEPTRON(l2=0.01),
    "bare perceptron": PERCEPTRON,
    "passive-aggressive": lambda: numbers(SCALER()) + texts() | PA(),
    "passive-aggressive, mode 2": lambda: PA(mode=2, learn_intercept=False),
    "passive-aggressive, mode 0": lambda: PA(mode=0),
    "alma": lambda: numbers(SCALER()) + texts() | ALMA(),
    "bare alma": ALMA,
    "hinge": lambda: SCALER() | LOGISTIC(loss=optim.losses.Hinge(), l1=0.01),
    "weighted log": lambda: SCALER() | LOGISTIC(loss=optim.losses.Log(weight_pos=5)),
    "subclass": lambda: SCALER() | Eager(),
    "adam softmax": lambda: SCALER() | SOFTMAX(optim.Adam(0.05)),
    # Counting.
    "multinomial": lambda: numbers(BINARIZER()) | MULTINOMIAL(),
    "multinomial of texts": lambda: texts() | MULTINOMIAL(alpha=0.3),
    "multinomial of negative counts": MULTINOMIAL,
    "multinomial of both": lambda: numbers(MAXABS(), BINARIZER(0.2)) + texts() | MULTINOMIAL(),
    "complement": lambda: numbers(BINARIZER(dtype=int)) | COMPLEMENT(),
    "complement of texts": lambda: texts(drop_zeros=True) | COMPLEMENT(alpha=0.3),
    "complement of negative counts": COMPLEMENT,
    "bernoulli": BERNOULLI,
    "bernoulli of numbers": lambda: numbers(SCALER()) | BERNOULLI(true_threshold=0.5),
    "bernoulli of texts": lambda: texts() | BERNOULLI(alpha=0.3),
    "bernoulli of both": lambda: numbers(MINMAX()) + texts() | BERNOULLI(true_threshold=0.4),
    "gaussian of texts": lambda: texts() | GAUSSIAN(),
    "gaussian of texts without zeros": lambda: texts(drop_zeros=True) | GAUSSIAN(),
    # Scalers.
    "min-max": lambda: MINMAX() | LOGISTIC(),
    "min-max, softmax": lambda: MINMAX() | SOFTMAX(),
    "min-max of a window": lambda: MINMAX(window_size=7) | LOGISTIC(),
    "max-abs": lambda: MAXABS() | LOGISTIC(),
    "max-abs of a window": lambda: MAXABS(window_size=7) | GAUSSIAN(),
    "robust": lambda: ROBUST() | LOGISTIC(),
    "robust, centred": lambda: ROBUST(with_scaling=False) | LOGISTIC(),
    "robust, scaled": lambda: ROBUST(with_centering=False) | GAUSSIAN(),
    "fading": lambda: FADING(0.05) | LOGISTIC(),
    "window": lambda: SCALER(window_size=10) | LOGISTIC(),
    "centred by a window": lambda: SCALER(with_std=False, window_size=10) | GAUSSIAN(),
    "two scalers": lambda: SCALER() | SCALER() | LOGISTIC(),
    "three scalers": lambda: ROBUST() | MINMAX() | SCALER() | SOFTMAX(),
    "min-max twice": lambda: MINMAX() | MINMAX() | LOGISTIC(),
    "normalised": lambda: SCALER() | NORMALIZER() | LOGISTIC(),
    "normalised by sums": lambda: numbers(NORMALIZER(order=1)) | GAUSSIAN(),
    "normalised, passive-aggressive": lambda: numbers(NORMALIZER()) | PA(),
    "normalised signs": lambda: NORMALIZER() | BINARIZER() | LOGISTIC(),
    "binarised": lambda: SCALER() | BINARIZER(0.5) | LOGISTIC(),
    "binarised below 0": lambda: SCALER() | BINARIZER(-0.5) | MULTINOMIAL(),
    "varied": lambda: VARIED(threshold=30.0) | LOGISTIC(),
    "varied, scaled": lambda: VARIED(threshold=3.0, min_samples=20) | SCALER() | GAUSSIAN(),
    "powers": lambda: numbers(SCALER(), POWERS()) | LOGISTIC(),
    "cubes": lambda: numbers(MAXABS(), POWERS(3)) | SOFTMAX(),
    "interactions": lambda: (
        numbers(POWERS(2, interaction_only=True, include_bias=True), SCALER()) | GAUSSIAN()
    ),
    # Encoders.
    "one-hot, scaled": lambda: texts() | SCALER() | LOGISTIC(),
    "one-hot without zeros, scaled": lambda: texts(drop_zeros=True) | SCALER() | GAUSSIAN(),
    "one-hot without the first": lambda: texts(drop_first=True) | LOGISTIC(),
    "one-hot of fixed texts": lambda: texts(categories=CATEGORIES) | LOGISTIC(),
    "one-hot of a fixed column": lambda: texts(categories={"c0": {"v1"}}) | LOGISTIC(),
    "all scaled": lambda: (numbers() + texts()) | SCALER() | LOGISTIC(),
    "ordinal": lambda: texts(ORDINAL) | SCALER() | LOGISTIC(),
    "ordinal of both": lambda: ORDINAL(unknown_value=None) | LOGISTIC(),
    "ordinal of fixed texts": lambda: texts(ORDINAL, categories={"c0": {"v1": 4}}) | SOFTMAX(),
    "a pipeline behind others": lambda: texts(ORDINAL) | (SCALER() | LOGISTIC()),
    # Names.
    "discarded": lambda: DISCARD("x0", "c0") | SCALER() | LOGISTIC(),
    "discarded, encoded": lambda: DISCARD("x0", "x1", "x2", "late") | ONE_HOT() | LOGISTIC(),
    "renamed": lambda: (
        (numbers(PREFIX("p_"), SCALER()) + (TYPE(str) | SUFFIX("_s") | ONE_HOT()))
        | RENAME({"p_x0": "p_x1", "p_x2": "new", "none": "p_x2"})
        | SOFTMAX()
    ),
    "mixed of other names": lambda: numbers(SCALER()) + (TYPE(str) | PREFIX("t_")) | MixedNB(),
    "raw and scaled": lambda: numbers(SCALER(), PREFIX("scaled_")) + numbers() | LOGISTIC(),
    "of one name": lambda: numbers(SCALER()) + numbers(MINMAX(), VARIED()) | LOGISTIC(),
    "selected": lambda: SELECT("x0", "x1") | SCALER() | LOGISTIC(),
    "selected and encoded": lambda: (
        (SELECT("x0") | SCALER()) + (SELECT("c0") | ONE_HOT()) | LOGISTIC()
    ),
    "selected and dense": lambda: (SELECT("c0", "c1") | ONE_HOT() | SCALER()) | GAUSSIAN(),
    "selected and numbered": lambda: SELECT("c0", "x1") | ORDINAL() | SCALER() | LOGISTIC(),
    "selected, other name": lambda: SELECT("x0") | PREFIX("p_") | MINMAX() | SOFTMAX(),
    # Imputers.
    "mean": lambda: SELECT("x0", "x1") | means("x0", "x1") | SCALER() | LOGISTIC(),
    "mean of one": lambda: means("x1") | SCALER() | LOGISTIC(),
    "constant": lambda: SELECT("x0", "x1") | IMPUTER(("x0", -1), ("x1", 2.5)) | GAUSSIAN(),
    "previous": lambda: SELECT("x0", "x1") | PREVIOUS() | SCALER() | LOGISTIC(),
    "previous, bare": lambda: PREVIOUS() | SOFTMAX(),
    "imputed and encoded": lambda: (
        (SELECT("x0") | means("x0") | SCALER()) + (SELECT("c0") | ONE_HOT()) | LOGISTIC()
    ),
}

LEFT_TO_RIVER = [
    (numbers(BINARIZER()) + numbers(PREFIX("p_"))) | TYPE(float) | LOGISTIC(),
    numbers(SCALER()) + (SELECT("c0") | ONE_HOT()) | LOGISTIC(),
    NORMALIZER(order=np.inf) | LOGISTIC(),
    TYPE(int) | SCALER() | LOGISTIC(),
    BINARIZER(dtype=str) | LOGISTIC(),
    NORMALIZER(order=3) | LOGISTIC(),
    NORMALIZER() | BINARIZER(0.5) | LOGISTIC(),
    NORMALIZER() | BERNOULLI(true_threshold=0.5),
    POWERS(interaction_only=True) | LOGISTIC(),
    (RENAME({"x0": "a"}) | SCALER()) + TYPE(str) | LOGISTIC(),
    TYPE(str) + (ORDINAL() | SCALER()) | SOFTMAX(),
    SCALER() | Shy(),
    compose.FuncTransformer(abs) | LOGISTIC(),
    LOGISTIC(loss=optim.losses.Squared()),
]

KINDS = [(3, 2, 2), (3, 0, 2), (0, 2, 2)]
MULTICLASS = (SOFTMAX, GAUSSIAN, MULTINOMIAL, COMPLEMENT, BERNOULLI, MixedNB)


@pytest.mark.parametrize(
    ("kinds", "missing"), [((5, 0, 3), 0.1), ((3, 2, 2), 0.0), ((2, 2, 2), 0.3)]
)
@pytest.mark.parametrize("name", COMPILED)
def test_a_pipeline_answers_as_river_does(name, kinds, missing):
    columns = Columns(*kinds)
    learner = taught(COMPILED[name](), columns, n=80, missing=missing)
    # Columns and categories come that nobody has learned.
    columns.add("late", "numeric")
    columns.add("late category", "categorical")
    X, _ = stream(columns, 30, seed=2, missing=missing)
    X[5:9, columns.kinds.index("categorical")] = 9.0
    assert_answers_of_river(learner, X)
    assert_answers_of_river(learner, X[:, :-2])


@pytest.mark.parametrize("name", COMPILED)
def test_scores_of_a_pipeline_follow_every_label(name):
    columns = Columns(2, 1, 3)
    learner = taught(COMPILED[name](), columns, n=2, missing=0.0)
    X, y = stream(columns, 15, seed=5, missing=0.1)
    for row, code in zip(X, y, strict=True):
        assert_answers_of_river(learner, X[:4])
        learner.learn(row, int(code))


VALUES = st.one_of(
    st.just(np.nan), st.integers(-3, 3).map(float), st.floats(-100, 100, allow_subnormal=False)
)


@st.composite
def histories(draw):
    """Rows of three numbers and two categories with their codes, a column that comes late."""
    n = draw(st.integers(1, 14))
    rows = [
        [draw(VALUES) for _ in range(3)]
        + [draw(st.one_of(st.just(np.nan), st.integers(0, 3).map(float))) for _ in range(2)]
        + [draw(VALUES)]
        for _ in range(n)
    ]
    codes = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    return np.array(rows), codes, draw(st.integers(0, n))


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(list(COMPILED)), history=histories())
def test_after_any_sequence_of_labels_a_pipeline_answers_as_river_does(name, history):
    X, codes, late = history
    columns = Columns(3, 2, 3)
    learner = Learner(COMPILED[name](), columns)
    for i, (row, code) in enumerate(zip(X, codes, strict=True)):
        if i == late:
            columns.add("late", "numeric")
        width = columns.width
        learner.learn(row[:width], code)
        assert_answers_of_river(learner, X[:, :width])


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(list(COMPILED)),
    kinds=st.sampled_from(KINDS),
    cuts=st.lists(st.integers(0, 48), max_size=6),
)
def test_a_row_has_the_same_bits_in_any_batch(name, kinds, cuts):
    learner = taught(COMPILED[name](), Columns(*kinds), n=20)
    X, _ = stream(learner.schema, 48, seed=3)
    whole = learner.probabilities(X)
    edges = sorted({0, 48, *cuts})
    parts = [learner.probabilities(X[a:b]) for a, b in itertools.pairwise(edges)]
    single = [learner.probabilities(row[np.newaxis]) for row in X]
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert np.concatenate(single).tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", COMPILED)
def test_columns_that_appear_inside_a_batch_move_no_bit(name):
    columns = Columns(9, 2)
    learner = taught(COMPILED[name](), columns, n=40)
    X, _ = stream(columns, 8, seed=3)
    before = learner.probabilities(X)
    for i in range(9):
        columns.add(f"new {i}", "numeric")
    columns.add("new category", "categorical")
    wide = np.pad(X, ((0, 0), (0, 10)), constant_values=np.nan)
    stranger = wide[:1].copy()
    stranger[0, 11:] = 7.0
    together = learner.probabilities(np.concatenate([wide, stranger]))
    assert together[:8].tobytes() == before.tobytes()


@pytest.mark.parametrize("name", COMPILED)
def test_a_restored_learner_scores_with_the_same_bits(name):
    learner = taught(COMPILED[name](), Columns(3, 2))
    X, _ = stream(learner.schema, 20, seed=3)
    before = learner.probabilities(X)
    assert pickle.loads(pickle.dumps(learner)).probabilities(X).tobytes() == before.tobytes()


@pytest.mark.parametrize("model", LEFT_TO_RIVER, ids=str)
def test_what_rows_cannot_tell_exactly_is_left_to_river(model):
    assert compile_model(model, Columns(2, 1)) is None


@pytest.mark.parametrize(
    "final", [GAUSSIAN, LOGISTIC, lambda: SCALER() | GAUSSIAN(), lambda: ORDINAL() | GAUSSIAN()]
)
def test_where_a_window_rounds_a_variance_below_0_river_scores(final):
    # River then divides by a complex root, and some models learn the complex number.
    columns = Columns(2)
    learner = Learner(SCALER(window_size=3) | final(), columns)
    scaler = next(iter(learner.model.steps.values()))
    below_n = 0
    for i in range(60):
        row = np.array([1e8 + (0.1 if i % 11 > 5 else (i * 7 % 5) / 10.0), float(i % 3)])
        learner.learn(row, i % 2)
        below_n += any(variance.get() < 0.0 for variance in scaler.vars.values())
        X = np.array([row, [0.5, 2.0], [np.nan, 1.0]])
        found, expected = learner.probabilities(X), by_river(learner).probabilities(X)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert below_n


@pytest.mark.parametrize(
    "build",
    [
        lambda: ORDINAL() | SCALER() | LOGISTIC(),
        lambda: ORDINAL() | GAUSSIAN(),
        lambda: DISCARD("x0", "x1") | ONE_HOT() | LOGISTIC(),
        lambda: numbers(SCALER()) + texts() | LOGISTIC(),
    ],
)
def test_an_encoder_that_is_to_get_none_for_what_is_missing_gets_it(build):
    columns, model = Columns(2, 2), build()
    learner = Learner(model, columns, missing="none")
    X, y = stream(columns, 80, seed=1, missing=0.3)
    as_dicts = [{name: columns.features(row).get(name) for name in columns.names} for row in X]
    own = model.clone()
    for row, x, code in zip(X[:60], as_dicts, y, strict=False):
        assert learner.learn(row, int(code))
        own.learn_one(x, int(code))
    found = learner.probabilities(X[60:])[:, 1]
    expected = [own.predict_proba_one(x)[1] for x in as_dicts[60:]]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


FROM_EVENTS = {
    "selected": lambda: (SELECT("x", "n") | SCALER()) + (SELECT("colour") | ONE_HOT()) | PA(),
    "discarded": lambda: DISCARD("x", "n", "is_new") | ONE_HOT() | MULTINOMIAL(),
    "imputed": lambda: SELECT("x", "n") | means("x", "n") | SCALER() | LOGISTIC(),
    "whole numbers": lambda: SELECT("n", "is_new") | ORDINAL() | SCALER() | SOFTMAX(),
    "one-hot numbers": lambda: DISCARD("x") | ONE_HOT() | LOGISTIC(),
}


@pytest.mark.parametrize("name", FROM_EVENTS)
def test_values_of_events_that_columns_do_not_tell_apart_count_as_in_river(name):
    schema = Schema(SchemaSettings(classes=["a", "b"], categories_max=2))
    model = FROM_EVENTS[name]()
    learner = Learner(model, schema)
    colours = ["red", "green", "blue", "violet"]
    events = [
        {
            "x": float(i % 7) if i % 9 else None,
            "n": i % 5,
            "is_new": i % 3 == 0,
            "colour": colours[i % 4] if i % 10 else None,
            "note": f"{'word ' * 60}{i % 3}" if i % 6 == 0 else None,
        }
        for i in range(160)
    ]
    for event in events:
        schema.row(event)  # all columns are known now
    rows = np.stack([schema.row(event) for event in events])
    for i in range(140):
        learner.learn(rows[i], int(i % 4 > 1), original=events[i])
    assert learner.learned_n > 100
    assert {"text", "numeric"} <= set(schema.kinds) and OTHER in schema.categories["colour"]
    found = learner.probabilities(rows[140:], None, events[140:].__getitem__)
    needs_none = learner._is_absence_kept is False
    for said, event in zip(found, events[140:], strict=True):
        known = {key: x for key, x in event.items() if needs_none or x is not None}
        try:
            answer = model.predict_proba_one(known)
        except (TypeError, KeyError):
            assert np.isnan(said).all()
        else:
            expected = [answer.get(0, 0.0), answer.get(1, 0.0)]
            np.testing.assert_allclose(said, expected, rtol=1e-12, atol=1e-12)
    is_told = name != "one-hot numbers"
    assert (learner.row_by_row == "") == is_told
