"""What reading an inference log from Kafka costs: bare clients, the worker, a Faust agent; one job.

Starts a broker of its own, writes events of 0.4 kB with 20 features to 4 partitions, and reads them
in turn: with nothing done, with JSON decoded by msgspec, as the worker reads them (into columns),
by the whole worker, and by a Faust agent that decodes JSON. What counts is CPU an event of the
reading process; the broker takes CPU of the same machine, so the rates are lower bounds. Bare
clients read as often as rows are repeated, the worker and the agent once.
"""

from __future__ import annotations

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
from bench.engine_plugin import Found
from bench.speed.rows import Row, Scale, memory_mib

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from headrace.drivers.kafka import client
from headrace.drivers.kafka.reading import partition_of
from headrace.drivers.kafka.supervisor import WorkerSupervisor
from headrace.observe.decode import Decoder
from headrace.settings import Settings, parse
from kafka.broker import Broker, BrokerMissing

PARTITIONS_N = 4
FAUST_EVENTS_N = 10_000
FAUST_WARM_N = 1_000
EVENTS_N_MIN = 30_000
BARE = "bare client: aiokafka and msgspec"
WATCHING, ASKING = "the worker, watching", "the worker, asking 1 %"


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
) -> Found:
    """A loop over getmany."""
    consumer = client.make_consumer(settings.kafka)
    await consumer.start()
    consumer.assign([partition_of("inference", p) for p in range(PARTITIONS_N)])
    await consumer.seek_to_beginning()
    read_n, cpu, began = 0, time.process_time(), time.perf_counter()
    while read_n < events_n:
        for records in (await consumer.getmany(timeout_ms=500, max_records=2_000)).values():
            read_n += len(records)
            decode([record.value for record in records])
    found = {
        "events": read_n,
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - began,
        "peak_mib": memory_mib("VmHWM"),
    }
    await consumer.stop()
    return found


async def worker(settings: Settings, events_n: int) -> Found:
    """The same of the whole worker, from the first event to the last that is done with."""
    supervisor, stop = WorkerSupervisor(settings, note=lambda sentence: None), asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop))
    while supervisor.driver is None or supervisor.why_not_ready():
        await asyncio.sleep(0.01)
    shards = supervisor.driver.flow.owned.shards
    first_n = sum(owned.arrived for owned in shards.values())
    cpu, began = time.process_time(), time.perf_counter()
    while sum(owned.arrived for owned in shards.values()) < events_n:
        await asyncio.sleep(0.02)
    found = {
        "events": events_n - first_n,
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - began,
        "labels": sum(owned.shard.shard.asking.budget.asked_n for owned in shards.values()),
        "peak_mib": memory_mib("VmHWM"),
    }
    stop.set()
    await running
    return found


def faust_agent(servers: str, folder: str) -> Found:
    """A Faust agent that decodes JSON, in its own process."""
    program = _FAUST.replace("SERVERS", servers).replace("N_MAX", str(FAUST_EVENTS_N))
    path = Path(folder) / "faust_agent.py"
    path.write_text(program.replace("N_WARM", str(FAUST_WARM_N)))
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
            return {"events": int(n), "cpu_s": float(cpu), "wall_s": float(seconds)}
    raise RuntimeError(f"the Faust agent told nothing:\n{done.stdout}\n{done.stderr[-2000:]}")


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
        if n == N_WARM:
            cpu, began = time.process_time(), time.perf_counter()
        if n == N_MAX + N_WARM:
            told = f"CPU {time.process_time() - cpu} {time.perf_counter() - began} {N_MAX}\\n"
            os.write(1, told.encode())
            os.kill(os.getpid(), signal.SIGKILL)
app.main()
"""


def jobs() -> dict[str, Callable[[Scale], list[Row]]]:
    """One job, since all read what one broker holds."""
    return {"kafka": _play}


def _play(scale: Scale) -> list[Row]:
    try:
        broker = Broker()
    except BrokerMissing as error:
        return [Row(name=name, note=f"no broker: make broker ({error})") for name in (BARE, ASKING)]
    events_n = max(EVENTS_N_MIN, 4 * scale.events_n)
    with broker, tempfile.TemporaryDirectory() as folder:
        broker.topics.create("inference", partitions=PARTITIONS_N)
        settings = settings_of(broker.servers, folder, 0.01)
        asyncio.run(fill(settings, events_n))
        generic, columns = msgspec.json.Decoder(), Decoder(settings.input)
        found: dict[str, Found] = {}

        def read(name: str, decode: Callable[[Sequence[bytes]], object]) -> None:
            tries = [asyncio.run(bare(settings, events_n, decode)) for _ in range(scale.repeats_n)]
            found[name] = min(tries, key=lambda one: one["cpu_s"])

        def decode_all(values: Sequence[bytes]) -> None:
            for value in values:
                generic.decode(value)

        read("aiokafka alone", len)
        read(BARE, decode_all)
        read("the worker's reading: into columns", columns.decode)
        for share, name in ((0.0001, WATCHING), (0.01, ASKING)):
            found[name] = asyncio.run(worker(settings_of(broker.servers, folder, share), events_n))
        found["a Faust agent, JSON decoded"] = faust_agent(broker.servers, folder)
    reference = 1e6 * found[BARE]["cpu_s"] / found[BARE]["events"]
    return [
        Row(
            name=name,
            events_n=one["events"],
            us=1e6 * one["cpu_s"] / one["events"],
            bare_us=reference,
            labels_n=one.get("labels"),
            peak_mib=one.get("peak_mib"),
            per_s=one["events"] / one["wall_s"],
        )
        for name, one in found.items()
    ]
