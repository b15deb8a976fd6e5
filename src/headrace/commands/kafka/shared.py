"""What the commands on Kafka share: their settings, what they ask a person, their tables."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from ...adapters.printing import make_console
from ...errors import BadSettings
from ...settings import Settings, load_for_kafka


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names the settings."""
    parser.add_argument("--settings", type=Path, metavar="FILE", help="TOML (default: defaults)")


def load_settings(arguments: argparse.Namespace) -> Settings:
    """Load the settings of `--settings`; the Kafka client logs nothing from now on."""
    # The exceptions say what it would log.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return load_for_kafka(arguments.settings) if arguments.settings else Settings()


def confirm_change() -> bool:
    """Whether the person at the terminal types yes. Raises `BadSettings` without a terminal."""
    if not sys.stdin.isatty():
        raise BadSettings("nobody can be asked here whether to do this; say --yes")
    sys.stdout.write("Type yes to do this: ")
    sys.stdout.flush()
    if sys.stdin.readline().strip() == "yes":
        return True
    sys.stdout.write("Nothing was changed.\n")
    return False


def make_table() -> Table:
    """A table without columns yet."""
    return Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))


def show_table(
    table: Table, rows: Iterable[tuple[str, ...]], notes: Iterable[str], *, is_again: bool = False
) -> None:
    """Print `rows` in `table`, which has its columns, and `notes` below; `is_again` clears first.

    Without a terminal the rows are lines with tabs, whose format stays the same.
    """
    console = make_console()
    if console.is_terminal:
        if is_again:
            console.clear()
        for row in rows:
            table.add_row(*row)
        console.print(table)
    else:
        names = [str(column.header) for column in table.columns]
        sys.stdout.write("".join("\t".join(row) + "\n" for row in (names, *rows)))
    sys.stdout.write("".join(f"- {sentence}\n" for sentence in notes))
