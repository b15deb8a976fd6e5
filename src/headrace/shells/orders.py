"""What a person orders of a run, the file through which it hears of it, and `headrace round open`.

An order is a line appended to `orders.jsonl` in the folder of the run. The run reads it as it reads
events and answers: a span of the file stands in its journal, and a replay reads it there again.
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
from typing import Any

import msgspec

from ..errors import BadInput, BadSettings
from ..messages import ErasureOrdered, InputRejected, Reason, RollBackOrdered, RoundOrdered
from ..query.orders import Order, fault_of
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


# --------------------------------------------------------------------------------- command line


def register(subparsers: Any) -> None:
    """Add `headrace round`."""
    parser = subparsers.add_parser("round", help="order a round of a run")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    opens = actions.add_parser(
        "open",
        help="order a round now",
        description="Order a round over the events that a run keeps: the latest, and a sample of "
        "all. A run with --follow opens it at once; else it is opened at the end of the next "
        "`headrace run` with this --state. It is paid from the budget, what is held for drift "
        "included, and no event is asked twice.",
    )
    opens.add_argument("state", type=Path, metavar="DIR", help="the --state of a `headrace run`")
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
    return order_and_wait(arguments.state, order, f"a round, labels: {size}", arguments.wait)


def named(key: str | None) -> tuple[float, str]:
    """The time of day, and the key of an order: one that was given, or one made of that time."""
    at = time.time()
    made = hashlib.blake2b(f"{at!r} {os.getpid()}".encode(), digest_size=6).hexdigest()
    if key == "":
        raise BadSettings("--key is empty; give a name, or leave it out")
    return at, made if key is None else key


def order_and_wait(folder: Path, order: Order, what: str, wait_s: float | None) -> int:
    """Place an order and say so; say what became of it, if `wait_s` is given. The exit code."""
    if wait_s is not None and not 0 <= wait_s <= WAIT_S_MAX:
        raise BadSettings(f"--wait is {wait_s:g}; must be 0 to {WAIT_S_MAX} (seconds)")
    if place_order(folder, order):
        sys.stdout.write(f"ordered: {what}, key {order.key}\n")
    else:
        sys.stdout.write(f"ordered before, so nothing was done: key {order.key}\n")
    return 0 if wait_s is None else _wait(folder, order.key, wait_s)


def _wait(folder: Path, key: str, wait_s: float) -> int:
    """Say what becomes of an order within so many seconds; the exit code."""
    sys.stdout.flush()
    until = time.monotonic() + wait_s
    with closing(RoundsTold(folder / "decisions.jsonl")) as told:
        while True:
            found = told.round(key) or {"state": "ordered"}
            if found["state"] == "asked":
                sys.stdout.write(f"asked: labels: {found['asked_n']}, round {found['round_n']}\n")
                return 0
            if found["state"] == "rolled back":
                sys.stdout.write(f"rolled back: the model is version {found['to']} again\n")
                return 0
            if found["state"] == "refused":
                sys.stdout.write(f"nothing was done: {found['why']}\n")
                return EXIT_NOTHING
            if time.monotonic() >= until:
                sys.stdout.write(f"not decided within {wait_s:g} s; is the run going on?\n")
                return EXIT_LATER
            time.sleep(POLL_S)
