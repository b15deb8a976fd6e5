"""`headrace model`: the versions of the model that a run keeps, and the order to go back to one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.table import Table

from ..adapters.printing import make_console, say
from ..adapters.snapshots.store import SnapshotStore
from ..drivers.audit.acts import find_user
from ..drivers.files.folder import settings_of_run
from ..engine import Engine
from ..errors import BadInput, BadSettings
from ..learn.versions import Versions
from ..messages import RollBackOrdered
from ..pages.report.parts import format_date
from ..settings import Settings, load_for_kafka
from .ordering import add_order, add_place, check_place, name_order, order_and_wait


def register(subparsers: Any) -> None:
    """Add `headrace model`."""
    parser = subparsers.add_parser("model", help="list the model's versions, or roll back to one")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    lists = actions.add_parser(
        "list",
        help="list the versions that are kept",
        description="List the versions of the model that a run keeps, as its newest snapshot has "
        "them; learn.versions_kept and learn.version_every_n say how many, and when.",
    )
    back = actions.add_parser(
        "roll-back",
        help="bring a version back",
        description="Order that the model be what it was at a version that is kept. A run with "
        "--follow, and workers on Kafka, go back at once; else it does at the end of the next "
        "`headrace run` with this --state. The version that it displaces is kept. What was "
        "learned since stays among the examples from which challengers are trained.",
    )
    for action, main in ((lists, list_versions), (back, roll_back)):
        add_place(action)
        action.set_defaults(func=main)
    back.add_argument(
        "--to", type=int, required=True, metavar="VERSION", help="as `headrace model list` shows it"
    )
    add_order(
        back,
        record="the record of it",
        again="nothing more happens",
        wait="do it; exit 3: the version is not kept, 75: not decided yet",
    )


def list_versions(arguments: argparse.Namespace) -> int:
    """Run `headrace model list`; return the exit code."""
    versions = _read_versions(arguments)
    if not versions.kept:
        sys.stdout.write("no version is kept yet\n")
        return 0
    states = {versions.in_use: "in use"}
    if versions.challenger is not None:
        states[versions.challenger.number] = "challenger"
    rows = [
        (str(v.number), f"{v.labels_n:,}", format_date(v.at), states.get(v.number, ""))
        for v in versions.all
    ]
    header = ("version", "labels", "learned until", "")
    console = make_console()
    if not console.is_terminal:
        for row in (header, *rows):
            sys.stdout.write("\t".join(row).rstrip() + "\n")
        return 0
    table = Table(*header)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    return 0


def roll_back(arguments: argparse.Namespace) -> int:
    """Run `headrace model roll-back`; return the exit code."""
    at, key = name_order(arguments.key)
    order = RollBackOrdered(
        at=at, to=arguments.to, key=key, reason=arguments.reason, by=find_user()
    )
    if arguments.state is not None:
        _check_keeps(settings_of_run(arguments.state), f"the run in {arguments.state}")
    elif arguments.settings is not None:
        _check_keeps(load_for_kafka(arguments.settings), str(arguments.settings))
    return order_and_wait(arguments, order, f"version {order.to} back")


def _read_versions(arguments: argparse.Namespace) -> Versions:
    """Read the versions of a run, or of the workers on Kafka as they saved them last."""
    check_place(arguments)
    if arguments.state is not None:
        return read_kept_versions(arguments.state)
    from ..drivers.kafka.states import States  # noqa: PLC0415 - only beside workers

    settings = load_for_kafka(arguments.settings)
    _check_keeps(settings, str(arguments.settings))
    log, _ = States(settings, say, makes_key=False).read_training()
    return log.trainer.versions


def read_kept_versions(state: Path) -> Versions:
    """Read the versions in the newest snapshot of a run. Raises `BadInput`, `BadSettings`."""
    settings = settings_of_run(state)
    _check_keeps(settings, f"the run in {state}")
    engine = Engine(settings=settings)
    store = SnapshotStore(state / "snapshots", stream=settings.stream, kept_n=1)
    if store.read_latest(lambda snapshot: engine.restore(snapshot.blob)) is None:
        refused = f": {'; '.join(store.first_refused())}" if store.refused else ""
        raise BadInput(f"{state} has no snapshot that can be read{refused}; try again later")
    return engine.trainer.versions


def _check_keeps(settings: Settings, who: str) -> None:
    if not settings.learn.versions_kept:
        raise BadSettings(
            f"{who} keeps no version of its model: learn.versions_kept is 0; a run is begun with it"
        )
