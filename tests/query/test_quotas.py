"""Quotas: what is short is preferred, with propensities that stay right, in any batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace import Answer, Engine, Event, LabelRequested
from headrace.observe.schema import Schema
from headrace.query.quotas import NeedChances, Quotas
from headrace.settings import SchemaSettings, parse
from headrace.settings.query import QuotaSettings
from worlds import encoded, events_of, played, settings_with

SCHEMA = Schema(SchemaSettings(features={"x": "numeric"}, classes=["fine", "rare"]))
LARGE = {"large": "x > 3"}


def quotas_with(**settings: Any) -> Quotas:
    slices = LARGE if settings.get("per_slice_n") else {}
    return Quotas(QuotaSettings(**settings), slices)


def needs(quotas: Quotas, xs: Any, p_rare: Any) -> list[float]:
    rows = np.asarray(xs, dtype=float)[:, None]
    p = np.asarray(p_rare, dtype=float)
    found = quotas.measure_needs(rows, np.stack([1.0 - p, p], axis=1), ["fine", "rare"], SCHEMA)
    assert found is not None
    return [round(x, 3) for x in found.tolist()]


def test_without_quotas_nothing_is_needed_and_nothing_remembered() -> None:
    quotas = quotas_with()
    quotas.count_asked(1, np.array([4.0]), SCHEMA)
    quotas.count_label(1, "rare", "doubt")
    assert quotas.measure_needs(np.ones((3, 1)), np.ones((3, 1)), ["fine"], SCHEMA) is None
    assert quotas.count_missing(["fine", "rare"]) == {}


def test_an_event_of_a_short_slice_is_needed_until_enough_are_asked() -> None:
    quotas = quotas_with(per_slice_n=2, over_n=10)
    assert needs(quotas, [1.0, 4.0], [0.0, 0.0]) == [0.0, 1.0]
    quotas.count_asked(1, np.array([4.0]), SCHEMA)
    assert needs(quotas, [1.0, 4.0], [0.0, 0.0]) == [0.0, 0.5]
    quotas.count_asked(2, np.array([5.0]), SCHEMA)
    assert needs(quotas, [1.0, 4.0], [0.0, 0.0]) == [0.0, 0.0]
    quotas.count_label(1, "fine", "doubt")
    # Nobody answered the other one.
    quotas.drop_question(2)
    assert quotas.count_missing(["fine"]) == {"slice large": 1}


def test_only_the_latest_labels_count() -> None:
    quotas = quotas_with(per_slice_n=1, per_class_n=1, over_n=10)
    quotas.count_asked(0, np.array([4.0]), SCHEMA)
    quotas.count_label(0, "rare", "doubt")
    assert quotas.count_missing(["fine", "rare"]) == {
        "class fine": 1,
        "class rare": 0,
        "slice large": 0,
    }
    for key in range(1, 11):
        quotas.count_label(key, "fine", "control")
    assert quotas.count_missing(["fine", "rare"]) == {
        "class fine": 0,
        "class rare": 1,
        "slice large": 1,
    }


def test_with_labels_a_class_is_sought_where_it_is_likelier_than_usual() -> None:
    quotas = quotas_with(per_class_n=200, over_n=1_000)
    for key in range(990):
        quotas.count_label(key, "fine", "control")
    # The share of the rare class is taken to be 1 in 992.
    low, some, high = needs(quotas, [0.0] * 3, [0.0005, 0.01, 0.5])
    assert low == 0.0
    assert some == high == 0.0
    for key in range(45):
        quotas.count_label(10_000 + key, "rare", "doubt")
    low, some, high = needs(quotas, [0.0] * 3, [0.0005, 0.01, 0.5])
    assert low == 0.0
    assert 0.4 < some < high < 0.8


def test_with_few_labels_a_class_is_sought_beside_its_examples_and_far_from_all() -> None:
    quotas = quotas_with(per_class_n=4, over_n=100)
    for key, x in enumerate([0.0, 0.1, 0.2, 0.3]):
        quotas.count_asked(key, np.array([x]), SCHEMA)
        quotas.count_label(key, "fine", "control")
    near, far = needs(quotas, [0.15, 9.0], [0.0, 0.0])
    assert near < 0.05
    assert far > 0.6
    quotas.count_asked(9, np.array([9.0]), SCHEMA)
    quotas.count_label(9, "rare", "doubt")
    beside, near = needs(quotas, [8.8, 0.15], [0.0, 0.0])
    assert beside > 0.6
    assert near < 0.05


def test_what_is_rarely_needed_is_preferred_and_the_rate_holds() -> None:
    chances = NeedChances(0.5)
    rng = np.random.default_rng(1)
    known = (rng.random(1_024) < 0.01).astype(float)
    chances.add_needs(known, is_counted=True)
    chances.aim_draw(0.04, 0.25)
    by_doubt = np.full(1_024, 40_000_000)
    p = chances.mix_in_needs(by_doubt, known) / 1e9
    assert p.mean() == pytest.approx(0.04, rel=0.02)
    assert p[known > 0].mean() > 0.4
    assert p[known == 0].min() > 0.02
    nobody = NeedChances(0.5)
    nobody.add_needs(np.zeros(1_024), is_counted=True)
    nobody.aim_draw(0.04, 0.25)
    assert (nobody.mix_in_needs(by_doubt, np.zeros(1_024)) == by_doubt).all()


# ---------------------------------------------------------------------------- in the engine

ASKED: dict[str, dict[str, Any]] = {
    "rank": {"ask": "arrival"},
    "split": {
        "ask": "arrival",
        "strategy": "least_confidence",
        "arrival": {"rule": "split", "options": {"share": 0.3}},
    },
    "rounds": {"ask": "rounds", "rounds": {"every_n": 10}},
}
QUOTAS: dict[str, Any] = {
    "quotas": {"per_class_n": 15, "per_slice_n": 10, "over_n": 40},
    "slices": {"moved": "a > 3.5 or a is missing", "third": "c = 'z' and b < 0"},
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.default_n(1)
def test_any_batches_ask_the_same_under_quotas(asked: str) -> None:
    settings = settings_with(
        model={"name": "naive-bayes"},
        query={
            "budget": {"share": 0.25, "reserve": 2},
            "cold_start": {"per_class_n": 2, "labels_max": 10},
            **QUOTAS,
            **ASKED[asked],
        },
    )
    run = played(settings, events_of(3, 260), 3)
    assert any(o.reason == "quota" for o in run.outputs if isinstance(o, LabelRequested))
    engine, outputs = Engine(settings=settings), []
    for start in range(0, len(run.inputs), 37):
        outputs += engine.feed(run.inputs[start : start + 37])
        engine.restore(engine.snapshot())
    assert encoded(outputs) == encoded(run.outputs)
    assert encoded(Engine(settings=settings).feed(run.inputs)) == encoded(run.outputs)


@pytest.mark.parametrize(
    ("asked", "runs", "off_max"),
    [
        ("rank", 24, 0.16),
        ("rounds", 24, 0.16),
        # Its smallest chances are rarely drawn, and count for much when they are.
        ("split", 60, 0.12),
        pytest.param("rank", 60, 0.12, marks=pytest.mark.long),
        pytest.param("rounds", 60, 0.12, marks=pytest.mark.long),
    ],
)
@pytest.mark.default_n(1)
def test_propensities_are_the_frequencies_under_quotas(
    asked: str, runs: int, off_max: float
) -> None:
    """Weighted by 1/p the requests count the events, in a slice with a quota and outside it."""
    n = 400
    rng = np.random.default_rng(5)
    x, is_large = rng.normal(size=n), rng.random(n) < 0.1
    events = [
        Event(id=str(i), at=float(i), features={"x": float(x[i]), "amount": 5.0 * is_large[i]})
        for i in range(n)
    ]
    weights = np.zeros(n)
    asked_n = np.zeros(2)
    for seed in range(runs):
        query = {
            "budget": {"share": 0.1, "reserve": 0},
            "cold_start": {"per_class_n": 0},
            "quotas": {"per_slice_n": 30},
            "slices": {"large": "amount > 3"},
            **ASKED[asked],
        }
        engine = Engine(
            settings=parse({"seed": seed, "model": {"name": "naive-bayes"}, "query": query})
        )
        chances: dict[int, float] = {}
        for start in range(0, n, 50):
            outputs = engine.feed(events[start : start + 50])
            requests = [o for o in outputs if isinstance(o, LabelRequested)]
            known = {o.seq: o.request_id for o in requests}
            for seq, request_id in known.items():
                found = engine.shard.evaluation._find_request(request_id)
                # What was asked before the model had learned anything does not judge.
                if found is not None:
                    chances[seq] = found.propensity or 0.0
            engine.feed(
                [
                    Answer(request_id=o.request_id, label="pq"[int(x[o.seq] > 0)], at=o.at)
                    for o in requests
                ]
            )
        for seq, p in chances.items():
            weights[seq] += 1.0 / p / runs if p else 0.0
            asked_n[int(is_large[seq])] += 1
    # Of the first events nothing is known yet, and of the last the round is still to come.
    inner = (np.arange(n) >= 100) & (np.arange(n) < n - 10)
    for part in (is_large, ~is_large):
        assert weights[part & inner].mean() == pytest.approx(1.0, abs=off_max)
    share_of_large = asked_n[1] / asked_n.sum()
    # On arrival doubt, and need with it, have little say while there are few labels.
    assert share_of_large > 1.15 * is_large.mean()


def test_a_slice_of_a_feature_that_nobody_has_is_told() -> None:
    query = {"quotas": {"per_slice_n": 3}, "slices": {"large": "amout > 3"}}
    engine = Engine(settings=parse({"query": query}))
    engine.feed([Event(id="1", at=0.0, features={"amount": 5.0})])
    [limit] = engine.report.limits
    assert limit.kind == "slices"
    assert "amout; did you mean amount?" in limit.sentence
