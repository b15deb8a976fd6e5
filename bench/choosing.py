"""Is what `learn.twins` says of choosing true, on streams where the gain is known?

    python bench/choosing.py [--streams 200] [--seed 79]

Each stream has 20,000 events of two linearly divided classes in ten dimensions, and an online
logistic regression. Labels are bought on arrival at 5 %: by the doubt of a model that
learns them all, p = b (0.25 + 0.75 * 16 (1 - r)^15); what the twins doubt may be noise. The
truth of a kind is the mean over all its streams of what the twins gain over *all* events, so luck
in what a twin learned counts as error.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np

from headrace.chance import Chance
from headrace.learn.twins import HALF_LIFE_N, ChoosingGain, Twins
from headrace.messages import LabelSettled

EVENTS_N, FEATURES_N, BUDGET, PAST_N, RATE = 20_000, 10, 0.05, 1_000, 0.1


@dataclass
class Logistic:
    """Logistic regression by stochastic gradient, with what a `Learner` has that the twins use."""

    w: np.ndarray
    learned_n: int = 0
    is_noise: bool = False

    def as_it_began(self) -> Logistic:
        return self

    def make_novice(self) -> Logistic:
        return Logistic(np.zeros(FEATURES_N), is_noise=self.is_noise)

    def learn(self, row: np.ndarray, code: int, **_: object) -> None:
        self.w = self.w + RATE * (code - 1.0 / (1.0 + np.exp(-(row * self.w).sum()))) * row
        self.learned_n += 1

    def predicted(self, X: np.ndarray) -> np.ndarray:
        return ((X * self.w).sum(axis=1) > 0).astype(int)

    def predict_row(self, row: np.ndarray, **_: object) -> np.ndarray:
        p = 1.0 / (1.0 + np.exp(-(row * self.w).sum()))
        if self.is_noise:
            p = 0.5 + np.copysign(0.5 * abs(np.sin(1e4 * row[0])), p - 0.5)
        return np.array([1.0 - p, p])


KINDS = {"doubt that is noise": 0.0, "doubt": 0.0, "doubt, 10 % of labels wrong": 0.1}
"""By kind, the share of labels that are wrong."""


def chances(margins: np.ndarray, past: np.ndarray) -> np.ndarray:
    if len(past) < 30:
        return np.full(len(margins), BUDGET)
    rank = np.searchsorted(np.sort(past), margins) / len(past)
    return np.minimum(1.0, BUDGET * (0.25 + 0.75 * 16 * (1.0 - rank) ** 15))


def run(kind: str, seed: int) -> tuple[ChoosingGain, float, float]:
    """What the twins say at the end, and what the gain and the slope were over all events."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(EVENTS_N, FEATURES_N))
    w = rng.normal(size=FEATURES_N)
    y = ((X * (w / np.linalg.norm(w))).sum(axis=1) > 0).astype(int)
    y = np.where(rng.random(EVENTS_N) < KINDS[kind], 1 - y, y)
    model = Logistic(np.zeros(FEATURES_N), is_noise=kind == "doubt that is noise")
    twins = Twins(model, 0.25, Chance(seed))
    past, gains = np.empty(0), []
    for start in range(0, EVENTS_N, 20):
        rows = slice(start, start + 20)
        margins = np.abs((X[rows] * model.w).sum(axis=1))
        p = chances(margins, past)
        past = np.concatenate([past, margins])[-PAST_N:]
        if min(twin.learned_n for twin in twins.random) >= 10:
            truth = [
                float((twin.probabilities(X[rows]).argmax(axis=1) == y[rows]).mean())
                for twin in (*twins.random, *twins.chosen, twins.joint)
            ]
            random = float(np.mean(truth[:3]))
            gains.append((twins.judged_n, float(np.mean(truth[3:6])) - random, truth[6] - random))
        for i in np.flatnonzero(rng.random(20) < p):
            seq = start + int(i)
            blind = min(1.0, 0.25 * BUDGET / p[i])
            reason = "control" if rng.random() < blind else "arrival"
            twins.learn(settled(seq, float(p[i]), reason), X[seq], int(y[seq]))
            model.learn(X[seq], int(y[seq]))
    faded = 0.5 ** ((twins.judged_n - np.array([g[0] for g in gains])) / HALF_LIFE_N)
    gain, slope = (float((faded * [g[k] for g in gains]).sum() / faded.sum()) for k in (1, 2))
    return twins.estimate(), gain, slope


def settled(seq: int, propensity: float, reason: str) -> LabelSettled:
    return LabelSettled(
        request_id=f"r{seq}", event_id=f"e{seq}", at=0.0, event_at=0.0, label="", features={},
        prediction={}, reason=reason, seq=seq, answers_n=1, agreement=1.0, propensity=propensity,
    )  # fmt: skip


def study(streams_n: int, seed: int) -> None:
    print(
        "| kind | gain in truth, points | said | covers, % | half-width | says it pays, % "
        "| says it does not, % | ratio in truth | told, % | its interval covers, % |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for kind in KINDS:
        runs = [run(kind, seed * 100_000 + j) for j in range(streams_n)]
        found = [f for f, _, _ in runs]
        truth = float(np.mean([gain for _, gain, _ in runs]))
        ratio = 3.0 ** (truth / float(np.mean([slope for _, _, slope in runs])))
        told = [f for f in found if f.ratio is not None]
        within = [f.ratio_low <= ratio <= f.ratio_high for f in told]
        print(
            f"| {kind} | {100 * truth:+.2f} | {100 * np.mean([f.gain for f in found]):+.2f} "
            f"| {100 * np.mean([f.gain_low <= truth <= f.gain_high for f in found]):.0f} "
            f"| {100 * np.mean([f.gain_high - f.gain_low for f in found]) / 2:.2f} "
            f"| {100 * np.mean([f.gain_low > 0.0 for f in found]):.0f} "
            f"| {100 * np.mean([f.gain_high < 0.0 for f in found]):.0f} "
            f"| {ratio:.2f} | {100 * len(told) / len(found):.0f} "
            f"| {100 * np.mean(within) if within else float('nan'):.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--seed", type=int, default=79)
    chosen = parser.parse_args()
    began = time.perf_counter()
    study(chosen.streams, chosen.seed)
    print(f"\n{time.perf_counter() - began:.0f} s")
