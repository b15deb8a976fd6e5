"""Events from a program, answers from an oracle: notebooks, examples, pilots.

Time is simulated: an answer due at t is fed before the first event at or after t. A retraining is
run between two pieces of the stream, in this thread, and its challenger is fed `retrain_s` of event
time after it was ordered.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ..engine import Engine
from ..errors import BadInput
from ..learn.retrain import retrain
from ..messages import (
    Event,
    EventBatch,
    Input,
    LabelRequested,
    Output,
    RetrainFinished,
    RetrainRequested,
    Tick,
    class_name,
)
from ..observe.decode import batch_of
from ..report import Report
from ..testing.oracles import Delayed, Oracle

BATCH_N = 1024


@dataclass
class Result:
    """A finished run: the last report, and every output in order."""

    report: Report
    outputs: list[Output] = field(repr=False)


Labelled = tuple[Mapping[Any, Any] | Event, Any]


def run(
    engine: Engine,
    events: Iterable[Labelled],
    oracle: Oracle | None = None,
    *,
    on_outputs: Callable[[list[Output]], None] | None = None,
) -> Result:
    """Feed (features, truth) pairs, as river's datasets yield them, and answer what is asked.

    A pair may also be (`Event`, truth). Features without an event get the id "0", "1", ... and
    one second from one to the next. `oracle` is asked for every request; without one, `Delayed()`.
    Ends with a tick far enough for every answer and deadline to be settled.

    >>> import headrace as hr
    >>> from river import datasets, linear_model, preprocessing
    >>> model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    >>> engine = hr.Engine(model, strategy="margin", budget=hr.budgets.Share(0.05), seed=7)
    >>> report = hr.run(engine, datasets.Phishing(), oracle=hr.oracles.Delayed(delay_s=60)).report
    >>> report.events_n, report.asked_n <= 63, report.settled_n == report.asked_n
    (1250, True, True)
    """
    simulation = Simulation(engine, oracle or Delayed())
    outputs: list[Output] = []
    for piece in simulation.play(_batches(events)):
        outputs += piece
        if on_outputs is not None:
            on_outputs(piece)
    return Result(engine.report, outputs)


class Simulation:
    """One engine, one oracle, and the answers on their way."""

    def __init__(self, engine: Engine, oracle: Oracle, *, retrain_s: float = 0.0) -> None:
        self.engine = engine
        self.oracle = oracle
        self.retrain_s = retrain_s
        # Two generations hold the truths of all events that may still be asked about.
        self._truths: dict[str, str] = {}
        self._truths_before: dict[str, str] = {}
        self._due: list[tuple[float, int, Input]] = []
        self._n = 0

    def play(
        self, batches: Iterable[tuple[EventBatch, list[str]]], *, settle: bool = True
    ) -> Iterator[list[Output]]:
        """The stream, a piece at a time; then, if wanted, time until every request has ended."""
        for batch, truths in batches:
            self._know(batch, truths)
            for outputs in self.engine.flow([batch], wake_at=self._wake_at):
                # An empty piece says that the next event comes after what is due first.
                until = self.engine.now if outputs else self._wake_at()
                if outputs:
                    yield self._follow(outputs)
                yield from self._deliver(until)
        if settle:
            yield from self._settle()

    def _know(self, batch: EventBatch, truths: list[str]) -> None:
        observe = self.engine.settings.observe
        if len(self._truths) > observe.window_n + observe.reservoir_n:
            self._truths, self._truths_before = {}, self._truths
        self._truths.update(zip(batch.ids, truths, strict=True))

    def _truth(self, event_id: str) -> str | None:
        return self._truths.get(event_id) or self._truths_before.get(event_id)

    def _wake_at(self) -> float:
        return self._due[0][0] if self._due else float("inf")

    def _follow(self, outputs: list[Output]) -> list[Output]:
        """Ask the oracle, run the jobs; what comes of it is due later."""
        for output in outputs:
            if isinstance(output, LabelRequested):
                truth = self._truth(output.event_id)
                if truth is not None:
                    classes = sorted(self.engine.schema.classes)
                    for answer in self.oracle.answers(output, truth, classes):
                        self._push(answer.at, answer)
            elif isinstance(output, RetrainRequested) and self._is_open(output.job_id):
                at = output.at + self.retrain_s
                challenger = retrain(self.engine.job(output.job_id))
                finished = RetrainFinished(job_id=output.job_id, at=at, challenger=challenger)
                self._push(at, finished)
        return outputs

    def _is_open(self, job_id: int) -> bool:
        """Drift may have ordered another job since, within the same piece."""
        job = self.engine.open_job
        return job is not None and job.job_id == job_id

    def _push(self, at: float, message: Input) -> None:
        self._n += 1
        heapq.heappush(self._due, (at, self._n, message))

    def _deliver(self, now: float) -> Iterator[list[Output]]:
        """Feed what is due at or before `now`, in order of time."""
        while self._due and self._due[0][0] <= now:
            message = heapq.heappop(self._due)[2]
            yield self._follow(self.engine.feed([message]))

    def _settle(self) -> Iterator[list[Output]]:
        while self._due or self.engine.desk.open_n:
            deadline = self.engine.next_deadline()
            wake, due = self._wake_at(), float("inf") if deadline is None else deadline
            # What comes at the deadline itself is still in time.
            if wake != due:
                yield self._follow(self.engine.feed([Tick(at=min(wake, due))]))
            yield from self._deliver(min(wake, due))


def _batches(events: Iterable[Labelled]) -> Iterator[tuple[EventBatch, list[str]]]:
    numbered = enumerate(events)
    while chunk := list(islice(numbered, BATCH_N)):
        found = [_event(i, pair) for i, pair in chunk]
        yield batch_of([event for event, _ in found]), [truth for _, truth in found]


def _event(i: int, pair: Labelled) -> tuple[Event, str]:
    try:
        features, truth = pair
    except (TypeError, ValueError):
        raise BadInput(f"item {i} of the stream is not a pair (features, truth)") from None
    if isinstance(features, Event):
        return features, class_name(truth)
    named = {str(name): value for name, value in features.items()}
    return Event(id=str(i), at=float(i), features=named), class_name(truth)
