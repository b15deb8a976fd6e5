"""`headrace topics`: show our topics and their faults; create or cut them."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from ...adapters.printing import say
from ...drivers.kafka.cutting import UnsavedError, cut_logs, places_to_cut
from ...drivers.kafka.states import States
from ...drivers.kafka.topics import (
    TopicState,
    describe_missing,
    find_retention,
    format_span,
    survey_topics,
)
from ...settings import Settings
from .shared import add_settings, confirm_change, load_settings, make_table, show_table

NAME_WIDTH = 40


def register(subparsers: Any) -> None:
    """Add `topics` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "topics",
        help="show the Kafka topics, and create those that are missing",
        description="Shows every topic of the worker: what it is like, what it holds, what is "
        "missing or differs from the settings. See docs/KAFKA.md. Exit 0: all are fine; 1: "
        "something is missing or differs, or nothing could be cut; 2: settings are wrong or no "
        "broker answers.",
    )
    add_settings(parser)
    parser.add_argument("--create", action="store_true", help="create what is missing")
    parser.add_argument(
        "--cut",
        action="store_true",
        help="delete the beginning of the training log and of the desks' logs, up to where all "
        "kept snapshots stand, once all are from after the latest order to erase: see "
        "docs/ERASURE.md",
    )
    parser.add_argument("--yes", action="store_true", help="with --cut: don't ask")
    parser.set_defaults(func=command)


def command(arguments: argparse.Namespace) -> int:
    """Run `headrace topics`; return the exit code."""
    settings = load_settings(arguments)
    if arguments.cut:
        return _cut_logs(settings, asks=not arguments.yes)
    states = asyncio.run(survey_topics(settings, arguments.create))
    show_topics(states)
    return 0 if all(state.word == "ok" for state in states) else 1


def _cut_logs(settings: Settings, *, asks: bool) -> int:
    """Cut the logs up to the kept snapshots, if the user agrees; return the exit code."""
    try:
        places = asyncio.run(places_to_cut(settings, States(settings, say, makes_key=False)))
    except UnsavedError as error:
        say(str(error))
        return 1
    for part, place in places.items():
        sys.stdout.write(f"{part.topic}, partition {part.partition}: records before {place:,} go\n")
    sys.stdout.write("then nothing but the snapshots holds what they said\n")
    if asks and not confirm_change():
        return 1
    asyncio.run(cut_logs(settings, places))
    sys.stdout.write("Done.\n")
    return 0


def show_topics(states: list[TopicState]) -> None:
    """Print the topics as a table, or as plain lines without a terminal; then their faults."""
    table = make_table()
    longest = max(len(state.topic.name) for state in states)
    for name in _COLUMNS:
        table.add_column(
            name,
            justify="right" if name in _NUMBERS else "left",
            min_width=min(longest, NAME_WIDTH) if name == "topic" else None,
            no_wrap=name not in ("topic", "holds"),
            overflow="fold",
        )
    findings = [sentence for state in states for sentence in (*state.faults, *state.notes)]
    show_table(table, map(_make_row, states), (*describe_missing(states), *findings))


_COLUMNS = ("topic", "partitions", "copies", "kept", "records", "state", "holds")
_NUMBERS = ("partitions", "copies", "records")


def _make_row(state: TopicState) -> tuple[str, ...]:
    topic, known = state.topic, state.found
    if known is None:
        return (topic.name, "", "", "", "", state.word, topic.holds)
    kept_s = find_retention(known)
    kept_for = (
        "hidden" if known.rules is None else "for ever" if kept_s is None else format_span(kept_s)
    )
    counted = (str(known.partitions_n), str(known.replication), kept_for, f"{known.records_n:,}")
    return (topic.name, *counted, state.word, topic.holds)
