"""A model that fails: told apart from what it learned, no doubt, and no start."""

from __future__ import annotations

import re

import numpy as np
import pytest
from river import base, compose, linear_model, naive_bayes, preprocessing, tree

import headrace
from headrace import Engine, Event, Settings
from headrace.errors import BadSettings
from headrace.learn.failures import FAILING_N
from headrace.learn.retrain import attempt_job
from headrace.messages import Answer, LabelRequested, RetrainRequested
from headrace.models import Committee
from headrace.settings import BudgetSettings, QuerySettings, SchemaSettings


def events(n, start=0):
    """Amounts from 0 to 99, with a city; above 49 is fraud."""
    amounts = [(37 * i) % 100 for i in range(start, start + n)]
    return [({"amount": a, "city": "Rome"}, "fraud" if a > 49 else "fine") for a in amounts]


class Fussy(base.Classifier):
    """A threshold that refuses some of what it is given."""

    def __init__(self, learns=True, predicts_below=1000, raises=True):
        self.learns = learns
        self.predicts_below = predicts_below
        self.raises = raises
        self.labels_n = 0

    @property
    def _multiclass(self):
        return True

    def learn_one(self, x, y):
        if not self.learns:
            raise ValueError("never <object at 0x7f8a>")
        self.labels_n += 1

    def predict_proba_one(self, x):
        if not self.labels_n:
            return {}
        if x["amount"] >= self.predicts_below:
            if self.raises:
                raise OverflowError("too large")
            return {0: float("nan")}
        doubt = 0.02 + x["amount"] / 400
        return {0: doubt, 1: 1.0 - doubt} if x["amount"] > 49 else {0: 1.0 - doubt, 1: doubt}


def settings(**query):
    budget = BudgetSettings(share=0.2)
    return Settings(
        schema=SchemaSettings(classes=["fine", "fraud"]),
        query=QuerySettings(budget=budget, **query),
    )


def asked(engine, pairs):
    return [o for o in headrace.run(engine, pairs).outputs if isinstance(o, LabelRequested)]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (preprocessing.StandardScaler() | linear_model.LogisticRegression(), "TypeError"),
        (naive_bayes.GaussianNB(), "TypeError"),
        (compose.Select("nowhere") | linear_model.LogisticRegression(), "KeyError: 'nowhere'"),
        (Fussy(learns=False), "ValueError: never <object"),
        (Committee(members=[naive_bayes.GaussianNB()]), "no member could learn it"),
    ],
)
def test_a_start_where_no_label_can_be_learned_ends_with_the_reason(model, said):
    engine = Engine(model, settings=settings(), seed=7)
    told = rf"could not learn one of the first 10 labels \(.*{re.escape(said)}"
    with pytest.raises(BadSettings, match=told):
        headrace.run(engine, events(2_000))
    report = engine.report
    assert report.model.learned_n == 0 and report.model.unlearnable_n == FAILING_N
    assert report.model.learned_at is None
    assert report.model.failing == ("learn",)
    assert report.model.fault.startswith("the model failed to learn the last 10 labels (")


def test_a_start_where_no_event_can_be_predicted_ends_with_the_reason():
    engine = Engine(Fussy(predicts_below=0), settings=settings(), seed=7)
    with pytest.raises(BadSettings, match=r"failed on each of .* events \(OverflowError: too"):
        headrace.run(engine, events(2_000))


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("how", [{}, {"ask": "rounds"}, {"strategy": "hybrid", "ask": "rounds"}])
@pytest.mark.default_n(2)
def test_what_a_model_fails_on_attracts_no_labels(how, raises):
    engine = Engine(Fussy(predicts_below=80, raises=raises), settings=settings(**how), seed=7)
    requests = asked(engine, events(2_000))
    late = [r for r in requests if r.at > 500]
    failed = [r for r in late if r.features["amount"] >= 80]
    # One event in five fails: by doubt they would take nearly all, by lot a fifth.
    assert len(late) > 100
    assert len(failed) / len(late) < 0.2
    assert all(r.prediction == {} for r in failed)
    assert all(r.propensity > 0 for r in requests)
    assert engine.predict({"amount": 90, "city": "Rome"}) == {}
    assert engine.predict({"amount": 3, "city": "Rome"})["fine"] > 0.9


def test_failed_predictions_are_counted_by_event_and_are_not_right():
    engine = Engine(Fussy(predicts_below=80), settings=settings(), seed=7)
    report = headrace.run(engine, events(1_500)).report
    given_n = report.events.observed_n - report.events.unpredicted_n
    assert report.events.failed_predictions_n == pytest.approx(0.2 * given_n, rel=0.05)
    assert (
        sum(report.events.predicted_n.values())
        == report.events.observed_n - report.events.failed_predictions_n
    )
    failed_n = report.events.failed_predictions_n
    assert [failure.sentence for failure in report.model.failures] == [
        f"model failed to predict {failed_n} events (OverflowError: too large)"
    ]
    # It is right wherever it speaks.
    assert report.estimates.accuracy_all.low <= 0.8 <= report.estimates.accuracy_all.high
    assert report.model.failing == () and report.model.fault == ""


def test_counts_do_not_depend_on_how_events_were_batched():
    pairs = [Event(id=str(i), at=float(i), features=x) for i, (x, _) in enumerate(events(400))]
    engines = [Engine(Fussy(predicts_below=80), settings=settings(), seed=7) for _ in range(2)]
    outputs = [[], []]
    for engine, found, size in zip(engines, outputs, (1, 97), strict=True):
        truths = {str(i): y for i, (_, y) in enumerate(events(400))}
        for i in range(0, len(pairs), size):
            found.extend(engine.feed(pairs[i : i + size]))
        # Labels come at the same place of both.
        answers = [
            Answer(request_id=o.request_id, label=truths[o.event_id], at=400.0)
            for o in found
            if isinstance(o, LabelRequested)
        ]
        engine.feed(answers)
        more = [Event(id=f"m{i}", at=500.0 + i, features=x) for i, (x, _) in enumerate(events(90))]
        for i in range(0, len(more), size):
            found.extend(engine.feed(more[i : i + size]))
    assert outputs[0] == outputs[1]
    first, second = (engine.report for engine in engines)
    assert first.events.failed_predictions_n == second.events.failed_predictions_n > 0
    assert engines[0].shard.failed.in_row_n == engines[1].shard.failed.in_row_n


def test_a_model_that_begins_to_fail_is_not_healthy_and_recovers():
    engine = Engine(naive_bayes.GaussianNB(), settings=settings(), seed=7)
    numbers = [({"amount": x["amount"]}, y) for x, y in events(500)]
    headrace.run(engine, numbers)
    assert engine.report.model.fault == ""
    learned_n = engine.report.model.learned_n
    headrace.run(engine, events(300))
    report = engine.report
    assert report.model.learned_n == learned_n
    assert "learn" in report.model.failing and "TypeError" in report.model.fault
    headrace.run(engine, numbers)
    assert engine.report.model.fault == ""


def test_a_failing_member_of_a_committee_is_named():
    model = Committee(members=[naive_bayes.GaussianNB(), tree.HoeffdingTreeClassifier()])
    report = headrace.run(Engine(model, settings=settings(), seed=7), events(400)).report
    assert report.model.learned_n > 0 and report.model.fault == ""
    assert [(f.who, f.act, f.n) for f in report.model.failures][:1] == [
        ("GaussianNB", "learn", None)
    ]


def test_a_challenger_that_learns_nothing_is_none():
    engine = Engine(naive_bayes.GaussianNB(), settings=settings(), seed=7)
    headrace.run(engine, [({"amount": x["amount"]}, y) for x, y in events(800)])
    engine.trainer.fold(
        RetrainRequested(job_id=engine.trainer.retrainings.jobs_n, at=1e6, reason="x", examples_n=1,
                         model_version=1)
    )  # fmt: skip
    job = engine.open_job
    broken = headrace.learn.learner.Learner(Fussy(learns=False), engine.schema)
    job = type(job)(**{n: getattr(job, n) for n in job.__slots__} | {"unlearned": broken})
    challenger, why = attempt_job(job)
    assert challenger is None
    assert "learned none of" in why and "never" in why


def test_failures_survive_a_snapshot_in_numbers():
    engine = Engine(Fussy(predicts_below=80), settings=settings(), seed=7)
    headrace.run(engine, events(600))
    other = Engine(Fussy(predicts_below=80), settings=settings(), seed=7)
    other.restore(engine.snapshot())
    assert other.report.events.failed_predictions_n == engine.report.events.failed_predictions_n > 0
    assert other.report.model.failures[0].error == ""
    assert np.isnan(other.shard.window.since(0).probabilities).any()
