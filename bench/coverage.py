"""Does the 95 % interval of `learn.evaluation` hold the truth 95 times in 100?

    python bench/coverage.py [--streams 2160] [--seed 77] [--arrival]

Each stream has 14,000 events of a logistic world, standing still or drifting, an online logistic
model that learns from the labels bought, and Headrace's own way of buying: control draws, rounds by
rank, drift rounds whose labels only teach, late and missing labels. With `--arrival`, what asking
on arrival does to the interval, beside rounds and blind buying on the same streams. One window a
stream, its last, and the whole run; so trials are independent. The figures of docs/ACCURACY.md are
this script's.
The choices inside the estimator were made on other seeds.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import dataclass, field, replace

import numpy as np

from headrace.chance import Chance
from headrace.learn.estimate import Estimate, estimate_of
from headrace.learn.evaluation import Evaluation
from headrace.query.arrivals import Arrivals
from headrace.query.budgets import Budget, Share
from headrace.query.rounds import choose, inclusion

EVENTS_N, WINDOW_N, ROUND_N, FEATURES_N = 14_000, 5_000, 50, 5
COLD_LABELS_N = 100
ARRIVE_N = 10  # Events that arrive together: labels come back between those.


@dataclass(frozen=True)
class Case:
    """What one stream is like."""

    drift: str = "none"
    rule: str = "uncertain"
    budget: float = 0.05
    delay_n: int = 0
    temper: float = 1.0  # 3: logits three times too large, so far too sure
    control_share: float = 0.2
    sharpness: float = 1.5
    missing: float = 0.1


CASES = [
    Case(drift, rule, budget, delay_n, temper)
    for drift, rule, budget, delay_n, temper in itertools.product(
        ("none", "abrupt", "gradual"),
        ("random", "uncertain"),
        (0.02, 0.05, 0.10),
        (0, 500, 2000),
        (1.0, 3.0),
    )
]


@dataclass
class World:
    """Features, truth, and the luck of the draws."""

    case: Case
    seed: int
    X: np.ndarray = field(init=False)
    y: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.X = self.rng.normal(size=(EVENTS_N, FEATURES_N))
        # From nearly a coin to nearly no noise: attainable accuracies from 0.6 to 0.98.
        noise = np.exp(self.rng.uniform(0.0, np.log(16.0)))
        logits = noise * (self.X * self._concepts()).sum(axis=1)
        self.y = self.rng.random(EVENTS_N) < 1.0 / (1.0 + np.exp(-logits))

    def _direction(self) -> np.ndarray:
        w = self.rng.normal(size=FEATURES_N)
        return w / np.linalg.norm(w)

    def _concepts(self) -> np.ndarray:
        w = np.tile(self._direction(), (EVENTS_N, 1))
        if self.case.drift == "abrupt":
            start = int(self.rng.uniform(1500, 5000))
            while start < EVENTS_N:
                w[start:] = self._direction()
                start += int(self.rng.uniform(1500, 5000))
        if self.case.drift == "gradual":
            a, b = w[0], self._direction()
            b = b - (a * b).sum() * a
            angle = np.linspace(0.0, self.rng.uniform(2.0, 6.0), EVENTS_N)[:, None]
            w = np.cos(angle) * a + np.sin(angle) * b / np.linalg.norm(b)
        return w


class Run:
    """One stream from end to end; `right` and `guesses` are then known for every event."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case, self.world = case, World(case, seed)
        self.rng = np.random.default_rng([seed, 1])
        self.chance = Chance(seed)
        self.keys = self.rng.integers(0, 1 << 63, EVENTS_N, dtype=np.uint64)
        self.evaluation = Evaluation(WINDOW_N)
        self.confidence, self.guesses = np.empty(EVENTS_N), np.empty(EVENTS_N)
        self.right = np.zeros(EVENTS_N, dtype=bool)
        self.asked = np.zeros(EVENTS_N, dtype=bool)
        self.w, self.labels_n = np.zeros(FEATURES_N), 0
        self.pending: list[tuple[float, int, bool]] = []
        self.asked_at: dict[str, int] = {}
        self._go()

    def _go(self) -> None:
        case = self.case
        control_p = case.control_share * case.budget
        control = self.chance.uniforms("control", self.keys) < control_p
        tokens, first = 0.0, 0
        for start in range(0, EVENTS_N, ROUND_N):
            end = start + ROUND_N
            self._observe(start, end)
            for i in np.flatnonzero(control[start:end]) + start:
                self._ask(i, i)
            tokens += case.budget * (1.0 - case.control_share) * ROUND_N
            k = int(tokens + 1e-9)
            if k:
                tokens -= k
                self._round(first, end, k, control, control_p)
                first = end
            if case.drift != "none" and end % 2500 == 0:
                self._drift_round(end)
            self._deliver(end)

    def _observe(self, start: int, end: int) -> None:
        logits = (self.world.X[start:end] * self.w).sum(axis=1)
        p = 1.0 / (1.0 + np.exp(-self.case.temper * logits))
        self.confidence[start:end] = np.maximum(p, 1.0 - p)
        self.right[start:end] = (logits > 0) == self.world.y[start:end]
        self.guesses[start:end] = self.evaluation.guess_chances(self.confidence[start:end])
        self.evaluation.count_events(self.guesses[start:end])

    def _round(self, first: int, end: int, k: int, control: np.ndarray, control_p: float) -> None:
        is_cold = self.case.rule == "random" or self.labels_n < COLD_LABELS_N
        rows = np.arange(first, end)
        free = ~control[rows]
        p = inclusion(1.0 - self.confidence[rows], k, 0.0 if is_cold else self.case.sharpness, free)
        chosen = choose(p[free], k, self.chance, f"round {end}", self.keys[rows][free])
        for i in rows[free][chosen]:
            self._ask(i, end)
        for i in rows[self.asked[rows]]:
            self.evaluation.note_chance(f"{i}", control_p + (1.0 - control_p) * p[i - first])

    def _ask(self, i: int, now: int) -> None:
        self.asked[i] = True
        self.evaluation.note_asked(int(i), f"{i}", self.guesses[i], self.confidence[i])
        self._send(i, now)

    def _drift_round(self, end: int) -> None:
        """The 20 most doubtful of the last 1,000 that were passed over: they teach only."""
        rows = np.arange(end - 1000, end)
        rows = rows[~self.asked[rows]]
        for i in rows[np.argsort(self.confidence[rows], kind="stable")[:20]]:
            self._send(i, end)

    def _send(self, i: int, now: int) -> None:
        if self.rng.random() < self.case.missing:
            self.pending.append((now + 2 * self.case.delay_n, int(i), False))
        else:
            self.pending.append(
                (now + self.case.delay_n * self.rng.uniform(0.5, 1.5), int(i), True)
            )

    def _deliver(self, now: int) -> None:
        due = sorted(p for p in self.pending if p[0] <= now)
        self.pending = [p for p in self.pending if p[0] > now]
        for _, i, is_answered in due:
            if not is_answered:
                self.evaluation.end_request(f"{i}")
                continue
            label = bool(self.world.y[i])
            self.evaluation.note_label(f"{i}", bool(self.right[i]))
            x = self.world.X[i]
            self.w = self.w + 0.3 * (label - 1.0 / (1.0 + np.exp(-(x * self.w).sum()))) * x
            self.labels_n += 1


class ArrivalRun(Run):
    """The same stream, asked on arrival; what is drawn is paid at once here."""

    def _go(self) -> None:
        case = self.case
        self.budget = Budget([Share(case.budget)], reserve=0)
        self.arrivals = Arrivals(1.0 if case.rule == "random" else case.control_share, self.chance)
        self.arrivals.face_classes(2)
        self._aim()
        for start in range(0, EVENTS_N, ARRIVE_N):
            end = min(EVENTS_N, start + ARRIVE_N)
            self._observe(start, end)
            self._draw(start, end)
            if case.drift != "none" and end % 2500 == 0:
                self._drift_round(end)
            self._deliver(end)

    def _aim(self) -> None:
        self.arrivals.aim_draw(
            self.budget,
            open_n=len(self.pending),
            room_n=EVENTS_N,
            waiting_n=0,
            labels_n=self.labels_n,
            classes_n=2 if self.labels_n else 0,
        )

    def _draw(self, start: int, end: int) -> None:
        while start < end:
            stop = min(end, start + self.arrivals.counted_n)
            look = self.arrivals.look_ahead(
                1.0 - self.confidence[start:stop], self.keys[start:stop]
            )
            stop = start + look.n
            self.budget.events_passed(look.n, float(stop))
            drawn = self.arrivals.take_arrived(look, self.keys[start:stop])
            if drawn is not None:
                self._ask(stop - 1, stop)
                self.evaluation.note_chance(f"{stop - 1}", drawn.propensity)
                self.asked_at[f"{stop - 1}"] = stop
                self.budget.charge()
            if self.arrivals.is_due:
                self._aim()
            start = stop

    def _deliver(self, now: int) -> None:
        for due, i, is_answered in sorted(self.pending):
            asked_at = self.asked_at.get(f"{i}")
            if due <= now and is_answered and asked_at is not None:
                self.arrivals.note_answer(asked_at, now)
        super()._deliver(now)


# ------------------------------------------------------------------------------------ trials


@dataclass(frozen=True)
class Trial:
    """One interval against its truth."""

    error: float
    is_covered: bool
    half: float
    truth: float
    labels_n: int = 0
    effective_n: float = 0.0
    blind_half: float = 0.0  # half-width of as many labels drawn blindly from the same range


def trial(accuracy: float | None, low: float, high: float, truth: float, **more: float) -> Trial:
    assert accuracy is not None
    return Trial(accuracy - truth, low <= truth <= high, (high - low) / 2.0, truth, **more)


def against(estimate: Estimate, right: np.ndarray) -> dict[str, Trial]:
    """The estimate and the naive share of the same labels, against the truth of their range."""
    truth = float(right[estimate.from_seq : estimate.to_seq].mean())
    n, events_n = estimate.labels_n, estimate.events_n
    blind = 1.96 * np.sqrt(max(truth * (1 - truth), 1e-4) / n * (1 - n / events_n))
    more = {"labels_n": n, "effective_n": estimate.effective_n, "blind_half": float(blind)}
    return {
        "headrace": trial(estimate.accuracy, estimate.low, estimate.high, truth, **more),
        "naive": trial(estimate.naive, estimate.naive_low, estimate.naive_high, truth, **more),
    }


def others(run: Run, estimate: Estimate) -> dict[str, Trial]:
    """Textbook estimators on the same labels, with normal intervals of their own variance."""
    a, b = estimate.from_seq, estimate.to_seq
    truth = float(run.right[a:b].mean())
    judges = [r for r in run.evaluation.requests.values() if r.is_judge and a <= r.seq < b]
    requests_n = sum(a <= r.seq < b for r in run.evaluation.requests.values())
    q = len(judges) / requests_n
    p = np.array([r.propensity for r in judges]) * q
    R = np.array([r.is_right for r in judges], dtype=float)
    g = np.array([r.guess for r in judges])
    n, w, mean_guess = b - a, 1.0 / p, run.guesses[a:b].mean()
    found = {}
    for name, values, centre, total, offset in (
        ("inverse probability (Horvitz-Thompson)", R, 0.0, n, 0.0),
        ("self-normalised (Hajek)", R, (w * R).sum() / w.sum(), w.sum(), 0.0),
        ("difference, not self-normalised", R - g, 0.0, n, mean_guess),
    ):
        accuracy = offset + (w * values).sum() / total
        half = 1.96 * np.sqrt(((1 - p) * (w * (values - centre)) ** 2).sum()) / total
        blind = against(estimate, run.right)["headrace"].blind_half
        found[name] = trial(accuracy, accuracy - half, accuracy + half, truth, blind_half=blind)
    return found


def not_waiting(run: Run) -> Trial:
    """The last window_n events, from whatever labels are back."""
    evaluation = run.evaluation
    numbers = list(evaluation.blocks)[-evaluation.window_blocks_n :]
    sums = evaluation._sum_blocks(numbers[0], numbers[-1])
    return against(estimate_of(sums, EVENTS_N - WINDOW_N, EVENTS_N), run.right)["headrace"]


def row(name: str, trials: list[Trial]) -> str:
    covered = np.mean([t.is_covered for t in trials])
    error = 1.96 * np.sqrt(covered * (1 - covered) / len(trials))
    errors = np.array([t.error for t in trials])
    return (
        f"| {name} | {len(trials)} | {100 * covered:.1f} ± {100 * error:.1f} "
        f"| {100 * errors.mean():+.2f} | {100 * np.sqrt((errors**2).mean()):.2f} "
        f"| {100 * np.mean([t.half for t in trials]):.2f} "
        f"| {np.mean([t.half for t in trials]) / np.mean([t.blind_half for t in trials]):.2f} |"
    )


HEAD = (
    "| {} | streams | covers, % | bias, points | rmse, points | half-width | to blind |\n"
    "|---|---|---|---|---|---|---|"
)


def study(streams_n: int, seed: int) -> None:
    results = []
    for j in range(streams_n):
        case = CASES[j % len(CASES)]
        run = Run(case, seed * 1_000_000 + j)
        window, whole = run.evaluation.estimate(), run.evaluation.estimate_all()
        if window.labels_n == 0:
            raise SystemExit(f"stream {j} has no labels: {case}")
        found = against(window, run.right) | others(run, window)
        found["whole run"] = against(whole, run.right)["headrace"]
        found["not waiting"] = not_waiting(run)
        results.append((case, found))

    def pick(name: str, **wanted: object) -> list[Trial]:
        return [
            f[name]
            for case, f in results
            if all(
                (case.drift != "none") == v if k == "drifts" else getattr(case, k) == v
                for k, v in wanted.items()
            )
        ]

    cells = [
        (f"{'drifting' if drifts else 'stationary'}, {rule}", {"drifts": drifts, "rule": rule})
        for drifts in (False, True)
        for rule in ("random", "uncertain")
    ]
    for what, key in (("last window", "headrace"), ("whole run", "whole run")):
        print(HEAD.format(what))
        for name, wanted in (("**all**", {}), *cells):
            print(row(name, pick(key, **wanted)))
        print()
    print(HEAD.format("last window, by kind"))
    for budget in (0.02, 0.05, 0.10):
        for rule in ("random", "uncertain"):
            print(row(f"budget {budget:.0%}, {rule}", pick("headrace", budget=budget, rule=rule)))
    for delay_n in (0, 500, 2000):
        print(row(f"labels {delay_n} events late", pick("headrace", delay_n=delay_n)))
    print(row("honest confidence", pick("headrace", temper=1.0)))
    print(row("far too sure", pick("headrace", temper=3.0)))
    doubtful = pick("headrace", rule="uncertain")
    for low, high in ((0.0, 0.6), (0.6, 0.75), (0.75, 0.9), (0.9, 1.001)):
        trials = [t for t in doubtful if low <= t.truth < high]
        if trials:
            print(row(f"uncertain, truly {100 * low:.0f} to {100 * high:.0f} % right", trials))
    wanted = {"drifts": True, "delay_n": 2000}
    print(row("drifting, 2000 late", pick("headrace", **wanted)))
    print(row("the same, not waiting for labels", pick("not waiting", **wanted)))
    print()
    for rule in ("random", "uncertain"):
        print(HEAD.format(f"estimators, {rule}"))
        for key in results[0][1]:
            if key not in ("whole run", "not waiting"):
                print(row(key, pick(key, rule=rule)))
        print()


def price(seed: int, streams_n: int) -> None:
    """What choosing by doubt costs the estimate, at a budget of 5 %."""
    print(
        "| control share | sharpness | covers, % | labels | effective | half-width against blind |"
    )
    print("|---|---|---|---|---|---|")
    base = Case(budget=0.05)
    for control_share, sharpness in itertools.product((0.1, 0.2, 0.5), (0.5, 1.0, 1.5)):
        trials = []
        for j in range(streams_n):
            drift = ("none", "abrupt", "gradual")[j % 3]
            case = replace(base, drift=drift, control_share=control_share, sharpness=sharpness)
            run = Run(case, seed * 1_000_000 + 500_000 + j)
            trials.append(against(run.evaluation.estimate(), run.right)["headrace"])
        ratio = np.mean([t.half for t in trials]) / np.mean([t.blind_half for t in trials])
        covered = 100 * np.mean([t.is_covered for t in trials])
        print(
            f"| {control_share} | {sharpness} | {covered:.0f} "
            f"| {np.mean([t.labels_n for t in trials]):.0f} "
            f"| {np.mean([t.effective_n for t in trials]):.0f} | {ratio:.2f} |"
        )


def ways_of_asking(seed: int, streams_n: int) -> None:
    """On arrival against rounds and against blind buying, on the same streams."""
    ways: list[tuple[str, type[Run], str, float]] = [
        ("blind, on arrival", ArrivalRun, "random", 1.0),
        ("rounds, control share 0.2", Run, "uncertain", 0.2),
        ("on arrival, control share 0.25", ArrivalRun, "uncertain", 0.25),
        ("on arrival, control share 0.5", ArrivalRun, "uncertain", 0.5),
    ]
    print(HEAD.format("last window"))
    for name, kind, rule, control_share in ways:
        found: dict[str, list[Trial]] = {"all": []}
        for j in range(streams_n):
            drift, delay_n = ("none", "abrupt", "gradual")[j % 3], (0, 500)[j // 3 % 2]
            budget = (0.02, 0.05, 0.10)[j // 6 % 3]
            case = Case(drift, rule, budget, delay_n, control_share=control_share)
            run = kind(case, seed * 1_000_000 + 700_000 + j)
            tried = against(run.evaluation.estimate(), run.right)["headrace"]
            for key in ("all", "drifting" if drift != "none" else "stationary"):
                found.setdefault(key, []).append(tried)
        for key, trials in found.items():
            print(row(f"{name}: {key}", trials), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=2160)
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--arrival", action="store_true", help="only asking on arrival")
    chosen = parser.parse_args()
    began = time.perf_counter()
    if chosen.arrival:
        ways_of_asking(chosen.seed, chosen.streams)
    else:
        study(chosen.streams, chosen.seed)
        price(chosen.seed, max(9, chosen.streams // 20))
    print(f"\n{time.perf_counter() - began:.0f} s")
