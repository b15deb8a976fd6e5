"""The engine as one row among the peers of a benchmark: `bench.engine_plugin:peers`.

`peers(stream, cfg)` gives (name, facts, run) for each way to feed the engine. `stream` has `X`
(n, d) and `y` (n,) of 0 and 1; `cfg` has `budget`, `seed` and `time_cap` in seconds. A run answers
every request before the next event and returns events, seconds (`wall_s`, `cpu_s`), labels, and
whether each prediction made on arrival was right. `bench.speed` has the peers, and prints a table.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from river import linear_model, optim, preprocessing

import headrace as hr
from headrace.drivers.notebook import Simulation
from headrace.messages import EventBatch
from headrace.settings import parse

READ_EVERY_N = 1_000
"""Events between two looks at what was predicted; the engine's window holds more."""

Found = dict[str, Any]
Run = Callable[[], Found]


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


def peers(stream: Arrays, cfg: Task) -> Iterator[tuple[str, Found, Run]]:
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
        way = engine_run(
            stream, model, cfg.budget, chunk_n=chunk_n, seed=cfg.seed, time_cap=cfg.time_cap
        )
        yield f"headrace:{name}", facts, way


def engine_run(
    stream: Arrays,
    model: Callable[[int], Any],
    share: float,
    *,
    chunk_n: int = 1_000,
    late_s: float = 0.0,
    seed: int = 7,
    time_cap: float = math.inf,
    settings: Found | None = None,
) -> Run:
    """The engine over the stream; an answer comes `late_s` seconds, which are events, later.

    `settings` are sections beside or instead of the usual ones. What was predicted is read from the
    window, so a window of less than `READ_EVERY_N` leaves out `correct`.
    """
    n, query = len(stream.y), {"budget": {"share": share}}
    classes = [str(label) for label in range(max(2, int(stream.y.max()) + 1))]
    sections = {"seed": seed, "schema": {"classes": classes}} | (settings or {})
    chosen = parse(sections | {"query": query | sections.get("query", {})})
    pieces = [
        (
            start,
            min(start + READ_EVERY_N, n),
            list(batches_of(stream, start, min(start + READ_EVERY_N, n), chunk_n)),
        )
        for start in range(0, n, READ_EVERY_N)
    ]

    def run() -> Found:
        engine = hr.Engine(model(seed), settings=chosen)
        simulation = Simulation(engine, hr.oracles.Delayed(late_s))
        wall, cpu = time.perf_counter(), time.process_time()
        done_n, right = 0, np.zeros(n, dtype=bool)
        for start, stop, batches in pieces:
            if time.perf_counter() - wall >= time_cap:
                break
            for _ in simulation.play_batches(batches, settle=stop == n):
                pass
            done_n = stop
            if chosen.observe.window_n >= READ_EVERY_N:
                said = engine.shard.window.since(start).probabilities
                right[start:stop] = said.argmax(axis=1) == stream.y[start:stop]
        found = {
            "events": done_n,
            "wall_s": time.perf_counter() - wall,
            "cpu_s": time.process_time() - cpu,
            "labels": engine.report.labels.settled_n,
            "retrained": engine.report.retraining.ordered_n,
        }
        is_read = chosen.observe.window_n >= READ_EVERY_N
        return found | ({"correct": right[:done_n]} if is_read else {})

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


@dataclass
class Linear:
    """Normal features, a linear concept for each class, and noise."""

    X: NDArray[np.float64]
    y: NDArray[np.int64]

    @classmethod
    def of(cls, events_n: int, features_n: int, seed: int, classes_n: int = 2) -> Linear:
        """So many events, the same for the same seed."""
        luck = np.random.default_rng(seed)
        X = luck.normal(size=(events_n, features_n))
        if classes_n > 2:
            slopes = luck.normal(size=(features_n, classes_n)) / np.sqrt(features_n)
            scores = X @ slopes + 0.2 * luck.normal(size=(events_n, classes_n))
            return cls(X, scores.argmax(axis=1))
        slope = luck.normal(size=features_n)
        margin = X @ (slope / np.linalg.norm(slope)) + 0.2 * luck.normal(size=events_n)
        return cls(X, (margin > 0.0).astype(np.int64))


@dataclass
class Asked:
    """The task of the program."""

    budget: float
    seed: int
    time_cap: float = 240.0


def bare_loop(stream: Arrays, task: Task, model: Callable[[int], Any] = plain_model) -> Run:
    """river alone: predict every event, ask at random, learn at once; it watches nothing."""
    names = [f"f{j:03d}" for j in range(stream.X.shape[1])]
    rows = [dict(zip(names, row, strict=True)) for row in stream.X.tolist()]
    truths = stream.y.tolist()
    asked = (np.random.default_rng(task.seed).random(len(rows)) < task.budget).tolist()

    def run() -> Found:
        wall, cpu = time.perf_counter(), time.process_time()
        learner, right = model(task.seed), []
        for x, y, is_asked in zip(rows, truths, asked, strict=True):
            right.append((learner.predict_proba_one(x).get(True, 0.0) > 0.5) == y)
            if is_asked:
                learner.learn_one(x, y)
        return {
            "events": len(rows),
            "wall_s": time.perf_counter() - wall,
            "cpu_s": time.process_time() - cpu,
            "correct": np.array(right),
            "labels": sum(asked),
        }

    return run
