"""How wide is the accuracy's interval when labels are asked on arrival, and what does that cost?

    python bench/width.py FOLDER elec2 weather_noaa [--seeds 12] [--model logistic]

Each stream is FOLDER/NAME.parquet, its last column the label; the first 10,000 rows are used, at
5 %. Each event is asked on arrival with a probability p. With b the budget, r the rank of its
margin among the last 1,000 (0 is the closest call) and g the guessed chance that the prediction is
right:

    uniform      p = b
    rank, s      p = b (s + (1 - s) 16 (1 - r)^15)
    sqrt, s      p = b (s + (1 - s) sqrt(g (1 - g)) / its mean)
    half, s      p = b (s + (1 - s) / 2 of the one and of the other)

`sqrt` is the best choice for the estimate alone (Zrnic and Candès, "Active statistical inference",
ICML 2024, section 3). Ratios are to uniform on the same stream, the means over seeds; accuracies
are of the model that learns what was bought. The figures of docs/ACCURACY.md are this script's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from calibration import BUDGET, CHUNK_N, PAST_N, stream
from headrace.learn.calibration import Calibration
from headrace.learn.evaluation import Evaluation
from headrace.learn.learner import Learner
from headrace.learn.models import build
from headrace.observe.schema import Schema
from headrace.settings import SchemaSettings

WINDOW_N = 5_000
RULES = [
    ("uniform", 1.0),
    ("rank", 0.25),
    ("rank", 0.5),
    ("sqrt", 0.25),
    ("half", 0.25),
    ("half", 0.5),
]


class Buyer:
    """The probabilities of one rule; it remembers the last margins and guesses."""

    def __init__(self, rule: str, share: float) -> None:
        self.rule, self.share = rule, share
        self.margins, self.roots = np.empty(0), np.empty(0)

    def chances(self, margins: np.ndarray, guesses: np.ndarray) -> np.ndarray:
        roots = np.sqrt(guesses * (1.0 - guesses))
        p = np.full(len(margins), BUDGET)
        if self.rule != "uniform" and len(self.margins) >= 30:
            rank = np.searchsorted(np.sort(self.margins), margins) / len(self.margins)
            by_rank = 16.0 * (1.0 - rank) ** 15
            by_root = roots / max(float(self.roots.mean()), 1e-9)
            chosen = {"rank": by_rank, "sqrt": by_root, "half": (by_rank + by_root) / 2.0}
            p = BUDGET * (self.share + (1.0 - self.share) * chosen[self.rule])
        self.margins = np.concatenate([self.margins, margins])[-PAST_N:]
        self.roots = np.concatenate([self.roots, roots])[-PAST_N:]
        return np.minimum(1.0, p)


def run(X: np.ndarray, y: np.ndarray, model: str, buyer: Buyer, seed: int) -> dict[str, float]:
    """Of one run: half-width, error and coverage of the last window, accuracy, labels bought."""
    rng = np.random.default_rng(seed)
    k = int(y.max()) + 1
    names = [f"x{j}" for j in range(X.shape[1])]
    schema = Schema(
        SchemaSettings(classes=[str(c) for c in range(k)], features=dict.fromkeys(names, "numeric"))
    )
    learner, calibration = Learner(build(model, seed, k), schema), Calibration()
    evaluation, right, bought_n = Evaluation(WINDOW_N), np.zeros(len(y), dtype=bool), 0
    for start in range(0, len(y), CHUNK_N):
        rows = slice(start, start + CHUNK_N)
        said = calibration.apply(learner.probabilities(X[rows]))
        right[rows] = said.argmax(axis=1) == y[rows]
        top = np.sort(said, axis=1)
        guesses = evaluation.guess_chances(top[:, -1])
        evaluation.count_events(guesses)
        p = buyer.chances(top[:, -1] - top[:, -2], guesses)
        for i in np.flatnonzero(rng.random(len(p)) < p):
            seq, row, bought_n = start + int(i), X[start + i], bought_n + 1
            evaluation.note_asked(seq, f"{seq}", float(guesses[i]), float(top[i, -1]))
            evaluation.note_chance(f"{seq}", float(p[i]))
            evaluation.note_label(f"{seq}", bool(right[seq]))
            if learner.learned_n:
                calibration.learn(learner.predict_row(row), int(y[seq]), float(p[i]))
            learner.learn(row, int(y[seq]))
    found = evaluation.estimate()
    truth = float(right[found.from_seq : found.to_seq].mean())
    assert found.accuracy is not None and found.low is not None and found.high is not None
    return {
        "half": (found.high - found.low) / 2.0,
        "error": found.accuracy - truth,
        "covers": float(found.low <= truth <= found.high),
        "accuracy": float(right.mean()),
        "bought": bought_n / len(y) / BUDGET,
        "labels": found.labels_n,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("streams", nargs="+")
    parser.add_argument("--model", default="logistic")
    parser.add_argument("--seeds", type=int, default=12)
    chosen = parser.parse_args()
    print(
        "| stream | rule | labels | half-width | to uniform | bias, points | covers, % | accuracy |"
    )
    print("|---|---|---|---|---|---|---|---|")
    rows: dict[tuple[str, float], list[dict[str, float]]] = {}
    for name in chosen.streams:
        X, y = stream(chosen.folder / f"{name}.parquet")
        uniform = 1.0
        for rule, share in RULES:
            runs = [run(X, y, chosen.model, Buyer(rule, share), s) for s in range(chosen.seeds)]
            m = {key: float(np.mean([r[key] for r in runs])) for key in runs[0]}
            # At equal count: a half-width shrinks with the root of the number of labels.
            m["equal"] = m["half"] * np.sqrt(m["bought"])
            uniform = m["equal"] if rule == "uniform" else uniform
            m["ratio"] = m["equal"] / uniform
            rows.setdefault((rule, share), []).append(m)
            told = rule if rule == "uniform" else f"{rule}, {share}"
            print(
                f"| {name} | {told} | {m['labels']:.0f} | {100 * m['half']:.2f} | {m['ratio']:.2f} "
                f"| {100 * m['error']:+.2f} | {100 * m['covers']:.0f} "
                f"| {100 * m['accuracy']:.1f} |",
                flush=True,
            )
    for (rule, share), found in rows.items():
        means = {key: float(np.mean([m[key] for m in found])) for key in found[0]}
        told = rule if rule == "uniform" else f"{rule}, {share}"
        print(
            f"| **mean** | {told} | {means['labels']:.0f} | {100 * means['half']:.2f} "
            f"| {means['ratio']:.2f} | {100 * means['error']:+.2f} | {100 * means['covers']:.0f} "
            f"| {100 * means['accuracy']:.1f} |"
        )
