"""A whole dashboard: its variables, markers and links, and a place for each panel."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from string import ascii_uppercase
from typing import cast

from grafana_foundation_sdk.builders.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
    TimePicker,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import Dataquery

from .panels import SOURCE, Panel, query

TITLES = {
    "headrace-overview": "Headrace",
    "headrace-drift": "Headrace: drift",
    "headrace-annotators": "Headrace: annotators",
}
"""The boards by uid, which is their address for good."""

WIDTH = 24
SCHEMA_VERSION = 39
"""That of Grafana 11.0; newer ones bring it up to theirs as they load it."""

Variable = Builder[model.VariableModel]


def board(
    uid: str,
    about: str,
    rows: Sequence[tuple[str, list[Panel]]],
    variables: Sequence[Variable] = (),
) -> Dashboard:
    """A dashboard of rows with their titles; `variables` come after those that all have."""
    made = (
        Dashboard(TITLES[uid])
        .uid(uid)
        .description(about)
        .tags(["headrace"])
        .editable()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .version(1)
        .timezone("")
        .refresh("30s")
        .time("now-6h", "now")
        .timepicker(TimePicker().refresh_intervals(["15s", "30s", "1m", "5m", "15m"]))
        .links([_link(other) for other in TITLES if other != uid])
        .annotations([_BUILT_IN, *MARKERS])
        .variables([*SHARED, *variables])
    )
    made.build().schema_version = SCHEMA_VERSION
    ids, y = count(1), 0
    for title, panels in rows:
        made.with_row(Row(title).id(next(ids)).grid_pos(model.GridPos(h=1, w=WIDTH, y=y)))
        y = _placed(panels, y + 1)
        for panel in panels:
            built = panel.build()
            built.id_val = next(ids)
            for letter, target in zip(ascii_uppercase, built.targets or (), strict=False):
                cast(Dataquery, target).ref_id = letter
            made.with_panel(panel)
    return made


def _placed(panels: Sequence[Panel], y: int) -> int:
    """Put panels from left to right, a new line where the width is used up; where they end.

    The builder of the dashboard begins a line only where the last one is full to the edge.
    """
    x = line_height = 0
    for panel in panels:
        place = panel.build().grid_pos or model.GridPos()
        if x + place.w > WIDTH:
            x, y, line_height = 0, y + line_height, 0
        place.x, place.y = x, y
        x, line_height = x + place.w, max(line_height, place.h)
    return y + line_height


def _link(uid: str) -> DashboardLink:
    return (
        DashboardLink(TITLES[uid])
        .type(model.DashboardLinkType.LINK)
        .url(f"/d/{uid}")
        .icon("dashboard")
        .include_vars(True)
        .keep_time(True)
    )


# --------------------------------------------------------------------------------- variables

_QUERY_TYPES = {"label_values": 1, "query_result": 3}
"""As Grafana's Prometheus data source numbers them."""


def one(name: str, label: str, short: str) -> QueryVariable:
    """A variable whose values a query gives: `label_values(...)` or `query_result(...)`."""
    return (
        QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(
            {
                "query": query(short),
                "qryType": _QUERY_TYPES[short.partition("(")[0]],
                "refId": "PrometheusVariableQueryEditor-VariableQuery",
            }
        )
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
    )


def several(name: str, label: str, short: str) -> QueryVariable:
    """The same, where several values may be chosen; all of them are at first."""
    everything = model.VariableOption(text=["All"], value=["$__all"])
    return one(name, label, short).multi(True).include_all(True).current(everything)


_OF_BUILD = 'headrace_build_info{job=~"$job"}'
SHARED: tuple[Variable, ...] = (
    DatasourceVariable("datasource").label("Prometheus").type("prometheus"),
    several("job", "Job", "label_values(headrace_build_info, job)"),
    one("stream", "Stream", 'label_values(headrace_events_observed_total{job=~"$job"}, stream)'),
    several("instance", "Worker", f"label_values({_OF_BUILD}, instance)"),
)


# ----------------------------------------------------------------------------------- markers


class _AtItsValue(model.AnnotationQuery):
    """A marker at the time that is its query's value, in milliseconds; one for each value.

    The model leaves out what Grafana's Prometheus source reads beside the query.
    """

    text = ""

    def to_json(self) -> dict[str, object]:
        return {
            **super().to_json(),
            "step": "15s",
            "titleFormat": self.name,
            "textFormat": self.text,
            "tagKeys": "",
            "useValueForTime": True,
        }


class _Marker(AnnotationQuery):
    def __init__(self, name: str, short: str, color: str, text: str) -> None:
        self._internal = made = _AtItsValue()
        made.text = text
        self.name(name).datasource(SOURCE).icon_color(color).expr(query(short))


_BUILT_IN = (
    AnnotationQuery()
    .name("Annotations & Alerts")
    .datasource(model.DataSourceRef("grafana", "-- Grafana --"))
    .type("dashboard")
    .built_in(1)
    .hide(True)
    .icon_color("rgba(0, 211, 255, 1)")
)
_CHANGED = "max by (stream, level) (headrace_drift_last_change_timestamp_seconds{S,%s}) * 1000"
_ROUNDS = "max by (stream, reason) (headrace_query_last_round_timestamp_seconds{S,%s}) * 1000"

MARKERS: tuple[AnnotationQuery, ...] = (
    _Marker("Drift", _CHANGED % 'level="DRIFT"', "red", "{{stream}}: the level became {{level}}"),
    _Marker(
        "Drift over", _CHANGED % 'level="STABLE"', "green", "{{stream}}: the level became {{level}}"
    ),
    _Marker(
        "Adoptions",
        'max by (stream) (headrace_model_last_update_timestamp_seconds{S,kind="adopted"}) * 1000',
        "purple",
        "{{stream}}: a retrained model was adopted",
    ),
    _Marker(
        "Rounds that drift or a person opened",
        _ROUNDS % 'reason=~"drift|ordered"',
        "orange",
        "{{stream}}: a round, {{reason}}",
    ),
    _Marker(
        "Rounds by schedule",
        _ROUNDS % 'reason="schedule"',
        "blue",
        "{{stream}}: a round, {{reason}}",
    ).enable(False),
    _Marker(
        "Rebalances",
        "max by (stream) (headrace_last_rebalance_timestamp_seconds{S}) * 1000",
        "yellow",
        "{{stream}}: the partitions were distributed anew",
    ),
)
