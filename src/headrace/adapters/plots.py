"""Plots as inline SVG for the pages of `html`: lines, bars, and events on an axis.

They are drawn by matplotlib (an extra, imported at the first plot) and cleaned into bare SVG, which
takes its ink and its font from the page. What is drawn is decided here, how in `drawing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from ..errors import BadSettings
from .drawing import (
    INK,
    PALETTE,
    Floats,
    Frame,
    apart,
    columns_of,
    figure_of,
    finite,
    inks_of,
    inks_of_bands,
    is_drawable,
    log_axis,
    names_width,
    paint_bands,
    paint_bar,
    paint_curve,
    paint_marks,
    place_flags,
    reach_of,
    svg_of,
    uprights,
    x_axis,
    y_rows,
)
from .markup import Html, count, left_out, shortened, tick

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Style: TypeAlias = Literal["strategy", "random", "all"]
Level: TypeAlias = Literal["warning", "drift"]

CURVES_MAX = 24  # of one plot; the rest is left out, and the note under the plot says so
ROWS_DRAWN_MAX = 40  # bars or rows of events of one plot; likewise


@dataclass(frozen=True, eq=False)
class Curve:
    """One line of a plot: `xs`, `ys` and, if known, `low` and `high` around it, all of length n.

    What is not finite is a gap. `style` "random" is the baseline (grey, dashed), "all" the model
    that learned from every label (ink, dotted). `tone` fixes the place in the palette, so that a
    strategy keeps its colour from plot to plot; `None` takes the place among the strategies here.
    """

    name: str
    xs: Sequence[float] | Floats
    ys: Sequence[float] | Floats
    low: Sequence[float] | Floats | None = None
    high: Sequence[float] | Floats | None = None
    style: Style = "strategy"
    tone: int | None = None

    def __post_init__(self) -> None:
        lengths = {
            len(part) for part in (self.xs, self.ys, self.low, self.high) if part is not None
        }
        if len(lengths) > 1 or (self.low is None) != (self.high is None):
            raise BadSettings(
                f"curve {self.name!r} is uneven; xs and ys must have one length, and low and high,"
                " when given, both be there with the same"
            )


@dataclass(frozen=True)
class Bar:
    """One bar of `bar_plot`, with the interval [low, high] around its end; see `Curve`."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    style: Style = "strategy"
    tone: int | None = None


@dataclass(frozen=True)
class Band:
    """A stretch of the x axis, shaded: where the drift level stood at WARNING or DRIFT."""

    low: float
    high: float
    level: Level


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

    `marks` are upright lines (drift, adoptions); their names stand above the plot in up to
    three rows, and a name that finds no room there is left out. `bands` are shaded behind the
    curves. With `log_y` what is not above 0 is a gap. At most `CURVES_MAX` curves are drawn.
    Raises BadSettings without matplotlib.
    """
    inks = inks_of(curves[:CURVES_MAX])
    drawn = [(columns_of(curve, log_y), ink) for curve, ink in zip(curves, inks, strict=False)]
    drawn = [(columns, ink) for columns, ink in drawn if not np.isnan(columns[1]).all()]
    marks = [(x, name) for x, name in marks if is_drawable(x)]
    marked = finite([x for x, _ in marks])
    lines = [left_out(len(curves) - CURVES_MAX), note]
    if not drawn:
        return figure_of(title, "", [], [*lines, "No points yet."])
    x_low, x_high = reach_of([*(c[0] for c, _ in drawn), marked], time_x=time_x)
    y_low, y_high = reach_of([column for c, _ in drawn for column in c[1:]])
    y_pad = 0.04 * (y_high - y_low)
    y_limits = (y_low / 1.3, y_high * 1.3) if log_y else (y_low - y_pad, y_high + y_pad)
    if percent_y and y_low >= 0.0 and y_high <= 1.0:
        y_limits = (max(y_limits[0], 0.0), min(y_limits[1], 1.0))
    frame = Frame(height=300, left=70 if percent_y else 96)
    flags = place_flags(marks, x_low, x_high, frame.inner_width)
    frame.top = 8 + 14 * (1 + max((flag.row for flag in flags), default=-1))

    def paint(axes: Axes) -> None:
        x_axis(axes, x_low, x_high, x_label, time_x=time_x)
        if log_y:
            log_axis(axes, *y_limits)
        axes.set_ylim(*y_limits)
        axes.set_ylabel(shortened(y_label, 40))
        axes.yaxis.set_major_formatter(lambda v, _: tick(v, percent_y))
        paint_bands(axes, bands)
        for columns, ink in drawn:
            paint_curve(axes, columns, ink)
        paint_marks(axes, flags, marked, frame)

    keys = [(curve.name, ink) for curve, ink in zip(curves, inks, strict=False)]
    keys += inks_of_bands(bands)
    return figure_of(title, svg_of(frame, title, paint), keys, lines)


def bar_plot(
    bars: Sequence[Bar],
    *,
    title: str,
    x_label: str,
    percent_x: bool = True,
    note: str = "",
) -> Html:
    """Horizontal bars from the top, each with its interval and its value in figures.

    A bar whose value is not finite keeps its row and shows a dash. At most `ROWS_DRAWN_MAX` bars
    are drawn. Raises BadSettings without matplotlib.
    """
    shown = bars[:ROWS_DRAWN_MAX]
    lines = [left_out(len(bars) - len(shown)), note]
    if not shown:
        return figure_of(title, "", [], [*lines, "No bars yet."])
    ends = [e for b in shown for e in (b.value, b.low, b.high, 0.0) if e is not None]
    low, high = reach_of([np.array(ends, dtype=np.float64)])
    room = 0.14 * (high - low)  # for the figures beside the bars
    limits = (low - room if low < 0 else low, high + room if high > 0 else high)
    frame = Frame(height=58 + 28 * len(shown), left=names_width([b.name for b in shown]))
    inks = inks_of(shown)

    def paint(axes: Axes) -> None:
        x_axis(axes, *limits, x_label, time_x=False, percent_x=percent_x)
        y_rows(axes, [bar.name for bar in shown])
        axes.axvline(0.0, color=INK, linewidth=0.8, alpha=0.6)
        for i, (bar, ink) in enumerate(zip(shown, inks, strict=True)):
            paint_bar(axes, i, bar, ink, percent_x)

    return figure_of(title, svg_of(frame, title, paint), [], lines)


def events_plot(
    rows: Sequence[tuple[str, Sequence[float]]],
    *,
    title: str,
    x_label: str,
    x_range: tuple[float, float] | None = None,
    time_x: bool = False,
    note: str = "",
) -> Html:
    """When something happened, a row for each name: drift of several signals over the stream.

    At the right of a row stands how often. `x_range` is the stretch of stream watched, so that
    quiet parts show too; events outside widen it. At most `ROWS_DRAWN_MAX` rows are drawn. Raises
    BadSettings without matplotlib.
    """
    shown = [(name, finite(xs)) for name, xs in rows[:ROWS_DRAWN_MAX]]
    lines = [left_out(len(rows) - len(shown)), note]
    reach = [xs for _, xs in shown] + [np.array(x_range or (), dtype=np.float64)]
    if not any(xs.size for xs in reach) or not shown:
        return figure_of(title, "", [], [*lines, "No events yet."])
    low, high = reach_of(reach, time_x=time_x)
    left = names_width([name for name, _ in shown])
    frame = Frame(height=58 + 24 * len(shown), left=left, right=52)

    def paint(axes: Axes) -> None:
        x_axis(axes, low, high, x_label, time_x=time_x)
        y_rows(axes, [name for name, _ in shown])
        for i, (_, xs) in enumerate(shown):
            axes.plot([low, high], [i, i], color=INK, linewidth=0.8, alpha=0.2)
            told = apart(xs, (high - low) * 2.0 / frame.inner_width)
            axes.plot(*uprights(told, i - 0.32, i + 0.32), color=PALETTE[1], linewidth=1.8)
            axes.annotate(
                count(xs.size), (high, i), (8, 0), textcoords="offset points", va="center"
            )

    return figure_of(title, svg_of(frame, title, paint), [], lines)
