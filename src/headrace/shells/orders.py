"""What a person orders of a run, the file through which it hears of it, and `headrace round open`.

Workers on Kafka hear of it through a topic (`shells.kafka.orders_end`). Of a run an order is a line
appended to `orders.jsonl` in its folder. The run reads it as it reads events and answers: a span of
the file stands in its journal, and a replay reads it there again.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import msgspec

from ..adapters.sealing import load_sealer
from ..bridges.bridge import Unreachable
from ..errors import BadInput, BadSettings
from ..messages import ErasureOrdered, InputRejected, Reason, RollBackOrdered, RoundOrdered
from ..query.orders import Order, fault_of
from ..settings import Settings, load_for_kafka
from .audit.acts import user
from .places import no_run_told
from .rounds_told import RoundsTold

ORDERS = "orders.jsonl"
POLL_S = 0.1
WAIT_S_MAX = 86_400
EXIT_NOTHING, EXIT_LATER = 3, 75

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Order | ErasureOrdered] = msgspec.json.Decoder(
    RoundOrdered | RollBackOrdered | ErasureOrdered
)


def decode_order(line: bytes, now: float) -> Order | ErasureOrdered | InputRejected:
    """The order in a line of the file, as of `now`, seconds; or why it is none.

    >>> decode_order(b'{"type": "RoundOrdered", "at": 5.0, "labels_n": 3}', 9.0)
    RoundOrdered(at=9.0, labels_n=3, key='', reason='', by='')
    """
    try:
        order = _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return InputRejected(reason=Reason.BAD_ORDER, detail=str(error), at=now)
    return msgspec.structs.replace(order, at=now)


def place_order(folder: Path, order: Order) -> bool:
    """Append an order to those of a run; false if one with its key stands there already.

    When this returns the order survives a loss of power. Raises `BadInput` if the folder holds no
    run, `BadSettings` for an order that could not be carried out.
    """
    if not (folder / "settings.json").exists():
        raise BadInput(no_run_told(folder))
    if fault := fault_of(order):
        raise BadSettings(fault)
    with (folder / ORDERS).open("a+b") as file:
        # Two people who order at once wait for each other, so that a key stands there once.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        there = file.read()
        if order.key and _has_key(there, order.key):
            return False
        # Whoever wrote the last line may have been killed within it.
        begin = b"" if not there or there.endswith(b"\n") else b"\n"
        file.write(begin + _ENCODER.encode(order) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return True


def is_ordered(folder: Path, key: str) -> bool:
    """Whether an order with this key was ever placed."""
    path = folder / ORDERS
    return path.exists() and _has_key(path.read_bytes(), key)


def _has_key(orders: bytes, key: str) -> bool:
    return any(_key_of(line) == key for line in orders.splitlines())


def _key_of(line: bytes) -> str:
    order = decode_order(line, 0.0)
    return "" if isinstance(order, InputRejected) else order.key


class Orders(Protocol):
    """Where orders are placed, and what became of them is read. `going_on` asks who is at work."""

    @property
    def going_on(self) -> str: ...
    def place(self, order: Order) -> bool:
        """Order; false if one with its key was placed before."""

    def found(self, order: Order) -> dict[str, Any] | None:
        """What is known of the order with this key, None for nothing."""

    def close(self) -> None: ...


class FolderOrders:
    """Orders of a run on files."""

    going_on = "is the run going on?"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told = RoundsTold(folder / "decisions.jsonl")

    def place(self, order: Order) -> bool:
        return place_order(self._folder, order)

    def found(self, order: Order) -> dict[str, Any] | None:
        found = self._told.round(order.key)
        if found is None and is_ordered(self._folder, order.key):
            return {"state": "ordered"}
        return found

    def close(self) -> None:
        self._told.close()


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
    from .kafka.orders_end import KafkaOrders  # noqa: PLC0415 - Kafka is an extra

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


# --------------------------------------------------------------------------------- command line


def register(subparsers: Any) -> None:
    """Add `headrace round`."""
    parser = subparsers.add_parser("round", help="order a round of a run")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    opens = actions.add_parser(
        "open",
        help="order a round now",
        description="Order a round over the events that a run keeps: the latest, and a sample of "
        "all. A run with --follow, and workers on Kafka, open it at once; else it is opened at the "
        "end of the next `headrace run` with this --state. It is paid from the budget, what is "
        "held for drift included, and no event is asked twice.",
    )
    add_place(opens)
    opens.add_argument(
        "--labels", type=int, metavar="N", help="so many at most; else all there is to spend"
    )
    opens.add_argument(
        "--reason", default="", metavar="TEXT", help="why, as the record of the round shall say"
    )
    opens.add_argument(
        "--key",
        metavar="KEY",
        help="a name for this order: given again, nothing more is asked; else it is made of the "
        "time of day",
    )
    opens.add_argument(
        "--wait",
        type=float,
        metavar="SECONDS",
        help="wait so long for the run to decide it; exit 3: it found nothing to ask, 75: it has "
        "not decided yet",
    )
    opens.set_defaults(func=main)


def main(arguments: argparse.Namespace) -> int:
    """Run `headrace round open`; the exit code."""
    at, key = named(arguments.key)
    order = RoundOrdered(
        at=at, labels_n=arguments.labels, key=key, reason=arguments.reason, by=user()
    )
    size = "all there is to spend" if order.labels_n is None else f"{order.labels_n} at most"
    return order_and_wait(arguments, order, f"a round, labels: {size}")


def named(key: str | None) -> tuple[float, str]:
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
            return 0 if wait_s is None else _wait(orders, order, wait_s)
    except Unreachable as error:
        raise BadInput(str(error)) from error


def _wait(orders: Orders, order: Order, wait_s: float) -> int:
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
