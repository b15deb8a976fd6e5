"""The targets of speed, and what is measured for each; what is reached is decided on the page.

20 numeric features, a linear concept. Slow rows play fewer events. The engine has everything on:
ledger, propensities, drift, window, reservoir, estimate.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from bench.engine_plugin import (
    Asked,
    Linear,
    bare_loop,
    batches_of,
    committee,
    engine_run,
    plain_model,
)
from bench.speed.growth import with_labels
from bench.speed.rows import Row, Scale, measure, timed, yardstick
from river import forest, tree

import headrace as hr
from headrace.drivers.files.places import RunFiles
from headrace.drivers.files.run import run_files
from headrace.drivers.notebook import Simulation
from headrace.observe.decode import Decoder
from headrace.settings import parse

LATE_N = 1_000
LABELS_BEFORE_SCORING_N = 200


class Aim(NamedTuple):
    """What is wanted: `kind` is "x" (times the bare loop), "vw" (times Vowpal Wabbit from Python),
    "per_s" (events a CPU second) or "label_ms"; `part` is the share of the events that is played.
    """

    name: str
    kind: str
    bound: float
    part: float
    rows: Callable[[Linear, Scale, str], list[Row]] | None


def _engine(
    model: Callable[[int], Any], share: float, *, chunk_n: int = 1_000, late_s: float = 0.0
) -> Callable[[Linear, Scale, str], list[Row]]:
    def rows(stream: Linear, scale: Scale, name: str) -> list[Row]:
        run = engine_run(stream, model, share, chunk_n=chunk_n, late_s=late_s)
        beside = plain_model if model is committee else model
        bare = bare_loop(stream, Asked(0.1 if share >= 0.05 else 0.01, 1), beside)
        return [measure(name, run, bare, scale.repeats_n)]

    return rows


def _scored(stream: Linear, scale: Scale, name: str) -> list[Row]:
    """The committee after its first labels says what it makes of every event, 1,000 at a time."""
    settings = parse({"schema": {"classes": ["0", "1"]}, "query": {"budget": {"share": 0.1}}})
    engine, n = hr.Engine(settings=settings), LABELS_BEFORE_SCORING_N * 10
    for _ in Simulation(engine, hr.oracles.Delayed()).play_batches(
        batches_of(Linear.of(n, 20, 8), 0, n, 500)
    ):
        pass

    def loop() -> None:
        for start in range(0, len(stream.X), 1_000):
            engine.trainer.probabilities(stream.X[start : start + 1_000])

    return [measure(name, timed(loop, len(stream.X)), yardstick(), scale.repeats_n)]


def _labels(stream: Linear, scale: Scale, name: str) -> list[Row]:
    """What a label costs the committee."""
    runs = {share: engine_run(stream, committee, share) for share in (0.001, 0.05)}
    return [with_labels(name, runs[0.001], runs[0.05], scale.repeats_n, is_of_asking=True)]


def _files(stream: Linear, scale: Scale, name: str) -> list[Row]:
    """`headrace run` over a file of JSON lines, without answers; decoding alone beside it."""
    settings = parse({"schema": {"classes": ["0", "1"]}, "query": {"budget": {"share": 0.01}}})
    lines, decoder = lines_of(stream), Decoder(settings.input)

    def run() -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "events.jsonl").write_bytes(b"".join(lines))
            places = RunFiles(
                events=folder / "events.jsonl",
                answers=None,
                requests=folder / "requests.jsonl",
                state=folder / "state",
            )
            run_files(places, settings)

    def decode() -> None:
        for start in range(0, len(lines), 512):
            decoder.decode(lines[start : start + 512])

    return [measure(name, timed(run, len(lines)), timed(decode, len(lines)), scale.repeats_n)]


def lines_of(stream: Linear) -> list[bytes]:
    """The events as lines of JSON."""
    names = [f"f{j:03d}" for j in range(stream.X.shape[1])]
    events = [
        {"id": f"e{i}", "at": float(i), "features": dict(zip(names, row, strict=True))}
        for i, row in enumerate(stream.X.tolist())
    ]
    return [msgspec.json.encode(event) + b"\n" for event in events]


def _tree(seed: int) -> Any:
    return tree.HoeffdingTreeClassifier()


def _forest(seed: int) -> Any:
    return forest.ARFClassifier(10, seed=seed)


WORKER = "worker on Kafka, 0.4 kB of JSON, 1 % asked"

AIMS = (
    Aim("linear model, 10 % labels at once, batches of 1,000", "vw", 1.5, 1.0,
        _engine(plain_model, 0.1)),
    Aim("the same, one at a time", "x", 0.67, 0.25, _engine(plain_model, 0.1, chunk_n=1)),
    Aim("linear model, 1 % labels, 1,000 events late", "per_s", 600_000, 1.0,
        _engine(plain_model, 0.01, late_s=LATE_N)),
    Aim("watching, 0.1 % labels", "per_s", 1_000_000, 1.0, _engine(plain_model, 0.001)),
    Aim("committee, scoring alone, after some 200 labels", "per_s", 40_000, 1.0, _scored),
    Aim("committee, 5 % labels at once", "label_ms", 2.0, 0.5, _labels),
    Aim("Hoeffding tree, 1 % labels", "x", 20.0, 0.25, _engine(_tree, 0.01)),
    Aim("forest of ten, 1 % labels", "x", 20.0, 0.25, _engine(_forest, 0.01)),
    Aim("`headrace run`, JSON lines, 1 % asked", "x", 0.6, 1.0, _files),
    Aim(WORKER, "x", 0.6, 1.0, None),
)  # fmt: skip
"""The last is measured with the others on Kafka."""


def jobs() -> dict[str, Callable[[Scale], list[Row]]]:
    """A job a target."""
    return {f"aims/{aim.name}": partial(_play, aim) for aim in AIMS if aim.rows}


def _play(aim: Aim, scale: Scale) -> list[Row]:
    assert aim.rows is not None
    stream = Linear.of(int(scale.events_n * aim.part), 20, 7)
    return aim.rows(stream, scale, aim.name)
