"""Asking on arrival through the whole engine: money, honesty, lateness, coldness, strategies."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from river import base, linear_model, naive_bayes

from headrace import BadSettings, Chance, Engine, EventBatch, LabelRequested, Pool, RoundOrdered
from headrace.drivers.notebook import Simulation
from headrace.messages import Output, RoundOpened, Tick
from headrace.observe.decode import batch_of
from headrace.query.online import in_hand_of
from headrace.query.strategies import entropy, hybrid, margin
from headrace.settings import parse
from headrace.testing.oracles import Delayed

CALM = {"drift": {"watch": []}}


def engine_with(
    query: dict[str, Any],
    *,
    seed: int = 1,
    strategy: Any = None,
    is_quick: bool = False,
    **more: Any,
) -> Engine:
    """An engine whose model is `is_quick` with two classes at most."""
    settings = parse({**CALM, **more, "query": {"ask": "arrival", **query}})
    model: base.Classifier = naive_bayes.GaussianNB()
    if is_quick:
        model = linear_model.LogisticRegression()
    return Engine(model, settings=settings, seed=seed, strategy=strategy)


class Stream:
    """Events a second apart, of k classes that lie on a circle and overlap."""

    def __init__(self, n: int, k: int = 2, *, seed: int = 0, start: int = 0) -> None:
        rng = np.random.default_rng(seed)
        classes = rng.integers(0, k, n)
        angle = 2 * np.pi * classes / k
        numbers = np.stack([np.cos(angle), np.sin(angle)], axis=1) + rng.normal(0, 0.5, (n, 2))
        self.truths = [f"c{code}" for code in classes]
        self.batch = EventBatch(
            ids=[f"e{start + i}" for i in range(n)],
            at=start + np.arange(n, dtype=np.float64),
            names=("x", "y"),
            number_names=("x", "y"),
            numbers=np.ascontiguousarray(numbers),
            texts={},
        )


def lived(engine: Engine, stream: Stream, delay_s: float = 0.0) -> list[Output]:
    played = Simulation(engine, Delayed(delay_s=delay_s)).play_batches(
        [(stream.batch, stream.truths)]
    )
    return [output for outputs in played for output in outputs]


def asked(outputs: list[Output]) -> list[LabelRequested]:
    return [output for output in outputs if isinstance(output, LabelRequested)]


# ---------------------------------------------------------------------------------- money


@pytest.mark.parametrize(("share", "reserve"), [(0.01, 0), (0.05, 0), (0.05, 20), (0.3, 0)])
@pytest.mark.default_n(2)
def test_a_share_is_spent_to_a_label_and_soon(share: float, reserve: int) -> None:
    engine = engine_with({"budget": {"share": share, "reserve": reserve}})
    requests = asked(lived(engine, Stream(6_000)))
    held_n = engine.shard.asking.budget.held_n
    in_hand = in_hand_of(len(requests))
    assert share * 6_000 - held_n - in_hand - 1.5 <= len(requests) <= share * 6_000 - held_n
    assert held_n == min(reserve, len(requests) // 10)
    waited = np.array([request.at - request.event_at for request in requests])
    assert waited.mean() <= 0.25 / share
    assert waited[200:].sum() <= 0.1 * len(waited)
    spent = np.searchsorted([r.at for r in requests], np.arange(6_000), side="right")
    assert (spent <= share * (np.arange(6_000) + 1) + 1e-6).all()


def test_what_is_granted_at_the_start_is_asked_first_and_surely() -> None:
    engine = engine_with({"budget": {"share": 0.01, "start": 30}})
    requests = asked(lived(engine, Stream(2_000)))
    assert [request.seq for request in requests[:30]] == list(range(30))
    assert {request.propensity for request in requests[:30]} == {1.0}
    assert len(requests) == pytest.approx(30 + 20, abs=3)
    assert max(request.propensity for request in requests[31:]) < 0.5


def test_a_cap_holds_and_little_waits_when_it_is_reached() -> None:
    engine = engine_with({"budget": {"share": 0.1, "cap": 40, "reserve": 5}})
    requests = asked(lived(engine, Stream(3_000)))
    assert 32 <= len(requests) <= 40
    assert engine.shard.asking.waiting_n <= 6
    more = engine.feed([RoundOrdered(at=3_000.0)])
    assert len(requests) + len(asked(more)) == 40


def test_a_rate_by_the_hour_is_kept_and_a_pause_is_spent_soon_after_it() -> None:
    engine = engine_with({"budget": {"per_hour": 180.0, "reserve": 0, "burst": 100}})
    first = asked(lived(engine, Stream(4_000)))
    assert len(first) == pytest.approx(4_000 * 180 / 3_600, abs=4)
    engine.feed([Tick(at=4_000.0 + 1_800.0)])
    later = asked(lived(engine, Stream(1_000, seed=1, start=5_801)))
    earned = 90 + 1_000 * 180 / 3_600
    assert len(later) == pytest.approx(earned, abs=6)
    assert sum(request.event_at < 5_801 + 500 for request in later) > 0.7 * earned


def test_nobody_answers_and_there_is_no_more_room_to_ask() -> None:
    engine = engine_with({"budget": {"share": 0.1}}, label={"open_max": 25})
    outputs = engine.feed([Stream(4_000).batch])
    assert len(asked(outputs)) == 25
    assert engine.shard.asking.waiting_n <= 6


def test_the_reserve_is_there_for_a_round_on_demand() -> None:
    engine = engine_with({"budget": {"share": 0.1, "reserve": 10, "reserve_share": 0.1}})
    lived(engine, Stream(2_000))
    assert engine.shard.asking.budget.available_n >= 10
    outputs = engine.feed([RoundOrdered(at=2_000.0)])
    assert len(asked(outputs)) >= 10
    assert {request.reason for request in asked(outputs)} == {"ordered"}
    # Their events had a chance on arrival: they teach, and don't judge.
    assert not any(
        engine.shard.evaluation.remembers(request.request_id) for request in asked(outputs)
    )


# --------------------------------------------------------------------------------- honesty


@pytest.mark.long
def test_weighted_requests_count_the_events_and_control_ones_are_a_blind_sample() -> None:
    n, runs = 600, 60
    stream = Stream(n)
    weights, blind, asked_n = np.zeros(n), np.zeros(n), np.zeros(n)
    for seed in range(runs):
        query = {"budget": {"share": 0.1, "reserve": 0}}
        for request in asked(lived(engine_with(query, seed=seed, is_quick=True), stream)):
            asked_n[request.seq] += 1
            assert 0.0 < request.control_p <= request.propensity <= 1.0
            weights[request.seq] += 1.0 / request.propensity / runs
            if request.reason == "control":
                blind[request.seq] += 1.0 / request.control_p / runs
    half = np.arange(n) % 2 == 0
    hard = np.abs(stream.batch.numbers[:, 0]) < 0.5
    assert asked_n[hard].mean() > 1.5 * asked_n[~hard].mean()
    for part in (half, ~half, hard, ~hard):
        assert weights[part].mean() == pytest.approx(1.0, abs=0.08)
        assert blind[part].mean() == pytest.approx(1.0, abs=0.2)


def test_doubtful_events_are_asked_more_often_than_others() -> None:
    engine = engine_with({"budget": {"share": 0.05}})
    requests = asked(lived(engine, Stream(4_000)))
    doubts = {r.reason: [] for r in requests}
    for request in requests:
        doubts[request.reason].append(request.utility)
    assert np.median(doubts["doubt"]) > np.median(doubts["control"]) + 0.3
    assert {r.strategy for r in requests if r.reason == "doubt"} == {"margin"}
    assert {r.strategy for r in requests if r.reason == "control"} == {"random"}
    assert 0.2 < len(doubts["control"]) / len(requests) < 0.4


def test_random_asks_everything_blindly() -> None:
    engine = engine_with({"strategy": "random", "budget": {"share": 0.05}})
    requests = asked(lived(engine, Stream(2_000)))
    assert {(r.reason, r.strategy) for r in requests} == {("control", "random")}
    assert all(r.control_p == pytest.approx(r.propensity) for r in requests)


# ------------------------------------------------------------------------- cold, late, new


@pytest.mark.parametrize("classes_n", [5, 40])
def test_doubt_gets_its_word_at_one_percent_of_many_classes(classes_n: int) -> None:
    engine = engine_with({"budget": {"share": 0.01, "reserve": 0}})
    requests = asked(lived(engine, Stream(10_000, classes_n)))
    by_doubt = [request.reason == "doubt" for request in requests]
    assert len(requests) >= 97
    assert not any(by_doubt[:2])
    assert any(by_doubt[:20])
    assert sum(by_doubt[50:]) > 25


def test_late_labels_make_the_draw_lean_to_random() -> None:
    found = []
    for delay_s in (0.0, 200.0, 2_000.0):
        engine = engine_with({"budget": {"share": 0.05, "reserve": 0}})
        requests = asked(lived(engine, Stream(6_000), delay_s))[100:]
        found.append(np.mean([request.reason == "control" for request in requests]))
    assert found[0] < found[1] < found[2]
    assert found[2] > 0.5


def test_a_class_that_appears_later_is_asked_about() -> None:
    engine = engine_with({"budget": {"share": 0.05}})
    lived(engine, Stream(2_000, 2))
    outputs = lived(engine, Stream(1_500, 5, seed=3, start=2_000))
    assert {f"c{i}" for i in range(5)} == set(engine.report.schema.classes)
    assert len(asked(outputs)) == pytest.approx(75, abs=8)
    assert sum(request.reason == "doubt" for request in asked(outputs)) > 30


@pytest.mark.parametrize("source", ["served", "disagreement"])
def test_doubt_may_be_read_from_the_served_model(source: str) -> None:
    stream = Stream(3_000)
    sure = np.where(np.arange(3_000) % 10 == 0, 0.55, 0.99)
    batch = EventBatch(
        **{
            name: getattr(stream.batch, name)
            for name in ("ids", "at", "names", "number_names", "numbers", "texts")
        },
        served_classes=("c0", "c1"),
        probabilities=np.stack([sure, 1.0 - sure], axis=1),
    )
    engine = engine_with({"uncertainty_from": source, "budget": {"share": 0.05}})
    requests = asked(engine.feed([batch]))
    by_doubt = [request for request in requests if request.reason == "doubt"]
    if source == "served":
        # It is no model of ours that has to learn first, and nobody has answered anything.
        assert len(by_doubt) > 20
        assert np.mean([request.seq % 10 == 0 for request in by_doubt]) > 0.3
    else:
        assert by_doubt == []


# ------------------------------------------------------------------------------ strategies


def test_a_function_of_the_users_is_asked_about_each_event_alone() -> None:
    sizes = set()

    def far_out(pool: Pool, chance: Chance) -> np.ndarray:
        sizes.add(len(pool))
        return np.abs(pool.X).sum(axis=1)

    query = {"budget": {"share": 0.1}}
    stream = Stream(600)
    runs = []
    for cuts in (1, 7, 600):
        sizes.clear()
        engine = engine_with(query, strategy=far_out, seed=4)
        sizes.clear()
        numbers = stream.batch.numbers
        outputs: list[Output] = []
        for start in range(0, 600, cuts):
            part = slice(start, start + cuts)
            outputs += engine.feed(
                [
                    EventBatch(
                        ids=stream.batch.ids[part],
                        at=stream.batch.at[part],
                        names=("x", "y"),
                        number_names=("x", "y"),
                        numbers=np.ascontiguousarray(numbers[part]),
                        texts={},
                    )
                ]
            )
        assert sizes == {1}
        runs.append([(r.event_id, r.propensity, r.utility) for r in asked(outputs)])
    assert runs[0] == runs[1] == runs[2]
    assert len(runs[0]) >= 50


def ranked(pool: Pool, chance: Chance) -> np.ndarray:
    return np.argsort(np.argsort(margin(pool, chance))).astype(float)


@pytest.mark.parametrize("strategy", [hybrid, ranked])
def test_a_strategy_that_compares_events_is_refused(strategy: Callable[..., Any]) -> None:
    with pytest.raises(BadSettings, match=r"can't be asked on arrival; set query\.ask to rounds"):
        engine_with({"budget": {"share": 0.1}}, strategy=strategy)


@pytest.mark.parametrize(
    ("strategy", "query", "is_arrival"),
    [
        (None, {}, True),
        (entropy, {}, True),
        (hybrid, {}, False),
        (ranked, {}, False),
        (None, {"rounds": {"every_n": 20}}, False),
    ],
)
def test_rounds_are_for_strategies_that_compare_and_for_schedules(
    strategy: Any, query: dict[str, Any], is_arrival: bool
) -> None:
    engine = engine_with({"ask": "auto", "budget": {"share": 0.1}, **query}, strategy=strategy)
    outputs = lived(engine, Stream(400))
    assert (engine.shard.asking.arrivals is not None) is is_arrival
    assert any(isinstance(output, RoundOpened) for output in outputs) is not is_arrival
    assert len(asked(outputs)) > 30


# ---------------------------------------------------------------------- for the estimate


@functools.cache
def requests_of(estimate_share: float, cuts: int) -> list[tuple[str, float]]:
    """Ids and propensities of what is asked of 1,500 events that come so many at a time."""
    stream = Stream(1_500)
    told = [(stream.batch.row(i), stream.truths[i]) for i in range(1_500)]
    query = {"estimate_share": estimate_share, "budget": {"share": 0.1, "reserve": 0}}
    batches = [
        ([event for event, _ in told[i : i + cuts]], [truth for _, truth in told[i : i + cuts]])
        for i in range(0, 1_500, cuts)
    ]
    found = Simulation(engine_with(query, is_quick=True), Delayed()).play_batches(
        (batch_of(events), truths) for events, truths in batches
    )
    asked_of = asked([output for outputs in found for output in outputs])
    return [(request.event_id, request.propensity) for request in asked_of]


@pytest.mark.parametrize("cuts", [7, 1_500])
def test_a_part_for_the_estimate_raises_the_least_chance_at_any_batching(cuts: int) -> None:
    for_both = requests_of(0.5, cuts)
    assert for_both == requests_of(0.5, 40)
    alone = requests_of(0.0, 1_500)
    late = slice(len(alone) // 2, None)
    weights = [np.mean([1.0 / p for _, p in some[late]]) for some in (for_both, alone)]
    spread = [np.std([1.0 / p for _, p in some[late]]) for some in (for_both, alone)]
    assert spread[0] / weights[0] < 0.9 * spread[1] / weights[1]


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ({"ask": "rounds"}, r"query\.estimate_share is 0\.5 and events are asked in rounds"),
        (
            {"arrival": {"rule": "split"}, "strategy": "least_confidence"},
            r"query\.estimate_share is 0\.5 and query\.arrival\.rule is split",
        ),
    ],
)
def test_what_draws_nothing_for_the_estimate_says_so(query: dict[str, Any], fault: str) -> None:
    with pytest.raises(BadSettings, match=fault):
        engine_with({"estimate_share": 0.5, **query})
