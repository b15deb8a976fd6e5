"""A desk whose log has a moment of a clock that was ahead."""

from __future__ import annotations

from drivers.kafka.test_parts import events_of, settings_of
from headrace import Engine, LabelRequested, Tick
from headrace.flow.desks import PartitionDesk
from headrace.messages import RequestExpired


def test_a_request_that_was_due_before_it_came_is_asked_for_again() -> None:
    settings = settings_of()
    told = Engine(settings=settings).feed(events_of(200))
    first, second = [one for one in told if isinstance(one, LabelRequested)][:2]
    ahead = second.deadline + 3_600.0
    desk = PartitionDesk(settings, 0)
    desk.fold(first, first.at, 0)
    assert desk.tick_if_due(ahead) == Tick(at=ahead)
    # It is on its way: nobody says it twice.
    assert desk.tick_if_due(ahead) is None
    ended = desk.fold(Tick(at=ahead), ahead, 1)
    assert [type(said.output) for said in ended] == [RequestExpired]
    assert desk.tick_if_due(ahead) is None
    # By its writer's clock there is time left.
    assert desk.fold(second, second.at, 2) == []
    assert desk.tick_if_due(ahead) == Tick(at=ahead)
    ended = desk.fold(Tick(at=ahead), ahead, 3)
    assert [said.output.request_id for said in ended] == [second.request_id]
