"""What is it worth to withdraw open questions that the model needs no longer?

    python bench/rescoring.py [--seeds 3] [--events 4000]

Two of the streams on which settings are chosen, their first events, one a second; a twentieth of
them is asked about in rounds, and every answer comes so many events late. A withdrawn question is
answered by nobody and its label is paid back (`label.late_answers = "refused"`). Settings are those
of `settings_of`, fixed beforehand. Told are the labels that came, the share of the 1,000 events
after the last that the model predicts right, points above the commonest class for 100 labels, and
how far that share is above the same strategy with questions kept, on the same stream and seed, with
the 95 % interval of the mean of these differences. Random is drawn anew by each seed too.
"""

from __future__ import annotations

import argparse
import itertools
from functools import lru_cache
from typing import Any

import numpy as np

from experiments.streams import rbf, sea
from headrace import Engine
from headrace.drivers.notebook import run
from headrace.learn.scoring_model import ScoringModel
from headrace.messages import class_name
from headrace.settings import Settings, parse
from headrace.testing.oracles import Delayed

TAIL_N = 1_000
STREAMS = {"sea_abrupt": sea, "rbf_incremental": rbf}
LATENCIES = (0.0, 500.0, 2_000.0)
WAYS = (("random", "kept"), ("margin", "kept"), ("margin", "withdrawn"))


@lru_cache
def pairs_of(stream: str, events_n: int) -> list[tuple[dict[str, Any], str]]:
    made = itertools.islice(STREAMS[stream](12_000), events_n + TAIL_N)
    return [({str(name): value for name, value in x.items()}, class_name(y)) for x, y in made]


def settings_of(strategy: str, rescored: str, seed: int) -> Settings:
    opened = {} if rescored == "kept" else {"rescored": rescored}
    query = {"ask": "rounds", "strategy": strategy, "open": opened}
    return parse(
        {
            "seed": seed,
            "model": {"name": "naive-bayes"},
            "label": {"late_answers": "refused"},
            "query": query,
        }
    )


def play(
    stream: str, strategy: str, rescored: str, latency: float, seed: int, events_n: int
) -> tuple[float, float, float]:
    """Labels, the share right after the last event, and points for 100 labels."""
    pairs = pairs_of(stream, events_n)
    engine = Engine(settings=settings_of(strategy, rescored, seed))
    run(engine, pairs[:events_n], Delayed(latency) if latency else None)
    trainer, tail = engine.trainer, pairs[events_n:]
    model = ScoringModel.of(
        engine.settings, engine.schema, trainer.champion.learner, trainer.champion.calibration
    )
    found = model.predict_many([x for x, _ in tail]).argmax(axis=1)
    classes = engine.schema.classes
    truths = [y for _, y in tail]
    right = float(np.mean([classes[k] == y for k, y in zip(found, truths, strict=True)]))
    common = max(truths.count(c) for c in set(truths)) / len(truths)
    labels_n = engine.report.labels.settled_n
    return labels_n, right, 1e4 * (right - common) / max(1, labels_n)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--events", type=int, default=4_000)
    given = parser.parse_args()
    worlds = list(itertools.product(STREAMS, range(1, given.seeds + 1)))
    columns = ("latency", "strategy", "open questions", "labels", "right", "per 100", "minus kept")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for latency in LATENCIES:
        rows = {
            way: np.array(
                [play(stream, *way, latency, seed, given.events) for stream, seed in worlds]
            )
            for way in WAYS
        }
        for (strategy, rescored), row in rows.items():
            labels, right, gain = row.mean(axis=0)
            told = ""
            if rescored != "kept":
                apart = row[:, 1] - rows[strategy, "kept"][:, 1]
                half = 1.96 * apart.std(ddof=1) / np.sqrt(len(apart))
                told = f"{apart.mean():+.3f} ± {half:.3f}"
            print(
                f"| {latency:,.0f} | {strategy} | {rescored} | {labels:.0f} | {right:.3f} | "
                f"{gain:.1f} | {told} |"
            )


if __name__ == "__main__":
    main()
