"""Two million events caught up with by one engine: the memory at its peak, every half million.

20 numeric features, the defaults. One job watches (0.1 % of labels); the other asks 1 %, has each
answer 500 events later and meets another concept every half million events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from bench.engine_plugin import batches_of
from bench.speed.rows import Row, Scale, memory_mib

import headrace as hr
from headrace.drivers.notebook import Simulation
from headrace.messages import EventBatch
from headrace.settings import parse

EVENTS_N, LOOK_EVERY_N, BATCH_N, FEATURES_N = 2_000_000, 500_000, 1_000, 20
FLAT = 1.1
"""The last peak over the first up to which memory is called flat."""

WATCHING, ASKING = "watching, 0.1 % labels", "1 % labels, 500 events late, drifts"


class Endless:
    """Events whose concept is another one from time to time, made as they are read."""

    def __init__(self, start: int, concept: int) -> None:
        self.X = np.random.default_rng(start).normal(size=(BATCH_N, FEATURES_N))
        slope = np.random.default_rng(concept).normal(size=FEATURES_N)
        self.y = (self.X @ slope > 0.0).astype(np.int64)


def stream(events_n: int, concept_n: int) -> Iterator[tuple[EventBatch, list[str]]]:
    """So many events; a new concept every `concept_n`."""
    for start in range(0, events_n, BATCH_N):
        piece = Endless(start, start // concept_n)
        ((batch, truths),) = batches_of(piece, 0, BATCH_N, BATCH_N)
        ids = [f"e{i}" for i in range(start, start + BATCH_N)]
        at = np.arange(start, start + BATCH_N, dtype=np.float64)
        yield EventBatch(**{**_columns(batch), "ids": ids, "at": at}), truths


def _columns(batch: EventBatch) -> dict[str, object]:
    return {name: getattr(batch, name) for name in ("names", "number_names", "numbers", "texts")}


def jobs() -> dict[str, Callable[[Scale], list[Row]]]:
    """Both ways; they take some minutes each."""
    return {
        "endless/asking": partial(play, ASKING, 0.01, 500.0, LOOK_EVERY_N),
        "endless/watching": partial(play, WATCHING, 0.001, 0.0, EVENTS_N),
    }


def play(
    name: str,
    share: float,
    late_s: float,
    concept_n: int,
    scale: Scale,
    *,
    events_n: int = EVENTS_N,
    look_every_n: int = LOOK_EVERY_N,
) -> list[Row]:
    """A row a look. Making the events is in their time."""
    settings = parse({"schema": {"classes": ["0", "1"]}, "query": {"budget": {"share": share}}})
    engine, rows = hr.Engine(settings=settings), list[Row]()
    simulation, before = Simulation(engine, hr.oracles.Delayed(late_s)), memory_mib("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()

    def look() -> None:
        n, peak = engine.shard.events_n, memory_mib("VmHWM")
        rows.append(
            Row(
                name=name,
                events_n=n,
                us=1e6 * (time.process_time() - cpu) / n,
                per_s=n / (time.perf_counter() - wall),
                labels_n=engine.report.labels.settled_n,
                peak_mib=peak,
                own_mib=None if peak is None or before is None else peak - before,
                note=f"{engine.report.retraining.ordered_n} retrainings",
            )
        )

    for _ in simulation.play_batches(stream(events_n, concept_n), settle=False):
        if engine.shard.events_n >= (len(rows) + 1) * look_every_n:
            look()
    # What came behind the last output gave no piece to look behind.
    if len(rows) < events_n // look_every_n:
        look()
    return rows
