"""A worker's driver where it begins and ends; what it does in between is tested on a broker."""

from __future__ import annotations

import asyncio
from typing import Any

from headrace import Settings
from headrace.drivers.kafka.driver import FlowDriver
from headrace.flow.effects import Part, Woke
from headrace.flow.worker_state import FlowSetup
from headrace.query.record import Differences


def driver() -> FlowDriver:
    decoders: dict[str, Any] = dict.fromkeys(("decoder", "answers_decoder"))
    setup = FlowSetup(
        settings=Settings(),
        **decoders,
        writer="w",
        partitions_n={"events": 1, "requests": 1},
        lost_n={},
        recomputed=Differences(),
        woke=Woke(0.0, 0.0),
        timer=lambda: 0.0,
    )
    parts: dict[str, Any] = dict.fromkeys(
        ("states", "threads", "timings", "attempt", "note", "warn", "on_outputs")
    )
    return FlowDriver(setup, **parts, clock=lambda: 0.0)


def test_a_session_that_is_over_takes_nothing_that_is_assigned_to_it():
    """The consumer is the last to stop, and may hear meanwhile that the group shares out anew."""

    async def heard() -> FlowDriver:
        found = driver()
        found.flow.owned.parts = {Part("inference", 0)}
        found.group.ignore_changes()
        await found.group.on_revoked()
        await found.group.on_assigned({("inference", 1)})
        return found

    found = asyncio.run(heard())
    assert found.flow.owned.parts == {Part("inference", 0)}
    assert found.flow.group.rebalances_n == 0


def test_a_session_of_which_a_part_has_just_failed_takes_nothing_more_and_says_nothing():
    """Between the failure and the end of its tasks the consumer may hear of a rebalance."""

    async def heard() -> FlowDriver:
        found = driver()
        found.flow.owned.parts = {Part("inference", 0)}
        waiting: list[asyncio.Task[None]] = []

        async def fail() -> None:
            raise ValueError("fenced")

        async def listen() -> None:
            # Cancelled by the failure, it hears of a rebalance on its way out.
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                waiting.append(asyncio.create_task(found.group.on_revoked()))
                await asyncio.sleep(0)
                raise

        try:
            async with asyncio.TaskGroup() as found._tasks:
                found._tasks.create_task(listen())
                found._tasks.create_task(fail())
        except* ValueError:
            found.group.confirm_release()
        await waiting[0]
        return found

    found = asyncio.run(heard())
    assert found.flow.owned.parts == {Part("inference", 0)}
    assert found.flow.group.rebalances_n == 0
