"""Words the dashboards are written in: targets, panels, rows, and a board made of them.

A panel is a dict as Grafana reads it, made from what a person has to decide: the title, the query,
the unit, from where it is red, and what to do then. Queries are written short:

    {S}  job, instance and stream, as chosen above      {P}  job and instance alone
    [R]  the shortest range that gives a rate
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Json = dict[str, Any]

SCHEMA_VERSION = 39
"""That of Grafana 11.0; newer ones bring it up to theirs as they load it."""

WIDTH = 24
GREEN, YELLOW, RED, BLUE, GREY, TEXT = "green", "yellow", "red", "blue", "#8e8e8e", "text"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

_SHORT = {
    "{S": '{job=~"$job",instance=~"$instance",stream="$stream"',
    "{P": '{job=~"$job",instance=~"$instance"',
    "[R]": "[$__rate_interval]",
}


def query(short: str) -> str:
    """A query as Prometheus gets it, variables aside.

    >>> query("up{P}")
    'up{job=~"$job",instance=~"$instance"}'
    """
    for word, full in _SHORT.items():
        short = short.replace(word, full)
    return short


def told(about: str, do: str, *, red: str = "", calm: str = "") -> str:
    """What a panel shows, what red means (or why nothing is red, `calm`), and what to do then.

    >>> told("Open requests.", "ask fewer", red="too many.")
    'Open requests.\\n\\n**Red:** too many.\\n\\n**Do:** ask fewer'
    """
    return (
        f"{about}\n\n" + (f"**Red:** {red}" if red else f"**No red:** {calm}") + f"\n\n**Do:** {do}"
    )


# -------------------------------------------------------------------------------- thresholds


def above(yellow: float | None, red: float | None) -> list[Json]:
    """Green, then yellow, then red as the value grows; None leaves a step out."""
    steps = [(None, GREEN), (yellow, YELLOW), (red, RED)]
    return [{"color": c, "value": v} for v, c in steps if v is not None or c == GREEN]


def below(red: float, yellow: float | None = None) -> list[Json]:
    """Red under `red`, yellow under `yellow`, green from there on."""
    steps: list[tuple[float | None, str]] = [(None, RED), (red, GREEN)]
    if yellow is not None:
        steps = [(None, RED), (red, YELLOW), (yellow, GREEN)]
    return [{"color": color, "value": value} for value, color in steps]


def never(color: str = BLUE) -> list[Json]:
    """No value is bad by itself; the description has to say why."""
    return [{"color": color, "value": None}]


# ----------------------------------------------------------------------------------- targets


def line(short: str, legend: str = "", **more: Any) -> Json:
    """A query over the time in view."""
    target = {"expr": query(short), "legendFormat": legend or "__auto", "range": True}
    return {**target, "datasource": SOURCE, "editorMode": "code", **more}


def now(short: str, legend: str = "", **more: Any) -> Json:
    """A query at the end of the time in view."""
    return line(short, legend, range=False, instant=True, **more)


def row_of(short: str) -> Json:
    """A query at the end of the time in view, as rows of a table."""
    return now(short, format="table")


# ------------------------------------------------------------------------------------ panels


def panel(
    kind: str,
    title: str,
    targets: Sequence[Json] | str,
    *,
    unit: str,
    steps: list[Json],
    about: str,
    width: int,
    height: int,
    options: Json,
    custom: Json | None = None,
    defaults: Json | None = None,
    overrides: Sequence[Json] = (),
    transformations: Sequence[Json] = (),
    links: Sequence[Json] = (),
) -> Json:
    """A panel of any kind; it has no place yet."""
    if isinstance(targets, str):
        targets = [line(targets)]
    made = {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "gridPos": {"w": width, "h": height},
        "targets": [{"refId": chr(ord("A") + i), **t} for i, t in enumerate(targets)],
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "thresholds": {"mode": "absolute", "steps": steps},
                "color": {"mode": "thresholds"},
                **({"custom": custom} if custom else {}),
                **(defaults or {}),
            },
            "overrides": list(overrides),
        },
        "options": options,
    }
    if transformations:
        made["transformations"] = list(transformations)
    if links:
        made["links"] = list(links)
    return made


def stat(
    title: str,
    short: str,
    *,
    unit: str,
    steps: list[Json],
    about: str,
    width: int = 4,
    height: int = 4,
    none: str = "nothing yet",
    decimals: int | None = None,
    mappings: Sequence[Json] = (),
    graph: bool = True,
) -> Json:
    """One number on a coloured ground; `none` is shown where there is no sample."""
    defaults: Json = {"noValue": none, "mappings": list(mappings)}
    if decimals is not None:
        defaults["decimals"] = decimals
    is_plain = all(step["color"] not in (RED, YELLOW) for step in steps)
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value" if is_plain else "background",
        "graphMode": "area" if graph else "none",
        "textMode": "value",
        "justifyMode": "center",
        "orientation": "auto",
    }
    return panel(
        "stat",
        title,
        short,
        unit=unit,
        steps=steps,
        about=about,
        width=width,
        height=height,
        options=options,
        defaults=defaults,
    )


def lines(
    title: str,
    targets: Sequence[Json] | str,
    *,
    unit: str,
    steps: list[Json],
    about: str,
    width: int = 8,
    height: int = 8,
    low: float | None = None,
    high: float | None = None,
    decimals: int | None = None,
    log: bool = False,
    stacked: str = "",
    bars: bool = False,
    overrides: Sequence[Json] = (),
) -> Json:
    """Lines over time, with the thresholds drawn in; `stacked` is "normal", "percent" or ""."""
    has_limits = len(steps) > 1
    custom = {
        "drawStyle": "bars" if bars else "line",
        "lineWidth": 0 if bars else 2 if not stacked else 1,
        "lineInterpolation": "linear",
        "fillOpacity": 80 if bars else 60 if stacked else 0,
        "showPoints": "never",
        "spanNulls": False,
        "axisBorderShow": False,
        "stacking": {"mode": stacked or "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if has_limits else "off"},
        "scaleDistribution": {"type": "log", "log": 10} if log else {"type": "linear"},
    }
    limits = (("min", low), ("max", high), ("decimals", decimals))
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel(
        "timeseries",
        title,
        targets,
        unit=unit,
        steps=steps,
        about=about,
        width=width,
        height=height,
        options=options,
        custom=custom,
        defaults={
            "color": {"mode": "palette-classic"},
            **{name: limit for name, limit in limits if limit is not None},
        },
        overrides=overrides,
    )


def timeline(
    title: str,
    targets: Sequence[Json] | str,
    *,
    unit: str,
    steps: list[Json],
    about: str,
    width: int = 24,
    height: int = 5,
    decimals: int | None = None,
    mappings: Sequence[Json] = (),
) -> Json:
    """A coloured band for each series, by the thresholds."""
    defaults: Json = {"mappings": list(mappings)}
    if decimals is not None:
        defaults["decimals"] = decimals
    return panel(
        "state-timeline",
        title,
        targets,
        unit=unit,
        steps=steps,
        about=about,
        width=width,
        height=height,
        custom={"lineWidth": 0, "fillOpacity": 80},
        defaults=defaults,
        options={
            "mergeValues": True,
            "showValue": "never",
            "alignValue": "left",
            "rowHeight": 0.8,
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
            "tooltip": {"mode": "single", "sort": "none"},
        },
    )


def ranking(
    title: str,
    short: str,
    legend: str,
    *,
    unit: str,
    steps: list[Json],
    about: str,
    width: int = 8,
    height: int = 8,
    high: float | None = None,
    decimals: int | None = 2,
) -> Json:
    """Horizontal bars, the highest first if the query sorts them."""
    limits = (("max", high), ("decimals", decimals))
    return panel(
        "bargauge",
        title,
        [now(short, legend)],
        unit=unit,
        steps=steps,
        about=about,
        width=width,
        height=height,
        defaults={"min": 0, **{name: limit for name, limit in limits if limit is not None}},
        options={
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "displayMode": "gradient",
            "orientation": "horizontal",
            "showUnfilled": True,
            "valueMode": "color",
            "namePlacement": "left",
            "sizing": "auto",
            "minVizHeight": 16,
            "minVizWidth": 8,
            "maxVizHeight": 40,
        },
    )


def columns(
    title: str,
    sides: Iterable[tuple[str, str, str]],
    by: str,
    *,
    unit: str,
    about: str,
    width: int = 12,
    height: int = 8,
) -> Json:
    """Upright bars side by side: (name, query, colour) a side, one place for each value of `by`."""
    sides = list(sides)
    excluded = {f"Time {i + 1}": True for i in range(len(sides))} | {"Time": True}
    overrides = []
    for i, (name, _, color) in enumerate(sides):
        overrides.append(
            override(
                f"Value #{chr(ord('A') + i)}",
                displayName=name,
                color={"mode": "fixed", "fixedColor": color},
            )
        )
    return panel(
        "barchart",
        title,
        [row_of(short) for _, short, _ in sides],
        unit=unit,
        steps=never(),
        about=about,
        width=width,
        height=height,
        custom={"fillOpacity": 75, "lineWidth": 0, "axisBorderShow": False},
        defaults={"min": 0, "color": {"mode": "palette-classic"}},
        overrides=overrides,
        transformations=[
            {"id": "joinByField", "options": {"byField": by, "mode": "outer"}},
            {"id": "organize", "options": {"excludeByName": excluded}},
        ],
        options={
            "xField": by,
            "orientation": "vertical",
            "showValue": "never",
            "stacking": "none",
            "groupWidth": 0.8,
            "barWidth": 0.95,
            "xTickLabelRotation": 0,
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "none"},
        },
    )


def heat(
    title: str,
    short: str,
    *,
    unit: str,
    about: str,
    width: int = 12,
    height: int = 8,
) -> Json:
    """A histogram over time: the darker, the more."""
    return panel(
        "heatmap",
        title,
        [line(short, "{{le}}", format="heatmap")],
        unit=unit,
        steps=never(),
        about=about,
        width=width,
        height=height,
        custom={"scaleDistribution": {"type": "linear"}},
        options={
            "calculate": False,
            "color": {"mode": "scheme", "scheme": "Blues", "steps": 32, "exponent": 0.5},
            "cellGap": 1,
            "yAxis": {"unit": unit, "axisPlacement": "left"},
            "rowsFrame": {"layout": "auto"},
            "cellValues": {"unit": "short"},
            "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
            "legend": {"show": True},
            "showValue": "never",
        },
    )


def table(
    title: str,
    targets: Sequence[Json],
    *,
    unit: str,
    about: str,
    steps: list[Json] | None = None,
    width: int = 12,
    height: int = 8,
    overrides: Sequence[Json] = (),
    transformations: Sequence[Json] = (),
) -> Json:
    """Rows at the end of the time in view."""
    return panel(
        "table",
        title,
        targets,
        unit=unit,
        steps=steps or never(),
        about=about,
        width=width,
        height=height,
        custom={"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False},
        overrides=overrides,
        transformations=transformations,
        options={"showHeader": True, "cellHeight": "sm"},
    )


def override(name: str, *, regex: bool = False, **properties: Any) -> Json:
    """Other properties for the field of this name; `a__b` stands for `a.b`."""
    return {
        "matcher": {"id": "byRegexp" if regex else "byName", "options": name},
        "properties": [{"id": k.replace("__", "."), "value": v} for k, v in properties.items()],
    }


def mapping(words: dict[str, tuple[str, str]]) -> list[Json]:
    """Numbers shown as words: {"0": ("STABLE", GREEN), ...}."""
    options = {
        value: {"text": text, "color": color, "index": i}
        for i, (value, (text, color)) in enumerate(words.items())
    }
    return [{"type": "value", "options": options}]
