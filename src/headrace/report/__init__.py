"""One frozen Report of numbers, in sections: adapters read it, and nothing else.

`sections` and `worker` have the numbers, each with its unit, its meaning and the way to combine
those of several parts; `building` builds a report from an engine, or from a worker's parts.
"""

from __future__ import annotations

import operator
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .limits import Limit
from .old_names import OLD_NAMES
from .people import AnnotatorReport, AnnotatorsReport
from .sections import (
    AnswersReport,
    AskingReport,
    BudgetReport,
    DriftReport,
    EstimatesReport,
    EventsReport,
    Failure,
    LabelsReport,
    ModelReport,
    NoiseReport,
    RetrainingReport,
    SchemaReport,
)
from .worker import PartitionReport, SnapshotsReport, WorkerReport

__all__ = [
    "AnnotatorReport",
    "Failure",
    "PartitionReport",
    "Report",
    "SnapshotsReport",
    "WorkerReport",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The present numbers of one stream, in sections; docs/METRICS.md lists them with their units.

    Attributes:
        stream: The name of the stream.
        limits: The limits that were reached.
        events: Events that came, and those rejected.
        schema: Features and classes.
        asking: Requests, rounds and the strategy.
        budget: Labels that may be asked, and those spent.
        labels: Labels that settled, and other ends of requests.
        answers: Answers that came.
        annotators: How the annotators answer.
        noise: Labels that look wrong.
        model: What the model has learned, and where it failed.
        retraining: Retrainings, adopted challengers, roll-backs.
        drift: The drift level and what is watched.
        estimates: The accuracy, estimated from the labels.
        worker: Of a worker on Kafka: its partitions, snapshots and lag.

    >>> from headrace import Engine
    >>> report = Engine().report
    >>> report.events.observed_n, report.drift.level, report.estimates.accuracy.accuracy
    (0, 'STABLE', None)
    """

    stream: str
    limits: tuple[Limit, ...] = ()
    events: EventsReport = field(default_factory=EventsReport)
    schema: SchemaReport = field(default_factory=SchemaReport)
    asking: AskingReport = field(default_factory=AskingReport)
    budget: BudgetReport = field(default_factory=BudgetReport)
    labels: LabelsReport = field(default_factory=LabelsReport)
    answers: AnswersReport = field(default_factory=AnswersReport)
    annotators: AnnotatorsReport = field(default_factory=AnnotatorsReport)
    noise: NoiseReport = field(default_factory=NoiseReport)
    model: ModelReport = field(default_factory=ModelReport)
    retraining: RetrainingReport = field(default_factory=RetrainingReport)
    drift: DriftReport = field(default_factory=DriftReport)
    estimates: EstimatesReport = field(default_factory=EstimatesReport)
    worker: WorkerReport = field(default_factory=WorkerReport)

    if not TYPE_CHECKING:  # Type checkers should report a name that is gone.

        def __getattr__(self, name: str) -> Any:
            """Return the number that had this name before there were sections; removed in 0.2."""
            path = OLD_NAMES.get(name)
            if path is None:
                raise AttributeError(f"Report has no {name!r}", name=name, obj=self)
            warning = f"report.{name} is report.{path} now; the old name goes with 0.2"
            warnings.warn(warning, DeprecationWarning, stacklevel=2)
            return operator.attrgetter(path)(self)
