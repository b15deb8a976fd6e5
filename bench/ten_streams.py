"""What a strategy gains over random on ten streams: runs of `headrace pilot`, in one table.

    python bench/ten_streams.py FOLDER --out rows.jsonl [--events 3000] [--strategies random,margin]
    python bench/ten_streams.py FOLDER --out rows.jsonl --table

Ten files of FOLDER (NAME.parquet), none of which a setting was chosen on; the first `events` rows
of each; of covtype those from 300,000 on, since its first 15,120 rows are a sample unlike the rest,
of kdd99_10pct those from 7,500 on, before which nearly all are of one class. Three budgets, answers
0, 500 and 2,000 events late, three seeds; all else is as the pilot has it: the default model, a
fifth of the labels granted at the start, alike to all. A figure is the share of events predicted
right on arrival, in points: that of `random`, and of each strategy the difference from `random` on
the same stream and seed. Intervals are Student's at 95 %: of a stream over its seeds, of the mean
over the streams. Runs are kept in the file, and none is made twice; the table has the streams of
which all runs are there.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import msgspec
from rich.progress import Progress

from headrace.adapters.tables import read_table
from headrace.commands.pilot.compare import interval
from headrace.commands.pilot.history import History, history_of
from headrace.commands.pilot.runs import Case, play
from headrace.settings import Settings

STARTS = {
    "bike": 0,
    "weather_noaa": 0,
    "beijing_pm25": 0,
    "covtype": 300_000,
    "eeg_eye": 0,
    "kdd99_10pct": 7_500,
    "nycflights": 0,
    "occupancy": 0,
    "phishing": 0,
    "powersupply": 0,
}
BUDGETS = (0.01, 0.02, 0.05)
LATENCIES = (0.0, 500.0, 2_000.0)
SEEDS = (0, 1, 2)
RANDOM = "random"


class Key(NamedTuple):
    """Which run it is."""

    strategy: str
    stream: str
    budget: float
    latency: float
    seed: int


class Run(msgspec.Struct, frozen=True):
    """One run: the part of its events that were predicted right, 0 to 1, and what it paid for."""

    key: Key
    events_n: int
    right: float
    balanced: float
    labels_n: int


def runs_in(file: Path) -> dict[Key, Run]:
    """The runs that the file has."""
    lines = file.read_bytes().splitlines() if file.exists() else []
    return {run.key: run for run in (msgspec.json.decode(line, type=Run) for line in lines)}


def make_runs(folder: Path, file: Path, strategies: Sequence[str], events_n: int) -> None:
    """Make every run that the file does not have, and write it there."""
    done = runs_in(file)
    keys = [
        Key(strategy, stream, budget, latency, seed)
        for stream in STARTS
        for strategy in strategies
        for budget in BUDGETS
        for latency in LATENCIES
        for seed in SEEDS
    ]
    stream, history = "", None
    with Progress() as bar, file.open("ab") as rows:
        task = bar.add_task("playing", total=len(keys))
        for key in keys:
            if key not in done:
                if history is None or key.stream != stream:
                    stream, history = key.stream, first_rows(folder, key.stream, events_n)
                rows.write(msgspec.json.encode(made(history, key)) + b"\n")
                rows.flush()
            bar.advance(task)


def first_rows(folder: Path, stream: str, events_n: int) -> History:
    start = STARTS[stream]
    table = read_table(folder / f"{stream}.parquet", (start, start + events_n))
    return history_of(table, stream, "label")[0]


def made(history: History, key: Key) -> Run:
    case = Case(budget=key.budget, latency=key.latency, strategy=key.strategy, seed=key.seed)
    outcome = play(history, Settings(), case, lambda n: None)
    return Run(key, len(history), outcome.accuracy, outcome.balanced, outcome.labels_n)


# ------------------------------------------------------------------------------------ the table


def table(runs: dict[Key, Run], strategy: str) -> str:
    """The table of one strategy: a row a stream, a column a budget and latency."""
    settings = [(budget, latency) for budget in BUDGETS for latency in LATENCIES]
    heads = [f"{100 * budget:g} %, {latency:,.0f}" for budget, latency in settings]
    lines = [f"| {strategy} | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    means: list[list[float]] = [[] for _ in settings]
    for stream in whole_streams(runs, strategy):
        cells = []
        for i, (budget, latency) in enumerate(settings):
            points = points_of(
                runs, [Key(strategy, stream, budget, latency, seed) for seed in SEEDS]
            )
            means[i].append(interval(points).mean)
            cells.append(said(points, strategy))
        lines.append(f"| {stream} | {' | '.join(cells)} |")
    lines.append(f"| mean | {' | '.join(said(values, strategy) for values in means)} |")
    return "\n".join(lines)


def whole_streams(runs: dict[Key, Run], strategy: str) -> list[str]:
    """The streams of which every run of the strategy, and of random, is there."""
    return [
        stream
        for stream in STARTS
        if all(
            Key(name, stream, budget, latency, seed) in runs
            for name in (RANDOM, strategy)
            for budget in BUDGETS
            for latency in LATENCIES
            for seed in SEEDS
        )
    ]


def points_of(runs: dict[Key, Run], keys: Iterable[Key]) -> list[float]:
    """What each of these runs got right, in points; less what random did, if it is another."""
    found = []
    for key in keys:
        other = 0.0 if key.strategy == RANDOM else runs[key._replace(strategy=RANDOM)].right
        found.append(100.0 * (runs[key].right - other))
    return found


def said(values: Sequence[float], strategy: str) -> str:
    found = interval(values)
    return f"{found.mean:{'' if strategy == RANDOM else '+'}.1f} ± {found.half:.1f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the file that keeps the runs")
    parser.add_argument("--events", type=int, default=3_000)
    parser.add_argument("--strategies", default="random,margin,hybrid", help="random among them")
    parser.add_argument("--table", action="store_true", help="make no runs, print what is there")
    given = parser.parse_args()
    names = given.strategies.split(",")
    if not given.table:
        make_runs(given.folder, given.out, names, given.events)
    found = runs_in(given.out)
    print("\n\n".join(table(found, name) for name in names))
