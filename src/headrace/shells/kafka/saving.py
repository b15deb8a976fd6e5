"""Snapshots of everything a worker owns, taken at one moment and written beside the loop.

Only what has arrived may be in one: a snapshot says that its shard decided so far, and nobody looks
again whether the requests of before were sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from .states import frozen_log

if TYPE_CHECKING:
    from .session import Session


class Saver:
    """Saves a session. `at` is when it last did, by the clock of the day; `began_at` monotonic."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.at: float | None = None
        self.began_at = time.monotonic()
        self.failed_n = 0
        self.bytes_n: int | None = None
        self._writing: asyncio.Task[None] | None = None

    async def save(self) -> None:
        """Freeze everything as it stands; it is then written while the loop goes on.

        Called by the loop, between two feeds, when all that was handed over has arrived.
        """
        session = self._session
        self.began_at = time.monotonic()
        await session.hand_over()
        await session.outbox.drained()
        if self._writing is not None and not self._writing.done():
            session.note(
                "snapshots take longer to write than worker.snapshot_every_s; one is left out"
            )
            return
        self._writing = asyncio.create_task(self._write(self._writes()))

    async def finish(self) -> None:
        """Returns when what was being written is written."""
        if self._writing is not None:
            await self._writing

    async def _write(self, writes: list[Callable[[], object]]) -> None:
        session = self._session
        try:
            await session.in_thread(_all, writes)
        except OSError as error:
            self.failed_n += 1
            session.note(f"snapshots could not be written: {error}; going on without")
        else:
            self.at = session.clock()

    def _writes(self) -> list[Callable[[], object]]:
        session, states = self._session, self._session.states
        training, position = frozen_log(session.training.log), session.training.position
        self.bytes_n = len(training)
        writes: list[Callable[[], object]] = [partial(states.write_training, training, position)]
        for owned in session.shards_now():
            shard = owned.shard
            if shard.is_due or owned.done != shard.journal:
                # A rebalance came between, and what it decided is not all sent.
                continue
            positions: dict[str, int | str] = {
                "events": shard.position,
                "training": position,
                "journal": shard.journal,
                "rules": shard.rules,
                "writer": owned.writer,
            }
            blob = shard.freeze()
            self.bytes_n += len(blob)
            writes.append(partial(states.write_shard, shard.partition, blob, training, positions))
        for number, desk in session.desks.items():
            blob = desk.desk.freeze()
            self.bytes_n += len(blob)
            writes.append(partial(states.write_desk, number, blob, desk.desk.position))
        return writes


def _all(calls: list[Callable[[], object]]) -> None:
    for call in calls:
        call()
