"""A simulated labelling team under the four workflows: who waits for whom, and what it is worth.

    PYTHONPATH=. python bench/workflows.py [--seeds 5] [--events 4000]

Two streams of known truth, one event a second, up to one label for every five events. The team: one
annotator who takes 15 s a label, one who takes 60 s, one who takes 30 s and is away for half of
every two hours; together they get 0.1 labels a second done, half of what the budget would pay for.
Each question goes to whoever will have answered first. Requests expire after 30 minutes.
Settings are those of `settings_of`, fixed beforehand. Columns, each a mean over streams and seeds:

- cycle_s: the median time from question to answer, seconds
- idle: the part of their time at work in which the annotators had no question
- stale: how many labels the model learned between choosing a question and its answer, on average
- labels: those that came; right: of the 1,000 events after the last, predicted right by the model
- per_100: how many points `right` is above the commonest class, for 100 labels
- minus_random: `right` less that of random rounds under the same workflow, stream and seed, and
  the 95 % interval of the mean of these differences
"""

from __future__ import annotations

import argparse
import itertools
from statistics import median

import numpy as np
from bench.team import Annotator, Team
from river.datasets import synth

from headrace import Engine
from headrace.drivers.notebook import run
from headrace.messages import LabelRequested, LabelSettled, Output
from headrace.settings import Settings, parse

KINDS = ("parallel", "sequential", "hybrid", "adaptive")
TAIL_N = 1_000
Pair = tuple[dict[str, float], str]


def centres(n: int, seed: int) -> list[Pair]:
    stream = synth.RandomRBF(
        seed_model=seed, seed_sample=seed, n_classes=4, n_features=10, n_centroids=20
    )
    return [({f"x{j}": v for j, v in x.items()}, str(y)) for x, y in stream.take(n)]


def sea(n: int, seed: int) -> list[Pair]:
    stream = synth.SEA(variant=1, seed=seed, noise=0.1)
    return [({f"x{j}": v for j, v in x.items()}, str(int(y))) for x, y in stream.take(n)]


STREAMS = {"centres": centres, "sea": sea}


def settings_of(kind: str, strategy: str, seed: int) -> Settings:
    return parse(
        {
            "seed": seed,
            "label": {"deadline_s": 1_800.0},
            "query": {
                "ask": "rounds",
                "strategy": strategy,
                "control_share": 0.1,
                "budget": {"share": 0.2},
                "rounds": {"every_n": 50},
                "workflow": {"kind": kind},
            },
        }
    )


def team() -> Team:
    people = [Annotator("fast", 15.0), Annotator("slow", 60.0), Annotator("away", 30.0, 0.5)]
    return Team(people)


def stale_n(outputs: list[Output]) -> float:
    """Labels that were learned between a question and its answer, on average."""
    learned_n, asked_at, found = 0, {}, []
    for output in outputs:
        if isinstance(output, LabelRequested):
            asked_at[output.request_id] = learned_n
        elif isinstance(output, LabelSettled) and output.request_id in asked_at:
            found.append(learned_n - asked_at.pop(output.request_id))
            learned_n += 1
    return float(np.mean(found)) if found else 0.0


def play(stream: str, kind: str, strategy: str, seed: int, events_n: int) -> list[float]:
    pairs = STREAMS[stream](events_n + TAIL_N, seed)
    engine, people = Engine(settings=settings_of(kind, strategy, seed)), team()
    outputs = run(engine, pairs[:events_n], people).outputs
    labels_n = engine.report.labels.settled_n
    tail = pairs[events_n:]
    right_n = 0
    for x, y in tail:
        found = engine.predict(x)
        right_n += bool(found) and max(found, key=lambda c: found[c]) == y
    truths = [y for _, y in tail]
    common = max(truths.count(c) for c in set(truths)) / TAIL_N
    right = right_n / TAIL_N
    gain = 100.0 * (right - common) / labels_n * 100.0 if labels_n else 0.0
    idle = 1.0 - min(1.0, people.busy_share(0.0, float(events_n)))
    return [median(people.waits_s), idle, stale_n(outputs), labels_n, right, gain]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--events", type=int, default=4_000)
    options = parser.parse_args()
    worlds = list(itertools.product(STREAMS, range(1, options.seeds + 1)))
    columns = [
        "workflow",
        "strategy",
        "cycle_s",
        "idle",
        "stale",
        "labels",
        "right",
        "per_100",
        "minus_random",
    ]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for kind in KINDS:
        rows = {
            strategy: np.array(
                [play(stream, kind, strategy, seed, options.events) for stream, seed in worlds]
            )
            for strategy in ("random", "margin")
        }
        for strategy, row in rows.items():
            cycle, idle, stale, labels, right, gain = row.mean(axis=0)
            apart = row[:, 4] - rows["random"][:, 4]
            spread = 1.96 * apart.std(ddof=1) / np.sqrt(len(apart))
            told = f"{apart.mean():+.3f} ± {spread:.3f}" if strategy != "random" else ""
            print(
                f"| {kind} | {strategy} | {cycle:,.0f} | {100 * idle:.0f} % | {stale:.1f} | "
                f"{labels:.0f} | {right:.3f} | {gain:.1f} | {told} |"
            )


if __name__ == "__main__":
    main()
