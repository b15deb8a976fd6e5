"""Is a class of 1 % starved, or a slice of 1 %; and do the intervals of the class hold?

    python bench/imbalance.py [--seeds 8] [--events 8000]

A stream of five numbers, two classes in the middle and a third of 1 % that lies a way off, and a
number `amount` that is above 3 for 1 % of the events, whatever their class. Budget 4 %, answers 50
events late. Each way is played with every seed: at random, by margin, by margin with a quota for
classes, and with one for the slice. Told are the labels of the rare class and of the slice, the
recall of the rare class over the last quarter, and in how many windows the 95 % interval of that
recall, as `Report.quality` has it, holds the truth. Figures of docs/ASKING.md are this script's.
"""

from __future__ import annotations

import argparse
import math
import statistics
from typing import Any

import numpy as np

from headrace import Answer, Engine, Event, LabelRequested
from headrace.settings import parse

LATE_N, PIECE_N, RARE, WINDOW_N = 50, 25, "rare", 2_000

WAYS: dict[str, dict[str, Any]] = {
    "random": {"strategy": "random"},
    "margin": {"strategy": "margin"},
    "margin, 40 a class": {"strategy": "margin", "quotas": {"per_class_n": 40, "over_n": 300}},
    "margin, 40 a slice": {
        "strategy": "margin",
        "quotas": {"per_slice_n": 40, "over_n": 300},
        "slices": {"large": "amount > 3"},
    },
}
ASKED = {"arrival": {"ask": "arrival"}, "rounds": {"ask": "rounds", "rounds": {"every_n": 50}}}


def stream(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows, shape (n, 6), and classes."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, n, p=(0.5, 0.49, 0.01))
    centres = np.array([[0.8, 0, 0, 0, 0], [-0.8, 0, 0, 0, 0], [0, 2.4, 2.4, 0, 0]])
    X = centres[y] + rng.normal(size=(n, 5))
    amount = np.where(rng.random(n) < 0.01, 4.0, rng.random(n))
    return np.column_stack([X, amount]), y


def play(way: str, asked: str, seed: int, n: int) -> dict[str, Any]:
    """One run: labels, recall, and the windows in which its interval held."""
    X, y = stream(seed, n)
    names = ("left", "right", RARE)
    settings = parse(
        {
            "seed": seed,
            "schema": {"classes": list(names)},
            "model": {"name": "logistic"},
            "query": {**ASKED[asked], **WAYS[way], "budget": {"share": 0.04}},
            "evaluation": {"window_n": WINDOW_N},
        }
    )
    engine, due, requests = Engine(settings=settings), list[tuple[int, Answer]](), []
    said: list[str] = []
    covered: list[tuple[bool, float]] = []
    for start in range(0, n, PIECE_N):
        answers = [answer for i, answer in due if i <= start]
        due = [one for one in due if one[0] > start]
        for answer in answers:
            engine.feed([answer])
        rows = range(start, min(n, start + PIECE_N))
        events = [_event(X[i], i) for i in rows]
        found = [engine.predict(event.features) for event in events]
        said += [max(p, key=lambda c: p[c]) if p else "" for p in found]
        for output in engine.feed(events):
            if isinstance(output, LabelRequested):
                requests.append(output)
                label = names[y[int(output.event_id)]]
                answer = Answer(request_id=output.request_id, label=label, at=output.at)
                due.append((start + LATE_N, answer))
        if start and start % WINDOW_N == 0:
            covered += _held(engine, y, said, names)
    asked_rows = [int(request.event_id) for request in requests]
    last = slice(3 * n // 4, n)
    right = [c == RARE for c, t in zip(said[last], y[last], strict=True) if t == 2]
    return {
        "asked": len(asked_rows),
        "rare": int((y[asked_rows] == 2).sum()),
        "slice": int((X[asked_rows, 5] > 3).sum()),
        "recall": float(np.mean(right)),
        "held": covered,
    }


def _event(row: np.ndarray, i: int) -> Event:
    features = {f"x{j}": float(v) for j, v in enumerate(row[:5])} | {"amount": float(row[5])}
    return Event(id=str(i), at=float(i), features=features)


def _held(
    engine: Engine, y: np.ndarray, said: list[str], names: tuple[str, ...]
) -> list[tuple[bool, float]]:
    """Whether the interval of the rare class's recall holds, and its half-width."""
    rate, window = (
        engine.report.estimates.quality.recall.get(RARE),
        engine.report.estimates.accuracy,
    )
    if rate is None or rate.low is None or rate.high is None or window.from_seq is None:
        return []
    rows = range(window.from_seq, min(len(said), window.to_seq or 0))
    right = [said[i] == RARE for i in rows if names[y[i]] == RARE]
    if not right:
        return []
    truth = float(np.mean(right))
    return [(rate.low <= truth <= rate.high, (rate.high - rate.low) / 2.0)]


def told(values: list[float]) -> str:
    """Mean and 95 % interval over the seeds."""
    if len(values) < 2:
        return f"{statistics.fmean(values):.3g}"
    half = 2.0 * statistics.stdev(values) / math.sqrt(len(values))
    return f"{statistics.fmean(values):.3g} ± {half:.2g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--events", type=int, default=8_000)
    arguments = parser.parse_args()
    print("| asked | way | labels | of the rare class | of the slice | recall | intervals | hold |")
    print("|---|---|---|---|---|---|---|---|")
    for asked in ASKED:
        for way in WAYS:
            runs = [play(way, asked, seed, arguments.events) for seed in range(arguments.seeds)]
            cells = [told([run[name] for run in runs]) for name in ("asked", "rare", "slice")]
            recall = told([run["recall"] for run in runs])
            held = [is_held for run in runs for is_held, _ in run["held"]]
            share = f"{100 * np.mean(held):.0f} %" if held else "-"
            print(f"| {asked} | {way} | {' | '.join(cells)} | {recall} | {len(held)} | {share} |")


if __name__ == "__main__":
    main()
