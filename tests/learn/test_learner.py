"""The learner over every classifier of river. Run as a program, it writes docs/WEIGHTS.md."""

import copy
import inspect
import math
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import api, base, compose, ensemble, forest, imblearn, linear_model, naive_bayes, tree

from headrace.learn import models
from headrace.learn.habits import _measure_tilt, takes_weight
from headrace.learn.learner import Learner
from headrace.learn.models import PRESETS, build
from learn.columns import Columns, stream

WEIGHTS = Path(__file__).parents[2] / "docs" / "WEIGHTS.md"

INTRODUCTION = """\
# Which river classifiers use a weight

This page is for whoever runs Headrace with a classifier of river's other than the default.
Retraining gives recent examples more weight; the last column says whether the classifier uses
the weight itself. Nothing is to be set: for all but those that *weigh*,
`headrace.learn.retrain` repeats examples instead.

`Learner.accepts_weight` tests the behaviour. Clones of the model learn 32 examples without a
weight, with `w=1`, and with 4 and 1/4 on class 1. A model *weighs* if `w=1` changes nothing and
the others pull the right way. The signature does not show it: of the ensembles that take
`**kwargs`, some pass them on, some drop them, some fail on them.

`tests/learn/test_learner.py` writes and checks this page, for river {version}, with the
parameters that river itself tests each classifier with, seeded. *no effect*: no answer changed,
because the weight is dropped or because 32 examples are too few to show it. *unclear*: answers
changed, but not always the right way. *raises*: learning with a weight fails. None of these
counts as weighing. That is safe, because repetition works for any model.

| classifier | inside | arguments after x, y | with a weight |
|---|---|---|---|
"""


def seeded(model):
    for _, part in models.parts_of(model):
        if "seed" in models.parameters_of(part) and getattr(part, "seed", 0) is None:
            part.seed = 1
    return model.clone()


def classifiers():
    """(name, model) of every classifier of river that can be built here, seeded."""
    found = {}
    for module_name, module in sorted(vars(api).items()):
        for name, kind in inspect.getmembers(module, inspect.isclass):
            if not issubclass(kind, base.Classifier) or inspect.isabstract(kind):
                continue
            # What is wrapped from another library is there only where that library is.
            if module_name in ("active", "compat") or issubclass(kind, base.MultiLabelClassifier):
                continue
            for i, params in enumerate(kind._unit_test_params()):
                try:
                    model = seeded(kind(**params))
                except (TypeError, RuntimeError):  # it wants more, or a newer Python
                    continue
                found[f"{module_name}.{name}" + (f" ({i + 1})" if i else "")] = model
    found["multiclass.OneVsRestClassifier (GaussianNB)"] = api.multiclass.OneVsRestClassifier(
        naive_bayes.GaussianNB()
    )
    found["ensemble.BaggingClassifier (tree)"] = ensemble.BaggingClassifier(
        tree.HoeffdingTreeClassifier(), n_models=3, seed=1
    )
    found["ensemble.BaggingClassifier (GaussianNB)"] = ensemble.BaggingClassifier(
        naive_bayes.GaussianNB(), n_models=3, seed=1
    )
    return found


CLASSIFIERS = classifiers()
NAMES = ["a", "b", "c"]


def verdict(model):
    if takes_weight(model, NAMES):
        return "weighs"
    try:
        tilts = {_measure_tilt(model, NAMES, weight) for weight in (None, 1.0, 0.25, 4.0)}
    except TypeError:
        return "raises"
    return "no effect" if len(tilts) == 1 else "unclear"


def weights_page():
    lines = []
    for name, model in CLASSIFIERS.items():
        wrapped = getattr(model, "model", None) or getattr(model, "classifier", None)
        inside = type(wrapped).__name__ if isinstance(wrapped, base.Base) else ""
        arguments = list(inspect.signature(type(model).learn_one).parameters)[3:]
        shown = ", ".join("**kwargs" if a == "kwargs" else a for a in arguments)
        lines.append(f"| {name} | {inside} | {shown} | {verdict(model)} |")
    version = sys.modules["river"].__version__.rpartition(".")[0]
    return INTRODUCTION.format(version=version) + "\n".join(lines) + "\n"


def test_the_table_of_weights_is_what_the_models_do():
    assert WEIGHTS.read_text() == weights_page(), f"run {Path(__file__).name} to write it anew"


def test_the_known_cases_come_out_as_read_in_rivers_source():
    expected = {
        "linear_model.LogisticRegression": "weighs",
        "linear_model.Perceptron": "weighs",
        "tree.HoeffdingTreeClassifier": "weighs",
        "tree.HoeffdingAdaptiveTreeClassifier": "weighs",
        "ensemble.BaggingClassifier (tree)": "weighs",
        "ensemble.BaggingClassifier (GaussianNB)": "raises",
        "linear_model.SoftmaxRegression": "raises",
        "naive_bayes.GaussianNB": "raises",
        "neighbors.KNNClassifier": "raises",
        "forest.AMFClassifier": "raises",
        "forest.ARFClassifier": "no effect",
        "multiclass.OneVsRestClassifier (GaussianNB)": "raises",
    }
    assert {name: verdict(CLASSIFIERS[name]) for name in expected} == expected


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_any_classifier_of_river_gives_distributions_before_and_after_learning(name):
    columns = Columns(3, 0, 3)
    learner = Learner(CLASSIFIERS[name].clone(), columns)
    X, y = stream(columns, 40, missing=0.0)
    X = np.abs(X)
    for rows in (X[:5], X):
        found = learner.probabilities(rows)
        assert found.shape == (len(rows), 3)
        np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)
        assert (found >= 0.0).all()
        for row, code in zip(X, y, strict=True):
            learner.learn(row, int(code))
    assert learner.learned_n + learner.unlearnable_n == 80
    assert learner.learned_n > 0


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_asking_never_changes_what_is_learned_later(name):
    columns = Columns(3, 0, 2)
    X, y = stream(columns, 60, missing=0.0)
    X = np.abs(X)
    quiet = Learner(CLASSIFIERS[name].clone(), columns)
    asked = Learner(CLASSIFIERS[name].clone(), columns)
    sparse = np.where([True, False, False], X, np.nan)
    for row, code in zip(X[:40], y[:40], strict=True):
        asked.probabilities(sparse[:3])
        for learner in (quiet, asked):
            learner.learn(row, int(code))
    assert quiet.probabilities(X[40:]).tolist() == asked.probabilities(X[40:]).tolist()


class Scripted(base.Classifier):
    """Answers what it is told to, and raises what it is told to."""

    def __init__(self, answer):
        self.answer = answer

    @property
    def _multiclass(self):
        return True

    def learn_one(self, x, y):
        if y == self.answer:
            raise ValueError("that one I will not learn")

    def predict_proba_one(self, x):
        if not x:
            return {0: 1.0}
        if self.answer == "raise":
            raise ZeroDivisionError
        return self.answer


ROW = np.array([1.0, 2.0])


THIRD, FAILED = 1 / 3, [math.nan] * 3
NO_SHARES = "its probabilities are no distribution"


@pytest.mark.parametrize(
    ("answer", "expected", "failure"),
    [
        ({}, [THIRD, THIRD, THIRD], None),
        (None, [THIRD, THIRD, THIRD], None),
        ({0: 0.0, 1: 0.0}, [THIRD, THIRD, THIRD], None),
        ({0: 0.5, 1: float("nan")}, FAILED, NO_SHARES),
        ({0: 0.5, 1: -0.5}, FAILED, NO_SHARES),
        ({0: float("inf"), 1: 1.0}, FAILED, NO_SHARES),
        ("raise", FAILED, "ZeroDivisionError"),
        ({"text": 1.0}, [THIRD, THIRD, THIRD], None),
        ({1: 0.25, 0: 0.25}, [0.5, 0.5, 0.0], None),
        ({False: 0.25, True: 0.75}, [0.25, 0.75, 0.0], None),
        ({2: 1.0, 7: 3.0}, [0.0, 0.0, 1.0], None),
    ],
)
def test_whatever_the_model_says_becomes_a_distribution_or_nan(answer, expected, failure):
    learner = Learner(Scripted(answer), Columns(2, 0, 3))
    found = learner.probabilities(ROW[np.newaxis])[0]
    # What an unlearned model fails at is no fault of it: river's want to have seen something.
    assert found.tolist() == ([THIRD] * 3 if expected is FAILED else expected)
    assert learner.failures.first == {}
    learner.learn(ROW, 1)
    assert np.array_equal(learner.predict_row(ROW), expected, equal_nan=True)
    assert learner.failures.first == ({} if failure is None else {"predict": failure})
    if failure:
        assert not any(learner.is_right(ROW, code) for code in range(3))


def test_without_classes_there_are_no_columns():
    assert Learner(Scripted({0: 1.0}), Columns(2, 0, 0)).probabilities(ROW[np.newaxis]).shape == (
        1,
        0,
    )


def test_a_model_taught_elsewhere_speaks_at_once_and_its_unknown_labels_are_no_class():
    columns = Columns(1)
    for labels, expected in (((0, 1), [0.0, 1.0]), (("ham", "spam"), [0.5, 0.5])):
        model = naive_bayes.GaussianNB()
        for value in (1.0, 2.0, 8.0, 9.0):
            model.learn_one({"x0": value}, labels[value > 5.0])
        found = Learner(model, columns).probabilities(np.array([[8.5]]))[0]
        np.testing.assert_allclose(found, expected, atol=1e-6)


def named(*classes):
    """A schema of one number whose classes have these names."""
    columns = Columns(1, 0, len(classes))
    columns.classes = tuple(classes)
    return columns


@pytest.mark.parametrize(
    ("labels", "classes"),
    [(("ham", "spam"), ("spam", "ham")), ((3, 7), ("7", "3")), ((0, 1), ("1", "0"))],
    ids=["texts", "numbers", "numbers that look like codes"],
)
def test_a_model_trained_on_class_names_goes_on_with_them(labels, classes):
    model = naive_bayes.GaussianNB()
    for value in (1.0, 2.0, 8.0, 9.0):
        model.learn_one({"x0": value}, labels[value > 5.0])
    learner = Learner(model, named(*classes))
    row = np.array([8.5])
    # The label of high values is the second, and its class the first.
    assert learner.probabilities(row[np.newaxis])[0].argmax() == 0
    assert learner.learn(row, 0)
    assert set(model.class_counts) == set(labels)
    back = pickle.loads(pickle.dumps(learner))
    assert np.array_equal(back.predict_row(row), learner.predict_row(row))
    assert learner.make_unlearned().learn(row, 0)


def test_a_sampler_gets_the_classes_by_the_names_it_was_told():
    shares = {"fine": 0.5, "fraud": 0.5}
    model = imblearn.RandomSampler(naive_bayes.GaussianNB(), desired_dist=shares, seed=1)
    learner = Learner(model, named("fraud", "fine"))
    for i in range(40):
        assert learner.learn(np.array([3.0 * (i % 2) + 0.1 * (i % 5)]), i % 2)
    assert learner.failures.first == {}
    assert set(model.classifier.class_counts) == {"fine", "fraud"}
    assert learner.is_right(np.array([3.2]), 1)
    assert learner.is_right(np.array([0.2]), 0)


def test_a_new_model_learns_codes_and_still_does_when_it_is_back():
    learner = Learner(naive_bayes.GaussianNB(), named("1", "0"))
    assert learner.learn(np.array([3.0]), 0)
    back = pickle.loads(pickle.dumps(learner))
    assert back.learn(np.array([4.0]), 1)
    assert set(back.model.class_counts) == {0, 1}


def test_classes_may_grow_while_running():
    columns = Columns(2, 0, 1)
    learner = Learner(build("naive-bayes", 1, 1), columns)
    X, _ = stream(columns, 9, missing=0.0)
    learner.learn(X[0], 0)
    assert learner.probabilities(X).tolist() == [[1.0]] * 9
    columns.classes += ["second", "third"]
    learner.learn(X[1], 2)
    assert learner.probabilities(X).shape == (9, 3)
    assert (learner.probabilities(X)[:, 1] == 0.0).all()


@pytest.mark.parametrize("code", [-1, 2, 9])
def test_a_class_the_model_cannot_learn_is_counted_and_changes_nothing(code):
    columns = Columns(2, 0, 4)
    learner = Learner(linear_model.LogisticRegression(), columns)
    learner.learn(ROW, 1)
    before = learner.probabilities(ROW[np.newaxis]).tolist()
    assert learner.learn(ROW, code) is False
    assert (learner.unlearnable_n, learner.learned_n) == (1, 1)
    assert learner.probabilities(ROW[np.newaxis]).tolist() == before


def test_an_exception_while_learning_is_counted():
    learner = Learner(Scripted(1), Columns(2, 0, 2))
    assert learner.learn(ROW, 0) is True
    assert learner.learn(ROW, 1) is False
    assert learner.unlearnable_n == 1
    assert learner.failures.first == {"learn": "ValueError: that one I will not learn"}


def test_a_class_too_many_for_a_binary_model_is_told():
    learner = Learner(linear_model.LogisticRegression(), Columns(2, 0, 3))
    assert learner.learn(ROW, 2) is False
    assert learner.failures.first["learn"].startswith("it tells 2 classes apart")


def test_rows_from_before_a_column_was_known_are_still_scored():
    for name in PRESETS:
        columns = Columns(2, 1)
        learner = Learner(build(name, 1, 2), columns)
        old, _ = stream(columns, 4)
        columns.add("later", "numeric")
        X, y = stream(columns, 30)
        for row, code in zip(X, y, strict=True):
            learner.learn(row, int(code))
        wide = np.pad(old, ((0, 0), (0, 1)), constant_values=np.nan)
        assert learner.probabilities(old).tolist() == learner.probabilities(wide).tolist()


@pytest.mark.parametrize("name", PRESETS)
def test_unlearned_forgets_everything_but_the_parameters_and_the_seed(name):
    columns = Columns(3, 1)
    first = Learner(build(name, 7, 2), columns)
    X, y = stream(columns, 120)
    for row, code in zip(X, y, strict=True):
        first.learn(row, int(code))
    second = first.make_unlearned()
    assert second.probabilities(X[:3]).tolist() == [[0.5, 0.5]] * 3
    for row, code in zip(X, y, strict=True):
        second.learn(row, int(code))
    assert second.probabilities(X).tolist() == first.probabilities(X).tolist()


def test_unlearned_forgets_what_members_of_an_ensemble_know():
    members = [naive_bayes.GaussianNB(), linear_model.LogisticRegression()]
    learner = Learner(ensemble.VotingClassifier(members, use_probabilities=True), Columns(1))
    fresh = learner.probabilities(np.array([[1.0], [9.0]])).tolist()
    for value in (1.0, 2.0, 8.0, 9.0):
        learner.learn(np.array([value]), int(value > 5))
    assert learner.make_unlearned().probabilities(np.array([[1.0], [9.0]])).tolist() == fresh


@pytest.mark.parametrize("name", PRESETS)
def test_a_copy_and_a_restored_learner_go_on_alike_and_apart(name):
    columns = Columns(3, 1)
    learner = Learner(build(name, 7, 2), columns)
    X, y = stream(columns, 90)
    for row, code in zip(X[:60], y[:60], strict=True):
        learner.learn(row, int(code))
    twins = [learner.copy(), pickle.loads(pickle.dumps(learner)), copy.deepcopy(learner)]
    assert twins[0].schema is columns
    before = learner.probabilities(X).tolist()
    for twin in twins:
        for row, code in zip(X[60:], y[60:], strict=True):
            twin.learn(row, int(code))
    assert learner.probabilities(X).tolist() == before
    answers = [twin.probabilities(X).tolist() for twin in twins]
    assert answers[0] == answers[1] == answers[2] != before


def test_attach_reads_rows_by_another_schema():
    columns = Columns(2, 1)
    learner = pickle.loads(pickle.dumps(Learner(build("logistic", 1, 2), columns)))
    X, y = stream(columns, 20)
    for row, code in zip(X, y, strict=True):
        learner.learn(row, int(code))
    learner.attach(columns)
    columns.classes.append("third")
    columns.add("late", "categorical")
    assert learner.probabilities(np.pad(X, ((0, 0), (0, 1)))).shape == (20, 3)


def test_right_is_about_the_model_as_it_is_before_learning():
    learner = Learner(naive_bayes.GaussianNB(), Columns(2, 0, 2))
    assert learner.is_right(ROW, 0) and not learner.is_right(ROW, 1)
    learner.learn(ROW, 1)
    assert learner.is_right(ROW, 1)


@settings(max_examples=6, deadline=None)
@given(weight=st.floats(0.05, 20.0))
def test_a_weight_reaches_a_model_that_weighs_and_no_other(weight):
    columns = Columns(3)
    X, y = stream(columns, 12, missing=0.0)
    for model, weighs in (
        (tree.HoeffdingTreeClassifier(), True),
        (forest.ARFClassifier(seed=1), False),
    ):
        plain, weighted = Learner(model.clone(), columns), Learner(model.clone(), columns)
        assert plain.accepts_weight is weighs
        for row, code in zip(X, y, strict=True):
            plain.learn(row, int(code))
            weighted.learn(row, int(code), weight if code else 1.0)
        same = plain.probabilities(X).tolist() == weighted.probabilities(X).tolist()
        assert same is (not weighs or weight == 1.0)


def test_a_pipeline_over_named_features_weighs_as_its_last_step_does():
    columns = Columns(3)
    model = compose.Select("x1") | linear_model.LogisticRegression()
    assert Learner(model, columns).accepts_weight
    assert not Learner(compose.Select("x1") | naive_bayes.GaussianNB(), columns).accepts_weight


if __name__ == "__main__":
    WEIGHTS.write_text(weights_page())


class Says(base.Classifier):
    """A model that answers what its event's numbers are."""

    _multiclass = True

    def learn_one(self, x, y):
        pass

    def predict_proba_one(self, x):
        return dict(enumerate(x.values()))


@given(st.lists(st.floats(0.0, 1e300) | st.just(-1.0) | st.just(math.inf), min_size=2, max_size=9))
def test_one_row_has_the_bits_of_many(values):
    columns = Columns(len(values), classes_n=len(values))
    learner = Learner(Says(), columns)
    row = np.array(values)
    learner.learn(row, 0)
    X = np.stack([np.full(len(values), 0.1), row])
    assert learner.predict_row(row).tobytes() == learner.probabilities(X)[1].tobytes()
