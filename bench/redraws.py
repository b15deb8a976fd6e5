"""How good is the live interval of a draw? The same predictions, drawn and judged again and again.

    PYTHONPATH=. python bench/redraws.py FOLDER [--streams elec2 sea_abrupt] [--draws 100]
        [--shares 0 0.5]

Each stream is played once, and what the model predicted of each event is kept. Then labels are
drawn anew, by the engine's own draw and judged by its own estimate, once a seed: the last window of
each seed against the truth. The windows are the same, their draws independent, so a hundred of them
tell coverage to 4 points; what a label does to the model, and so to later predictions, is left out,
which `bench/staleness.py` measures. *To blind* is the half-width divided by that of as many labels
drawn blindly; *least* is what theory allows: E sqrt(c (1 - c)) / sqrt(a (1 - a)) with c the share
right among events of like confidence (20 bins, from all labels) and a the accuracy.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench.experiments.runs import Run, Scores, _case, _settings
from bench.experiments.streams import STREAMS, TUNING, load
from numpy.typing import NDArray

from headrace import Engine
from headrace.chance import Chance
from headrace.commands.pilot.runs import play_watched, settings_of
from headrace.drivers.notebook import Simulation
from headrace.learn.evaluation import Evaluation
from headrace.query.arrivals import Arrivals
from headrace.query.budgets import from_settings
from headrace.testing.oracles import Delayed

EVENTS_MAX = 12_000


class Played(NamedTuple):
    """Of each event: the margin's doubt, the confidence, and whether the prediction was right."""

    doubts: NDArray[np.float64]
    confidences: NDArray[np.float64]
    right: NDArray[np.bool_]


def played(name: str, folder: Path, budget: float) -> tuple[Played, Engine]:
    """The stream played once by the default engine, which has the settings of the draw."""
    history = load(name, folder)
    run = Run(stream=name, budget=budget, strategy="default")
    engine = Engine(settings=settings_of(history, _settings(run), _case(run)))
    scores = Scores(history, engine.schema)
    highest = np.zeros((len(history), 2))

    def take(rows: NDArray[np.int64], probabilities: NDArray[np.float64]) -> None:
        scores.take(rows, probabilities)
        highest[rows] = np.sort(probabilities, axis=1)[:, :-3:-1]

    batches = play_watched(history, engine, take, lambda n: None, STREAMS[name].batch_n)
    for _ in Simulation(engine, Delayed()).play_batches(batches):
        pass
    return Played(1.0 - (highest[:, 0] - highest[:, 1]), highest[:, 0], scores.right), engine


def redrawn(of: Played, engine: Engine, share: float, seed: int) -> Evaluation:
    """Labels drawn once more, this share for the estimate, and what that took of them."""
    query, chance = engine.settings.query, Chance(seed)
    budget = from_settings(query.budget)
    arrivals = Arrivals(query.control_share, chance, estimate_share=share)
    evaluation = Evaluation(engine.settings.evaluation.window_n)
    keys = chance.keys([str(i) for i in range(len(of.right))])
    arrivals.face_classes(2)
    labels_n, start = 0, 0
    while start < len(keys):
        arrivals.aim_draw(
            budget, open_n=0, room_n=1_000, waiting_n=0, labels_n=labels_n, classes_n=2
        )
        until = slice(start, start + arrivals.counted_n)
        guesses = evaluation.guess_chances(of.confidences[until])
        errors = np.sqrt(guesses * (1.0 - guesses))
        look = arrivals.look_ahead(of.doubts[until], keys[until], errors=errors)
        drawn = arrivals.take_arrived(look, keys[start : start + look.n])
        budget.events_passed(look.n, float(start))
        evaluation.count_events(guesses[: look.n])
        start += look.n
        if drawn is None:
            continue
        row, labels_n = start - 1, labels_n + 1
        budget.charge()
        evaluation.note_asked(row, str(row), guesses[look.n - 1], of.confidences[row])
        evaluation.note_chance(str(row), drawn.propensity)
        evaluation.note_label(str(row), bool(of.right[row]))
    return evaluation


def figures(of: Played, engine: Engine, share: float, draws_n: int) -> dict[str, float]:
    """Coverage of the last window in percent; bias with its error and widths in points."""
    found = []
    for seed in range(draws_n):
        told = redrawn(of, engine, share, seed).estimate()
        truth = float(of.right[told.from_seq : told.to_seq].mean())
        n = told.labels_n
        blind_width = 1.96 * math.sqrt(truth * (1.0 - truth) / n * (1.0 - n / told.events_n))
        width = (told.high - told.low) / 2.0
        found.append((told.low <= truth <= told.high, told.accuracy - truth, width, blind_width, n))
    covered, off, half, blind, labels = (
        np.array(column, float) for column in zip(*found, strict=True)
    )
    return {
        "covers": 100.0 * covered.mean(),
        "bias": 100.0 * off.mean(),
        "error": 200.0 * off.std(ddof=1) / math.sqrt(draws_n),
        "rmse": 100.0 * math.sqrt((off * off).mean()),
        "half": 100.0 * half.mean(),
        "ratio": half.mean() / blind.mean(),
        "labels": labels.mean(),
    }


def least(of: Played) -> float:
    """The half-width that theory allows, to that of as many labels drawn blindly."""
    bins = np.minimum((of.confidences * 20).astype(int), 19)
    n = np.bincount(bins, minlength=20)
    share = np.bincount(bins, of.right, minlength=20) / np.maximum(n, 1)
    deviation = float((n * np.sqrt(share * (1.0 - share))).sum() / n.sum())
    accuracy = float(of.right.mean())
    return deviation / math.sqrt(accuracy * (1.0 - accuracy))


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--streams", nargs="+", default=list(TUNING))
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--budget", type=float, default=0.05)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.25, 0.5, 0.75])
    chosen = parser.parse_args()
    print(
        "| stream | for the estimate | covers, % | bias, points | rmse | half-width | to blind "
        "| least |\n|---|---|---|---|---|---|---|---|"
    )
    for name in chosen.streams:
        if STREAMS[name].make is None and STREAMS[name].rows[1] is None:
            STREAMS[name] = replace(STREAMS[name], rows=(0, EVENTS_MAX))
        of, engine = played(name, chosen.folder, chosen.budget)
        for share in chosen.shares:
            at = figures(of, engine, share, chosen.draws)
            print(
                f"| {name} | {share:g} | {at['covers']:.0f} "
                f"| {at['bias']:+.2f} ± {at['error']:.2f} | {at['rmse']:.1f} | {at['half']:.1f} "
                f"| {at['ratio']:.2f} | {least(of):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
