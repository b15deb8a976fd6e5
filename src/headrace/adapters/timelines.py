"""Plots of a run over time: one strip a statistic, and layers that add up. See `plots`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .drawing import (
    BAND_COLOURS,
    INK,
    PALETTE,
    POINTS_MAX,
    Floats,
    Frame,
    Ink,
    figure_of,
    inks_of_bands,
    known,
    names_width,
    paint_bands,
    reach_of,
    svg_of,
    thin,
    x_axis,
    y_rows,
)
from .markup import Html, left_out, shortened, tick
from .plots import Band

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STRIPS_MAX = 40  # of one plot; the rest is left out, and the note under the plot says so
LAYERS_MAX = len(PALETTE)  # likewise

_STRIP_TOP = 2.0  # in thresholds: a strip is cut there, and the figure beside it tells the rest


def strips_plot(
    rows: Sequence[tuple[str, Sequence[float] | Floats]],
    xs: Sequence[float] | Floats,
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
    threshold; the highest value stands at its right. At most `STRIPS_MAX` strips are drawn. Raises
    BadSettings without matplotlib.
    """
    shown = [(name, known(ys)) for name, ys in rows[:STRIPS_MAX]]
    at = known(xs)
    lines = [left_out(len(rows) - len(shown)), note]
    if not shown or not np.isfinite(at).any():
        return figure_of(title, "", [], [*lines, "No points yet."])
    low, high = reach_of([at], time_x=time_x)
    left = names_width([name for name, _ in shown])
    frame = Frame(height=58 + 40 * len(shown), left=left, right=52)

    def paint(axes: Axes) -> None:
        x_axis(axes, low, high, x_label, time_x=time_x)
        y_rows(axes, [name for name, _ in shown])
        paint_bands(axes, bands)
        for i, (_, ys) in enumerate(shown):
            _paint_strip(axes, i, at, ys, (low, high))

    return figure_of(title, svg_of(frame, title, paint), inks_of_bands(bands), lines)


def layers_plot(
    layers: Sequence[tuple[str, Sequence[float] | Floats]],
    xs: Sequence[float] | Floats,
    *,
    title: str,
    x_label: str,
    y_label: str,
    bands: Sequence[Band] = (),
    time_x: bool = False,
    note: str = "",
) -> Html:
    """Layers on one another over the same `xs`, the first at the bottom; the top is their sum.

    Values are 0 and above. At most `LAYERS_MAX` layers are drawn. Raises BadSettings without
    matplotlib.
    """
    shown = layers[:LAYERS_MAX]
    at = known(xs)
    lines = [left_out(len(layers) - len(shown)), note]
    if not shown or not np.isfinite(at).any():
        return figure_of(title, "", [], [*lines, "No points yet."])
    columns = [np.nan_to_num(known(ys)) for _, ys in shown]
    kept = thin(columns, POINTS_MAX)
    at, columns = at[kept], [column[kept] for column in columns]
    tops = np.cumsum(columns, axis=0)
    low, high = reach_of([at], time_x=time_x)
    frame = Frame(height=300, left=96)
    inks = [Ink(colour, (), 8.0, 0.75) for colour in PALETTE[: len(shown)]]

    def paint(axes: Axes) -> None:
        x_axis(axes, low, high, x_label, time_x=time_x)
        axes.set_ylim(0.0, max(float(tops[-1].max()) * 1.04, 1.0))
        axes.set_ylabel(shortened(y_label, 40))
        axes.yaxis.set_major_formatter(lambda v, _: tick(v, False))
        paint_bands(axes, bands)
        bottom = np.zeros(len(at))
        for top, ink in zip(tops, inks, strict=True):
            there_and_back = np.concatenate([at, at[::-1]])
            around = np.concatenate([bottom, top[::-1]])
            axes.fill(there_and_back, around, color=ink.colour, alpha=ink.alpha, linewidth=0)
            bottom = top

    keys = [(name, ink) for (name, _), ink in zip(shown, inks, strict=True)]
    return figure_of(title, svg_of(frame, title, paint), keys + inks_of_bands(bands), lines)


def _paint_strip(axes: Axes, i: int, xs: Floats, ys: Floats, limits: tuple[float, float]) -> None:
    """One strip between rows i + 0.4 (zero) and i - 0.4 (twice the threshold)."""
    floor, unit = i + 0.4, 0.8 / _STRIP_TOP
    is_there = np.isfinite(xs) & np.isfinite(ys)
    axes.plot(limits, [floor, floor], color=INK, linewidth=0.8, alpha=0.3)
    axes.plot(
        limits, [floor - unit] * 2, color=INK, linewidth=0.8, alpha=0.5, linestyle=(0, (4, 3))
    )
    peak = "–"
    if is_there.any():
        peak = tick(float(f"{ys[is_there].max():.3g}"), False)
        kept = np.flatnonzero(is_there)[thin([ys[is_there]], POINTS_MAX)]
        at, cut = xs[kept], np.clip(ys[kept], 0.0, _STRIP_TOP)
        # A statistic stands until it is computed again.
        at, cut = np.repeat(at, 2)[1:], np.repeat(cut, 2)[:-1]
        there_and_back = np.concatenate([at, at[::-1]])
        around = np.concatenate([floor - unit * cut, np.full(len(at), floor)])
        axes.fill(there_and_back, around, color=PALETTE[0], alpha=0.35, linewidth=0)
        if cut.max() > 1.0:
            above = floor - unit * np.maximum(cut, 1.0)
            around = np.concatenate([above, np.full(len(at), floor - unit)])
            colour = BAND_COLOURS["drift"]
            axes.fill(there_and_back, around, color=colour, alpha=0.85, linewidth=0)
        axes.plot(at, floor - unit * cut, color=PALETTE[0], linewidth=1.2)
    axes.annotate(peak, (limits[1], i), (8, 0), textcoords="offset points", va="center")
