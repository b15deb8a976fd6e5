"""What has to hold of every dashboard without a server: each check returns its faults as sentences.

`faults(board)` runs all of them. They read the JSON that is shipped, not the code it is built from.
Which keys, kinds and words there are is no question here: Grafana's own builders write no others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations
from typing import Any

from grafana.view import LABEL, markers_of

from dashboards.exporter import exported
from dashboards.promql import GRAFANA, Found, read

Json = dict[str, Any]

UNITS = {
    "count": {"short"},
    "count/s": {"cps"},
    "s": {"s"},
    "ratio": {"percentunit"},
    "ratio or number": {"percentunit", "short"},
    "number": {"none", "short"},
    "bytes": {"bytes"},
    "cost": {"short"},
    "unix ms": {"dateTimeFromNow", "dateTimeAsIso"},
}
"""What a query gives, and the units of Grafana that say so."""

INSTANT = {"bargauge", "barchart", "table"}
TABULAR = {"barchart": "table", "table": "table", "heatmap": "heatmap"}
RANGES = {300.0: "5 minutes", 3_600.0: "hour", 86_400.0: "day"}
"""Fixed ranges, and the word by which the panel has to own up to them."""

SCRAPE_S = 15
SCHEMA_MIN = 39
SCOPE = ("job", "instance", "stream")
VARIABLE = re.compile(r"\$\{?([a-zA-Z_]\w*)(?::\w+)?\}?")

TEXT_MIN = 12


def faults(board: Json) -> list[str]:
    """All faults of one dashboard, each with the panel it is in."""
    return [f"{board.get('uid')}: {fault}" for check in CHECKS for fault in check(board)]


@cache
def reading_of(expr: str) -> Found:
    """A query against what the exporter has."""
    return read(expr, exported())


def panels_of(board: Json) -> list[Json]:
    """Its panels, the heads of rows aside."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def targets_of(board: Json) -> Iterator[tuple[Json, Json, Found]]:
    """Every query with its panel and what it reads as."""
    for panel in panels_of(board):
        for target in panel["targets"]:
            yield panel, target, reading_of(target["expr"])


# ------------------------------------------------------------------------------------ places


def layout_faults(board: Json) -> Iterator[str]:
    panels = board["panels"]
    ids = [panel.get("id") for panel in panels]
    if len(set(ids)) != len(ids) or not all(isinstance(i, int) and i > 0 for i in ids):
        yield "ids of panels are not unique, or no positive numbers"
    titles = [panel.get("title") for panel in panels_of(board)]
    yield from (f"two panels are called {t}" for t in sorted(set(titles)) if titles.count(t) > 1)
    for panel in panels:
        place = panel["gridPos"]
        if place["x"] < 0 or place["w"] < 2 or place["x"] + place["w"] > 24 or place["h"] < 1:
            yield f"{panel['title']}: does not lie within 24 columns"
    for one, other in combinations(panels, 2):
        if _overlap(one["gridPos"], other["gridPos"]):
            yield f"{one['title']} and {other['title']} overlap"


def _overlap(a: Json, b: Json) -> bool:
    return bool(
        a["x"] < b["x"] + b["w"]
        and b["x"] < a["x"] + a["w"]
        and a["y"] < b["y"] + b["h"]
        and b["y"] < a["y"] + a["h"]
    )


# ----------------------------------------------------------------------------------- queries


def query_faults(board: Json) -> Iterator[str]:
    for panel, target, found in targets_of(board):
        yield from (f"{panel['title']}: {fault}" for fault in found.faults)
        yield from (f"{panel['title']}: {fault}" for fault in _scope_faults(found))
        kind, shape = panel["type"], target.get("format", "time_series")
        if shape != TABULAR.get(kind, "time_series"):
            yield f"{panel['title']}: format {shape} does not fit a {kind}"
        if bool(target.get("instant")) != (kind in INSTANT):
            yield f"{panel['title']}: a {kind} shows {'one' if kind in INSTANT else 'all'} instant"
        if (kind == "heatmap") != bool(found.reading.observed):
            yield f"{panel['title']}: buckets are for heatmaps, and heatmaps for buckets"
        yield from _range_faults(panel, target, found)
    for panel in panels_of(board):
        refs = [target["refId"] for target in panel["targets"]]
        if not refs or len(set(refs)) != len(refs):
            yield f"{panel['title']}: has no query, or two with one refId"


def _scope_faults(found: Found) -> Iterator[str]:
    """Every selector follows the choices at the top of the page."""
    known = exported()
    for name, matchers in found.selectors:
        labels = known[name].labels if name in known else frozenset()
        for label in SCOPE:
            if label in labels and f"${label}" not in matchers.get(label, ""):
                yield f"{name} does not follow the variable {label}"


def _range_faults(panel: Json, target: Json, found: Found) -> Iterator[str]:
    told = f"{panel['title']} {panel.get('description', '')}"
    fixed = reading_of(re.sub(r"\[\$__\w+\]", "[7s]", target["expr"])).ranges_s - {7.0}
    for seconds in sorted(fixed):
        if seconds not in RANGES:
            yield f"{panel['title']}: a range of {seconds:g} s; take $__rate_interval"
        elif RANGES[seconds] not in told:
            yield f"{panel['title']}: does not say that it is over one {RANGES[seconds]}"
    if "$__range" in target["expr"] and "time in view" not in told:
        yield f"{panel['title']}: does not say that it is over the time in view"


def legend_faults(board: Json) -> Iterator[str]:
    """A legend prints labels that are there, and all that tell series apart."""
    for panel, target, found in targets_of(board):
        if panel["type"] in ("table", "barchart"):
            continue
        used = set(LABEL.findall(target["legendFormat"]))
        left = found.reading.labels
        for label in sorted(used - left):
            yield f"{panel['title']}: the legend prints {label}, which the query drops"
        for label in sorted(left - used - {"job", "stream"}):
            yield f"{panel['title']}: series differ in {label}, which the legend hides"
        if not used and target["legendFormat"] in ("", "__auto") and len(panel["targets"]) > 1:
            yield f"{panel['title']}: one of several lines has no legend"


def field_faults(board: Json) -> Iterator[str]:
    """What is overridden or put on an axis is there."""
    for panel in panels_of(board):
        targets = panel["targets"]
        names = {target["legendFormat"] for target in targets}
        names |= {f"Value #{target['refId']}" for target in targets} | {"Value"}
        names |= set(_renamed(panel).values())
        for made in panel["fieldConfig"]["overrides"]:
            if made["matcher"]["id"] == "byName" and made["matcher"]["options"] not in names:
                yield f"{panel['title']}: overrides {made['matcher']['options']}, which is no field"
            for one in made["properties"]:
                if one["id"] == "custom.fillBelowTo" and one["value"] not in names:
                    yield f"{panel['title']}: fills down to {one['value']}, which is no field"
        if panel["type"] == "barchart":
            for target in targets:
                if panel["options"]["xField"] not in reading_of(target["expr"]).reading.labels:
                    yield f"{panel['title']}: {panel['options']['xField']} is no label of the query"


def _renamed(panel: Json) -> dict[str, str]:
    found: dict[str, str] = {}
    for step in panel.get("transformations", []):
        found |= step["options"].get("renameByName", {})
    return found


# ---------------------------------------------------------------- units, thresholds, descriptions


def unit_faults(board: Json) -> Iterator[str]:
    for panel, target, found in targets_of(board):
        unit = _unit_of(panel, target)
        measure = found.reading.observed or found.reading.measure
        if unit is None or measure == "any":
            continue
        if unit not in UNITS.get(measure, set()):
            yield f"{panel['title']}: the unit is {unit}, but the query gives {measure}"


def _unit_of(panel: Json, target: Json) -> str | None:
    """The unit a query's values are shown in; None where they are not shown."""
    for step in panel.get("transformations", []):
        if step["options"].get("excludeByName", {}).get("Value"):
            return None
    fields = {"Value", f"Value #{target['refId']}"}
    fields |= {_renamed(panel).get(field, field) for field in fields}
    for made in panel["fieldConfig"]["overrides"]:
        if made["matcher"]["options"] in fields:
            for one in made["properties"]:
                if one["id"] == "unit":
                    return str(one["value"])
    return str(panel["fieldConfig"]["defaults"].get("unit"))


def threshold_faults(board: Json) -> Iterator[str]:
    """Thresholds are in order, and say what the description says."""
    for panel in panels_of(board):
        steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
        values = [step["value"] for step in steps]
        if not steps or values[0] is not None or None in values[1:]:
            yield f"{panel['title']}: the first threshold, and it alone, has no value"
            continue
        if sorted(set(values[1:])) != values[1:]:
            yield f"{panel['title']}: thresholds are not in order"
        told, colors = panel.get("description", ""), [step["color"] for step in steps]
        if ("**Red:**" in told) != ("red" in colors):
            yield f"{panel['title']}: red in the description and in the thresholds do not agree"
        unit = panel["fieldConfig"]["defaults"].get("unit", "")
        is_share = unit == "percentunit" and panel["type"] == "timeseries"
        if is_share and "decimals" in panel["fieldConfig"]["defaults"]:
            yield f"{panel['title']}: decimals of a share, which leave an axis of 0 % and 100 %"
        if panel["type"] == "table" and unit.startswith("dateTime"):
            yield f"{panel['title']}: a date is the unit of one column, not of all of a table"
        if unit == "percentunit" and any(value > 1 for value in values[1:]):
            yield f"{panel['title']}: a threshold above 1, of a share"


def description_faults(board: Json) -> Iterator[str]:
    """Every panel says what it shows, what red means or why nothing is, and what to do."""
    for panel in panels_of(board):
        told = panel.get("description", "")
        parts = re.split(r"\n\n\*\*(?:Red|No red|Do):\*\* ", told)
        if len(parts) != 3 or "**Do:**" not in told:
            yield f"{panel['title']}: has to say what it shows, what red means and what to do"
        elif min(map(len, parts)) < TEXT_MIN and "." not in parts[1]:
            yield f"{panel['title']}: says too little"
        if panel["type"] == "stat" and not panel["fieldConfig"]["defaults"].get("noValue"):
            yield f"{panel['title']}: does not say what no sample means (noValue)"


# ----------------------------------------------------------------------- variables and markers


def variable_faults(board: Json) -> Iterator[str]:
    """Variables are used and defined, each after those its own query uses."""
    known = set(GRAFANA) | {"$__all_variables"}
    builtin = {name.lstrip("$") for name in known}
    defined: list[str] = []
    used: set[str] = set()
    for variable in board["templating"]["list"]:
        name = variable["name"]
        inner = set(VARIABLE.findall(_query_of(variable))) - builtin
        inner |= set(VARIABLE.findall(str(variable.get("datasource", ""))))
        yield from (f"variable {name} uses {v} before it is there" for v in inner - {*defined})
        used |= inner
        yield from (f"variable {name}: {fault}" for fault in _values_faults(variable))
        defined.append(name)
    for panel in panels_of(board):
        texts = [panel["title"], f"${panel['repeat']}" if "repeat" in panel else ""]
        texts += [target["expr"] for target in panel["targets"]]
        texts += [str(target.get("datasource")) for target in panel["targets"]]
        found = {name for text in texts for name in VARIABLE.findall(text)} - builtin
        yield from (f"{panel['title']}: ${name} is not defined" for name in found - {*defined})
        used |= found
    for marker in markers_of(board):
        found = set(VARIABLE.findall(marker["expr"])) - builtin
        yield from (f"marker {marker['name']}: ${v} is not defined" for v in found - {*defined})
    yield from (f"variable {name} is used nowhere" for name in defined if name not in used)
    for name in ("datasource", "stream", "instance"):
        if name not in defined:
            yield f"there is no variable {name}"


def _query_of(variable: Json) -> str:
    query = variable["query"]
    return str(query["query"] if isinstance(query, dict) else query)


def _values_faults(variable: Json) -> Iterator[str]:
    """The query of a variable selects what there is."""
    if variable["type"] != "query":
        return
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", _query_of(variable))
    expr = found[1] if found else _query_of(variable).removeprefix("query_result(")[:-1]
    reading = reading_of(f"max_over_time({expr}[1m])" if found else expr)
    yield from (fault for fault in reading.faults if "counter" not in fault)
    if found and found[2] not in reading.reading.labels:
        yield f"{found[2]} is no label of {expr}"
    if variable["query"]["qryType"] != (1 if found else 3):
        yield "its qryType is that of another function"


def marker_faults(board: Json) -> Iterator[str]:
    """Markers stand at the time that is their value, in milliseconds."""
    for marker in markers_of(board):
        found = reading_of(marker["expr"])
        told = [*found.faults, *_scope_faults(found)]
        if found.reading.measure != "unix ms":
            told.append(f"gives {found.reading.measure}, not milliseconds since 1970")
        if marker.get("useValueForTime") is not True:
            told.append("stands at the scrape and not at its value (useValueForTime)")
        for text in (marker["titleFormat"], marker["textFormat"]):
            lost = sorted(set(LABEL.findall(text)) - found.reading.labels)
            told += [f"prints {label}, which the query drops" for label in lost]
        yield from (f"marker {marker['name']}: {fault}" for fault in told)


# ---------------------------------------------------------------------------------- the board


def board_faults(board: Json) -> Iterator[str]:
    if not re.fullmatch(r"headrace-[a-z]+", board.get("uid", "")):
        yield "has no uid of its own"
    if board["schemaVersion"] < SCHEMA_MIN:
        yield f"schemaVersion {board['schemaVersion']} is older than Grafana 11"
    if board.get("id") is not None:
        yield "has an id, which belongs to one server"
    unit = {"s": 1, "m": 60}
    refresh = board.get("refresh") or "0s"
    if not re.fullmatch(r"\d+[sm]", refresh) or int(refresh[:-1]) * unit[refresh[-1]] < SCRAPE_S:
        yield f"refreshes every {refresh}, sooner than it is scraped"
    elif refresh not in board["timepicker"]["refresh_intervals"]:
        yield f"refresh {refresh} is not among those to choose from"
    if not re.fullmatch(r"now-([1-9]|1\d|2[0-4])h", board["time"]["from"]):
        yield f"shows {board['time']['from']} at first; some hours are sensible"
    if board["time"]["to"] != "now":
        yield "does not end now"


def source_faults(board: Json) -> Iterator[str]:
    """Everything asks the data source that is chosen at the top."""
    asking = [(panel["title"], panel) for panel in panels_of(board)]
    asking += [(panel["title"], target) for panel, target, _ in targets_of(board)]
    asking += [(marker["name"], marker) for marker in markers_of(board)]
    asking += [(v["name"], v) for v in board["templating"]["list"] if v["type"] == "query"]
    for name, one in asking:
        if one.get("datasource") != {"type": "prometheus", "uid": "${datasource}"}:
            yield f"{name}: does not ask the chosen data source"


CHECKS: tuple[Callable[[Json], Any], ...] = (
    board_faults,
    layout_faults,
    source_faults,
    query_faults,
    legend_faults,
    field_faults,
    unit_faults,
    threshold_faults,
    description_faults,
    variable_faults,
    marker_faults,
)
