"""One record's clock rules nothing: neither requests, nor other events, nor budgets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.engine import Engine
from headrace.messages import (
    Event,
    InputRejected,
    LabelRequested,
    Output,
    RequestExpired,
    Tick,
)
from headrace.observe.clock import HEARD_N, Clock
from headrace.settings import parse

START = 1_700_000_000.0
MINUTE = 60.0
DAY = 86_400.0


def stream(n: int = 160, start: float = START, name: str = "e") -> list[Event]:
    return [
        Event(id=f"{name}{i}", at=start + i * MINUTE, features={"x": float(i % 7)})
        for i in range(n)
    ]


def fed(events: list[Event], **budget: Any) -> tuple[Engine, list[Output]]:
    raw = {"model": {"name": "naive-bayes"}, "query": {"budget": budget or {"share": 0.2}}}
    engine = Engine(settings=parse(raw))
    return engine, engine.feed(events)


def wild(events: list[Event], place: int, *ats: float) -> list[Event]:
    odd = [Event(id=f"wild{i}", at=at, features={"x": 1.0}) for i, at in enumerate(ats)]
    return [*events[:place], *odd, *events[place:]]


def rejected(outputs: list[Output]) -> list[str]:
    return [o.input_id for o in outputs if isinstance(o, InputRejected)]


def expired(outputs: list[Output]) -> list[str]:
    return [o.event_id for o in outputs if isinstance(o, RequestExpired)]


AHEAD = [START + 7_200.0, START + 20 * 3_600.0, START + 200 * DAY, 4.1e9, 9e11]
BEHIND = [0.0, -1.0, -9e11, START - 3_600.0, START - 2 * DAY, START - 500 * DAY]


@pytest.mark.parametrize(
    ("place", "wild_n"),
    [(0, 1), (0, 2), (1, 1), (1, 5), (2, 2), (7, 5), (80, 1), (80, 5), (160, 1)],
)
@pytest.mark.parametrize("at", [*AHEAD, *BEHIND])
def test_wild_clocks_cost_the_others_nothing(place: int, at: float, wild_n: int) -> None:
    events = stream()
    engine, outputs = fed(wild(events, place, *[at] * wild_n))
    assert all(name.startswith("wild") for name in rejected(outputs))
    assert engine.now == pytest.approx(events[-1].at, abs=8_640.0)
    assert all(name.startswith("wild") for name in expired(outputs))


@pytest.mark.parametrize("at", [*AHEAD[2:], *BEHIND[:3], BEHIND[-1]])
@pytest.mark.parametrize("place", [0, 1, 80])
def test_a_budget_by_the_hour_goes_on_after_a_wild_clock(place: int, at: float) -> None:
    right, _ = fed(stream(), per_hour=20.0)
    engine, outputs = fed(wild(stream(), place, at), per_hour=20.0)
    assert (
        abs(engine.report.asking.requests_n - right.report.asking.requests_n)
        <= 0.1 * right.report.asking.requests_n
    )
    asked = [o for o in outputs if isinstance(o, LabelRequested)]
    assert all(START <= o.at <= START + 160 * MINUTE for o in asked)


@pytest.mark.parametrize("at", [0.0, 4.1e9])
def test_a_window_in_seconds_is_not_emptied_by_a_wild_clock(at: float) -> None:
    raw = {"model": {"name": "naive-bayes"}, "observe": {"window_s": 3_600.0}}
    engine = Engine(settings=parse(raw))
    engine.feed(wild(stream(), 0, at))
    assert 60 <= len(engine.shard.window) <= 62


@pytest.mark.parametrize("at", [4.1e9, 0.0])
def test_rounds_by_time_go_on_after_a_wild_first_clock(at: float) -> None:
    asked_n = []
    for events in (stream(), wild(stream(), 0, at)):
        raw = {
            "model": {"name": "naive-bayes"},
            "query": {"ask": "rounds", "rounds": {"every_s": 3_600.0}, "budget": {"share": 0.1}},
        }
        engine = Engine(settings=parse(raw))
        engine.feed(events)
        asked_n.append(engine.report.asking.requests_n)
    assert asked_n[0] > 5
    assert abs(asked_n[0] - asked_n[1]) <= 2


def test_seven_wild_clocks_in_a_row_move_nothing_and_eight_do() -> None:
    for wild_n, is_moved in ((7, False), (8, True)):
        ahead = [START + 1e7 + i for i in range(wild_n)]
        engine, _ = fed(wild(stream(60), 30, *ahead))
        assert (engine.now > START + 9e6) is is_moved


def test_the_clock_comes_back_from_where_a_whole_producer_took_it() -> None:
    """Further than `input.jump_max_s` it can only have been wrong."""
    events = stream()
    engine, _ = fed(wild(events, 100, *[4.1e9 + i * MINUTE for i in range(30)]), per_hour=20.0)
    assert engine.now == events[-1].at
    right, _ = fed(events, per_hour=20.0)
    assert abs(engine.report.asking.requests_n - right.report.asking.requests_n) <= 20
    engine, outputs = fed(wild(events, 0, *[float(i) for i in range(100)]), per_hour=20.0)
    assert engine.now == events[-1].at
    assert rejected(outputs) == [f"e{i}" for i in range(7)]


@pytest.mark.parametrize("gap_s", [9 * 3_600.0, 7 * DAY, 200 * DAY])
def test_a_gap_is_followed_with_the_eighth_event_and_expires_nothing_new(gap_s: float) -> None:
    after = stream(50, START + 50 * MINUTE + gap_s, "late")
    engine, _ = fed(stream(50))
    outputs = engine.feed(after[:7])
    assert engine.now == START + 49 * MINUTE
    outputs += engine.feed(after[7:])
    assert engine.now == after[-1].at
    assert not rejected(outputs)
    assert not [name for name in expired(outputs) if name.startswith("late")]
    assert bool(expired(outputs)) is (gap_s > DAY)


def test_after_a_gap_beyond_the_limit_only_the_first_events_are_rejected() -> None:
    after = stream(50, START + 400 * DAY, "late")
    engine, outputs = fed(stream(50) + after)
    assert rejected(outputs) == [f"late{i}" for i in range(7)]
    details = [o.detail for o in outputs if isinstance(o, InputRejected)]
    assert all("input.jump_max_s" in detail for detail in details)
    assert engine.now == after[-1].at


def test_a_request_about_an_event_after_a_gap_has_its_whole_time() -> None:
    _, outputs = fed(stream(50) + stream(50, START + 7 * DAY, "late"), share=1.0)
    for asked in (o for o in outputs if isinstance(o, LabelRequested)):
        assert asked.deadline >= max(asked.at, asked.event_at) + DAY


def test_events_far_from_the_clock_are_counted() -> None:
    for place, at in ((0, 4.1e9), (0, START + 200 * DAY), (80, START + 200 * DAY), (160, 4.1e9)):
        engine, _ = fed(wild(stream(), place, at))
        assert (engine.report.events.ahead_n, engine.report.events.behind_n) == (1, 0), (place, at)
    for place, at in ((0, 0.0), (1, 0.0), (80, START - DAY), (160, -5.0)):
        engine, _ = fed(wild(stream(), place, at))
        assert (engine.report.events.ahead_n, engine.report.events.behind_n) == (0, 1), (place, at)
    engine, _ = fed(stream())
    assert (engine.report.events.ahead_n, engine.report.events.behind_n) == (0, 0)
    engine, _ = fed(stream()[::-1])
    assert engine.report.events.behind_n == 160 - 8_640 / MINUTE - 1


def test_hours_out_of_order_change_nothing_but_a_count() -> None:
    events = stream()
    mixed = [*events[:50], *events[80:140], *events[50:80], *events[140:]]
    engine, outputs = fed(mixed)
    assert (engine.now, rejected(outputs), expired(outputs)) == (events[-1].at, [], [])
    assert (engine.report.events.ahead_n, engine.report.events.behind_n) == (0, 0)


def test_who_ticks_vouches_for_the_time() -> None:
    engine, _ = fed(stream(3))
    engine.feed([Tick(at=START + DAY)])
    engine.feed(stream(3, name="more"))
    assert engine.now == START + DAY


TIMES = st.lists(
    st.one_of(st.floats(0.0, 1e3), st.sampled_from([0.0, 4e9, -1e9, 1e5])), min_size=1, max_size=60
)


@settings(deadline=None)
@given(TIMES, st.sampled_from([1.0, 50.0, 1e4]), st.data())
def test_any_split_moves_the_clock_alike(ats: list[float], ahead: float, data: Any) -> None:
    """Dense stretches taken at once, as admission does, leave what one by one leaves."""
    single, parts, i = Clock(ahead, 1e7), Clock(ahead, 1e7), 0
    for at in ats:
        single.add_time(at)
    while i < len(ats):
        n = data.draw(st.integers(1, len(ats) - i))
        part = ats[i : i + n]
        if parts.is_dense(min(part), max(part)):
            parts.hear_dense(part)
        else:
            for at in part:
                parts.add_time(at)
        i += n
    assert (parts.now, parts.ahead_n, parts.behind_n) == (
        single.now,
        single.ahead_n,
        single.behind_n,
    )
    assert parts._heard == single._heard == ats[-HEARD_N:]
    assert single.now in ats


@settings(deadline=None, max_examples=30)
@given(TIMES, st.data())
def test_any_split_of_events_decides_alike(ats: list[float], data: Any) -> None:
    events = [Event(id=str(i), at=START + at, features={"x": 1.0}) for i, at in enumerate(ats)]
    whole, outputs = fed(events, per_hour=900.0)
    parts = Engine(settings=whole.settings)
    told: list[Output] = []
    while events:
        n = data.draw(st.integers(1, len(events)))
        told += parts.feed(events[:n])
        events = events[n:]
    assert told == outputs
    assert parts.snapshot() == whole.snapshot()
