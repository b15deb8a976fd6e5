"""`headrace worker`: run the app of `drivers.faust`, with a command line of ours."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ..drivers.faust import FaustService, create_app, set_up_logs
from ..errors import BadSettings
from ..pages.live.screen import Screen
from ..settings import Settings, load_for_kafka
from .processes import end_with_starter, headrace_command, run_processes

PROCESSES_MAX = 64
STOP_MORE_S = 10.0
"""How much longer than `worker.stop_within_s` a process may take before it is killed."""


def register(subparsers: Any) -> None:
    """Add `headrace worker`."""
    parser = subparsers.add_parser(
        "worker",
        help="work on a Kafka topic, one of as many workers as you like",
        description="Read the inference log from Kafka, ask for labels, learn from the answers. "
        "Workers with the same settings share the partitions. Stops on SIGTERM and Ctrl-C. See "
        "docs/KAFKA.md.",
    )
    parser.add_argument("--settings", required=True, type=Path, metavar="FILE", help="TOML")
    parser.add_argument(
        "--live",
        action="store_true",
        help="show in the terminal what this worker does; warnings are shown at the end",
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        metavar="N",
        help="start N workers that share this machine's cores; the port of worker i is http.port + "
        "i, from 0",
    )
    parser.add_argument("--place", type=int, help=argparse.SUPPRESS)
    parser.set_defaults(func=main)


def main(arguments: argparse.Namespace) -> int:
    """Run `headrace worker`; return the exit code."""
    settings = load_for_kafka(arguments.settings)
    if arguments.processes != 1:
        _check_processes(arguments.processes, settings, is_live=arguments.live)
        places = range(arguments.processes)
        commands = [command_of(place, arguments.settings) for place in places]
        return run_processes(commands, stop_s=settings.worker.stop_within_s + STOP_MORE_S)
    if arguments.place is not None:
        end_with_starter()
        settings = settings_at(arguments.place, settings)
    with Screen() if arguments.live else nullcontext() as screen:
        shown = screen if screen is not None and screen.is_shown else None
        # Before anything else logs a line.
        set_up_logs(settings, shown)
        service = FaustService(settings, shown)
        app = create_app(settings, service)
        try:
            app.Worker(redirect_stdouts=False).execute_from_commandline()
        except SystemExit as stopped:
            return int(stopped.code or 0)
    return 0


def _check_processes(n: int, settings: Settings, *, is_live: bool) -> None:
    """Raise `BadSettings` where so many processes can't be started together."""
    faults = []
    if not 1 <= n <= PROCESSES_MAX:
        faults.append(f"--processes is {n}; must be 1 to {PROCESSES_MAX}")
    if is_live:
        faults.append("--live shows one worker, and --processes starts several; leave one out")
    if settings.http.port and settings.http.port + n - 1 > 65_535:
        faults.append(
            f"http.port is {settings.http.port}, and {n} workers want as many ports from there; "
            f"must be at most {65_536 - n}"
        )
    if faults:
        raise BadSettings(faults)


def command_of(place: int, settings: Path) -> list[str]:
    """Return the command that starts one of several workers."""
    return headrace_command("worker", "--settings", str(settings), "--place", str(place))


def settings_at(place: int, settings: Settings) -> Settings:
    """Return the settings of one of several workers, which has a port of its own."""
    if not settings.http.port:
        return settings
    return replace(settings, http=replace(settings.http, port=settings.http.port + place))
