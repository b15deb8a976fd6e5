"""Plots as inline SVG for the pages of `html`: lines, bars, events, strips and layers.

This module decides what is drawn; `drawing` draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from . import drawing
from .drawing import Band, Bar, Curve, Values
from .markup import Html, count, left_out

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    Keys: TypeAlias = list[tuple[Artist, str]]

# Anything beyond these is left out, and the note under the plot says so.
CURVES_MAX = 24
ROWS_DRAWN_MAX = 40  # bars, rows of events, strips
LAYERS_MAX = len(drawing.PALETTE)


def line_plot(
    curves: Sequence[Curve],
    *,
    title: str,
    x_label: str,
    y_label: str,
    marks: Sequence[tuple[float, str]] = (),
    bands: Sequence[Band] = (),
    percent_y: bool = True,
    log_y: bool = False,
    time_x: bool = False,
    note: str = "",
) -> Html:
    """Curves over counts, or over seconds since the epoch (`time_x`), with intervals and marks.

    `marks` are vertical lines (x, name), as of drift or adoptions; a name that finds no room above
    the plot is left out. `bands` are shaded behind the curves. `percent_y`: values are shares 0..1.
    With `log_y` values not above 0 are gaps. `note` stands below. At most `CURVES_MAX` curves are
    drawn. Raises BadSettings without matplotlib.
    """
    shown = curves[:CURVES_MAX]
    looks = drawing.looks_of(shown)
    drawn = [
        (curve.name, drawing.columns_of(curve, log_y), look)
        for curve, look in zip(shown, looks, strict=True)
    ]
    drawn = [item for item in drawn if not np.isnan(item[1][1]).all()]
    marks = [(x, name) for x, name in marks if abs(x) < drawing.VALUE_MAX]
    lines = [left_out(len(curves) - CURVES_MAX), note]
    if not drawn:
        return drawing.figure_of(title, "", [*lines, "No points yet."])
    at = [columns[0] for _, columns, _ in drawn]
    x_limits = drawing.reach_of([*at, np.array([x for x, _ in marks])], time_x=time_x)
    low, high = drawing.reach_of([column for _, columns, _ in drawn for column in columns[1:]])
    pad = 0.04 * (high - low)
    y_limits = (low / 1.3, high * 1.3) if log_y else (low - pad, high + pad)
    if percent_y and low >= 0.0 and high <= 1.0:
        y_limits = (max(y_limits[0], 0.0), min(y_limits[1], 1.0))

    def paint_plot(axes: Axes) -> Keys:
        drawing.paint_x_axis(axes, x_limits, x_label, time_x=time_x)
        if log_y:
            drawing.paint_log_axis(axes, *y_limits)
        drawing.paint_y_axis(axes, y_limits, y_label, is_percent=percent_y)
        shades = drawing.paint_bands(axes, bands)
        keys = [(drawing.paint_curve(axes, columns, look), name) for name, columns, look in drawn]
        drawing.paint_marks(axes, marks)
        return keys + shades

    return drawing.figure_of(title, drawing.draw_svg(310, title, paint_plot), lines)


def bar_plot(
    bars: Sequence[Bar], *, title: str, x_label: str, percent_x: bool = True, note: str = ""
) -> Html:
    """Horizontal bars from the top, each with its interval and its value in figures.

    A bar whose value is not finite keeps its row and shows a dash. At most `ROWS_DRAWN_MAX` bars
    are drawn. Raises BadSettings without matplotlib.
    """
    shown = bars[:ROWS_DRAWN_MAX]
    lines = [left_out(len(bars) - len(shown)), note]
    if not shown:
        return drawing.figure_of(title, "", [*lines, "No bars yet."])
    ends = [e for b in shown for e in (b.value, b.low, b.high, 0.0) if e is not None]
    low, high = drawing.reach_of([np.array(ends, dtype=np.float64)])
    room = 0.14 * (high - low)  # for the figures beside the bars
    limits = (low - room if low < 0 else low, high + room if high > 0 else high)

    def paint_plot(axes: Axes) -> Keys:
        drawing.paint_x_axis(axes, limits, x_label, time_x=False, percent_x=percent_x)
        drawing.paint_rows(axes, [bar.name for bar in shown])
        axes.axvline(0.0, color=drawing.INK, linewidth=0.8, alpha=0.6)
        for i, (bar, look) in enumerate(zip(shown, drawing.looks_of(shown), strict=True)):
            drawing.paint_bar(axes, i, bar, look["color"], percent_x)
        return []

    return drawing.figure_of(
        title, drawing.draw_svg(62 + 28 * len(shown), title, paint_plot), lines
    )


def events_plot(
    rows: Sequence[tuple[str, Sequence[float]]],
    *,
    title: str,
    x_label: str,
    x_range: tuple[float, float] | None = None,
    time_x: bool = False,
    note: str = "",
) -> Html:
    """Marks of when something happened, a row for each name: drift of several signals, say.

    At the right of a row is its number of marks. `x_range` is the stretch of stream watched, so
    that quiet parts show too; events outside widen it. At most `ROWS_DRAWN_MAX` rows are drawn.
    Raises BadSettings without matplotlib.
    """
    shown = [(name, drawing.keep_finite(xs)) for name, xs in rows[:ROWS_DRAWN_MAX]]
    lines = [left_out(len(rows) - len(shown)), note]
    reach = [xs for _, xs in shown] + [np.array(x_range or (), dtype=np.float64)]
    if not any(xs.size for xs in reach) or not shown:
        return drawing.figure_of(title, "", [*lines, "No events yet."])
    limits = drawing.reach_of(reach, time_x=time_x)

    def paint_plot(axes: Axes) -> Keys:
        drawing.paint_x_axis(axes, limits, x_label, time_x=time_x)
        drawing.paint_rows(axes, [name for name, _ in shown])
        for i, (_, xs) in enumerate(shown):
            axes.axhline(i, color=drawing.INK, linewidth=0.8, alpha=0.2)
            uprights_of_row = drawing.make_uprights(
                drawing.keep_apart(xs, limits), i - 0.32, i + 0.32
            )
            axes.plot(*uprights_of_row, color=drawing.PALETTE[1], linewidth=1.8)
            drawing.write_at_right(axes, i, count(xs.size))
        return []

    return drawing.figure_of(
        title, drawing.draw_svg(62 + 24 * len(shown), title, paint_plot), lines
    )


def strips_plot(
    rows: Sequence[tuple[str, Values]],
    xs: Values,
    *,
    title: str,
    x_label: str,
    bands: Sequence[Band] = (),
    time_x: bool = False,
    note: str = "",
) -> Html:
    """A strip for each name: values of 0 and above over the same `xs`, each divided by its own
    threshold.

    The dashed line is the threshold, 1; what is above it is filled. A strip ends at twice the
    threshold; the highest value stands at its right. At most `ROWS_DRAWN_MAX` strips are drawn.
    Raises BadSettings without matplotlib.
    """
    shown = [(name, drawing.mark_gaps(ys)) for name, ys in rows[:ROWS_DRAWN_MAX]]
    at = drawing.mark_gaps(xs)
    lines = [left_out(len(rows) - len(shown)), note]
    if not shown or not np.isfinite(at).any():
        return drawing.figure_of(title, "", [*lines, "No points yet."])
    limits = drawing.reach_of([at], time_x=time_x)

    def paint_plot(axes: Axes) -> Keys:
        drawing.paint_x_axis(axes, limits, x_label, time_x=time_x)
        drawing.paint_rows(axes, [name for name, _ in shown])
        keys = drawing.paint_bands(axes, bands)
        for i, (_, ys) in enumerate(shown):
            drawing.paint_strip(axes, i, at, ys)
        return keys

    return drawing.figure_of(
        title, drawing.draw_svg(62 + 40 * len(shown), title, paint_plot), lines
    )


def layers_plot(
    layers: Sequence[tuple[str, Values]],
    xs: Values,
    *,
    title: str,
    x_label: str,
    y_label: str,
    bands: Sequence[Band] = (),
    time_x: bool = False,
    note: str = "",
) -> Html:
    """Layers stacked over the same `xs`, the first at the bottom; the top is their sum.

    Values are 0 and above. At most `LAYERS_MAX` layers are drawn. Raises BadSettings without
    matplotlib.
    """
    shown = layers[:LAYERS_MAX]
    at = drawing.mark_gaps(xs)
    lines = [left_out(len(layers) - len(shown)), note]
    if not shown or not np.isfinite(at).any():
        return drawing.figure_of(title, "", [*lines, "No points yet."])
    columns = [np.nan_to_num(drawing.mark_gaps(ys)) for _, ys in shown]
    thinned = drawing.thin_rows(columns, drawing.POINTS_MAX)
    columns = [column[thinned] for column in columns]
    top = max(1.04 * float(np.sum(columns, axis=0).max()), 1.0)

    def paint_plot(axes: Axes) -> Keys:
        drawing.paint_x_axis(axes, drawing.reach_of([at], time_x=time_x), x_label, time_x=time_x)
        drawing.paint_y_axis(axes, (0.0, top), y_label, is_percent=False)
        shades = drawing.paint_bands(axes, bands)
        keys, bottom = [], np.zeros(len(thinned))
        for (name, _), column, colour in zip(shown, columns, drawing.PALETTE, strict=False):
            layer = drawing.fill_between(
                axes, at[thinned], bottom, bottom + column, color=colour, alpha=0.75
            )
            keys += [(layer, name)] if layer else []
            bottom = bottom + column
        return keys + shades

    return drawing.figure_of(title, drawing.draw_svg(310, title, paint_plot), lines)
