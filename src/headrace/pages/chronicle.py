"""The record of a run for its page, of bounded size however long the run is.

A `Chronicle` is fed the outputs of an engine and, now and then, a report. It decides nothing, reads
no file and draws nothing: `files.chronicle` fills it from the folder of a run, the demo from its
engine; `report.page` makes the page.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Generic, TypeAlias, TypeVar

import msgspec
import numpy as np

from ..learn.estimate import Estimate
from ..learn.evaluation import Evaluation
from ..learn.intervals import Z, wilson
from ..messages import (
    DriftChanged,
    InputRejected,
    LabelDisputed,
    LabelRequested,
    LabelSettled,
    ModelAdopted,
    ModelKept,
    ModelRolledBack,
    Output,
    RequestEnded,
    RequestExpired,
    RequestWithdrawn,
    RoundOpened,
)
from ..messages.request_ids import opinion_id
from ..observe.signals import is_wrong
from ..report import Report
from ..settings import Settings
from .live.health import DATED_FROM

SAMPLES_MAX = 500
"""Points of a curve; at the limit every other one is dropped."""
CHANGES_MAX = 2_000
"""The most drift changes and decisions on models, each; the oldest goes."""
REQUESTS_MAX = 40
REJECTS_MAX = 20


@dataclass(frozen=True, slots=True)
class Spread:
    """Count, minimum, maximum and geometric mean of some numbers above 0."""

    n: int
    least: float
    greatest: float
    log_sum: float

    @classmethod
    def from_values(cls, values: Iterable[float]) -> Spread | None:
        """The spread of these values; None without values."""
        ones = [cls(1, value, value, math.log(value)) for value in values]
        return reduce(cls.join_spread, ones) if ones else None

    @property
    def mean(self) -> float:
        return math.exp(self.log_sum / self.n)

    def join_spread(self, other: Spread) -> Spread:
        """The spread of both sets of numbers together."""
        return Spread(
            self.n + other.n,
            min(self.least, other.least),
            max(self.greatest, other.greatest),
            self.log_sum + other.log_sum,
        )


@dataclass(slots=True)
class RequestTotals:
    """Counts of requests by reason and by their first outcome, which later answers don't change.

    `changes_n` counts changes of the drift level, `rounds_n` rounds that were not scheduled. A
    retraining ends with a model adopted or kept.
    """

    asked_by_reason: dict[str, int] = field(default_factory=dict)
    settled_n: int = 0
    disputed_n: int = 0
    expired_n: int = 0
    withdrawn_n: int = 0
    opinions_n: int = 0
    changes_n: int = 0
    adopted_n: int = 0
    kept_n: int = 0
    rolled_back_n: int = 0
    rounds_n: int = 0

    @property
    def asked_n(self) -> int:
        return sum(self.asked_by_reason.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class ChroniclePoint:
    """The state of a run after `events_n` events, at `at` by their clock, seconds.

    `statistics` are the highest drift statistics since the sample before, each divided by its
    threshold; `propensities` are those of the requests since then, None without requests. `control`
    is the accuracy by the control draws alone. `report` is None where only the outputs are known.
    """

    at: float
    events_n: int
    counts: RequestTotals
    control: Estimate
    statistics: Mapping[str, float]
    propensities: Spread | None
    report: Report | None


@dataclass(slots=True)
class AskedRequest:
    """A request and the output that ended it; None while it is open."""

    request: LabelRequested
    end: Output | None = None


_Kind = TypeVar("_Kind", bound=Output)
_Decision: TypeAlias = ModelAdopted | ModelKept | ModelRolledBack


@dataclass(frozen=True, slots=True)
class Happened(Generic[_Kind]):
    """An output, and the number of events seen by then."""

    events_n: int
    output: _Kind

    @property
    def at(self) -> float:
        return self.output.at


@dataclass(slots=True)
class _SinceSample:
    """Drift statistics (the highest) and propensities of requests since the last sample."""

    statistics: dict[str, float] = field(default_factory=dict)
    propensities: list[float] = field(default_factory=list)


class Chronicle:
    """A run as its page shows it.

    `gaps` are sentences on what could not be found out; `report` is the latest one known.

    >>> from headrace import Engine, Event
    >>> engine = Engine(seed=1)
    >>> chronicle = Chronicle(engine.settings)
    >>> events = [Event(id=str(i), at=60.0 * i, features={"x": i}) for i in range(200)]
    >>> chronicle.add_outputs(engine.feed(events), 200)
    >>> chronicle.add_sample(engine.report)
    >>> chronicle.samples[-1].counts.asked_n == engine.report.asking.requests_n > 0
    True
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.report: Report | None = None
        self.gaps: list[str] = []
        self.features: list[tuple[str, str]] = []
        self.samples: list[ChroniclePoint] = []
        self.changes: deque[Happened[DriftChanged]] = deque(maxlen=CHANGES_MAX)
        self.trials: deque[Happened[_Decision]] = deque(maxlen=CHANGES_MAX)
        self.rejects: deque[InputRejected] = deque(maxlen=REJECTS_MAX)
        self.rejected_n: dict[str, int] = {}
        self.requests: dict[str, AskedRequest] = {}
        self.counts = RequestTotals()
        self._control = Evaluation(settings.evaluation.window_n)
        self._since = _SinceSample()
        # Open requests for a second opinion, by id.
        self._opinions: dict[str, bool] = {}

    @property
    def is_dated(self) -> bool:
        """Whether the events have dates, and not all the same one."""
        if not self.samples:
            return False
        first, last = self.samples[0].at, self.samples[-1].at
        return first >= DATED_FROM and last > first

    @property
    def control(self) -> Estimate:
        """Accuracy over the latest window, estimated from the control draws on arrival alone.

        It is the share right among these labels, each weighing 1 / its chance, with Wilson's
        interval: the estimate of somebody who asks at random and not otherwise.
        """
        return _as_share(self._control.estimate())

    @property
    def control_all(self) -> Estimate:
        """The accuracy by control draws alone over the whole stream."""
        return _as_share(self._control.estimate_all())

    def is_later(self, at: float, n: int) -> bool:
        """Whether `at` is after the last sample by more than one n-th of the time so far."""
        if not self.samples:
            return True
        first, last = self.samples[0].at, self.samples[-1].at
        return (at - last) * n > at - first

    # -------------------------------------------------------------------------- what is fed

    def add_outputs(self, outputs: Iterable[Output], events_n: int) -> None:
        """Add the outputs of the engine until `events_n` events had been seen."""
        if (fresh_n := events_n - self._control.events_n) > 0:
            self._control.count_events(np.zeros(fresh_n))
        for output in outputs:
            self._note_output(output, events_n)

    def add_statistics(self, statistics: Mapping[str, float]) -> None:
        """Add drift statistics between two samples; the highest of each name is kept."""
        for name, ratio in statistics.items():
            if ratio >= self._since.statistics.get(name, 0.0):
                self._since.statistics[name] = ratio

    def add_sample(self, report: Report | None, *, at: float | None = None) -> None:
        """Add a sample from a report; without one, from the outputs so far, at time `at`."""
        at = report.events.last_at if report is not None else at
        if at is None:
            return
        if report is not None:
            self.report = report
            self.add_statistics(report.drift.statistics)
        self.samples.append(
            ChroniclePoint(
                at=at,
                events_n=self._control.events_n,
                counts=replace(self.counts, asked_by_reason=dict(self.counts.asked_by_reason)),
                control=self.control,
                statistics=self._since.statistics,
                propensities=Spread.from_values(self._since.propensities),
                report=report,
            )
        )
        self._since = _SinceSample()
        if len(self.samples) > SAMPLES_MAX:
            self._thin_samples()

    # ------------------------------------------------------------------------------- parts

    def _note_output(self, output: Output, events_n: int) -> None:
        match output:
            case LabelRequested():
                self._note_request(output)
            case LabelSettled() | LabelDisputed() | RequestExpired() | RequestWithdrawn():
                self._note_end(output)
            case DriftChanged():
                self.counts.changes_n += 1
                self.changes.append(Happened(events_n, output))
                self.add_statistics({f"{output.signal}/{output.detector}": output.statistic})
            case ModelAdopted() | ModelKept() | ModelRolledBack():
                self.counts.adopted_n += isinstance(output, ModelAdopted)
                self.counts.kept_n += isinstance(output, ModelKept)
                self.counts.rolled_back_n += isinstance(output, ModelRolledBack)
                self.trials.append(Happened(events_n, output))
            case RoundOpened() if output.reason != "schedule":
                self.counts.rounds_n += 1
            case InputRejected():
                self.rejected_n[output.reason] = self.rejected_n.get(output.reason, 0) + 1
                self.rejects.append(output)

    def _note_request(self, request: LabelRequested) -> None:
        by_reason = self.counts.asked_by_reason
        by_reason[request.reason] = by_reason.get(request.reason, 0) + 1
        if request.opinion_n == 1:
            self._since.propensities.append(request.propensity)
        else:
            self._opinions[request.request_id] = True
        self.requests[request.request_id] = AskedRequest(request)
        if len(self.requests) > REQUESTS_MAX:
            del self.requests[next(iter(self.requests))]
        # Control draws on arrival alone: rounds of the strategy `random` have numbers.
        if request.reason == "control" and request.round_n < 0:
            is_predicted = bool(request.prediction or request.served)
            guess = 0.0 if is_predicted else math.nan
            self._control.note_asked(request.seq, request.request_id, guess, 0.0)
            self._control.note_chance(request.request_id, request.control_p)

    def _note_end(self, end: RequestEnded) -> None:
        opinion_n = getattr(end, "opinion_n", 1)
        if end.request_id in self.requests:
            self.requests[end.request_id].end = end
        if opinion_n > 1:
            self._opinion_given(end, opinion_n)
            return
        if self._opinions.pop(end.request_id, False):
            # A request for an opinion ended without one: the label stays as it was.
            self.counts.expired_n += isinstance(end, RequestExpired)
            self.counts.withdrawn_n += isinstance(end, RequestWithdrawn)
            return
        is_first = getattr(end, "revision", 0) == 0
        match end:
            case LabelSettled():
                judged = end.prediction
                if self.settings.evaluation.judged == "served" and end.served is not None:
                    judged = end.served
                self._control.note_label(end.request_id, not is_wrong(judged, end.label))
                self.counts.settled_n += is_first
                return
            case LabelDisputed():
                self.counts.disputed_n += is_first
            case RequestExpired():
                self.counts.expired_n += 1
            case RequestWithdrawn():
                self.counts.withdrawn_n += 1
        self._control.end_request(end.request_id)

    def _opinion_given(self, end: RequestEnded, opinion_n: int) -> None:
        """Note an outcome after an opinion; if the opinion was known before, it was corrected."""
        identity = opinion_id(end.request_id, opinion_n)
        if self._opinions.pop(identity, False):
            self.counts.opinions_n += 1
        if identity in self.requests:
            self.requests[identity].end = end

    def _thin_samples(self) -> None:
        """Drop every other sample; its statistics and propensities are merged into the next."""
        merged = [
            replace(
                sample,
                statistics=_keep_highest(dropped.statistics, sample.statistics),
                propensities=joined_spread([dropped, sample]),
            )
            for dropped, sample in zip(self.samples[1::2], self.samples[2::2], strict=False)
        ]
        self.samples = [self.samples[0], *merged, *self.samples[2 * len(merged) + 1 :]]


def _as_share(estimate: Estimate) -> Estimate:
    """Give the estimate the interval of a plain share: without guesses to compare with, labels
    that are all right would seem to have no variance.
    """
    if estimate.accuracy is None:
        return estimate
    low, high = wilson(estimate.accuracy, estimate.effective_n, Z)
    return msgspec.structs.replace(estimate, low=low, high=high)


def joined_spread(samples: Iterable[ChroniclePoint]) -> Spread | None:
    """The spread of the propensities of several samples; None where there are none."""
    spreads = [sample.propensities for sample in samples if sample.propensities is not None]
    return reduce(Spread.join_spread, spreads) if spreads else None


def _keep_highest(one: Mapping[str, float], two: Mapping[str, float]) -> dict[str, float]:
    return {name: max(one.get(name, 0.0), two.get(name, 0.0)) for name in {**one, **two}}
