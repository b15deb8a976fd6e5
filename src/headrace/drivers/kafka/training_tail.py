"""The training log, read ahead of the flow from the offset that the flow names."""

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

    def follow_part(self, part: Part, position: int) -> None:
        """Read this part from this offset on."""
        self._consumer.assign([partition_of(*part)])
        self._consumer.seek(partition_of(*part), position)
        self._is_followed.set()

    async def until_followed(self) -> None:
        """Wait until it is known from where to read."""
        await self._is_followed.wait()

    async def read(self) -> list[list[Any]]:
        """Return the records that come next, as they came; wait a second for them at most."""
        by_partition = await self._consumer.getmany(timeout_ms=1_000, max_records=1_000)
        return [*by_partition.values()]
