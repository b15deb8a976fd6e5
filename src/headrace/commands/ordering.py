"""What commands that place orders share: the place, the key, and waiting for the outcome."""

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
from ..drivers.files.orders import FolderOrders, RunOrders
from ..errors import BadInput, BadSettings
from ..query.orders import Order
from ..settings import Settings, load_for_kafka

POLL_S = 0.1
WAIT_S_MAX = 86_400
EXIT_NOTHING, EXIT_LATER = 3, 75


def orders_of(arguments: argparse.Namespace) -> RunOrders:
    """Open the place of orders: the folder of a run, or the workers of `--settings`.

    Raises `BadSettings`.
    """
    check_place(arguments)
    if arguments.state is not None:
        return FolderOrders(arguments.state)
    return orders_at(None, load_for_kafka(arguments.settings))


def orders_at(state: Path | None, settings: Settings) -> RunOrders:
    """Open the place of orders of the run in the folder `state`, or of the workers on Kafka."""
    if state is not None:
        return FolderOrders(state)
    from ..drivers.kafka.orders_end import KafkaOrders  # noqa: PLC0415 - Kafka is an extra

    return KafkaOrders(settings.kafka, load_sealer(settings.sealing, settings.stream))


def check_place(arguments: argparse.Namespace) -> None:
    """Raise `BadSettings` unless exactly one of the two places is given."""
    if (arguments.state is None) == (arguments.settings is None):
        raise BadSettings(
            "give either DIR, the --state of a run, or --settings, those of the workers on Kafka"
        )


def add_place(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name the run or the workers to order from."""
    parser.add_argument(
        "state", type=Path, nargs="?", metavar="DIR", help="the --state of a `headrace run`"
    )
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="instead: those of the workers on Kafka"
    )


def add_order(parser: argparse.ArgumentParser, *, record: str, again: str, wait: str) -> None:
    """Add the arguments of every order: its reason, its key, and how long to wait for the outcome.

    Parts of their help: `record` names what keeps the reason, `again` says what happens if the key
    was given before, `wait` what is waited for and what the exit codes mean.
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
    """The time of day, and the key or one made of the time. `BadSettings` for an empty key."""
    at = time.time()
    generated = hashlib.blake2b(f"{at!r} {os.getpid()}".encode(), digest_size=6).hexdigest()
    if key == "":
        raise BadSettings("--key is empty; give a name, or leave it out")
    return at, generated if key is None else key


def order_and_wait(arguments: argparse.Namespace, order: Order, what: str) -> int:
    """Place an order and print so; with `--wait` print its outcome too. Return the exit code.

    `what` describes the order. Raises `BadSettings` and `BadInput`.
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


def _await_order(orders: RunOrders, order: Order, wait_s: float) -> int:
    """Print what becomes of an order within `wait_s` seconds; return the exit code."""
    sys.stdout.flush()
    until = time.monotonic() + wait_s
    while True:
        outcome = orders.find_order(order) or {"state": "ordered"}
        if outcome["state"] == "asked":
            number = f", round {outcome['round_n']}" if "round_n" in outcome else ""
            sys.stdout.write(f"asked: labels: {outcome['asked_n']}{number}\n")
            return 0
        if outcome["state"] == "rolled back":
            sys.stdout.write(f"rolled back: the model is version {outcome['to']} again\n")
            return 0
        if outcome["state"] == "refused":
            sys.stdout.write(f"nothing was done: {outcome['why']}\n")
            return EXIT_NOTHING
        if time.monotonic() >= until:
            sys.stdout.write(f"not decided within {wait_s:g} s; {orders.going_on}\n")
            return EXIT_LATER
        time.sleep(POLL_S)
