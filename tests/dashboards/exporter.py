"""What the exporter serves, read off the collector itself: names, types, labels, bounds, units.

An engine plays a little of the demo, its registry is collected, and the declarations behind the
collector say what no sample can: labels of a metric without a value yet, closed sets, and how the
numbers of several workers become one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from prometheus_client import CollectorRegistry

from headrace.adapters.metrics.prometheus import CATALOGUE, registry_of
from headrace.adapters.metrics.timings import Timings
from headrace.commands.demo.duel import Side, make_stream

EVENTS_N = 1_500
TARGET_LABELS = frozenset({"job", "instance"})
"""What Prometheus adds to every series it scrapes."""

NUMBERS = {"utility", "level", "index", "1 fires", "0 or 1", "1", "that of the feature"}
"""Units in the catalogue that are no counts: plain numbers on a scale of their own."""


@dataclass(frozen=True)
class Series:
    """One sample name, as a query selects it.

    `measure` is what its numbers are: "s", "unix" (seconds since 1970), "bytes", "ratio", "number",
    "cost" or "count"; of a histogram that of what was observed. `noun` is what is counted.
    """

    name: str
    kind: str
    labels: frozenset[str]
    measure: str
    noun: str = ""
    over: str = "each"
    closed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    bounds: frozenset[str] = frozenset()

    @property
    def is_cumulative(self) -> bool:
        return self.kind in ("counter", "bucket", "sum", "count")


@cache
def exported() -> dict[str, Series]:
    """Every sample name a scrape can hold, with `up`, which Prometheus adds."""
    declared = {metric.name: metric for metric in CATALOGUE}
    found = {"up": Series("up", "gauge", TARGET_LABELS, "ratio", over="any")}
    for family in played().collect():
        names = {f"{family.name}{end}" for end in ("", "_total", "_info")} & declared.keys()
        metric = declared[names.pop()] if names else None
        labels = set(TARGET_LABELS) | ({"stream"} if metric and metric.kind != "info" else set())
        labels |= set(metric.labels) if metric else set()
        for name, kind in _samples(family.name, family.type):
            own = [sample for sample in family.samples if sample.name == name]
            seen = {label for sample in own for label in sample.labels}
            if metric and not seen <= labels | {"le"}:
                raise AssertionError(f"{name} has labels that are not declared: {seen - labels}")
            unit = metric.unit if metric else ""
            found[name] = Series(
                name,
                kind,
                frozenset(labels | seen | ({"le"} if kind == "bucket" else set())),
                _measure(family.name, unit),
                unit,
                metric.over if metric else "each",
                dict(metric.closed) if metric else {},
                frozenset(sample.labels["le"] for sample in own if "le" in sample.labels),
            )
    return found


def families() -> dict[str, set[str]]:
    """Sample names by what they are samples of; a histogram has three."""
    found: dict[str, set[str]] = {}
    for name, series in exported().items():
        part = series.kind if series.kind in ("bucket", "sum", "count") else ""
        found.setdefault(name.removesuffix(f"_{part}") if part else name, set()).add(name)
    return found


@cache
def played() -> CollectorRegistry:
    """The registry of an engine that has seen some events."""
    side = Side("headrace", "margin", EVENTS_N, 7)
    timings = Timings("demo")
    for batch in make_stream(EVENTS_N, 7):
        side.play_batch(batch)
        timings.count_fed(len(batch[0]), 0.001, 0.0)
    return registry_of(lambda: side.engine.report, timings)


def _samples(family: str, kind: str) -> list[tuple[str, str]]:
    if kind == "histogram":
        return [(f"{family}_{part}", part) for part in ("bucket", "sum", "count")]
    if kind == "counter":
        return [(f"{family}_total", "counter")]
    return [(f"{family}_info" if kind == "info" else family, "gauge")]


def _measure(family: str, unit: str) -> str:
    if family.endswith(("_timestamp_seconds", "_start_time_seconds")):
        return "unix"
    if family.endswith("_ratio"):
        return "ratio"
    if unit in NUMBERS:
        return "number"
    if family.endswith("_bytes"):
        return "bytes"
    if unit == "units of label.cost":
        return "cost"
    if family.endswith("_seconds"):
        return "s"
    return "count"
