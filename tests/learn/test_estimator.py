"""Classifiers of scikit-learn as models: learning, answering, state, and what is refused."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_info, threadpool_limits

import headrace as hr
from headrace.chance import Chance
from headrace.errors import BadInput, BadSettings
from headrace.learn import estimator as module
from headrace.learn.estimator_columns import EstimatorColumns
from headrace.learn.learner import Learner
from headrace.learn.models import as_model, build, check_model
from headrace.models import Committee, SklearnClassifier
from headrace.query.budgets import Share
from headrace.state import frozen
from headrace.testing import check_model as check_contract
from learn.columns import Columns, stream


def forest() -> Any:
    return RandomForestClassifier(12, max_depth=6)


ESTIMATORS: dict[str, Any] = {
    "sgd": lambda: SGDClassifier(loss="log_loss"),
    "hinge": SGDClassifier,
    "mlp": lambda: MLPClassifier((16,), learning_rate_init=0.02),
    "bernoulli": BernoulliNB,
    "gaussian": GaussianNB,
    "logistic": LogisticRegression,
    "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "forest": forest,
    "boosting": lambda: GradientBoostingClassifier(n_estimators=8),
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=2),
    "neighbours": KNeighborsClassifier,
    "svc": SVC,
    "calibrated": lambda: CalibratedClassifierCV(GaussianNB(), cv=3),
}
SOME = ("sgd", "gaussian", "mlp", "logistic", "forest")
ALL = [pytest.param(name, marks=[] if name in SOME else pytest.mark.long) for name in ESTIMATORS]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.default_n(2)
def test_an_estimator_keeps_the_contract_of_a_model(name: str) -> None:
    check_contract(ESTIMATORS[name], in_two_processes=False)


# The presets show that two processes are compared; here it is that scikit-learn is alike in them.
@pytest.mark.long
def test_a_model_is_the_same_in_two_processes() -> None:
    check_contract(GaussianNB)


@pytest.mark.parametrize("classes_n", [2, 4])
@pytest.mark.parametrize("name", SOME)
@pytest.mark.default_n(3)
def test_it_learns_numbers_and_categories_with_values_missing(name: str, classes_n: int) -> None:
    columns = Columns(4, 2, classes_n)
    learner = Learner(as_model(ESTIMATORS[name]()), columns)
    X, y = stream(columns, 400)
    assert all(learner.learn(row, int(code)) for row, code in zip(X[:200], y[:200], strict=True))
    share_right = (learner.probabilities(X[200:]).argmax(axis=1) == y[200:]).mean()
    most_common = max((y[200:] == code).mean() for code in range(classes_n))
    assert share_right > most_common + 0.05
    assert learner.failures.first == {}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.default_n(2)
def test_a_state_comes_back_and_goes_on_bit_for_bit(name: str) -> None:
    columns = Columns(3, 1, 3)
    model = as_model(ESTIMATORS[name]())
    learner = Learner(model, columns)
    X, y = stream(columns, 100)
    for row, code in zip(X[:80], y[:80], strict=True):
        learner.learn(row, int(code))
    learner.schema = None  # type: ignore[assignment]  # a schema of the tests, which is no state
    allowed = frozen.allowed_by(as_model(ESTIMATORS[name]()))
    again = frozen.thaw(frozen.freeze(learner.model, kind="model"), kind="model", allowed=allowed)
    first, second = Learner(learner.model, columns), Learner(again, columns)
    for row, code in zip(X[80:], y[80:], strict=True):
        said = first.probabilities(row[np.newaxis]), second.probabilities(row[np.newaxis])
        assert said[0].tobytes() == said[1].tobytes()
        first.learn(row, int(code))
        second.learn(row, int(code))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.default_n(2)
def test_a_row_has_the_same_bits_alone_and_at_any_place_of_a_batch(name: str) -> None:
    columns = Columns(5, 1)
    learner = Learner(as_model(ESTIMATORS[name]()), columns)
    X, y = stream(columns, 81)
    for row, code in zip(X[:60], y[:60], strict=True):
        learner.learn(row, int(code))
    whole = learner.probabilities(X)
    for size in (1, 7, 64):
        parts = [learner.probabilities(X[i : i + size]) for i in range(0, len(X), size)]
        assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert learner.predict_row(X[77]).tobytes() == whole[77].tobytes()


def events(n: int) -> list[hr.Event]:
    return [
        hr.Event(id=str(i), at=float(i), features={"x": float(i * 7 % 31), "k": "uvw"[i % 3]})
        for i in range(n)
    ]


def played(engine: hr.Engine, given: list[hr.Event], size: int) -> list[Any]:
    """All outputs of these events in batches, each request answered after its batch of sixty."""
    outputs: list[Any] = []
    for start in range(0, len(given), 60):
        block, asked = given[start : start + 60], []
        for i in range(0, len(block), size):
            asked += engine.feed(block[i : i + size])
        for one in asked:
            if isinstance(one, hr.LabelRequested):
                i = int(one.event_id)
                said = "b" if i * 7 % 31 > 15 else "a"
                answer = hr.Answer(request_id=one.request_id, label=said, at=block[-1].at)
                outputs += engine.feed([answer])
        outputs += asked
    return outputs


@pytest.mark.parametrize("name", ["sgd", "gaussian", "forest"])
@pytest.mark.default_n(1)
def test_an_engine_decides_the_same_in_any_batches_and_after_a_restart(name: str) -> None:
    def engine() -> hr.Engine:
        return hr.Engine(ESTIMATORS[name](), budget=Share(0.3), seed=5)

    one, other = engine(), engine()
    given = events(200)
    assert played(one, given, 60) == played(other, given, 11)
    revived = engine()
    revived.restore(one.snapshot())
    later = [hr.Event(id=f"l{i}", at=400.0 + i, features=e.features) for i, e in enumerate(given)]
    assert revived.predict(later[0].features) == one.predict(later[0].features)
    assert revived.feed(later) == one.feed(later)
    assert one.report.model.learned_n > 20


def test_a_class_that_comes_late_is_learned_at_once() -> None:
    for name in SOME:
        columns = Columns(2, 0, 3)
        learner = Learner(as_model(ESTIMATORS[name]()), columns)
        for i in range(60):
            learner.learn(np.array([float(i % 2), 0.5]), i % 2)
        assert learner.probabilities(np.array([[9.0, 9.0]]))[0, 2] == 0.0
        for _ in range(30):
            learner.learn(np.array([9.0, 9.0]), 2)
        assert learner.probabilities(np.array([[9.0, 9.0]])).argmax() == 2


def test_one_class_alone_and_too_few_for_a_fit_are_answered_by_shares() -> None:
    model = SklearnClassifier(CalibratedClassifierCV(GaussianNB(), cv=5))
    assert model.predict_proba_one({"x": 1.0}) == {}
    model.learn_one({"x": 1.0}, "a")
    assert model.predict_proba_one({"x": 1.0}) == {"a": 1.0}
    model.learn_one({"x": 2.0}, "b")
    model.learn_one({"x": 2.0}, "b")
    model.learn_one({"x": 2.0}, "b")
    assert model.predict_proba_one({"x": 1.0}) == {"a": 0.25, "b": 0.75}


class Fussy(GaussianNB):
    """It fits no example whose number is above 50."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Fussy:
        if X[:, 0].max() > 50.0:
            raise ValueError("this is too much")
        return super().fit(X, y, sample_weight)


def test_an_estimator_that_fails_later_is_told_as_a_failure_and_answers_as_before() -> None:
    model = SklearnClassifier(Fussy(), is_scaled=False, refit_every_n=1)
    learner = Learner(model, Columns(1))
    learned = [learner.learn(np.array([float(i)]), i % 2) for i in range(70)]
    assert all(learned[:51]) and not any(learned[51:])
    assert learner.failures.first["learn"] == "ValueError: this is too much"
    assert not np.isnan(learner.probabilities(np.array([[3.0]]))).any()


def test_counts_are_learned_as_they_are_where_nothing_is_scaled() -> None:
    model = SklearnClassifier(MultinomialNB(), is_scaled=False)
    for i in range(60):
        model.learn_one({"a": float(5 * (i % 2)), "b": float(5 * (1 - i % 2))}, i % 2)
    assert model.predict_one({"a": 5.0, "b": 0.0}) == 1
    assert model.predict_one({"a": 0.0, "b": 5.0}) == 0


@pytest.mark.parametrize(
    ("name", "weighs"), [("sgd", True), ("logistic", True), ("gaussian", True), ("forest", True)]
)
def test_sample_weights_are_given_where_the_estimator_takes_them(name: str, weighs: bool) -> None:
    assert Learner(as_model(ESTIMATORS[name]()), Columns(3)).accepts_weight is weighs


class Threads(GaussianNB):
    """It tells how many threads it may use."""

    seen: ClassVar[set[int]] = set()

    def look(self) -> None:
        self.seen.update(one["num_threads"] for one in threadpool_info())

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Threads:
        self.look()
        return super().fit(X, y, sample_weight)

    def predict_proba(self, X: Any) -> Any:
        self.look()
        return super().predict_proba(X)


def test_an_estimator_is_fitted_and_asked_in_one_thread() -> None:
    model = SklearnClassifier(Threads())
    for i in range(20):
        with threadpool_limits(2):
            model.learn_one({"x": float(i)}, i % 2)
            model.predict_proba_one({"x": 1.0})
    assert Threads.seen == {1}


def test_a_weight_is_not_dropped_in_silence() -> None:
    model = SklearnClassifier(KNeighborsClassifier())
    with pytest.raises(TypeError, match="KNeighborsClassifier takes no sample_weight"):
        model.learn_one({"x": 1.0}, 0, w=0.5)
    assert not Learner(as_model(KNeighborsClassifier()), Columns(2)).accepts_weight


def test_refits_are_at_counted_places_and_the_memory_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted_at: list[int] = []
    model = SklearnClassifier(GaussianNB(), memory_n=40, refit_every_n=8)
    whole = model._fit
    monkeypatch.setattr(model, "_fit", lambda: (fitted_at.append(n), whole()))
    for n in range(1, 81):
        model.learn_one({"x": float(n % 13)}, n % 2)
    assert fitted_at[:8] == [1, 2, 3, 4, 5, 6, 7, 9]
    assert max(np.diff(fitted_at)) == 8
    assert np.diff(fitted_at)[-4:].tolist() == [8, 8, 8, 8]
    assert len(model._memory) == 40


def test_columns_that_come_later_fit_in_and_a_doubling_replays_the_memory() -> None:
    model = SklearnClassifier(SGDClassifier(loss="log_loss"))
    for i in range(60):
        model.learn_one({"x": float(i % 2), "c": f"v{i % 2}"}, i % 2)
    assert model.columns.width == 8
    # Each value tells its class, and there are more values than columns that stood ready.
    for i in range(200):
        model.learn_one({"x": 0.5, "c": f"new{i % 20}"}, int(i % 20 < 10))
    assert model.columns.width >= 23
    said = [model.predict_one({"x": 0.5, "c": f"new{i}"}) for i in range(20)]
    assert said == [1] * 10 + [0] * 10


def test_wild_and_missing_numbers_reach_no_estimator() -> None:
    columns = EstimatorColumns.from_examples(
        [{"x": 1e308}, {"x": -1e308}, {"y": 2.0}, {}], is_scaled=False
    )
    X = np.stack([columns.row(x) for x in ({"x": 1e308, "y": None}, {"y": float("nan")})])
    assert np.isfinite(X.astype(np.float32)).all()
    assert X[1, columns.places["y", None]] == 2.0


def test_more_columns_than_there_may_be_are_not_read() -> None:
    model = SklearnClassifier(BernoulliNB(), memory_n=30)
    for i in range(60):
        model.learn_one({f"f{i}_{j}": 1.0 for j in range(90)}, i % 2)
    assert model.columns.width == len(model.columns.places) == 2_048


def test_a_frame_is_answered_line_by_line() -> None:
    model = SklearnClassifier(LogisticRegression())
    for i in range(40):
        model.learn_one({"x": float(i), "k": "ab"[i % 2]}, "late" if i > 20 else "early")
    frame = pd.DataFrame({"x": [3.0, 37.0, np.nan], "k": ["a", None, "new"]}, index=[7, 8, 9])
    said = model.predict_proba_many(frame)
    assert said.columns.tolist() == ["late", "early"] or said.columns.tolist() == ["early", "late"]
    assert said.index.tolist() == [7, 8, 9]
    assert said.loc[8].to_dict() == model.predict_proba_one({"x": 37.0})
    assert model.predict_proba_many(frame[:0]).shape == (0, 2)


def test_an_erased_person_is_not_in_the_memory() -> None:
    model = SklearnClassifier(GaussianNB())
    for i in range(30):
        model.learn_one({"x": float(i), "who": "ada" if i == 3 else "other"}, i % 2)
    learner = Learner(model, Columns(1))
    assert learner.erase(lambda key, x, at: x.get("who") == "ada") == 1
    assert ("who", "ada") not in model.columns.places
    assert all(x["who"] == "other" for x, _, _ in model._memory)


def test_it_can_be_a_member_of_a_committee_and_a_step_of_rivers() -> None:
    check_model(Committee(members=[SklearnClassifier(GaussianNB())]))
    engine = hr.Engine(
        Committee(members=[SklearnClassifier(LogisticRegression())]), budget=Share(0.3), seed=2
    )
    played(engine, events(180), 60)
    assert engine.report.model.learned_n > 10 and not engine.report.model.failures


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (Ridge(), "Ridge predicts no class; pass a classifier of scikit-learn"),
        (RandomForestClassifier(n_jobs=2), "n_jobs=2; set it to 1: threads add up in any order"),
        (
            make_pipeline(StandardScaler(), RandomForestClassifier(n_jobs=-1)),
            "randomforestclassifier__n_jobs=-1",
        ),
        (
            SGDClassifier(random_state=np.random.RandomState(3)),
            "a generator as its random_state; set it to a whole number",
        ),
        (SklearnClassifier(3), "int is no estimator of scikit-learn"),
        (SklearnClassifier(GaussianNB(), memory_n=0), "memory_n is 0; must be at least 1"),
        (LogisticRegression(C=-1), "can't be fitted and asked: InvalidParameterError"),
        (MultinomialNB(), "can't be fitted and asked: ValueError: Negative values"),
        (LogisticRegression, r"pass LogisticRegression\(\) instead"),
    ],
)
def test_an_estimator_that_cannot_serve_is_refused_with_the_cure(model: Any, says: str) -> None:
    with pytest.raises(BadSettings, match=says):
        check_model(as_model(model))
    with pytest.raises(BadSettings, match=says):
        hr.Engine(model)


def test_the_settings_name_a_class_and_its_arguments() -> None:
    path = "sklearn.linear_model:SGDClassifier"
    model = build(path, 1, 2, {"loss": "log_loss", "alpha": 0.01})
    assert model.estimator.loss == "log_loss" and model.estimator.alpha == 0.01
    with pytest.raises(BadSettings, match="calling it with lose raised TypeError"):
        build(path, 1, 2, {"lose": "log_loss"})
    with pytest.raises(BadSettings, match=r"model.options are for module:function.*'tree'"):
        build("tree", 1, 2, {"grace_period": 3})
    settings = hr.settings.parse(
        {
            "model": {"name": path, "options": {"loss": "log_loss"}},
            "query": {"budget": {"share": 0.3}},
        }
    )
    engine = hr.Engine(settings=settings)
    played(engine, events(120), 60)
    assert engine.report.model.learned_n > 10
    revived = hr.Engine(settings=settings)
    revived.restore(engine.snapshot())
    assert revived.predict({"x": 3.0, "k": "u"}) == engine.predict({"x": 3.0, "k": "u"})


def test_a_state_of_another_scikit_learn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = SklearnClassifier(GaussianNB())
    blob = frozen.freeze(model, kind="model")
    monkeypatch.setattr(module, "_sklearn_version", lambda: "1.0.2")
    with pytest.raises(BadInput, match=r"of scikit-learn \d.*, and 1.0.2 is installed"):
        frozen.thaw(blob, kind="model", allowed=frozen.allowed_by(model))


def test_gaussian_naive_bayes_is_refitted_because_its_partial_fit_divides_by_nothing() -> None:
    """Should scikit-learn mend this, GaussianNB may learn each label as it comes."""
    chance, bare = Chance(1), GaussianNB()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i in range(20):
            row = np.array([[chance.uniform("x", str(i)), 0.0]])
            bare.partial_fit(row, [i % 2], classes=[0, 1])
        assert np.isnan(bare.predict_proba(np.array([[0.5, 0.0]]))).all()
    model = SklearnClassifier(GaussianNB())
    for i in range(20):
        model.learn_one({"x": chance.uniform("x", str(i)), "constant": 0.0}, i % 2)
    assert sum(model.predict_proba_one({"x": 0.5, "constant": 0.0}).values()) == pytest.approx(1.0)
