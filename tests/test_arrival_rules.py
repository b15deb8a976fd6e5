"""Rules that ask on arrival through the whole engine: any batches, any restart, money, honesty."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from river import base, ensemble, linear_model, naive_bayes

from headrace import BadSettings, Engine, EventBatch, LabelRequested
from headrace.drivers.notebook import Simulation
from headrace.messages import Output
from headrace.query.rules import RULES
from headrace.settings import parse
from headrace.state.compare import find_differences
from headrace.testing.oracles import Delayed
from marks import long_ones
from test_arrival import Stream, asked, lived

SHARE = 0.1
EVENTS_N = 600


def engine_with(rule: str, seed: int = 1, classes_n: int = 2, **query: Any) -> Engine:
    query = {
        "ask": "arrival",
        "strategy": "least_confidence",
        "budget": {"share": SHARE, "reserve": 0},
        "arrival": {"rule": rule},
        **query,
    }
    settings = parse({"drift": {"watch": []}, "query": query})
    # The quickest model that knows so many classes.
    model: base.Classifier = naive_bayes.GaussianNB()
    if classes_n == 2:
        model = linear_model.LogisticRegression()
    if rule == "iwal":
        model = ensemble.BaggingClassifier(model, n_models=3, seed=1)
    return Engine(model, settings=settings, seed=seed)


def parts(stream: Stream, sizes: list[int]) -> list[tuple[EventBatch, list[str]]]:
    found, start, turn = [], 0, 0
    batch = stream.batch
    while start < len(stream.truths):
        stop = start + sizes[turn % len(sizes)]
        part = EventBatch(
            ids=list(batch.ids)[start:stop],
            at=batch.at[start:stop],
            names=batch.names,
            number_names=batch.number_names,
            numbers=batch.numbers[start:stop],
            texts={},
        )
        found.append((part, stream.truths[start:stop]))
        start, turn = stop, turn + 1
    return found


def played(engine: Engine, stream: Stream, sizes: list[int]) -> list[Output]:
    simulation = Simulation(engine, Delayed(delay_s=20.0))
    return [o for outputs in simulation.play_batches(parts(stream, sizes)) for o in outputs]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.default_n(5)
def test_batches_of_any_size_ask_the_same_with_the_same_propensities(rule: str) -> None:
    stream = Stream(200, k=3)
    whole = played(engine_with(rule, classes_n=3), stream, [200])
    assert len(asked(whole)) > 10
    for sizes in ([1], [13, 1, 60]):
        assert played(engine_with(rule, classes_n=3), stream, sizes) == whole, sizes


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.default_n(5)
def test_a_run_goes_on_from_a_snapshot_as_if_nothing_had_been(rule: str) -> None:
    first, second = Stream(200), Stream(200, seed=1, start=200)
    engine, other = engine_with(rule), engine_with(rule)
    lived(engine, first)
    other.restore(engine.snapshot())
    assert lived(other, second) == lived(engine, second)
    assert find_differences(engine.shard.asking, other.shard.asking) == []


@pytest.mark.parametrize("rule", RULES)
def test_the_budget_is_kept_and_every_event_had_a_chance(rule: str) -> None:
    requests = asked(lived(engine_with(rule), Stream(EVENTS_N)))
    spent = np.searchsorted([r.at for r in requests], np.arange(EVENTS_N), side="right")
    assert (spent <= SHARE * (np.arange(EVENTS_N) + 1) + 1e-6).all()
    assert all(r.propensity is not None and 0.0 < r.propensity <= 1.0 for r in requests)
    by = Counter((r.reason, r.strategy) for r in requests)
    assert set(by) == {("control", "random"), ("doubt", rule)}
    # What a rule leaves is drawn blindly too; a quarter of the rate at least.
    assert by["control", "random"] >= 0.15 * SHARE * EVENTS_N


@pytest.mark.parametrize("seeds_n", [8, *long_ones(16)])
@pytest.mark.parametrize("rule", ["variable_uncertainty", "periodic", "selective_sampling"])
@pytest.mark.default_n(1)
def test_the_labels_estimate_the_accuracy_without_bias(rule: str, seeds_n: int) -> None:
    errors, events_n = [], 1_000
    for seed in range(seeds_n):
        stream = Stream(events_n, seed=7)
        engine = engine_with(rule, seed, budget={"share": 0.2, "reserve": 0})
        lived(engine, stream)
        estimate = engine.report.estimates.accuracy_all
        assert estimate.accuracy is not None
        errors.append(estimate.accuracy - truth_of(engine, stream))
    mean, error = np.mean(errors), np.std(errors) / np.sqrt(len(errors))
    assert abs(mean) < 4.0 * error + 0.004


def truth_of(engine: Engine, stream: Stream) -> float:
    """How many of the events in the window were predicted right on arrival."""
    kept = engine.shard.window.since(0)
    truths = dict(zip(stream.batch.ids, stream.truths, strict=True))
    names = list(engine.schema.classes)
    told = [i for i in range(len(kept)) if not np.isnan(kept.guess[i])]
    right = [names[int(kept.probabilities[i].argmax())] == truths[str(kept.ids[i])] for i in told]
    return float(np.mean(right))


def test_before_a_second_class_the_whole_rate_is_drawn_blindly() -> None:
    engine = engine_with("variable_uncertainty")
    stream = Stream(1_000)
    stream.truths = ["c0"] * 1_000
    requests = asked(lived(engine, stream))
    assert {r.reason for r in requests} == {"control"}
    assert len(requests) == pytest.approx(SHARE * 1_000, abs=25)


def test_a_request_tells_the_threshold_of_its_rule() -> None:
    requests = asked(lived(engine_with("variable_uncertainty"), Stream(2_000)))
    told = [r for r in requests if r.reason == "doubt"]
    assert len(told) > 100
    assert all(r.utility > r.threshold - 1e-12 for r in told[5:])


# --------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("rule", "query", "said"),
    [
        ("split", {"ask": "rounds"}, "query.arrival.rule is split and events are asked in rounds"),
        ("split", {"strategy": "entropy"}, "compares doubts from 0 to 1, and query.strategy is"),
        ("rank", {"arrival": {"options": {"step": 1}}}, "query.arrival.rule is rank, which has no"),
        ("splt", {}, "did you mean split?"),
    ],
)
def test_settings_that_contradict_are_told(rule: str, query: dict[str, Any], said: str) -> None:
    query = {"arrival": {"rule": rule}, **query}
    with pytest.raises(BadSettings) as raised:
        engine_with(rule, **query)
    assert said in str(raised.value)


def test_a_rule_by_members_wants_a_model_that_has_some() -> None:
    settings = parse({"query": {"arrival": {"rule": "iwal"}}})
    with pytest.raises(BadSettings, match=r"query.arrival.rule is iwal, which goes by how far"):
        Engine(naive_bayes.GaussianNB(), settings=settings)
    assert isinstance(Engine(settings=settings), Engine)


class Mine:
    """A rule of a user's: three lines."""

    def chance(self, event: Any) -> float:
        return min(1.0, 2.0 * event.rate * event.doubt)

    def passed(self, event: Any, draw: Any) -> None:
        """It remembers nothing."""


def test_a_rule_of_yours_is_named_by_its_module_and_comes_back_from_a_snapshot() -> None:
    rule = f"{__name__}:Mine"
    engine, other = engine_with(rule), engine_with(rule)
    requests: list[LabelRequested] = asked(lived(engine, Stream(1_000)))
    assert {r.strategy for r in requests} == {"random", rule}
    other.restore(engine.snapshot())
    later = Stream(300, seed=1, start=1_000)
    assert lived(other, later) == lived(engine, later)
