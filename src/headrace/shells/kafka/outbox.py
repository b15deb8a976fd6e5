"""What a worker has decided, carried out in an order that a kill at any instant can't spoil.

A parcel goes out in three strides, each acknowledged by the brokers before the next begins: the
step in the journal; requests into the log of their desk; requests to the annotators and all else.
Then its offsets may be committed. Parcels that wait are carried out together, so that the three
waits are shared, and while they last the next events are decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

from ...flow.parcels import FencedError, Parcel, Post

STOP_S_MAX = 5.0
"""How long a client may take to stop: a producer waits for brokers that are away."""


class Outbox:
    """A bounded queue of parcels and the task that carries them out."""

    def __init__(self, producer: Any, waiting_max: int) -> None:
        self._producer = producer
        self._queue: asyncio.Queue[Parcel] = asyncio.Queue(waiting_max)

    async def put(self, parcel: Parcel) -> None:
        """Hand over a parcel; waits while too many are on their way."""
        await self._queue.put(parcel)

    async def drained(self) -> None:
        """Returns when everything handed over has arrived."""
        await self._queue.join()

    async def run(self) -> None:
        """Carry out for ever. Raises `FencedError`, or what the producer raises."""
        while True:
            parcels = [await self._queue.get()]
            while not self._queue.empty():
                parcels.append(self._queue.get_nowait())
            await self._carry_out(parcels)
            for parcel in parcels:
                parcel.arrived()
                self._queue.task_done()

    async def _carry_out(self, parcels: list[Parcel]) -> None:
        steps = [parcel for parcel in parcels if parcel.journal is not None]
        written = await self.send([parcel.journal for parcel in steps if parcel.journal])
        for parcel, found in zip(steps, written, strict=True):
            if found.offset != parcel.offset:
                raise FencedError(
                    f"the journal of partition {found.partition} was written by another worker: "
                    f"offset {parcel.offset} is its own"
                )
        await self.send([post for parcel in parcels for post in parcel.to_desks])
        await self.send([post for parcel in parcels for post in parcel.to_others])

    async def send(self, posts: Sequence[Post]) -> list[Any]:
        """Send these, in order, and wait until the brokers have them; what they say of each."""
        futures = [
            await self._producer.send(
                post.topic,
                post.value,
                key=post.key,
                partition=post.partition,
                headers=list(post.headers),
            )
            for post in posts
        ]
        return list(await asyncio.gather(*futures))


async def started(stack: AsyncExitStack, asleep: Any) -> Any:
    """A client, started, and stopped with the stack, in good time even if no broker answers."""

    async def stopped() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(asleep.stop(), STOP_S_MAX)

    stack.push_async_callback(stopped)
    await asleep.start()
    return asleep
