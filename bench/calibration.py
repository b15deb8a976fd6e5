"""What does the temperature of `learn.calibration` do to log-loss and calibration error?

    python bench/calibration.py FOLDER elec2 arabic_digits sea [--models logistic,naive-bayes]

Each stream is FOLDER/NAME.parquet, its last column the label; the first 10,000 rows are used. A
model learns 5 % of the labels, bought on arrival: a quarter of the rate at random, the rest by
doubt (the rank of its margin among the last 1,000). Losses and errors are over *all* events, by
their true labels, on arrival. The figures of docs/ACCURACY.md are this script's.
"""

from __future__ import annotations

import argparse
from collections import deque
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from headrace.learn.calibration import Calibration
from headrace.learn.learner import Learner
from headrace.learn.models import build
from headrace.observe.schema import Schema
from headrace.settings import SchemaSettings

ROWS_N, BUDGET, CHUNK_N, PAST_N = 10_000, 0.05, 20, 1_000


def stream(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Numeric features, shape (n, d), and codes of the labels, shape (n,)."""
    table = pq.read_table(path).slice(0, ROWS_N)
    numeric = [c for c in table.columns[:-1] if str(c.type) not in ("string", "dictionary")]
    numeric = [c for c in numeric if not str(c.type).startswith("dictionary")]
    X = np.column_stack([c.to_numpy().astype(float) for c in numeric])
    return X, np.unique(table.columns[-1].to_numpy(), return_inverse=True)[1]


def ece(confidence: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error over 15 bins of equally many events."""
    order = np.argsort(confidence, kind="stable")
    parts = zip(
        np.array_split(confidence[order], 15), np.array_split(right[order], 15), strict=True
    )
    return float(sum(len(c) * abs(c.mean() - r.mean()) for c, r in parts) / len(confidence))


def chances(margins: np.ndarray, past: deque[float]) -> np.ndarray:
    """The probability with which each event is asked about on arrival."""
    if len(past) < 30:
        return np.full(len(margins), BUDGET)
    rank = np.searchsorted(np.sort(past), margins) / len(past)
    return np.minimum(1.0, BUDGET * (0.25 + 0.75 * 16 * (1.0 - rank) ** 15))


def run(X: np.ndarray, y: np.ndarray, model: str, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    k = int(y.max()) + 1
    names = [f"x{j}" for j in range(X.shape[1])]
    schema = Schema(
        SchemaSettings(classes=[str(c) for c in range(k)], features=dict.fromkeys(names, "numeric"))
    )
    learner, calibration = Learner(build(model, seed, k), schema), Calibration()
    past: deque[float] = deque(maxlen=PAST_N)
    raw, scaled = np.empty((len(y), k)), np.empty((len(y), k))
    for start in range(0, len(y), CHUNK_N):
        rows = slice(start, start + CHUNK_N)
        raw[rows] = learner.probabilities(X[rows])
        scaled[rows] = calibration.apply(raw[rows])
        top = np.sort(scaled[rows], axis=1)
        margins = top[:, -1] - top[:, -2]
        p = chances(margins, past)
        past.extend(margins)
        for i in np.flatnonzero(rng.random(len(p)) < p):
            row = X[start + i]
            if learner.learned_n:
                calibration.learn(learner.predict_row(row), int(y[start + i]), float(p[i]))
            learner.learn(row, int(y[start + i]))
    at = np.arange(len(y))
    found = {"temperature": calibration.temperature, "accuracy": (raw.argmax(1) == y).mean()}
    for name, said in (("raw", raw), ("scaled", scaled)):
        found[f"loss {name}"] = -np.log(np.maximum(said[at, y], 1e-6)).mean()
        found[f"ece {name}"] = ece(said.max(1), said.argmax(1) == y)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("streams", nargs="+")
    parser.add_argument("--models", default="logistic,naive-bayes,adaptive-tree")
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    print("| stream | model | accuracy | log-loss | scaled | ECE, points | scaled | last T |")
    print("|---|---|---|---|---|---|---|---|")
    for name in chosen.streams:
        X, y = stream(chosen.folder / f"{name}.parquet")
        for model in chosen.models.split(","):
            runs = [run(X, y, model, seed) for seed in range(chosen.seeds)]
            m = {key: float(np.mean([r[key] for r in runs])) for key in runs[0]}
            print(
                f"| {name} | {model} | {100 * m['accuracy']:.1f} | {m['loss raw']:.3f} "
                f"| {m['loss scaled']:.3f} | {100 * m['ece raw']:.1f} "
                f"| {100 * m['ece scaled']:.1f} | {m['temperature']:.2f} |",
                flush=True,
            )
