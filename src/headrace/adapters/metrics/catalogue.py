"""What a metric is here, and how it is read off a report: the functions that define metrics.

The metrics themselves stand in `metrics.stream`, `metrics.labels`, `metrics.model` and
`metrics.quality`; `prometheus` puts them on a registry.
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
"""How many classes have series of their own: the first ones of the schema."""

FEATURES_MAX = 50
OTHER = "other"
NONE = "none"


class Buckets(NamedTuple):
    """A histogram: `counts[i]` is the number of values in (`bounds[i - 1]`, `bounds[i]`].

    There is one more count than bounds, for values above all of them; or as many as bounds, where
    no value can be above. `sum` is that of the values.
    """

    bounds: Sequence[float]
    counts: Sequence[int]
    sum: float


Samples: TypeAlias = Iterable[tuple[tuple[str, ...], Any]]
Read: TypeAlias = Callable[[Any], Samples]
"""Returns tuples of label values, each with a number, `Buckets`, or None for no sample."""

Kind: TypeAlias = Literal["counter", "gauge", "histogram", "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """One metric: its name, its meaning (`about`), and how its samples are read.

    `labels` are its labels beside `stream`, which every metric but `headrace_build_info` has;
    `closed` has all values of the labels with a fixed list. `unit` is for people and dashboards.
    `over` is how the numbers of several workers become one, or "each" where they don't.
    """

    name: str
    kind: Kind
    unit: str
    about: str
    read: Read
    labels: tuple[str, ...] = ()
    closed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    over: Over = "sum"

    def make_family(self, source: Any, stream: str) -> Metric:
        """Return the samples of a source now, for prometheus-client."""
        name, labels = self.name.removesuffix("_total"), ("stream", *self.labels)
        if self.kind == "info":
            info = InfoMetricFamily(name.removesuffix("_info"), self.about)
            for values, _ in self.read(source):
                info.add_metric([], dict(zip(self.labels, values, strict=True)))
            return info
        if self.kind == "histogram":
            histogram = HistogramMetricFamily(name, self.about, labels=labels)
            for values, buckets in self.read(source):
                histogram.add_metric((stream, *values), _cumulate_counts(buckets), buckets.sum)
            return histogram
        family_class = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        family = family_class(name, self.about, labels=labels)
        for values, value in self.read(source):
            if value is not None:
                family.add_metric((stream, *values), float(value))
        return family


def define_metric(
    name: str, path: str, convert: Callable[[Any], float | None] | None = None
) -> Exported:
    """Define a metric by a path of the report, as "budget.available_n"; None is no sample.

    Its unit, its meaning and its `over` are those noted beside the field. `convert` turns the value
    into a number.
    """
    note, read = find_number(Report, path), attrgetter(path)

    def read_value(report: Report) -> Samples:
        value = read(report)
        return [((), value if convert is None or value is None else convert(value))]

    return _make_metric(name, note, read_value)


def define_by_label(
    label: str,
    name: str,
    path: str,
    values: Callable[[Any], Iterable[tuple[str, float | None]]] | None = None,
    *,
    closed: Iterable[str] = (),
) -> Exported:
    """Define a metric with one label by a path of the report, whose field maps names to numbers.

    - `label`, `name`: the names of the label and of the metric.
    - `path`: the field; a time ends in `_at`.
    - `values`: returns the pairs of a name and a number for a field that is no such mapping.
    - `closed`: all values of the label; one that the field lacks is 0, for a time no sample.
      Without it, every name in the field has a sample.
    """
    note, read, names = find_number(Report, path), attrgetter(path), tuple(closed)
    missing = None if path.endswith("_at") else 0

    def read_pairs(report: Report) -> Samples:
        numbers = read(report)
        if values is not None:
            pairs = values(numbers)
        elif names:
            pairs = [(value_name, numbers.get(value_name, missing)) for value_name in names]
        else:
            pairs = numbers.items()
        return [((child,), value) for child, value in pairs]

    return _make_metric(name, note, read_pairs, (label,), {label: names} if names else {})


def per_class(name: str, path: str, *, has_none: bool = False) -> Exported:
    """Define a metric by class from a path of the report, folded by `by_class`.

    With `has_none` the class "none" has a sample before its first count.
    """
    note, read = find_number(Report, path), attrgetter(path)

    def read_classes(report: Report) -> Samples:
        counts = {"": 0, **read(report)} if has_none else read(report)
        pairs = by_class(counts, report.schema.classes)
        return [((child,), value) for child, value in pairs]

    return _make_metric(name, note, read_classes, ("class",))


def define_gathered(
    label: str, name: str, unit: str, about: str, paths: Mapping[str, str], *, over: Over = "sum"
) -> Exported:
    """Define a metric with one label from several numbers: `paths` has the path of each value."""
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


def define_computed(
    name: str,
    unit: str,
    about: str,
    value: Callable[[Report], float | None],
    *,
    over: Over = "sum",
) -> Exported:
    """Define a metric of one number, which `value` computes from a report."""
    return _make_metric(name, Number(unit, about, Reducer(over, None)), lambda r: [((), value(r))])


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
    """Define a metric with one label, whose pairs `values` computes from a report."""
    names = tuple(closed)
    return _make_metric(
        name,
        Number(unit, about, Reducer(over, None)),
        lambda report: [((child,), value) for child, value in values(report)],
        (label,),
        {label: names} if names else {},
    )


def _make_metric(
    name: str,
    note: Number,
    read: Read,
    labels: tuple[str, ...] = (),
    closed: Mapping[str, tuple[str, ...]] | None = None,
) -> Exported:
    """Make the metric: a counter if its name ends in _total, else a gauge."""
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
    """Return every name with its number, 0 where there is none.

    >>> in_full({"b": 2}, ["a", "b"])
    [('a', 0), ('b', 2)]
    """
    return [(name, counts.get(name, 0)) for name in names]


def by_class(counts: Mapping[str, float], classes: Sequence[str]) -> list[tuple[str, float]]:
    """Return the numbers of the first classes; the others add up as "other", "" becomes "none".

    Classes are in the order of the schema, which only grows at its end: so no class ever moves.

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
