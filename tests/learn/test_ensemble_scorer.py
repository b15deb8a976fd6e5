"""Ensembles as arrays say what river says, whatever their members are and whatever was learned."""

import collections
import copy
import itertools
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import (
    compose,
    drift,
    dummy,
    ensemble,
    imblearn,
    linear_model,
    multiclass,
    naive_bayes,
    preprocessing,
    stats,
    tree,
)
from river.linear_model import LogisticRegression, SoftmaxRegression

from headrace.learn.committee.members import RiverMember
from headrace.learn.learner import Learner
from headrace.learn.mixed import MixedNB
from headrace.learn.scorers.compiling import compile_model
from headrace.learn.scorers.ensembles import EnsembleScorer, elect
from headrace.learn.scorers.scorer import try_score
from headrace.learn.scorers.trees import TreeScorer
from headrace.observe.schema import Schema
from headrace.settings import SchemaSettings
from learn.columns import Columns, stream

GAUSSIAN, SCALER = naive_bayes.GaussianNB, preprocessing.StandardScaler
VOTING, STACKING = ensemble.VotingClassifier, ensemble.StackingClassifier
BAGGING, PATCHES = ensemble.BaggingClassifier, ensemble.SRPClassifier


def early_tree():
    return tree.HoeffdingTreeClassifier(grace_period=8, delta=0.5, tau=0.4)


def scaled():
    return SCALER() | LogisticRegression()


def encoders():
    texts = compose.SelectType(str) | preprocessing.OneHotEncoder()
    return texts + (compose.SelectType(float, int) | SCALER())


def encoded():
    return encoders() | LogisticRegression()


class Turned(LogisticRegression):
    def predict_proba_one(self, x):
        return {label: 1.0 - p for label, p in super().predict_proba_one(x).items()}


def restarting(model):
    return drift.DriftRetrainingClassifier(model, drift.binary.DDM())


def imputed():
    means = preprocessing.StatImputer(("x0", stats.Mean()), ("x1", stats.Mean()))
    return compose.Select("x0", "x1") | means | SCALER() | LogisticRegression()


OF_NUMBERS = {
    "soft voting": lambda: VOTING([scaled(), GAUSSIAN(), early_tree()]),
    "hard voting": lambda: VOTING([scaled(), GAUSSIAN(), early_tree()], use_probabilities=False),
    "scaler | soft voting": lambda: SCALER() | VOTING([LogisticRegression(), GAUSSIAN()]),
    "AdaBoost": lambda: ensemble.AdaBoostClassifier(scaled(), 3, seed=1),
    "scaler | AdaBoost": lambda: SCALER() | ensemble.AdaBoostClassifier(GAUSSIAN(), 3, seed=1),
    "ADWIN boosting": lambda: ensemble.ADWINBoostingClassifier(GAUSSIAN(), 3, seed=2),
    "BOLE": lambda: ensemble.BOLEClassifier(scaled(), 4, seed=3),
    "BOLE of models that begin anew": lambda: ensemble.BOLEClassifier(
        restarting(early_tree()), 3, seed=3
    ),
    "scaler | begin anew": lambda: SCALER() | restarting(GAUSSIAN()),
    "sampling": lambda: imblearn.RandomSampler(scaled(), None, 0.7, seed=1),
    "hard sampling": lambda: imblearn.HardSamplingClassifier(GAUSSIAN(), 20, 0.5, seed=1),
    "voting, imputed": lambda: VOTING([imputed(), imputed()]),
    "one against one, imputed": lambda: multiclass.OneVsOneClassifier(imputed()),
    "range | bagging": lambda: (
        preprocessing.MinMaxScaler() | BAGGING(linear_model.PAClassifier(), 3, seed=1)
    ),
    "range | stacking": lambda: (
        preprocessing.MinMaxScaler()
        | STACKING(
            [naive_bayes.BernoulliNB(), linear_model.Perceptron(), linear_model.ALMAClassifier()],
            LogisticRegression(),
            include_features=False,
        )
    ),
    "scaler | bagging": lambda: SCALER() | BAGGING(LogisticRegression(), 3, seed=5),
    "ADWIN bagging": lambda: ensemble.ADWINBaggingClassifier(GAUSSIAN(), 3, seed=6),
    "leveraging bagging": lambda: ensemble.LeveragingBaggingClassifier(scaled(), 3, seed=7),
    "bagging of voting trees": lambda: BAGGING(BAGGING(early_tree(), 2, seed=1), 2, seed=8),
    "patches": lambda: PATCHES(scaled(), 3, seed=9),
    "patches of naive Bayes": lambda: PATCHES(GAUSSIAN(), 3, seed=9, training_method="subspaces"),
    "scaler | resampling": lambda: (
        SCALER() | PATCHES(LogisticRegression(), 3, seed=9, training_method="resampling")
    ),
    "patches, unweighted": lambda: PATCHES(
        SCALER() | GAUSSIAN(), 3, seed=9, disable_weighted_vote=True
    ),
    "norms | patches": lambda: (
        preprocessing.Normalizer() | PATCHES(LogisticRegression(), 3, seed=9)
    ),
    "prefixes | patches": lambda: compose.Prefixer("p_") | PATCHES(GAUSSIAN(), 3, seed=9),
    "previous | patches": lambda: (
        preprocessing.PreviousImputer() | PATCHES(LogisticRegression(), 3, seed=9)
    ),
    "previous | resampling": lambda: (
        preprocessing.PreviousImputer()
        | PATCHES(LogisticRegression(), 3, seed=9, training_method="resampling")
    ),
    "patches, previous": lambda: PATCHES(
        preprocessing.PreviousImputer() | LogisticRegression(), 3, seed=9
    ),
    "stacking": lambda: STACKING(
        [scaled(), GAUSSIAN(), early_tree(), BAGGING(GAUSSIAN(), 2, seed=1)], LogisticRegression()
    ),
    "scaler | stacking": lambda: (
        SCALER() | STACKING([LogisticRegression()] * 2, SoftmaxRegression())
    ),
    "stacking without features": lambda: (
        SCALER(with_std=False)
        | STACKING([GAUSSIAN(), LogisticRegression()], LogisticRegression(), include_features=False)
    ),
    "one against the rest": lambda: SCALER() | multiclass.OneVsRestClassifier(LogisticRegression()),
    "one against the rest, trees": lambda: multiclass.OneVsRestClassifier(early_tree()),
    "one against one": lambda: SCALER() | multiclass.OneVsOneClassifier(LogisticRegression()),
    "one against one, naive Bayes": lambda: multiclass.OneVsOneClassifier(GAUSSIAN()),
    "output codes": lambda: (
        SCALER() | multiclass.OutputCodeClassifier(LogisticRegression(), 5, seed=1)
    ),
    "output codes, all": lambda: multiclass.OutputCodeClassifier(GAUSSIAN(), 4, "exact", seed=2),
    "voting of ensembles": lambda: VOTING(
        [multiclass.OneVsOneClassifier(GAUSSIAN()), BAGGING(GAUSSIAN(), 2, seed=1), early_tree()],
        use_probabilities=False,
    ),
}
OF_TREES = {
    "AdaBoost of trees": lambda: ensemble.AdaBoostClassifier(early_tree(), 3, seed=1),
    "ADWIN boosting of trees": lambda: ensemble.ADWINBoostingClassifier(early_tree(), 3, seed=1),
    "BOLE of trees": lambda: ensemble.BOLEClassifier(early_tree(), 3, seed=1),
}
OF_TEXTS = {
    "soft voting, encoded": lambda: VOTING([encoded(), MixedNB(), early_tree()]),
    "bagging, encoded": lambda: BAGGING(encoded(), 3, seed=1),
    "AdaBoost of mixed naive Bayes": lambda: ensemble.AdaBoostClassifier(MixedNB(), 3, seed=1),
    "patches, encoded": lambda: PATCHES(encoded(), 3, seed=1),
    "encoded | patches": lambda: encoders() | PATCHES(LogisticRegression(), 3, seed=1),
    "one against one, mixed": lambda: multiclass.OneVsOneClassifier(MixedNB()),
    "one against the rest, encoded": lambda: multiclass.OneVsRestClassifier(encoded()),
    "stacking, mixed": lambda: STACKING(
        [encoded(), early_tree(), MixedNB()], SoftmaxRegression(), include_features=False
    ),
}
KINDS = OF_NUMBERS | OF_TREES | OF_TEXTS

NOT_COMPILED = [
    # A member that can't be compiled, or that is alone in saying what the ensemble has to know.
    BAGGING(Turned(), 2, seed=1),
    VOTING([LogisticRegression(), Turned()]),
    VOTING([LogisticRegression(), dummy.PriorClassifier()], use_probabilities=False),
    SCALER() | BAGGING(early_tree(), 2, seed=1),
    STACKING(
        [LogisticRegression(), multiclass.OneVsOneClassifier(GAUSSIAN())], LogisticRegression()
    ),
    # Members without probabilities.
    ensemble.AdaBoostClassifier(VOTING([LogisticRegression(), GAUSSIAN()]), 2, seed=1),
    multiclass.OneVsRestClassifier(VOTING([LogisticRegression(), GAUSSIAN()])),
    # The tree learns events as they came, in which 3 is no float; rows have 3.0.
    VOTING([early_tree(), compose.SelectType(float) | LogisticRegression()]),
    # The first member needs None for what is missing, which a tree can't be told.
    VOTING([imputed(), early_tree()]),
    # A negative weight.
    ensemble.BOLEClassifier(LogisticRegression(), 2, seed=1, error_bound=0.7),
    # The last bit of a member's answer might count.
    STACKING([LogisticRegression(), GAUSSIAN()], early_tree()),
    STACKING([LogisticRegression(), GAUSSIAN()], scaled()),
    compose.SelectType(float) | STACKING([LogisticRegression()] * 2, LogisticRegression()),
]


def by_river(learner):
    """The same learner, made to ask river row by row."""
    other = copy.copy(learner)
    other._scorer = None
    return other


def agree(learner, X):
    # A scorer that raises would go unnoticed.
    assert learner._scorer.is_left_to_river or try_score(learner._scorer, X) is not None
    found, expected = learner.probabilities(X), by_river(learner).probabilities(X)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-12)


def made(name, numbers_n=4, texts_n=0, classes_n=3):
    """A learner, and the columns of its rows: of two classes, if it can't tell more apart."""
    model = KINDS[name]()
    columns = Columns(numbers_n, texts_n, classes_n if model._multiclass else 2)
    return Learner(model, columns), columns


def taught(name, n=60, **counts):
    learner, columns = made(name, **counts)
    X, y = stream(columns, n + 40, seed=1)
    for row, code in zip(X[:n], y, strict=False):
        assert learner.learn(row, int(code))
    return learner, columns, X[n:]


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(list(KINDS)),
    classes_n=st.integers(2, 4),
    missing=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 99),
    gaps=st.lists(st.integers(1, 30), min_size=2, max_size=5),
    late=st.sampled_from(["numeric", "categorical"]),
)
def test_ensembles_answer_as_river_does_after_any_labels(
    name, classes_n, missing, seed, gaps, late
):
    learner, columns = made(name, 3, 2 if name in OF_TEXTS else 0, classes_n)
    assert isinstance(learner._scorer, EnsembleScorer | TreeScorer)
    X, y = stream(columns, 150, seed, missing)
    learned = set()
    for start, stop in itertools.pairwise(np.cumsum([0, *gaps]).tolist()):
        for row, code in zip(X[start:stop], y[start:stop], strict=False):
            learner.learn(row, int(code))
            learned.add(int(code))
        agree(learner, X[-12:])
    # A column comes that no member has, then one that the members get to know.
    columns.add("late", late if name in OF_TEXTS else "numeric")
    X = np.column_stack([X, np.round(X[:, 0] % 3.0)])
    agree(learner, X[-12:])
    for row, code in zip(X[:10], y, strict=False):
        learner.learn(row, int(code))
    agree(learner, X[-12:])


@pytest.mark.parametrize("name", KINDS)
def test_a_row_has_the_same_bits_in_any_batch(name):
    learner, _, X = taught(name, texts_n=2 if name in OF_TEXTS else 0)
    whole = learner.probabilities(X)
    parts = [learner.probabilities(X[a:b]) for a, b in ((0, 1), (1, 17), (17, 40))]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.default_n(6)
def test_scores_follow_every_label(name):
    learner, columns = made(name, texts_n=1 if name in OF_TEXTS else 0)
    X, y = stream(columns, 40, seed=5)
    for row, code in zip(X, y, strict=True):
        learner.learn(row, int(code))
        agree(learner, X[:3])


@pytest.mark.parametrize("model", NOT_COMPILED, ids=str)
def test_what_is_not_known_exactly_is_left_to_river(model):
    assert compile_model(model, Columns(2)) is None


@pytest.mark.parametrize(
    "model",
    [
        ensemble.ADWINBoostingClassifier(GAUSSIAN(), 3, seed=1),
        ensemble.ADWINBoostingClassifier(early_tree(), 3, seed=2),
        ensemble.LeveragingBaggingClassifier(GAUSSIAN(), 3, seed=1),
        PATCHES(GAUSSIAN(), 3, seed=1),
    ],
    ids=str,
)
def test_members_that_drift_replaces_are_read_anew(model):
    columns = Columns(3, 0, 3)
    learner = Learner(model, columns)
    X, y = stream(columns, 600, seed=2, missing=0.0)
    # River's boosting replaces a member when it becomes better, all others when it becomes worse.
    is_boosting = isinstance(model, ensemble.ADWINBoostingClassifier)
    y = np.where(np.arange(600) < 300, np.arange(600) % 3, y) if is_boosting else y
    y[300:] = y[300:] if is_boosting else 2 - y[300:]
    replaced_n = 0
    for i, (row, code) in enumerate(zip(X, y, strict=True)):
        before = [getattr(member, "model", member) for member in model.models]
        learner.learn(row, int(code))
        after = [getattr(member, "model", member) for member in model.models]
        is_replaced = any(map(operator.is_not, before, after))
        replaced_n += is_replaced
        if i % 50 == 0 or is_replaced:
            agree(learner, X[i : i + 4])
    assert replaced_n


def asked_of_river(learner, X, monkeypatch):
    """The number of rows that a scorer gave to river."""
    asked, ask = [], EnsembleScorer._ask_river
    monkeypatch.setattr(
        EnsembleScorer, "_ask_river", lambda self, *args: asked.append(1) or ask(self, *args)
    )
    learner.probabilities(X)
    asked_n = len(asked)
    agree(learner, X)
    return asked_n


def test_rows_that_rounding_might_turn_round_are_given_to_river(monkeypatch):
    columns = Columns(3)
    X, y = stream(columns, 60, seed=1, missing=0.0)
    learner = Learner(
        VOTING([LogisticRegression(), LogisticRegression()], use_probabilities=False), columns
    )
    # Without a weight all members say a half for each class.
    assert asked_of_river(learner, X, monkeypatch) == len(X)
    for row, code in zip(X, y, strict=True):
        learner.learn(row, int(code))
    assert asked_of_river(learner, X, monkeypatch) == 0


@pytest.mark.parametrize(
    "name", [name for name in OF_NUMBERS if "patches" in name and "norms" not in name]
)
def test_river_is_not_asked_about_what_a_member_does_not_see(name, monkeypatch):
    learner, _, X = taught(name)
    assert asked_of_river(learner, X, monkeypatch) == 0


def test_classes_with_the_same_code_are_told_apart_as_by_river(monkeypatch):
    columns = Columns(3, 0, 4)
    learner = Learner(multiclass.OutputCodeClassifier(GAUSSIAN(), 1, seed=1), columns)
    X, y = stream(columns, 60, seed=1)
    for row, code in zip(X, y, strict=True):
        learner.learn(row, int(code))
    assert len(set(learner.model.code_book.values())) < 4
    assert asked_of_river(learner, X, monkeypatch) == 0


@pytest.mark.parametrize("order", ["C", "F"])
def test_of_equal_numbers_of_votes_the_class_named_first_is_elected(order):
    votes = np.array(list(itertools.product(range(3), repeat=4)), dtype=np.intp, order=order)
    expected = [collections.Counter(row).most_common(1)[0][0] for row in votes.tolist()]
    for n in (1, 7, len(votes)):
        assert elect(votes[:n], 3).tolist() == expected[:n]


@pytest.mark.parametrize("is_soft", [True, False])
def test_a_member_without_an_answer_votes_as_in_river(is_soft):
    columns = Columns(2)
    silent = [GAUSSIAN(), early_tree()]
    learner = Learner(VOTING([*silent, LogisticRegression()], is_soft), columns)
    learner._is_silent = False
    agree(learner, stream(columns, 5)[0])
    for row in stream(columns, 5)[0]:
        learner.model.models[2].learn_one(columns.features(row), True)
    learner._scorer.is_stale = True
    agree(learner, stream(columns, 5)[0])


def test_a_pair_without_an_answer_is_for_its_first_class_as_in_river():
    columns = Columns(2, 0, 3)
    learner = Learner(multiclass.OneVsOneClassifier(GAUSSIAN()), columns)
    X, y = stream(columns, 30, seed=1)
    for row, code in zip(X, y, strict=True):
        learner.learn(row, int(code))
    # One pair knows nothing, one a single label.
    learner.model.classifiers[0, 1] = GAUSSIAN()
    learner.model.classifiers[1, 2] = GAUSSIAN()
    learner.model.classifiers[1, 2].learn_one({"x0": 1.0}, False)
    learner._scorer.is_stale = True
    agree(learner, X)


def test_where_river_raises_the_row_is_a_failure():
    columns = Columns(2, 1)
    X, y = stream(columns, 40, seed=1, missing=0.0)
    X[:30, 2] = np.nan
    for model in (
        BAGGING(scaled(), 2, seed=1),
        SCALER(with_std=False) | BAGGING(GAUSSIAN(), 2, seed=1),
    ):
        learner = Learner(model, columns)
        for row, code in zip(X[:30], y, strict=False):
            learner.learn(row, int(code))
        agree(learner, X[25:35])
        assert learner._scorer is not None


@pytest.mark.parametrize(
    "model",
    [
        BAGGING(LogisticRegression(), 2, seed=1),
        VOTING([LogisticRegression(), GAUSSIAN()]),
        VOTING([LogisticRegression(), GAUSSIAN()], use_probabilities=False),
        STACKING([LogisticRegression(), GAUSSIAN()], LogisticRegression()),
    ],
    ids=str,
)
def test_a_free_text_on_which_a_member_raises_is_a_failure(model):
    schema = Schema(SchemaSettings(classes=["a", "b"]))
    learner = Learner(model, schema)
    events = [{"x": float(i % 7)} for i in range(40)]
    events += [{"x": 1.0, "note": f"{'word ' * 60}{i}"} for i in range(4)]
    for i, event in enumerate(events[:40]):
        assert learner.learn(schema.row(event), int(i % 4 > 1), original=event)
    asked = events[-6:]
    rows = [schema.row(event) for event in asked]
    X = np.stack([np.pad(row, (0, 2 - len(row)), constant_values=np.nan) for row in rows])
    assert "text" in schema.kinds
    found = learner.probabilities(X, None, asked.__getitem__)
    expected = by_river(learner).probabilities(X, None, asked.__getitem__)
    assert np.flatnonzero(np.isnan(found[:, 0])).tolist() == [2, 3, 4, 5]
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-12)


def test_a_member_that_failed_to_learn_true_fails_as_in_river():
    columns = Columns(1, 1)
    learner = Learner(multiclass.OneVsRestClassifier(GAUSSIAN()), columns)
    learner.learn(np.array([1.0, np.nan]), 0)
    learner.learn(np.array([2.0, np.nan]), 1)
    agree(learner, np.array([[1.5, np.nan]]))
    # The classifier of a class is made before its first label is learned.
    learner.model.classifiers[2] = learner.model.classifier.clone()
    learner.model.classifiers[2].learn_one({"x0": 1.0}, False)
    learner._scorer.is_stale = True
    found = learner.probabilities(np.array([[1.5, np.nan]]))
    assert np.isnan(found).all()
    assert np.isnan(by_river(learner).probabilities(np.array([[1.5, np.nan]]))).all()


def test_an_ensemble_with_a_tree_learns_events_as_they_came():
    schema = Schema(SchemaSettings(classes=["a", "b"], categories_max=2))
    learner = Learner(VOTING([early_tree(), MixedNB(), encoded()]), schema)
    colours = ["red", "green", "blue", "violet"]
    events = [
        {"x": float(i % 7), "colour": colours[i % 4], "note": f"{'word ' * 60}{i % 3}", "n": i % 5}
        for i in range(120)
    ]
    rows = [schema.row(event) for event in events]
    for i, (row, event) in enumerate(zip(rows, events, strict=True)):
        assert learner.learn(row, int(i % 4 > 1), original=event)
    assert "colour_violet" in learner.model.models[2]["LogisticRegression"].weights
    X, asked = np.stack(rows[-20:]), events[-20:]
    found = learner.probabilities(X, None, asked.__getitem__)
    expected = by_river(learner).probabilities(X, None, asked.__getitem__)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-12)
    X[:, schema.names.index("note")] = np.nan
    # Half of the rows have a category of their own, and no note: those are scored as columns.
    assert len(learner._scorer.rows_beyond(X)) == 10


def test_members_too_large_for_arrays_are_left_to_river(monkeypatch):
    learner, _, X = taught("soft voting")
    before = learner.probabilities(X)
    monkeypatch.setattr(TreeScorer, "is_too_large", True)
    monkeypatch.setattr(EnsembleScorer, "score", None)
    np.testing.assert_allclose(learner.probabilities(X), before, rtol=0.0, atol=1e-12)


def test_a_feature_with_the_name_of_an_answer_leaves_a_stack_to_river():
    columns = Columns(2)
    columns.names[1] = "oof_0_True"
    learner = Learner(STACKING([scaled(), GAUSSIAN()], LogisticRegression()), columns)
    X, y = stream(columns, 40, seed=1)
    for row, code in zip(X, y, strict=True):
        learner.learn(row, int(code))
    assert learner._scorer.is_left_to_river
    agree(learner, X)


def test_a_member_of_a_committee_needs_probabilities():
    columns = Columns(2)
    rows = type("Rows", (), {"X": np.zeros((1, 2)), "schema": columns})
    for model, is_compiled in (
        (BAGGING(GAUSSIAN(), 2, seed=1), True),
        (KINDS["hard voting"](), False),
    ):
        assert (RiverMember(model)._compile_scorer(rows) is not None) == is_compiled
