"""Are the events asked about like all others, as far as the age of the newest label goes?

    PYTHONPATH=. python bench/staleness.py FOLDER [--streams elec2] [--seeds 10]

The draw on arrival is spread evenly, so that little chance is left in what is spent: an event
seldom comes just after one that was drawn. Where a model is better just after a label, the events
that judge are then a little harder than the others. For each stream, first 10,000 events at most,
default settings, labels at once: the live intervals every 500 events against the truth of their
range, and the bias that comes of age alone: with a(t) the accuracy of the events that came t events
after the newest label, the mean of a over the judging events, each 1 / propensity, less that over
all events. The figures of docs/ACCURACY.md are this script's.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from bench.experiments.runs import Run, Scores, _case, _Looks, _settings
from bench.experiments.streams import STREAMS, TUNING, Stream, load

from headrace import Engine
from headrace.commands.pilot.runs import play_watched, settings_of
from headrace.drivers.notebook import Simulation
from headrace.learn.evaluation import Evaluation
from headrace.testing.oracles import Delayed

EVENTS_MAX, FROM_N = 10_000, 500
EDGES = np.array([0, 1, 2, 3, 5, 7, 10, 13, 16, 20, 25, 30, 40, 60, 100])


class Listening(Evaluation):
    """Remembers with which probability each event was asked about that was."""

    def listen(self) -> None:
        self.drawn: dict[int, float] = {}

    def note_chance(self, request_id: str, propensity: float) -> None:
        request = self._find_request(request_id)
        if request is not None:
            self.drawn.setdefault(request.seq, propensity)
        super().note_chance(request_id, propensity)


def played(name: str, folder: Path, budget: float, strategy: str, seed: int) -> dict[str, float]:
    history = load(name, folder)
    run = Run(stream=name, budget=budget, strategy=strategy, seed=seed)
    engine = Engine(settings=settings_of(history, _settings(run), _case(run)))
    heard = Listening(engine.shard._evaluation.window_n)
    heard.listen()
    engine.shard._evaluation = heard
    scores = Scores(history, engine.schema)
    looks = _Looks(engine, scores)

    def take(rows: np.ndarray, probabilities: np.ndarray) -> None:
        scores.take(rows, probabilities)
        looks.look()

    batches = play_watched(history, engine, take, lambda n: None, STREAMS[name].batch_n)
    for _ in Simulation(engine, Delayed()).play_batches(batches):
        pass
    found = looks.summary()
    weights = np.zeros(len(history))
    for seq, p in heard.drawn.items():
        weights[seq] = 1.0 / p
    drawn = np.flatnonzero(weights)
    places = np.arange(len(history))
    newest = np.searchsorted(drawn, places, side="left") - 1
    ages = places - np.where(newest >= 0, drawn[np.maximum(newest, 0)], -1)
    late = places >= FROM_N
    bins, right, w = np.searchsorted(EDGES, ages)[late], scores.right[late], weights[late]
    by_age = np.array(
        [right[bins == b].mean() if (bins == b).any() else 0.0 for b in range(len(EDGES) + 1)]
    )
    return {
        "covered": 100.0 * found.covered_n / found.looks_n,
        "bias": 100.0 * found.bias,
        "half": 100.0 * found.half,
        "blind": 100.0 * found.blind,
        "by age": 100.0 * float((by_age[bins] * w).sum() / w.sum() - by_age[bins].mean()),
        "accuracy": 100.0 * float(scores.right.mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--streams", nargs="+", default=list(TUNING))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=float, default=0.05)
    parser.add_argument("--strategies", nargs="+", default=["default", "random"])
    chosen = parser.parse_args()
    for name in chosen.streams:
        if STREAMS[name].make is None and STREAMS[name].rows[1] is None:
            STREAMS[name] = _cut(name)
    print(
        "| stream | asked | covers, % | bias, points | by age alone | half-width | to blind "
        "| accuracy, % |\n|---|---|---|---|---|---|---|---|"
    )
    for name in chosen.streams:
        for strategy in chosen.strategies:
            seeds = range(chosen.seeds)
            runs = [played(name, chosen.folder, chosen.budget, strategy, s) for s in seeds]
            columns = {key: np.array([run[key] for run in runs]) for key in runs[0]}
            mean = {key: float(values.mean()) for key, values in columns.items()}
            error = {
                key: 2.0 * float(values.std(ddof=1)) / np.sqrt(len(runs)) if len(runs) > 1 else 0.0
                for key, values in columns.items()
            }
            print(
                f"| {name} | {strategy} | {mean['covered']:.0f} "
                f"| {mean['bias']:+.1f} ± {error['bias']:.1f} "
                f"| {mean['by age']:+.2f} ± {error['by age']:.2f} | {mean['half']:.1f} "
                f"| {mean['half'] / mean['blind']:.2f} | {mean['accuracy']:.1f} |",
                flush=True,
            )


def _cut(name: str) -> Stream:
    """The stream's first events only."""
    return replace(STREAMS[name], rows=(0, EVENTS_MAX))


if __name__ == "__main__":
    main()
