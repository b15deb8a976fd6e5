"""Clients for a program that is not asynchronous: opened when needed, and again after a fault."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from ...bridges.bridge import Unreachable
from ...errors import BadInput
from ...settings.kafka import KafkaSettings
from .client import NoBroker, check_brokers, import_extra
from .faults import find_lasting, is_passing

T = TypeVar("T")


class Connection(ABC):
    """An event loop of its own and the clients in it, which `_start_clients` starts."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._runner = asyncio.Runner()
        self._opened: AsyncExitStack | None = None

    @abstractmethod
    async def _start_clients(self, stack: AsyncExitStack) -> None:
        """Start the clients; the stack stops them."""

    def _run_coroutine(self, act: Coroutine[Any, Any, T]) -> T:
        """Connect if need be, run a coroutine and return its result.

        Raises `Unreachable` while the brokers are away, `BadInput` for a fault that won't pass.
        """
        return self._runner.run(self._run_connected(act))

    def close(self) -> None:
        if self._opened is not None:
            self._runner.run(self._opened.aclose())
        self._runner.close()

    async def _run_connected(self, act: Coroutine[Any, Any, T]) -> T:
        kafka_error = import_extra("aiokafka.errors").KafkaError
        try:
            if self._opened is None:
                await check_brokers(self._settings)
                async with AsyncExitStack() as stack:
                    await self._start_clients(stack)
                    self._opened = stack.pop_all()
            return await act
        except (Unreachable, NoBroker, OSError, TimeoutError, kafka_error) as error:
            act.close()
            if self._opened is not None:
                await self._opened.aclose()
                self._opened = None
            if isinstance(error, Unreachable):
                raise
            if not is_passing(error):
                raise BadInput(f"Kafka: {find_lasting(error)}") from error
            raise Unreachable(f"Kafka: {str(error) or type(error).__name__}") from error
