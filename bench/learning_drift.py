"""How often does an engine whose model is still learning cry wolf, and how soon does it tell?

    PYTHONPATH=. python bench/learning_drift.py [--seeds 16] [--only 500:2] [--steady | --changing]

Whole engines, from their first event on: normal features, a linear concept for each class, a label
for one event in 20, which is known at once, the `logistic` preset, all settings as they are. The
first table counts WARNINGs, DRIFTs and retrainings on 10,000 events in which nothing happens. The
second gives the events from a change to the next DRIFT; it comes at event 6,000 of 12,000, at once
or over 3,000 events, and the concepts before and after have nothing in common. A model that learns
the new concept before the watches are sure has not drifted for them: then there is no DRIFT.
docs/DRIFT.md has the figures.
"""

from __future__ import annotations

import argparse
import statistics
from collections import Counter

import numpy as np
from bench.engine_plugin import Linear, batches_of
from bench.false_alarms import LEVELS, table

import headrace as hr
from headrace.drivers.notebook import Simulation
from headrace.messages import DriftChanged
from headrace.settings import parse

WIDTHS = ((20, 2), (100, 2), (500, 2), (20, 10), (20, 30))
"""Features and classes."""

STEADY_N, CHANGE_AT, CHANGED_N = 10_000, 6_000, 12_000
RAMPS = {"at once": 1, "over 3,000 events": 3_000}


def changing(features_n: int, classes_n: int, seed: int, ramp_n: int) -> Linear:
    """A stream whose concept becomes another one from event `CHANGE_AT` on."""
    luck = np.random.default_rng(seed)
    X = luck.normal(size=(CHANGED_N, features_n))
    scores_n = classes_n if classes_n > 2 else 1
    before, after = (
        X @ luck.normal(size=(features_n, scores_n)) / np.sqrt(features_n) for _ in range(2)
    )
    share = np.clip((np.arange(CHANGED_N) - CHANGE_AT + 1) / ramp_n, 0.0, 1.0)[:, np.newaxis]
    scores = (1.0 - share) * before + share * after
    scores = scores + 0.2 * luck.normal(size=scores.shape)
    return Linear(X, scores.argmax(axis=1) if scores_n > 1 else (scores[:, 0] > 0).astype(int))


def rises(stream: Linear, classes_n: int, seed: int) -> tuple[list[tuple[int, str, str]], int]:
    """The rises of the level as (event, level, signal), and how many retrainings were ordered."""
    settings = {
        "seed": seed,
        "schema": {"classes": [str(c) for c in range(classes_n)]},
        "model": {"name": "logistic"},
        "query": {"budget": {"share": 0.05}},
    }
    engine, found = hr.Engine(settings=parse(settings)), list[tuple[int, str, str]]()
    simulation = Simulation(engine, hr.oracles.Delayed(0.0))
    for outputs in simulation.play_batches(batches_of(stream, 0, len(stream.y), 1_000)):
        found += [
            (engine.shard.events_n, change.level, change.signal)
            for change in outputs
            if isinstance(change, DriftChanged)
            and LEVELS.index(change.level) > LEVELS.index(change.previous)
        ]
    return found, engine.report.retraining.ordered_n


def steady_row(features_n: int, classes_n: int, seeds: range) -> list[str]:
    """One line of the first table."""
    levels: Counter[str] = Counter()
    drifts: Counter[str] = Counter()
    retrained_n = 0
    for seed in seeds:
        stream = Linear.of(STEADY_N, features_n, seed, classes_n)
        found, ordered_n = rises(stream, classes_n, seed)
        retrained_n += ordered_n
        levels.update(level for _, level, _ in found)
        drifts.update(signal for _, level, signal in found if level == "DRIFT")
    cells = [f"{levels[level] / len(seeds):.2f}" for level in ("WARNING", "DRIFT")]
    told = ", ".join(f"{signal} {n}" for signal, n in sorted(drifts.items()))
    name = [f"{features_n}", f"{classes_n}"]
    return [*name, *cells, f"{retrained_n / len(seeds):.2f}", told or "–"]


def changing_row(features_n: int, classes_n: int, seeds: range) -> list[str]:
    """One line of the second table."""
    cells = []
    for ramp_n in RAMPS.values():
        delays = []
        for seed in seeds:
            found, _ = rises(changing(features_n, classes_n, seed, ramp_n), classes_n, seed)
            after = [at for at, level, _ in found if level == "DRIFT" and at >= CHANGE_AT]
            delays += [after[0] - CHANGE_AT] if after else []
        median = f"{statistics.median(delays):,.0f}" if delays else "–"
        cells.append(f"{median} ({len(delays)} of {len(seeds)})")
    return [f"{features_n}", f"{classes_n}", *cells]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--only", help="one width, as features:classes")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--steady", action="store_true", help="the first table alone")
    which.add_argument("--changing", action="store_true", help="the second table alone")
    arguments = parser.parse_args()
    seeds, only = range(arguments.seeds), arguments.only
    widths = [tuple(map(int, only.split(":")))] if only else WIDTHS
    if not arguments.changing:
        head = ["features", "classes", "WARNING", "DRIFT", "retrainings", "DRIFT by"]
        table(head, [steady_row(d, c, seeds) for d, c in widths])
    if not arguments.steady:
        table(["features", "classes", *RAMPS], [changing_row(d, c, seeds) for d, c in widths])


if __name__ == "__main__":
    main()
