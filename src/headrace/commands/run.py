"""`headrace run`: the command line of the embedded driver, its progress bar, its closing table."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table

from ..adapters.brokers.address import is_address
from ..adapters.printing import make_console, say, show_progress
from ..drivers.files.places import RunFiles
from ..drivers.files.run import Runner, run_files
from ..errors import BadSettings
from ..messages import Reason
from ..observe.clock import describe_off_clock
from ..pages.live.screen import Screen
from ..pages.report.parts import format_date
from ..report import Failure, Report
from ..report.limits import Limit, join_names
from ..settings import Settings, load
from .stopping import catch_stop_signals


def register(subparsers: Any) -> None:
    """Add `headrace run`."""
    parser = subparsers.add_parser(
        "run",
        help="ask for labels of the events in a file or a pipe",
        description="Read events and answers from files of JSON lines, append label requests to a "
        "file. Started again with the same --state it goes on where it was, after a kill too.",
    )
    parser.add_argument(
        "--events",
        required=True,
        metavar="FILE",
        help="JSON lines, CSV or Parquet, .gz too; - for a pipe of lines; a stream or a queue, "
        "redis://HOST/STREAM or amqp://HOST/QUEUE",
    )
    parser.add_argument(
        "--answers",
        type=Path,
        metavar="FILE",
        help='JSON lines: {"request_id", "label", "annotator", "at"}, or as [answers] says; or the '
        "export of a labelling tool: an array of JSON, CSV, Parquet, .gz; may not be there yet",
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
    parser.add_argument(
        "--live",
        action="store_true",
        help="show health, accuracy, drift, labels and the latest decisions while it runs; needs a "
        "terminal",
    )
    parser.set_defaults(func=main)


def main(arguments: argparse.Namespace) -> int:
    """Run `headrace run`; return the exit code."""
    settings = Settings() if arguments.settings is None else load(arguments.settings)
    if str(arguments.requests) == "-":
        raise BadSettings("--requests is -; must be a file, which a restart compares with")
    queue = arguments.events if is_address(arguments.events) else None
    places = RunFiles(
        events=None if arguments.events == "-" or queue else Path(arguments.events),
        queue=queue,
        answers=arguments.answers,
        requests=arguments.requests,
        state=arguments.state,
        settings=arguments.settings,
    )
    with catch_stop_signals() as stop, Screen() if arguments.live else nullcontext() as screen:
        if screen is not None and screen.is_shown:
            report = run_files(
                places,
                settings,
                follow=arguments.follow,
                stop=stop,
                on_note=screen.note,
                on_outputs=screen.happened,
                on_turn=partial(_draw_screen, screen),
            )
        else:
            report = _run_with_bar(places, settings, arguments.follow, stop)
    show_report(report, places)
    if fault := nothing_read(report):
        say(fault)
        return 1
    return 0


def _run_with_bar(
    places: RunFiles, settings: Settings, follow: bool, stop: threading.Event
) -> Report:
    """Run with a progress bar, where there is a terminal and the events have an end."""
    has_end = not follow and places.events is not None
    with show_progress("events", is_shown=has_end) as on_progress:
        return run_files(
            places, settings, follow=follow, stop=stop, on_progress=on_progress, on_note=say
        )


def _draw_screen(screen: Screen, runner: Runner) -> None:
    if screen.is_due:
        events_n = runner.engine.shard.events_n
        screen.update(runner.latest, events_n=events_n, lag_n=runner.lag_bytes)


def show_report(report: Report, places: RunFiles) -> None:
    """Print the essentials of a report: a table, or plain lines where there is no terminal."""
    console = make_console()
    if not console.is_terminal:
        for name, value in list_essentials(report, places):
            sys.stdout.write(f"{name}: {value}\n")
        return
    table = Table(
        show_header=False, title=f"headrace, stream {report.stream}", title_justify="left"
    )
    for name, value in list_essentials(report, places):
        table.add_row(name, value)
    console.print(table)


def nothing_read(report: Report) -> str:
    """The sentence about a run that read records but could use none as an event; else empty."""
    rejected_n = sum(report.events.rejected_n.values())
    if report.events.observed_n or not rejected_n:
        return ""
    reason = max(report.events.rejected_n, key=lambda name: report.events.rejected_n[name])
    return (
        f"not one of {rejected_n:,} records could be used, most for {reason}; "
        f"{advise_reading(reason)}, and headrace check --events tries that on a log"
    )


def advise_reading(reason: str) -> str:
    """Return what to look at where most records of a log were rejected for this reason.

    >>> advise_reading("no_id")
    '[input] says where the fields of an event stand'
    """
    if reason in (Reason.NOT_UTF8, Reason.NOT_JSON, Reason.NOT_AN_OBJECT):
        return (
            "events are objects of JSON, one a line in UTF-8, or a table whose name ends with "
            ".csv, .tsv or .parquet"
        )
    return "[input] says where the fields of an event stand"


def _join_sentences(troubles: Iterable[Failure | Limit]) -> str:
    return "; ".join(trouble.sentence for trouble in troubles)


def _describe_accuracy(report: Report) -> str:
    """Describe the accuracy estimate with its interval, and the events that it leaves out."""
    estimate, before_n = report.estimates.accuracy, report.events.unpredicted_n
    if before_n and before_n == report.events.observed_n:
        if report.estimates.judged == "served":
            return (
                f"none yet: evaluation.judged is 'served', and not one of {before_n:,} events has "
                "a prediction of the served model; see input.predicted"
            )
        return f"none yet: all {before_n:,} events came before the first label was learned"
    text = "no label yet that judges"
    if estimate.accuracy is not None:
        text = (
            f"{estimate.accuracy:.3f} (95 % interval {estimate.low:.3f} to {estimate.high:.3f}, "
            f"from {estimate.labels_n:,} labels)"
        )
    elif report.model.learned_n and report.labels.open_n:
        text += (
            f": a stretch of events is judged once four in five of its requests have ended, and "
            f"{report.labels.open_n:,} are open"
        )
    if before_n:
        text += f"; without {before_n:,} events before the first label"
    if report.events.failed_predictions_n and report.estimates.judged == "model":
        text += (
            f"; the {report.events.failed_predictions_n:,} that the model failed on are not right"
        )
    return text


def _describe_quality(report: Report) -> str:
    """Describe the measures over all classes."""
    quality = report.estimates.quality
    measures = [
        f"{name} {rate.value:.3f} ({rate.low:.3f} to {rate.high:.3f})"
        for name, rate in (
            ("balanced accuracy", quality.balanced_accuracy),
            ("kappa", quality.kappa),
            ("macro F1", quality.macro_f1),
        )
        if rate.value is not None and not rate.is_thin
    ]
    unheard = [name for name in report.schema.classes if name not in quality.recall]
    without = f"; without {join_names(unheard)}, of which no label judges" if unheard else ""
    return ", ".join(measures) + without if measures else "too few labels"


def describe_causes(report: Report) -> str:
    """Describe a lasting drift as the end of a line: since when, which features and classes."""
    text = ""
    if report.drift.began_at is not None:
        text += f"; since {format_date(report.drift.began_at)}"
    if report.drift.features:
        text += f"; features {', '.join(report.drift.features)}"
    if report.drift.classes:
        text += f"; classes {', '.join(report.drift.classes)}"
    return text


def list_essentials(report: Report, places: RunFiles) -> list[tuple[str, str]]:
    """List the names and values of the closing table: what one wants to know after a run."""
    rejected_n = sum(report.events.rejected_n.values()) + report.answers.rejected_n
    rejects = "none"
    if rejected_n:
        kinds = dict(sorted(report.events.rejected_n.items(), key=lambda kind: -kind[1]))
        if report.answers.rejected_n:
            kinds["answers"] = report.answers.rejected_n
        counts = ", ".join(f"{name} {n:,}" for name, n in kinds.items())
        rejects = f"{rejected_n:,} ({counts}), see {places.state / 'rejects.jsonl'}"
    ends = f"{report.labels.disputed_n:,} disputed, {report.labels.expired_n:,} expired"
    models = (
        f"{report.model.learned_n:,} labels learned, "
        f"{report.retraining.adopted_n:,} retrained models adopted"
    )
    alarms_n = sum(report.drift.alarms_n.values())
    return [
        ("events", f"{report.events.observed_n:,}"),
        ("labels asked", f"{report.asking.requests_n:,}, of which {report.labels.open_n:,} open"),
        ("labels settled", f"{report.labels.settled_n:,}; {ends}"),
        ("model", models),
        *(
            [("model failed", _join_sentences(report.model.failures))]
            if report.model.failures
            else []
        ),
        ("accuracy", _describe_accuracy(report)),
        ("quality", _describe_quality(report)),
        ("choosing", report.estimates.choosing.sentence),
        ("drift", f"{report.drift.level}, {alarms_n:,} alarms so far{describe_causes(report)}"),
        ("rejected", rejects),
        *(
            [("clock", off)]
            if (off := describe_off_clock(report.events.ahead_n, report.events.behind_n))
            else []
        ),
        *([("limits", _join_sentences(report.limits))] if report.limits else []),
        ("requests", str(places.requests)),
    ]
