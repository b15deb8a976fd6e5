"""Speed as ratios: the engine against a bare river loop and a bare numpy scorer, in one run.

    python bench/speed.py [--events 50000] [--features 20] [--repeats 3] [--json FILE]

The stream is 20 Gaussian features and a linear concept, the learner a scaled logistic regression.
`bare loop` predicts every event with river, asks at random and learns at once: no ledger, no
window, no drift, no log. Everything the engine does beside that is in its figure. CPU seconds of
this process; the best of the repeats, taken in turn so that a slow minute hits all alike.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from river import linear_model, preprocessing

import headrace as hr
from headrace.drivers.notebook import Simulation
from headrace.messages import EventBatch
from headrace.observe.decode import Decoder
from headrace.settings import InputSettings, parse

BUDGET = 0.1


class Stream:
    def __init__(self, events_n: int, features_n: int) -> None:
        rng = np.random.default_rng(7)
        self.X = rng.normal(size=(events_n, features_n))
        slope = rng.normal(size=features_n) / np.sqrt(features_n)
        self.y = (self.X @ slope * 3 + rng.normal(size=events_n) * 0.5 > 0).astype(int)
        self.names = tuple(f"f{j:02d}" for j in range(features_n))
        self.ids = [f"e{i}" for i in range(events_n)]
        self.at = np.arange(events_n, dtype=np.float64)
        self.truths = [str(label) for label in self.y]

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, start: int, stop: int) -> EventBatch:
        return EventBatch(
            ids=self.ids[start:stop],
            at=self.at[start:stop],
            names=self.names,
            number_names=self.names,
            numbers=np.ascontiguousarray(self.X[start:stop]),
            texts={},
        )

    def dicts(self) -> list[dict[str, float]]:
        return [dict(zip(self.names, row, strict=True)) for row in self.X.tolist()]

    def lines(self) -> list[bytes]:
        encode = msgspec.json.encode
        rows = zip(self.ids, self.at.tolist(), self.dicts(), strict=True)
        return [encode({"id": i, "at": at, "features": x}) for i, at, x in rows]


def model() -> preprocessing.StandardScaler:
    return preprocessing.StandardScaler() | linear_model.LogisticRegression()


def bare_loop(stream: Stream) -> Callable[[], None]:
    rows, labels = stream.dicts(), stream.y.tolist()
    is_asked = (np.random.default_rng(1).random(len(stream)) < BUDGET).tolist()

    def loop() -> None:
        learner = model()
        for x, y, asked in zip(rows, labels, is_asked, strict=True):
            learner.predict_proba_one(x)
            if asked:
                learner.learn_one(x, y)

    return loop


def engine(budget: float) -> hr.Engine:
    settings = parse({"schema": {"classes": ["0", "1"]}, "query": {"budget": {"share": budget}}})
    return hr.Engine(model(), settings=settings)


def fed(stream: Stream, chunk_n: int, budget: float = BUDGET) -> Callable[[], None]:
    starts = range(0, len(stream), chunk_n)
    batches = [
        (stream.batch(a, min(a + chunk_n, len(stream))), stream.truths[a : a + chunk_n])
        for a in starts
    ]

    def loop() -> None:
        for _ in Simulation(engine(budget), hr.oracles.Delayed()).play(batches):
            pass

    return loop


def watched(stream: Stream, chunk_n: int) -> Callable[[], None]:
    """The engine with a budget so small that next to nothing is asked: the cost of watching."""
    return fed(stream, chunk_n, budget=0.0005)


def decoded(stream: Stream) -> Callable[[], None]:
    lines, decoder = stream.lines(), Decoder(InputSettings())

    def loop() -> None:
        for start in range(0, len(lines), 512):
            decoder.decode(lines[start : start + 512])

    return loop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    stream = Stream(arguments.events, arguments.features)
    cases = {
        "bare river loop, 10 % learned": bare_loop(stream),
        "engine, 10 % asked, batches of 1000": fed(stream, 1000),
        "engine, 10 % asked, one at a time": fed(stream, 1),
        "engine, 1 % asked, batches of 1000": fed(stream, 1000, 0.01),
        "engine, watching only, batches of 1000": watched(stream, 1000),
        "decoding JSON lines": decoded(stream),
    }
    best = dict.fromkeys(cases, float("inf"))
    for _ in range(arguments.repeats):
        for name, loop in cases.items():
            start = time.process_time()
            loop()
            best[name] = min(best[name], time.process_time() - start)
    bare = best["bare river loop, 10 % learned"]
    print(
        f"{len(stream):,} events, {arguments.features} features; CPU seconds, best of "
        f"{arguments.repeats}"
    )
    print("| what | us an event | events / CPU s | speed against the bare loop |")
    print("|---|---|---|---|")
    for name, seconds in best.items():
        each = 1e6 * seconds / len(stream)
        print(f"| {name} | {each:.1f} | {1e6 / each:,.0f} | {bare / seconds:.2f} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(best, indent=1))


if __name__ == "__main__":
    main()
