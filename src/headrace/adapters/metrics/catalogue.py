"""What a metric is here, and how it is read off a report: the words the catalogue is written in.

The metrics themselves stand in `metrics.stream`, `metrics.labels` and `metrics.model`; on a
registry they are put by `prometheus`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Literal, NamedTuple, TypeAlias

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from ...report import Report
from ...report.numbers import Number, Over, Reducer, find_number

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


Samples: TypeAlias = Iterable[tuple[tuple[str, ...], Any]]
Read: TypeAlias = Callable[[Any], Samples]
"""Values of the labels, each with a number, `Buckets`, or None where there is no sample."""

Kind: TypeAlias = Literal["counter", "gauge", "histogram", "info"]


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
                histogram.add_metric((stream, *values), _cumulate_counts(found), found.sum)
            return histogram
        made = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        family = made(name, self.about, labels=labels)
        for values, value in self.read(source):
            if value is not None:
                family.add_metric((stream, *values), float(value))
        return family


def plain(name: str, path: str, convert: Callable[[Any], float | None] | None = None) -> Exported:
    """The number at a path of the report, "budget.available_n"; None is no sample.

    Unit, meaning and what several workers come to are those noted beside the field.
    """
    note, read = find_number(Report, path), attrgetter(path)

    def read_value(report: Report) -> Samples:
        value = read(report)
        return [((), value if convert is None or value is None else convert(value))]

    return _export(name, note, read_value)


def by(
    label: str,
    name: str,
    path: str,
    values: Callable[[Any], Iterable[tuple[str, float | None]]] | None = None,
    *,
    closed: Iterable[str] = (),
) -> Exported:
    """The numbers by one label at a path of the report: every one of `closed`, or all there are.

    One of `closed` that is missing is 0; a time, which ends in `_at`, has no sample then.
    `values` reads the pairs off the field where that is not all.
    """
    note, read, names = find_number(Report, path), attrgetter(path), tuple(closed)
    missing = None if path.endswith("_at") else 0

    def read_pairs(report: Report) -> Samples:
        found = read(report)
        if values is not None:
            pairs = values(found)
        elif names:
            pairs = [(one, found.get(one, missing)) for one in names]
        else:
            pairs = found.items()
        return [((child,), value) for child, value in pairs]

    return _export(name, note, read_pairs, (label,), {label: names} if names else {})


def per_class(name: str, path: str, *, has_none: bool = False) -> Exported:
    """Counts by class at a path of the report, as `by_class` folds them.

    With `has_none` the class "none" is there before its first count.
    """
    note, read = find_number(Report, path), attrgetter(path)

    def read_classes(report: Report) -> Samples:
        counts = {"": 0, **read(report)} if has_none else read(report)
        pairs = by_class(counts, report.schema.classes)
        return [((child,), value) for child, value in pairs]

    return _export(name, note, read_classes, ("class",))


def gather(
    label: str, name: str, unit: str, about: str, paths: Mapping[str, str], *, over: Over = "sum"
) -> Exported:
    """Several numbers of the report as one metric, each at its path, by one label."""
    reads = {child: attrgetter(path) for child, path in paths.items()}
    return compute_by(
        label,
        name,
        unit,
        about,
        lambda report: [(child, read(report)) for child, read in reads.items()],
        closed=paths,
        over=over,
    )


def compute(
    name: str,
    unit: str,
    about: str,
    value: Callable[[Report], float | None],
    *,
    over: Over = "sum",
) -> Exported:
    """One number that is made of several."""
    return _export(name, Number(unit, about, Reducer(over, None)), lambda r: [((), value(r))])


def compute_by(
    label: str,
    name: str,
    unit: str,
    about: str,
    values: Callable[[Report], Iterable[tuple[str, float | None]]],
    *,
    closed: Iterable[str] = (),
    over: Over = "sum",
) -> Exported:
    """Numbers by one label, each made of several or read by a rule of its own."""
    names = tuple(closed)
    return _export(
        name,
        Number(unit, about, Reducer(over, None)),
        lambda report: [((child,), value) for child, value in values(report)],
        (label,),
        {label: names} if names else {},
    )


def _export(
    name: str,
    note: Number,
    read: Read,
    labels: tuple[str, ...] = (),
    closed: Mapping[str, tuple[str, ...]] | None = None,
) -> Exported:
    """A counter if its name says so, else a gauge."""
    return Exported(
        name=name,
        kind="counter" if name.endswith("_total") else "gauge",
        unit=note.unit,
        about=note.about,
        read=read,
        labels=labels,
        closed=closed or {},
        over=note.reducer.over,
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


def _cumulate_counts(found: Buckets) -> list[tuple[str, float]]:
    buckets: list[tuple[str, float]] = []
    total = 0.0
    for bound, count in zip(found.bounds, found.counts, strict=False):
        total += count
        buckets.append((str(float(bound)), total))
    total += sum(found.counts[len(found.bounds) :])
    return [*buckets, ("+Inf", total)]
