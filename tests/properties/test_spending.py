"""Spending, recounted from the messages alone: never above what is earned, nor far below it.

The model is a stub that learns nothing but class frequencies: thousands of events one at a time
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
    LabelSettled,
    RequestExpired,
    RequestWithdrawn,
    Tick,
    Withdrawal,
)
from headrace.messages import Input, Output
from headrace.settings import parse

EVENTS_N = 5_000
UNSPENT_MAX = 5
"""Labels that may be left at the end, beside the reserve."""


def engine_with(**budget: float) -> Engine:
    raw = {
        "seed": 3,
        "query": {"budget": budget},
        "label": {"deadline_s": 2_000.0, "late_answers": "refused"},
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
        (1_000, 0.01, 0),
        (1_000, 0.05, 20),
        (1_000, 0.1, 0),
    ],
)
@pytest.mark.default_n(2)
def test_a_share_is_never_exceeded_and_is_spent(chunk: int, share: float, reserve: int) -> None:
    engine, count = engine_with(share=share, reserve=reserve), Count()
    # One at a time is five times as slow.
    events_n = 1_500 if chunk == 1 else EVENTS_N
    for outputs in lives(engine, chunk, events_n):
        # Event i comes at second i, so that i + 1 events have come by then.
        count.add(outputs, earned=share, per_second=share)
    assert count.excess <= 1e-6
    assert count.spent_n >= share * events_n - reserve - UNSPENT_MAX
    assert count.asked_n == engine.report.asking.requests_n
    assert count.spent_n == engine.report.asking.requests_n - engine.report.budget.refunded_n


@pytest.mark.parametrize("chunk", [50, 1_000])
def test_a_rate_is_never_exceeded_and_is_spent(chunk: int) -> None:
    engine, count = engine_with(per_hour=90.0, reserve=0, start=3), Count()
    for outputs in lives(engine, chunk):
        count.add(outputs, earned=3.0, per_second=90.0 / 3_600)
    assert count.excess <= 1e-6
    assert count.spent_n >= 3 + 90 * EVENTS_N / 3_600 - UNSPENT_MAX


def test_a_cap_ends_the_spending() -> None:
    engine, count = engine_with(share=0.5, cap=300, reserve=0), Count()
    for outputs in lives(engine, 50, events_n=5_000):
        count.add(outputs, earned=300.0, per_second=0.0)
    assert count.excess <= 0
    assert count.spent_n == 300
    assert engine.report.budget.is_exhausted


@given(
    chunk=st.integers(1, 200),
    share=st.sampled_from([0.003, 0.05, 0.5, 1.0]),
    start=st.integers(0, 5),
    burst=st.integers(1, 30),
    reserve=st.integers(0, 10),
    quiet=st.booleans(),
)
@settings(max_examples=20, deadline=None)
def test_no_settings_of_a_budget_overspend(
    chunk: int, share: float, start: int, burst: int, reserve: int, quiet: bool
) -> None:
    engine = engine_with(share=share, start=start, burst=burst, reserve=reserve)
    count = Count()
    for outputs in lives(engine, chunk, events_n=400):
        count.add(outputs, earned=start + share, per_second=share)
        if quiet:
            count.add(engine.feed([Tick(at=engine.now)]), earned=start + share, per_second=share)
    assert count.excess <= 1e-6


@given(
    budget=st.sampled_from(
        [{"share": 1.0, "cap": 20}, {"share": 0.05}, {"per_hour": 360.0}, {"share": 0.5, "cap": 7}]
    ),
    late_answers=st.sampled_from(["taken", "refused"]),
    closed_n=st.sampled_from([1, 5, 10_000]),
    latenesses=st.lists(st.sampled_from([None, 0, 10, 24, 25, 40, 250]), min_size=1),
    is_withdrawn=st.booleans(),
    chunk=st.integers(1, 60),
)
@settings(max_examples=20, deadline=None)
def test_late_answers_overspend_nothing(
    budget: dict[str, float],
    late_answers: str,
    closed_n: int,
    latenesses: list[int | None],
    is_withdrawn: bool,
    chunk: int,
) -> None:
    """Labels that came, those of open requests and those that may still come are all allowed."""
    label = {"deadline_s": 25.0, "late_answers": late_answers, "closed_n": closed_n}
    cold = {"per_class_n": 0}
    query = {"budget": {"reserve": 0, **budget}, "cold_start": cold}
    raw = {"query": query, "label": label, "drift": {"watch": []}}
    engine = Engine(dummy.PriorClassifier(), settings=parse(raw))
    due: dict[int, list[Input]] = {}
    may_cost: set[str] = set()
    requests_n = 0
    for start in range(0, 400, chunk):
        numbers = range(start, min(start + chunk, 400))
        answers = [answer for i in numbers for answer in due.pop(i, [])]
        arriving = [Event(id=str(i), at=float(i), features={"x": i % 5}) for i in numbers]
        for output in engine.feed([*answers, *arriving]):
            if isinstance(output, LabelRequested):
                lateness = latenesses[requests_n % len(latenesses)]
                requests_n += 1
                may_cost.add(output.request_id)
                at = int(output.at) + chunk
                if is_withdrawn and requests_n % 3 == 0:
                    moot = Withdrawal(request_id=output.request_id, reason="moot", at=float(at))
                    due.setdefault(at, []).append(moot)
                if lateness is not None:
                    answer = Answer(request_id=output.request_id, label="pq"[requests_n % 2], at=at)
                    due.setdefault(at + lateness, []).append(answer)
            elif isinstance(output, RequestExpired | RequestWithdrawn):
                if late_answers == "refused":
                    may_cost.discard(output.request_id)
            elif isinstance(output, LabelSettled):
                may_cost.add(output.request_id)
            earned = budget.get("share", 1.0) * numbers.stop
            if "per_hour" in budget:
                earned = budget["per_hour"] / 3_600.0 * engine.now
            assert len(may_cost) <= min(earned, budget.get("cap", earned)) + 1e-6
    assert engine.report.asking.requests_n - engine.report.budget.refunded_n == len(may_cost)
