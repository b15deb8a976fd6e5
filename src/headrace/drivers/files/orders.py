"""People's orders to a run or to workers: where they are placed, and what became of them.

An order to a run is a line appended to `orders.jsonl` in its folder. The run reads it as it reads
events and answers: its journal has the span of the file, and a replay reads it there again. Workers
on Kafka get orders through a topic (`drivers.kafka.orders_end`).
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any, Protocol

import msgspec

from ...errors import BadInput, BadSettings
from ...messages import ErasureOrdered, InputRejected, Reason, RollBackOrdered, RoundOrdered
from ...query.orders import Order, fault_of
from .places import explain_no_run
from .round_outcomes import RoundOutcomes

ORDERS = "orders.jsonl"
_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Order | ErasureOrdered] = msgspec.json.Decoder(
    RoundOrdered | RollBackOrdered | ErasureOrdered
)


def decode_order(line: bytes, now: float) -> Order | ErasureOrdered | InputRejected:
    """Decode a line of the file as an order at `now`, seconds, or as a rejection that says why not.

    >>> decode_order(b'{"type": "RoundOrdered", "at": 5.0, "labels_n": 3}', 9.0)
    RoundOrdered(at=9.0, labels_n=3, key='', reason='', by='', shards_n=0, is_audit=False)
    """
    try:
        order = _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return InputRejected(reason=Reason.BAD_ORDER, detail=str(error), at=now)
    return msgspec.structs.replace(order, at=now)


def place_order(folder: Path, order: Order) -> bool:
    """Append an order to those of a run; return false if its key was ordered already.

    When this returns the order survives a loss of power. Raises `BadInput` if the folder holds no
    run, `BadSettings` for an order that could not be carried out.
    """
    if not (folder / "settings.json").exists():
        raise BadInput(explain_no_run(folder))
    if fault := fault_of(order):
        raise BadSettings(fault)
    with (folder / ORDERS).open("a+b") as file:
        # Two people who order at once wait for each other, so that a key is there once.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        content = file.read()
        if order.key and _has_key(content, order.key):
            return False
        # A kill may have cut the last line short.
        begin = b"" if not content or content.endswith(b"\n") else b"\n"
        file.write(begin + _ENCODER.encode(order) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return True


def _has_key(orders: bytes, key: str) -> bool:
    placed = (decode_order(line, 0.0) for line in orders.splitlines())
    return any(order.key == key for order in placed if not isinstance(order, InputRejected))


class RunOrders(Protocol):
    """Places orders, and reads what became of them. `going_on` asks whether anybody is at work."""

    @property
    def going_on(self) -> str: ...
    def place(self, order: Order) -> bool:
        """Place an order; return false if one with its key was placed before."""

    def find_order(self, order: Order) -> dict[str, Any] | None:
        """Return what is known of the order with this key; None for nothing."""

    def close(self) -> None: ...


class FolderOrders:
    """Orders to a run on files."""

    going_on = "is the run going on?"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told = RoundOutcomes(folder / "decisions.jsonl")

    def place(self, order: Order) -> bool:
        return place_order(self._folder, order)

    def find_order(self, order: Order) -> dict[str, Any] | None:
        outcome, path = self._told.find_round(order.key), self._folder / ORDERS
        if outcome is None and path.exists() and _has_key(path.read_bytes(), order.key):
            return {"state": "ordered"}
        return outcome

    def close(self) -> None:
        self._told.close()
