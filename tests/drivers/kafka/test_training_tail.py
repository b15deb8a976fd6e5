"""The training log is read from where the flow wants to follow it."""

from __future__ import annotations

import asyncio
from typing import Any

from headrace.drivers.kafka.training_tail import TrainingTail
from headrace.flow.effects import Part


class FakeConsumer:
    """Takes down what it is told, and has two records."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def assign(self, parts: list[Any]) -> None:
        self.told.append(("assign", [tuple(part) for part in parts]))

    def seek(self, part: Any, position: int) -> None:
        self.told.append(("seek", tuple(part), position))

    async def getmany(self, **limits: int) -> dict[Any, list[str]]:
        return {("training", 0): ["one", "two"]}


def test_it_waits_until_it_is_known_from_where_to_read_then_reads_on_from_there() -> None:
    consumer = FakeConsumer()

    async def read() -> list[list[Any]]:
        tail = TrainingTail(consumer)
        waiting = asyncio.create_task(tail.until_followed())
        await asyncio.sleep(0)
        assert not waiting.done()
        tail.follow_part(Part("training", 0), 7)
        await waiting
        return await tail.read()

    assert asyncio.run(read()) == [["one", "two"]]
    assert consumer.told == [("assign", [("training", 0)]), ("seek", ("training", 0), 7)]
