"""A model of the user's own that answers many events in one call."""

import numpy as np
import pytest
from river import base, linear_model, preprocessing

from headrace import Engine
from headrace.learn.learner import Learner
from headrace.learn.many import answers_many
from headrace.testing import check_model
from learn.columns import Columns, stream
from worlds import encoded, reference


class Means(base.Classifier):
    """The class whose mean amount is nearest, by one call for all events."""

    def __init__(self):
        self.sums = {}
        self.calls = []

    @property
    def _multiclass(self):
        return True

    def learn_one(self, x, y):
        total, n = self.sums.get(y, (0.0, 0))
        self.sums[y] = (total + x.get("x0", 0.0), n + 1)

    def predict_proba_one(self, x):
        self.calls.append(1)
        return self._answer(x)

    def predict_proba_many(self, xs):
        self.calls.append(len(xs))
        return [self._answer(x) for x in xs]

    def _answer(self, x):
        if "x0" in x and x["x0"] == -1.0:
            raise ValueError("an amount below 0")
        distances = {
            label: abs(x.get("x0", 0.0) - total / n) for label, (total, n) in self.sums.items()
        }
        powers = {label: 2.0**-distance for label, distance in distances.items()}
        return {label: power / sum(powers.values()) for label, power in powers.items()}


class WithoutMany(Means):
    predict_proba_many = None


def taught(model):
    columns = Columns(2, 0, 3)
    learner = Learner(model, columns)
    X, y = stream(columns, 60, seed=1)
    for row, code in zip(X[:40], y, strict=False):
        assert learner.learn(row, int(code))
    learner.model.calls.clear()
    return learner, X[40:]


def test_a_batch_is_asked_in_one_call():
    learner, X = taught(Means())
    found = learner.probabilities(X)
    assert learner.model.calls == [20]
    assert learner.row_by_row == ""
    rows = np.vstack([learner.predict_row(row) for row in X])
    np.testing.assert_allclose(found, rows, rtol=0.0, atol=1e-12)
    assert learner.probabilities(X[:0]).shape == (0, 3)


def test_events_reach_the_model_as_they_came():
    learner, X = taught(Means())
    seen = []
    learner.model.predict_proba_many = lambda xs: seen.extend(xs) or [{0: 1.0}] * len(xs)

    class Schema(Columns):
        def features(self, row, original=None):
            return dict(original or {})

    learner.attach(Schema(2, 0, 3))
    learner.probabilities(X[:2], None, lambda i: {"x0": i, "note": "as it came"})
    assert seen == [{"x0": 0, "note": "as it came"}, {"x0": 1, "note": "as it came"}]


def test_an_event_that_fails_leaves_the_others_their_answers():
    learner, X = taught(Means())
    whole = learner.probabilities(X)
    X[3, 0] = -1.0
    found = learner.probabilities(X)
    assert np.isnan(found[3]).all()
    others = np.delete(np.arange(len(X)), 3)
    assert found[others].tobytes() == whole[others].tobytes()
    assert learner.failures.first == {
        "predict": "predict_proba_many: ValueError: an amount below 0"
    }


ANSWERS = [
    lambda xs: [{0: 1.0}] * 3,
    lambda xs: None,
    lambda xs: np.ones((len(xs), 3)),
    lambda xs: [[1.0, 0.0, 0.0] for _ in xs],
    lambda xs: 1 / 0,
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_call_that_fails_always_is_replaced_by_one_for_each_event(answer):
    learner, X = taught(Means())
    expected = np.vstack([learner.predict_row(row) for row in X[:7]])
    learner.model.predict_proba_many = answer
    found = learner.probabilities(X[:7])
    assert found.tobytes() == expected.tobytes()
    assert learner.failures.first["predict"].startswith("predict_proba_many: ")


def test_an_answer_that_is_no_number_is_a_failure_of_its_row_alone():
    learner, X = taught(Means())
    learner.model.predict_proba_many = lambda xs: [
        {0: "most" if x.get("x0") == 9.0 else 1.0} for x in xs
    ]
    X[1, 0] = 9.0
    found = learner.probabilities(X[:3])
    assert np.flatnonzero(np.isnan(found[:, 0])).tolist() == [1]


def test_methods_for_data_frames_are_not_called():
    class Own(linear_model.Perceptron):
        def predict_proba_many(self, X):
            raise AssertionError("this is for data frames")

    scaled = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    for model in (Own(), scaled, linear_model.SoftmaxRegression(), WithoutMany()):
        assert not answers_many(model)
    assert answers_many(Means())
    learner, X = taught(WithoutMany())
    learner.probabilities(X)
    assert learner.row_by_row == "WithoutMany"


class Otherwise(Means):
    def predict_proba_many(self, xs):
        return [{**answer, 0: 0.2} for answer in super().predict_proba_many(xs)]


class OneShort(Means):
    def predict_proba_many(self, xs):
        return super().predict_proba_many(xs)[:-1]


class Relative(Means):
    def predict_proba_many(self, xs):
        return [{0: 0.5, 1: 0.5 + 1e-12 * len(xs)} for _ in xs]


class Careless(Means):
    def predict_proba_many(self, xs):
        answers = super().predict_proba_many(xs)
        for x in xs:
            x.clear()
        return answers


def test_the_check_of_a_model_compares_both_ways_of_asking():
    check_model(Means, in_two_processes=False)
    check_model(Careless, in_two_processes=False)
    for make, broken in (
        (Otherwise, "predict_proba_many and predict_proba_one of Otherwise differ"),
        (OneShort, "OneShort's predict_proba_many failed: TypeError: .* a list of 40 answers"),
        (Relative, "answers by the size of the batch"),
    ):
        with pytest.raises(AssertionError, match=broken):
            check_model(make, in_two_processes=False)


@pytest.mark.parametrize("chunk", [1, 7, 10_000])
def test_any_split_of_the_inputs_gives_the_same_bits(chunk):
    run = reference(5, f"{__name__}:Means", 140, is_arrival=True)
    engine, outputs = Engine(settings=run.settings), []
    for start in range(0, len(run.inputs), chunk):
        outputs += engine.feed(run.inputs[start : start + chunk])
    assert encoded(outputs) == encoded(run.outputs)
    assert not engine.report.model.failures
