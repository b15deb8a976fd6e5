"""`headrace.run`: truths that are classes, or a sentence; engines that were run before."""

import datetime as dt
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from river import linear_model, preprocessing

import headrace as hr

MISSING_TYPE = type("NAType", (), {})


def engine() -> hr.Engine:
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    return hr.Engine(model, budget=hr.budgets.Share(0.3), seed=1)


def stream(truth: Callable[[float], Any], n: int = 300) -> Iterator[tuple[dict[str, float], Any]]:
    r = random.Random(3)
    for _ in range(n):
        a = r.gauss(0, 1)
        yield {"a": a}, truth(a)


@pytest.mark.parametrize(
    ("truth", "says"),
    [
        (lambda a: {"calm": a > 0, "sad": a < 0}, "several labels an event are not supported"),
        (lambda a: ["calm"] * (a > 0), "several labels"),
        (lambda a: ("calm",), "several labels"),
        (lambda a: {"calm"}, "several labels"),
        (lambda a: frozenset(), "several labels"),
        (lambda a: np.array([0, 1]), "several labels"),
        (lambda a: 2.5 * a, "predicting a number is not supported"),
        (np.float32, "predicting a number is not supported"),
        (lambda a: dt.date(2024, 5, 1), "not a time"),
        (lambda a: b"spam", "must be a number, a text, a boolean"),
        (lambda a: None, "not one of 300 events has a truth"),
        (lambda a: float("nan"), "not one of 300 events has a truth"),
    ],
)
def test_truths_that_are_no_classes_are_refused_in_a_sentence(truth, says) -> None:
    with pytest.raises(hr.BadInput, match=says):
        hr.run(engine(), stream(truth))


@pytest.mark.parametrize(
    ("truth", "classes"),
    [
        (lambda a: a > 0, {"true", "false"}),
        (lambda a: np.bool_(a > 0), {"true", "false"}),
        (lambda a: int(a > 0), {"0", "1"}),
        (lambda a: float(a > 0), {"0", "1"}),
        (lambda a: np.int64(a > 0), {"0", "1"}),
        (lambda a: 3.5 if a > 0 else 4.5, {"3.5", "4.5"}),
        (lambda a: "yes" if a > 0 else "no", {"yes", "no"}),
        (lambda a: np.str_("yes") if a > 0 else "no", {"yes", "no"}),
    ],
)
def test_truths_of_every_type_of_class_are_learned(truth, classes) -> None:
    played = engine()
    report = hr.run(played, stream(truth)).report
    assert set(played.schema.classes) == classes
    assert report.model.learned_n == report.labels.settled_n > 0


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, "", MISSING_TYPE()])
def test_nobody_answers_where_the_truth_is_missing(missing) -> None:
    played = engine()
    report = hr.run(played, stream(lambda a: missing if abs(a) < 0.5 else a > 0)).report
    assert set(played.schema.classes) == {"true", "false"}
    assert report.labels.expired_n > 0
    assert report.labels.settled_n + report.labels.expired_n == report.asking.requests_n


def test_a_second_run_on_one_engine_goes_on() -> None:
    played = engine()
    first = hr.run(played, stream(lambda a: a > 0)).report
    second = hr.run(played, stream(lambda a: a > 0)).report
    assert (first.events.observed_n, second.events.observed_n) == (300, 600)
    assert not second.events.rejected_n
    assert second.labels.settled_n > first.labels.settled_n


def test_a_run_of_which_no_event_could_be_used_says_why() -> None:
    played = engine()
    events = [(hr.Event(id=str(i), at=float(i), features={"a": 1.0}), True) for i in range(9)]
    hr.run(played, events)
    with pytest.raises(hr.BadInput, match=r"all 9 events were rejected.*duplicate_id"):
        hr.run(played, events)
    with pytest.raises(hr.BadInput, match=r"all 9 events were rejected.*a is b'x'"):
        hr.run(engine(), [({"a": b"x"}, True) for _ in range(9)])
    with pytest.raises(hr.BadInput, match="item 0 of the stream is not a pair"):
        hr.run(engine(), [3])  # type: ignore[list-item]


def test_the_model_that_is_passed_stays_as_it_was_and_serves_many_engines() -> None:
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    found = []
    for strategy in ("random", "random", "margin"):
        played = hr.Engine(model, strategy=strategy, budget=hr.budgets.Share(0.1), seed=1)
        found.append(hr.run(played, stream(lambda a: a > 0)).report.estimates.accuracy_all)
    assert found[0] == found[1]
    assert not model["LogisticRegression"].weights
