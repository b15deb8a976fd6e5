"""Pipelines as users of river write them learn from events with holes, or say that they cannot."""

import math
import numbers
import operator
from collections.abc import Callable
from typing import Any

import pytest
from river import compose, forest, imblearn, linear_model, naive_bayes, preprocessing, stats, tree
from river import feature_extraction as extraction

import headrace as hr

EVENTS_N = 400


def add_double(x: dict[str, Any]) -> dict[str, Any]:
    return {**x, "double": 2 * (x.get("x") or 0.0)}


def keep_numbers(x: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in x.items() if isinstance(value, numbers.Number)}


def take_root(x: dict[str, Any]) -> dict[str, Any]:
    return {"root": math.sqrt(abs(x["x"]))}


def impute_means() -> preprocessing.StatImputer:
    return preprocessing.StatImputer(("x", stats.Mean()), ("n", stats.Mean()))


def impute_and_encode() -> compose.Pipeline:
    numeric = compose.Select("x", "n") | impute_means() | preprocessing.StandardScaler()
    coded = compose.Select("c") | preprocessing.OneHotEncoder()
    return (numeric + coded) | linear_model.LogisticRegression()


def impute_previous() -> compose.Pipeline:
    taken = compose.Select("x", "n") | preprocessing.PreviousImputer()
    return taken | preprocessing.StandardScaler() | linear_model.LogisticRegression()


def compute_by_functions() -> compose.Pipeline:
    functions = compose.FuncTransformer(add_double) | compose.FuncTransformer(keep_numbers)
    return functions | tree.HoeffdingTreeClassifier(grace_period=20)


def discard_and_encode() -> compose.Pipeline:
    encoded = compose.Discard("x", "n") | preprocessing.OneHotEncoder()
    return encoded | linear_model.LogisticRegression()


def select_texts() -> compose.Pipeline:
    encoded = compose.SelectType(str) | preprocessing.OneHotEncoder()
    return encoded | linear_model.LogisticRegression()


def aggregate_target() -> compose.Pipeline:
    return extraction.TargetAgg(by="c", how=stats.Mean()) | linear_model.LogisticRegression()


def sample_by_class() -> Any:
    model = compose.SelectType(numbers.Number) | naive_bayes.GaussianNB()
    wanted = {"high": 0.5, "low": 0.5}
    return imblearn.RandomOverSampler(model, desired_dist=wanted, seed=1)


def sample_hard() -> Any:
    model = compose.SelectType(numbers.Number) | linear_model.LogisticRegression()
    return imblearn.HardSamplingClassifier(model, p=0.1, size=40, seed=1)


def grow_forest() -> Any:
    return forest.ARFClassifier(3, seed=1)


PIPELINES = [
    impute_and_encode,
    impute_previous,
    compute_by_functions,
    discard_and_encode,
    select_texts,
    aggregate_target,
    sample_by_class,
    sample_hard,
    grow_forest,
]


def events_with_holes() -> list[tuple[dict[str, Any], str]]:
    """Of three events one has no `x`, of five one no `n`; the class is told by `c` alone."""
    rows = []
    for i in range(EVENTS_N):
        features: dict[str, Any] = {"x": math.sin(i), "c": "abc"[i * 7 % 3], "n": i % 10}
        if i % 3 == 1:
            features["x"] = None
        if i % 5 == 0:
            del features["n"]
        rows.append((features, "high" if features["c"] == "a" else "low"))
    return rows


def run(model: Any) -> hr.Report:
    engine = hr.Engine(model, budget=hr.budgets.Share(0.25), seed=3)
    return hr.run(engine, events_with_holes(), oracle=hr.oracles.Delayed(delay_s=5)).report


@pytest.mark.parametrize("build", PIPELINES, ids=operator.attrgetter("__name__"))
@pytest.mark.default_n(3)
def test_a_pipeline_learns_every_label(build: Callable[[], Any]) -> None:
    report = run(build())
    assert report.model.failures == ()
    assert report.model.unlearnable_n == 0
    assert report.estimates.accuracy_all.labels_n > 50


@pytest.mark.parametrize("build", [impute_and_encode, discard_and_encode, select_texts])
def test_what_a_pipeline_learned_is_used(build: Callable[[], Any]) -> None:
    assert run(build()).estimates.accuracy_all.accuracy > 0.9


def test_a_function_that_needs_what_is_missing_is_told() -> None:
    report = run(compose.FuncTransformer(take_root) | naive_bayes.GaussianNB())
    acts = {failure.act: failure for failure in report.model.failures}
    assert set(acts) == {"learn", "predict"}
    assert all(failure.n > 0 and failure.error for failure in acts.values())
    assert report.model.unlearnable_n == acts["learn"].n


def test_a_lambda_in_a_pipeline_is_refused_with_what_to_do() -> None:
    model = compose.FuncTransformer(lambda x: {"n": x.get("n", 0)}) | naive_bayes.GaussianNB()
    with pytest.raises(hr.BadSettings, match="use functions at the top of a module"):
        run(model)
