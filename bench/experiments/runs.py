"""One run: a stream through the product's own engine, judged at arrival; a row of figures.

The engine is driven as `headrace pilot` drives it. An answer that is not late is fed before the
next event. Times are processor seconds of this process, so that a busy machine counts little.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from bench.experiments.streams import STREAMS
from bench.experiments.variants import changed, settings_of_variant
from bench.storing import digest_code
from numpy.typing import NDArray

from headrace import Engine
from headrace.commands.pilot.history import History
from headrace.commands.pilot.runs import (
    Case,
    Progress,
    codes_of,
    learn_all,
    play_watched,
    schema_of,
    settings_of,
)
from headrace.drivers.notebook import Simulation
from headrace.messages import (
    Answer,
    DriftChanged,
    EventBatch,
    Input,
    LabelRequested,
    ModelAdopted,
    Output,
    RoundOpened,
)
from headrace.observe.decode import batch_of
from headrace.observe.schema import Schema
from headrace.observe.signals import predicted_classes
from headrace.settings import Settings
from headrace.testing.oracles import Delayed

ROOT = Path(__file__).parents[2]
CODE = ("learn", "query")
ALL = "all labels"
BLOCK_N = 50
"""Rights and requests are kept by blocks of so many events where a change is known."""

SCORED_FROM = 4500
"""Late labels are judged from this event on, so that the wait for the first is not measured."""

P_MIN = 1e-3


class Run(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """What is varied. `model` and `strategy` may be "default"; `latency` is in events."""

    stream: str
    budget: float
    strategy: str
    model: str = "default"
    variant: str = ""
    seed: int = 0
    latency: int = 0


class Looks(msgspec.Struct, frozen=True, kw_only=True):
    """The live intervals of a run against the truth of their range; shares.

    `blind` is the mean half-width that as many labels drawn blindly would give.
    """

    looks_n: int = 0
    covered_n: int = 0
    bias: float = 0.0
    half: float = 0.0
    blind: float = 0.0


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run; shares 0 to 1, times in processor seconds.

    `code` is the digest of the folders `CODE` of the package. `right_n` and `asked_n` are counts
    for each block of `BLOCK_N` events, for streams with known changes only.
    """

    run: Run
    code: str
    events_n: int
    labels_n: int
    accuracy: float
    kappa: float
    macro_recall: float
    log_loss: float
    accuracy_late: float | None = None
    us_event: float = 0.0
    ms_label: float = 0.0
    looks: Looks = Looks()
    drifts: list[int] = []
    drift_rounds: list[int] = []
    adopted_n: int = 0
    right_n: list[int] = []
    asked_n: list[int] = []


def digest() -> str:
    """Twelve characters that change with the code of learner and query."""
    return digest_code(CODE)


def play(history: History, run: Run, code: str, progress: Progress) -> Row:
    """The run. `code` is what `digest` says; `progress` is told counts of events done."""
    with changed(run.variant):
        if run.strategy == ALL:
            return _play_all(history, run, code, progress)
        return _play(history, run, code, progress)


def _play(history: History, run: Run, code: str, progress: Progress) -> Row:
    settings = settings_of(history, _settings(run), _case(run))
    engine = ClockedEngine(settings=settings)
    scores = Scores(history, engine.schema)
    looks = _Looks(engine, scores)

    judging_s = 0.0

    def take(rows: NDArray[np.int64], probabilities: NDArray[np.float64]) -> None:
        nonlocal judging_s
        began = time.process_time()
        scores.take(rows, probabilities)
        looks.look()
        judging_s += time.process_time() - began

    asked = np.zeros(len(history), np.int64)
    drifts, drift_rounds, adopted_n = [], [], 0
    simulation = Simulation(engine, Delayed(delay_s=run.latency))
    stream = STREAMS[run.stream]
    batches = play_watched(history, engine, take, progress, stream.batch_n)
    started = time.process_time()
    for outputs in simulation.play_batches(_singly(batches) if stream.is_single else batches):
        for output in outputs:
            if isinstance(output, LabelRequested):
                asked[int(output.event_id)] += 1
            elif isinstance(output, DriftChanged) and output.level == "DRIFT":
                drifts.append(engine.shard.events_n)
            elif isinstance(output, RoundOpened) and output.reason == "drift":
                drift_rounds.append(engine.shard.events_n)
            adopted_n += isinstance(output, ModelAdopted)
    events_s = time.process_time() - started - judging_s - engine.labels_s
    report = engine.report
    labels_n = report.asking.requests_n - report.budget.refunded_n
    return Row(
        run=run,
        code=code,
        labels_n=labels_n,
        us_event=round(1e6 * events_s / len(history), 2),
        ms_label=round(1e3 * engine.labels_s / max(1, labels_n), 3),
        looks=looks.summary(),
        drifts=drifts,
        drift_rounds=drift_rounds,
        adopted_n=adopted_n,
        **scores.figures(run.stream),
        asked_n=_blocks(asked) if stream.changes else [],
    )


def _singly(
    batches: Iterator[tuple[EventBatch, list[str]]],
) -> Iterator[tuple[EventBatch, list[str]]]:
    for batch, truths in batches:
        for i, truth in enumerate(truths):
            yield batch_of([batch.row(i)]), [truth]


def _play_all(history: History, run: Run, code: str, progress: Progress) -> Row:
    settings = _settings(run)
    scores = Scores(history, schema_of(history, settings))
    learn_all(history, settings, run.seed, scores.take, progress)
    return Row(run=run, code=code, labels_n=len(history), **scores.figures(run.stream))


def _settings(run: Run) -> Settings:
    settings = settings_of_variant(run.variant)
    if run.model == "default":
        return settings
    model = msgspec.structs.replace(settings.model, name=run.model)
    return msgspec.structs.replace(settings, model=model)


def _case(run: Run) -> Case:
    strategy = Settings().query.strategy if run.strategy == "default" else run.strategy
    return Case(budget=run.budget, latency=float(run.latency), strategy=strategy, seed=run.seed)


class ClockedEngine(Engine):
    """An engine that adds up the processor time that answers take it."""

    labels_s = 0.0

    def flow(
        self, inputs: Sequence[Input], wake_at: Callable[[], float] = lambda: math.inf
    ) -> Iterator[list[Output]]:
        """As `Engine.flow`; what happens between two pieces is not counted."""
        pieces = super().flow(inputs, wake_at)
        if not any(isinstance(message, Answer) for message in inputs):
            yield from pieces
            return
        while True:
            started = time.process_time()
            piece = next(pieces, None)
            self.labels_s += time.process_time() - started
            if piece is None:
                return
            yield piece


class Scores:
    """Predictions on arrival against truths; an event without a prediction counts as wrong."""

    def __init__(self, history: History, schema: Schema) -> None:
        self.truths = codes_of(history, schema)
        self.classes_n = len(schema.classes)
        self.predicted = np.full(len(history), -1, np.int64)
        self.truth_p = np.full(len(history), 1.0 / self.classes_n)

    def take(self, rows: NDArray[np.int64], probabilities: NDArray[np.float64]) -> None:
        """These rows of the history were predicted with these probabilities, (n, k)."""
        self.predicted[rows] = predicted_classes(probabilities)
        self.truth_p[rows] = probabilities[np.arange(len(rows)), self.truths[rows]]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Shape (n,)."""
        return self.predicted == self.truths

    def figures(self, stream: str) -> dict[str, object]:
        """What a row says of the predictions."""
        n, k, right = len(self.truths), self.classes_n, self.right
        # The last column holds what was not predicted.
        counts = np.zeros((k, k + 1))
        np.add.at(counts, (self.truths, np.where(self.predicted < 0, k, self.predicted)), 1)
        true_n, predicted_n = counts.sum(axis=1), counts.sum(axis=0)[:k]
        expected = float((true_n * predicted_n).sum()) / n**2
        recalls = counts.diagonal()[true_n > 0] / true_n[true_n > 0]
        accuracy = float(right.mean())
        return {
            "events_n": n,
            "accuracy": _rounded(accuracy),
            "kappa": _rounded((accuracy - expected) / (1.0 - expected) if expected < 1.0 else 0.0),
            "macro_recall": _rounded(recalls.mean()),
            "log_loss": _rounded(-np.log(np.clip(self.truth_p, P_MIN, 1.0)).mean()),
            "accuracy_late": _rounded(right[SCORED_FROM:].mean()) if n > SCORED_FROM else None,
            "right_n": _blocks(right) if STREAMS[stream].changes else [],
        }


def _rounded(value: float) -> float:
    """As much of it as a page could show, so that the rows stay small."""
    return round(float(value), 6)


def _blocks(values: NDArray[np.generic]) -> list[int]:
    return [int(values[i : i + BLOCK_N].sum()) for i in range(0, len(values), BLOCK_N)]


class _Looks:
    """The live interval, looked at again and again, against the truth of the events it is about."""

    def __init__(self, engine: Engine, scores: Scores) -> None:
        self.engine = engine
        self.scores = scores
        self.found: list[tuple[bool, float, float, float]] = []

    def look(self) -> None:
        """Whether the interval of this moment holds the truth."""
        told = self.engine.report.estimates.accuracy
        if told.accuracy is None or told.low is None or told.high is None:
            return
        truth = float(self.scores.right[told.from_seq : told.to_seq].mean())
        n, events_n = told.labels_n, max(1, told.events_n)
        blind = 1.96 * math.sqrt(max(truth * (1.0 - truth), 1e-4) / n * max(0.0, 1 - n / events_n))
        half = (told.high - told.low) / 2.0
        is_covered = told.low <= truth <= told.high
        self.found.append((is_covered, told.accuracy - truth, half, blind))

    def summary(self) -> Looks:
        """The looks together."""
        if not self.found:
            return Looks()
        covered, bias, half, blind = (np.array(column) for column in zip(*self.found, strict=True))
        return Looks(
            looks_n=len(self.found),
            covered_n=int(covered.sum()),
            bias=_rounded(bias.mean()),
            half=_rounded(half.mean()),
            blind=_rounded(blind.mean()),
        )
