"""How plots are drawn: curves, bars and bands onto matplotlib's axes, and its SVG into a page.

matplotlib is an extra, imported at the first plot. Its SVG goes into the page without ids and name
spaces, with its ink as the page's text colour, so that it follows a dark page.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import BadSettings
from .markup import Html, escape_text, format_tick, note_line, percent, shorten_text

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats: TypeAlias = NDArray[np.float64]
Values: TypeAlias = Sequence[float] | Floats
Style: TypeAlias = Literal["strategy", "random", "all"]
Level: TypeAlias = Literal["warning", "drift"]

POINTS_MAX = 400  # of one line; longer ones are thinned, extremes kept

INK = "#010203"  # stands for the page's text colour until the plot is in the page
GREY = "#808080"
# At least 3:1 against white and against the dark page. The first four stay apart in every kind of
# colour blindness; the next ones are told apart by their dashes as well.
PALETTE = ("#1f74c9", "#d55e00", "#0c9f78", "#c9579c", "#9a7d00", "#3a9bc1")
BAND_COLOURS = {"warning": "#d9a400", "drift": "#d8352a"}

_WIDTH = 760.0  # points of the SVG
_DASHES = ("-", "--", "-.", ":")
_LOG_MIN = 1e-12  # smaller values are gaps on a logarithmic scale
VALUE_MAX = 1e30  # larger values are not drawn, since an axis would overflow
_STRIP_TOP = 2.0  # in thresholds: a strip is cut there; the figure beside it is not


@dataclass(frozen=True, eq=False)
class Curve:
    """One line of a plot: `xs`, `ys` and, if known, `low` and `high` around it, all of length n.

    Values that are not finite are gaps. `style` "random" is the baseline (grey, dashed), "all" the
    model that learned from every label (ink, dotted). `tone` fixes the place in the palette, so
    that a strategy keeps its colour from plot to plot; `None`: the place among the strategies here.
    """

    name: str
    xs: Values
    ys: Values
    low: Values | None = None
    high: Values | None = None
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
    """A shaded stretch of the x axis where the drift level was WARNING or DRIFT."""

    low: float
    high: float
    level: Level


# ------------------------------------------------------------------------------- what is drawn


def looks_of(shown: Sequence[Curve] | Sequence[Bar]) -> list[dict[str, Any]]:
    """Colour and dashes of each curve or bar, as matplotlib's keyword arguments."""
    looks: list[dict[str, Any]] = []
    next_tone = 0
    for item in shown:
        if item.style == "random":
            looks.append({"color": GREY, "linestyle": "--"})
        elif item.style == "all":
            looks.append({"color": INK, "linestyle": ":"})
        else:
            tone = next_tone if item.tone is None else item.tone
            next_tone += 1
            dashes = _DASHES[(tone + 2) // len(PALETTE) % len(_DASHES)]
            looks.append({"color": PALETTE[tone % len(PALETTE)], "linestyle": dashes})
    return looks


def columns_of(curve: Curve, is_log: bool) -> list[Floats]:
    """The arrays xs, ys and, if set, low and high, NaN for gaps; rows without x are dropped."""
    parts = [part for part in (curve.xs, curve.ys, curve.low, curve.high) if part is not None]
    columns = [mark_gaps(part) for part in parts]
    if is_log:
        columns[1:] = [np.where(column > _LOG_MIN, column, np.nan) for column in columns[1:]]
    is_there = ~np.isnan(columns[0])
    return [column[is_there] for column in columns]


def mark_gaps(values: Values) -> Floats:
    """Return the values with NaN for those that can't be drawn."""
    column = np.array(values, dtype=np.float64)
    return np.where(np.abs(column) < VALUE_MAX, column, np.nan)


def keep_finite(values: Values) -> Floats:
    column = mark_gaps(values)
    return np.sort(column[~np.isnan(column)])


def reach_of(columns: Sequence[Values], *, time_x: bool = False) -> tuple[float, float]:
    """The least and the largest value; a single value gets some room on both sides."""
    values = np.concatenate([keep_finite(column) for column in columns])
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    largest = max(abs(low), abs(high))
    if high - low > max(1e-12 * largest, 1e-30):
        return low, high
    room = 60.0 if time_x else max(0.05 * largest, 1e-9) if largest else 0.5
    return low - room, high + room


def make_uprights(xs: Floats, y_low: float, y_high: float) -> tuple[Floats, Floats]:
    """The xs and ys of vertical lines at `xs`, drawn as one line with gaps."""
    return xs.repeat(3), np.tile([y_low, y_high, np.nan], len(xs))


def thin_rows(columns: Sequence[Floats], points_max: int) -> NDArray[np.intp]:
    """Indices of at most `points_max` rows to keep: the first, the last, and in equal stretches
    between them each column's least and largest, so that no spike is lost. A stretch of nothing but
    gaps keeps one of them.
    """
    n = len(columns[0])
    if n <= points_max:
        return np.arange(n)
    stretches_n = max(1, (points_max - 2) // (2 * len(columns)))
    rows = [0, n - 1]
    for a, b in pairwise(np.linspace(0, n, stretches_n + 1).astype(int).tolist()):
        for column in columns:
            finite = a + np.flatnonzero(np.isfinite(column[a:b]))
            if finite.size:
                values = column[finite]
                rows += [int(finite[values.argmin()]), int(finite[values.argmax()])]
            else:
                rows.append(a)
    return np.unique(np.array(rows, dtype=np.intp))


def keep_apart(xs: Floats, limits: tuple[float, float], parts_n: int = 350) -> Floats:
    """Drop those of the sorted xs that would be drawn on the one before them."""
    step = (limits[1] - limits[0]) / parts_n
    return xs[np.unique(np.floor(xs / step), return_index=True)[1]]


# --------------------------------------------------------------------------------- onto the axes


def paint_curve(axes: Axes, columns: list[Floats], look: dict[str, Any]) -> Artist:
    """Draw a line from `columns_of`, shaded between low and high; return it for the legend."""
    xs, ys = columns[:2]
    if len(columns) == 4:
        i = thin_rows(columns[2:], POINTS_MAX)
        fill_between(axes, xs[i], columns[2][i], columns[3][i], color=look["color"], alpha=0.14)
    i = thin_rows([ys], POINTS_MAX)
    (line,) = axes.plot(xs[i], ys[i], linewidth=1.8, **look)
    if np.isfinite(ys[i]).sum() == 1:  # a line of one point would not be seen
        line.set_data(xs[i][np.isfinite(ys[i])].repeat(2), ys[i][np.isfinite(ys[i])].repeat(2))
        line.set(solid_capstyle="round", linestyle="-", linewidth=6)
    return line


def fill_between(axes: Axes, xs: Floats, low: Floats, high: Floats, **look: Any) -> Artist | None:
    """Fill between two lines, gaps left out. matplotlib's own function makes SVG that needs ids."""
    filled = None
    is_there = np.isfinite(low) & np.isfinite(high)
    for stretch in np.split(np.arange(len(xs)), np.flatnonzero(~is_there)):
        j = stretch[is_there[stretch]]
        if j.size:
            around = np.concatenate([low[j], high[j][::-1]])
            (filled,) = axes.fill([*xs[j], *xs[j][::-1]], around, linewidth=0, **look)
    return filled


def paint_bands(axes: Axes, bands: Sequence[Band]) -> list[tuple[Artist, str]]:
    """Shade the bands as far as they lie within the plot; return the keys of their legend."""
    x_low, x_high = axes.get_xlim()
    keys: dict[str, Artist] = {}
    for band in bands:
        low, high = max(band.low, x_low), min(band.high, x_high)
        if low <= high:
            colour = BAND_COLOURS[band.level]
            keys[band.level.upper()] = axes.axvspan(low, high, color=colour, alpha=0.18)
    return [(key, level) for level, key in sorted(keys.items(), reverse=True)]


def paint_marks(axes: Axes, marks: Sequence[tuple[float, str]]) -> None:
    """Draw vertical lines, with their names above as far as there is room, from the right."""
    limits = axes.get_xlim()
    xs = keep_apart(np.array(sorted(x for x, _ in marks)), limits)
    across = axes.get_xaxis_transform()
    axes.plot(*make_uprights(xs, 0.0, 1.0), color=INK, linewidth=1, alpha=0.4, transform=across)
    ticks: list[tuple[float, str]] = []
    free = math.inf
    letter = (limits[1] - limits[0]) / 110
    for x, name in sorted(set(marks), reverse=True):
        short = shorten_text(name, 24)
        if short and x + letter * (len(short) / 2 + 1) < free:
            ticks.append((x, short))
            free = x - letter * (len(short) / 2 + 1)
    if ticks:
        above = axes.secondary_xaxis("top")
        above.set_xticks([x for x, _ in ticks], [name for _, name in ticks])
        above.tick_params(length=0, labelsize=10.5)
        above.spines["top"].set_visible(False)


def paint_bar(axes: Axes, i: int, bar: Bar, colour: str, percent_x: bool) -> None:
    """Draw a bar in row i with its interval and its value; a dash if the value is not finite."""
    if not abs(bar.value) < VALUE_MAX:
        axes.annotate("–", (0, i), (6, 0), textcoords="offset points", va="center")
        return
    ends = [e for e in (bar.low, bar.high) if e is not None and abs(e) < VALUE_MAX]
    axes.barh([i], [bar.value], height=0.62, color=colour, alpha=0.75)
    if len(ends) == 2:
        axes.plot(ends, [i, i], color=INK, linewidth=1.6, alpha=0.85)
    words = percent(bar.value) if percent_x else format_tick(bar.value, False)
    is_right = bar.value >= 0
    outer = max([bar.value, *ends]) if is_right else min([bar.value, *ends])
    shift, side = (6, "left") if is_right else (-6, "right")
    axes.annotate(words, (outer, i), (shift, 0), textcoords="offset points", va="center", ha=side)


def paint_strip(axes: Axes, i: int, xs: Floats, ys: Floats) -> None:
    """Draw a strip between rows i + 0.4 (zero) and i - 0.4 (twice the threshold)."""
    floor, unit = i + 0.4, 0.8 / _STRIP_TOP
    is_there = np.isfinite(xs) & np.isfinite(ys)
    axes.axhline(floor, color=INK, linewidth=0.8, alpha=0.3)
    axes.axhline(floor - unit, color=INK, linewidth=0.8, alpha=0.5, linestyle="--")
    if not is_there.any():
        write_at_right(axes, i, "–")
        return
    write_at_right(axes, i, format_tick(float(f"{ys[is_there].max():.3g}"), False))
    rows = np.flatnonzero(is_there)[thin_rows([ys[is_there]], POINTS_MAX)]
    # A statistic holds until it is computed again.
    at, cut = np.repeat(xs[rows], 2)[1:], np.repeat(np.clip(ys[rows], 0.0, _STRIP_TOP), 2)[:-1]
    heights = floor - unit * cut
    zero = np.full(len(at), floor)
    fill_between(axes, at, heights, zero, color=PALETTE[0], alpha=0.35)
    if cut.max() > 1.0:
        above = np.minimum(heights, floor - unit)
        fill_between(axes, at, above, zero - unit, color=BAND_COLOURS["drift"], alpha=0.85)
    axes.plot(at, heights, color=PALETTE[0], linewidth=1.2)


def paint_x_axis(
    axes: Axes, limits: tuple[float, float], label: str, *, time_x: bool, percent_x: bool = False
) -> None:
    """Set limits, label and ticks of the x axis: dates with `time_x`, shares with `percent_x`."""
    axes.set_xlim(*limits)
    axes.set_xlabel(shorten_text(label, 80))
    axes.xaxis.set_major_formatter(lambda v, _: format_tick(v, percent_x))
    if time_x:
        _paint_dates(axes, *limits, label)


def _paint_dates(axes: Axes, low: float, high: float, label: str) -> None:
    """Set ticks at whole hours, days, months (UTC) on an axis in seconds since the epoch."""
    dates: Any = import_module("matplotlib.dates")
    try:
        first, last = (datetime.fromtimestamp(at, UTC) for at in (low, high))
    except (ValueError, OverflowError, OSError):
        return  # beyond the calendar: the ticks stay in seconds
    locator = dates.AutoDateLocator(tz=UTC, minticks=4, maxticks=9)
    words = dates.ConciseDateFormatter(locator, tz=UTC)
    days = locator.tick_values(first, last)
    seconds = [day.timestamp() for day in dates.num2date(days, UTC)]
    ticks = list(zip(seconds, words.format_ticks(days), strict=True))
    ticks = [(at, word) for at, word in ticks if low <= at <= high]
    axes.set_xticks([at for at, _ in ticks], [word for _, word in ticks])
    days_named = " – ".join(dict.fromkeys([f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"]))
    axes.set_xlabel(f"{shorten_text(label, 80)} (UTC, {days_named})")


def paint_y_axis(axes: Axes, limits: tuple[float, float], label: str, is_percent: bool) -> None:
    axes.set_ylim(*limits)
    axes.set_ylabel(shorten_text(label, 40))
    axes.yaxis.set_major_formatter(lambda v, _: format_tick(v, is_percent))


def paint_log_axis(axes: Axes, low: float, high: float) -> None:
    """Set a logarithmic y axis for [low, high], above 0, with ticks at round numbers."""
    axes.set_yscale("log")
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(decades) <= 3 else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    axes.set_yticks([value for value in ticks if low <= value <= high])
    axes.set_yticks([], minor=True)


def paint_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [shorten_text(name, 34) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def write_at_right(axes: Axes, i: int, words: str) -> None:
    across = axes.get_yaxis_transform()
    axes.annotate(words, (1.0, i), (8, 0), xycoords=across, textcoords="offset points", va="center")


# ----------------------------------------------------------------------------------- to the page


def draw_svg(height: float, title: str, paint: Callable[[Axes], list[tuple[Artist, str]]]) -> str:
    """Draw one plot as inline SVG, `height` points high; `paint` returns the keys of its legend.

    matplotlib's settings are replaced while it draws, so two threads must not draw at once.
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
        # The page's font shows the text, so signs that matplotlib's font lacks don't matter.
        warnings.filterwarnings("ignore", message="(?s)Glyph .* missing")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        figure = Figure(figsize=(_WIDTH / 72, height / 72), dpi=72, layout="constrained")
        axes = figure.subplots()
        axes.tick_params(length=0)
        height += 20 * _add_legend(figure, paint(axes))
        figure.set_figheight(height / 72)
        for artist in figure.findobj():
            artist.set_clip_on(False)  # every axis reaches around all it shows
        figure.savefig(drawn, format="svg", metadata={"Date": None}, transparent=True)
    return _strip_svg(drawn.getvalue(), title, height)


def _add_legend(figure: Figure, keys: Sequence[tuple[Artist, str]]) -> int:
    """Put the legend below the plot; return its number of rows."""
    if not keys:
        return 0
    names = [shorten_text(name, 80) for _, name in keys]
    columns_n = max(1, min(len(names), 105 // (max(map(len, names)) + 7)))
    artists = [artist for artist, _ in keys]
    figure.legend(artists, names, loc="outside lower left", ncols=columns_n, frameon=False)
    return math.ceil(len(names) / columns_n)


def _strip_svg(svg: str, title: str, height: float) -> str:
    """Strip ids, name spaces and fonts from the SVG, so that many plots can share a page."""
    inner = svg[svg.index("<svg") :].partition(">")[2].rpartition("</svg>")[0]
    inner = re.sub(r"<(metadata|defs)>.*?</\1>", "", inner, flags=re.DOTALL)
    inner = re.sub(r"<!--.*?-->|\s+id=\"[^\"]*\"", "", inner, flags=re.DOTALL)
    inner = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", inner)
    inner = re.sub(r' d="[^"]*"', lambda path: _shortened_path(path[0]), inner)
    box = f'viewBox="0 0 {_WIDTH:g} {height:g}" role="img" aria-label="{escape_text(title)}"'
    return f"<svg {box}>{inner.replace(INK, 'currentColor')}</svg>"


def _shortened_path(path: str) -> str:
    """Put a path on one line, with one digit after each decimal point."""
    return " " + " ".join(re.sub(r"(\.\d)\d+", r"\1", path).split())


def figure_of(title: str, svg: str, lines: Sequence[str]) -> Html:
    """Wrap a plot in a figure with its title above and its notes below."""
    return Html(
        f"<figure>\n<figcaption>{escape_text(title)}</figcaption>\n"
        + (f'<div class="scroll plot" tabindex="0">{svg}</div>\n' if svg else "")
        + "".join(note_line(line) for line in lines)
        + "</figure>"
    )


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
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.13,
}
