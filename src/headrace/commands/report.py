"""`headrace report`: write the page of a run from its --state folder.

`files.chronicle` reads the folder, `report.page` makes the page.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..adapters.printing import say, show_progress
from ..drivers.files.chronicle import read_chronicle
from ..drivers.files.places import explain_no_run
from ..errors import BadSettings
from ..pages.drawing import Curve
from ..pages.plots import line_plot
from ..pages.report.page import as_html


def register(subparsers: Any) -> None:
    """Add `headrace report`."""
    parser = subparsers.add_parser(
        "report",
        help="write a page with the plots of a run",
        description="Decide a recorded run again, and write one self-contained HTML page: accuracy "
        "with its interval, drift statistics, labels and cost, what was asked and why. A run that "
        "goes on is not disturbed. Without the inputs the page is made of what was recorded, and "
        "says what is missing.",
    )
    parser.add_argument("state", type=Path, metavar="DIR", help="the --state of a `headrace run`")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="where to (default: DIR/report.html)"
    )
    parser.add_argument(
        "--no-replay",
        action="store_true",
        help="be quick: from decisions.jsonl and the newest snapshot alone",
    )
    parser.set_defaults(func=main)


def main(arguments: argparse.Namespace) -> int:
    """Run `headrace report`; return the exit code."""
    if not arguments.state.is_dir():
        raise BadSettings(explain_no_run(arguments.state))
    path = arguments.html or arguments.state / "report.html"
    check_page(path)
    with show_progress("deciding again") as on_progress:
        chronicle = read_chronicle(
            arguments.state, is_replayed=not arguments.no_replay, on_progress=on_progress
        )
    write_page(path, as_html(chronicle))
    for gap in chronicle.gaps:
        say(gap)
    sys.stdout.write(f"{path}\n")
    return 0


def check_plots() -> None:
    """Raise `BadSettings` if plots can't be drawn, before minutes of work are spent on them."""
    line_plot([Curve("", [0.0, 1.0], [0.0, 1.0])], title="", x_label="", y_label="")


def check_page(path: Path) -> None:
    """Raise `BadSettings` if a page can't be drawn, or can't be written to this path."""
    check_plots()
    if path.is_dir():
        raise BadSettings(f"{path} is a folder; give a file")
    if not path.parent.is_dir():
        raise BadSettings(f"{path.parent} is no folder; make it, or give another file")


def write_page(path: Path, text: str) -> None:
    """Write a page, whole or not at all. Raises `BadSettings` if it can't be written."""
    new_path = path.with_name(f".{path.name}.new")
    try:
        new_path.write_text(text, encoding="utf-8")
        new_path.replace(path)
    except OSError as error:
        raise BadSettings(
            f"{path} can't be written: {error.strerror}; give another file"
        ) from error
