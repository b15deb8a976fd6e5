"""What has to hold of every dashboard in a Prometheus that has the demo in it.

Every query of a panel, a variable and a marker is asked as Grafana would ask it. Each check returns
its faults as sentences, as those of `checks` do.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import Any

from grafana.view import Choices, Series, View, markers_of

from dashboards.checks import panels_of

Json = dict[str, Any]

SERIES_MAX = 30
"""More lines than this nobody can read."""

SECONDS_MAX = 400 * 86_400.0
"""No time span on the page is longer than the time that is kept."""

LIMITS = {"percentunit": (-1e-9, 1 + 1e-9), "s": (-60.0, SECONDS_MAX), "bytes": (0.0, 1e13)}
"""What a number in this unit can be."""

NOTHING = ("no data", "nothing but NaN")
MARKER_S = 60.0
RECENT_S = 300.0


def live_faults(board: Json, view: View, absent: Collection[str] = ()) -> list[str]:
    """All faults of one dashboard; a query that names one of `absent` need not give anything."""
    try:
        choices = view.choices(board)
    except ValueError as error:
        return [f"{board['uid']}: a variable can't be asked: {error}"]
    found = [f"variable {name} has no value" for name, values in choices.items() if not values]
    if not found:
        found += _panel_faults(board, view, choices, absent)
        found += _marker_faults(board, view, choices, absent)
    return [f"{board['uid']}: {fault}" for fault in found]


def _panel_faults(
    board: Json, view: View, choices: Choices, absent: Collection[str]
) -> Iterator[str]:
    for panel in panels_of(board):
        own = dict(choices)
        if "repeat" in panel:
            own[panel["repeat"]] = own[panel["repeat"]][:1]
        legends: list[str] = []
        for target in panel["targets"]:
            try:
                series = view.series(target, own)
            except ValueError as error:
                yield f"{panel['title']}: {error}"
                continue
            for fault in _value_faults(series, panel):
                if fault not in NOTHING or not _is_absent(target["expr"], absent):
                    yield f"{panel['title']}: {fault}"
            legends += [one["legend"] for one in series]
        yield from (f"{panel['title']}: {fault}" for fault in _legend_faults(panel, legends))


def _is_absent(expr: str, absent: Collection[str]) -> bool:
    return any(name in expr for name in absent)


def _legend_faults(panel: Json, legends: list[str]) -> Iterator[str]:
    if panel["type"] in ("table", "barchart", "heatmap"):
        return
    for name in sorted({name for name in legends if legends.count(name) > 1}):
        yield f"several lines are called {name!r}"
    if len(legends) > SERIES_MAX:
        yield f"{len(legends)} lines, more than anybody can read"
    if panel["type"] == "stat" and len(legends) > 1:
        yield f"{len(legends)} values where one is shown"


def _value_faults(series: list[Series], panel: Json) -> Iterator[str]:
    values = [v for one in series for _, v in one["points"] if math.isfinite(v)]
    if not values:
        yield NOTHING[1 if series else 0]
        return
    defaults = panel["fieldConfig"]["defaults"]
    low, high = LIMITS.get(defaults["unit"], (-math.inf, math.inf))
    if panel["type"] == "timeseries" and "min" not in defaults:
        low = min(low, -1.0)
    if panel["type"] in ("table", "heatmap"):
        high = math.inf
    if min(values) < low or max(values) > high:
        yield f"{min(values):g} to {max(values):g} is nothing for the unit {defaults['unit']}"


def _marker_faults(
    board: Json, view: View, choices: Choices, absent: Collection[str]
) -> Iterator[str]:
    for marker in markers_of(board):
        moments = view.moments(marker, choices)
        if not moments and not _is_absent(marker["expr"], absent):
            yield f"marker {marker['name']}: no data"
        odd = [at for at in moments if not view.start - MARKER_S <= at <= view.end + MARKER_S]
        if odd:
            yield f"marker {marker['name']}: stands at {odd[0]:g}, outside the time in view"


def reds(board: Json, view: View) -> set[str]:
    """Titles of the panels that are red at the end of the time in view."""
    choices, found = view.choices(board), set()
    for panel in panels_of(board):
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        if "red" not in {step["color"] for step in steps}:
            continue
        for target in panel["targets"]:
            for one in view.series(target, choices):
                at, value = one["points"][-1]
                is_recent = math.isfinite(value) and view.end - at < RECENT_S
                if is_recent and _color(steps, value) == "red":
                    found.add(panel["title"])
    return found


def _color(steps: list[Json], value: float) -> str:
    reached = [step for step in steps if step["value"] is None or value >= step["value"]]
    return str(reached[-1]["color"])
