"""How long a retraining keeps events waiting: docs/SPEED.md, 'Refits beside the feed'.

    python -m bench.refits                          # all presets, where it is best
    python -m bench.refits --where thread forest    # one of them, in a thread

An engine gets pieces of 20 events, a tenth of them asked and answered at once, one piece each 50 ms
while a retraining runs. The concept turns, so that challengers are adopted. A stall is the time of
one piece without the pause, and on Linux without the time in which the feeding thread
was ready and another program had the core. The longest is shown:

- alone: no retraining is open, so this is what pieces and labels take by themselves;
- ordering: the piece that orders the retraining, and handing it over;
- beside: pieces while it runs, with the CPU time of the feeding thread in the slowest;
- adopting: from the look that finds the challenger until it is adopted or refused.
"""

from __future__ import annotations

import argparse
import inspect
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

import headrace as hr
from headrace.drivers.files.jobs import JobRunner
from headrace.drivers.files.run_metrics import RunMetrics
from headrace.messages import Answer, LabelRequested, RetrainFinished, RetrainRequested
from headrace.settings import LearnSettings, ModelSettings, Settings

PRESETS = ("logistic", "tree", "naive-bayes", "forest", "committee")
EXAMPLES_N, RETRAINED_N, PIECE_N, FEATURES_N = 1_229, 2, 20, 20
PAUSE_S = 0.05
BEST = "where it is best"
STATS = Path("/proc/thread-self/schedstat")


class Stalls:
    """The longest stall by phase, seconds, with the CPU time of this thread in it."""

    def __init__(self) -> None:
        self.longest: dict[str, tuple[float, float]] = {}
        self.jobs_s: list[float] = []
        self.adopted_n = self.ended_n = self.since_n = 0

    def note(self, phase: str, began: tuple[float, float]) -> None:
        """Note a stall that began at these times of `now`."""
        wall_s, cpu_s = (end - start for end, start in zip(now(), began, strict=True))
        self.longest[phase] = max(self.longest.get(phase, (0.0, 0.0)), (wall_s, cpu_s))


def now() -> tuple[float, float]:
    """Return the time without the waits for a core, and the CPU time of this thread, seconds."""
    try:
        waited_ns = int(STATS.read_text().split()[1])
    except OSError:
        waited_ns = 0
    return time.perf_counter() - waited_ns / 1e9, time.thread_time()


def pieces_of(seed: int) -> Iterator[tuple[list[hr.Event], dict[str, str]]]:
    """Yield endless pieces of events, with all labels so far; the concept turns at times."""
    rng, names, n = np.random.default_rng(seed), [f"f{j}" for j in range(FEATURES_N)], 0
    labels: dict[str, str] = {}
    while True:
        X = rng.normal(size=(PIECE_N, FEATURES_N))
        at = n // int(EXAMPLES_N * 10 * 0.7)
        sums = X[:, at % 3] + 0.5 * X[:, 3 + at % 3]
        ids = [f"e{n + i}" for i in range(PIECE_N)]
        n += PIECE_N
        events = [
            hr.Event(id=name, at=float(n), features=dict(zip(names, row, strict=True)))
            for name, row in zip(ids, X.tolist(), strict=True)
        ]
        labels |= {i: "yes" if s > 0 else "no" for i, s in zip(ids, sums.tolist(), strict=True)}
        yield events, labels


def make_engine(preset: str) -> hr.Engine:
    """Return an engine with this preset that retrains each time it has learned enough labels."""
    settings = Settings(
        model=ModelSettings(name=preset),
        learn=LearnSettings(
            retrain_every_n=EXAMPLES_N,
            retrain_members=preset == "committee",
            memory_n=EXAMPLES_N,
            twins_share=0.0,
        ),
    )
    return hr.Engine(budget=hr.budgets.Share(0.1), classes=["no", "yes"], seed=7, settings=settings)


def feed_piece(engine: hr.Engine, piece: tuple[list[hr.Event], dict[str, str]]) -> list[Any]:
    """Feed a piece, and the answers to what it asks; return all outputs."""
    events, labels = piece
    outputs: list[Any] = list(engine.feed(events))
    answers = [
        Answer(request_id=o.request_id, label=labels[o.event_id], at=engine.now)
        for o in outputs
        if isinstance(o, LabelRequested)
    ]
    return outputs + list(engine.feed(answers))


def measure_stalls(preset: str, where: str) -> Stalls:
    """Feed until a few retrainings have ended, and return the stalls."""
    stalls, engine, pieces = Stalls(), make_engine(preset), pieces_of(3)
    knows_where = "where" in inspect.signature(JobRunner.__init__).parameters
    more: dict[str, Any] = {"where": where} if knows_where else {}
    shown = RunMetrics(Settings(), time.time)
    ordered_at = 0.0
    with closing(JobRunner(shown, is_beside=True, **more)) as jobs:
        while stalls.ended_n < RETRAINED_N:
            piece = next(pieces)
            was_open = engine.open_job is not None
            if was_open:
                time.sleep(PAUSE_S)
            began = now()
            outputs = feed_piece(engine, piece)
            phase = "beside" if was_open else "alone"
            if any(isinstance(output, RetrainRequested) for output in outputs):
                phase, ordered_at = "ordering", time.perf_counter()
            for job_id, challenger, error in jobs.pop_ended(engine):
                assert error is None, error
                phase = "adopting"
                stalls.jobs_s.append(time.perf_counter() - ordered_at)
                end = RetrainFinished(job_id=job_id, at=engine.now, challenger=challenger)
                engine.feed([end])
                stalls.ended_n += 1
            stalls.note(phase, began)
        stalls.adopted_n = engine.report.retraining.adopted_n
    return stalls


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="stalls of the feed by retrainings")
    parser.add_argument("presets", nargs="*", help="by default all")
    parser.add_argument("--where", default=BEST, choices=(BEST, "thread", "process"))
    options = parser.parse_args()
    print("| model | alone | ordering | beside (own CPU) | adopting | a retraining, s | adopted |")
    print("|---|---|---|---|---|---|---|")
    for preset in options.presets or PRESETS:
        stalls = measure_stalls(preset, options.where)
        ms = {phase: (1e3 * wall, 1e3 * cpu) for phase, (wall, cpu) in stalls.longest.items()}
        beside = ms.get("beside", (0.0, 0.0))
        print(
            f"| {preset} | {ms['alone'][0]:.0f} | {ms['ordering'][0]:.0f} "
            f"| {beside[0]:.0f} ({beside[1]:.0f}) | {ms['adopting'][0]:.0f} "
            f"| {max(stalls.jobs_s):.1f} | {stalls.adopted_n} of {stalls.ended_n} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
