"""`headrace lag`: how far the workers are behind, in records and in seconds.

The command asks the brokers alone. It joins no group and moves no offset, so it may run beside the
workers, or when none runs.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from ...drivers.kafka import client
from ...drivers.kafka.cluster import Cluster, connect_cluster
from ...drivers.kafka.reading import partition_of, start_client
from ...drivers.kafka.topics import format_span
from ...errors import BadInput, BadSettings
from ...settings import Settings
from .shared import add_settings, load_settings, make_table, show_table

SHARED = ("events", "desk", "answers", "drift")
"""The settings of the topics whose partitions the workers share."""

READ_MAX_S = 10.0
"""Seconds to wait for the records at the committed offsets; then their age stays unknown."""

FETCH_BYTES = 16_384


class PartitionLag(msgspec.Struct, frozen=True, kw_only=True):
    """The lag of one partition. `committed` is the next offset the group reads; None: none yet.

    `lag_s` is the age of the record there, None where that can't be read; 0.0 without lag.
    """

    topic: str
    partition: int
    committed: int | None
    end: int
    lag_n: int
    lag_s: float | None


class WorkerLag(msgspec.Struct, frozen=True, kw_only=True):
    """A worker in the group, and how many partitions it has of each topic."""

    name: str
    host: str
    partitions: dict[str, int]


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """A group at one moment, `at`. `training_n` is the length of the training log."""

    group: str
    at: float
    workers: list[WorkerLag]
    partitions: list[PartitionLag]
    training_n: int

    def is_above(self, records_max: int | None, seconds_max: float | None) -> bool:
        """Whether any partition is further behind; an unknown age counts as above `seconds_max`."""
        return any(
            (records_max is not None and partition.lag_n > records_max)
            or (
                seconds_max is not None
                and (partition.lag_s is None or partition.lag_s > seconds_max)
            )
            for partition in self.partitions
        )


async def lag_of(settings: Settings) -> Lag:
    """Measure the lag of the workers' group now.

    Raises `NoBroker` if none answers, `BadInput` if there is no inference log, `BadSettings` for
    what the brokers refuse.
    """
    kafka = settings.kafka
    async with connect_cluster(kafka) as cluster, AsyncExitStack() as stack:
        topics = await cluster.list_topics()
        if kafka.events not in topics:
            raise BadInput(f"there is no topic {kafka.events!r}; set kafka.events")
        names = [getattr(kafka, setting) for setting in SHARED]
        tps = [
            partition_of(name, number)
            for name in names
            if name in topics
            for number in range(topics[name].partitions_n)
        ]
        workers = await _list_workers(cluster, kafka.group)
        committed = await cluster.read_committed(kafka.group)
        reader = await start_client(
            stack, client.make_consumer(kafka, max_partition_fetch_bytes=FETCH_BYTES)
        )
        log = [partition_of(kafka.training, 0)] if kafka.training in topics else []
        first = await reader.beginning_offsets([*tps, *log])
        end = await reader.end_offsets([*tps, *log])
        at = time.time()
        # Records that retention deleted can't be read any more, and are no lag.
        starts = {tp: max(committed.get(tp, 0), first[tp]) for tp in tps}
        behind = {tp: start for tp, start in starts.items() if start < end[tp]}
        written = await _written_at(reader, behind, end)
    return Lag(
        group=kafka.group,
        at=at,
        workers=workers,
        partitions=[
            _measure_lag(tp, committed.get(tp), end[tp], at, start=behind.get(tp), written=written)
            for tp in tps
        ],
        training_n=sum(end[tp] - first[tp] for tp in log),
    )


def _measure_lag(
    tp: Any,
    committed: int | None,
    end: int,
    at: float,
    *,
    start: int | None,
    written: dict[Any, float | None],
) -> PartitionLag:
    """The lag of one partition. `start`: offset of the first unread record; None: all are read."""
    lag_n, lag_s = 0, 0.0
    written_at = written.get(tp, at)
    if start is not None and written_at is not None:
        lag_n, lag_s = end - start, max(0.0, at - written_at)
    return PartitionLag(
        topic=tp.topic,
        partition=tp.partition,
        committed=committed,
        end=end,
        lag_n=lag_n,
        lag_s=lag_s if start is None or tp in written else None,
    )


async def _list_workers(cluster: Cluster, group: str) -> list[WorkerLag]:
    return [
        WorkerLag(
            name=member.name,
            host=member.host,
            partitions={
                topic: len(numbers) for topic, numbers in sorted(member.partitions.items())
            },
        )
        for member in await cluster.list_members(group)
    ]


async def _written_at(
    reader: Any, starts: dict[Any, int], ends: dict[Any, int]
) -> dict[Any, float | None]:
    """When the first record at or after each start was written; seconds since the epoch.

    None where there is no record, only the marks that transactions leave. Partitions that could
    not be read in time are left out.
    """
    times: dict[Any, float | None] = {}
    reader.assign(list(starts))
    for tp, start in starts.items():
        reader.seek(tp, start)
    deadline = time.monotonic() + READ_MAX_S
    while len(times) < len(starts) and time.monotonic() < deadline:
        read = await reader.getmany(timeout_ms=500)
        for tp, records in read.items():
            times.setdefault(tp, records[0].timestamp / 1_000)
            reader.pause(tp)
        for tp in starts.keys() - times.keys():
            if await reader.position(tp) >= ends[tp]:
                times[tp] = None
    return times


# --------------------------------------------------------------------------------- headrace lag


def register(subparsers: Any) -> None:
    """Add `headrace lag`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "lag",
        help="how far the workers on Kafka are behind",
        description="For every partition that workers share out: what the group committed, where "
        "the topic ends, the lag in records and in seconds. Joins no group. See docs/KAFKA.md. "
        "Exit 0; 1: a lag is above --max-records or --max-seconds; 2: settings are wrong or no "
        "broker answers.",
    )
    add_settings(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--watch", type=float, metavar="S", help="again every so many seconds")
    parser.add_argument("--max-records", type=int, metavar="N", help="exit 1 above so many")
    parser.add_argument("--max-seconds", type=float, metavar="S", help="exit 1 above so old")
    parser.set_defaults(func=command)


def command(arguments: argparse.Namespace) -> int:
    """Run `headrace lag`; return the exit code. `--watch` ends when a lag is above its limit."""
    settings = load_settings(arguments)
    if arguments.watch is not None and not arguments.watch > 0:
        raise BadSettings(f"--watch is {arguments.watch}; must be above 0 (seconds)")
    while True:
        lag = asyncio.run(lag_of(settings))
        if arguments.json:
            sys.stdout.write(msgspec.json.encode(lag).decode() + "\n")
        else:
            show_lag(lag, is_again=arguments.watch is not None)
        sys.stdout.flush()
        if lag.is_above(arguments.max_records, arguments.max_seconds):
            return 1
        if arguments.watch is None:
            return 0
        time.sleep(arguments.watch)


_COLUMNS = ("topic", "partition", "committed", "end", "records", "seconds")


def show_lag(lag: Lag, *, is_again: bool = False) -> None:
    """Print the lag as a table; without a terminal as plain lines, whose format stays the same."""
    table = make_table()
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name == "topic" else "right", overflow="fold")
    show_table(table, map(_make_row, lag.partitions), describe_lag(lag), is_again=is_again)


def describe_lag(lag: Lag) -> list[str]:
    """Describe in sentences what the table does not show: workers, total lag, training log."""
    workers_n = len(lag.workers)
    sentences = [f"{workers_n or 'no'} worker{'s' * (workers_n != 1)} in the group {lag.group}"]
    for worker in lag.workers:
        assigned = ", ".join(f"{n} of {topic}" for topic, n in worker.partitions.items() if n)
        sentences.append(f"{worker.name} at {worker.host}: {assigned or 'no partition yet'}")
    records_n = sum(partition.lag_n for partition in lag.partitions)
    oldest_s = max((partition.lag_s or 0.0 for partition in lag.partitions), default=0.0)
    if records_n:
        sentences.append(f"{records_n:,} records behind, the oldest {format_span(oldest_s)} old")
    sentences.append(f"the training log holds {lag.training_n:,} entries")
    return sentences


def _make_row(one: PartitionLag) -> tuple[str, ...]:
    committed = "none" if one.committed is None else str(one.committed)
    seconds = "unknown" if one.lag_s is None else f"{one.lag_s:.1f}"
    return (one.topic, str(one.partition), committed, str(one.end), str(one.lag_n), seconds)
