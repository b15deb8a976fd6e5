"""`headrace demo`: a real stream, a drift half way, Headrace against a twin that asks at random.

On a terminal it is paced so that a person can watch; anywhere else it prints plain lines and does
not wait. The pace changes nothing that is decided. What is played is in `demo.duel`, the view in
`live`; this is the command, the clock and the screen.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from ...adapters.metrics.serving import Served, serve
from ...adapters.metrics.timings import Timings
from ...adapters.printing import make_console
from ...errors import BadSettings
from ...messages import DriftChanged, ModelAdopted, ModelRolledBack, Output
from ...pages.chronicle import Chronicle
from ...pages.live.view import OURS, THEIRS, TRUE, Mark, Rated, Track, ViewHistory, draw_view
from ...pages.report.page import as_html
from ...pages.report.parts import describe_features
from ...pages.report.quality import Twin
from ...report.building import move_times
from ...settings.http import HttpSettings
from ..report import check_page, write_page
from .duel import EVENTS_MIN, Batch, Duel, Side, make_stream

EVENTS_N = 12_000
SPEED = 250.0
REFRESH_S = 0.2
LINES_N = 24
EXIT_INTERRUPTED = 130
SAMPLES_N = 200


@dataclass
class DemoRecord:
    """The record of a duel, for its page; two points of a plot are `step_n` events apart.

    >>> record = DemoRecord.for_duel(Duel.against_random(1_000, seed=7), events_n=1_000)
    >>> record.step_n
    5
    """

    duel: Duel
    chronicle: Chronicle
    step_n: int
    twin: Twin = field(default_factory=Twin)
    sampled_n: int = 0

    @classmethod
    def for_duel(cls, duel: Duel, events_n: int) -> DemoRecord:
        return cls(duel, Chronicle(duel.ours.engine.settings), max(1, events_n // SAMPLES_N))

    def add_outputs(self, outputs: Sequence[Output], *, is_last: bool = False) -> None:
        """Add outputs that left our engine just now; `is_last` adds the last point of the plots."""
        report = self.duel.ours.engine.report
        self.chronicle.add_outputs(outputs, report.events.observed_n)
        self.chronicle.add_statistics(report.drift.statistics)
        if is_last or report.events.observed_n - self.sampled_n >= self.step_n:
            self.sampled_n = report.events.observed_n
            self.chronicle.add_sample(report)
            ours, theirs = (side.engine.report.estimates.accuracy for side in self.duel.sides)
            self.twin.add_estimates(
                (ours, self.duel.ours.true_of(ours)), (theirs, self.duel.twin.true_of(theirs))
            )

    def as_html(self) -> str:
        """Make the page, after the duel. Raises `BadSettings` without matplotlib."""
        self.chronicle.features = describe_features(self.duel.ours.engine.schema)
        # On the page a cell has no indent.
        rows = [(row[0].replace("  ", "… "), *row[1:]) for row in self.duel.list_rows()]
        begun = (float(self.duel.ours.half_n), "drift put in")
        twin = replace(self.twin, rows=rows, verdict=self.duel.state_verdict(), marks=[begun])
        return as_html(self.chronicle, twin=twin)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `demo` to the command line."""
    parser = subparsers.add_parser(
        "demo",
        help="watch it work on a stream that drifts",
        description=(
            "Plays real data with a drift half way to Headrace and to a twin that asks at random, "
            "answered by simulated annotators who are late and sometimes wrong."
        ),
    )
    parser.add_argument(
        "--events", type=int, default=EVENTS_N, metavar="N", help="length (default %(default)s)"
    )
    parser.add_argument(
        "--port", type=int, default=0, help="port of /metrics on loopback; 0: a free one"
    )
    parser.add_argument(
        "--speed",
        type=float,
        metavar="EVENTS",
        help=f"events a second at most, 0: no limit (default {SPEED:g} on a terminal, else 0)",
    )
    parser.add_argument("--plain", action="store_true", help="lines of text, no live view")
    parser.add_argument("--seed", type=int, default=7, help="seed (default %(default)s)")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write a page with the plots at the end"
    )
    parser.set_defaults(func=run_demo)


def run_demo(args: argparse.Namespace, console: Console | None = None) -> int:
    """Run `headrace demo`; return 0 if it was played to the end, 130 if it was interrupted.

    Raises `BadSettings` for a wrong argument, and for a port that is taken.
    """
    console = console or make_console()
    is_plain = bool(args.plain) or not console.is_terminal
    speed = args.speed if args.speed is not None else SPEED if console.is_terminal else 0.0
    _check_arguments(args.events, args.port, speed, args.seed)
    show = Show(Duel.against_random(args.events, args.seed), args.events)
    if args.report is not None:
        check_page(args.report)
        show.told = DemoRecord.for_duel(show.duel, args.events)
    served = _serve_metrics(show, args.port)
    try:
        for line in show.introduce_show(served.url):
            _print_line(console, line)
        batches, pace = make_stream(args.events, args.seed), _Pace(speed)
        if is_plain:
            _play_plain(show, batches, console, pace)
        else:
            _play_live(show, batches, console, pace, served.url)
        show.end_requests()
        console.print(make_closing_table(show.duel, is_plain))
        for line in (
            show.duel.state_verdict(),
            "One run is one throw of the dice: docs/DEMO.md has five of them.",
        ):
            # On a terminal words are kept whole; for a file a line stays a line.
            console.print(line, markup=False, highlight=False, soft_wrap=is_plain)
        if show.told is not None:
            write_page(args.report, show.told.as_html())
            _print_line(console, f"The page with the plots: {args.report}")
    except KeyboardInterrupt:
        seen_n = show.duel.ours.engine.shard.events_n
        console.print(f"Interrupted after {seen_n:,} of {show.events_n:,} events.", highlight=False)
        return EXIT_INTERRUPTED
    finally:
        served.close()
    return 0


def _check_arguments(events_n: int, port: int, speed: float, seed: int) -> None:
    faults = []
    if events_n < EVENTS_MIN:
        faults.append(f"--events is {events_n}; must be at least {EVENTS_MIN}")
    if not 0 <= port <= 65_535:
        faults.append(f"--port is {port}; must be 0 to 65535")
    if not speed >= 0:
        faults.append(f"--speed is {speed:g}; must be at least 0 (events a second)")
    if not 0 <= seed < 1 << 62:
        faults.append(f"--seed is {seed}; must be at least 0 and below 2**62")
    if faults:
        raise BadSettings(faults)


def _serve_metrics(show: Show, port: int) -> Served:
    try:
        return serve(lambda: show.dated, http=HttpSettings(port=port), timings=show.timings)
    except BadSettings as error:
        why = error.__cause__ or error
        raise BadSettings(
            f"/metrics can't listen on port {port} ({why}); give another --port, or 0 for any"
        ) from error


def _play_plain(show: Show, batches: Iterable[Batch], console: Console, pace: _Pace) -> None:
    for batch in batches:
        for line in show.play_batch(batch):
            _print_line(console, line)
        pace.sleep_for_events(len(batch[0]))


def _play_live(
    show: Show, batches: Iterable[Batch], console: Console, pace: _Pace, url: str
) -> None:
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for batch in batches:
            show.play_batch(batch)
            if pace.is_refresh_due():
                live.update(show.draw_show(*console.size, url), refresh=True)
            pace.sleep_for_events(len(batch[0]))


def _print_line(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


class _Pace:
    """Waits by the wall clock, so that at most `speed` events pass in a second; 0: no limit."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._next_at = time.monotonic()
        self._drawn_at = 0.0

    def sleep_for_events(self, events_n: int) -> None:
        if self.speed <= 0:
            return
        self._next_at += events_n / self.speed
        wait_s = self._next_at - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        else:
            # Time lost on a slow machine is not made up for by a rush.
            self._next_at = time.monotonic()

    def is_refresh_due(self) -> bool:
        now = time.monotonic()
        if now - self._drawn_at < REFRESH_S:
            return False
        self._drawn_at = now
        return True


@dataclass
class Show:
    """A duel under way and what is shown of it.

    `dated` is the report that /metrics shows. Its times are of the clock of the day: each event has
    the time when it was played.
    """

    duel: Duel
    events_n: int
    told: DemoRecord | None = None
    history: ViewHistory = field(default_factory=ViewHistory)
    ours_true: Track = field(default_factory=lambda: Track("true", TRUE))
    twin_true: Track = field(default_factory=lambda: Track("random twin, true", THEIRS))

    def __post_init__(self) -> None:
        self.timings = Timings(self.duel.ours.engine.settings.stream)
        # The same moments by the time of the stream and by the clock of the day.
        self._stream_at: list[float] = []
        self._day_at: list[float] = []
        self._watch_outputs()

    def _watch_outputs(self) -> None:
        self.report = report = self.duel.ours.engine.report
        if report.events.last_at is not None:
            self._stream_at.append(report.events.last_at)
            self._day_at.append(time.time())
        # Assigned whole: another thread may read it at any instant.
        self.dated = move_times(report, self._date_event)

    def _date_event(self, at: float) -> float:
        return float(np.interp(at, self._stream_at, self._day_at))

    def play_batch(self, batch: Batch) -> list[str]:
        """Play one batch; return lines about what happened."""
        before_n = self.report.events.observed_n
        started = time.perf_counter()
        outputs = self.duel.ours.play_batch(batch)
        self.timings.count_fed(len(batch[0]), time.perf_counter() - started, 0.0)
        self.duel.twin.play_batch(batch)
        self._watch_outputs()
        report = self.report
        half_n = self.events_n // 2
        lines = []
        if before_n < half_n <= report.events.observed_n:
            self.history.marks.append(Mark(half_n, "▲", "bold red", is_line=True))
            lines.append(f"{half_n:>7,}  the columns are shifted: the drift begins")
        if self.told is not None:
            self.told.add_outputs(outputs)
        self.history.add_report(report)
        self.history.add_outputs(outputs, report.events.observed_n)
        for side, track in zip(self.duel.sides, (self.ours_true, self.twin_true), strict=True):
            estimate = side.engine.report.estimates.accuracy
            if estimate.accuracy is not None and estimate.to_seq is not None:
                track.add(estimate.to_seq, side.true_of(estimate))
        lines += [line for line in map(self._describe_output, outputs) if line]
        step_n = max(1, self.events_n // LINES_N)
        if before_n // step_n < report.events.observed_n // step_n:
            lines.append(self._describe_status())
        return lines

    def end_requests(self) -> None:
        """Let time pass until every request has ended."""
        outputs = self.duel.end_requests()
        if self.told is not None:
            self.told.add_outputs(outputs, is_last=True)
        self._watch_outputs()

    def draw_show(self, width: int, height: int, foot: str) -> Group:
        """The live view as it stands."""
        return draw_view(
            self.report,
            self.history,
            width=width,
            height=height,
            rated=[self._rate_side(self.duel.ours, OURS), self._rate_side(self.duel.twin, THEIRS)],
            tracks=[self.ours_true, self.twin_true],
            until_n=self.events_n,
            foot=foot,
        )

    def introduce_show(self, url: str) -> list[str]:
        """Lines that say what is about to be shown."""
        return [
            f"{self.events_n:,} events of river's ImageSegments, its 2,310 pictures over and over.",
            f"From event {self.events_n // 2:,} on every column holds its neighbour's values.",
            "5 labels in 100 events, from five annotators who are late and sometimes wrong.",
            f"Metrics at {url}",
        ]

    def _rate_side(self, side: Side, style: str) -> Rated:
        estimate = side.engine.report.estimates.accuracy
        return Rated(side.name, style, estimate, side.true_of(estimate))

    def _describe_output(self, output: Output) -> str | None:
        if isinstance(output, DriftChanged):
            return (
                f"{self.report.events.observed_n:>7,}  drift {output.previous} -> {output.level} "
                f"({output.signal}, {output.detector}, {output.statistic:.2f} of its threshold)"
            )
        if isinstance(output, ModelAdopted):
            return (
                f"{self.report.events.observed_n:>7,}  retrained model adopted: "
                f"{output.challenger_right:.0%} right against {output.champion_right:.0%} "
                f"on {output.labels_n} labels"
            )
        if isinstance(output, ModelRolledBack):
            rolled_back = "adoption rolled back: the old model does better"
            return f"{self.report.events.observed_n:>7,}  {rolled_back}"
        return None

    def _describe_status(self) -> str:
        report = self.report
        shares = [_format_share(self._rate_side(side, "")) for side in self.duel.sides]
        return (
            f"{report.events.observed_n:>7,}  headrace {shares[0]} | random {shares[1]} | "
            f"paid {report.budget.spent_n:,} open {report.labels.open_n:,} "
            f"drift {report.drift.level}"
        )


def _format_share(rated: Rated) -> str:
    estimate = rated.estimate
    if estimate.accuracy is None or estimate.low is None or estimate.high is None:
        return "no label yet"
    true = f" true {rated.true:.0%}" if rated.true is not None else ""
    return f"{estimate.accuracy:.0%} ({estimate.low:.0%} to {estimate.high:.0%}){true}"


def make_closing_table(duel: Duel, is_plain: bool) -> Table:
    """Make the table that is printed at the end."""
    table = Table(box=None if is_plain else box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column("headrace", style="" if is_plain else OURS)
    table.add_column("random twin", style="" if is_plain else THEIRS)
    for row in duel.list_rows():
        table.add_row(*row)
    return table
