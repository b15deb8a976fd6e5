"""Partitions that were just assigned, made ready one after the other beside the loop.

A rebalance ends this at any await, so the order matters: what may not have been sent goes out
before a shard is ours, and between the last entry it hears from its own reading and the first from
the worker's trainer nothing is awaited.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from ...flow.mail import OwnedDesk, OwnedShard
from ...messages import DriftChanged, LabelRequested
from . import client
from .faults import GrownError
from .outbox import started
from .places import check_place
from .reading import QUICK, partition_of, read_since
from .recovery import Recovered, Recovery, UnusableError

if TYPE_CHECKING:
    from .session import Session

WAIT_S = 0.05
DOUBT_MS = 60_000
"""How far back requests are looked for that may have been sent: clocks of two workers differ."""


async def take_over(session: Session, events: set[int], desks: set[int]) -> None:
    """Make anew what is assigned and not there yet: desks first, they are quick.

    Raises `GrownError` for a partition that came into being since the session began.
    """
    for number in sorted(desks - session.desks.keys()):
        await _take_over_desk(session, number)
    for number in sorted(events - session.shards.keys()):
        if number >= session.partitions_n:
            name = session.settings.kafka.events
            raise GrownError(f"{name} has more than {session.partitions_n} partitions now")
        await _take_over_shard(session, number)
    if session.settings.worker.standby:
        for number in range(session.settings.kafka.desk_partitions):
            if number not in desks and not session.standby.follows(number):
                desk = await session.in_thread(session.states.desk, number)
                session.standby.keep(desk)


async def _take_over_desk(session: Session, number: int) -> None:
    tp = partition_of(session.settings.kafka.desk, number)
    desk = session.standby.take(number)
    if desk is None:
        desk = await session.in_thread(session.states.desk, number)
    while not session.is_caught_up:
        await asyncio.sleep(WAIT_S)
    committed = await session.consumer.committed(tp)
    first, end = await session.places.bounds(tp)
    heard = session.training.log.heard(number)
    check_place(tp, max(desk.position, heard[0] + 1), end)
    if first > desk.position > 0:
        session.places.lose(tp, desk.position, first, "requests in them are known no more")
    desk.position = max(first, desk.position)
    session.desks[number] = OwnedDesk(
        desk, said_to=committed or 0, heard=heard, arrived=desk.position
    )
    session.consumer.seek(tp, desk.position)
    session.consumer.resume(tp)


async def _take_over_shard(session: Session, number: int) -> None:
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        consumer = await started(stack, client.consumer(session.settings.kafka, **QUICK))
        recovery, found = await _recovered(session, number, consumer)
        shard, log = found.shard, found.log
        tp = partition_of(session.settings.kafka.events, number)
        first, end = await session.places.bounds(tp)
        check_place(tp, shard.position, end)
        if first > shard.position:
            # A shard that has seen nothing yet begins where its log does.
            if shard.journal >= 0:
                session.places.lose(
                    tp, shard.position, first, "its shard goes on without these events"
                )
            shard.seek(first)
        owned = OwnedShard(
            shard, found.journal_end, found.done, arrived=shard.position, writer=found.writer
        )
        sent = await _sent_since(session, found)
        if found.unsent is not None:
            parcel = session.mail.of_outputs(owned, found.unsent, shard.journal, sent)
            await session.outbox.put(parcel)
        # The trainer of this worker goes on meanwhile, and may have been behind.
        while shard.training != session.training.position:
            if shard.training < session.training.position:
                await recovery.catch_up(shard, log, session.training.position)
            else:
                await asyncio.sleep(WAIT_S)
        # Nothing is awaited until the shard is one of ours, or it would miss an entry.
        shard.attach(session.training.trainer)
        session.shards[number] = owned
        session.now = max(session.now, shard.shard.admission.clock.sure)
        session.consumer.seek(tp, shard.position)
        session.consumer.resume(tp)
    session.note(
        f"partition {number} taken over in {time.monotonic() - began:.1f} s: {found.events_n} "
        "events read again"
    )


async def _recovered(session: Session, number: int, consumer: object) -> tuple[Recovery, Recovered]:
    """The shard from its newest snapshot, or from its logs alone where that can't be used."""
    states, partitions_n = session.states, session.partitions_n
    shard, log, positions = await session.in_thread(states.shard, number, partitions_n)
    while True:
        recovery = Recovery(
            session.settings, session.decoder, consumer, session.threads, session.warn
        )
        try:
            return recovery, await recovery.run(shard, log, writer=str(positions["writer"]))
        except UnusableError as error:
            session.warn(f"the snapshot of partition {number} is passed over: {error}")
            shard, log, positions = await session.in_thread(states.unborn, number, partitions_n)


async def _sent_since(session: Session, found: Recovered) -> frozenset[bytes]:
    """What is on its topic already of what is in doubt: ids of requests, changes of drift whole."""
    kafka, outputs = session.settings.kafka, found.unsent.outputs if found.unsent else []
    since_ms, sent = found.since_ms - DOUBT_MS, set[bytes]()
    if any(isinstance(output, LabelRequested) for output in outputs):
        tps = [partition_of(kafka.requests, n) for n in range(session.request_partitions_n)]
        sent |= {record.key for record in await read_since(session.reader, tps, since_ms)}
    if any(isinstance(output, DriftChanged) for output in outputs):
        tps = [partition_of(kafka.drift, 0)]
        sent |= {record.value for record in await read_since(session.reader, tps, since_ms)}
    return frozenset(sent)
