"""Every request ends once, every event has a chance, time never falls, nothing grows for ever."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import (
    Answer,
    Engine,
    Event,
    LabelDisputed,
    LabelRequested,
    LabelSettled,
    RequestExpired,
    RequestWithdrawn,
    RoundClosed,
    RoundOpened,
    Tick,
)
from headrace.messages import Output
from headrace.observe.clock import HEARD_N
from headrace.query.control import CONTROL_MIN
from worlds import events_of, played, reference, settings_with

ENDS = LabelSettled | LabelDisputed | RequestExpired | RequestWithdrawn


def first_ends(outputs: list[Output]) -> list[str]:
    """The requests that ended, in order; an outcome that replaces another is no end."""
    return [
        output.request_id
        for output in outputs
        if isinstance(output, ENDS) and getattr(output, "revision", 0) == 0
    ]


@given(st.integers(0, 10_000), st.sampled_from([1, 2]), st.sampled_from(["share", "per_hour"]))
@settings(max_examples=15, deadline=None)
def test_every_request_ends_exactly_once(seed: int, wanted_n: int, budget: str) -> None:
    settings = settings_with(
        seed=seed,
        model={"name": "naive-bayes"},
        query={"budget": {budget: {"share": 0.3, "per_hour": 700.0}[budget]}},
        label={"deadline_s": 60.0, "answers_wanted": wanted_n, "answers_max": 3},
    )
    run = played(settings, events_of(seed, 100), seed)
    engine = Engine(settings=settings)
    outputs = engine.feed(run.inputs)
    # What is asked at an event far ahead has its time from there (docs/TIME.md).
    latest = max(message.at for message in run.inputs if isinstance(message, Event))
    outputs += engine.feed([Tick(at=max(engine.now, latest) + 20_000.0)])
    asked = [output.request_id for output in outputs if isinstance(output, LabelRequested)]
    assert max(Counter(asked).values()) == 1
    assert sorted(first_ends(outputs)) == sorted(asked)
    assert engine.report.labels.open_n == engine.shard.asking.open_n == 0


def test_an_id_that_comes_again_much_later_is_not_asked_again() -> None:
    settings = settings_with(
        observe={"window_n": 20, "reservoir_n": 20, "ids_n": 5},
        query={"budget": {"share": 0.5}, "rounds": {"every_n": 10}},
        label={"deadline_s": 30.0, "closed_n": 1_000},
    )
    engine = Engine(settings=settings)
    events = [Event(id=str(i % 40), at=float(i), features={"x": 1.0}) for i in range(2_000)]
    outputs = engine.feed([*events, Tick(at=5_000.0)])
    asked = [output.event_id for output in outputs if isinstance(output, LabelRequested)]
    assert len(asked) == len(dict.fromkeys(asked)) == 40
    assert len(first_ends(outputs)) == 40
    assert engine.shard.asking.open_n == 0


def test_the_same_id_twice_in_one_pool_is_asked_once() -> None:
    settings = settings_with(
        observe={"window_n": 50, "reservoir_n": 20, "ids_n": 1},
        query={"budget": {"share": 1.0, "reserve": 0}, "rounds": {"every_n": 50}},
    )
    engine = Engine(settings=settings)
    outputs = engine.feed(
        [Event(id="abc"[i % 3], at=float(i), features={"x": 1.0}) for i in range(50)]
    )
    asked = [output.event_id for output in outputs if isinstance(output, LabelRequested)]
    [closed] = [output for output in outputs if isinstance(output, RoundClosed)]
    in_round = [o for o in outputs if isinstance(o, LabelRequested) and o.round_n == 0]
    assert sorted(asked) == ["a", "b", "c"]
    assert closed.asked_n == len(in_round)


@given(
    control_share=st.floats(1e-6, 1.0),
    share=st.floats(1e-6, 1.0),
    sharpness=st.floats(0.0, 10.0),
    strategy=st.sampled_from(["random", "margin", "hybrid"]),
)
@settings(max_examples=25, deadline=None)
def test_every_event_has_a_chance(
    control_share: float, share: float, sharpness: float, strategy: str
) -> None:
    settings = settings_with(
        query={
            "strategy": strategy,
            "control_share": control_share,
            "sharpness": sharpness,
            "budget": {"share": share, "start": 20},
            "rounds": {"every_n": 10},
            "cold_start": {"per_class_n": 0},
        }
    )
    engine = Engine(settings=settings)
    for event in events_of(1, 60):
        for output in engine.feed([event]):
            if isinstance(output, LabelRequested):
                assert 0.0 < output.propensity <= 1.0
        assert CONTROL_MIN <= engine.shard.asking.control_p <= 1.0
    assert 0.0 < engine.report.asking.propensity_min <= 1.0


def test_now_never_falls_after_the_first_events_and_no_outcome_is_dated_back() -> None:
    for seed in (1, 2, 3):
        run = reference(seed, "naive-bayes", 160)
        engine, now, latest = Engine(settings=run.settings), float("-inf"), float("-inf")
        for message in run.inputs:
            for output in engine.feed([message]):
                if isinstance(output, ENDS | LabelRequested | RoundOpened | RoundClosed):
                    assert output.at >= latest
                    latest = output.at
            assert engine.now >= now or engine.report.events.observed_n <= HEARD_N
            now = engine.now


# ---------------------------------------------------------------------------- what may grow


def sizes(engine: Engine) -> dict[str, int]:
    shard, trainer = engine.shard, engine.trainer
    asking, admission = shard.asking, shard.admission
    return {
        "window": len(shard.window.since(0)),
        "reservoir": len(shard.reservoir),
        "ids": len(admission._latest) + len(admission._before),
        "closed": engine.desk._ledger.remembered_n,
        "asked": asking.remembered.ended_n,
        "waiting": len(asking.queue),
        "unweighted": len(asking.control_draw._unweighted),
        "memory": len(trainer.memory),
        "blocks": len(shard.evaluation.blocks),
        "features": engine.schema.width,
        "classes": len(engine.schema.classes),
        "categories": len(engine.schema.categories["colour"]),
    }


def test_nothing_grows_beyond_its_limit() -> None:
    settings = settings_with(
        schema={"features_max": 10, "categories_max": 8, "classes_max": 4},
        observe={"window_n": 50, "reservoir_n": 30, "ids_n": 100},
        label={"deadline_s": 50.0, "closed_n": 40, "answers_max": 2},
        model={"name": "naive-bayes"},
    )
    engine = Engine(settings=settings)
    snapshots: list[int] = []
    for start in range(0, 3_600, 50):
        features: list[dict[str, Any]] = [
            {"x": float(i % 7), "colour": f"shade {i}", f"once {i}": 1.0}
            for i in range(start, start + 50)
        ]
        outputs = engine.feed(
            [
                Event(id=f"{start + j}", at=float(start + j), features=each)
                for j, each in enumerate(features)
            ]
        )
        engine.feed([answer_to(o) for o in outputs if isinstance(o, LabelRequested) and o.seq % 3])
        if start % 300 == 250:
            snapshots.append(len(engine.snapshot()))
    found = sizes(engine)
    limits = {
        "window": 50,
        "reservoir": 30,
        "ids": 200,
        "closed": 40,
        "asked": 40,
        "waiting": 10_000,
        "unweighted": 60,
        "memory": 40,
        "blocks": 101,
        "features": 10,
        "classes": 4,
        "categories": 9,
    }
    assert {name: n for name, n in found.items() if n > limits[name]} == {}
    # How many requests are open at the moment makes a tenth of it.
    assert max(snapshots[8:]) <= 1.1 * max(snapshots[2:6])


def answer_to(request: LabelRequested) -> Answer:
    return Answer(
        request_id=request.request_id,
        label=f"class {request.seq % 9}",
        at=request.at,
        annotator=f"al {request.seq % 5}",
    )
