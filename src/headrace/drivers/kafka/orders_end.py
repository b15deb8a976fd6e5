"""Places people's orders to workers on Kafka among the answers, and reads what became of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import msgspec

from ...adapters.sealing import Sealer
from ...errors import BadSettings
from ...flow.effects import Part, Routine
from ...flow.order_outcomes import OrderOutcomes, combine_erasures, find_labelled_requests
from ...flow.orders import ORDER_KEY
from ...flow.sealed import ANSWERS_TOPIC
from ...messages import ErasureOrdered, LabelSettled
from ...query.orders import Order, Orders, fault_of, name_of
from ...settings.kafka import KafkaSettings
from .client import make_consumer, make_producer
from .connection import Connection
from .reading import QUICK, Reader, retraining_in, start_client

T = TypeVar("T")

BACK_S = 7 * 86_400
"""How far back to look for an order that was placed before."""

WRITE_S_MAX = 10.0


class KafkaOrders(Connection):
    """Places orders and reads what became of them. Not for two threads at once.

    Raises `Unreachable` while the brokers are away.
    """

    going_on = "do workers have all partitions?"

    def __init__(self, settings: KafkaSettings, sealer: Sealer | None = None) -> None:
        super().__init__(settings)
        self._sealer = sealer
        self._outcomes = OrderOutcomes(settings, int(1_000 * (time.time() - BACK_S)))
        # Orders on their way to the training log, which is read first.
        self._placed = Orders()
        self._reader: Reader
        self._producer: Any = None

    def place(self, order: Order) -> bool:
        """Place an order; return false if its kind and key are known from the last seven days.

        When this returns all replicas in sync have it. Raises `BadSettings` for an order that could
        not be carried out.
        """
        if fault := fault_of(order):
            raise BadSettings(fault)
        return self._run_coroutine(self._place_order(order))

    def find_order(self, order: Order) -> dict[str, Any] | None:
        """Return what is known of the order of this kind and key, as `RoundOutcomes.find_round`."""
        return self._run_coroutine(self._find_order(order))

    async def _start_clients(self, stack: AsyncExitStack) -> None:
        self._reader = Reader(
            await start_client(stack, make_consumer(self._settings, **QUICK)), retraining_in(None)
        )
        self._producer = await start_client(stack, make_producer(self._settings))

    def labelled_requests(self, is_wanted: Callable[[LabelSettled], bool]) -> set[str]:
        """Return the requests with wanted labels in the training log, less those erased since."""
        routine = find_labelled_requests(Part(self._settings.training, 0), is_wanted)
        return self._run_coroutine(self._read_logs(routine))

    def event_ends(self) -> dict[int, int]:
        """Return where each partition of the events ends."""
        return self._run_coroutine(self._event_ends())

    async def _event_ends(self) -> dict[int, int]:
        topic = self._settings.events
        # The producer knows the partitions only after it was first asked for them.
        await self._producer.partitions_for(topic)
        numbers = await self._producer.partitions_for(topic)
        parts = tuple(Part(topic, number) for number in sorted(numbers))
        bounds = await self._reader.find_bounds(parts)
        return {part.partition: part_bounds.end for part, part_bounds in bounds.items()}

    async def _find_order(self, order: Order) -> dict[str, Any] | None:
        outcome = await self._find_erasure(order)
        return (
            {"state": "ordered"} if outcome is None and name_of(order) in self._placed else outcome
        )

    async def _find_erasure(self, order: Order) -> dict[str, Any] | None:
        """Return what is known of an order; an erasure is over once all desks and shards are."""
        if not isinstance(order, ErasureOrdered):
            return await self._read_logs(self._outcomes.read_order(name_of(order)))
        desks = range(self._settings.desk_partitions)
        names = [name_of(msgspec.structs.replace(order, desk=desk)) for desk in desks]
        return combine_erasures(
            [await self._read_logs(self._outcomes.read_order(name)) for name in names]
        )

    async def _read_logs(self, routine: Routine[T]) -> T:
        try:
            return await self._reader.run_routine(routine)
        finally:
            self._reader.stop_reading()

    async def _place_order(self, order: Order) -> bool:
        if await self._find_order(order) is not None:
            return False
        value = msgspec.json.encode(order)
        if self._sealer is not None:
            value = self._sealer.seal(value, ANSWERS_TOPIC, ORDER_KEY.decode())
        async with asyncio.timeout(WRITE_S_MAX):
            await self._producer.send_and_wait(self._settings.answers, value, key=ORDER_KEY)
        if order.key:
            self._placed.is_known(name_of(order))
        return True
