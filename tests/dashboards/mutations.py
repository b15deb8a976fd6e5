"""Dashboards broken on purpose, one way each: a check that lets one pass is no check.

`STATIC` have to be found without a server, by a fault that says what is wrong. `LIVE` can't be:
they name what exists, in a way that makes sense, and are wrong all the same.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
OVERVIEW, DRIFT, ANNOTATORS = "headrace-overview", "headrace-drift", "headrace-annotators"


@dataclass(frozen=True)
class Mutation:
    """What is done to which dashboard, and a part of the sentence that has to come of it."""

    name: str
    change: Callable[[Json], None]
    fault: str
    board: str = OVERVIEW

    def of(self, boards: dict[str, Json]) -> Json:
        """The broken dashboard; the sound ones stay as they are."""
        broken = copy.deepcopy(boards[self.board])
        self.change(broken)
        if broken == boards[self.board]:
            raise AssertionError(f"{self.name} changes nothing")
        return broken


def panel(board: Json, title: str) -> Json:
    """The panel of this title."""
    (found,) = [p for p in board["panels"] if p["title"] == title and p["type"] != "row"]
    return found  # type: ignore[no-any-return]  # JSON


def exchanged(title: str, old: str, new: str, target: int = 0) -> Callable[[Json], None]:
    """Put `new` in place of `old` in a query of a panel."""

    def change(board: Json) -> None:
        asked = panel(board, title)["targets"][target]
        asked["expr"] = asked["expr"].replace(old, new)

    return change


def put(title: str, path: str, value: Any) -> Callable[[Json], None]:
    """Put a value into a panel; None takes the key away."""

    def change(board: Json) -> None:
        inner: Any = panel(board, title)
        *way, last = path.split(".")
        for key in way:
            inner = inner[int(key)] if isinstance(inner, list) else inner[key]
        if value is None:
            del inner[last]
        elif isinstance(inner, list):
            inner[int(last)] = value
        else:
            inner[last] = value

    return change


def on_variable(name: str, key: str, value: Any) -> Callable[[Json], None]:
    """Change a variable, or take it away."""

    def change(board: Json) -> None:
        variables = board["templating"]["list"]
        (found,) = [v for v in variables if v["name"] == name]
        if key:
            found[key] = value
        else:
            variables.remove(found)

    return change


def on_marker(name: str, key: str, old: str, new: Any) -> Callable[[Json], None]:
    """Change a marker."""

    def change(board: Json) -> None:
        (found,) = [m for m in board["annotations"]["list"] if m["name"] == name]
        found[key] = found[key].replace(old, new) if old else new

    return change


def whole(key: str, value: Any) -> Callable[[Json], None]:
    """Change the dashboard itself."""

    def change(board: Json) -> None:
        board[key] = value

    return change


def _moved(board: Json) -> None:
    panel(board, "Lag")["gridPos"]["x"] -= 2


def _same_id(board: Json) -> None:
    panel(board, "Lag")["id"] = panel(board, "Budget")["id"]


def _unused(board: Json) -> None:
    spare = copy.deepcopy(board["templating"]["list"][1])
    board["templating"]["list"].append({**spare, "name": "spare"})


def _other_source(board: Json) -> None:
    panel(board, "Lag")["targets"][0]["datasource"] = {"type": "prometheus", "uid": "P1809F7CD0C75"}


def _late_variable(board: Json) -> None:
    variables = board["templating"]["list"]
    variables.insert(1, variables.pop(2))


LAG = "headrace_partition_lag_seconds"
EVENTS = "headrace_events_observed_total"
ALL = '{job=~"$job",instance=~"$instance",stream="$stream"}'

STATIC: tuple[Mutation, ...] = (
    # Metrics, labels, values
    Mutation("wrong metric", exchanged("Lag", "lag_seconds", "lag_second"), "no metric"),
    Mutation("a metric of another name", exchanged("Drift now", "_level", "_state"), "no metric"),
    Mutation("a metric without _total", exchanged("Events a second", "_total", ""), "no metric"),
    Mutation("wrong label", exchanged("Lag, in records", "by (partition)", "by (shard)"), "shard"),
    Mutation(
        "label that another metric has",
        exchanged("Requests an hour, by reason", "by (reason)", "by (class)"),
        "by class, which is not there",
    ),
    Mutation(
        "matcher on a missing label",
        exchanged("Cold start", 'stream="$stream"', 'stream="$stream",shard="0"'),
        "has no label shard",
    ),
    Mutation("value out of the set", exchanged("Accuracy", '"value"', '"mean"'), "estimate='mean'"),
    Mutation(
        "one of two values out of the set",
        exchanged("Retraining, last hour", '"retrained|adopted|kept"', '"retrained|promoted"'),
        "kind='promoted'",
        DRIFT,
    ),
    Mutation(
        "a bound that is no bucket",
        exchanged("Fresh decisions, last hour", 'le="30.0"', 'le="30"'),
        "le='30'",
    ),
    # Functions
    Mutation(
        "dropped rate",
        exchanged("Events a second", f"rate({EVENTS}{ALL}[$__rate_interval])", f"{EVENTS}{ALL}"),
        "has no rate",
    ),
    Mutation(
        "rate over a gauge",
        exchanged("Lag", f"{LAG}{ALL}", f"rate({LAG}{ALL}[$__rate_interval])"),
        "which is a gauge",
    ),
    Mutation(
        "maximum of a counter over time",
        exchanged("Labels, last hour", "increase(", "max_over_time("),
        "has no rate",
    ),
    Mutation(
        "le summed away",
        exchanged("Confidence", "sum by (le) ", "sum"),
        "buckets",
    ),
    Mutation(
        "quantile of a gauge",
        exchanged("Lag", "max(", "histogram_quantile(0.9, "),
        "no buckets",
    ),
    Mutation(
        "workers added up that all see the same",
        exchanged("Lag", "max(", "sum("),
        "sum over workers",
    ),
    Mutation("mean over workers", exchanged("Accuracy", "min(", "avg("), "avg over workers"),
    Mutation(
        "seconds added to a share",
        exchanged("Lag", "max(", 'max(headrace_drift_level{stream="$stream"}) + max('),
        "not of one kind",
    ),
    Mutation(
        "sides that never match",
        exchanged("Width of the interval", "- ignoring (estimate) ", "- "),
        "estimate is high and low",
    ),
    Mutation(
        "a group that can't match",
        exchanged("Predicted classes", "ignoring (class) group_left ()", ""),
        "never match",
    ),
    Mutation("a query that does not parse", exchanged("Lag", "max(", "max(("), "does not parse"),
    Mutation(
        "a range nobody is told of",
        exchanged("Events a second", "[$__rate_interval]", "[1h]"),
        "does not say",
    ),
    Mutation(
        "a range of seven minutes",
        exchanged("Events a second", "[$__rate_interval]", "[7m]"),
        "take $__rate_interval",
    ),
    # What is chosen at the top
    Mutation(
        "a panel for all streams", exchanged("Lag", 'stream="$stream"', 'stream=~".+"'), "follow"
    ),
    Mutation(
        "a panel for all workers", exchanged("Memory", 'instance=~"$instance"', 'job!=""'), "follow"
    ),
    Mutation("undefined variable", exchanged("Lag", '"$stream"', '"$streem"'), "$streem"),
    Mutation("variable taken away", on_variable("instance", "", None), "no variable instance"),
    Mutation("unused variable", _unused, "spare is used nowhere"),
    Mutation("variable before what it needs", _late_variable, "before it is there"),
    Mutation(
        "variable of a label that is not there",
        on_variable(
            "stream",
            "query",
            {
                "query": 'label_values(headrace_events_observed_total{job=~"$job"}, tenant)',
                "qryType": 1,
                "refId": "PrometheusVariableQueryEditor-VariableQuery",
            },
        ),
        "tenant is no label",
    ),
    Mutation("another data source", _other_source, "chosen data source"),
    # Units, thresholds, texts
    Mutation("wrong unit", put("Lag", "fieldConfig.defaults.unit", "ms"), "the unit is ms"),
    Mutation(
        "share shown as percent",
        put("Accuracy", "fieldConfig.defaults.unit", "percent"),
        "the unit is percent",
    ),
    Mutation("no unit", put("Lag", "fieldConfig.defaults.unit", None), "the unit is None"),
    Mutation(
        "unit of a column",
        put("Last alarm of each watch", "fieldConfig.overrides.0.properties.0.value", "s"),
        "the unit is s",
        DRIFT,
    ),
    Mutation(
        "a date as the unit of a whole table",
        put("Last alarm of each watch", "fieldConfig.defaults.unit", "dateTimeFromNow"),
        "one column",
        DRIFT,
    ),
    Mutation(
        "a share without decimals",
        put("Width of the interval", "fieldConfig.defaults.decimals", 0),
        "axis of 0 % and 100 %",
    ),
    Mutation("no thresholds", put("Lag", "fieldConfig.defaults.thresholds", None), "threshold"),
    Mutation(
        "thresholds out of order",
        put("Lag", "fieldConfig.defaults.thresholds.steps.1.value", 999),
        "not in order",
    ),
    Mutation(
        "a share above one",
        put("Open, near deadline", "fieldConfig.defaults.thresholds.steps.2.value", 50),
        "above 1",
    ),
    Mutation(
        "nothing is red after all",
        put("Lag", "fieldConfig.defaults.thresholds.steps.2.color", "yellow"),
        "do not agree",
    ),
    Mutation("missing description", put("Lag", "description", ""), "what to do"),
    Mutation(
        "a description that does not say what to do",
        put("Lag", "description", "Lag.\n\n**Red:** more than 5 minutes behind."),
        "what to do",
    ),
    Mutation("no word for no sample", put("Lag", "fieldConfig.defaults.noValue", None), "noValue"),
    # Legends and fields
    Mutation(
        "legend of a dropped label",
        put("Lag, in records", "targets.0.legendFormat", "{{topic}}"),
        "prints topic",
    ),
    Mutation(
        "legend that hides what differs",
        put("Statistics, over their own thresholds", "targets.0.legendFormat", "{{detector}}"),
        "series differ in signal",
    ),
    Mutation(
        "override of no field",
        put("Features", "fieldConfig.overrides.0.matcher.options", "gone"),
        "which is no field",
    ),
    Mutation(
        "bars over a label that is not there",
        put("Class mix: now against the past", "options.xField", "name"),
        "no label of the query",
        DRIFT,
    ),
    Mutation(
        "several values where one is shown",
        exchanged("Labels, last hour", "sum(", "sum by (class) ("),
        "series differ in class",
    ),
    # Places and shapes
    Mutation("overlap", _moved, "overlap"),
    Mutation("two panels with one id", _same_id, "ids of panels"),
    Mutation("beyond the edge", put("Lag", "gridPos.w", 99), "24 columns"),
    Mutation("two panels of one name", put("Lag", "title", "Budget"), "two panels"),
    Mutation("a table of time series", put("What is running", "targets.0.format", None), "format"),
    Mutation("an instant of a stat", put("Lag", "targets.0.instant", True), "shows all instant"),
    Mutation("a heatmap of lines", put("Confidence", "type", "timeseries"), "heatmap", DRIFT),
    # Markers
    Mutation("marker in seconds", on_marker("Adoptions", "expr", " * 1000", ""), "milliseconds"),
    Mutation(
        "marker at the scrape", on_marker("Drift", "useValueForTime", "", False), "at the scrape"
    ),
    Mutation(
        "marker of a level that is none",
        on_marker("Drift", "expr", '"DRIFT"', '"ALARM"'),
        "level='ALARM'",
    ),
    Mutation(
        "marker that prints what it drops",
        on_marker("Drift", "textFormat", "{{level}}", "{{signal}}"),
        "prints signal",
    ),
    # The whole
    Mutation("too quick a refresh", whole("refresh", "1s"), "refreshes every 1s"),
    Mutation("a refresh that can't be chosen", whole("refresh", "45s"), "to choose from"),
    Mutation("a year at first", whole("time", {"from": "now-1y", "to": "now"}), "some hours"),
    Mutation("an id of one server", whole("id", 7), "belongs to one server"),
    Mutation("a uid of nobody", whole("uid", ""), "no uid"),
    Mutation("older than Grafana 11", whole("schemaVersion", 36), "older than"),
)  # fmt: skip

LIVE: tuple[Mutation, ...] = (
    Mutation(
        "a value that never comes",
        exchanged("Labels, last hour", 'stream="$stream"', 'stream="$stream",class="wall"'),
        "no data",
    ),
    Mutation(
        "a share times a hundred",
        exchanged("Accuracy", "min(", "100 * min("),
        "nothing for the unit percentunit",
    ),
    Mutation(
        "a marker of what nobody did",
        on_marker("Rounds that drift or a person opened", "expr", "drift|ordered", "ordered"),
        "no data",
    ),
    Mutation(
        "two lines with one name",
        put("Confidence", "targets.1.legendFormat", "10 % are below"),
        "several lines are called",
    ),
    Mutation(
        "a variable whose pattern finds nothing",
        on_variable("moved", "regex", '/signal="([^"]+)"/'),
        "moved has no value",
        DRIFT,
    ),
    Mutation(
        "a marker in the past",
        on_marker("Adoptions", "expr", "* 1000", "* 1000 - 1e12"),
        "outside the time in view",
    ),
)  # fmt: skip

TURNED = Mutation(
    "thresholds upside down",
    put(
        "Accuracy lost, last day",
        "fieldConfig.defaults.thresholds.steps",
        [
            {"color": "red", "value": None},
            {"color": "yellow", "value": 0.001},
            {"color": "green", "value": 0.05},
        ],
    ),
    "Accuracy lost, last day",
)
"""Only the colours tell, on a quiet day."""
