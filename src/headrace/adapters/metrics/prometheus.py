"""The registry behind /metrics: a collector over the frozen `Report`, and the driver's timings.

This module counts nothing; every number is the report's. Labels come from closed sets or from
bounded lists (the first classes and features, detectors, partitions): never an event's id, never a
person's name, never a value of a feature. All children exist from the start, so that a rate begins
at zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ...report import Report
from .catalogue import Exported
from .labels import ANNOTATORS, ASKING, BUDGET, LABELS
from .model import ACCURACY, DRIFT, MODEL, SHARES
from .quality import QUALITY
from .stream import EVENTS, PARTITIONS, WORKER
from .timings import TIMED, Timings

GROUPS: dict[str, tuple[Exported, ...]] = {
    "The stream": EVENTS,
    "Partitions": PARTITIONS,
    "Asking": ASKING,
    "Money": BUDGET,
    "Labels": LABELS,
    "Annotators": ANNOTATORS,
    "The model": MODEL,
    "Accuracy": ACCURACY,
    "Quality": QUALITY,
    "Drift": DRIFT,
    "Features and classes": SHARES,
    "The worker": WORKER,
    "Times": TIMED,
}
"""All metrics, in the order of docs/METRICS.md; a dashboard may use these and no others."""

CATALOGUE: tuple[Exported, ...] = tuple(metric for group in GROUPS.values() for metric in group)


class ReportCollector(Collector):
    """Metrics of one stream, read from the report at each scrape.

    >>> from headrace import Engine
    >>> registry = CollectorRegistry()
    >>> registry.register(ReportCollector(lambda: Engine().report))
    >>> registry.get_sample_value("headrace_events_observed_total", {"stream": "default"})
    0.0
    """

    def __init__(self, read: Callable[[], Report]) -> None:
        self.read = read

    def collect(self) -> Iterator[Metric]:
        report = self.read()
        for metric in CATALOGUE:
            if metric not in TIMED:
                yield metric.make_family(report, report.stream)


def registry_of(
    read_report: Callable[[], Report], timings: Timings | None = None
) -> CollectorRegistry:
    """Make a registry with all metrics of a stream, and of the process from the operating system.

    Args:
        read_report: Called at each scrape, in another thread: it must return a report that is
            already made.
        timings: The metrics of times; without it there are none.

    Returns:
        A registry for `prometheus_client`.

    >>> from headrace import Engine
    >>> registry = registry_of(lambda report=Engine().report: report)
    >>> registry.get_sample_value("headrace_events_observed_total", {"stream": "default"})
    0.0
    """
    registry = CollectorRegistry()
    registry.register(ReportCollector(read_report))
    if timings is not None:
        registry.register(timings)
    ProcessCollector(registry=registry)
    return registry
