"""`headrace erase`: erase a person from a run, whether the run goes on or has stopped.

`commands.kafka.erase` does so for workers on Kafka.

This command looks up the ids of the person's events in the logs that the run read and in its
decisions, and places an order. The run carries it out, or this command if the run has stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ..adapters.journal import Journal
from ..adapters.secret_files import load_privacy
from ..adapters.wiping import pieces_of, wipe_stretches
from ..bridges.folder import PLACES
from ..drivers.audit.acts import FOLDER, Acts
from ..drivers.audit.run import DecidedLog
from ..drivers.files.erasing import (
    ConcernedLines,
    ErasureRecord,
    carry_out,
    describe_erased,
    erased_of,
    place_erasure,
    sources_of,
    stretches_in,
)
from ..drivers.files.feeding import Feeder
from ..drivers.files.folder import is_running, settings_of_run
from ..drivers.files.run_metrics import RunMetrics
from ..errors import BadInput, BadSettings
from ..messages import ErasureOrdered
from ..settings import Settings
from .ordering import EXIT_LATER, EXIT_NOTHING, POLL_S, WAIT_S_MAX, check_place

EXIT_LEFT = 1
SHOWN_MAX = 20

_COPIES = {
    "table.jsonl": "the table that it was copied from has these rows still",
    "answers.jsonl": "the exports that it was copied from may have these answers still",
    "queue.jsonl": "the stream or queue that it was copied from may have these messages still",
}


@dataclass(slots=True)
class FoundTraces:
    """What a run holds of a person: any line, a settled label; and logs that are `missing`."""

    is_any: bool = False
    is_learned: bool = False
    missing: list[Path] = field(default_factory=list)


def register(subparsers: Any) -> None:
    """Add `headrace erase`."""
    parser = subparsers.add_parser(
        "erase",
        help="erase a person from a run, or from workers",
        description="Erase everything that a run, or workers on Kafka, hold of a person's events: "
        "window, sample, requests, examples, models, decisions, the run's own copies, what bridges "
        "and desks remember. Open requests are withdrawn; models that learned a label are made "
        "anew. A run that goes on does it between two events. Exit 0: all is gone; 1: it is gone "
        "but for what is named; 2: arguments or files are wrong; 3: nothing was found; 75: a run "
        "that goes on, or the workers, have not done it yet. Once it was ordered, the next start "
        "carries it out.",
    )
    parser.add_argument("subject", nargs="*", metavar="SUBJECT", help="who, as --by has it")
    parser.add_argument("--state", type=Path, metavar="DIR", help="of a run")
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="instead: those of the workers on Kafka"
    )
    parser.add_argument(
        "--by",
        metavar="FIELD",
        help="what a SUBJECT is: key (input.key), id (of an event), or the name of a feature; "
        "retention.subject, if it is not given",
    )
    parser.add_argument(
        "--ids", type=Path, metavar="FILE", help="ids of events to erase too, one a line"
    )
    parser.add_argument(
        "--inputs",
        action="store_true",
        help="wipe the lines in your own files of events and answers too, where they stand",
    )
    parser.add_argument(
        "--key",
        metavar="KEY",
        help="a name for this order to workers: given again, nothing more happens and what became "
        "of it is told; else it is made of the time of day",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long to wait for a run that goes on, or for workers (60)",
    )
    parser.set_defaults(func=main)


def main(arguments: argparse.Namespace) -> int:
    """Run `headrace erase`; return the exit code."""
    check_place(arguments)
    ids = _read_ids(arguments.ids)
    if not arguments.subject and not ids:
        raise BadSettings("nobody is named: give a SUBJECT, or --ids FILE")
    if not 0 <= arguments.wait <= WAIT_S_MAX:
        raise BadSettings(f"--wait is {arguments.wait:g}; must be 0 to {WAIT_S_MAX} (seconds)")
    if arguments.state is not None:
        return _erase_from_run(arguments, ids)
    if arguments.inputs:
        raise BadSettings("--inputs is for the files of a run; topics are cut: see docs/ERASURE.md")
    from .kafka.erase import erase_from_workers  # noqa: PLC0415 - Kafka is an extra

    return erase_from_workers(arguments, ids)


def _erase_from_run(arguments: argparse.Namespace, ids: list[str]) -> int:
    state: Path = arguments.state
    settings = settings_of_run(state)
    if arguments.key is not None:
        raise BadSettings("--key is for workers on Kafka; leave it out")
    by = arguments.by or settings.retention.subject
    order = ErasureOrdered(
        at=time.time(),
        event_ids=tuple(ids),
        field=by if arguments.subject else "",
        values=tuple(dict.fromkeys(arguments.subject)),
        key=f"{time.time_ns():x}-{os.getpid()}",
    )
    lines = ConcernedLines([order], settings, load_privacy(settings.privacy))
    traces = _look_up(state, lines)
    if not (traces.is_any or lines.ids or traces.missing):
        # An order makes the run begin anew: none is placed for a name that is nowhere.
        sys.stdout.write("erased: nothing was found\n")
        return EXIT_NOTHING
    event_ids = tuple(sorted(lines.ids))
    order = msgspec.structs.replace(order, event_ids=event_ids, is_learned=traces.is_learned)
    place_erasure(state, order)
    Acts(state / FOLDER).record("erasure_ordered", key=order.key)
    done = _carry_order_out(state, settings, order.key, arguments.wait)
    if done is None:
        sys.stdout.write("ordered; not carried out yet: the run does it, or its next start\n")
        return EXIT_LATER
    return _report_erasure(state, lines, done, traces, is_wiping=arguments.inputs)


def _read_ids(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        # Spreadsheets begin a file with a byte order mark, which is no part of the first id.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
        return [*dict.fromkeys(line for line in lines if line)]
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8: {error.reason}") from None


def _requests_of(state: Path) -> Path:
    places = msgspec.json.decode((state / PLACES).read_bytes(), type=dict[str, str | None])
    return Path(str(places["requests"]))


def _look_up(state: Path, lines: ConcernedLines) -> FoundTraces:
    """Look a person up in the logs and outputs of a run; `lines` notes the ids of their events."""
    traces = FoundTraces()
    with closing(Journal(state / "journal", is_read_only=True)) as journal:
        sources = sources_of(state, journal)
    for source in sources:
        if source.kind == "events":
            if source.path.exists():
                traces.is_any |= bool(stretches_in(source.path, lines, source.kind))
            else:
                traces.missing.append(source.path)
    lines.learn_words()
    for path in (state / "decisions.jsonl", state / "rejects.jsonl"):
        for piece in pieces_of(path) if path.exists() else ():
            for _, line in piece:
                if not line.isspace() and lines.of_output(line):
                    traces.is_any = True
                    traces.is_learned |= b'"type":"LabelSettled"' in line
    lines.learn_words()
    return traces


def _carry_order_out(
    state: Path, settings: Settings, key: str, wait_s: float
) -> ErasureRecord | None:
    """Carry the order out, or wait until the run does; None if it did not in time."""
    until = time.monotonic() + wait_s
    while True:
        if (done := next((one for one in erased_of(state) if one.key == key), None)) is not None:
            return done
        if not is_running(state):
            _carry_out(state, settings)
        elif time.monotonic() >= until:
            return None
        else:
            time.sleep(POLL_S)


def _carry_out(state: Path, settings: Settings) -> None:
    """Carry out what is ordered of a run that has stopped."""
    requests = _requests_of(state)
    with ExitStack() as opened:
        feeder = Feeder(
            state,
            requests,
            settings,
            opened,
            stop=threading.Event(),
            on_note=lambda sentence: None,
            on_outputs=lambda outputs: None,
            shown=RunMetrics(settings, time.time),
        )
        if settings.audit.is_kept:
            log = opened.enter_context(closing(DecidedLog(state, feeder.journal, settings)))
            feeder.before_anew = log.follow_records
        carry_out(feeder, requests)


def _report_erasure(
    state: Path, lines: ConcernedLines, done: ErasureRecord, found: FoundTraces, *, is_wiping: bool
) -> int:
    """Print what was erased and what is left; return the exit code."""
    with closing(Journal(state / "journal", is_read_only=True)) as journal:
        sources = sources_of(state, journal)
    sys.stdout.write(f"erased: {describe_erased(done)}\n")
    is_left = bool(done.busy or found.missing)
    for name in done.busy:
        sys.stdout.write(f"busy, give the command again: bridges/{name}\n")
    for path in found.missing:
        sys.stdout.write(f"gone, so it could not be looked through: {path}\n")
    for name in set(_COPIES).intersection(done.lines):
        is_left = True
        sys.stdout.write(f"left: {_COPIES[name]} ({state / name})\n")
    wiped_n, goes_on = 0, is_running(state)
    for source in sources:
        stretches = stretches_in(source.path, lines, source.kind)
        if is_wiping or source.is_own:
            # A replay reads again what was fed since, the run what is not fed yet: both stay.
            due = [
                stretch
                for stretch in stretches
                if stretch[0] in source.replaced or not (goes_on or stretch[0] in source.fed)
            ]
            wipe_stretches(source.path, due)
            wiped_n += len(due)
            stretches = [stretch for stretch in stretches if stretch not in due]
            _tell_left(source.path, stretches, "not fed yet, or since: give the command again")
        else:
            _tell_left(source.path, stretches, "your own file has them still: see --inputs")
        is_left |= bool(stretches)
    if wiped_n:
        sys.stdout.write(f"wiped in files that were read: {wiped_n:,} lines\n")
    if is_left:
        return EXIT_LEFT
    is_any = done.memory or done.lines or done.bridges or wiped_n
    return 0 if is_any else EXIT_NOTHING


def _tell_left(path: Path, stretches: list[tuple[int, int]], why: str) -> None:
    if stretches:
        n = len(stretches)
        places = ", ".join(f"{start}-{stop}" for start, stop in stretches[:SHOWN_MAX])
        more = f", and {n - SHOWN_MAX:,} more" if n > SHOWN_MAX else ""
        sys.stdout.write(f"left: {path}: {n:,} lines, bytes {places}{more}; {why}\n")
