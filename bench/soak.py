"""The highest rate that a worker holds, held for a while: flat memory, bounded lag.

    python bench/soak.py [--minutes 20] [--rate N] [--share 0.01] [--table FILE] [--json FILE]

Starts a broker and one `headrace worker`. First a backlog is worked off, which tells what the
worker can do when nothing else runs; then events are sent at a little less, and ever less until the
lag stays small; at that rate the soak begins. Events have three numbers and drift every 200,000;
one in a hundred is asked about and answered within a second. Broker, sender and annotators run on
the same machine, so the rate is one for all of them together. Exits 1 when memory grew by more than
a tenth after the first quarter, or the lag got out of hand.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from kafka.broker import Broker  # noqa: E402  the path comes first
from kafka.topics import Topics  # noqa: E402
from kafka.workers import Worker, make_events, names_of, settings_of  # noqa: E402
from kafka.world import HONEST, Traffic, World, wait_until  # noqa: E402

DRIFT_EVERY_N = 200_000
BACKLOG_N = 100_000
BATCH_BYTES = 256 * 1024
PIECE_S = 0.1
SAMPLE_S = 5.0
TRIAL_S = 30.0
LAG_S_MAX = 2.0
LAG_OUT_OF_HAND_S = 30.0
GROWTH_MAX = 1.1
SHARES_OF_BEST = (0.9, 0.75, 0.6, 0.45, 0.3)


def start_alone(*words: str, **how: Any) -> subprocess.Popen[bytes]:
    """A process whose memory is all its own."""
    return subprocess.Popen([sys.executable, *words], **how)


@dataclass(frozen=True)
class Sample:
    """One look at the worker; seconds since the soak began."""

    at_s: float
    sent_n: int
    lag_n: int
    lag_s: float
    rss_mib: float
    cpu_s: float
    asked_n: int


class Sender:
    """Sends events at a rate from a process of its own; `rate` may be changed."""

    def __init__(self, servers: str, topic: str, partitions_n: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._rate, self._sent = context.Value("d", 0.0), context.Value("q", 0)
        arguments = (servers, topic, partitions_n, self._rate, self._sent)
        self._child = context.Process(target=_send, args=arguments, daemon=True)
        self._child.start()

    @property
    def sent_n(self) -> int:
        return int(self._sent.value)

    @property
    def rate(self) -> float:
        return float(self._rate.value)

    @rate.setter
    def rate(self, rate: float) -> None:
        self._rate.value = rate

    def close(self) -> None:
        self._child.kill()
        self._child.join()


def _send(servers: str, topic: str, partitions_n: int, rate: Any, sent: Any) -> None:
    asyncio.run(_sending(servers, topic, partitions_n, rate, sent))


async def _sending(servers: str, topic: str, partitions_n: int, rate: Any, sent: Any) -> None:
    world, i, owed, last = World(drift_every_n=DRIFT_EVERY_N), 0, 0.0, time.monotonic()
    producer = AIOKafkaProducer(bootstrap_servers=servers, max_batch_size=BATCH_BYTES)
    async with producer:
        while True:
            await asyncio.sleep(PIECE_S)
            now = time.monotonic()
            owed, last = min(owed + rate.value * (now - last), rate.value), now
            share_n = int(owed) // partitions_n
            owed -= share_n * partitions_n
            futures = []
            for partition in range(partitions_n):
                batch = producer.create_batch()
                for _ in range(share_n):
                    value = world.event(i, time.time())
                    if batch.append(key=None, value=value, timestamp=None) is None:
                        futures.append(await producer.send_batch(batch, topic, partition=partition))
                        batch = producer.create_batch()
                        batch.append(key=None, value=value, timestamp=None)
                    i += 1
                if batch.record_count():
                    futures.append(await producer.send_batch(batch, topic, partition=partition))
            await asyncio.gather(*futures)
            sent.value = i


class Soak:
    """A broker, a worker, a sender and annotators, and what they show."""

    def __init__(self, topics: Topics, worker: Worker, sender: Sender, traffic: Traffic) -> None:
        self.topics, self.worker, self.sender, self.traffic = topics, worker, sender, traffic
        self.began = time.monotonic()

    def lag_n(self) -> int:
        kafka = self.worker.settings["kafka"]
        committed = self.topics.committed(kafka["group"])
        taken_n = sum(n for (topic, _), n in committed.items() if topic == kafka["events"])
        return max(0, self.sender.sent_n - taken_n)

    def sample(self) -> Sample:
        self.worker.check()
        self.traffic.check()
        lag_n = self.lag_n()
        return Sample(
            at_s=time.monotonic() - self.began,
            sent_n=self.sender.sent_n,
            lag_n=lag_n,
            lag_s=lag_n / max(1.0, self.sender.rate),
            rss_mib=self.worker.rss_mib(),
            cpu_s=self.worker.cpu_s(),
            asked_n=len(self.traffic.heard),
        )

    def best(self) -> float:
        """Events a second while a backlog is worked off and nothing is sent."""
        self.sender.rate = BACKLOG_N / 5.0
        wait_until(lambda: self.sender.sent_n >= BACKLOG_N, "the backlog is not sent", 300.0)
        self.sender.rate = 0.0
        time.sleep(2 * PIECE_S)
        self.worker.start()
        self.worker.wait_ready()
        began, first = time.monotonic(), self.lag_n()
        wait_until(lambda: self.lag_n() == 0, "the backlog is not worked off", 600.0)
        return first / (time.monotonic() - began)

    def held(self, best: float) -> float:
        """The highest rate of some at which the lag stays small."""
        for share in SHARES_OF_BEST:
            self.sender.rate = best * share
            until, lags = time.monotonic() + TRIAL_S, [0.0]
            while time.monotonic() < until and lags[-1] < 2 * LAG_S_MAX:
                time.sleep(1.0)
                lags.append(self.sample().lag_s)
            print(f"at {self.sender.rate:,.0f}/s: lag {lags[-1]:.1f} s", flush=True)
            if max(lags[len(lags) // 2 :]) < LAG_S_MAX:
                return self.sender.rate
            self.sender.rate = 0.0
            wait_until(lambda: self.lag_n() == 0, "the lag does not go", 600.0)
        raise SystemExit("no rate is held")

    def hold(self, minutes: float) -> list[Sample]:
        self.began = time.monotonic()
        samples = [self.sample()]
        while samples[-1].at_s < minutes * 60:
            time.sleep(SAMPLE_S)
            samples.append(self.sample())
            if len(samples) % 6 == 0:
                last = samples[-1]
                print(
                    f"{last.at_s:6.0f} s  {last.sent_n:>11,} sent  lag {last.lag_n:>7,} "
                    f"({last.lag_s:4.1f} s)  {last.rss_mib:6.1f} MiB  {last.asked_n:>8,} asked",
                    flush=True,
                )
        return samples


def told(samples: list[Sample], best: float, partitions_n: int) -> dict[str, Any]:
    """The figures of a soak."""
    first, last = samples[0], samples[-1]
    span_s = last.at_s - first.at_s
    early = samples[len(samples) // 4 : len(samples) // 2]
    late = samples[len(samples) // 2 :]
    lags = sorted(sample.lag_s for sample in samples)
    return {
        "minutes": span_s / 60,
        "partitions": partitions_n,
        "backlog_per_s": best,
        "held_per_s": (last.sent_n - first.sent_n) / span_s,
        "events": last.sent_n - first.sent_n,
        "asked": last.asked_n - first.asked_n,
        "lag_s_median": lags[len(lags) // 2],
        "lag_s_max": lags[-1],
        "rss_early_mib": max(sample.rss_mib for sample in early),
        "rss_late_mib": max(sample.rss_mib for sample in late),
        "worker_cpu": (last.cpu_s - first.cpu_s) / span_s,
        "cpu_us_per_event": 1e6 * (last.cpu_s - first.cpu_s) / (last.sent_n - first.sent_n),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def table(found: dict[str, Any]) -> str:
    """The figures for the docs."""
    rows = [
        ("held for", f"{found['minutes']:.0f} minutes"),
        ("rate held", f"{found['held_per_s']:,.0f} events/s"),
        ("rate while a backlog is worked off", f"{found['backlog_per_s']:,.0f} events/s"),
        ("events, requests", f"{found['events']:,}, {found['asked']:,}"),
        ("lag, median and worst", f"{found['lag_s_median']:.1f} s, {found['lag_s_max']:.1f} s"),
        (
            "peak memory in the second quarter, and in the second half",
            f"{found['rss_early_mib']:.0f} MiB, {found['rss_late_mib']:.0f} MiB",
        ),
        (
            "CPU of the worker",
            f"{found['worker_cpu']:.2f} cores, {found['cpu_us_per_event']:.0f} µs an event",
        ),
    ]
    lines = [f"| {name} | {value} |" for name, value in rows]
    return "\n".join(["| | |", "|---|---|", *lines]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=float, help="events a second; default: as many as it holds")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--table", type=Path, help="write the figures as a table of Markdown")
    parser.add_argument("--json", type=Path, help="write the figures and all samples")
    arguments = parser.parse_args()
    # It tells that topics are not there yet, which is so on purpose.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as name, Broker() as broker:
        folder, partitions_n = Path(name), arguments.partitions
        settings = settings_of(
            "soak",
            broker.servers,
            folder,
            query={"budget": {"share": arguments.share}},
            label={"deadline_s": 60.0},
        )
        for section in ("observe", "drift", "learn"):
            # Everything else as it is by default.
            del settings[section]
        del settings["worker"]["snapshot_every_s"]
        make_events(broker, settings, partitions_n)
        sender = Sender(broker.servers, settings["kafka"]["events"], partitions_n)
        worker = Worker(settings, folder, python=start_alone)
        world = World(drift_every_n=DRIFT_EVERY_N)
        traffic = Traffic(broker.client, names_of(settings), world, HONEST, rate=0.0)
        try:
            with traffic:
                soak = Soak(broker.topics, worker, sender, traffic)
                best = soak.best()
                print(f"a backlog is worked off at {best:,.0f}/s", flush=True)
                if arguments.rate is None:
                    soak.held(best)
                else:
                    sender.rate = arguments.rate
                samples = soak.hold(arguments.minutes)
                sender.rate = 0.0
                wait_until(lambda: soak.lag_n() == 0, "the lag does not go", 300.0)
                code = worker.stop()
        finally:
            sender.close()
            worker.kill()
    found = told(samples, best, partitions_n)
    print(table(found))
    if arguments.table:
        arguments.table.write_text(table(found))
    if arguments.json:
        rows = [asdict(sample) for sample in samples]
        arguments.json.write_text(json.dumps({"figures": found, "samples": rows}, indent=1))
    is_flat = found["rss_late_mib"] <= GROWTH_MAX * found["rss_early_mib"]
    is_bounded = found["lag_s_max"] < LAG_OUT_OF_HAND_S
    print(f"memory flat: {is_flat}; lag bounded: {is_bounded}; the worker stopped with {code}")
    return int(not (is_flat and is_bounded and code == 0))


if __name__ == "__main__":
    sys.exit(main())
