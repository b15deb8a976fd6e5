"""What reading an inference log from Kafka costs: bare clients, the worker, a Faust agent; one run.

    python bench/event_path.py [--events 200000]

Starts a broker of its own, writes events of 0.4 kB with 20 features to 4 partitions, and reads them
in turn: with nothing done, with JSON decoded, as the worker reads them (into columns), by the whole
worker, and by a Faust agent that decodes JSON. What counts is CPU an event of the reading process;
the broker takes CPU of the same machine, so the rates are lower bounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from headrace.drivers.kafka import client
from headrace.drivers.kafka.reading import partition_of
from headrace.drivers.kafka.station import Station
from headrace.observe.decode import Decoder
from headrace.settings import Settings, parse
from kafka.broker import Broker

PARTITIONS_N = 4
FAUST_EVENTS_N = 20_000


def settings_of(servers: str, folder: str, share: float) -> Settings:
    name = f"bench-{share}"
    return parse(
        {
            "schema": {"classes": ["a", "b"]},
            "query": {"budget": {"share": share}},
            "kafka": {
                "servers": [servers],
                "group": name,
                "journal": f"{name}-journal",
                "desk": f"{name}-desk",
            },
            "worker": {"snapshots": f"{folder}/{name}"},
        }
    )


async def fill(settings: Settings, events_n: int) -> None:
    """Write the events."""
    luck, producer = random.Random(1), client.make_producer(settings.kafka)
    await producer.start()
    sent: list[Any] = []
    for i in range(events_n):
        features = {f"f{j}": round(luck.random(), 6) for j in range(20)}
        value = json.dumps({"id": f"e{i}", "at": 1.7e9 + i * 0.01, "features": features}).encode()
        sent.append(await producer.send("inference", value, partition=i % PARTITIONS_N))
        if len(sent) == 20_000:
            await asyncio.gather(*sent)
            sent = []
    await asyncio.gather(*sent)
    await producer.stop()


async def bare(
    settings: Settings, events_n: int, decode: Callable[[Sequence[bytes]], object]
) -> tuple[float, float]:
    """CPU seconds and seconds of a loop over getmany."""
    consumer = client.make_consumer(settings.kafka)
    await consumer.start()
    consumer.assign([partition_of("inference", p) for p in range(PARTITIONS_N)])
    await consumer.seek_to_beginning()
    read_n, cpu, began = 0, time.process_time(), time.perf_counter()
    while read_n < events_n:
        for records in (await consumer.getmany(timeout_ms=500, max_records=2_000)).values():
            read_n += len(records)
            decode([record.value for record in records])
    found = time.process_time() - cpu, time.perf_counter() - began
    await consumer.stop()
    return found


async def worker(settings: Settings, events_n: int) -> tuple[float, float]:
    """The same of the whole worker, from the first event to the last that is done with."""
    station, stop = Station(settings, note=lambda sentence: None), asyncio.Event()
    running = asyncio.create_task(station.run(stop))
    while station.session is None or station.why_not_ready():
        await asyncio.sleep(0.01)
    session = station.session
    first_n = sum(owned.arrived for owned in session.flow.shards.values())
    cpu, began = time.process_time(), time.perf_counter()
    while sum(owned.arrived for owned in session.flow.shards.values()) < events_n:
        await asyncio.sleep(0.02)
    done_n = events_n - first_n
    found = (
        (time.process_time() - cpu) * events_n / done_n,
        (time.perf_counter() - began) * events_n / done_n,
    )
    stop.set()
    await running
    return found


def faust_agent(servers: str, folder: str) -> tuple[float, float, int]:
    """CPU seconds, seconds and events of a Faust agent that decodes JSON, in its own process."""
    program = _FAUST.replace("SERVERS", servers).replace("N_MAX", str(FAUST_EVENTS_N))
    path = Path(folder) / "faust_agent.py"
    path.write_text(program)
    done = subprocess.run(
        [sys.executable, str(path), "worker", "-l", "error", "--without-web"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    for line in done.stdout.splitlines():
        if line.startswith("CPU "):
            _, cpu, seconds, n = line.split()
            return float(cpu), float(seconds), int(n)
    raise SystemExit(f"the Faust agent told nothing:\n{done.stdout}\n{done.stderr[-2000:]}")


_FAUST = """
import json, os, signal, sys, time
import faust
app = faust.App("bench-faust", broker="kafka://SERVERS", web_enabled=False, datadir=".",
                topic_disable_leader=True, consumer_auto_offset_reset="earliest",
                value_serializer="raw", topic_allow_declare=False)
events = app.topic("inference", value_type=bytes, value_serializer="raw")
@app.agent(events)
async def read(stream):
    n = 0
    async for value in stream:
        json.loads(value)
        n += 1
        if n == 1_000:
            cpu, began = time.process_time(), time.perf_counter()
        if n == N_MAX + 1_000:
            told = f"CPU {time.process_time() - cpu} {time.perf_counter() - began} {N_MAX}\\n"
            os.write(1, told.encode())
            os.kill(os.getpid(), signal.SIGKILL)
app.main()
"""


def main() -> int:
    """Measure and print a table; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=200_000, help="events read by each")
    events_n = parser.parse_args().events
    with Broker() as broker, tempfile.TemporaryDirectory() as folder:
        broker.topics.create("inference", partitions=PARTITIONS_N)
        settings = settings_of(broker.servers, folder, 0.01)
        asyncio.run(fill(settings, events_n))
        generic, columns = msgspec.json.Decoder(), Decoder(settings.input)
        rows: list[tuple[str, float, float, int]] = []

        def row(name: str, found: tuple[float, float], n: int = events_n) -> None:
            rows.append((name, *found, n))

        row("bare getmany", asyncio.run(bare(settings, events_n, len)))
        decode = lambda values: [generic.decode(value) for value in values]  # noqa: E731
        row("bare getmany + JSON decoded", asyncio.run(bare(settings, events_n, decode)))
        row(
            "the worker's reading: into columns",
            asyncio.run(bare(settings, events_n, columns.decode)),
        )
        for share, name in ((0.0001, "the worker, watching"), (0.01, "the worker, asking 1 %")):
            chosen = settings_of(broker.servers, folder, share)
            row(name, asyncio.run(worker(chosen, events_n)))
        cpu, seconds, n = faust_agent(broker.servers, folder)
        row("a Faust agent, JSON decoded", (cpu, seconds), n)
    reference = rows[1][1] / rows[1][3]
    sys.stdout.write(f"{'':36}{'CPU us':>8}{'events/s':>12}{'of bare + JSON':>16}\n")
    for name, cpu, seconds, n in rows:
        each = cpu / n
        sys.stdout.write(
            f"{name:36}{each * 1e6:8.1f}{n / seconds:12,.0f}{reference / each:16.0%}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
