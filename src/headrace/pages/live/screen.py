"""A live view on a terminal: when to draw, and what a report can't know (the pace, the age).

`Screen` owns the wall clock and the terminal and nothing else. Its caller passes it the outputs of
an engine and, when it `is_due`, a report. The caller may be a loop over files or an asyncio worker,
since nothing here waits.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ...adapters.printing import make_console, say
from ...messages import Output
from ...report import Report
from .view import Pulse, ViewHistory, draw_view

REFRESH_S = 0.25
PACE_S = 10.0
"""The pace is measured over this many latest seconds."""
NOTES_MAX = 100
"""Sentences kept for the end; at the limit the oldest is dropped."""


class Screen:
    """Shows the essentials while it is entered, and gives the terminal back at the end.

    Where the console is no terminal it calls `on_note` once with a sentence and then does nothing:
    `is_shown` is false, `is_due` never true. `foot` is the text of the last line, `clock` monotonic
    seconds, `now` the time of day in seconds.

    >>> import io
    >>> from headrace import Engine
    >>> console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
    >>> with Screen(console=console) as screen:
    ...     screen.happened([])
    ...     screen.update(Engine().report, lag_n=0)
    >>> "up to date" in console.file.getvalue()
    True
    """

    def __init__(
        self,
        *,
        console: Console | None = None,
        foot: str = "Ctrl-C stops",
        on_note: Callable[[str], None] = say,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.console = console or make_console()
        self.history = ViewHistory()
        self.is_shown = self.console.is_terminal and not self.console.is_dumb_terminal
        self._foot = foot
        self._note = on_note
        self._notes: deque[str] = deque(maxlen=NOTES_MAX)
        self._clock = clock
        self._now = now
        self._events_n = 0
        self._seen: Report | None = None
        self._next_at = clock()
        self._paces: deque[tuple[float, int]] = deque()
        self._live: Live | None = None

    def __enter__(self) -> Screen:
        if self.is_shown:
            self._live = Live(console=self.console, screen=True, auto_refresh=False)
            self._live.__enter__()
            self._live.update(Text("headrace is reading what it knows already"), refresh=True)
        else:
            self._note("--live needs a terminal, and this is none; going on without it")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)
            self._live = None
        for sentence in self._notes:
            self._note(sentence)
        self._notes.clear()

    @property
    def is_due(self) -> bool:
        """Whether an `update` now would be drawn; true about four times a second."""
        return self._live is not None and self._clock() >= self._next_at

    def note(self, sentence: str) -> None:
        """Show a sentence at the foot of the view, and print it when the view has ended."""
        if self._live is None:
            self._note(sentence)
        else:
            self._notes.append(sentence)

    def happened(self, outputs: Iterable[Output]) -> None:
        """Add outputs of the engine; cheap, and meant to be called for all of them."""
        if self._live is not None:
            self.history.add_outputs(outputs, self._events_n)

    def update(
        self,
        report: Report,
        *,
        events_n: int | None = None,
        lag_n: int | None = None,
        lag_unit: str = "bytes",
    ) -> None:
        """Draw, unless the last drawing ended less than `REFRESH_S` ago.

        The report may be some time old: `events_n` is how many events were seen by now. `lag_n` is
        how far the reader is behind its input, in `lag_unit`.
        """
        if not self.is_due or self._live is None:
            return
        if report is not self._seen:
            self.history.add_report(report)
            self._seen = report
        self._events_n = max(report.events.observed_n, events_n or 0)
        pulse = Pulse(
            events_n=self._events_n,
            per_s=self._measure_pace(),
            lag_n=lag_n,
            lag_unit=lag_unit,
            age_s=None if report.events.last_at is None else self._now() - report.events.last_at,
        )
        width, height = self.console.size
        foot = self._notes[-1] if self._notes else self._foot
        view = draw_view(report, self.history, width=width, height=height, pulse=pulse, foot=foot)
        self._live.update(view, refresh=True)
        # From the end of the drawing, so that a slow terminal gets fewer pictures, not a slow run.
        self._next_at = self._clock() + REFRESH_S

    def _measure_pace(self) -> float | None:
        """Events a second over the last `PACE_S`; None at first."""
        now = self._clock()
        self._paces.append((now, self._events_n))
        while len(self._paces) > 2 and now - self._paces[1][0] >= PACE_S:
            self._paces.popleft()
        then, before_n = self._paces[0]
        return (self._events_n - before_n) / (now - then) if now > then else None
