"""Reads a query as a person would check it: what it selects, which labels are left, in which unit.

`read` walks the parsed query from its selectors up and returns what comes out of it, with every
fault found on the way: a metric or label that the exporter has not, a counter without a rate, a
rate over a gauge, buckets whose `le` is lost, workers added up that must not be, seconds added to
counts, two sides that never match.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import promql_parser as promql
from promql_parser import AggModifierType, LabelModifierType, MatchOp

from dashboards.exporter import Series

GRAFANA = {
    "$__rate_interval": "1m",
    "$__interval": "15s",
    "$__range_s": "21600",
    "$__range": "6h",
}
"""Variables that Grafana itself gives, with a value that parses."""

FROM_COUNTER = {"rate", "increase", "irate"}
OVER_TIME = {"max_over_time", "min_over_time", "avg_over_time", "last_over_time", "delta"}
SAME = {
    "clamp_min", "clamp_max", "clamp", "abs", "sort", "sort_desc", "round", "ceil", "floor",
    "scalar",
}  # fmt: skip
ACROSS_WORKERS = {
    "sum": {"sum"},
    "max": {"max"},
    "min": {"min"},
    "each": {"min", "max"},
    "any": {"sum", "min", "max", "avg"},
}
"""How the numbers of workers may become one; `each`: side by side, or at its worst."""


@dataclass(frozen=True)
class Reading:
    """What a query gives: labels left, measure, noun, and what it is made of.

    `observed` is the measure of what was observed where these are still buckets. `overs` say how
    workers may be put together, until they are. `fixed` are labels with the one value that was
    asked for. `number` is that of a literal.
    """

    labels: frozenset[str] = frozenset()
    measure: str = "any"
    noun: str = ""
    observed: str = ""
    overs: frozenset[str] = frozenset()
    fixed: frozenset[tuple[str, str]] = frozenset()
    is_scalar: bool = False
    number: float | None = None


@dataclass
class Found:
    """The whole query: its reading, its faults, and the sample names and matchers in it."""

    reading: Reading = field(default_factory=Reading)
    faults: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    selectors: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    ranges_s: set[float] = field(default_factory=set)


def read(expr: str, known: Mapping[str, Series]) -> Found:
    """The query as it stands in a dashboard or a rule; `known` are the sample names there are."""
    found = Found()
    text = expr
    for name, value in GRAFANA.items():
        text = text.replace(name, value)
    try:
        tree = promql.parse(text)
    except ValueError as error:
        found.faults.append(f"does not parse: {error}")
        return found
    found.reading = _Reader(found, known).visit(tree)
    return found


class _Reader:
    def __init__(self, found: Found, known: Mapping[str, Series]) -> None:
        self.found = found
        self.known = known

    def fault(self, text: str) -> None:
        self.found.faults.append(text)

    def visit(self, node: Any) -> Reading:
        visit = getattr(self, f"_{type(node).__name__}", None)
        if visit is None:
            self.fault(f"{type(node).__name__} is nothing this check can read")
            return Reading()
        return visit(node)  # type: ignore[no-any-return]  # found by name

    # ------------------------------------------------------------------------------- selectors

    def _VectorSelector(self, node: Any, function: str = "") -> Reading:  # noqa: N802  # by name
        name = node.name
        series = self.known.get(name)
        matchers = {m.name: m.value for m in node.matchers.matchers}
        self.found.names.add(str(name))
        self.found.selectors.append((str(name), matchers))
        if series is None:
            self.fault(f"{name} is no metric of the exporter")
            return Reading()
        self._check_matchers(series, node.matchers.matchers)
        if series.is_cumulative and function not in FROM_COUNTER:
            self.fault(f"{name} is a counter and has no rate or increase")
        if not series.is_cumulative and function in FROM_COUNTER:
            self.fault(f"{function} over {name}, which is a gauge")
        return Reading(
            series.labels,
            "count" if series.kind in ("bucket", "count") else series.measure,
            "observations" if series.kind in ("bucket", "count") else series.noun,
            series.measure if series.kind == "bucket" and "le" not in matchers else "",
            frozenset({series.over}),
            frozenset(
                (m.name, m.value)
                for m in node.matchers.matchers
                if m.op == MatchOp.Equal and "$" not in m.value
            ),
        )

    def _check_matchers(self, series: Series, matchers: list[Any]) -> None:
        for matcher in matchers:
            if matcher.name not in series.labels:
                self.fault(f"{series.name} has no label {matcher.name}")
                continue
            is_regex = matcher.op in (MatchOp.Re, MatchOp.NotRe)
            values = matcher.value.split("|") if is_regex else [matcher.value]
            if any(re.search(r"[$.*+\[\\(]", value) for value in values) and matcher.name != "le":
                continue
            closed = series.closed.get(matcher.name)
            closed = tuple(series.bounds) if matcher.name == "le" else closed
            for value in values:
                if closed and value not in closed:
                    self.fault(f"{series.name} has no {matcher.name}={value!r}")

    def _MatrixSelector(self, node: Any, function: str = "") -> Reading:  # noqa: N802  # by name
        self.found.ranges_s.add(node.range.total_seconds())
        return self._VectorSelector(node.vector_selector, function)

    # ------------------------------------------------------------------------------- functions

    def _Call(self, node: Any) -> Reading:  # noqa: N802  # by name
        name, args = node.func.name, node.args
        if name in FROM_COUNTER | OVER_TIME:
            inner = (
                self._MatrixSelector(args[0], name)
                if isinstance(args[0], promql.MatrixSelector)
                else self.visit(args[0])
            )
            return _per_second(inner) if name in ("rate", "irate") else inner
        if name == "time":
            return Reading(measure="unix", is_scalar=True)
        if name == "vector":
            return self.visit(args[0])
        if name == "absent":
            inner = self.visit(args[0])
            matched = self.found.selectors[-1][1]
            return replace(inner, labels=frozenset(matched), measure="number")
        if name == "histogram_quantile":
            return self._quantile(self.visit(args[1]))
        if name in SAME:
            return self.visit(args[0])
        self.fault(f"{name} is a function this check does not know")
        return Reading()

    def _quantile(self, inner: Reading) -> Reading:
        if not inner.observed:
            self.fault("histogram_quantile over what are no buckets")
        elif "le" not in inner.labels:
            self.fault("histogram_quantile needs le, which is summed away")
        return replace(
            inner, labels=inner.labels - {"le"}, measure=inner.observed, noun="", observed=""
        )

    def _SubqueryExpr(self, node: Any) -> Reading:  # noqa: N802  # by name
        self.found.ranges_s.add(node.range.total_seconds())
        return self.visit(node.expr)

    def _ParenExpr(self, node: Any) -> Reading:  # noqa: N802  # by name
        return self.visit(node.expr)

    def _UnaryExpr(self, node: Any) -> Reading:  # noqa: N802  # by name
        return self.visit(node.expr)

    def _NumberLiteral(self, node: Any) -> Reading:  # noqa: N802  # by name
        return Reading(is_scalar=True, number=node.val)

    # ------------------------------------------------------------------------------ aggregates

    def _AggregateExpr(self, node: Any) -> Reading:  # noqa: N802  # by name
        inner, op = self.visit(node.expr), str(node.op)
        if op in ("topk", "bottomk"):
            return inner
        named = frozenset(node.modifier.labels) if node.modifier else frozenset()
        is_without = bool(node.modifier) and node.modifier.type == AggModifierType.Without
        for label in sorted(named - inner.labels):
            self.fault(f"{op} by {label}, which is not there")
        labels = inner.labels - named if is_without else named & inner.labels
        fixed = frozenset((label, value) for label, value in inner.fixed if label in labels)
        made = replace(inner, labels=labels, fixed=fixed)
        if op in ("count", "group"):
            return replace(made, measure="count", noun="series", observed="", overs=frozenset())
        if "instance" in inner.labels and "instance" not in labels:
            for over in sorted(inner.overs):
                if op not in ACROSS_WORKERS[over]:
                    self.fault(f"{op} over workers, of what is to be taken by {over}")
            made = replace(made, overs=frozenset())
        if inner.observed and "le" in inner.labels and "le" not in labels:
            self.fault("adds up buckets, which hold each other; keep le")
            made = replace(made, observed="")
        return made

    # ---------------------------------------------------------------------------- two operands

    def _BinaryExpr(self, node: Any) -> Reading:  # noqa: N802  # by name
        left, right, op = self.visit(node.lhs), self.visit(node.rhs), str(node.op)
        labels = self._matched(node, left, right, op)
        made = replace(left if right.is_scalar or not left.is_scalar else right, labels=labels)
        made = replace(
            made, overs=left.overs | right.overs, is_scalar=left.is_scalar and right.is_scalar
        )
        if op in ("and", "unless", "or"):
            return replace(left, labels=labels)
        if op == "/":
            measure, noun = _divided(left, right)
        elif op == "*":
            measure, noun = _multiplied(left, right)
        else:
            measure, noun = _joined(left, right, op)
        if not measure:
            self.fault(f"{left.measure} {op} {right.measure}: not of one kind")
        return replace(made, measure=measure or "any", noun=noun, number=None)

    def _matched(self, node: Any, left: Reading, right: Reading, op: str) -> frozenset[str]:
        """The labels of the result; a fault if the two sides can never meet."""
        if left.is_scalar or right.is_scalar:
            return right.labels if left.is_scalar else left.labels
        if op == "or":
            return left.labels
        modifier = node.modifier
        matching = modifier.matching if modifier else None
        if matching is None:
            self._check_sides(left, right, left.labels | right.labels, op)
            return left.labels
        named = frozenset(matching.labels)
        if matching.type == LabelModifierType.Include:
            for label in sorted(named - (left.labels & right.labels)):
                self.fault(f"{op} on ({label}), which one side has not")
            is_one_to_one = str(modifier.card).endswith("OneToOne")
            return left.labels if not is_one_to_one or op in ("and", "unless") else named
        is_many = "ManyToOne" in str(modifier.card)
        self._check_sides(left, right, (left.labels | right.labels) - named, op)
        return left.labels if is_many or op in ("and", "unless") else left.labels - named

    def _check_sides(
        self, left: Reading, right: Reading, compared: frozenset[str], op: str
    ) -> None:
        """Labels that are compared are on both sides, and not fixed to two values."""
        odd = sorted((left.labels ^ right.labels) & compared)
        if odd:
            self.fault(f"the sides of {op} never match: {', '.join(odd)} on one alone")
        values = dict(left.fixed)
        for label, value in sorted(right.fixed):
            if label in compared and values.get(label, value) != value:
                self.fault(f"the sides of {op} never match: {label} is {values[label]} and {value}")


# ---------------------------------------------------------------------------------- measures


def _per_second(inner: Reading) -> Reading:
    return replace(inner, measure="ratio" if inner.measure == "s" else f"{inner.measure}/s")


def _divided(left: Reading, right: Reading) -> tuple[str, str]:
    if right.number is not None or right.measure == "any":
        return left.measure, left.noun
    if left.measure == right.measure:
        is_share = left.noun == right.noun or left.measure not in ("count", "count/s")
        return ("ratio", "") if is_share else ("ratio or number", "")
    if right.measure == "count" and left.measure in ("s", "cost"):
        return left.measure, ""
    if right.measure == "ratio":
        return left.measure, left.noun
    return "", ""


def _multiplied(left: Reading, right: Reading) -> tuple[str, str]:
    for one, other in ((left, right), (right, left)):
        if one.number is not None:
            is_ms = other.measure == "unix" and one.number == 1000
            return ("unix ms" if is_ms else "" if other.measure == "unix" else other.measure), (
                other.noun
            )
        if one.measure in ("ratio", "number"):
            return other.measure, other.noun
    return "", ""


def _joined(left: Reading, right: Reading, op: str) -> tuple[str, str]:
    if left.number is not None or left.measure == "any":
        return right.measure, right.noun
    if right.number is not None or right.measure == "any":
        return left.measure, left.noun
    if left.measure == right.measure:
        return ("s" if left.measure == "unix" and op == "-" else left.measure), left.noun
    return "", ""
