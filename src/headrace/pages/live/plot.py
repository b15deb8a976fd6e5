"""The live view's plot: shares over events as lines of dots, with an interval and marks beneath.

This module makes lines of text; it knows no reports, terminals or time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

from rich.text import Text

POINTS_MAX = 2_000
"""Points of one track; at the limit every other one is dropped."""

BAND = "dim cyan"


@dataclass
class Track:
    """One line of the plot: points (events, share), at most `POINTS_MAX` of them."""

    name: str
    style: str
    points: list[tuple[int, float]] = field(default_factory=list)

    def add(self, events_n: int, share: float | None) -> None:
        """Add a point, unless its share is unknown or it is too near the last point to be seen."""
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
    """Something that happened after `events_n` events: a letter under the plot.

    With `is_line` a line through the plot is drawn as well.
    """

    events_n: int
    letter: str
    style: str
    is_line: bool = False


def plot_lines(
    tracks: Sequence[Track],
    interval: tuple[Track, Track],
    marks: Iterable[Mark],
    *,
    width: int,
    rows: int,
    until_n: int,
) -> list[Text]:
    """Plot the tracks over events [0, until_n] in `rows` lines of `width` signs; the axis adds one.

    The first track is on top. `interval` has the lower and the upper end of its interval.
    """
    # The first few labels say little: the lowest twentieth of shares may lie below the floor.
    shares = sorted(share for track in tracks for _, share in track.points) or [0.5]
    floor = min(0.9, int(shares[len(shares) // 20] * 10) / 10)
    grid = _Grid(max(1, width - _AXIS), rows, until_n, floor)
    for track in reversed(tracks):
        grid.draw_track(track)
    band = grid.rows_between(*interval)
    shown = list(marks)
    verticals = {grid.column_of(mark.events_n) // 2: mark for mark in shown if mark.is_line}
    lines = []
    for row in range(rows):
        share = 1.0 - (1.0 - grid.floor) * row / rows
        line = Text.assemble((f"{share:4.0%} ┤" if row % 2 == 0 else "     │", "dim"))
        cells: list[tuple[str, str]] = []
        for cell in range(grid.width):
            top, bottom = band.get(cell, (rows, -1))
            if grid.bits[row][cell]:
                cells.append((chr(0x2800 + grid.bits[row][cell]), grid.styles[row][cell]))
            elif cell in verticals:
                cells.append(("│", verticals[cell].style))
            else:
                cells.append(("░", BAND) if top <= row <= bottom else (" ", ""))
        lines.append(_append_cells(line, cells))
    return [*lines, _make_axis(grid, shown)]


# --------------------------------------------------------------------------------------- parts

# Braille: bit of the dot in column c (0, 1) and row r (0 to 3) of a cell.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_AXIS = 6


class _Grid:
    """Cells of two by four dots over events [0, until_n] and shares [floor, 1]."""

    def __init__(self, width: int, rows: int, until_n: int, floor: float) -> None:
        self.width, self.rows, self.until_n, self.floor = width, rows, max(1, until_n), floor
        self.bits = [[0] * width for _ in range(rows)]
        self.styles = [[""] * width for _ in range(rows)]

    def column_of(self, events_n: int) -> int:
        return min(2 * self.width - 1, events_n * 2 * self.width // self.until_n)

    def row_of(self, share: float) -> int:
        above = (1.0 - share) / (1.0 - self.floor)
        return min(4 * self.rows - 1, max(0, int(above * 4 * self.rows)))

    def draw_track(self, track: Track) -> None:
        before: tuple[int, int] | None = None
        for events_n, share in track.points:
            x, y = self.column_of(events_n), self.row_of(share)
            x0, y0 = before or (x, y)
            for step in range(x0, x + 1):
                dot = y if x == x0 else y0 + round((y - y0) * (step - x0) / (x - x0))
                self.bits[dot // 4][step // 2] |= _DOTS[step % 2][dot % 4]
                self.styles[dot // 4][step // 2] = track.style
            before = x, y

    def rows_between(self, low: Track, high: Track) -> dict[int, tuple[int, int]]:
        """The rows (top, bottom) of the interval by column; they hold until the next point."""
        rows_of: dict[int, tuple[int, int]] = {}
        last: int | None = None
        for (events_n, lo), (_, hi) in zip(low.points, high.points, strict=False):
            cell = self.column_of(events_n) // 2
            for between in range(cell if last is None else last + 1, cell):
                rows_of[between] = rows_of[between - 1]
            rows_of[cell] = self.row_of(hi) // 4, self.row_of(lo) // 4
            last = cell
        return rows_of


def _make_axis(grid: _Grid, marks: Iterable[Mark]) -> Text:
    """The lower edge with a letter for each mark, and the number of events at its end."""
    end = f" {grid.until_n:,}"
    letters = {grid.column_of(mark.events_n) // 2: mark for mark in marks}
    cells = [
        (letters[cell].letter, letters[cell].style) if cell in letters else ("─", "dim")
        for cell in range(grid.width - len(end))
    ]
    return _append_cells(Text.assemble((f"{grid.floor:4.0%} └", "dim")), cells).append(
        end, style="dim"
    )


def _append_cells(line: Text, cells: Iterable[tuple[str, str]]) -> Text:
    """Append cells to the line, neighbours of one style in one piece: pieces cost rich time."""
    for style, group in groupby(cells, key=itemgetter(1)):
        line.append("".join(sign for sign, _ in group), style=style or None)
    return line
