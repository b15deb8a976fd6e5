"""A session's place in its consumer group: what it is given and what is taken, told to its flow."""

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
    """The group's `consumer`, once it is made. `tell` tells the flow one input."""

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
        """Take part in the group until the stack is closed."""
        kafka = self._kafka
        self.consumer = client.make_consumer(kafka, group=kafka.group)
        self._carrier.consumer = self.consumer
        await start_client(stack, self.consumer)
        self.consumer.subscribe(
            [kafka.events, kafka.desk, kafka.answers, kafka.drift],
            listener=_make_listener(self),
        )
        self.is_joined = True

    def leave(self) -> None:
        """From here on nothing is given or taken."""
        self._is_over = True
        # Nobody will say so any more.
        self.release()

    def release(self) -> None:
        """The flow has let go of what was taken."""
        self._released.set()

    async def revoked(self) -> None:
        """The group shares out anew when this returns."""
        if not self._is_over:
            self._released.clear()
            await self._tell(Revoked())
            await self._released.wait()

    async def assigned(self, tps: set[Any]) -> None:
        """What is ours from now on."""
        if self._is_over:  # The consumer leaves the group last, and hears it share out anew.
            return
        kafka, parts = self._kafka, tuple(sorted(Part(*tp) for tp in tps))
        routed = tuple(part for part in parts if part.topic in (kafka.answers, kafka.drift))
        journals = tuple(
            Part(kafka.journal, part.partition)
            for part in parts
            if part.topic == kafka.events and part.partition < self._events_partitions_n
        )
        bounds = await self._carrier.result(Look(journals))
        routes = await self._carrier.result(Look(routed, is_of_group=True))
        ends = {part.partition: found.end for part, found in bounds.items()}
        # It may have ended while the brokers were asked.
        if not self._is_over:
            await self._tell(Assigned(parts, routes, ends))


def _make_listener(group: GroupConsumer) -> Any:
    """Its ears, as aiokafka wants them."""
    base = client.import_extra("aiokafka").ConsumerRebalanceListener

    class Listener(base):  # type: ignore[misc, valid-type]  # its base is known at run time only
        async def on_partitions_revoked(self, revoked: set[Any]) -> None:
            if revoked:
                await group.revoked()

        async def on_partitions_assigned(self, assigned: set[Any]) -> None:
            await group.assigned(assigned)

    return Listener()
