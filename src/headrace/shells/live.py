"""The live terminal view: a `Report` and what is remembered of earlier ones, as lines of text.

It draws and decides nothing, reads no clock, and writes nowhere: `live_view` returns something that
rich can print. Every line is cut to the width and the lines are as many as the height, so that no
terminal wraps or scrolls; below 60 columns or 20 lines the end is missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich.console import Group
from rich.text import Text

from ..learn.estimate import Estimate
from ..messages import DriftChanged, LabelRequested, ModelAdopted, Output
from ..report import Report

POINTS_MAX = 2_000
"""Points of one track; at the limit every other one is dropped."""
MARKS_MAX = 500
"""Marks on the axis; at the limit the oldest is dropped."""
REQUESTS_MAX = 30

OURS, TRUE, THEIRS, BAND = "bold cyan", "green", "magenta", "dim cyan"
LEVEL_STYLES = {"STABLE": "green", "WARNING": "bold yellow", "DRIFT": "bold red"}
LETTERS = "a adopted  D drift  w warning  s stable"
REASONS = ("control", "cold start", "round", "drift", "ordered")


@dataclass
class Track:
    """One line of the plot: points (events, share), at most `POINTS_MAX` of them."""

    name: str
    style: str
    points: list[tuple[int, float]] = field(default_factory=list)

    def add(self, events_n: int, share: float | None) -> None:
        """One more point; a share not known, or too near the last one to be seen, is left out."""
        if share is None:
            return
        if self.points:
            first_n, last_n = self.points[0][0], self.points[-1][0]
            if events_n <= last_n or (events_n - last_n) * POINTS_MAX < events_n - first_n:
                return
        self.points.append((events_n, share))
        if len(self.points) > POINTS_MAX:
            del self.points[1::2]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened when so many events had been seen: a letter under the plot.

    One with `is_line` is drawn through the plot as well.
    """

    events_n: int
    letter: str
    style: str
    is_line: bool = False


class History:
    """What the view remembers: estimates with their intervals, marks, the latest requests.

    >>> from headrace import Engine
    >>> history = History()
    >>> history.note(Engine().report, [])
    >>> history.accuracy.points, list(history.requests)
    ([], [])
    """

    def __init__(self) -> None:
        self.accuracy = Track("estimated", OURS)
        self.low = Track("", BAND)
        self.high = Track("", BAND)
        self.marks: deque[Mark] = deque(maxlen=MARKS_MAX)
        self.requests: deque[LabelRequested] = deque(maxlen=REQUESTS_MAX)

    def note(self, report: Report, outputs: Iterable[Output]) -> None:
        """Take in a report, and what left the engine since the one before."""
        found = report.accuracy
        if found.to_seq is not None:
            self.accuracy.add(found.to_seq, found.accuracy)
            self.low.add(found.to_seq, found.low)
            self.high.add(found.to_seq, found.high)
        for output in outputs:
            if isinstance(output, LabelRequested):
                self.requests.append(output)
            elif isinstance(output, DriftChanged):
                letter = {"STABLE": "s", "WARNING": "w", "DRIFT": "D"}[output.level]
                self.marks.append(Mark(report.events_n, letter, LEVEL_STYLES[output.level]))
            elif isinstance(output, ModelAdopted):
                self.marks.append(Mark(report.events_n, "a", "bold blue"))


@dataclass(frozen=True, slots=True)
class Rated:
    """One row of accuracy: an estimate, and the truth over the same events where it is known."""

    name: str
    style: str
    estimate: Estimate
    true: float | None = None


def live_view(
    report: Report,
    history: History,
    *,
    width: int,
    height: int,
    rated: Sequence[Rated] = (),
    tracks: Sequence[Track] = (),
    until_n: int | None = None,
    foot: str = "",
) -> Group:
    """The view as `height` lines of at most `width` columns.

    `rated` are the rows of accuracy (none: the report's own), `tracks` further lines of the plot,
    `until_n` the events at its right end where that is known, `foot` the text of the last line.
    """
    rows = rated or [Rated("estimated", OURS, report.accuracy)]
    # What the fixed lines leave is shared: to the columns first, then the plot, then requests.
    spare = max(0, height - 6 - len(rows))
    column_n = min(12, max(8, spare * 4 // 10))
    plot_n = min(16, max(4, (spare - column_n) * 6 // 10))
    requests_n = max(0, spare - plot_n - column_n)
    half = (width - 2) // 2
    lines = [_head(report, width), _rule("accuracy", width, _legend(history, tracks))]
    lines += [_rated(row, width) for row in rows]
    lines += _plot([history.accuracy, *tracks], history, width, plot_n, until_n or report.events_n)
    level = report.drift_level
    left = [_rule("budget and labels", half), *_spending(report, half)]
    right = [
        _rule("drift and annotators", width - half - 2, Text(level, style=LEVEL_STYLES[level])),
        *_watched(report, width - half - 2, column_n),
    ]
    lines += _beside(left, right, half, column_n + 1)
    lines.append(_rule("latest requests", width))
    lines += [_request(request) for request in list(history.requests)[::-1][:requests_n]]
    lines = lines[: height - 1]
    lines += [Text("")] * (height - 1 - len(lines))
    lines.append(_justified(Text(foot, style="dim"), Text(LETTERS, style="dim"), width))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
        line.truncate(width, overflow="ellipsis")
    return Group(*lines)


# ------------------------------------------------------------------------------- head and rows


def _head(report: Report, width: int) -> Text:
    state = "cold start" if report.is_cold else "retraining" if report.is_retraining else "warm"
    left = Text.assemble(
        ("headrace", "bold"),
        f" {report.stream}  ",
        (f"{report.events_n:,}", "bold"),
        " events",
    )
    right = Text.assemble(
        f"{report.strategy}, {state}  model {report.model_version:,}  ",
        (f" {report.drift_level} ", f"reverse {LEVEL_STYLES[report.drift_level]}"),
    )
    return _justified(left, right, width)


def _rule(title: str, width: int, right: Text | None = None) -> Text:
    end = Text.assemble(" ", right, " ─") if right else Text("")
    line = Text.assemble(("── ", "dim"), (title, "bold"), " ")
    line.append("─" * max(0, width - line.cell_len - end.cell_len), style="dim")
    return line.append_text(end)


def _legend(history: History, tracks: Sequence[Track]) -> Text:
    parts: list[tuple[str, str] | str] = []
    for track in (history.accuracy, *tracks):
        parts += [("⠤⠤ ", track.style), f"{track.name}  "]
    return Text.assemble(*parts, ("░", BAND), " 95 %")


def _rated(row: Rated, width: int) -> Text:
    """Name, share and interval, a gauge from 0 to 1 with the interval and the truth, the truth."""
    found = row.estimate
    line = Text.assemble((f"{row.name[:12]:<12}", row.style), " ")
    if found.accuracy is None or found.low is None or found.high is None:
        return line.append("no label has come back yet", style="dim")
    line.append(f"{found.accuracy:6.1%}", style=row.style)
    line.append(f"  {found.low:5.1%} to {found.high:6.1%}  ")
    tail = f"  {found.labels_n:,} labels"
    if row.true is not None:
        tail += f"  true {row.true:6.1%}"
    cells_n = max(4, width - line.cell_len - len(tail))

    def place(share: float) -> int:
        return min(cells_n - 1, int(share * cells_n))

    for i in range(cells_n):
        if i == place(found.accuracy):
            line.append("●", style=row.style)
        elif row.true is not None and i == place(row.true):
            line.append("┃", style=TRUE)
        elif place(found.low) <= i <= place(found.high):
            line.append("━", style=row.style)
        else:
            line.append("·", style="dim")
    return line.append(tail)


# ------------------------------------------------------------------------------------ the plot

# Braille: bit of the dot in column c (0, 1) and row r (0 to 3) of a cell.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_AXIS = 6


class _Grid:
    """Cells of two by four dots over events [0, until_n] and shares [floor, 1]."""

    def __init__(self, width: int, rows: int, until_n: int, floor: float) -> None:
        self.width, self.rows, self.until_n, self.floor = width, rows, max(1, until_n), floor
        self.bits = [[0] * width for _ in range(rows)]
        self.styles = [[""] * width for _ in range(rows)]

    def x(self, events_n: int) -> int:
        return min(2 * self.width - 1, events_n * 2 * self.width // self.until_n)

    def y(self, share: float) -> int:
        above = (1.0 - share) / (1.0 - self.floor)
        return min(4 * self.rows - 1, max(0, int(above * 4 * self.rows)))

    def draw(self, track: Track) -> None:
        before: tuple[int, int] | None = None
        for events_n, share in track.points:
            x, y = self.x(events_n), self.y(share)
            x0, y0 = before or (x, y)
            for step in range(x0, x + 1):
                there = y if x == x0 else y0 + round((y - y0) * (step - x0) / (x - x0))
                self.bits[there // 4][step // 2] |= _DOTS[step % 2][there % 4]
                self.styles[there // 4][step // 2] = track.style
            before = x, y

    def band(self, low: Track, high: Track) -> dict[int, tuple[int, int]]:
        """By column, the rows (top, bottom) of the interval; it holds until the next point."""
        found: dict[int, tuple[int, int]] = {}
        for (events_n, lo), (_, hi) in zip(low.points, high.points, strict=False):
            cell = self.x(events_n) // 2
            for between in range(max(found, default=cell) + 1, cell):
                found[between] = found[between - 1]
            found[cell] = self.y(hi) // 4, self.y(lo) // 4
        return found


def _plot(
    tracks: Sequence[Track], history: History, width: int, rows: int, until_n: int
) -> list[Text]:
    # The first few labels say next to nothing: the lowest twentieth may lie below the floor.
    shares = sorted(share for track in tracks for _, share in track.points) or [0.5]
    floor = min(0.9, int(shares[len(shares) // 20] * 10) / 10)
    grid = _Grid(max(1, width - _AXIS), rows, until_n, floor)
    for track in reversed(tracks):
        grid.draw(track)
    band = grid.band(history.low, history.high)
    verticals = {grid.x(mark.events_n) // 2: mark for mark in history.marks if mark.is_line}
    lines = []
    for row in range(rows):
        share = 1.0 - (1.0 - grid.floor) * row / rows
        line = Text(f"{share:4.0%} ┤" if row % 2 == 0 else "     │", style="dim")
        for cell in range(grid.width):
            top, bottom = band.get(cell, (rows, -1))
            if grid.bits[row][cell]:
                line.append(chr(0x2800 + grid.bits[row][cell]), style=grid.styles[row][cell])
            elif cell in verticals:
                line.append("│", style=verticals[cell].style)
            elif top <= row <= bottom:
                line.append("░", style=BAND)
            else:
                line.append(" ")
        lines.append(line)
    return [*lines, _axis(grid, history)]


def _axis(grid: _Grid, history: History) -> Text:
    """The lower edge with a letter for each mark, and the number of events at its end."""
    end = f" {grid.until_n:,}"
    letters = {grid.x(mark.events_n) // 2: mark for mark in history.marks}
    line = Text(f"{grid.floor:4.0%} └", style="dim")
    for cell in range(grid.width - len(end)):
        if cell in letters:
            line.append(letters[cell].letter, style=letters[cell].style)
        else:
            line.append("─", style="dim")
    return line.append(end, style="dim")


# --------------------------------------------------------------------------------- the columns


def _spending(report: Report, width: int) -> list[Text]:
    paid_n = report.asked_n - report.refunded_n
    earned_n = paid_n + report.budget_available_n
    unsettled_n = report.disputed_n + report.expired_n + report.withdrawn_n
    lines = [
        Text.assemble(
            f"{'paid':<11}", *_bar(paid_n / max(1, earned_n), width - 27, "cyan"), f" {paid_n:,}"
        ).append(f" of {earned_n:,}"),
        Text.assemble(f"{'requests':<11}", (f"{report.open_n:,}", "bold"), " open, ").append(
            f"{report.rounds_n:,} rounds"
        ),
        Text(f"{'ended':<11}{report.settled_n:,} settled, {unsettled_n:,} unsettled"),
        Text(f"{'retrained':<11}{report.retrained_n:,}, adopted {report.adopted_n:,}"),
    ]
    most_n = max(report.asked_by_reason.values(), default=1)
    for reason in REASONS:
        n = report.asked_by_reason.get(reason, 0)
        if n:
            lines.append(
                Text.assemble(f"{reason:<11}", *_bar(n / most_n, width - 27, "blue"), f" {n:,}")
            )
    return lines


def _watched(report: Report, width: int, rows: int) -> list[Text]:
    """Statistics, the highest first, each against its own threshold; then the annotators."""
    lines = []
    statistics = sorted(report.drift_statistics.items(), key=lambda pair: (-pair[1], pair[0]))
    are_listed = rows >= min(5, len(statistics)) + len(report.annotators) and width >= 60
    for name, ratio in statistics[: rows if are_listed else rows - 1]:
        style = "red" if ratio >= 1.0 else "yellow" if ratio >= 0.75 else "green"
        bar = _bar(min(1.0, ratio / 2.0), width - 25, style)
        lines.append(Text.assemble(f"{name[:17]:<18}", *bar, f" {ratio:5.2f}"))
    if not are_listed:
        shares = [
            f"{a.agreed_n / a.compared_n:.0%}" if a.compared_n else "-" for a in report.annotators
        ]
        return [*lines, Text(f"{'agreed':<11}{' '.join(shares) or 'nobody yet'}")]
    for a in report.annotators:
        agreed = f"{a.agreed_n / a.compared_n:4.0%}" if a.compared_n else "   -"
        late = f"{a.mean_latency_s:6,.0f} s late" if a.mean_latency_s is not None else ""
        lines.append(Text(f"{a.name[:17]:<18}{a.answers_n:5,} answers {agreed} agreed{late}"))
    return lines


def _bar(share: float, width: int, style: str) -> list[tuple[str, str]]:
    width = max(4, width)
    full = min(width, max(0, round(share * width)))
    return [("█" * full, style), ("░" * (width - full), "dim")]


def _request(request: LabelRequested) -> Text:
    likely = max(request.prediction, key=lambda name: request.prediction[name], default="")
    guess = f"{likely} {request.prediction[likely]:.0%}" if likely else "no prediction"
    return Text.assemble(
        f"event {request.event_id[:14]:<8} ",
        (f"{request.reason:<11}", "blue"),
        f" chance {request.propensity:7.2%}",
        f"  utility {request.utility:6.3f}  ",
        (guess, "dim"),
    )


# ----------------------------------------------------------------------------------- the lines


def _beside(left: list[Text], right: list[Text], half: int, rows: int) -> list[Text]:
    lines = []
    for i in range(rows):
        first = left[i].copy() if i < len(left) else Text("")
        first.truncate(half, overflow="ellipsis", pad=True)
        lines.append(first.append("  ").append_text(right[i] if i < len(right) else Text("")))
    return lines


def _justified(left: Text, right: Text, width: int) -> Text:
    return left.append(" " * max(1, width - left.cell_len - right.cell_len)).append_text(right)
