"""Which rule to ask by on arrival: each of docs/ARRIVALS.md on streams of known truth.

    python bench/arrivals.py FOLDER [--events 3000] [--seeds 4] [--budget 0.05] [--model committee]
        [--streams elec2,sea_abrupt,rbf_incremental] [--rules random,split,bandit] [--latency 0]
        [--out rows.jsonl]

Streams are those of `bench/experiments`: files of FOLDER (NAME.parquet), or made by river. The
three of the default are among those on which the default rule, `rank`, was chosen. Labels come
`latency` seconds after they are asked, which are events where the log has no times. Every rule has
its defaults, and the strategy by whose doubt its paper goes; a fifth of the labels is granted at
the start, at random, to all alike. A figure is the share of events predicted right before their
label could be known, in points, less that of `random` on the same stream and seed: the mean over
seeds, and the 95 % interval of Student over them. Of `random` it is the share itself. `labels` are
those bought, in per cent of the budget; `cost` is how much more CPU time an event takes than with
`random`, microseconds, the median over runs. With `--out` each run is kept in that file and not
made again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy.stats import t as student

from experiments.streams import load
from headrace.commands.pilot.history import History
from headrace.commands.pilot.runs import Case, play_case
from headrace.query.rules import RANK, RULES
from headrace.settings import parse

TUNED = "elec2,sea_abrupt,rbf_incremental"
BY_MARGIN = (RANK, "density", "quantile_filter", "probabilistic")
NAMES = ("random", RANK, *(name for name in RULES if name != "random"))


def first(history: History, n: int) -> History:
    """The first n events of a history."""
    return replace(
        history,
        numbers={name: column[:n] for name, column in history.numbers.items()},
        texts={name: column[:n] for name, column in history.texts.items()},
        codes=history.codes[:n],
        at=None if history.at is None else history.at[:n],
    )


def run(history: History, rule: str, seed: int, given: argparse.Namespace) -> dict[str, Any]:
    strategy = "margin" if rule in BY_MARGIN else "least_confidence"
    settings = parse(
        {
            "model": {"name": given.model},
            "query": {"ask": "arrival", "strategy": strategy, "arrival": {"rule": rule}},
        }
    )
    case = Case(budget=given.budget, latency=given.latency, strategy=strategy, seed=seed)
    began = time.process_time()
    outcome = play_case(history, settings, case, lambda n: None)
    cpu_s = time.process_time() - began
    return {
        "stream": history.name,
        "rule": rule,
        "seed": seed,
        "right": outcome.accuracy,
        "labels": outcome.labels_n / (given.budget * len(history)),
        "us": 1e6 * cpu_s / len(history),
    }


def runs(given: argparse.Namespace, streams: list[str]) -> Iterator[dict[str, Any]]:
    """Every run, those in the file first."""
    done = {}
    if given.out is not None and given.out.exists():
        for line in given.out.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            done[row["stream"], row["rule"], row["seed"]] = row
    for seed in range(given.seeds):
        for stream in streams:
            history = first(load(stream, given.folder), given.events)
            for rule in given.rules.split(","):
                row = done.get((stream, rule, seed))
                if row is None:
                    row = run(history, rule, seed, given)
                    if given.out is not None:
                        with given.out.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(row) + "\n")
                yield row


def table(rows: list[dict[str, Any]], streams: list[str], rules: list[str]) -> str:
    found = {(row["stream"], row["rule"], row["seed"]): row for row in rows}
    seeds = sorted({row["seed"] for row in rows})
    lines = [f"| rule | {' | '.join(streams)} | mean | labels, % | cost, us |"]
    lines.append("|---" * (len(streams) + 4) + "|")
    for rule in rules:
        gains = {
            stream: [
                100.0
                * (
                    found[stream, rule, seed]["right"]
                    - (found[stream, "random", seed]["right"] if rule != "random" else 0.0)
                )
                for seed in seeds
            ]
            for stream in streams
        }
        means = [
            float(np.mean([gains[stream][i] for stream in streams])) for i in range(len(seeds))
        ]
        cells = [said(values, rule) for values in [*gains.values(), means]]
        mine = [row for row in rows if row["rule"] == rule]
        labels = 100.0 * float(np.mean([row["labels"] for row in mine]))
        costs = [row["us"] - found[row["stream"], "random", row["seed"]]["us"] for row in mine]
        cost = f"{np.median(costs):+.0f}" if rule != "random" else "0"
        lines.append(f"| `{rule}` | {' | '.join(cells)} | {labels:.0f} | {cost} |")
    return "\n".join(lines)


def said(values: list[float], rule: str) -> str:
    n = len(values)
    half = float(student.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else 0.0
    sign = "" if rule == "random" else "+"
    return f"{np.mean(values):{sign}.1f} ± {half:.1f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=3_000)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--budget", type=float, default=0.05)
    parser.add_argument("--model", default="committee")
    parser.add_argument("--streams", default=TUNED)
    parser.add_argument("--rules", default=",".join(NAMES), help="random among them")
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    names = arguments.streams.split(",")
    print(table(list(runs(arguments, names)), names, arguments.rules.split(",")))
