"""A driver's place in its consumer group: passes on to the flow what is assigned and revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from ...flow.effects import Assigned, Input, Look, Part, Revoked
from ...settings.kafka import KafkaSettings
from . import client
from .carrying import Carrier
from .reading import start_client


class GroupConsumer:
    """Joins and leaves the group; its `consumer` is made by `join`.

    `carrier` looks up offsets, the events have `events_partitions_n` partitions, and `tell` passes
    the flow one input.
    """

    consumer: Any

    def __init__(
        self,
        kafka: KafkaSettings,
        carrier: Carrier,
        events_partitions_n: int,
        tell: Callable[[Input], Awaitable[None]],
    ) -> None:
        self.is_joined = False
        self._kafka = kafka
        self._carrier = carrier
        self._events_partitions_n = events_partitions_n
        self._tell = tell
        self._is_over = False
        self._released = asyncio.Event()

    async def join(self, stack: AsyncExitStack) -> None:
        """Join the group, until the stack is closed."""
        kafka = self._kafka
        self.consumer = client.make_consumer(kafka, group=kafka.group)
        self._carrier.consumer = self.consumer
        await start_client(stack, self.consumer)
        self.consumer.subscribe(
            [kafka.events, kafka.desk, kafka.answers, kafka.drift],
            listener=_make_listener(self),
        )
        self.is_joined = True

    def ignore_changes(self) -> None:
        """Ignore whatever is assigned or revoked from now on."""
        self._is_over = True
        # The flow will not release anything any more.
        self.confirm_release()

    def confirm_release(self) -> None:
        """Note that the flow has given up what was revoked."""
        self._released.set()

    async def on_revoked(self) -> None:
        """Have the flow give up its partitions; the group reassigns when this returns."""
        if not self._is_over:
            self._released.clear()
            await self._tell(Revoked())
            await self._released.wait()

    async def on_assigned(self, tps: set[Any]) -> None:
        """Pass on which partitions are ours from now on."""
        if self._is_over:  # The consumer leaves the group last, and still sees a rebalance.
            return
        kafka, parts = self._kafka, tuple(sorted(Part(*tp) for tp in tps))
        routed = tuple(part for part in parts if part.topic in (kafka.answers, kafka.drift))
        journals = tuple(
            Part(kafka.journal, part.partition)
            for part in parts
            if part.topic == kafka.events and part.partition < self._events_partitions_n
        )
        bounds = await self._carrier.carry_out(Look(journals))
        routes = await self._carrier.carry_out(Look(routed, is_of_group=True))
        ends = {part.partition: found.end for part, found in bounds.items()}
        # The driver may have ended while the brokers were asked.
        if not self._is_over:
            await self._tell(Assigned(parts, routes, ends))


def _make_listener(group: GroupConsumer) -> Any:
    """Return the group's listener, of the class that aiokafka wants."""
    base = client.import_extra("aiokafka").ConsumerRebalanceListener

    class Listener(base):  # type: ignore[misc, valid-type]  # its base is known at run time only
        async def on_partitions_revoked(self, revoked: set[Any]) -> None:
            if revoked:
                await group.on_revoked()

        async def on_partitions_assigned(self, assigned: set[Any]) -> None:
            await group.on_assigned(assigned)

    return Listener()
