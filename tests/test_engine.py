"""The engine's surface: what goes in, what comes out, and what follows from what."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import numpy as np
import pytest
from river import linear_model, preprocessing

import headrace as hr
from headrace import (
    Answer,
    BadInput,
    BadSettings,
    DriftChanged,
    Engine,
    Event,
    InputRejected,
    LabelRequested,
    LabelSettled,
    ModelAdopted,
    ModelKept,
    RetrainFinished,
    RetrainRequested,
    RoundClosed,
    RoundOpened,
    RoundOrdered,
    Tick,
)
from headrace.learn.retrain import retrain
from headrace.messages import Output, Reason
from headrace.observe.decode import batch_of
from headrace.query.strategies.uncertainty import margin
from headrace.settings import Settings, parse
from headrace.shard.watched import SEEN_MAX

GENEROUS: dict[str, Any] = {
    "query": {
        "budget": {"share": 1.0, "reserve": 0},
        "rounds": {"every_n": 10},
        "cold_start": {"per_class_n": 2},
    },
    "drift": {"watch": []},
    "model": {"name": "naive-bayes"},
}
COMMITTEE = {"name": "committee"}


def settings_with(**sections: Any) -> Settings:
    return parse({**GENEROUS, **sections})


def events(n: int, start: int = 0, flip: bool = False, **fields: Any) -> list[Event]:
    """One class below zero, the other above; turned round by `flip`."""
    sign = -1.0 if flip else 1.0
    return [
        Event(
            id=str(i),
            at=float(i),
            features={"x": sign * (1.0 if i % 2 else -1.0), "y": float(i % 7)},
            **fields,
        )
        for i in range(start, start + n)
    ]


def truth(request: LabelRequested) -> str:
    return "odd" if int(request.event_id) % 2 else "even"


def live(engine: Engine, stream: list[Event]) -> list[Output]:
    """Feed one by one, and answer at once and truly."""
    outputs: list[Output] = []
    for event in stream:
        found = engine.feed([event])
        outputs += found
        for request in found:
            if isinstance(request, LabelRequested):
                answer = Answer(request_id=request.request_id, label=truth(request), at=request.at)
                outputs += engine.feed([answer])
    return outputs


def only(outputs: list[Output], kind: type) -> list[Any]:
    return [output for output in outputs if isinstance(output, kind)]


# ------------------------------------------------------------------------------ construction


def test_arguments_override_settings() -> None:
    engine = Engine(strategy="entropy", seed=9, classes=["a", "b"], budget=hr.budgets.Share(0.5))
    assert engine.settings.seed == 9
    assert engine.report.asking.strategy == "entropy"
    assert engine.report.schema.classes == ("a", "b")
    assert engine.shard.asking.budget.labels_per_event() == 0.5


def test_a_budget_that_was_passed_is_not_shared() -> None:
    account = hr.budgets.Share(1.0)
    first, second = Engine(budget=account), Engine(budget=[account])
    live(first, events(60))
    assert account.balance == 0
    assert second.report.asking.requests_n == 0


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"strategy": "margn"}, "did you mean margin"),
        ({"model": linear_model.LinearRegression()}, "not a river classifier"),
        ({"budget": hr.budgets.Cap(5)}, "the budget has no rate"),
        ({"classes": ["a", "a"]}, "names a class twice"),
        ({"budget": 0.05}, r"0.05 is no budget; pass an account such as budgets.Share\(0.05\)"),
        ({"seed": "7"}, "the seed is '7'; must be a whole number"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_sentence(
    arguments: dict[str, Any], fault: str
) -> None:
    with pytest.raises(BadSettings, match=fault):
        Engine(**arguments)


def test_what_is_no_input_is_refused() -> None:
    with pytest.raises(BadSettings, match="takes a list of inputs"):
        Engine().feed(Event(id="1", at=0.0, features={}))  # type: ignore[arg-type]
    with pytest.raises(BadSettings, match="RoundClosed is not an input"):
        Engine().feed([RoundClosed(round_n=0, at=0.0, asked_n=0, threshold=0.0)])  # type: ignore[list-item]


def test_nothing_in_gives_nothing_out() -> None:
    engine = Engine()
    assert engine.feed([]) == []
    assert engine.feed([Tick(at=5.0)]) == []
    assert (engine.now, engine.next_deadline(), engine.predict({"x": 1.0})) == (5.0, None, {})


# ------------------------------------------------------------------------- asking and learning


def test_it_asks_learns_and_predicts() -> None:
    engine = Engine(settings=settings_with(model=COMMITTEE))
    outputs = live(engine, events(100))
    assert engine.predict({"x": 1.0, "y": 3.0})["odd"] > 0.9
    assert len(only(outputs, LabelSettled)) == engine.report.labels.settled_n > 50
    assert set(engine.report.schema.classes) == {"odd", "even"}


def test_predicting_changes_nothing() -> None:
    engine = Engine(settings=settings_with())
    live(engine, events(50))
    before, report = engine.snapshot(), engine.report
    engine.predict({"never seen": "text", "x": float("nan")})
    assert engine.predict({"x": "of another kind", "y": True}).keys() == {"odd", "even"}
    engine.feed([])
    assert engine.snapshot() == before
    assert engine.report == report


def test_answers_do_not_move_the_clock() -> None:
    engine = Engine(settings=settings_with())
    requests = only(engine.feed(events(50)), LabelRequested)
    answer = Answer(request_id=requests[0].request_id, label="odd", at=1e12)
    [settled] = engine.feed([answer])
    assert settled.at == engine.now == 49.0


def test_a_request_expires_at_its_deadline_and_its_label_comes_back() -> None:
    label = {"deadline_s": 100.0, "late_answers": "refused"}
    engine = Engine(settings=settings_with(label=label))
    requests = only(engine.feed(events(10)), LabelRequested)
    assert engine.next_deadline() == requests[0].deadline
    [expired, *_] = engine.feed([Tick(at=500.0)])
    assert expired.at == requests[0].deadline
    assert engine.report.budget.refunded_n == len(requests) == engine.report.labels.expired_n
    assert engine.next_deadline() is None


def test_a_class_that_appears_while_running_is_learned() -> None:
    engine = Engine(settings=settings_with(model=COMMITTEE))
    live(engine, events(60))
    for event in events(30, start=60):
        third = Event(id=event.id, at=event.at, features={"x": 50.0, "y": 3.0 + event.at / 100})
        for request in only(engine.feed([third]), LabelRequested):
            engine.feed([Answer(request_id=request.request_id, label="third", at=request.at)])
    assert max(engine.predict({"x": 50.0, "y": 3.5}).items(), key=lambda kv: kv[1])[0] == "third"
    assert engine.report.labels.by_class["third"] > 5


def test_a_binary_model_counts_a_third_class_and_goes_on() -> None:
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    engine = Engine(model, settings=settings_with())
    outputs = live(engine, events(40))
    more = engine.feed(events(20, start=40))
    for request in only(more, LabelRequested):
        engine.feed([Answer(request_id=request.request_id, label="third", at=request.at)])
    assert engine.report.model.unlearnable_n > 0
    assert engine.report.labels.by_class["third"] > 0
    assert engine.predict({"x": 1.0, "y": 1.0})["odd"] > 0.5
    assert only(outputs, LabelSettled)


# --------------------------------------------------------------------------- rounds on demand


def test_an_ordered_round_asks_as_many_as_wanted_and_more_than_once() -> None:
    raw = {"query": {"budget": {"share": 0.01, "start": 8}, "rounds": {"every_n": 1_000}}}
    engine = Engine(settings=parse({**GENEROUS, **raw}))
    engine.feed(events(60))
    for wanted_n in (3, 2):
        outputs = engine.feed([RoundOrdered(at=60.0, labels_n=wanted_n)])
        [opened] = only(outputs, RoundOpened)
        assert (opened.reason, opened.wanted_n) == ("ordered", wanted_n)
        assert len(only(outputs, LabelRequested)) == wanted_n
    rest = engine.report.budget.available_n
    assert len(only(engine.feed([RoundOrdered(at=61.0)]), LabelRequested)) == rest
    [rejected] = only(engine.feed([RoundOrdered(at=62.0)]), InputRejected)
    assert rejected.reason == Reason.NO_ROUND
    assert "no label to spend" in rejected.detail
    assert engine.now == 62.0


def test_a_dated_round_comes_with_the_clock() -> None:
    raw = {"query": {**GENEROUS["query"], "rounds": {"every_n": 1_000, "every_s": 60.0}}}
    engine = Engine(settings=parse({**GENEROUS, **raw}))
    assert only(engine.feed(events(20)), RoundOpened) == []
    assert engine.next_deadline() == 60.0
    [opened] = only(engine.feed([Tick(at=90.0)]), RoundOpened)
    assert (opened.at, opened.reason) == (60.0, "schedule")


# ------------------------------------------------------------------------------ served models


def test_uncertainty_can_come_from_the_served_model() -> None:
    seen: list[Any] = []

    def spy(pool: Any, chance: Any) -> Any:
        seen.append(pool.probabilities.copy())
        return margin(pool, chance)

    served = {"odd": 0.75, "even": 0.25}
    # Classes that come new in one event have the order of their names.
    for source, row in (
        ("served", [0.25, 0.75]),
        ("disagreement", [1.0 - 0.25 / 2, 0.25 / 2]),
        ("model", [0.5, 0.5]),
    ):
        seen.clear()
        query = {**GENEROUS["query"], "uncertainty_from": source, "control_share": 0.01}
        query["cold_start"] = {"per_class_n": 0}
        engine = Engine(strategy=spy, settings=settings_with(query=query))
        engine.feed(events(10, probabilities=served))
        assert seen[0][0].tolist() == pytest.approx(row), source


def test_a_log_without_probabilities_falls_back_on_our_model() -> None:
    query = {**GENEROUS["query"], "uncertainty_from": "served"}
    engine = Engine(settings=settings_with(query=query))
    assert len(only(live(engine, events(100)), LabelSettled)) > 30


def test_the_served_model_can_be_the_one_that_is_judged() -> None:
    found = {}
    for judged in ("model", "served"):
        engine = Engine(
            settings=settings_with(
                model={"name": "logistic"}, evaluation={"judged": judged, "window_n": 100}
            ),
            classes=["even", "odd"],
        )
        # The served model always says the same, and is right every second time.
        live(engine, events(300, probabilities={"odd": 0.9, "even": 0.1}))
        found[judged] = engine.report.estimates.accuracy.accuracy
    assert found["served"] == pytest.approx(0.5, abs=0.1)
    assert found["model"] > 0.9


def test_classes_that_only_the_served_model_names_are_known() -> None:
    engine = Engine(settings=settings_with())
    engine.feed(events(3, predicted="maybe"))
    engine.feed(events(3, start=3, probabilities={"yes": 0.4, "no": 0.6}))
    assert engine.report.schema.classes == ("maybe", "no", "yes")


# ------------------------------------------------------------------------- drift and retraining


def drifting(**learn: Any) -> Settings:
    return settings_with(
        drift={"watch": [{"signal": "error", "detector": "ddm"}], "hold_n": 400},
        query={**GENEROUS["query"], "control_share": 1.0, "strategy": "random"},
        learn={"retrain_labels_min": 10, "adopt_margin": 0.0, **learn},
        model={"name": "naive-bayes"},
    )


def test_a_drift_opens_one_round_and_orders_one_retraining() -> None:
    engine = Engine(settings=drifting())
    before = live(engine, events(300))
    after = live(engine, events(300, start=300, flip=True))
    assert only(before, DriftChanged) == []
    changes = only(after, DriftChanged)
    assert [change.level for change in changes].count("DRIFT") == 1
    [ordered] = only(after, RetrainRequested)
    assert ordered.reason == "drift"
    assert engine.open_job is not None
    drift_rounds = [opened for opened in only(after, RoundOpened) if opened.reason == "drift"]
    assert len(drift_rounds) <= 1
    assert engine.report.retraining.is_open
    assert engine.report.drift.level == "DRIFT"


def test_a_drift_round_takes_half_of_what_there_is_and_no_more_than_its_limit() -> None:
    raw = {
        "query": {
            "budget": {"share": 0.5, "start": 60, "reserve": 1_000},
            "control_share": 0.5,
            "rounds": {"every_n": 10, "drift_n": 7},
        },
        "drift": {"watch": [{"signal": "error", "detector": "ddm"}]},
        "model": {"name": "naive-bayes"},
    }
    engine = Engine(settings=parse(raw))
    outputs = live(engine, events(300) + events(200, start=300, flip=True))
    opened = [each for each in only(outputs, RoundOpened) if each.reason == "drift"]
    assert [each.wanted_n <= 7 for each in opened] == [True] * len(opened) != []
    numbers = {each.round_n for each in opened}
    asked = Counter(each.round_n for each in only(outputs, LabelRequested))
    assert all(0 < asked[number] <= 7 for number in numbers)


def until_ordered(engine: Engine) -> RetrainRequested:
    """Live through a drift until it orders a retraining."""
    live(engine, events(300))
    for start in range(300, 1_000, 10):
        for ordered in only(live(engine, events(10, start=start, flip=True)), RetrainRequested):
            return ordered
    raise AssertionError("no retraining was ordered")


def judged(engine: Engine, order: RetrainRequested) -> ModelAdopted | ModelKept:
    challenger = retrain(engine.job(order.job_id))
    finished = RetrainFinished(job_id=order.job_id, at=engine.now, challenger=challenger)
    [verdict] = engine.feed([finished])
    return verdict  # type: ignore[return-value]


def test_a_challenger_that_is_better_is_adopted() -> None:
    engine = Engine(settings=drifting(half_life_s=20.0, adopt_labels_n=100))
    order = until_ordered(engine)
    version = engine.report.model.version
    verdict = judged(engine, order)
    assert isinstance(verdict, ModelAdopted)
    assert verdict.challenger_right > verdict.champion_right
    assert verdict.model_version == engine.report.model.version == version + 1
    assert (engine.report.retraining.adopted_n, engine.open_job) == (1, None)
    # What was said of the old model's errors is void.
    live(engine, events(1, start=2_000, flip=True))
    assert engine.report.drift.level == "STABLE"


def test_a_challenger_that_is_no_better_is_refused() -> None:
    engine = Engine(settings=drifting(retrain_every_n=60, adopt_margin=1.0))
    [order, *_] = only(live(engine, events(100)), RetrainRequested)
    champion = engine.trainer.champion.learner
    verdict = judged(engine, order)
    assert isinstance(verdict, ModelKept)
    assert verdict.labels_n >= 10
    assert engine.trainer.champion.learner is champion
    assert (engine.report.retraining.kept_n, engine.open_job) == (1, None)


def test_a_failed_job_keeps_the_champion() -> None:
    engine = Engine(settings=drifting(retrain_every_n=20))
    outputs = live(engine, events(60))
    [ordered, *_] = only(outputs, RetrainRequested)
    finished = RetrainFinished(job_id=ordered.job_id, at=99.0, error="no memory")
    [kept] = engine.feed([finished])
    assert (kept.reason, engine.report.retraining.kept_n) == ("no memory", 1)
    assert engine.feed([finished]) == []


def test_a_job_that_is_not_open_is_refused() -> None:
    with pytest.raises(BadSettings, match="job 3 is not open"):
        Engine().job(3)


# --------------------------------------------------------------------------------- snapshots


def test_a_restored_engine_goes_on_alike() -> None:
    settings = settings_with(model=COMMITTEE)
    engine, twin = Engine(settings=settings), Engine(settings=settings)
    live(engine, events(50))
    twin.restore(engine.snapshot())
    assert twin.report == engine.report
    later = live(engine, events(40, start=50))
    assert len(only(later, LabelSettled)) > 30
    assert live(twin, events(40, start=50)) == later


def test_a_strategy_that_was_passed_is_kept_through_a_restore() -> None:
    calls: list[int] = []

    def mine(pool: Any, chance: Any) -> Any:
        calls.append(len(pool))
        return margin(pool, chance)

    settings = settings_with(query={**GENEROUS["query"], "cold_start": {"per_class_n": 0}})
    engine = Engine(strategy=mine, settings=settings)
    engine.restore(engine.snapshot())
    engine.feed(events(20))
    assert calls == [10, 10]


@pytest.mark.parametrize(
    "damage",
    [
        lambda blob: b"",
        lambda blob: b"junk" * 20,
        lambda blob: blob[:-1],
        lambda blob: blob + b"x",
        lambda blob: blob[: len(blob) // 2] + b"?" + blob[len(blob) // 2 + 1 :],
    ],
)
def test_a_tampered_snapshot_is_refused_and_changes_nothing(damage: Any) -> None:
    engine = Engine(settings=settings_with())
    live(engine, events(30))
    before = engine.report
    with pytest.raises(BadInput):
        engine.restore(damage(engine.snapshot()))
    assert engine.report == before


# -------------------------------------------------------------------------------------- flow


def test_flow_is_feed_in_pieces() -> None:
    whole, pieces = Engine(settings=settings_with()), Engine(settings=settings_with())
    expected = whole.feed(events(55))
    found = list(pieces.flow(events(55)))
    assert all(found)
    assert [output for piece in found for output in piece] == expected


def test_flow_wakes_up_before_the_first_event_at_that_time() -> None:
    engine = Engine(settings=settings_with())
    wake = [25.0]
    clocks = []
    for piece in engine.flow(events(40), wake_at=lambda: wake[0]):
        if not piece:
            clocks.append(engine.now)
            wake[0] = float("inf")
    assert clocks == [24.0]


def test_the_five_lines_of_the_readme_work() -> None:
    model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    engine = hr.Engine(model, strategy="margin", budget=hr.budgets.Share(0.2), seed=7)
    stream = [({"x": float(i % 5), "y": float(i % 3)}, i % 5 > 2) for i in range(400)]
    result = hr.run(engine, stream, oracle=hr.oracles.Delayed(delay_s=10))
    report = result.report
    assert report.events.observed_n == 400
    assert 0 < report.asking.requests_n <= 80
    assert report.labels.settled_n == report.asking.requests_n
    assert engine.predict({"x": 4.0, "y": 1.0})["true"] > 0.5


def test_a_withdrawn_request_ends_once_and_gives_its_label_back() -> None:
    label = {"late_answers": "refused"}
    engine = hr.Engine(budget=hr.budgets.Share(0.2), seed=1, settings=parse({"label": label}))
    events = [hr.Event(id=str(i), at=float(i), features={"x": i % 5}) for i in range(50)]
    request = next(o for o in engine.feed(events) if isinstance(o, hr.LabelRequested))
    withdrawal = hr.Withdrawal(request_id=request.request_id, at=60.0, reason="deleted")
    [ended] = engine.feed([withdrawal])
    assert isinstance(ended, hr.RequestWithdrawn)
    assert (ended.event_id, ended.reason) == (request.event_id, "deleted")
    assert engine.feed([withdrawal]) == []
    assert (engine.report.budget.refunded_n, engine.report.labels.withdrawn_n) == (1, 1)


def test_withdrawing_what_nobody_asked_is_rejected() -> None:
    [rejected] = hr.Engine().feed([hr.Withdrawal(request_id="nobody's", at=0.0)])
    assert isinstance(rejected, hr.InputRejected)
    assert rejected.reason == "unknown_request"


def test_a_jump_in_time_is_crossed_in_few_steps() -> None:
    settings = parse(
        {
            "query": {"rounds": {"every_s": 1.0}, "budget": {"per_hour": 60.0}},
            "learn": {"retrain_every_s": 1.0},
        }
    )
    engine = hr.Engine(settings=settings)
    engine.feed([hr.Event(id=str(i), at=float(i), features={"x": i % 5}) for i in range(120)])
    engine.feed([hr.Tick(at=1e10)])
    assert engine.now == 1e10
    assert engine.report.labels.open_n == 0


def test_a_tick_that_is_no_time_is_refused() -> None:
    with pytest.raises(BadSettings, match="the at of a Tick"):
        hr.Engine().feed([hr.Tick(at=float("inf"))])


def test_the_feeder_may_reuse_its_matrix_after_a_feed() -> None:
    kept, reused = Engine(settings=settings_with()), Engine(settings=settings_with())
    matrix = np.empty((3, 2))
    for start in range(0, 90, 3):
        batch = batch_of(events(3, start))
        matrix[:] = batch.numbers
        kept.feed([batch])
        reused.feed([dataclasses.replace(batch, numbers=matrix)])
        matrix[:] = -1.0
    expected, found = kept.shard.window.since(0).rows, reused.shard.window.since(0).rows
    assert np.array_equal(expected, found)


def test_what_waits_to_be_written_down_is_bounded_and_in_no_snapshot() -> None:
    model = {"name": "naive-bayes"}
    engine = Engine(settings=parse({"query": {"control_share": 0.01}, "model": model}))
    waiting_n = []
    for event in events(1_500):
        engine.feed([event])
        waiting_n.append(len(engine.shard._seen))
    assert 1 < max(waiting_n) < SEEN_MAX
    engine.feed(events(1, start=1_500))
    engine.snapshot()
    assert engine.shard._seen == []
    assert len(engine.shard.reservoir) == 1_501


def test_an_answer_within_its_deadline_is_in_time_however_far_apart_events_are() -> None:
    settings = parse(
        {
            "query": {"budget": {"share": 0.5}, "rounds": {"every_n": 2}},
            "label": {"deadline_s": 100.0},
        }
    )
    engine = Engine(settings=settings)
    pairs = [
        (Event(id=str(i), at=1_000.0 * i, features={"x": float(i % 3)}), i % 2) for i in range(60)
    ]
    report = hr.run(engine, pairs, oracle=hr.oracles.Delayed(delay_s=60.0)).report
    assert report.asking.requests_n > 20
    assert (report.labels.expired_n, report.answers.late_n, report.labels.settled_n) == (
        0,
        0,
        report.asking.requests_n,
    )


@pytest.mark.parametrize("late_answers", ["taken", "refused"])
def test_a_late_answer_finds_its_money_kept_back_or_is_refused(late_answers: str) -> None:
    settings = parse(
        {
            "query": {"budget": {"share": 0.5, "cap": 5}, "rounds": {"every_n": 2}},
            "label": {"deadline_s": 1_000.0, "late_answers": late_answers},
        }
    )
    engine = Engine(settings=settings)
    first = only(engine.feed(events(20)), LabelRequested)
    engine.feed([hr.Tick(at=5_000.0)])
    is_taken = late_answers == "taken"
    assert len(first) == 5
    assert engine.report.budget.refunded_n == (0 if is_taken else 5)
    late = [Answer(request_id=r.request_id, label="a", at=5_001.0) for r in first]
    outputs = engine.feed(late)
    assert [s.is_late for s in only(outputs, LabelSettled)] == [True] * (5 * is_taken)
    rejected = only(outputs, hr.InputRejected)
    assert {r.reason for r in rejected} == (set() if is_taken else {"late_answer"})
    assert all("label.late_answers" in r.detail for r in rejected)
    assert engine.report.answers.late_n == 5
    asked_n = len(only(engine.feed(events(20, start=6_000)), LabelRequested))
    assert asked_n == (0 if is_taken else 5)


def test_features_of_later_events_are_not_known_before_they_come() -> None:
    settings = parse({"drift": {"check_every_n": 100}, "observe": {"window_n": 100}})
    stream = [
        Event(id=str(i), at=float(i), features={"x": float((i * 7) % 13 + i // 200)})
        for i in range(400)
    ]
    news = {f"new{j}": 1.0 for j in range(60)}
    stream.append(Event(id="news", at=400.0, features={"x": 1.0, **news}))
    whole, single = Engine(settings=settings), Engine(settings=settings)
    together = whole.feed(stream)
    apart = [output for event in stream for output in single.feed([event])]
    assert together == apart
    assert whole.report == single.report


def test_a_served_class_that_was_unknown_on_arrival_was_given_nothing() -> None:
    settings = parse({"query": {"budget": {"share": 1.0}, "rounds": {"every_n": 4}}})
    engine = Engine(settings=settings)
    old = {"a": 0.6, "b": 0.4}
    stream = [
        Event(id=str(i), at=float(i), features={"x": 1.0}, probabilities=p)
        for i, p in enumerate([old, old, old, {"a": 0.1, "b": 0.1, "z": 0.8}])
    ]
    served = {r.event_id: r.served for r in only(engine.feed(stream), LabelRequested)}
    assert served["3"] == {"a": 0.1, "b": 0.1, "z": 0.8}
    assert all(served[i] in ({**old, "z": 0.0}, old) for i in ("0", "1", "2") if i in served)


def test_what_was_served_does_not_depend_on_how_a_batch_was_cut() -> None:
    settings = settings_with(
        schema={"classes": ["a", "b"]},
        label={"deadline_s": 10.0, "answers_wanted": 2},
        query={"strategy": "random", "budget": {"share": 1.0, "start": 50}},
    )
    said = {"a": 0.5, "b": 0.5}
    later = [
        hr.Event(id=f"e{at}", at=float(at), features={"x": 1.0}, probabilities=said)
        for at in (5, 15, 25, 35)
    ]

    def served(pieces: list[list[hr.Event]]) -> list[dict[str, float] | None]:
        engine = Engine(settings=settings)
        first = hr.Event(id="e0", at=0.0, features={"x": 1.0}, probabilities=said)
        [request] = [o for o in engine.feed([first]) if isinstance(o, LabelRequested)]
        # At 10 s the one answer settles as a class that nobody had named before.
        engine.feed([hr.Answer(request_id=request.request_id, label="new", at=1.0)])
        found = [output for piece in pieces for output in engine.feed(piece)]
        return [o.served for o in found if isinstance(o, LabelRequested)]

    assert served([later]) == served([[event] for event in later])
