"""`headrace run`: the command line of the embedded shell, its progress bar, its closing table."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ..errors import BadSettings
from ..report import Report
from ..settings import Settings, load
from .files import Places, run_files


def register(subparsers: Any) -> None:
    """Add `headrace run`."""
    parser = subparsers.add_parser(
        "run",
        help="ask for labels of the events in a file or a pipe",
        description="Read events and answers from files of JSON lines, append label requests to a "
        "file. Started again with the same --state it goes on where it was, after a kill too.",
    )
    parser.add_argument("--events", required=True, metavar="FILE", help="JSON lines; - for a pipe")
    parser.add_argument(
        "--answers",
        type=Path,
        metavar="FILE",
        help='JSON lines: {"request_id", "label", "annotator", "at"}; may not be there yet',
    )
    parser.add_argument(
        "--requests", required=True, type=Path, metavar="FILE", help="appended, one JSON a line"
    )
    parser.add_argument(
        "--state",
        required=True,
        type=Path,
        metavar="DIR",
        help="journal, snapshots, decisions.jsonl and rejects.jsonl; made if need be",
    )
    parser.add_argument("--settings", type=Path, metavar="FILE", help="TOML; see headrace check")
    parser.add_argument(
        "--follow",
        action="store_true",
        help="go on at the end of the files, until SIGTERM or Ctrl-C",
    )
    parser.set_defaults(func=main)


def main(arguments: argparse.Namespace) -> int:
    """Run `headrace run`; the exit code."""
    settings = Settings() if arguments.settings is None else load(arguments.settings)
    if str(arguments.requests) == "-":
        raise BadSettings("--requests is -; must be a file, which a restart compares with")
    places = Places(
        events=None if arguments.events == "-" else Path(arguments.events),
        answers=arguments.answers,
        requests=arguments.requests,
        state=arguments.state,
    )
    console = Console(stderr=True)
    is_bar = console.is_terminal and not arguments.follow and places.events is not None
    bars = Progress(console=console, transient=True, disable=not is_bar)
    with _told_to_stop() as stop, bars as progress:
        bar = progress.add_task("events", total=None)
        report = run_files(
            places,
            settings,
            follow=arguments.follow,
            stop=stop,
            on_progress=lambda done, of: progress.update(bar, completed=done, total=of),
            on_note=_tell,
        )
    show(report, places)
    return 0


def _tell(sentence: str) -> None:
    sys.stderr.write(f"headrace: {sentence}\n")


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Set by SIGTERM and by Ctrl-C; the same once more ends the process at once."""
    stop = threading.Event()

    def told(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    before = {n: signal.signal(n, told) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, taken in before.items():
            signal.signal(number, taken)


def show(report: Report, places: Places) -> None:
    """The essentials of a report on standard output: a table, or plain lines for no terminal."""
    console = Console()
    if not console.is_terminal:
        for name, value in essentials(report, places):
            sys.stdout.write(f"{name}: {value}\n")
        return
    table = Table(
        show_header=False, title=f"headrace, stream {report.stream}", title_justify="left"
    )
    for name, value in essentials(report, places):
        table.add_row(name, value)
    console.print(table)


def essentials(report: Report, places: Places) -> list[tuple[str, str]]:
    """What one wants to know after a run, in words."""
    estimate = report.accuracy
    accuracy = "no label yet that judges"
    if estimate.accuracy is not None and estimate.low is not None and estimate.high is not None:
        accuracy = (
            f"{estimate.accuracy:.3f} (95 % interval {estimate.low:.3f} to {estimate.high:.3f}, "
            f"from {estimate.labels_n:,} labels)"
        )
    rejected_n = sum(report.rejected_n.values()) + report.answers_rejected_n
    rejects = "none"
    if rejected_n:
        kinds = dict(sorted(report.rejected_n.items(), key=lambda kind: -kind[1]))
        if report.answers_rejected_n:
            kinds["answers"] = report.answers_rejected_n
        told = ", ".join(f"{name} {n:,}" for name, n in kinds.items())
        rejects = f"{rejected_n:,} ({told}), see {places.state / 'rejects.jsonl'}"
    ends = f"{report.disputed_n:,} disputed, {report.expired_n:,} expired"
    models = f"{report.learned_n:,} labels learned, {report.adopted_n:,} retrained models adopted"
    alarms_n = sum(report.drift_alarms_n.values())
    return [
        ("events", f"{report.events_n:,}"),
        ("labels asked", f"{report.asked_n:,}, of which {report.open_n:,} open"),
        ("labels settled", f"{report.settled_n:,}; {ends}"),
        ("model", models),
        ("accuracy", accuracy),
        ("drift", f"{report.drift_level}, {alarms_n:,} alarms so far"),
        ("rejected", rejects),
        ("requests", str(places.requests)),
    ]
