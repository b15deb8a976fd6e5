"""A whole dashboard: its variables, markers and links, and a place for each panel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .panels import SCHEMA_VERSION, SOURCE, WIDTH, Json, query

TITLES = {
    "headrace-overview": "Headrace",
    "headrace-drift": "Headrace: drift",
    "headrace-annotators": "Headrace: annotators",
}
"""The boards by uid, which is their address for good."""

Row = tuple[str, list[Json]]

_BUILT_IN = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "type": "dashboard",
}


def board(uid: str, about: str, rows: Sequence[Row], variables: Sequence[Json] = ()) -> Json:
    """The JSON of one dashboard; `variables` come after those that all of them have."""
    return {
        "uid": uid,
        "title": TITLES[uid],
        "description": about,
        "tags": ["headrace"],
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "timezone": "",
        "fiscalYearStartMonth": 0,
        "weekStart": "",
        "liveNow": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timepicker": {"refresh_intervals": ["15s", "30s", "1m", "5m", "15m"]},
        "links": [_link(other) for other in TITLES if other != uid],
        "annotations": {"list": [_BUILT_IN, *MARKERS]},
        "templating": {"list": [*SHARED, *variables]},
        "panels": _placed(rows),
    }


def _link(uid: str) -> Json:
    return {
        "type": "link",
        "title": TITLES[uid],
        "url": f"/d/{uid}",
        "icon": "dashboard",
        "tags": [],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "tooltip": "",
    }


def _placed(rows: Sequence[Row]) -> list[Json]:
    """Panels from left to right, a new line where the width is used up; ids in order."""
    placed: list[Json] = []
    y = 0
    for title, panels in rows:
        head = {"type": "row", "title": title, "collapsed": False, "panels": []}
        placed.append({**head, "id": len(placed) + 1, "gridPos": _place(0, y, WIDTH, 1)})
        y += 1
        x = line_height = 0
        for made in panels:
            width, height = made["gridPos"]["w"], made["gridPos"]["h"]
            if x + width > WIDTH:
                x, y, line_height = 0, y + line_height, 0
            placed.append({**made, "id": len(placed) + 1, "gridPos": _place(x, y, width, height)})
            x, line_height = x + width, max(line_height, height)
        y += line_height
    return placed


def _place(x: int, y: int, width: int, height: int) -> Json:
    return {"x": x, "y": y, "w": width, "h": height}


# --------------------------------------------------------------------------------- variables

_QUERY_TYPES = {"label_values": 1, "query_result": 3}
"""As Grafana's Prometheus data source numbers them."""


def choice(
    name: str, label: str, short: str, *, multi: bool = False, about: str = "", **more: Any
) -> Json:
    """A variable whose values a query gives: `label_values(...)` or `query_result(...)`."""
    everything = {"text": ["All"], "value": ["$__all"]}
    return {
        "type": "query",
        "name": name,
        "label": label,
        "description": about,
        "datasource": SOURCE,
        "query": {
            "query": query(short),
            "qryType": _QUERY_TYPES[short.partition("(")[0]],
            "refId": "PrometheusVariableQueryEditor-VariableQuery",
        },
        "refresh": 2,
        "sort": 1,
        "regex": "",
        "hide": 0,
        "multi": multi,
        "includeAll": multi,
        "skipUrlSync": False,
        "current": everything if multi else {},
        "options": [],
        **more,
    }


_OF_BUILD = 'headrace_build_info{job=~"$job"}'
SHARED = (
    {
        "type": "datasource",
        "name": "datasource",
        "label": "Prometheus",
        "query": "prometheus",
        "regex": "",
        "refresh": 1,
        "hide": 0,
        "multi": False,
        "includeAll": False,
        "skipUrlSync": False,
        "current": {},
        "options": [],
    },
    choice("job", "Job", "label_values(headrace_build_info, job)", multi=True),
    choice(
        "stream",
        "Stream",
        'label_values(headrace_events_observed_total{job=~"$job"}, stream)',
    ),
    choice("instance", "Worker", f"label_values({_OF_BUILD}, instance)", multi=True),
)


# ----------------------------------------------------------------------------------- markers


def _marker(name: str, short: str, color: str, text: str, *, is_shown: bool = True) -> Json:
    """Marks at the time that is the value of the query, in milliseconds; one for each value."""
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": is_shown,
        "hide": False,
        "iconColor": color,
        "expr": query(short),
        "step": "15s",
        "titleFormat": name,
        "textFormat": text,
        "tagKeys": "",
        "useValueForTime": True,
    }


_CHANGED = "max by (stream, level) (headrace_drift_last_change_timestamp_seconds{S,%s}) * 1000"
_ROUNDS = "max by (stream, reason) (headrace_query_last_round_timestamp_seconds{S,%s}) * 1000"

MARKERS = (
    _marker("Drift", _CHANGED % 'level="DRIFT"', "red", "{{stream}}: the level became {{level}}"),
    _marker(
        "Drift over", _CHANGED % 'level="STABLE"', "green", "{{stream}}: the level became {{level}}"
    ),
    _marker(
        "Adoptions",
        'max by (stream) (headrace_model_last_update_timestamp_seconds{S,kind="adopted"}) * 1000',
        "purple",
        "{{stream}}: a retrained model was adopted",
    ),
    _marker(
        "Rounds that drift or a person opened",
        _ROUNDS % 'reason=~"drift|ordered"',
        "orange",
        "{{stream}}: a round, {{reason}}",
    ),
    _marker(
        "Rounds by schedule",
        _ROUNDS % 'reason="schedule"',
        "blue",
        "{{stream}}: a round, {{reason}}",
        is_shown=False,
    ),
    _marker(
        "Rebalances",
        "max by (stream) (headrace_last_rebalance_timestamp_seconds{S}) * 1000",
        "yellow",
        "{{stream}}: partitions were handed out anew",
    ),
)
