"""The engine as one row among the peers of a benchmark: `bench.engine_plugin:peers`.

    python -m bench.engine_plugin [--events 50000] [--features 20] [--budget 0.1] [--repeats 3]

`peers(stream, cfg)` gives (name, facts, run) for each way to feed the engine. `stream` has `X`
(n, d) and `y` (n,) of 0 and 1; `cfg` has `budget`, `seed` and `time_cap` in seconds. A run answers
every request before the next event and returns events, seconds (`wall_s`, `cpu_s`), labels, and
whether each prediction made on arrival was right. Run as a program it plays a stream of a linear
concept beside a bare river loop, with the memory at its peak and the machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import river
from numpy.typing import NDArray
from river import linear_model, optim, preprocessing

import headrace as hr
from headrace.drivers.notebook import Simulation
from headrace.messages import EventBatch
from headrace.settings import parse

READ_EVERY_N = 1_000
"""Events between two looks at what was predicted; the engine's window holds more."""

Found = dict[str, Any]


class Arrays(Protocol):
    """A stream: features (n, d) and classes (n,), 0 or 1."""

    X: NDArray[np.float64]
    y: NDArray[np.int64]


class Task(Protocol):
    """What is asked of every peer: the share of labels, a seed, and seconds after which to stop."""

    budget: float
    seed: int
    time_cap: float


def plain_model(seed: int) -> Any:
    """river's logistic regression, as the other peers have it."""
    return linear_model.LogisticRegression(optimizer=optim.SGD(0.05))


def scaled_model(seed: int) -> Any:
    """The same behind a scaler."""
    return preprocessing.StandardScaler() | linear_model.LogisticRegression()


def committee(seed: int) -> None:
    """No model: the engine's own."""


def peers(stream: Arrays, cfg: Task) -> Iterator[tuple[str, Found, Callable[[], Found]]]:
    """The ways to feed the engine, none of which runs before it is called."""
    ways = (
        ("batches", plain_model, 1_000, "LogisticRegression(SGD 0.05)"),
        ("one at a time", plain_model, 1, "LogisticRegression(SGD 0.05)"),
        ("scaled, batches", scaled_model, 1_000, "StandardScaler | LogisticRegression"),
        ("committee, batches", committee, 1_000, "committee (the default)"),
    )
    for name, model, chunk_n, said in ways:
        facts = {
            "version": hr.__version__,
            "strategy": "draw on arrival (the default)",
            "model": said,
            "mode": f"{chunk_n} event(s) a feed",
        }
        yield f"headrace:{name}", facts, _run(stream, cfg, model, chunk_n)


def _run(
    stream: Arrays, cfg: Task, model: Callable[[int], Any], chunk_n: int
) -> Callable[[], Found]:
    def run() -> Found:
        settings = parse(
            {
                "seed": cfg.seed,
                "schema": {"classes": ["0", "1"]},
                "query": {"budget": {"share": cfg.budget}},
            }
        )
        engine = hr.Engine(model(cfg.seed), settings=settings)
        simulation = Simulation(engine, hr.oracles.Delayed())
        wall, cpu = time.perf_counter(), time.process_time()
        done_n, right, n = 0, np.zeros(len(stream.y), dtype=bool), len(stream.y)
        while done_n < n and time.perf_counter() - wall < cfg.time_cap:
            stop = min(done_n + READ_EVERY_N, n)
            for _ in simulation.play(batches_of(stream, done_n, stop, chunk_n)):
                pass
            said = engine.shard.window.since(done_n).probabilities
            right[done_n:stop] = said.argmax(axis=1) == stream.y[done_n:stop]
            done_n = stop
        return {
            "events": done_n,
            "wall_s": time.perf_counter() - wall,
            "cpu_s": time.process_time() - cpu,
            "correct": right[:done_n],
            "labels": engine.report.labels.settled_n,
        }

    return run


def batches_of(
    stream: Arrays, start: int, stop: int, chunk_n: int
) -> Iterator[tuple[EventBatch, list[str]]]:
    """Events [start, stop) in batches of `chunk_n`, each with the labels that are right."""
    names = tuple(f"f{j:03d}" for j in range(stream.X.shape[1]))
    for first in range(start, stop, chunk_n):
        last = min(first + chunk_n, stop)
        batch = EventBatch(
            ids=[f"e{i}" for i in range(first, last)],
            at=np.arange(first, last, dtype=np.float64),
            names=names,
            number_names=names,
            numbers=np.ascontiguousarray(stream.X[first:last]),
            texts={},
        )
        yield batch, [str(label) for label in stream.y[first:last].tolist()]


# ---------------------------------------------------------------------------- as a program


@dataclass
class Linear:
    """Normal features, a linear concept, and a margin with noise."""

    X: NDArray[np.float64]
    y: NDArray[np.int64]

    @classmethod
    def of(cls, events_n: int, features_n: int, seed: int) -> Linear:
        """So many events, the same for the same seed."""
        luck = np.random.default_rng(seed)
        X = luck.normal(size=(events_n, features_n))
        slope = luck.normal(size=features_n)
        margin = X @ (slope / np.linalg.norm(slope)) + 0.2 * luck.normal(size=events_n)
        return cls(X, (margin > 0.0).astype(np.int64))


@dataclass
class Asked:
    """The task of the program."""

    budget: float
    seed: int
    time_cap: float = 240.0


def bare_loop(stream: Linear, task: Asked) -> Callable[[], Found]:
    """river alone: predict every event, ask at random, learn at once; it watches nothing."""
    names = [f"f{j:03d}" for j in range(stream.X.shape[1])]
    rows = [dict(zip(names, row, strict=True)) for row in stream.X.tolist()]
    truths = stream.y.tolist()
    asked = (np.random.default_rng(task.seed).random(len(rows)) < task.budget).tolist()

    def run() -> Found:
        wall, cpu = time.perf_counter(), time.process_time()
        model, right = plain_model(task.seed), []
        for x, y, is_asked in zip(rows, truths, asked, strict=True):
            right.append((model.predict_proba_one(x)[True] > 0.5) == y)
            if is_asked:
                model.learn_one(x, y)
        return {
            "events": len(rows),
            "wall_s": time.perf_counter() - wall,
            "cpu_s": time.process_time() - cpu,
            "correct": np.array(right),
            "labels": sum(asked),
        }

    return run


def main() -> int:
    """Play all in turn and print one table; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--budget", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--repeats", type=int, default=3)
    said = parser.parse_args()
    stream, task = Linear.of(said.events, said.features, said.seed), Asked(said.budget, said.seed)
    runs = {"bare river loop, labels at random": bare_loop(stream, task)}
    runs |= {name: run for name, _, run in peers(stream, task)}
    found: dict[str, list[Found]] = {name: [] for name in runs}
    for _ in range(said.repeats):
        for name, run in runs.items():
            found[name].append(run())
    rates = {
        name: sorted(one["events"] / one["cpu_s"] for one in times) for name, times in found.items()
    }
    bare = rates[next(iter(runs))]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines = [
        f"{said.events:,} events, {said.features} features, {said.repeats} repeats; Python "
        f"{platform.python_version()}, numpy {np.__version__}, river {river.__version__}, "
        f"{platform.machine()}, {os.cpu_count()} cores; peak memory of all {peak:,.0f} MiB",
        "| what | events / CPU s, best | median | best / bare loop's best | right | labels |",
        "|---|---|---|---|---|---|",
    ]
    for name, times in found.items():
        best, median = rates[name][-1], rates[name][len(times) // 2]
        right, labels_n = times[0]["correct"].mean(), times[0]["labels"]
        lines.append(
            f"| {name} | {best:,.0f} | {median:,.0f} | {best / bare[-1]:.3f} | {right:.1%} "
            f"| {labels_n:,} |"
        )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
