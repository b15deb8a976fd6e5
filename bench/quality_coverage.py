"""Do the intervals of `learn.quality` hold the truth 95 times in 100, whatever the prevalences?

    python bench/quality_coverage.py [--streams 1200] [--seed 78] [--rare]

Each stream has 12,000 events of a Gaussian world with two to six classes of very unlike prevalence,
standing still or drifting; the model is the nearest of running class means, learned from the labels
bought. Labels are bought on arrival, at random or by doubt: p = b (0.25 + 0.75 * 16 (1 - r)^15), r
being the rank of the margin among the last 1,000. One window of 5,000 a stream, its last. Truths
are over the classes of which there is a label. `--rare`: two classes, one ever rarer, and on which
side of the truth the intervals lie that miss it. The figures of docs/ACCURACY.md are this script's.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from headrace.learn.evaluation import Evaluation, Quality
from headrace.learn.quality import Rate

EVENTS_N, WINDOW_N, CHUNK_N, PAST_N, FEATURES_N = 12_000, 5_000, 20, 1_000, 4

PREVALENCES = {
    "50:50": (0.5, 0.5),
    "90:10": (0.9, 0.1),
    "98:2": (0.98, 0.02),
    "60:30:10": (0.6, 0.3, 0.1),
    "six, 40 to 2 %": (0.4, 0.25, 0.18, 0.1, 0.05, 0.02),
}

RARE = {f"{100 * p:g} %": (1.0 - p, p) for p in (0.5, 0.1, 0.05, 0.02, 0.01, 0.005)}


@dataclass(frozen=True)
class Case:
    """What one stream is like."""

    prevalences: str
    rule: str
    budget: float
    drift: bool


CASES = [
    Case(*case)
    for case in itertools.product(
        PREVALENCES, ("random", "doubt"), (0.02, 0.05, 0.10), (False, True)
    )
]


def chances(margins: np.ndarray, past: np.ndarray, case: Case) -> np.ndarray:
    """The probability with which each event is asked about on arrival."""
    if case.rule == "random" or len(past) < 30:
        return np.full(len(margins), case.budget)
    rank = np.searchsorted(np.sort(past), margins) / len(past)
    return np.minimum(1.0, case.budget * (0.25 + 0.75 * 16 * (1.0 - rank) ** 15))


def run(case: Case, seed: int) -> tuple[Evaluation, np.ndarray, np.ndarray]:
    """The evaluation at the end of a stream, and of each event the class and the prediction."""
    rng = np.random.default_rng(seed)
    share = np.array((PREVALENCES | RARE)[case.prevalences])
    k = len(share)
    y = rng.choice(k, EVENTS_N, p=share)
    centres = rng.normal(size=(k, FEATURES_N)) * rng.uniform(0.8, 2.5)
    moves = rng.normal(size=(k, FEATURES_N)) * (2.0 if case.drift else 0.0)
    along = np.linspace(0.0, 1.0, EVENTS_N)[:, None]
    X = centres[y] + along * moves[y] + rng.normal(size=(EVENTS_N, FEATURES_N))
    means, seen = rng.normal(size=(k, FEATURES_N)) * 0.1, np.ones(k)
    evaluation, predicted = Evaluation(WINDOW_N), np.zeros(EVENTS_N, dtype=int)
    past = np.empty(0)
    for start in range(0, EVENTS_N, CHUNK_N):
        rows = slice(start, start + CHUNK_N)
        logits = -0.5 * ((X[rows][:, None, :] - means) ** 2).sum(axis=2) + np.log(seen / seen.sum())
        P = np.exp(logits - logits.max(axis=1, keepdims=True))
        P /= P.sum(axis=1, keepdims=True)
        predicted[rows] = P.argmax(axis=1)
        top = np.sort(P, axis=1)
        guesses = evaluation.guess_chances(top[:, -1])
        evaluation.count_events(guesses)
        p = chances(top[:, -1] - top[:, -2], past, case)
        past = np.concatenate([past, top[:, -1] - top[:, -2]])[-PAST_N:]
        for i in np.flatnonzero(rng.random(len(p)) < p):
            seq, label = start + int(i), int(y[start + i])
            evaluation.note_asked(seq, f"{seq}", float(guesses[i]), float(top[i, -1]))
            evaluation.note_chance(f"{seq}", float(p[i]))
            if rng.random() < 0.05:
                evaluation.end_request(f"{seq}")
                continue
            said = int(predicted[seq])
            evaluation.note_label(f"{seq}", said == label, str(label), str(said))
            seen[label] += 1
            means[label] += max(1.0 / seen[label], 0.05) * (X[seq] - means[label])
    return evaluation, y, predicted


def truths(y: np.ndarray, predicted: np.ndarray, found: Quality) -> dict[str, float]:
    """The same measures with every label known, over the classes that `found` speaks of."""
    classes = [int(name) for name in found.recall]
    recall = {a: float((predicted[y == a] == a).mean()) for a in classes}
    f1 = []
    for a in classes:
        sides = int((y == a).sum() + (predicted == a).sum())
        f1.append(2.0 * int(((y == a) & (predicted == a)).sum()) / sides)
    right = float((y == predicted).mean())
    chance = sum(float((y == c).mean() * (predicted == c).mean()) for c in np.unique(y))
    return {
        "balanced accuracy": float(np.mean(list(recall.values()))),
        "kappa": (right - chance) / (1.0 - chance),
        "macro F1": float(np.mean(f1)),
        **{f"recall {a}": value for a, value in recall.items()},
        **{
            f"precision {name}": float((y[predicted == int(name)] == int(name)).mean())
            for name in found.precision
        },
    }


def rates(found: Quality) -> dict[str, Rate]:
    return {
        "balanced accuracy": found.balanced_accuracy,
        "kappa": found.kappa,
        "macro F1": found.macro_f1,
        **{f"recall {name}": rate for name, rate in found.recall.items()},
        **{f"precision {name}": rate for name, rate in found.precision.items()},
    }


def study(streams_n: int, seed: int) -> None:
    trials: dict[tuple[str, str], list[tuple[bool, float, float]]] = defaultdict(list)
    for j in range(streams_n):
        case = CASES[j % len(CASES)]
        evaluation, y, predicted = run(case, seed * 1_000_000 + j)
        window, found = evaluation.estimate(), evaluation.quality()
        part = slice(window.from_seq, window.to_seq)
        true = truths(y[part], predicted[part], found)
        for name, rate in rates(found).items():
            if rate.value is None:
                continue
            is_covered = rate.low <= true[name] <= rate.high
            told = (is_covered, rate.value - true[name], (rate.high - rate.low) / 2.0)
            kind = name.split()[0]
            if kind in ("recall", "precision"):
                n = rate.effective_n
                size = "below 5" if n < 5 else "5 to 20" if n < 20 else "20 and more"
                trials[kind, f"effective labels {size}"].append(told)
                continue
            trials[name, "all"].append(told)
            trials[name, case.prevalences].append(told)
            trials[name, f"{case.rule}, {'drifting' if case.drift else 'still'}"].append(told)
            trials[name, f"budget {case.budget:.0%}"].append(told)
    print("| measure | streams like | intervals | covers, % | bias, points | half-width |")
    print("|---|---|---|---|---|---|")
    for (kind, like), found_all in sorted(trials.items()):
        covered, errors, halves = map(np.array, zip(*found_all, strict=True))
        noise = 196.0 * np.sqrt(covered.mean() * (1.0 - covered.mean()) / len(covered))
        print(
            f"| {kind} | {like} | {len(covered)} | {100 * covered.mean():.1f} ± {noise:.1f} "
            f"| {100 * errors.mean():+.1f} | {100 * halves.mean():.1f} |"
        )


def study_rare(streams_n: int, seed: int) -> None:
    """Accuracy, and recall of the rarer class, by how rare that is."""
    print(
        "| rarer class | measure | intervals | cover, % | too high, % | too low, % | half-width |"
    )
    print("|---|---|---|---|---|---|---|")
    for rarity in RARE:
        told: dict[str, list[tuple[bool, bool, float]]] = defaultdict(list)
        for j in range(streams_n):
            rule, budget = ("random", "doubt")[j % 2], (0.02, 0.05, 0.10)[j // 2 % 3]
            case = Case(rarity, rule, budget, j // 6 % 2 == 1)
            evaluation, y, predicted = run(case, seed * 1_000_000 + j)
            window, found = evaluation.estimate(), evaluation.quality()
            part = slice(window.from_seq, window.to_seq)
            true = truths(y[part], predicted[part], found)
            accuracy = float((y[part] == predicted[part]).mean())
            recall = found.recall.get("1", Rate())
            size = "thin" if recall.is_thin else "not thin"
            for name, rate, truth in (
                (
                    "accuracy",
                    Rate(value=window.accuracy, low=window.low, high=window.high),
                    accuracy,
                ),
                (f"recall, {size}", recall, true.get("recall 1", 0.0)),
            ):
                if rate.value is not None:
                    half = (rate.high - rate.low) / 2.0
                    told[name].append((truth < rate.low, truth > rate.high, half))
        for name, trials in sorted(told.items()):
            high, low, halves = map(np.array, zip(*trials, strict=True))
            print(
                f"| {rarity} | {name} | {len(trials)} | {100 * (1 - high.mean() - low.mean()):.1f} "
                f"| {100 * high.mean():.1f} | {100 * low.mean():.1f} | {100 * halves.mean():.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=78)
    parser.add_argument("--rare", action="store_true", help="only by how rare a class is")
    chosen = parser.parse_args()
    began = time.perf_counter()
    (study_rare if chosen.rare else study)(chosen.streams, chosen.seed)
    print(f"\n{time.perf_counter() - began:.0f} s")
