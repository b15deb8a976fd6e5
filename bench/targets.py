"""What the engine reaches of each target of speed, as ratios to a bare loop in the same process.

    python -m bench.targets [--events 20000] [--repeats 3]

20 numeric features, a linear concept; CPU seconds of this process, the best of the repeats, each of
which plays the bare loop and then the row. Docs: BENCHMARKS.md has the table and what is aimed at.
Kafka's row is `bench/event_path.py`; a broker of its own takes CPU of the same machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import river
from bench.engine_plugin import Linear, batches_of, plain_model
from river import forest, tree

import headrace as hr
from headrace.drivers.files.places import Places
from headrace.drivers.files.run import run_files
from headrace.drivers.notebook import Simulation
from headrace.observe.decode import Decoder
from headrace.settings import parse

LATE_N = 1_000
LABELS_BEFORE_SCORING_N = 200


class Row(NamedTuple):
    """One line of the table: n events by the engine, beside so many by a bare loop."""

    name: str
    aimed_at: str
    run: Callable[[], None]
    n: int
    bare: Callable[[], None]
    bare_n: int


def bare_loop(stream: Linear, model: Callable[[int], Any], share: float) -> Callable[[], None]:
    """river alone: predict each event, learn those that are asked at random."""
    rows = [{f"f{j:03d}": x for j, x in enumerate(row)} for row in stream.X.tolist()]
    asked = (np.random.default_rng(1).random(len(rows)) < share).tolist()
    truths = stream.y.tolist()

    def run() -> None:
        learner = model(7)
        for x, y, is_asked in zip(rows, truths, asked, strict=True):
            learner.predict_proba_one(x)
            if is_asked:
                learner.learn_one(x, y)

    return run


def engine_of(model: Any, share: float) -> hr.Engine:
    """An engine of the defaults but for its budget."""
    query = {"budget": {"share": share}}
    return hr.Engine(model, settings=parse({"schema": {"classes": ["0", "1"]}, "query": query}))


def fed(
    stream: Linear, model: Callable[[int], Any], share: float, *, chunk_n: int, late_s: float = 0.0
) -> Callable[[], None]:
    """The engine over the stream; an answer comes `late_s` seconds, which are events, later."""
    batches = list(batches_of(stream, 0, len(stream.y), chunk_n))

    def run() -> None:
        simulation = Simulation(engine_of(model(7), share), hr.oracles.Delayed(late_s))
        for _ in simulation.play(batches):
            pass

    return run


def committee_scored(stream: Linear) -> Callable[[], None]:
    """The committee after its first labels says what it makes of every event, 1,000 at a time."""
    engine = engine_of(None, 0.1)
    first = batches_of(
        Linear.of(LABELS_BEFORE_SCORING_N * 10, 20, 8), 0, LABELS_BEFORE_SCORING_N * 10, 500
    )
    for _ in Simulation(engine, hr.oracles.Delayed()).play(first):
        pass

    def run() -> None:
        for start in range(0, len(stream.X), 1_000):
            engine.trainer.probabilities(stream.X[start : start + 1_000])

    return run


def lines_of(stream: Linear) -> list[bytes]:
    """The events as lines of JSON."""
    names = [f"f{j:03d}" for j in range(stream.X.shape[1])]
    found = []
    for i, row in enumerate(stream.X.tolist()):
        event = {"id": f"e{i}", "at": float(i), "features": dict(zip(names, row, strict=True))}
        found.append(msgspec.json.encode(event) + b"\n")
    return found


def read_lines(lines: list[bytes]) -> Callable[[], None]:
    """Decoding alone."""
    decoder = Decoder(parse({}).input)

    def run() -> None:
        for start in range(0, len(lines), 512):
            decoder.decode(lines[start : start + 512])

    return run


def run_over(lines: list[bytes]) -> Callable[[], None]:
    """`headrace run` over a file of these lines, without answers, 1 % asked."""
    settings = parse({"schema": {"classes": ["0", "1"]}, "query": {"budget": {"share": 0.01}}})

    def run() -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "events.jsonl").write_bytes(b"".join(lines))
            requests = folder / "requests.jsonl"
            places = Places(
                events=folder / "events.jsonl",
                answers=None,
                requests=requests,
                state=folder / "state",
            )
            run_files(places, settings)

    return run


def rows_of(events_n: int) -> list[Row]:
    """The rows; those that are slow by nature play fewer events."""
    whole, part, few = (Linear.of(n, 20, 7) for n in (events_n, events_n // 4, events_n // 8))
    lines = lines_of(whole)
    bare_10, bare_1 = (bare_loop(whole, plain_model, share) for share in (0.1, 0.01))

    def row(name: str, aimed_at: str, stream: Linear, run: Callable[[], None]) -> Row:
        bare = bare_10 if "10 %" in name else bare_1
        return Row(name, aimed_at, run, len(stream.y), bare, events_n)

    def trees(name: str, model: Callable[[int], Any]) -> Row:
        run = fed(few, model, 0.01, chunk_n=1_000)
        return Row(name, "20 x", run, len(few.y), bare_loop(few, model, 0.01), len(few.y))

    return [
        row("linear, 10 % labels at once, batches", "1.5 x Vowpal Wabbit", part,
            fed(part, plain_model, 0.1, chunk_n=1_000)),
        row("linear, 10 % labels at once, one at a time", "0.67 x", few,
            fed(few, plain_model, 0.1, chunk_n=1)),
        row("linear, 1 % labels, 1,000 events late", "600,000", whole,
            fed(whole, plain_model, 0.01, chunk_n=1_000, late_s=LATE_N)),
        row("linear, watching (0.1 % labels)", "1,000,000", whole,
            fed(whole, plain_model, 0.001, chunk_n=1_000)),
        row("committee, scoring alone", "40,000", part, committee_scored(part)),
        row("committee, 5 % labels at once", "a label in 2 ms", few,
            fed(few, lambda seed: None, 0.05, chunk_n=1_000)),
        trees("Hoeffding tree, 1 % labels", lambda seed: tree.HoeffdingTreeClassifier()),
        trees("forest of ten, 1 % labels", lambda seed: forest.ARFClassifier(10, seed=seed)),
        Row("headrace run, JSON lines, 1 % asked", "0.6 x decoding", run_over(lines), len(lines),
            read_lines(lines), len(lines)),
    ]  # fmt: skip


def main() -> int:
    """Measure each row and print it; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    said = parser.parse_args()

    def seconds(run: Callable[[], None]) -> float:
        began = time.process_time()
        run()
        return time.process_time() - began

    sys.stdout.write(
        f"{said.events:,} events, {said.repeats} repeats; Python {platform.python_version()}, "
        f"numpy {np.__version__}, river {river.__version__}, {platform.machine()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n"
        "| what | aimed at | events / CPU s | us an event | bare loop, us | of the bare loop |\n"
        "|---|---|---|---|---|---|\n"
    )
    for row in rows_of(said.events):
        both = [(seconds(row.bare), seconds(row.run)) for _ in range(said.repeats)]
        bare, ours = (1e6 * min(times) for times in zip(*both, strict=True))
        bare, ours = bare / row.bare_n, ours / row.n
        sys.stdout.write(
            f"| {row.name} | {row.aimed_at} | {1e6 / ours:,.0f} | {ours:,.1f} | {bare:,.2f} "
            f"| {bare / ours:.3f} |\n"
        )
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
