"""The training log, read ahead of the flow from where it wants to follow it."""

from __future__ import annotations

import asyncio
from typing import Any

from ...flow.effects import Part
from .reading import partition_of


class TrainingTail:
    """A consumer without a group on the one partition of the training log."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._is_followed = asyncio.Event()

    def follow(self, part: Part, position: int) -> None:
        """Read on from here."""
        self._consumer.assign([partition_of(*part)])
        self._consumer.seek(partition_of(*part), position)
        self._is_followed.set()

    async def until_followed(self) -> None:
        """Returns once it is known from where to read."""
        await self._is_followed.wait()

    async def read(self) -> list[list[Any]]:
        """The records that come next, as they came; waits a second for them at most."""
        found = await self._consumer.getmany(timeout_ms=1_000, max_records=1_000)
        return [*found.values()]
