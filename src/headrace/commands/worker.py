"""`headrace worker`: run the app of `drivers.faust`, with a command line of ours."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ..drivers.faust import FaustService, create_app, set_up_logs
from ..pages.live.screen import Screen
from ..settings import load_for_kafka


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
    parser.set_defaults(func=main)


def main(arguments: argparse.Namespace) -> int:
    """Run `headrace worker`; return the exit code."""
    settings = load_for_kafka(arguments.settings)
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
