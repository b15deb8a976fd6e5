"""How often do the watches cry wolf where nothing happens? What `observe/drift/lines.py` rests on.

    python bench/false_alarms.py [--events 200000] [--seeds 10] [--jobs 2]

Three tables, those of docs/DRIFT.md: labels between two false alarms of the likelihood ratio by the
height of its line, for several shares of errors; numbers between two false alarms of ADWIN by its
`delta`; and WARNINGs and DRIFTs of all default watches together in 10,000 steady events, with
independent features and with correlated ones, of one shard that is fed as an engine feeds it: a
label for one event in 20, one in five of them drawn at random, guesses honest.
"""

from __future__ import annotations

import argparse
import math
import random
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray
from river import drift

from headrace.chance import Chance
from headrace.messages import DriftChanged
from headrace.observe.drift import DriftMonitor
from headrace.observe.drift.glr import Glr
from headrace.observe.reservoir import Reservoir
from headrace.observe.schema import Schema
from headrace.observe.window import Columns, Window
from headrace.settings import DriftSettings, SchemaSettings

SHARES = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5)
LINES = (4.0, 5.0, 6.0, 7.0, 8.0)
DELTAS = (0.02, 0.1, 0.3, 0.9)
CHECK_EVERY_N = DriftSettings().check_every_n
LABEL_EVERY_N, CONTROL_EVERY_N = 20, 5
LEVELS = ("STABLE", "WARNING", "DRIFT")


# ------------------------------------------------------------------------- one detector alone


def labels_between(share: float, labels_n: int, is_told: bool, seed: int) -> list[int]:
    """False alarms of the likelihood ratio at each of `LINES`, in so many labels."""
    luck = random.Random(seed)
    feeds, alarms = [Glr() for _ in LINES], [0] * len(LINES)
    for _ in range(labels_n):
        is_hit = luck.random() < share
        for k, (line, glr) in enumerate(zip(LINES, feeds, strict=True)):
            glr.add_outcome(is_hit, share if is_told else None, 0.0)
            if glr.statistic >= line:
                alarms[k] += 1
                glr.restart()
    return alarms


def adwin_alarms(delta: float, clock: int, share: float, numbers_n: int, seed: int) -> int:
    """Alarms of a rise that river's ADWIN gives on a steady coin."""
    luck = random.Random(seed)
    adwin, alarms, n, total = drift.ADWIN(delta=delta, clock=clock), 0, 0, 0.0
    for _ in range(numbers_n):
        x = float(luck.random() < share)
        adwin.update(x)
        n, total = n + 1, total + x
        if adwin.drift_detected:
            alarms += adwin.estimation > total / n
            n, total = 0, 0.0
    return alarms


# ----------------------------------------------------------------------- all watches together


class Steady:
    """A stream in which nothing happens: `correlation` is that of any two of its features."""

    def __init__(self, seed: int, features_n: int = 12, correlation: float = 0.0) -> None:
        self.luck = np.random.default_rng(seed)
        self.correlation = correlation
        kinds = ["categorical" if j % 6 == 5 else "numeric" for j in range(features_n)]
        self.schema = Schema(
            SchemaSettings(features={f"f{j}": kind for j, kind in enumerate(kinds)})
        )
        self.schema.class_code("a")
        self.schema.class_code("b")
        self.is_category = np.array([kind == "categorical" for kind in kinds])
        self.chance = Chance(seed)

    def block(self, seq0: int, n: int) -> Columns:
        """The next n events; predictions follow the features, as a model's do."""
        common = self.luck.normal(size=(n, 1))
        own = self.luck.normal(size=(n, len(self.is_category)))
        rows = math.sqrt(self.correlation) * common + math.sqrt(1.0 - self.correlation) * own
        chances = 1.0 / (1.0 + np.exp(-2.0 * (rows[:, 0] + rows[:, 1])))
        rows[:, self.is_category] = np.floor(np.clip(1.5 + rows[:, self.is_category], 0.0, 3.0))
        ids = [str(seq0 + i) for i in range(n)]
        return Columns.of(
            seq0=seq0,
            ids=ids,
            at=seq0 + np.arange(n, dtype=float),
            keys=self.chance.keys(ids),
            rows=rows,
            probabilities=np.column_stack([chances, 1.0 - chances]),
        )


def steady_alarms(
    seed: int, *, events_n: int, correlation: float, settings: DriftSettings | None = None
) -> tuple[dict[str, int], dict[tuple[str, str, str], int]]:
    """How often the level rose to WARNING and to DRIFT, and alarms by watch."""
    settings = settings or DriftSettings()
    stream = Steady(seed, correlation=correlation)
    monitor = DriftMonitor(settings, stream.chance)
    monitor.end_cold_start(0)
    window, reservoir = Window(2_000), Reservoir(2_000, None, stream.chance)
    rises = {"WARNING": 0, "DRIFT": 0}
    for seq0 in range(0, events_n, settings.check_every_n):
        block = stream.block(seq0, settings.check_every_n)
        changes = []
        predicted, i = block.probabilities.argmax(axis=1), 0
        while i < len(block):
            n, change = monitor.watch_confidences(
                block.confidence[i:], predicted[i:], block.at[i:], seq0 + i
            )
            i += n
            changes.append(change)
        window.append(block)
        reservoir.offer(block)
        seq = seq0 + len(block)
        changes += _labelled(monitor, stream.luck, block, predicted, seq)
        changes.append(
            monitor.compare_windows(
                window.since(0), reservoir.columns(), stream.schema, float(seq), seq
            )
        )
        for change in changes:
            if change is not None and LEVELS.index(change.level) > LEVELS.index(change.previous):
                rises[change.level] += 1
    return rises, monitor.record.alarms_n


def _labelled(
    monitor: DriftMonitor,
    luck: np.random.Generator,
    block: Columns,
    predicted: NDArray[np.int64],
    seq: int,
) -> list[DriftChanged | None]:
    changes = []
    for k, i in enumerate(range(0, len(block), LABEL_EVERY_N)):
        guess = float(block.confidence[i])
        is_wrong = bool(luck.random() >= guess)
        label = "ab"[int(predicted[i]) ^ int(is_wrong)]
        changes.append(monitor.watch_surprise(is_wrong, guess, float(seq), seq))
        if k % CONTROL_EVERY_N == 0:
            changes.append(monitor.watch_error(is_wrong, float(seq), seq))
            changes.append(monitor.watch_recall(label, is_wrong, float(seq), seq))
    return changes


# ------------------------------------------------------------------------------------ tables


def table(head: list[str], rows: list[list[str]]) -> None:
    """Print a table of Markdown."""
    for line in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(line) + " |", flush=True)
    print(flush=True)


def between(numbers_n: int, alarms_n: int) -> str:
    """Numbers from one alarm to the next."""
    return f"{numbers_n / alarms_n:,.0f}" if alarms_n else f"above {numbers_n:,}"


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    n, seeds = arguments.events, range(arguments.seeds)
    with ProcessPoolExecutor(arguments.jobs) as pool:
        rows = []
        for share in SHARES:
            for is_told in (True, False):
                found = list(pool.map(partial(labels_between, share, n // 5, is_told), seeds))
                sums = [sum(each[k] for each in found) for k in range(len(LINES))]
                cells = [between(n // 5 * len(seeds), alarms_n) for alarms_n in sums]
                rows.append([f"{share}", "told" if is_told else "share before", *cells])
        heads = [f"line {line:g} (e^{line:g} = {math.exp(line):,.0f})" for line in LINES]
        table(["share of errors", "expected", *heads], rows)
        rows = []
        for delta in DELTAS:
            cells = []
            for clock in (1, 32):
                found_n = list(pool.map(partial(adwin_alarms, delta, clock, 0.2, n), seeds))
                cells.append(between(n * len(seeds), sum(found_n)))
            rows.append([f"{delta}", *cells, f"{1_500 * delta**-1.25:,.0f}"])
        table(["delta of ADWIN", "clock 1", "clock 32", "as the lines take it"], rows)
        rows = []
        for correlation in (0.0, 0.5, 0.9):
            run = partial(steady_alarms, events_n=n, correlation=correlation)
            results = list(pool.map(run, seeds))
            tens = n * len(seeds) / 10_000
            counts = [sum(rises[level] for rises, _ in results) for level in ("WARNING", "DRIFT")]
            by_watch: dict[str, int] = {}
            for _, alarms in results:
                for (signal, detector, _level), k in alarms.items():
                    name = f"{signal}/{detector}"
                    by_watch[name] = by_watch.get(name, 0) + k
            told = ", ".join(f"{name} {k / tens:.2f}" for name, k in sorted(by_watch.items()))
            rows.append([f"{correlation}", *(f"{k / tens:.3f}" for k in counts), told])
        table(["correlation", "WARNING in 10,000", "DRIFT in 10,000", "alarms by watch"], rows)


if __name__ == "__main__":
    main()
