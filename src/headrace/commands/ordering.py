"""What commands that order share: where, under which key, and what became of it."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from contextlib import closing
from pathlib import Path

from ..adapters.sealing import load_sealer
from ..bridges.bridge import Unreachable
from ..drivers.files.orders import FolderOrders, Orders
from ..errors import BadInput, BadSettings
from ..query.orders import Order
from ..settings import Settings, load_for_kafka

POLL_S = 0.1
WAIT_S_MAX = 86_400
EXIT_NOTHING, EXIT_LATER = 3, 75


def orders_of(arguments: argparse.Namespace) -> Orders:
    """Where a command orders: in the folder of a run, or beside the workers of `--settings`.

    Raises `BadSettings`.
    """
    check_place(arguments)
    if arguments.state is not None:
        return FolderOrders(arguments.state)
    return orders_at(None, load_for_kafka(arguments.settings))


def orders_at(state: Path | None, settings: Settings) -> Orders:
    """Where orders are placed of the run in a folder, or of the workers on Kafka."""
    if state is not None:
        return FolderOrders(state)
    from ..drivers.kafka.orders_end import KafkaOrders  # noqa: PLC0415 - Kafka is an extra

    return KafkaOrders(settings.kafka, load_sealer(settings.sealing, settings.stream))


def check_place(arguments: argparse.Namespace) -> None:
    """Raise `BadSettings` unless one of the two places is given."""
    if (arguments.state is None) == (arguments.settings is None):
        raise BadSettings(
            "give either DIR, the --state of a run, or --settings, those of the workers on Kafka"
        )


def add_place(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say where to order."""
    parser.add_argument(
        "state", type=Path, nargs="?", metavar="DIR", help="the --state of a `headrace run`"
    )
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="instead: those of the workers on Kafka"
    )


def add_order(parser: argparse.ArgumentParser, *, record: str, again: str, wait: str) -> None:
    """Add the arguments of every order: why, under which key, and how long it is waited for.

    The help says which `record` has the reason, what happens `again`, and what the exits of a
    `wait` mean.
    """
    parser.add_argument("--reason", default="", metavar="TEXT", help=f"why, as {record} shall say")
    parser.add_argument(
        "--key",
        metavar="KEY",
        help=f"a name for this order: given again, {again}; else it is made of the time of day",
    )
    parser.add_argument(
        "--wait", type=float, metavar="SECONDS", help=f"wait so long for the run to {wait}"
    )


def name_order(key: str | None) -> tuple[float, str]:
    """The time of day, and the key of an order: one that was given, or one made of that time."""
    at = time.time()
    made = hashlib.blake2b(f"{at!r} {os.getpid()}".encode(), digest_size=6).hexdigest()
    if key == "":
        raise BadSettings("--key is empty; give a name, or leave it out")
    return at, made if key is None else key


def order_and_wait(arguments: argparse.Namespace, order: Order, what: str) -> int:
    """Place an order and say so; say what became of it, if `--wait` is given. The exit code.

    Raises `BadSettings` and `BadInput`.
    """
    wait_s: float | None = arguments.wait
    if wait_s is not None and not 0 <= wait_s <= WAIT_S_MAX:
        raise BadSettings(f"--wait is {wait_s:g}; must be 0 to {WAIT_S_MAX} (seconds)")
    try:
        with closing(orders_of(arguments)) as orders:
            if orders.place(order):
                sys.stdout.write(f"ordered: {what}, key {order.key}\n")
            else:
                sys.stdout.write(f"ordered before, so nothing was done: key {order.key}\n")
            return 0 if wait_s is None else _await_order(orders, order, wait_s)
    except Unreachable as error:
        raise BadInput(str(error)) from error


def _await_order(orders: Orders, order: Order, wait_s: float) -> int:
    """Say what becomes of an order within so many seconds; the exit code."""
    sys.stdout.flush()
    until = time.monotonic() + wait_s
    while True:
        found = orders.found(order) or {"state": "ordered"}
        if found["state"] == "asked":
            number = f", round {found['round_n']}" if "round_n" in found else ""
            sys.stdout.write(f"asked: labels: {found['asked_n']}{number}\n")
            return 0
        if found["state"] == "rolled back":
            sys.stdout.write(f"rolled back: the model is version {found['to']} again\n")
            return 0
        if found["state"] == "refused":
            sys.stdout.write(f"nothing was done: {found['why']}\n")
            return EXIT_NOTHING
        if time.monotonic() >= until:
            sys.stdout.write(f"not decided within {wait_s:g} s; {orders.going_on}\n")
            return EXIT_LATER
        time.sleep(POLL_S)
