"""How often does an interval miss at any of forty looks? For all times, and of one look.

    python bench/anytime.py [--streams 200] [--seed 80]

Each stream has 6,000 events, asked on arrival with probabilities of 0.0125 and, one in five, of
0.15. The figures of docs/ACCURACY.md are this script's.
"""

from __future__ import annotations

import argparse

import numpy as np

from headrace.learn.evaluation import Evaluation

EVENTS_N, LOOK_N, P_MIN = 6_000, 150, 0.0125
KINDS = ("still, honest guesses", "drop of 30 points, honest guesses", "drop, sure of everything")


def run(kind: str, seed: int, anytime_min: float | None) -> tuple[float, float, float]:
    """Whether it ever missed, the share of looks at which it did, and the last half-width."""
    rng = np.random.default_rng(seed)
    at = np.arange(EVENTS_N)
    chance = np.where((at >= EVENTS_N // 2) & (kind != KINDS[0]), 0.6, 0.9)
    right = rng.random(EVENTS_N) < chance
    guesses = np.full(EVENTS_N, 0.99) if kind == KINDS[2] else chance
    p = np.where(rng.random(EVENTS_N) < 0.2, 0.15, P_MIN)
    asked = rng.random(EVENTS_N) < p
    evaluation, missed, half = Evaluation(2_000, anytime_min), [], 1.0
    for start in range(0, EVENTS_N, LOOK_N):
        evaluation.count_events(guesses[start : start + LOOK_N])
        for i in np.flatnonzero(asked[start : start + LOOK_N]) + start:
            evaluation.note_asked(int(i), f"{i}", float(guesses[i]), float(guesses[i]))
            evaluation.note_chance(f"{i}", float(p[i]))
            evaluation.note_label(f"{i}", bool(right[i]))
        found = evaluation.estimate_all()
        if found.low is not None and found.high is not None:
            truth = float(right[: found.to_seq].mean())
            missed.append(not found.low <= truth <= found.high)
            half = (found.high - found.low) / 2.0
    return float(any(missed)), float(np.mean(missed)), half


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--seed", type=int, default=80)
    chosen = parser.parse_args()
    print("| stream | interval | ever misses, % | misses a look, % | last half-width, points |")
    print("|---|---|---|---|---|")
    for kind in KINDS:
        for name, least in (("window", None), ("anytime", P_MIN), ("anytime, 0.002", 0.002)):
            runs = [run(kind, chosen.seed * 10_000 + j, least) for j in range(chosen.streams)]
            ever, looks, half = (100.0 * float(np.mean(x)) for x in zip(*runs, strict=True))
            print(f"| {kind} | {name} | {ever:.1f} | {looks:.1f} | {half:.1f} |", flush=True)
