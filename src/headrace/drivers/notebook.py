"""An engine fed by a program, with answers from an oracle: for notebooks, examples, pilots.

Time is simulated: an answer due at t is fed before the first event at or after t. A retraining is
run between two pieces of the stream, in this thread, and its challenger is fed `retrain_s` seconds
of event time after it was ordered.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ..engine import Engine
from ..errors import BadInput
from ..learn.retrain import finish_job
from ..messages import (
    Event,
    EventBatch,
    Input,
    InputRejected,
    LabelRequested,
    Output,
    RetrainRequested,
    Tick,
    class_name,
)
from ..observe.given import id_of, truth_of
from ..observe.values import Refusal
from ..report import Report
from ..testing.oracles import Delayed, Oracle

BATCH_N = 1024

NUMBERS_MIN = 20
"""This many truths that are not whole, none of them twice, are numbers to predict, not classes."""


@dataclass
class Result:
    """A finished run.

    Attributes:
        report: The last report of the engine.
        outputs: Every output, in order.

    >>> from river import datasets
    >>> result = run(Engine(seed=7), datasets.Phishing().take(20))
    >>> result.report.events.observed_n, len(result.outputs) == len([*result.outputs])
    (20, True)
    """

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
    """Feed (features, truth) pairs, as river's datasets yield them, and answer the requests.

    Ends with ticks far enough for every answer to arrive and every deadline to pass. A single
    event that can't be used is an `InputRejected` among the outputs.

    Args:
        engine: The engine; a second run on one engine goes on counting.
        events: Pairs (features, truth) or (`Event`, truth). Features without an event get the id
            "0", "1", ... and one second from one to the next. A truth is one class: a text, a
            number or a boolean; if it is missing (None, NaN), nobody answers.
        oracle: Answers every request; by default `Delayed()`, who is right and answers at once.
        on_outputs: Called with the outputs of each piece.

    Returns:
        The last report and all outputs.

    Raises:
        BadSettings: The model can learn none of the first labels.
        BadInput: An item is no pair, truths are no classes (several labels, numbers to predict) or
            all missing, or not one event could be used.

    >>> import headrace as hr
    >>> from river import datasets, linear_model, preprocessing
    >>> model = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    >>> engine = hr.Engine(model, strategy="margin", budget=hr.budgets.Share(0.05), seed=7)
    >>> report = hr.run(engine, datasets.Phishing(), oracle=hr.oracles.Delayed(delay_s=60)).report
    >>> requests_n = report.asking.requests_n
    >>> report.events.observed_n, requests_n <= 63, report.labels.settled_n == requests_n
    (1250, True, True)
    """
    simulation = Simulation(engine, oracle or Delayed())
    outputs: list[Output] = []
    observed_n = engine.shard.events_n
    for piece in simulation.play_batches(_make_batches(events, engine)):
        outputs += piece
        if on_outputs is not None:
            on_outputs(piece)
        engine.check_model()
    rejected = [output for output in outputs if isinstance(output, InputRejected)]
    if rejected and engine.shard.events_n == observed_n:
        raise BadInput(
            f"all {len(rejected)} events were rejected, the first ({rejected[0].input_id!r}) as "
            f"{rejected[0].reason}: {rejected[0].detail}"
        )
    return Result(engine.report, outputs)


class Simulation:
    """One engine, one oracle, and the answers on their way.

    A challenger is fed `retrain_s` seconds of event time after its retraining was ordered.
    """

    def __init__(self, engine: Engine, oracle: Oracle, *, retrain_s: float = 0.0) -> None:
        self.engine = engine
        self.oracle = oracle
        self.retrain_s = retrain_s
        # Two generations hold the truths of all events that may still be asked about.
        self._truths: dict[str, str] = {}
        self._truths_before: dict[str, str] = {}
        self._due: list[tuple[float, int, Input]] = []
        self._n = 0

    def play_batches(
        self,
        batches: Iterable[tuple[EventBatch | Sequence[Event], Sequence[str | None]]],
        *,
        settle: bool = True,
    ) -> Iterator[list[Output]]:
        """Feed batches of events with their truths; yield the outputs of each piece.

        Then, with `settle`, let time pass until every request has ended.
        """
        for batch, truths in batches:
            self._learn_truths(batch, truths)
            inputs = [batch] if isinstance(batch, EventBatch) else batch
            for outputs in self.engine.flow(inputs, wake_at=self._wake_at):
                # An empty piece says that the next event comes after what is due first.
                until = self.engine.now if outputs else self._wake_at()
                if outputs:
                    yield self._follow_outputs(outputs)
                yield from self._deliver_due(until)
        if settle:
            yield from self._settle_open()

    def _learn_truths(
        self, batch: EventBatch | Sequence[Event], truths: Sequence[str | None]
    ) -> None:
        observe = self.engine.settings.observe
        if len(self._truths) > observe.window_n + observe.reservoir_n:
            self._truths, self._truths_before = {}, self._truths
        ids = batch.ids if isinstance(batch, EventBatch) else [id_of(event) for event in batch]
        privacy = self.engine.privacy
        names = map(privacy.event_id, ids) if privacy.is_active else ids
        known = zip(names, truths, strict=True)
        self._truths.update({name: truth for name, truth in known if truth is not None})

    def _wake_at(self) -> float:
        return self._due[0][0] if self._due else float("inf")

    def _follow_outputs(self, outputs: list[Output]) -> list[Output]:
        """Ask the oracle and run the jobs; answers and challengers are due later."""
        for output in outputs:
            if isinstance(output, LabelRequested):
                event_id = output.event_id
                truth = self._truths.get(event_id) or self._truths_before.get(event_id)
                if truth is not None:
                    classes = sorted(self.engine.schema.classes)
                    for answer in self.oracle.answers(output, truth, classes):
                        self._push_message(answer.at, answer)
            elif isinstance(output, RetrainRequested):
                job = self.engine.trainer.retrainings.job(output.job_id)
                if job is None:  # Drift has ordered another retraining since, in the same piece.
                    continue
                finished = finish_job(job, output.at + self.retrain_s)
                self._push_message(finished.at, finished)
        return outputs

    def _push_message(self, at: float, message: Input) -> None:
        self._n += 1
        heapq.heappush(self._due, (at, self._n, message))

    def _deliver_due(self, now: float) -> Iterator[list[Output]]:
        """Feed what is due at or before `now`, in order of time; yield the outputs."""
        while self._due and self._due[0][0] <= now:
            message = heapq.heappop(self._due)[2]
            yield self._follow_outputs(self.engine.feed([message]))

    def _settle_open(self) -> Iterator[list[Output]]:
        while self._due or self.engine.desk.open_n:
            deadline = self.engine.next_deadline()
            wake, due = self._wake_at(), float("inf") if deadline is None else deadline
            # An answer at the deadline itself is still in time.
            if wake != due:
                yield self._follow_outputs(self.engine.feed([Tick(at=min(wake, due))]))
            yield from self._deliver_due(min(wake, due))


def _make_batches(
    events: Iterable[Labelled], engine: Engine
) -> Iterator[tuple[list[Event], list[str | None]]]:
    """Yield events in batches, each with its class, or None where that is missing."""
    truths = _Truths(engine.settings.schema.classes_max)
    # On an engine that has run before, numbers and times go on.
    first = engine.shard.events_n + sum(engine.shard.admission.rejected.values())
    start = math.floor(engine.now) + 1.0 if math.isfinite(engine.now) else 0.0
    numbered = enumerate(events)
    while chunk := list(islice(numbered, BATCH_N)):
        labelled = [_make_event(i, pair, first, start) for i, pair in chunk]
        yield (
            [event for event, _ in labelled],
            [
                truths.name_truth(i, truth)
                for (i, _), (_, truth) in zip(chunk, labelled, strict=True)
            ],
        )
    truths.check_any()


def _make_event(i: int, pair: Labelled, first: int, start: float) -> tuple[Event, Any]:
    try:
        features, truth = pair
    except (TypeError, ValueError):
        raise BadInput(f"item {i} of the stream is not a pair (features, truth)") from None
    if isinstance(features, Event):
        return features, truth
    return Event(id=str(first + i), at=start + i, features=features), truth  # type: ignore[arg-type]


class _Truths:
    """Turns truths into classes; raises `BadInput` as soon as they can't be classes."""

    def __init__(self, classes_max: int) -> None:
        self._classes_max = classes_max
        self._seen_n = self._known_n = self._numbers_n = 0
        self._numbers: set[float] = set()

    def name_truth(self, i: int, truth: Any) -> str | None:
        """Return the class of event i, or None for a missing truth."""
        self._seen_n += 1
        try:
            value = truth_of(truth)
        except Refusal as refusal:
            raise BadInput(f"the truth of event {i} {refusal.detail}") from None
        self._known_n += value is not None
        if isinstance(value, float):
            self._numbers_n += 1
            self._check_number(value)
            return class_name(value)
        return value

    def _check_number(self, number: float) -> None:
        self._numbers.add(number)
        distinct_n = len(self._numbers)
        if distinct_n == self._numbers_n == NUMBERS_MIN or distinct_n > self._classes_max:
            raise BadInput(
                f"the truths name {distinct_n} numbers that are not whole, {number!r} the latest: "
                "is it a class? predicting a number is not supported"
            )

    def check_any(self) -> None:
        """Raise `BadInput` at the end if no event had a truth."""
        if self._seen_n and not self._known_n:
            raise BadInput(f"not one of {self._seen_n} events has a truth; each is missing")
