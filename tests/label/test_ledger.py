"""Requests as they are kept: registered once, found while remembered, due in order."""

from __future__ import annotations

import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.label.ledger import HEAP_SLACK_N, Entry, Ledger
from headrace.messages import LabelRequested


def request(name: str, deadline: float = 60.0) -> LabelRequested:
    return LabelRequested(
        request_id=name,
        event_id=name,
        at=0.0,
        event_at=0.0,
        deadline=deadline,
        features={"x": 1.0},
        reason="round",
        strategy="margin",
        utility=0.5,
        threshold=0.4,
        propensity=0.2,
        model_version=0,
        prediction={"a": 1.0},
        round_n=1,
        seq=0,
    )


def found(ledger: Ledger, name: str) -> Entry:
    entry = ledger.find_entry(name)
    assert entry is not None
    return entry


def end(ledger: Ledger, name: str, label: str | None = "a") -> None:
    entry = found(ledger, name)
    ledger.record_outcome(entry, label)
    ledger.note_waiting(entry, False)


def test_a_request_is_registered_once_even_after_its_end() -> None:
    ledger = Ledger(closed_n=5)
    assert ledger.register(request("r"))
    assert not ledger.register(request("r"))
    end(ledger, "r")
    assert not ledger.register(request("r"))
    assert (ledger.open_n, ledger.remembered_n) == (0, 1)


def test_only_the_latest_ended_requests_are_remembered() -> None:
    ledger = Ledger(closed_n=2)
    for name in "abc":
        ledger.register(request(name))
    for name in "bca":
        end(ledger, name)
    assert ledger.find_entry("b") is None
    assert [ledger.find_entry(name) is not None for name in "ca"] == [True, True]


def test_a_revision_does_not_make_a_request_younger() -> None:
    ledger = Ledger(closed_n=2)
    for name in "abc":
        ledger.register(request(name))
    end(ledger, "a")
    end(ledger, "b")
    ledger.record_outcome(found(ledger, "a"), "other")
    assert found(ledger, "a").revision == 1
    end(ledger, "c")
    assert ledger.find_entry("a") is None


def test_oldest_is_the_one_registered_first() -> None:
    ledger = Ledger(closed_n=2)
    assert ledger.oldest is None
    for name in "ab":
        ledger.register(request(name))
    end(ledger, "a")
    assert ledger.oldest is ledger.find_entry("b")


def test_the_next_deadline_is_one_that_matters() -> None:
    ledger = Ledger(closed_n=5)
    ledger.register(request("a", 10.0))
    ledger.register(request("b", 20.0))
    assert ledger.next_deadline() == 10.0
    end(ledger, "a")
    assert ledger.next_deadline() == 20.0
    end(ledger, "b")
    assert ledger.next_deadline() is None


def test_an_ended_request_can_wait_again_and_is_due_once() -> None:
    ledger = Ledger(closed_n=5)
    ledger.register(request("first", 5.0))
    ledger.register(request("again", 10.0))
    end(ledger, "again")
    ledger.note_waiting(found(ledger, "again"), True)
    assert [entry.request.request_id for entry in ledger.pop_due(10.0)] == ["first", "again"]
    assert ledger.pop_due(100.0) == []
    assert ledger.next_deadline() is None


def test_after_due_the_next_deadline_still_matters() -> None:
    ledger = Ledger(closed_n=5)
    for name, deadline in [("a", 10.0), ("b", 20.0), ("c", 30.0)]:
        ledger.register(request(name, deadline))
    end(ledger, "b")
    ledger.pop_due(10.0)
    assert ledger.next_deadline() == 30.0


def test_a_forgotten_request_leaves_no_deadline_behind_for_its_namesake() -> None:
    ledger = Ledger(closed_n=1)
    for name, deadline in [("head", 1.0), ("r", 10.0), ("other", 50.0)]:
        ledger.register(request(name, deadline))
    end(ledger, "r")
    end(ledger, "other")
    ledger.register(request("r", 100.0))
    ledger.pop_due(1.0)
    assert ledger.next_deadline() == 100.0


def test_deadlines_of_settled_requests_do_not_pile_up() -> None:
    ledger = Ledger(closed_n=3)
    ledger.register(request("stays", 1.0))
    for i in range(5_000):
        ledger.register(request(str(i), 1e9))
        end(ledger, str(i))
    assert len(ledger._deadlines) <= 2 * HEAP_SLACK_N
    assert ledger.next_deadline() == 1.0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=30), st.sets(st.integers(0, 29)), st.integers(0, 9))
def test_due_is_every_open_request_by_deadline_then_order(
    deadlines: list[int], ended: set[int], now: int
) -> None:
    ledger = Ledger(closed_n=100)
    for i, deadline in enumerate(deadlines):
        ledger.register(request(str(i), float(deadline)))
    for i in sorted(ended & set(range(len(deadlines)))):
        end(ledger, str(i))
    ledger = pickle.loads(pickle.dumps(ledger))
    left = [(d, i) for i, d in enumerate(deadlines) if i not in ended]
    due = sorted(pair for pair in left if pair[0] <= now)
    assert [entry.order for entry in ledger.pop_due(float(now))] == [i for _, i in due]
    later = [d for d, _ in left if d > now]
    assert ledger.next_deadline() == (min(later) if later else None)
