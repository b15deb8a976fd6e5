"""How many labels does it save to ask about near-duplicates once?

    python -m bench.near_duplicates [--seeds 5] [--events 4000]

Two of the streams on which settings are chosen, whose events come in bursts: each one `BURST_N`
times in a row, every number moved by a hundredth of its deviation. They are asked about on arrival
by `margin`, and every answer comes 100 events, five bursts, late. Settings are fixed beforehand:
naive Bayes, and `query.duplicates.distance` of 0.1 or none. Told are the labels, how many of
100 went to a burst that had been asked about before, and the share of 1,000 other events that the
model predicts right afterwards; then, against none on the same stream and seed, how many labels in
100 are saved of those that as many different bursts take, and how far the share right is above,
with 95 % intervals of the mean over streams and seeds (Student's).
"""

from __future__ import annotations

import argparse
import itertools
from typing import Any

import numpy as np
from bench.experiments.streams import rbf, sea
from numpy.typing import NDArray

from headrace import Engine, Event, LabelRequested
from headrace.commands.pilot.compare import t_interval
from headrace.drivers.notebook import Simulation
from headrace.learn.scoring_model import ScoringModel
from headrace.messages import class_name
from headrace.settings import parse
from headrace.testing.oracles import Delayed

STREAMS = {"sea_abrupt": sea, "rbf_incremental": rbf}
SHARES = (0.01, 0.02, 0.04, 0.08)
DISTANCE = 0.1
BURST_N, LATE_S, TAIL_N = 20, 100.0, 1_000


def bursts_of(stream: str, events_n: int, seed: int) -> tuple[list[Event], list[str]]:
    """Events in bursts, one a second, and their classes; the id begins with the burst's number."""
    luck = np.random.default_rng(seed)
    made = list(itertools.islice(STREAMS[stream](12_000), events_n // BURST_N))
    names = list(made[0][0])
    scale = np.std([[x[name] for name in names] for x, _ in made], axis=0)
    events, truths = [], []
    for i, (x, y) in enumerate(made):
        for row in luck.normal(0.0, 0.01, (BURST_N, len(names))) * scale:
            moved = {str(name): x[name] + by for name, by in zip(names, row.tolist(), strict=True)}
            events.append(Event(id=f"{i}/{len(events)}", at=float(len(events)), features=moved))
            truths.append(class_name(y))
    return events, truths


def tail_of(stream: str) -> list[tuple[dict[str, Any], str]]:
    """Events that no burst is made of."""
    made = itertools.islice(STREAMS[stream](12_000), 2_000, 2_000 + TAIL_N)
    return [({str(name): value for name, value in x.items()}, class_name(y)) for x, y in made]


def play(
    stream: str, seed: int, share: float, distance: float | None, events_n: int
) -> tuple[float, float, float]:
    """Labels, how many of 100 went to a burst asked before, and the share right afterwards."""
    duplicates = {} if distance is None else {"distance": distance}
    budget = {"share": share, "reserve": 0}
    settings = parse(
        {
            "seed": seed,
            "model": {"name": "naive-bayes"},
            "query": {"budget": budget, "duplicates": duplicates},
        }
    )
    engine = Engine(settings=settings)
    events, truths = bursts_of(stream, events_n, seed)
    pieces = [(events[i : i + BURST_N], truths[i : i + BURST_N]) for i in range(0, events_n, 20)]
    bursts = []
    for outputs in Simulation(engine, Delayed(delay_s=LATE_S)).play_batches(iter(pieces)):
        asked = [one for one in outputs if isinstance(one, LabelRequested)]
        bursts += [one.event_id.partition("/")[0] for one in asked]
    again_n = len(bursts) - len(set(bursts))
    trainer = engine.trainer
    model = ScoringModel.of(
        engine.settings, engine.schema, trainer.champion.learner, trainer.champion.calibration
    )
    tail = tail_of(stream)
    found = model.predict_many([x for x, _ in tail]).argmax(axis=1)
    names = [engine.schema.classes[k] for k in found]
    right = float(np.mean([name == y for name, (_, y) in zip(names, tail, strict=True)]))
    return float(len(bursts)), 100.0 * again_n / max(1, len(bursts)), right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--events", type=int, default=4_000)
    given = parser.parse_args()
    worlds = list(itertools.product(STREAMS, range(1, given.seeds + 1)))
    runs = {
        (share, distance): np.array(
            [play(stream, seed, share, distance, given.events) for stream, seed in worlds]
        )
        for share in SHARES
        for distance in (None, DISTANCE)
    }
    columns = ("budget", "distance", "labels", "again, %", "right", "labels saved, %", "minus none")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for (share, distance), rows in runs.items():
        labels, again, right = rows.mean(axis=0)
        cells = [f"{100 * share:g} %", "none" if distance is None else f"{distance}"]
        cells += [f"{labels:.0f}", f"{again:.0f}", f"{right:.3f}", "", ""]
        if distance is not None:
            before = runs[share, None]
            saved = t_interval((100.0 * (1.0 - part_new(before) / part_new(rows))).tolist())
            apart = t_interval((rows - before)[:, 2].tolist())
            cells[5:] = [
                f"{saved.mean:.0f} ± {saved.half:.0f}",
                f"{apart.mean:+.3f} ± {apart.half:.3f}",
            ]
        print(f"| {' | '.join(cells)} |")


def part_new(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of the labels that went to bursts not asked before, shape (n,) of rows (n, 3)."""
    return 1.0 - rows[:, 1] / 100.0


if __name__ == "__main__":
    main()
