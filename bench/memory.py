"""Memory is flat: peak resident memory after 5 million events against that after 500 thousand.

    python bench/memory.py [--events 5000000] [--early 500000] [--json FILE]

The engine runs with its defaults, 1 % of the events are asked and answered, a drift comes every
million events. Exits 1 when the later peak is more than 10 % above the earlier one.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import headrace as hr
from headrace.drivers.notebook import Simulation
from headrace.messages import EventBatch
from headrace.settings import parse

FEATURES_N = 10
BATCH_N = 1_000
DRIFT_EVERY_N = 1_000_000


def stream(events_n: int) -> Iterator[tuple[EventBatch, list[str]]]:
    names = tuple(f"f{j}" for j in range(FEATURES_N))
    for start in range(0, events_n, BATCH_N):
        rng = np.random.default_rng(start)
        X = rng.normal(size=(BATCH_N, FEATURES_N))
        slope = np.random.default_rng(start // DRIFT_EVERY_N).normal(size=FEATURES_N)
        truths = np.where(X @ slope > 0, "yes", "no").tolist()
        ids = [f"e{i}" for i in range(start, start + BATCH_N)]
        at = np.arange(start, start + BATCH_N, dtype=np.float64)
        batch = EventBatch(ids=ids, at=at, names=names, number_names=names, numbers=X, texts={})
        yield batch, truths


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--early", type=int, default=500_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    engine = hr.Engine(
        settings=parse({"query": {"budget": {"share": 0.01}}, "schema": {"classes": ["no", "yes"]}})
    )
    simulation = Simulation(engine, hr.oracles.Delayed(delay_s=500.0))
    start, early, told = time.monotonic(), 0.0, 0
    for _ in simulation.play(stream(arguments.events)):
        seen_n = engine.shard.events_n
        if not early and seen_n >= arguments.early:
            early = peak_mib()
        if seen_n - told >= 250_000:
            told = seen_n
            rate = seen_n / (time.monotonic() - start)
            print(
                f"{seen_n:>9,} events  peak {peak_mib():7.1f} MiB  {rate:8,.0f} events/s",
                flush=True,
            )
    late = peak_mib()
    found = {"early_mib": early, "late_mib": late, "ratio": late / early}
    print(
        f"peak after {arguments.early:,}: {early:.1f} MiB; after {arguments.events:,}: "
        f"{late:.1f} MiB; ratio {late / early:.3f}; {engine.report.asking.requests_n:,} labels, "
        f"{engine.report.retraining.ordered_n} retrainings"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))
    return int(late > 1.1 * early)


if __name__ == "__main__":
    sys.exit(main())
