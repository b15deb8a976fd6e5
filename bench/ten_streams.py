"""What choosing gains over random on ten streams: runs of `headrace pilot`, in tables.

    python bench/ten_streams.py FOLDER --out rows.jsonl
    python bench/ten_streams.py FOLDER --out rows.jsonl --table

Ten files of FOLDER (NAME.parquet), none of which a setting was chosen on, 5,000 rows of each, from
the first on; of covtype from row 300,000 on, since its first 15,120 rows are a sample unlike the
rest, of kdd99_10pct from 7,500 on, before which nearly all are of one class. Three budgets, answers
0, 500 and 2,000 events late, three seeds. The ways to ask are those of `WAYS`, each with the
options it comes with; all else is as the pilot has it, a fifth of the labels granted at the start
included. The model is `logistic`, with which a run takes half a second of processor time.

A figure is the share of events predicted right on arrival, in points: that of random, and of each
other way the difference from random on the same stream and seed. Intervals are Student's at 95 %:
of a stream over its seeds, of the mean over the streams. Runs are kept in the file, and none is
made twice; a table has the streams of which all runs are there.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import msgspec
from rich.progress import Progress

from headrace.adapters.tables import read_table
from headrace.commands.pilot.compare import t_interval
from headrace.commands.pilot.history import History, history_of
from headrace.commands.pilot.runs import Case, play_case
from headrace.settings import parse

EVENTS_N = 5_000
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
SETTINGS = [(budget, latency) for budget in BUDGETS for latency in LATENCIES]
SEEDS = (0, 1, 2)
MODEL = "logistic"


class Way(NamedTuple):
    """How it is asked: the strategy, and `[query]` beside it."""

    strategy: str
    query: Mapping[str, Any] = {}


RANDOM = "random"
WAYS = {
    RANDOM: Way("random"),
    "margin": Way("margin"),
    "bandit on arrival": Way("margin", {"arrival": {"rule": "bandit"}}),
    "scheduled": Way("scheduled", {"ask": "rounds"}),
    "bandit in rounds": Way("bandit", {"ask": "rounds"}),
}


class Key(NamedTuple):
    """Which run it is."""

    model: str
    way: str
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


def read_runs(file: Path) -> dict[Key, Run]:
    """The runs that the file has."""
    lines = file.read_bytes().splitlines() if file.exists() else []
    return {run.key: run for run in (msgspec.json.decode(line, type=Run) for line in lines)}


def keys_of(model: str, way: str, stream: str) -> list[Key]:
    """The runs of one way on one stream, the seeds of one budget and latency side by side."""
    return [
        Key(model, way, stream, budget, latency, seed)
        for budget, latency in SETTINGS
        for seed in SEEDS
    ]


def make_runs(
    folder: Path, file: Path, streams: Sequence[str], events_n: int, model: str = MODEL
) -> None:
    """Make every run that the file does not have, and write it there."""
    done = read_runs(file)
    with Progress() as bar, file.open("ab") as rows:
        task = bar.add_task(model, total=len(streams) * len(WAYS))
        for name in WAYS:
            for stream in streams:
                history = first_rows(folder, stream, events_n)
                for key in keys_of(model, name, stream):
                    if key not in done:
                        rows.write(msgspec.json.encode(make_run(history, key)) + b"\n")
                        rows.flush()
                bar.advance(task)


def first_rows(folder: Path, stream: str, events_n: int) -> History:
    start = STARTS[stream]
    table = read_table(folder / f"{stream}.parquet", (start, start + events_n))
    return history_of(table, stream, "label")[0]


def make_run(history: History, key: Key) -> Run:
    """Play the history as the key says."""
    way = WAYS[key.way]
    settings = parse({"model": {"name": key.model}, "query": dict(way.query)})
    case = Case(budget=key.budget, latency=key.latency, strategy=way.strategy, seed=key.seed)
    outcome = play_case(history, settings, case, lambda n: None)
    return Run(key, len(history), outcome.accuracy, outcome.balanced, outcome.labels_n)


# ------------------------------------------------------------------------------------ the tables


def tables(runs: Mapping[Key, Run], model: str = MODEL) -> str:
    """The means of all ways, then the streams of each."""
    points = {name: points_of(runs, model, name) for name in WAYS}
    lines = [head("mean")]
    lines += [row(name, means(by_stream), name) for name, by_stream in points.items()]
    parts = ["\n".join(lines)]
    for name, by_stream in points.items():
        rows = [row(stream, cells, name) for stream, cells in by_stream.items()]
        parts.append("\n".join([head(name), *rows]))
    return "\n\n".join(parts)


def head(title: str) -> str:
    """The head of a table with a column a budget and latency."""
    columns = [f"{100 * budget:g} %, {latency:,.0f}" for budget, latency in SETTINGS]
    return f"| {title} | {' | '.join(columns)} |\n" + "|---" * (len(columns) + 1) + "|"


def row(title: str, cells: Sequence[Sequence[float]], name: str) -> str:
    """A row of a table: of each column the mean of its values and its interval."""
    return f"| {title} | {' | '.join(write_cell(values, name) for values in cells)} |"


def means(by_stream: Mapping[str, Sequence[Sequence[float]]]) -> list[list[float]]:
    """By budget and latency, the mean of each stream over its seeds."""
    return [
        [sum(cells[i]) / len(SEEDS) for cells in by_stream.values()] for i in range(len(SETTINGS))
    ]


def points_of(runs: Mapping[Key, Run], model: str, name: str) -> dict[str, list[list[float]]]:
    """By stream, then by budget and latency, the points of each seed; less those of random.

    Streams that lack a run of the way, or of random, are left out.
    """
    found: dict[str, list[list[float]]] = {}
    for stream in STARTS:
        keys, others = (keys_of(model, one, stream) for one in (name, RANDOM))
        if not all(key in runs for key in (*keys, *others)):
            continue
        points = []
        for key, other in zip(keys, others, strict=True):
            less = 0.0 if name == RANDOM else runs[other].right
            points.append(100.0 * (runs[key].right - less))
        found[stream] = [points[i : i + len(SEEDS)] for i in range(0, len(points), len(SEEDS))]
    return found


def write_cell(values: Sequence[float], name: str) -> str:
    """The mean and half of its interval; bold where a difference is surely not 0.

    >>> write_cell([1.0, 1.1, 1.2], "margin"), write_cell([61.0, 62.0, 63.0], "random")
    ('**+1.1 ± 0.2**', '62.0 ± 2.5')
    """
    if not values:
        return ""
    found, is_difference = t_interval(values), name != RANDOM
    text = f"{found.mean:{'+' if is_difference else ''}.1f} ± {found.half:.1f}"
    return f"**{text}**" if is_difference and abs(found.mean) > found.half else text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the file that keeps the runs")
    parser.add_argument("--events", type=int, default=EVENTS_N)
    parser.add_argument("--streams", nargs="+", choices=STARTS, default=list(STARTS))
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--table", action="store_true", help="make no runs, print what is there")
    given = parser.parse_args()
    if not given.table:
        make_runs(given.folder, given.out, given.streams, given.events, given.model)
    print(tables(read_runs(given.out), given.model))
