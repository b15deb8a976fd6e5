"""What was asked then is held against what is decided now; who is gone is paid all the same."""

import pytest
from msgspec import structs

import headrace as hr
from headrace.query.record import AskedRecord, Decided, decided_of
from headrace.shard.recalling import follow_record, settle_record


def decided(**fields):
    usual = {"key": 1, "after_n": 5, "round_n": -1, "reason": "control", "strategy": "random"}
    numbers = {"utility": 0.5, "threshold": 0.0, "propensity": 0.1, "control_p": 0.1}
    return Decided(**usual | numbers | {"predicted": "", "doubt": 1.0} | fields)


def test_a_draw_is_on_record_at_its_own_event_only():
    record = AskedRecord(["a"], [decided(after_n=5)], events_n=100)
    assert [record.has_request("a", n) for n in (104, 105, 106)] == [False, True, False]
    assert record.count_to_next(100, 50) == 5
    assert record.count_to_next(105, 50) == 50


def test_a_draw_that_is_not_on_record_is_passed_over_where_it_could_be_paid():
    record = AskedRecord([], [], events_n=0)
    assert not record.passes_over("a", 5, is_paid=False)
    assert record.passes_over("a", 5, is_paid=True)
    assert record.differences.turned_n == 1


def test_a_round_is_held_where_it_was_and_of_the_kind_that_it_was():
    record = AskedRecord(["a"], [decided(round_n=3, reason="round")], events_n=10)
    assert record.round_at(15, is_spread=False) == 3
    assert record.round_at(15, is_spread=True) is None
    assert record.round_at(14, is_spread=False) is None
    assert record.differences.turned_n == 2


def test_what_nothing_led_to_is_due_from_then_on():
    record = AskedRecord(["a", "b"], [decided(after_n=1), decided(after_n=2)], events_n=0)
    assert [list(ones) for ones in record.find_missing(1, is_end=False)] == [["a"]]
    assert record.has_request("a", 7)
    assert [list(ones) for ones in record.find_missing(1, is_end=True)] == [["a", "b"]]
    assert record.differences.turned_n == 2


def engine_of():
    return hr.Engine(budget=hr.budgets.Share(0.2), seed=7, classes=["no", "yes"])


def events():
    return [hr.Event(id=f"e{i}", at=float(i), features={"x": i % 7}) for i in range(60)]


@pytest.fixture
def asked():
    """The requests of an engine over these events, each with its numbers."""
    engine, found = engine_of(), []
    for event in events():
        for output in engine.feed([event]):
            if isinstance(output, hr.LabelRequested):
                key = engine.chance.key(output.event_id)
                found.append((output, decided_of(output, key, engine.shard.events_n)))
    assert len(found) > 3
    return found


def test_the_same_events_lead_to_the_same_requests_and_nothing_differs(asked):
    engine = engine_of()
    ids, numbers = [one.request_id for one, _ in asked], [one for _, one in asked]
    follow_record(engine.shard, AskedRecord(ids, numbers, 0))
    outputs = engine.feed(events())
    missing, found = settle_record(engine.shard)
    requests = [o for o in outputs if isinstance(o, hr.LabelRequested)]
    assert (requests, missing, found.n) == ([one for one, _ in asked], [], 0)


def test_other_events_are_asked_where_the_record_has_them(asked):
    others = [event.id for event in events() if event.id not in {r.event_id for r, _ in asked}]
    engine = engine_of()
    asking = engine.shard.asking
    ids = [asking.request_id(name) for name in others[: len(asked)]]
    numbers = [
        structs.replace(one, key=engine.chance.key(name), after_n=int(name[1:]) + 1)
        for name, (_, one) in zip(others, asked, strict=False)
    ]
    follow_record(engine.shard, AskedRecord(ids, numbers, 0))
    outputs = engine.feed(events())
    missing, found = engine.settle_record()
    requests = [o for o in (*outputs, *missing) if isinstance(o, hr.LabelRequested)]
    assert [o.request_id for o in requests] == ids
    assert [o.propensity for o in requests] == [one.propensity for one in numbers]
    assert asking.budget.asked_n == asking.open_n == len(ids)
    assert found.turned_n >= len(ids)


def test_a_request_whose_event_is_gone_is_open_and_paid():
    engine = engine_of()
    asking = engine.shard.asking
    gone = decided(key=engine.chance.key("gone"))
    follow_record(engine.shard, AskedRecord([asking.request_id("gone")], [gone], 0))
    missing, found = settle_record(engine.shard)
    assert (missing, found.n) == ([], 1)
    assert (asking.budget.asked_n, asking.open_n) == (1, 1)
    assert asking.remembers("gone")
