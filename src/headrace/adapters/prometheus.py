"""/metrics: a collector over the frozen `Report`, on a registry of its own.

Nothing is counted here; every number is the report's. Labels come from closed sets: reasons,
outcomes, levels, and bounded lists of features, classes and detectors. Never an event id, never an
annotator. All children exist from the start, so that a rate has a zero to begin with.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ..errors import BadSettings
from ..label.annotators import TURNAROUND_BOUNDS_S
from ..messages import Reason
from ..report import Report

FEATURES_MAX = 50
CLASSES_MAX = 50
OTHER = "other"
ASKED_REASONS = ("control", "cold start", "round", "drift", "ordered")
DRIFT_LEVELS = ("STABLE", "WARNING", "DRIFT")


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
        yield from _observed(report)
        yield from _asked(report)
        yield from _labels(report)
        yield from _model(report)
        yield from _drift(report)
        build = InfoMetricFamily("headrace_build", "Always 1; what is running.")
        build.add_metric(
            [],
            {
                "version": version("headrace"),
                "python": platform.python_version(),
                "river": version("river"),
            },
        )
        yield build


def _gauge(report: Report, name: str, about: str, value: float | None) -> Metric:
    family = GaugeMetricFamily(f"headrace_{name}", about, labels=["stream"])
    if value is not None:
        family.add_metric([report.stream], float(value))
    return family


def _counter(report: Report, name: str, about: str, value: float) -> Metric:
    family = CounterMetricFamily(f"headrace_{name}", about, labels=["stream"])
    family.add_metric([report.stream], float(value))
    return family


def _counters(
    report: Report, name: str, about: str, *, label: str, values: Iterable[tuple[str, float]]
) -> Metric:
    family = CounterMetricFamily(f"headrace_{name}", about, labels=["stream", label])
    for child, value in values:
        family.add_metric([report.stream, child], value)
    return family


def folded(counts: dict[str, int], at_most: int) -> list[tuple[str, int]]:
    """The counts in order of first sight; those beyond `at_most` are added up as "other".

    >>> folded({"a": 1, "b": 2, "c": 3}, 2)
    [('a', 1), ('b', 2), ('other', 3)]
    """
    found = list(counts.items())
    rest = sum(count for _, count in found[at_most:])
    return found[:at_most] + ([(OTHER, rest)] if len(found) > at_most else [])


def _observed(report: Report) -> Iterator[Metric]:
    yield _counter(report, "events_observed", "Events scored and kept.", report.events_n)
    yield _counters(
        report,
        "inputs_rejected",
        "Inputs that could not be used, by reason.",
        label="reason",
        values=[(reason.value, report.rejected_n.get(reason.value, 0)) for reason in Reason],
    )
    yield _gauge(report, "last_event_timestamp_seconds", "Time of the newest event.", report.now)
    yield _gauge(report, "window_events", "Events in the window.", report.window_n)
    yield _gauge(report, "reservoir_events", "Events in the reservoir.", report.reservoir_n)
    yield _counters(
        report,
        "predictions",
        "Predictions, by predicted class.",
        label="class",
        values=folded(report.predicted_n, CLASSES_MAX),
    )


def _asked(report: Report) -> Iterator[Metric]:
    by_reason = report.asked_by_reason
    yield _counters(
        report,
        "label_requests",
        "Label requests, by the reason of the decision.",
        label="reason",
        values=[(reason, by_reason.get(reason, 0)) for reason in ASKED_REASONS],
    )
    yield _counter(report, "labels_refunded", "Labels paid back.", report.refunded_n)
    yield _counter(report, "query_rounds", "Rounds decided.", report.rounds_n)
    yield _gauge(
        report, "budget_available_labels", "Labels that may be asked.", report.budget_available_n
    )
    yield _gauge(report, "budget_reserve_labels", "Labels set aside.", report.budget_held_n)
    yield _gauge(report, "budget_share_ratio", "Labels earned per event.", report.labels_per_event)
    yield _gauge(report, "budget_is_exhausted", "1: the cap is reached.", report.is_exhausted)
    yield _gauge(report, "propensity_floor_ratio", "Lowest propensity.", report.propensity_min)
    yield _gauge(report, "query_is_cold", "1: still asking at random.", report.is_cold)


def _labels(report: Report) -> Iterator[Metric]:
    yield _gauge(report, "label_requests_open", "Requests without an end.", report.open_n)
    yield _gauge(
        report,
        "label_oldest_request_timestamp_seconds",
        "When the request that is open longest was asked.",
        report.oldest_open_at,
    )
    ends = {
        "settled": report.settled_n,
        "disputed": report.disputed_n,
        "expired": report.expired_n,
        "withdrawn": report.withdrawn_n,
    }
    yield _counters(report, "requests_ended", "Ended requests.", label="end", values=ends.items())
    answers = {
        "late": report.late_n,
        "duplicate": report.duplicate_n,
        "corrected": report.corrected_n,
        "refused": report.refused_n,
        "rejected": report.answers_rejected_n,
    }
    yield _counters(
        report,
        "answers_unusual",
        "Answers that were not plain, by what was the matter.",
        label="outcome",
        values=answers.items(),
    )
    yield _gauge(report, "label_agreement_ratio", "Krippendorff's alpha.", report.agreement)
    turnaround = HistogramMetricFamily(
        "headrace_label_turnaround_seconds", "Request to answer.", labels=["stream"]
    )
    buckets, total = [], 0
    bounds = [*(str(float(bound)) for bound in TURNAROUND_BOUNDS_S), "+Inf"]
    for bound, count in zip(bounds, report.turnaround_counts, strict=True):
        total += count
        buckets.append((bound, total))
    turnaround.add_metric([report.stream], buckets, report.turnaround_sum_s)
    yield turnaround


def _model(report: Report) -> Iterator[Metric]:
    yield _gauge(report, "model_version", "Entries of the training log.", report.model_version)
    updates = {
        "learned": report.learned_n,
        "unlearnable": report.unlearnable_n,
        "retrained": report.retrained_n,
        "adopted": report.adopted_n,
        "kept": report.kept_n,
    }
    yield _counters(
        report,
        "model_updates",
        "What became of labels and challengers.",
        label="kind",
        values=updates.items(),
    )
    accuracy = GaugeMetricFamily(
        "headrace_accuracy_ratio",
        "Estimated accuracy over the window, and the naive share beside it.",
        labels=["stream", "estimate"],
    )
    found = report.accuracy
    for name, value in (
        ("value", found.accuracy),
        ("low", found.low),
        ("high", found.high),
        ("naive", found.naive),
    ):
        if value is not None:
            accuracy.add_metric([report.stream, name], value)
    yield accuracy
    yield _gauge(report, "accuracy_labels", "Labels behind the estimate.", found.labels_n)


def _drift(report: Report) -> Iterator[Metric]:
    level = DRIFT_LEVELS.index(report.drift_level)
    yield _gauge(report, "drift_level", "0 STABLE, 1 WARNING, 2 DRIFT.", level)
    statistic = GaugeMetricFamily(
        "headrace_drift_statistic",
        "Statistic divided by its own threshold; 1 fires.",
        labels=["stream", "signal", "detector"],
    )
    for name, value in report.drift_statistics.items():
        statistic.add_metric([report.stream, *name.split("/")], value)
    yield statistic
    alarms = CounterMetricFamily(
        "headrace_drift_alarms", "Alarms.", labels=["stream", "signal", "detector", "level"]
    )
    for name in report.drift_statistics:
        for risen in DRIFT_LEVELS[1:]:
            count = report.drift_alarms_n.get(f"{name}/{risen}", 0)
            alarms.add_metric([report.stream, *name.split("/"), risen], count)
    yield alarms
    psi = GaugeMetricFamily(
        "headrace_feature_psi",
        "Population stability index of window against reservoir.",
        labels=["stream", "feature"],
    )
    for feature, value in list(report.feature_psi.items())[:FEATURES_MAX]:
        psi.add_metric([report.stream, feature], value)
    yield psi


class Served:
    """A running /metrics; `close` ends it."""

    def __init__(self, collector: ReportCollector, host: str, port: int) -> None:
        registry = CollectorRegistry()
        registry.register(collector)
        try:
            self._server, self._thread = start_http_server(port, addr=host, registry=registry)
        except OSError as error:
            raise BadSettings(
                f"/metrics can't listen on {host}:{port}: {error}; set another run.metrics_port"
            ) from error
        self.host = host
        self.port = int(self._server.server_port)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/metrics"

    def close(self) -> None:
        """Stop listening; returns when the port is free."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve(read: Callable[[], Report], *, host: str = "127.0.0.1", port: int = 0) -> Served:
    """Serve /metrics until closed, on loopback unless told otherwise; port 0 takes a free one.

    `read` is called from the server's thread: give it a report that is already made. Raises
    `BadSettings` when the address can't be had.
    """
    return Served(ReportCollector(read), host, port)
