"""`headrace bridge`: carry requests from a run or Kafka to a labelling tool, and answers back."""

from __future__ import annotations

import argparse
import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from ..adapters.printing import say
from ..adapters.sealing import load_sealer
from ..bridges import BRIDGES, make_bridge
from ..bridges.carrier import BridgeCarrier, End
from ..bridges.folder import FolderEnd, check_answers, places_of
from ..bridges.outbox import BridgeOutbox
from ..drivers.audit.acts import FOLDER, Acts, open_worker_acts
from ..errors import BadInput, BadSettings
from ..settings import Settings, load_for_kafka
from .stopping import catch_stop_signals

EVERY_S = 1.0
"""Seconds from one call of the tool to the next while nothing happens."""


def register(subparsers: Any) -> None:
    """Add `headrace bridge`."""
    parser = subparsers.add_parser(
        "bridge",
        help="let people label in a tool of yours",
        description="Carry requests for labels to a labelling tool, and the answers back: with "
        "--state beside a `headrace run --follow`, without it beside the workers on Kafka. It may "
        "be killed and started again at any time. Ends with SIGTERM or Ctrl-C.",
    )
    parser.add_argument(
        "name",
        metavar="NAME",
        help=f"a section [bridges.NAME] of the settings, or {', '.join(sorted(BRIDGES))}",
    )
    add_places(parser)
    parser.add_argument(
        "--every",
        type=float,
        default=EVERY_S,
        metavar="SECONDS",
        help="how often the tool is asked while nothing happens (default %(default)g)",
    )
    parser.set_defaults(func=main)


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say where requests come from."""
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="the --state of a `headrace run --follow`"
    )
    parser.add_argument("--settings", type=Path, metavar="FILE", help="TOML; see headrace check")
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="where the bridge keeps what it knows (default: bridges/ in --state, or beside the "
        "settings)",
    )


def main(arguments: argparse.Namespace) -> int:
    """Run `headrace bridge`; return the exit code."""
    if not 0 < arguments.every <= 3_600:
        raise BadSettings(
            f"--every is {arguments.every:g}; must be above 0, at most 3600 (seconds)"
        )
    with ExitStack() as opened:
        settings, end, folder = open_end(arguments, arguments.name, opened)
        bridge = make_bridge(arguments.name, settings.bridges, folder, end.sealer)
        if end.sealer is not None and not getattr(bridge, "seals", False):
            say(
                f"{arguments.name}: [sealing] seals its outbox; what it remembers beside that, in "
                f"{folder / arguments.name}, and what is in the tool are not sealed"
            )
        if hasattr(bridge, "close"):
            opened.callback(bridge.close)
        carrier = open_carrier(arguments.name, bridge, end, folder, opened)
        acts_of(arguments, settings).record("bridge_started", bridge=arguments.name)
        with catch_stop_signals() as stop:
            say(f"{arguments.name}: carrying requests, until Ctrl-C")
            carrier.run(stop, arguments.every)
        counts = carrier.outbox.count_requests()
        say(
            f"{arguments.name}: {counts.sent_n} requests are in the tool, {counts.waiting_n} wait "
            f"to be sent, {carrier.replies_n} answers came"
        )
    return 0


def open_end(
    arguments: argparse.Namespace, name: str, opened: ExitStack
) -> tuple[Settings, End, Path]:
    """Return the settings, the end where requests of bridge `name` come from, and its folder.

    `opened` closes the end. Raises `BadSettings` and `BadInput`.
    """
    own_settings = None if arguments.settings is None else load_for_kafka(arguments.settings)
    if arguments.state is not None:
        places = places_of(arguments.state)
        sealer = load_sealer(places.settings.sealing, places.settings.stream)
        end: End = FolderEnd(places.requests, places.answers, sealer, via=name)
        folder = arguments.folder or arguments.state / "bridges"
        settings = own_settings or places.settings
    elif own_settings is None:
        raise BadSettings(
            "neither --state nor --settings is given: give the --state of a run, or the settings "
            "of the workers on Kafka"
        )
    else:
        from ..drivers.kafka.bridge_end import KafkaEnd  # noqa: PLC0415 - Kafka is an extra

        check_answers(own_settings.answers)
        sealer = load_sealer(own_settings.sealing, own_settings.stream)
        end, settings = KafkaEnd(own_settings.kafka, sealer, via=name), own_settings
        folder = arguments.folder or arguments.settings.parent / "bridges"
    opened.enter_context(name_files(folder))
    opened.callback(end.close)
    return settings, end, folder


@contextmanager
def name_files(folder: Path) -> Iterator[None]:
    """Raise `BadInput` with the folder's name where SQLite can't write within: the disk is full."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise BadInput(
            f"{folder} can't be written: {error}; make room there or give the right to write, and "
            "start again: it goes on where it was"
        ) from error


def acts_of(arguments: argparse.Namespace, settings: Settings) -> Acts:
    """The writer of acts to the audit log, if the run or the workers keep a log."""
    if arguments.state is not None:
        return Acts(arguments.state / FOLDER)
    return open_worker_acts(arguments.settings, settings)


def open_carrier(
    name: str, bridge: Any, end: End, folder: Path, opened: ExitStack
) -> BridgeCarrier:
    """Open a carrier between the `bridge` to a tool and the `end` where its requests come from.

    `name.sqlite` in `folder` is its outbox, locked until `opened` closes; raises `BadSettings`
    where another process uses it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = opened.enter_context(closing((folder / f"{name}.lock").open("ab")))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BadSettings(
            f"{folder} is used by another bridge {name}; stop that one, or give a --folder"
        ) from None
    outbox = opened.enter_context(
        closing(BridgeOutbox(folder / f"{name}.sqlite", sealer=end.sealer))
    )
    return BridgeCarrier(bridge, end, outbox, note=say)
