"""What a metric is here, and how it is read off a report: the words the catalogue is written in.

The metrics themselves stand in `metrics.stream`, `metrics.labels` and `metrics.model`; on a
registry they are put by `prometheus`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from ...report import Report

CLASSES_MAX = 10
"""Classes with series of their own: the first ones of the schema."""

FEATURES_MAX = 50
OTHER = "other"
NONE = "none"


class Buckets(NamedTuple):
    """A histogram: `counts[i]` is what is up to `bounds[i]` and above the bound before.

    One more count than bounds, for what is above all; or as many, where nothing can be.
    """

    bounds: Sequence[float]
    counts: Sequence[int]
    sum: float


Read: TypeAlias = Callable[[Any], Iterable[tuple[tuple[str, ...], Any]]]
"""Values of the labels, each with a number, `Buckets`, or None where there is no sample."""

Kind: TypeAlias = Literal["counter", "gauge", "histogram", "info"]
Over: TypeAlias = Literal["sum", "max", "min", "each"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One metric: what it is called, what it means, and how its samples are read.

    `labels` stand beside `stream`, which every metric but `headrace_build_info` has; `closed` are
    all values of those that have a fixed list. `unit` is for people and dashboards. `over` says how
    the numbers of several workers become one: "each" where only side by side makes sense.
    """

    name: str
    kind: Kind
    unit: str
    about: str
    read: Read
    labels: tuple[str, ...] = ()
    closed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    over: Over = "sum"

    def family(self, source: Any, stream: str) -> Metric:
        """Its samples now, for prometheus-client."""
        name, labels = self.name.removesuffix("_total"), ("stream", *self.labels)
        if self.kind == "info":
            info = InfoMetricFamily(name.removesuffix("_info"), self.about)
            for values, _ in self.read(source):
                info.add_metric([], dict(zip(self.labels, values, strict=True)))
            return info
        if self.kind == "histogram":
            histogram = HistogramMetricFamily(name, self.about, labels=labels)
            for values, found in self.read(source):
                histogram.add_metric((stream, *values), _cumulated(found), found.sum)
            return histogram
        made = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        family = made(name, self.about, labels=labels)
        for values, value in self.read(source):
            if value is not None:
                family.add_metric((stream, *values), float(value))
        return family


def plain(
    name: str,
    unit: str,
    about: str,
    value: Callable[[Report], float | None],
    *,
    over: Over = "sum",
) -> Exported:
    """One number, a counter if its name says so; None is no sample."""
    kind: Kind = "counter" if name.endswith("_total") else "gauge"
    return Exported(
        name=name,
        kind=kind,
        unit=unit,
        about=about,
        read=lambda report: [((), value(report))],
        over=over,
    )


def by(
    label: str,
    name: str,
    unit: str,
    about: str,
    values: Callable[[Report], Iterable[tuple[str, float | None]]],
    *,
    closed: Iterable[str] = (),
    over: Over = "sum",
) -> Exported:
    """Numbers by one label."""
    kind: Kind = "counter" if name.endswith("_total") else "gauge"
    return Exported(
        name=name,
        kind=kind,
        unit=unit,
        about=about,
        read=lambda report: [((child,), value) for child, value in values(report)],
        labels=(label,),
        closed={label: tuple(closed)} if closed else {},
        over=over,
    )


def in_full(counts: Mapping[str, float], names: Iterable[str]) -> list[tuple[str, float]]:
    """Every name with its number, 0 where there is none.

    >>> in_full({"b": 2}, ["a", "b"])
    [('a', 0), ('b', 2)]
    """
    return [(name, counts.get(name, 0)) for name in names]


def by_class(counts: Mapping[str, float], classes: Sequence[str]) -> list[tuple[str, float]]:
    """The first classes with their numbers; all others are added up as "other", "" as "none".

    The order is the schema's, which never changes but at its end: so no class ever moves.

    >>> by_class({"b": 2, "": 1}, ["a", "b"])
    [('a', 0), ('b', 2), ('other', 0), ('none', 1)]
    """
    own = [name for name in classes[:CLASSES_MAX] if name and name not in (OTHER, NONE)]
    rest = sum(count for name, count in counts.items() if name and name not in own)
    folded = [*in_full(counts, own), (OTHER, rest)]
    return [*folded, (NONE, counts[""])] if "" in counts else folded


def _cumulated(found: Buckets) -> list[tuple[str, float]]:
    buckets: list[tuple[str, float]] = []
    total = 0.0
    for bound, count in zip(found.bounds, found.counts, strict=False):
        total += count
        buckets.append((str(float(bound)), total))
    total += sum(found.counts[len(found.bounds) :])
    return [*buckets, ("+Inf", total)]
