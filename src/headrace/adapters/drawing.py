"""How plots are drawn: sizes, inks, axes, and matplotlib's SVG made bare.

What is drawn is decided in `plots`. Only here is matplotlib met, and it is imported at the first
plot.
"""

from __future__ import annotations

import io
import math
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import BadSettings
from .markup import Html, cleaned, escaped, note_line, percent, shortened, tick

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .plots import Band, Bar, Curve

Floats: TypeAlias = NDArray[np.float64]

POINTS_MAX = 400  # of one line; longer ones are thinned, extremes kept
FLAG_ROWS_MAX = 3  # of names of marks over a plot; a name without room there is left out

_LETTER = 6.2  # points; the width of a letter in the plots, taken rather too wide
_NAME_MAX = 34  # letters of a name at the left of a plot
INK = "#010203"  # stands for the page's text colour until `_strip` puts `currentColor`
_LOG_MIN = 1e-12  # smaller values are no matter of a logarithmic scale
_VALUE_MAX = 1e30  # what is larger is not drawn, since an axis would overflow
_GREY = "#808080"
# At least 3:1 against white and against the dark page. The first four stay apart in every kind of
# colour blindness; the next ones are told apart by their dashes as well.
PALETTE = ("#1f74c9", "#d55e00", "#0c9f78", "#c9579c", "#9a7d00", "#3a9bc1")
# Shades behind a plot, and what is above its threshold.
BAND_COLOURS = {"warning": "#d9a400", "drift": "#d8352a"}
_BAND_ALPHA = 0.18
_DASHES: tuple[tuple[float, ...], ...] = ((), (9, 2.5), (9, 2.5, 2, 2.5), (4, 1.5, 1, 1.5))


@dataclass(frozen=True)
class Ink:
    """How a curve or a bar looks."""

    colour: str
    dashes: tuple[float, ...]
    width: float
    alpha: float = 1.0


@dataclass(frozen=True)
class Flag:
    """The name of a mark, in its row above the plot, left or right of its line."""

    x: float
    name: str
    row: int
    is_left: bool


@dataclass
class Frame:
    """The size of a plot and its margins, in points of the SVG."""

    height: float
    left: float
    top: float = 8
    right: float = 26  # room for half of the last number on the axis
    bottom: float = 46
    width: float = 760

    @property
    def inner_width(self) -> float:
        return self.width - self.left - self.right

    @property
    def inner_height(self) -> float:
        return self.height - self.top - self.bottom


def inks_of(shown: Sequence[Curve] | Sequence[Bar]) -> list[Ink]:
    inks, next_tone = [], 0
    for one in shown:
        if one.style == "random":
            inks.append(Ink(_GREY, (5, 3), 1.8))
        elif one.style == "all":
            inks.append(Ink(INK, (1.4, 2.2), 1.8))
        else:
            tone = next_tone if one.tone is None else one.tone
            next_tone += 1
            dashes = _DASHES[(tone + 2) // len(PALETTE) % len(_DASHES)]
            inks.append(Ink(PALETTE[tone % len(PALETTE)], dashes, 2.0))
    return inks


def columns_of(curve: Curve, is_log: bool = False) -> list[Floats]:
    """xs, ys and, if there, low and high, with NaN for gaps; a row without x is dropped.

    On a logarithmic scale there is nothing at 0 and below.
    """
    parts = [part for part in (curve.xs, curve.ys, curve.low, curve.high) if part is not None]
    columns = [known(part) for part in parts]
    if is_log:
        columns[1:] = [np.where(column > _LOG_MIN, column, np.nan) for column in columns[1:]]
    is_there = ~np.isnan(columns[0])
    return [column[is_there] for column in columns]


def known(values: Sequence[float] | Floats) -> Floats:
    """What cannot be drawn is NaN."""
    column = np.array(values, dtype=np.float64)
    return np.where(np.abs(column) < _VALUE_MAX, column, np.nan)


def is_drawable(value: float) -> bool:
    return abs(value) < _VALUE_MAX


def finite(xs: Sequence[float] | Floats) -> Floats:
    column = known(xs)
    return np.sort(column[~np.isnan(column)])


def reach_of(columns: Sequence[Floats], *, time_x: bool = False) -> tuple[float, float]:
    """The least and the largest value; a single value gets some room on both sides."""
    values = np.concatenate([finite(column) for column in columns])
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    largest = max(abs(low), abs(high))
    if high - low > max(1e-12 * largest, 1e-30):
        return low, high
    room = 60.0 if time_x else max(0.05 * largest, 1e-9) if largest else 0.5
    return low - room, high + room


def thin(columns: Sequence[Floats], points_max: int) -> NDArray[np.intp]:
    """Indices of the rows to keep: the first, the last, and in equal stretches between them each
    column's least and largest, so that no spike is lost. A stretch of gaps keeps one of them.
    """
    n = len(columns[0])
    if n <= points_max:
        return np.arange(n)
    stretches_n = max(1, (points_max - 2) // (2 * len(columns)))
    kept = [0, n - 1]
    for a, b in pairwise(np.linspace(0, n, stretches_n + 1).astype(int).tolist()):
        for column in columns:
            there = a + np.flatnonzero(np.isfinite(column[a:b]))
            if there.size:
                values = column[there]
                kept += [int(there[values.argmin()]), int(there[values.argmax()])]
            else:
                kept.append(a)
    return np.unique(np.array(kept, dtype=np.intp))


def paint_curve(axes: Axes, columns: list[Floats], ink: Ink) -> None:
    xs, ys = columns[:2]
    if len(columns) == 4:
        low, high = columns[2:]
        i = thin([low, high], POINTS_MAX)
        is_gap = ~(np.isfinite(low[i]) & np.isfinite(high[i]))
        for stretch in np.split(i, np.flatnonzero(is_gap)):
            j = stretch[np.isfinite(low[stretch]) & np.isfinite(high[stretch])]
            if not j.size:
                continue
            there_and_back = np.concatenate([xs[j], xs[j][::-1]])
            around = np.concatenate([low[j], high[j][::-1]])
            axes.fill(there_and_back, around, color=ink.colour, alpha=0.14, linewidth=0)
    i = thin([ys], POINTS_MAX)
    (line,) = axes.plot(xs[i], ys[i], color=ink.colour, linewidth=ink.width)
    if ink.dashes:
        line.set_dashes(ink.dashes)
    if np.isfinite(ys[i]).sum() == 1:  # a line of one point would not be seen
        line.set_data(xs[i][np.isfinite(ys[i])].repeat(2), ys[i][np.isfinite(ys[i])].repeat(2))
        line.set(solid_capstyle="round", linestyle="-", linewidth=6)


def paint_bands(axes: Axes, bands: Sequence[Band]) -> None:
    """Shaded stretches from top to bottom, as far as they lie within the plot; one too short to be
    seen is a line.
    """
    x_low, x_high = axes.get_xlim()
    across = axes.get_xaxis_transform()
    for band in bands:
        low, high = max(band.low, x_low), min(band.high, x_high)
        if low > high:
            continue
        corners = [low, high, high, low], [0.0, 0.0, 1.0, 1.0]
        colour = BAND_COLOURS[band.level]
        axes.fill(*corners, color=colour, alpha=_BAND_ALPHA, linewidth=0, transform=across)
        axes.plot([low, low], [0, 1], color=colour, linewidth=0.8, alpha=0.5, transform=across)


def inks_of_bands(bands: Sequence[Band]) -> list[tuple[str, Ink]]:
    """The legend of the bands that there are."""
    levels = {band.level for band in bands}
    return [
        (level.upper(), Ink(colour, (), 8.0, 2 * _BAND_ALPHA))
        for level, colour in BAND_COLOURS.items()
        if level in levels
    ]


def log_axis(axes: Axes, low: float, high: float) -> None:
    """A logarithmic y axis around [low, high], above 0, with ticks at round numbers."""
    axes.set_yscale("log")
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(decades) <= 3 else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    axes.set_yticks([value for value in ticks if low <= value <= high])
    axes.set_yticks([], minor=True)


def paint_bar(axes: Axes, i: int, bar: Bar, ink: Ink, percent_x: bool) -> None:
    if not is_drawable(bar.value):
        axes.annotate("–", (0, i), (6, 0), textcoords="offset points", va="center")
        return
    ends = [e for e in (bar.low, bar.high) if e is not None and is_drawable(e)]
    axes.barh([i], [bar.value], height=0.62, color=ink.colour, alpha=0.75)
    if len(ends) == 2:
        axes.plot(ends, [i, i], color=INK, linewidth=1.6, alpha=0.85)
    words = percent(bar.value) if percent_x else tick(bar.value, False)
    is_right = bar.value >= 0
    outer = max([bar.value, *ends]) if is_right else min([bar.value, *ends])
    axes.annotate(
        words, (outer, i), (6 if is_right else -6, 0), textcoords="offset points", va="center",
        ha="left" if is_right else "right",
    )  # fmt: skip


def place_flags(
    marks: Sequence[tuple[float, str]], x_low: float, x_high: float, width: float
) -> list[Flag]:
    """The names that find room in three rows above the plot, served from the right: there a flag
    flies over those already placed, and its pole need not go through their names.
    """
    flags: list[Flag] = []
    taken: list[tuple[float, float, float, int]] = []  # from, to, pole, row
    for x, name in sorted(set(marks), reverse=True):
        short = shortened(name, 24)
        pole, long = (x - x_low) / (x_high - x_low) * width, _LETTER * len(short) + 10
        is_left = pole + long > width
        a, b = (pole - long, pole) if is_left else (pole, pole + long)
        for row in range(FLAG_ROWS_MAX if short else 0):
            if all(
                (other != row or b <= c or d <= a)  # the names are apart
                and (other > row or not c < pole < d)  # my pole misses the other name
                and (row > other or not a < p < b)  # and the other pole mine
                for c, d, p, other in taken
            ):
                taken.append((a, b, pole, row))
                flags.append(Flag(x, short, row, is_left))
                break
    return flags


def paint_marks(axes: Axes, flags: list[Flag], xs: Floats, frame: Frame) -> None:
    """Upright lines through the plot; a name hangs on the top of its line like a flag."""
    low, high = axes.get_xlim()
    across = axes.get_xaxis_transform()
    told = apart(xs, (high - low) * 2.0 / frame.inner_width)
    axes.plot(*uprights(told, 0.0, 1.0), color=INK, linewidth=1, alpha=0.4, transform=across)
    for flag in flags:
        top = 1.0 + (14 * flag.row + 12) / frame.inner_height
        line = uprights(np.array([flag.x]), 1.0, top)
        axes.plot(*line, color=INK, linewidth=1, alpha=0.4, transform=across)
        axes.annotate(
            flag.name,
            (flag.x, 1.0),
            (-4 if flag.is_left else 4, 14 * flag.row + 3),
            xycoords=across,
            textcoords="offset points",
            fontsize=10.5,
            ha="right" if flag.is_left else "left",
        )


def uprights(xs: Floats, y_low: float, y_high: float) -> tuple[Floats, Floats]:
    """Many upright lines as one, with gaps between them."""
    return xs.repeat(3), np.tile([y_low, y_high, np.nan], len(xs))


def apart(xs: Floats, step: float) -> Floats:
    """Sorted xs without those that would fall on the line drawn before them."""
    return xs[np.unique(np.floor(xs / step), return_index=True)[1]]


def x_axis(
    axes: Axes, low: float, high: float, label: str, *, time_x: bool, percent_x: bool = False
) -> None:
    axes.set_xlim(low, high)
    axes.set_xlabel(shortened(label, 80))
    axes.xaxis.set_major_formatter(lambda v, _: tick(v, percent_x))
    if time_x:
        _date_axis(axes, low, high, label)


def _date_axis(axes: Axes, low: float, high: float, label: str) -> None:
    """Ticks at whole hours, days, months (UTC) on an axis in seconds since the epoch."""
    dates: Any = import_module("matplotlib.dates")
    try:
        first, last = (datetime.fromtimestamp(at, UTC) for at in (low, high))
    except (ValueError, OverflowError, OSError):
        return  # no date that a calendar knows: the seconds stay
    locator = dates.AutoDateLocator(tz=UTC, minticks=4, maxticks=9)
    words = dates.ConciseDateFormatter(locator, tz=UTC)
    days = locator.tick_values(first, last)
    seconds = [day.timestamp() for day in dates.num2date(days, UTC)]
    ticks = list(zip(seconds, words.format_ticks(days), strict=True))
    ticks = [(at, word) for at, word in ticks if low <= at <= high]
    axes.set_xticks([at for at, _ in ticks], [word for _, word in ticks])
    days_named = " – ".join(dict.fromkeys([f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"]))
    axes.set_xlabel(f"{shortened(label, 80)} (UTC, {days_named})")


def y_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [shortened(name, _NAME_MAX) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", pad=8)
    axes.grid(visible=False, axis="y")


def names_width(names: Sequence[str]) -> float:
    return 28 + _LETTER * max(len(shortened(name, _NAME_MAX)) for name in names)


def svg_of(frame: Frame, title: str, paint: Callable[[Axes], None]) -> str:
    """One plot as inline SVG. The reader's matplotlib settings are set aside and given back, which
    is not for two threads at once.
    """
    try:
        import matplotlib  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise BadSettings(
            "plots need matplotlib, which is not here; run pip install 'headrace[plots]'"
        ) from error
    drawn = io.StringIO()
    with matplotlib.rc_context(), warnings.catch_warnings():
        # The page's font shows the text: what matplotlib's own font lacks does not matter.
        warnings.filterwarnings("ignore", message="(?s)Glyph .* missing")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        figure = Figure(figsize=(frame.width / 72, frame.height / 72), dpi=72)
        figure.patch.set_visible(False)
        axes = figure.add_axes(
            (
                frame.left / frame.width,
                frame.bottom / frame.height,
                frame.inner_width / frame.width,
                frame.inner_height / frame.height,
            )
        )
        axes.patch.set_visible(False)
        axes.tick_params(length=0)
        paint(axes)
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    root = _strip(ET.fromstring(drawn.getvalue()))
    root.attrib = {
        "viewBox": f"0 0 {frame.width:g} {frame.height:g}",
        "role": "img",
        "aria-label": cleaned(title),
    }
    return ET.tostring(root, encoding="unicode")


_SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "headrace",
    "text.parse_math": False,  # a dollar in a name is a dollar
    "font.size": 12,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "xtick.major.pad": 6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.13,
}


def _strip(element: ET.Element) -> ET.Element:
    """The drawing alone: no names of namespaces, ids, clips, groups or fonts. Nothing needs to be
    clipped, since every axis reaches around all it shows, and without ids many plots share a page.
    """
    bare = ET.Element(element.tag.rpartition("}")[2])
    bare.text = element.text.strip() if element.text else None
    for name, value in element.attrib.items():
        if name == "style":
            rules = [rule for rule in value.split("; ") if not rule.startswith("font-family")]
            bare.set("style", "; ".join(rules).replace(INK, "currentColor"))
        elif name == "d":
            bare.set("d", " ".join(_rounded(value).split()))
        elif name in ("x", "y") or (name == "transform" and not value.startswith("rotate(-0 ")):
            bare.set(name, _rounded(value))
    for child in element:
        if child.tag.rpartition("}")[2] not in ("metadata", "defs"):
            part = _strip(child)
            bare.extend(list(part) if part.tag == "g" and not part.attrib else [part])
    return bare


def _rounded(numbers: str) -> str:
    return re.sub(r"(\.\d)\d+", r"\1", numbers)


def figure_of(title: str, svg: str, keys: Sequence[tuple[str, Ink]], lines: Sequence[str]) -> Html:
    """The plot with its title above and, outside the data, its legend and notes below."""
    legend = "".join(f"<li>{_key(ink)}{escaped(name)}</li>" for name, ink in keys)
    return Html(
        f"<figure>\n<figcaption>{escaped(title)}</figcaption>\n"
        + (f'<div class="scroll plot" tabindex="0">{svg}</div>\n' if svg else "")
        + (f'<ul class="legend">{legend}</ul>\n' if legend else "")
        + "".join(note_line(line) for line in lines)
        + "</figure>"
    )


def _key(ink: Ink) -> str:
    colour = "currentColor" if ink.colour == INK else ink.colour
    dashes = " ".join(f"{dash * ink.width:g}" for dash in ink.dashes) or "none"
    faint = f"; stroke-opacity: {ink.alpha:g}" if ink.alpha < 1.0 else ""
    return (
        '<svg viewBox="0 0 34 8" width="34" height="8" aria-hidden="true"><path d="M0 4H34" style="'
        f"stroke: {colour}; stroke-width: {ink.width + 0.4:g}; stroke-dasharray: {dashes}{faint}"
        '"/></svg>'
    )
