"""Spending, recounted from the messages alone: never above what is earned, nor far below it.

The model is a stub that learns nothing but class frequencies: fifty thousand events one at a time
are about the engine here, and river's learners would only make it slower.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import dummy

from headrace import (
    Answer,
    Engine,
    Event,
    LabelRequested,
    RequestExpired,
    RequestWithdrawn,
    Tick,
)
from headrace.messages import Input, Output
from headrace.settings import parse

EVENTS_N = 50_000


def engine_with(**budget: float) -> Engine:
    raw = {
        "seed": 3,
        "query": {"budget": budget},
        "label": {"deadline_s": 2_000.0},
        "drift": {"watch": []},
    }
    return Engine(dummy.PriorClassifier(), settings=parse(raw))


def lives(engine: Engine, chunk: int, events_n: int = EVENTS_N) -> Iterator[list[Output]]:
    """Feed events a second apart; of five requests four are answered, one expires."""
    for start in range(0, events_n, chunk):
        numbers = range(start, min(start + chunk, events_n))
        outputs = engine.feed(
            [Event(id=str(i), at=float(i), features={"x": i % 17}) for i in numbers]
        )
        yield outputs
        answers: list[Input] = [
            Answer(request_id=request.request_id, label="pq"[request.seq % 2], at=request.at)
            for request in outputs
            if isinstance(request, LabelRequested) and request.seq % 5
        ]
        if answers:
            yield engine.feed(answers)


class Count:
    """What was spent, and the largest excess over what was allowed at that moment."""

    def __init__(self) -> None:
        self.spent_n = 0
        self.asked_n = 0
        self.excess = float("-inf")

    def add(self, outputs: list[Output], earned: float, per_second: float) -> None:
        """`earned` + `per_second` * at are the labels allowed at time `at`."""
        for output in outputs:
            if isinstance(output, RequestExpired | RequestWithdrawn):
                self.spent_n -= 1
            elif isinstance(output, LabelRequested):
                self.spent_n += 1
                self.asked_n += 1
                excess = self.spent_n - (earned + per_second * output.at)
                self.excess = max(self.excess, excess)


@pytest.mark.parametrize(
    ("chunk", "share", "reserve"),
    [
        (1, 0.05, 0),
        (7, 0.01, 0),
        (7, 0.05, 20),
        (7, 0.1, 0),
        (1_000, 0.01, 0),
        (1_000, 0.05, 0),
        (1_000, 0.05, 20),
        (1_000, 0.1, 0),
    ],
)
def test_a_share_is_never_exceeded_and_is_spent(chunk: int, share: float, reserve: int) -> None:
    engine, count = engine_with(share=share, reserve=reserve), Count()
    for outputs in lives(engine, chunk):
        # Event i comes at second i, so that i + 1 events have come by then.
        count.add(outputs, earned=share, per_second=share)
    assert count.excess <= 1e-6
    assert count.spent_n == pytest.approx(share * EVENTS_N, rel=0.01)
    assert count.asked_n == engine.report.asked_n
    assert count.spent_n == engine.report.asked_n - engine.report.refunded_n


@pytest.mark.parametrize("chunk", [50, 1_000])
def test_a_rate_is_never_exceeded_and_is_spent(chunk: int) -> None:
    engine, count = engine_with(per_hour=90.0, reserve=0, start=3), Count()
    for outputs in lives(engine, chunk):
        count.add(outputs, earned=3.0, per_second=90.0 / 3_600)
    assert count.excess <= 1e-6
    assert count.spent_n == pytest.approx(3 + 90 * EVENTS_N / 3_600, rel=0.01)


def test_a_cap_ends_the_spending() -> None:
    engine, count = engine_with(share=0.5, cap=300, reserve=0), Count()
    for outputs in lives(engine, 50, events_n=5_000):
        count.add(outputs, earned=300.0, per_second=0.0)
    assert count.excess <= 0
    assert count.spent_n == 300
    assert engine.report.is_exhausted


@given(
    chunk=st.integers(1, 200),
    share=st.sampled_from([0.003, 0.05, 0.5, 1.0]),
    start=st.integers(0, 5),
    burst=st.integers(1, 30),
    reserve=st.integers(0, 10),
    quiet=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_no_settings_of_a_budget_overspend(
    chunk: int, share: float, start: int, burst: int, reserve: int, quiet: bool
) -> None:
    engine = engine_with(share=share, start=start, burst=burst, reserve=reserve)
    count = Count()
    for outputs in lives(engine, chunk, events_n=600):
        count.add(outputs, earned=start + share, per_second=share)
        if quiet:
            count.add(engine.feed([Tick(at=engine.now)]), earned=start + share, per_second=share)
    assert count.excess <= 1e-6
