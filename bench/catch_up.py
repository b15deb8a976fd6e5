"""A backlog on Kafka worked off by 1, 2 and 4 worker processes; memory while a long one goes by.

    python bench/catch_up.py [--events 400000] [--workers 1,2,4] [--long 4000000]

Starts a broker of its own, writes events of 0.4 kB with 20 features to 8 partitions, and starts so
many workers at once: one group, events by partition, one trainer. One in a hundred is asked, nobody
answers. Two figures a row: events a second from the moment when all are ready until the group has
committed the last event, which needs a core for each process and one for the broker; and the CPU of
all workers for an event, which does not. The long backlog is read by one worker, whose memory is
told at each quarter. By the second quarter all limits are full (ids, ended requests); exits 1 when
the last quarter's peak is more than a tenth above the second's.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from kafka.broker import Broker  # noqa: E402  the path comes first
from kafka.workers import Worker, make_events, settings_of  # noqa: E402
from soak import start_alone  # noqa: E402

PARTITIONS_N = 8
FEATURES_N = 20
BATCH_BYTES = 256 * 1024
LOOK_EVERY_S = 0.5
LEFT_S_MAX = 3_600.0
GROWTH_MAX = 1.1
READY_S_MAX = 900.0
QUARTERS_N = 4

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Look:
    """How far the group is at one moment: events committed, memory of the largest worker."""

    at_s: float
    taken_n: int
    rss_mib: float


@dataclass(frozen=True)
class Backlog:
    """One backlog worked off; CPU is that of all workers since they were ready."""

    workers_n: int
    events_n: int
    cpu_s: float
    load: float
    looks: list[Look]

    @property
    def wall_s(self) -> float:
        return self.looks[-1].at_s

    def peaks_mib(self) -> list[float]:
        """The peak of memory in each quarter of the events."""
        peaks = [0.0] * QUARTERS_N
        for look in self.looks:
            quarter = min(QUARTERS_N - 1, look.taken_n * QUARTERS_N // self.events_n)
            peaks[quarter] = max(peaks[quarter], look.rss_mib)
        return peaks


def make_settings(name: str, servers: str, folder: Path) -> Settings:
    """The defaults with the linear model, one label in a hundred events."""
    settings = settings_of(name, servers, folder, query={"budget": {"share": 0.01}})
    settings["schema"] = {"classes": ["high", "low"]}
    for section in ("observe", "drift", "learn", "label"):
        del settings[section]
    del settings["worker"]["snapshot_every_s"]
    return dict(settings)


async def write_events(servers: str, topic: str, events_n: int) -> None:
    """Write the events, partition by partition in turn, as whole batches."""
    draws = np.random.default_rng(1)
    names = [f"f{i}" for i in range(FEATURES_N)]
    encode = msgspec.json.Encoder().encode
    producer = AIOKafkaProducer(bootstrap_servers=servers, max_batch_size=BATCH_BYTES)
    async with producer:
        batches = [producer.create_batch() for _ in range(PARTITIONS_N)]

        async def send(partition: int) -> None:
            await producer.send_batch(batches[partition], topic, partition=partition)
            batches[partition] = producer.create_batch()

        for first in range(0, events_n, 1_000):
            rows = draws.random((min(1_000, events_n - first), FEATURES_N)).round(6).tolist()
            for i, row in enumerate(rows, first):
                features = dict(zip(names, row, strict=True))
                value = encode({"id": f"e{i}", "at": 1.7e9 + i * 0.01, "features": features})
                partition = i % PARTITIONS_N
                if batches[partition].append(key=None, value=value, timestamp=None) is None:
                    await send(partition)
                    batches[partition].append(key=None, value=value, timestamp=None)
        for partition in range(PARTITIONS_N):
            await send(partition)
        await producer.flush()


def work_off(
    broker: Broker, folder: Path, workers_n: int, events_n: int, progress: Progress
) -> Backlog:
    """Write a backlog to topics of its own, start the workers and watch until it is committed."""
    name = f"catch-up-{workers_n}-{events_n}"
    settings = make_settings(name, broker.servers, folder)
    topic, group = settings["kafka"]["events"], settings["kafka"]["group"]
    make_events(broker, settings, PARTITIONS_N)
    bar = progress.add_task(f"{workers_n} workers, {events_n:,} events", total=events_n)
    asyncio.run(write_events(broker.servers, topic, events_n))

    def committed_n() -> int:
        places = broker.topics.committed(group)
        return sum(n for (name, _), n in places.items() if name == topic)

    workers = [
        Worker(settings, folder, f"{name}-w{i}", python=start_alone) for i in range(workers_n)
    ]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.wait_ready(READY_S_MAX)
        first_n, cpu_before = committed_n(), sum(worker.cpu_s() for worker in workers)
        began, looks = time.monotonic(), list[Look]()
        while not looks or first_n + looks[-1].taken_n < events_n:
            time.sleep(LOOK_EVERY_S)
            for worker in workers:
                worker.check()
            taken_n = committed_n()
            rss_mib = max(worker.rss_mib() for worker in workers)
            looks.append(Look(time.monotonic() - began, taken_n - first_n, rss_mib))
            progress.update(bar, completed=taken_n)
            if looks[-1].at_s > LEFT_S_MAX:
                raise SystemExit(f"{events_n - taken_n:,} events are left after an hour")
        cpu_s = sum(worker.cpu_s() for worker in workers) - cpu_before
    finally:
        for worker in workers:
            worker.kill()
    return Backlog(workers_n, events_n - first_n, cpu_s, os.getloadavg()[0], looks)


def rates_table(backlogs: list[Backlog]) -> str:
    """Rows for the docs: what several processes bring."""
    first = backlogs[0]
    lines = [
        "| workers | events | events/s | against one | CPU µs an event, all workers | load |",
        "|---|---|---|---|---|---|",
    ]
    for backlog in backlogs:
        rate = backlog.events_n / backlog.wall_s
        ratio = rate / (first.events_n / first.wall_s)
        cpu_us = 1e6 * backlog.cpu_s / backlog.events_n
        lines.append(
            f"| {backlog.workers_n} | {backlog.events_n:,} | {rate:,.0f} | {ratio:.2f} "
            f"| {cpu_us:.1f} | {backlog.load:.1f} |"
        )
    return "\n".join(lines)


def memory_table(backlog: Backlog) -> str:
    """Rows for the docs: the peak of memory by quarter of a long backlog."""
    lines = ["| events worked off | peak memory, MiB |", "|---|---|"]
    for quarter, peak in enumerate(backlog.peaks_mib(), 1):
        lines.append(f"| {backlog.events_n * quarter // QUARTERS_N:,} | {peak:.0f} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=400_000, help="of each backlog")
    parser.add_argument("--workers", default="1,2,4", help="how many at once, with commas")
    parser.add_argument("--long", type=int, default=4_000_000, help="the long one; 0: none")
    arguments = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        tempfile.TemporaryDirectory() as name,
        Broker() as broker,
        Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress,
    ):
        folder = Path(name)
        counts = [int(text) for text in arguments.workers.split(",")]
        backlogs = [work_off(broker, folder, n, arguments.events, progress) for n in counts]
        long = work_off(broker, folder, 1, arguments.long, progress) if arguments.long else None
    print(f"{os.cpu_count()} cores, {PARTITIONS_N} partitions\n")
    print(rates_table(backlogs))
    if long is None:
        return 0
    print(f"\n{memory_table(long)}")
    peaks = long.peaks_mib()
    return int(peaks[-1] > GROWTH_MAX * peaks[1])


if __name__ == "__main__":
    sys.exit(main())
