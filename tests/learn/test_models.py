import copy
import numbers
import sys
import types

import pytest
from river import (
    active,
    anomaly,
    compose,
    drift,
    ensemble,
    forest,
    linear_model,
    naive_bayes,
    neighbors,
    optim,
    preprocessing,
    tree,
)

import headrace as hr
from headrace.errors import BadSettings
from headrace.learn.learner import Learner
from headrace.learn.models import PRESETS, build, check_model
from learn.columns import Columns, stream

MODULE = "a_module_of_the_user"


@pytest.fixture
def user_module(monkeypatch):
    module = types.ModuleType(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, module)
    return module


@pytest.mark.parametrize("classes_n", [2, 4])
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_learns_mixed_and_missing_features(name, classes_n):
    columns = Columns(4, 2, classes_n)
    learner = Learner(build(name, seed=7, classes_n=classes_n), columns)
    X, y = stream(columns, 350)
    for row, code in zip(X[:150], y[:150], strict=True):
        assert learner.learn(row, int(code))
    share_right = (learner.probabilities(X[150:]).argmax(axis=1) == y[150:]).mean()
    most_common = max((y[150:] == code).mean() for code in range(classes_n))
    assert share_right > most_common
    assert learner.failures.first == {}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_learns_when_all_features_are_categorical(name):
    columns = Columns(0, 2)
    learner = Learner(build(name, seed=7, classes_n=2), columns)
    X, y = stream(columns, 100)
    assert all(learner.learn(row, int(code)) for row, code in zip(X, y, strict=True))
    assert (learner.probabilities(X).argmax(axis=1) == y).mean() > 0.7


def test_logistic_is_softmax_unless_exactly_two_classes_are_known():
    kinds = {n: type(build("logistic", 1, n)["model"]).__name__ for n in (0, 1, 2, 3)}
    assert kinds[2] == "LogisticRegression"
    assert {kinds[0], kinds[1], kinds[3]} == {"SoftmaxRegression"}


def test_an_unknown_name_lists_the_known_ones_and_the_nearest():
    with pytest.raises(BadSettings, match=r"known are committee, logistic, .*did you mean tree\?"):
        build("treee", 1, 2)


def test_a_path_gives_what_its_function_returns(user_module):
    user_module.champion = lambda: tree.HoeffdingTreeClassifier(grace_period=9)
    assert build(f"{MODULE}:champion", 1, 2).grace_period == 9


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (":f", "can't be imported: ValueError: Empty module name"),
        (f"{MODULE}:", "has no such function"),
        ("no_such_module_at_all:f", "there is no module no_such_module_at_all"),
        (f"{MODULE}:champio", "did you mean champion"),
        (f"{MODULE}:number", "has no such function"),
        (f"{MODULE}:raises", "raised ZeroDivisionError"),
        (f"{MODULE}:nothing", "NoneType, which is not a river classifier"),
    ],
)
def test_each_way_a_path_can_fail_says_what_to_do(user_module, path, says):
    user_module.champion = tree.HoeffdingTreeClassifier
    user_module.number = 3
    user_module.raises = lambda: 1 / 0
    user_module.nothing = lambda: None
    with pytest.raises(BadSettings, match=says):
        build(path, 1, 2)


LOGISTIC = linear_model.LogisticRegression()


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (linear_model.LinearRegression(), "LinearRegression, which is not a river classifier"),
        (preprocessing.StandardScaler() | linear_model.LinearRegression(), "not a river classif"),
        (anomaly.HalfSpaceTrees(seed=1), "not a river classifier"),
        (linear_model.LogisticRegression, r"pass LogisticRegression\(\) instead"),
        (forest.ARFClassifier(), r"ARFClassifier has no seed.*write ARFClassifier\(..., seed=7\)"),
        (neighbors.KNNClassifier(), r"engine \(SWINN\) has no seed"),
        (
            preprocessing.StandardScaler() | forest.ARFClassifier(),
            r"ARFClassifier \(ARFClassifier\) has no seed",
        ),
        (
            ensemble.VotingClassifier([LOGISTIC, forest.AMFClassifier()]),
            r"models\[1\] \(AMFClassifier\) has no seed",
        ),
        (
            ensemble.BaggingClassifier(neighbors.KNNClassifier(), seed=1),
            r"model.engine \(SWINN\) has no seed",
        ),
        (
            tree.HoeffdingAdaptiveTreeClassifier(seed=1, drift_detector=drift.KSWIN()),
            r"drift_detector \(KSWIN\) has no seed",
        ),
        (active.EntropySampler(LOGISTIC, seed=1), "already decides what to ask"),
        (
            preprocessing.StandardScaler() | active.EntropySampler(LOGISTIC, seed=1),
            r"EntropySampler \(EntropySampler\) already decides",
        ),
        (compose.Pipeline(lambda x: x, LOGISTIC), "cannot be copied and stored.*lambda"),
    ],
)
def test_a_model_that_cannot_serve_is_refused_with_the_step_and_the_cure(model, says):
    with pytest.raises(BadSettings, match=says):
        check_model(model)


def test_every_unseeded_part_is_reported_at_once():
    model = ensemble.VotingClassifier([forest.ARFClassifier(), forest.AMFClassifier()])
    with pytest.raises(BadSettings) as caught:
        check_model(model)
    assert len(caught.value.faults) == 2


@pytest.mark.parametrize(
    "model",
    [
        preprocessing.StandardScaler() | linear_model.LogisticRegression(optim.Adam(0.1)),
        ensemble.BaggingClassifier(tree.HoeffdingTreeClassifier(), seed=3),
        forest.ARFClassifier(seed=0),
    ],
)
def test_a_seeded_classifier_passes(model):
    check_model(model)


def squared(x):
    return {**x, "a2": x["a"] ** 2}


@pytest.mark.parametrize(
    "kind", [numbers.Number, numbers.Real, numbers.Integral, int, float, (int, float), str]
)
def test_features_may_be_selected_by_any_kind_of_number(kind):
    selected = compose.SelectType(*(kind if isinstance(kind, tuple) else (kind,)))
    engine = hr.Engine(selected | naive_bayes.GaussianNB(), seed=1)
    engine.restore(engine.snapshot())


def test_a_function_at_the_top_of_a_module_is_a_step_and_a_lambda_is_told_so():
    model = compose.FuncTransformer(squared) | linear_model.LogisticRegression()
    engine = hr.Engine(model, budget=hr.budgets.Share(0.5), seed=1)
    report = hr.run(engine, [({"a": float(i % 7)}, i % 7 > 3) for i in range(60)]).report
    assert report.model.unlearnable_n == 0 < report.model.learned_n
    engine.restore(engine.snapshot())
    with pytest.raises(BadSettings, match="functions at the top of a module instead of lambdas"):
        hr.Engine(compose.FuncTransformer(lambda x: x) | linear_model.LogisticRegression())
    with pytest.raises(BadSettings, match="function or a class of a module of your own"):
        hr.Engine(compose.FuncTransformer(copy.copy) | linear_model.LogisticRegression())
