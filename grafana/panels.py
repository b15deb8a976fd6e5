"""The house style of the dashboards on Grafana's own builders: queries, thresholds, panels.

A panel is a builder of `grafana_foundation_sdk` with what all panels of its kind have in common;
the rows say the rest in the builder's own words. Queries are written short:

    {S}  job, instance and stream, as chosen above      {P}  job and instance alone
    [R]  the shortest range that gives a rate
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, Self, TypeVar

from grafana_foundation_sdk.builders import (
    barchart,
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

Panel = Builder[model.Panel]
Override = Builder[model.DashboardFieldConfigSourceOverrides]

GREEN, YELLOW, RED, BLUE, GREY = "green", "yellow", "red", "blue", "#8e8e8e"
SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")

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


# ------------------------------------------------------------------------ thresholds, colours


def steps(*pairs: tuple[float | None, str]) -> list[model.Threshold]:
    """Thresholds as (from where, colour), the first from nowhere."""
    return [model.Threshold(value, color) for value, color in pairs]


def above(yellow: float | None, red: float | None) -> list[model.Threshold]:
    """Green, then yellow, then red as the value grows; None leaves a step out."""
    grown = [(value, color) for value, color in ((yellow, YELLOW), (red, RED)) if value is not None]
    return steps((None, GREEN), *grown)


def below(red: float, yellow: float | None = None) -> list[model.Threshold]:
    """Red under `red`, yellow under `yellow`, green from there on."""
    if yellow is None:
        return steps((None, RED), (red, GREEN))
    return steps((None, RED), (red, YELLOW), (yellow, GREEN))


def never() -> list[model.Threshold]:
    """No value is bad by itself; the description has to say why."""
    return steps((None, BLUE))


def fixed(color: str) -> model.FieldColor:
    """One colour, whatever the value."""
    return model.FieldColor(model.FieldColorModeId.FIXED, color)


def override(name: str, **properties: object) -> Override:
    """Other properties for the field of this name; `a__b` stands for `a.b`."""
    return (
        dashboard.DashboardFieldConfigSourceOverrides()
        .matcher(model.MatcherConfig("byName", name))
        .properties(
            [model.DynamicConfigValue(k.replace("__", "."), v) for k, v in properties.items()]
        )
    )


def mapping(words: dict[str, tuple[str, str]]) -> list[model.ValueMapping]:
    """Numbers shown as words: {"0": ("STABLE", GREEN), ...}."""
    return [
        model.ValueMap(
            {
                value: model.ValueMappingResult(text, color, index=i)
                for i, (value, (text, color)) in enumerate(words.items())
            }
        )
    ]


# ----------------------------------------------------------------------------------- targets


def line(short: str, legend: str = "__auto") -> prometheus.Dataquery:
    """A query over the time in view."""
    return (
        prometheus.Dataquery()
        .expr(query(short))
        .legend_format(legend)
        .range()
        .datasource(SOURCE)
        .editor_mode(QueryEditorMode.CODE)
    )


def now(short: str, legend: str = "__auto") -> prometheus.Dataquery:
    """A query at the end of the time in view."""
    return line(short, legend).instant()


def row_of(short: str) -> prometheus.Dataquery:
    """A query at the end of the time in view, as rows of a table."""
    return now(short).format(PromQueryFormat.TABLE)


# ------------------------------------------------------------------------------------ panels


class _Made(Protocol):
    """What the builders of all kinds of panels have in common, as far as it is used here."""

    def title(self, title: str) -> Self: ...
    def datasource(self, datasource: model.DataSourceRef) -> Self: ...
    def unit(self, unit: str) -> Self: ...
    def thresholds(self, thresholds: Builder[model.ThresholdsConfig]) -> Self: ...
    def color_scheme(self, color: Builder[model.FieldColor]) -> Self: ...
    def span(self, w: int) -> Self: ...
    def height(self, h: int) -> Self: ...


_P = TypeVar("_P", bound=_Made)
_BY_THRESHOLD = dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS)
_BY_SERIES = dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC)


def _styled(made: _P, title: str, unit: str, limits: list[model.Threshold]) -> _P:
    """What every panel has, as large as most are."""
    return (
        made.title(title)
        .datasource(SOURCE)
        .unit(unit)
        .thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(limits))
        .color_scheme(_BY_THRESHOLD)
        .span(8)
        .height(8)
    )


def _legend(*, is_shown: bool = True) -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(options.LegendDisplayMode.LIST)
        .placement(options.LegendPlacement.BOTTOM)
        .show_legend(is_shown)
    )


def _tooltip(
    mode: options.TooltipDisplayMode, order: options.SortOrder
) -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(mode).sort(order)


_LAST = common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False)


def single(title: str, unit: str, limits: list[model.Threshold]) -> stat.Panel:
    """One number on a coloured ground."""
    is_plain = all(step.color not in (RED, YELLOW) for step in limits)
    return (
        _styled(stat.Panel(), title, unit, limits)
        .span(4)
        .height(4)
        .no_value("nothing yet")
        .reduce_options(_LAST)
        .color_mode(
            options.BigValueColorMode.VALUE if is_plain else options.BigValueColorMode.BACKGROUND
        )
        .graph_mode(options.BigValueGraphMode.AREA)
        .text_mode(options.BigValueTextMode.VALUE)
        .justify_mode(options.BigValueJustifyMode.CENTER)
        .orientation(options.VizOrientation.AUTO)
    )


def bare(title: str, unit: str, limits: list[model.Threshold]) -> stat.Panel:
    """One number without its course behind it."""
    return single(title, unit, limits).graph_mode(options.BigValueGraphMode.NONE)


def lines(title: str, unit: str, limits: list[model.Threshold]) -> timeseries.Panel:
    """Lines over time, with the thresholds drawn in."""
    style = options.GraphThresholdsStyleMode
    drawn = style.DASHED if len(limits) > 1 else style.OFF
    return (
        _styled(timeseries.Panel(), title, unit, limits)
        .color_scheme(_BY_SERIES)
        .draw_style(options.GraphDrawStyle.LINE)
        .line_interpolation(options.LineInterpolation.LINEAR)
        .line_width(2)
        .fill_opacity(0)
        .show_points(options.VisibilityMode.NEVER)
        .span_nulls(False)
        .axis_border_show(False)
        .stacking(common.StackingConfig().mode(options.StackingMode.NONE).group("A"))
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(drawn))
        .legend(_legend())
        .tooltip(_tooltip(options.TooltipDisplayMode.MULTI, options.SortOrder.DESCENDING))
    )


def stacked(title: str, unit: str) -> timeseries.Panel:
    """Parts of a whole over time, one upon the other."""
    return (
        lines(title, unit, never())
        .line_width(1)
        .fill_opacity(60)
        .stacking(common.StackingConfig().mode(options.StackingMode.NORMAL).group("A"))
    )


def timeline(title: str, unit: str, limits: list[model.Threshold]) -> statetimeline.Panel:
    """A coloured band for each series, by the thresholds."""
    return (
        _styled(statetimeline.Panel(), title, unit, limits)
        .span(24)
        .height(5)
        .line_width(0)
        .fill_opacity(80)
        .merge_values(True)
        .show_value(options.VisibilityMode.NEVER)
        .align_value(options.TimelineValueAlignment.LEFT)
        .row_height(0.8)
        .legend(_legend(is_shown=False))
        .tooltip(_tooltip(options.TooltipDisplayMode.SINGLE, options.SortOrder.NONE))
    )


def ranking(title: str, unit: str, limits: list[model.Threshold]) -> bargauge.Panel:
    """Horizontal bars, the highest first if the query sorts them."""
    return (
        _styled(bargauge.Panel(), title, unit, limits)
        .min(0)
        .decimals(2)
        .reduce_options(_LAST)
        .display_mode(options.BarGaugeDisplayMode.GRADIENT)
        .orientation(options.VizOrientation.HORIZONTAL)
        .show_unfilled(True)
        .value_mode(options.BarGaugeValueMode.COLOR)
        .name_placement(options.BarGaugeNamePlacement.LEFT)
        .sizing(options.BarGaugeSizing.AUTO)
        .min_viz_height(16)
        .min_viz_width(8)
        .max_viz_height(40)
    )


def columns(
    title: str, unit: str, by: str, sides: Iterable[tuple[str, str, str]]
) -> barchart.Panel:
    """Upright bars side by side: (name, query, colour) a side, one place for each value of `by`."""
    made = (
        _styled(barchart.Panel(), title, unit, never())
        .color_scheme(_BY_SERIES)
        .min(0)
        .fill_opacity(75)
        .line_width(0)
        .axis_border_show(False)
        .x_field(by)
        .orientation(options.VizOrientation.VERTICAL)
        .show_value(options.VisibilityMode.NEVER)
        .stacking(options.StackingMode.NONE)
        .group_width(0.8)
        .bar_width(0.95)
        .x_tick_label_rotation(0)
        .legend(_legend())
        .tooltip(_tooltip(options.TooltipDisplayMode.MULTI, options.SortOrder.NONE))
        .with_transformation(
            model.DataTransformerConfig("joinByField", options={"byField": by, "mode": "outer"})
        )
    )
    excluded = {"Time": True}
    overrides: list[Override] = []
    for i, (name, short, color) in enumerate(sides):
        made.with_target(row_of(short))
        field = f"Value #{chr(ord('A') + i)}"
        overrides.append(override(field, displayName=name, color=fixed(color)))
        excluded[f"Time {i + 1}"] = True
    return made.overrides(overrides).with_transformation(
        model.DataTransformerConfig("organize", options={"excludeByName": excluded})
    )


def heat(title: str, unit: str, short: str) -> heatmap.Panel:
    """A histogram over time: the darker, the more."""
    return (
        _styled(heatmap.Panel(), title, unit, never())
        .with_target(line(short, "{{le}}").format(PromQueryFormat.HEATMAP))
        .calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(HeatmapColorMode.SCHEME)
            .scheme("Blues")
            .steps(32)
            .exponent(0.5)
        )
        .cell_gap(1)
        .y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(options.AxisPlacement.LEFT))
        .rows_frame(heatmap.RowsHeatmapOptions().layout(options.HeatmapCellLayout.AUTO))
        .cell_values(heatmap.CellValues().unit("short"))
        .mode(options.TooltipDisplayMode.SINGLE)
        .hide_y_histogram()
        .show_color_scale(False)
        .show_legend()
        .show_value(options.VisibilityMode.NEVER)
    )


def rows(title: str, unit: str) -> table.Panel:
    """Rows at the end of the time in view."""
    return (
        _styled(table.Panel(), title, unit, never())
        .align(options.FieldTextAlignment.AUTO)
        .cell_options(options.TableAutoCellOptions())
        .filterable(False)
        .show_header(True)
        .cell_height(options.TableCellHeight.SM)
    )
