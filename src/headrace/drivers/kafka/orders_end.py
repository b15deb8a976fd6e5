"""Orders of people beside workers on Kafka: placed among the answers, and what became of them."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from ...adapters.sealing import Sealer
from ...errors import BadSettings
from ...flow.orders import ORDER_KEY
from ...flow.orders_told import OrdersTold
from ...flow.sealed import ANSWERS_TOPIC
from ...query.orders import Order, fault_of, name_of
from ...settings.kafka import KafkaSettings
from .client import consumer, producer
from .connection import Connection
from .reading import QUICK, Reader, retraining_in, started

BACK_S = 7 * 86_400
"""How far back an order is looked for that was placed before."""

WRITE_S_MAX = 10.0


class KafkaOrders(Connection):
    """Places orders and says what became of them. Not for two threads at once.

    Raises `Unreachable` while the brokers are away.
    """

    going_on = "do workers have all partitions?"

    def __init__(self, settings: KafkaSettings, sealer: Sealer | None = None) -> None:
        super().__init__(settings)
        self._sealer = sealer
        self._told = OrdersTold(settings, int(1_000 * (time.time() - BACK_S)))
        self._reader: Reader
        self._producer: Any = None

    def place(self, order: Order) -> bool:
        """Order; false if one of its kind with its key was carried out in the last seven days.

        When this returns all replicas in sync have it. Raises `BadSettings` for an order that could
        not be carried out.
        """
        if fault := fault_of(order):
            raise BadSettings(fault)
        return self._run(self._place(order))

    def found(self, order: Order) -> dict[str, Any] | None:
        """What is known of the order of this kind with this key, as `RoundsTold.round` says it."""
        return self._run(self._found(order))

    async def _connect(self, stack: AsyncExitStack) -> None:
        self._reader = Reader(
            await started(stack, consumer(self._settings, **QUICK)), retraining_in(None)
        )
        self._producer = await started(stack, producer(self._settings))

    async def _found(self, order: Order) -> dict[str, Any] | None:
        try:
            return await self._reader.run(self._told.read(name_of(order)))
        finally:
            self._reader.rest()

    async def _place(self, order: Order) -> bool:
        if await self._found(order) is not None:
            return False
        value = msgspec.json.encode(order)
        if self._sealer is not None:
            value = self._sealer.seal(value, ANSWERS_TOPIC, ORDER_KEY.decode())
        async with asyncio.timeout(WRITE_S_MAX):
            await self._producer.send_and_wait(self._settings.answers, value, key=ORDER_KEY)
        return True
