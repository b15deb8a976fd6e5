"""A person's orders to a stream on Kafka: records among the answers, told apart by their key.

The worker that reads one puts it into the log of the first desk, which passes it on into the
training log: so all workers read all orders in one sequence, and an order counts there once
(`learn.training_log`). Each shard then does its part, and its journal says what came of it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import xxhash

from ..learn import caps
from ..messages import (
    ErasureOrdered,
    InputRejected,
    LabelRequested,
    ModelRolledBack,
    Output,
    Reason,
    RollBackOrdered,
    RoundOpened,
    RoundOrdered,
    SubjectErased,
)
from ..privacy.erasing import erase_events
from ..query.orders import Order, fault_of, name_of
from ..shard.shard import Shard
from .effects import Part
from .records import Record

ORDER_KEY = b"headrace-order/1"
"""The key of an order's record: what it is, and the version of its form."""

DESK = 0
"""The desk whose log has the orders; those to erase are in the logs of all desks."""

_KIND = b"headrace-order/"
_ORDERS: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)


class Followed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of an order in one shard.

    `order` is its `name_of`. Round `round_n` made `asked_n` requests; `why` is the reason why it
    made none, or why the model was not rolled back. `model_version` is the version in use after a
    roll back. For an erasure `erased` counts what was forgotten, by place, and `is_refitted` says
    that models were made anew.
    """

    order: str
    asked_n: int = 0
    round_n: int = -1
    why: str = ""
    model_version: int = -1
    erased: dict[str, int] = {}
    is_refitted: bool = False


def is_order(record: Record) -> bool:
    """Whether a record among the answers is an order, of whatever version."""
    return (record.key or b"").startswith(_KIND)


def order_of(value: bytes, record: Any, part: Part, shards_n: int) -> Order | InputRejected:
    """Return the order in a record's (unsealed) value, or a rejection that says why it is none.

    The order is for `shards_n` shards. Without a key it gets one, of its place in `part` and its
    time: read again, it is the same order.
    """
    source, at = f"{part.topic}, partition {part.partition}", record.timestamp / 1_000
    about = {"at": at, "source": source, "position": record.offset}
    if record.key != ORDER_KEY:
        detail = (
            f"its key is {record.key!r}, and this worker reads {ORDER_KEY!r}; upgrade the workers"
        )
        return InputRejected(reason=Reason.BAD_ORDER, detail=detail, **about)
    try:
        order = _ORDERS.decode(value)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return InputRejected(reason=Reason.BAD_ORDER, detail=str(error), **about)
    if fault := fault_of(order):
        return InputRejected(reason=Reason.BAD_ORDER, detail=fault, input_id=order.key, **about)
    if not order.key:
        place = f"answers {part.partition} {record.offset} {record.timestamp}"
        order = msgspec.structs.replace(order, key=place)
    if isinstance(order, RoundOrdered | ErasureOrdered):
        order = msgspec.structs.replace(order, shards_n=shards_n)
    return order


def part_of(order: RoundOrdered, partition: int) -> RoundOrdered | None:
    """Return the part of an order that the shard of this partition has; None if it has none.

    The parts add up to `labels_n`. The key decides which shards get the labels that are left over,
    so that no shard gets those of all orders.

    >>> order = RoundOrdered(at=0.0, labels_n=5, key="monday", shards_n=3)
    >>> [part_of(order, number).labels_n for number in range(3)]
    [1, 2, 2]
    """
    n = order.shards_n
    if partition >= n or order.labels_n is None:
        return order if partition < n else None
    first = xxhash.xxh64_intdigest(order.key.encode()) % n
    labels_n = caps.part_of(order.labels_n, n, (partition - first) % n)
    return msgspec.structs.replace(order, labels_n=labels_n)


def open_ordered(
    shard: Shard, partition: int, order: RoundOrdered
) -> tuple[list[Output], list[Followed]]:
    """Open this shard's part of an ordered round; return the outputs, and what came of it."""
    part = part_of(order, partition)
    if part is None:
        return [], []
    if part.labels_n == 0:
        why = f"its part of {order.labels_n} labels for {order.shards_n} partitions is none"
        return [], [Followed(order=name_of(order), why=why)]
    outputs = shard.open_ordered_round(part)
    asked_n = sum(isinstance(output, LabelRequested) for output in outputs)
    round_n = next((o.round_n for o in outputs if isinstance(o, RoundOpened)), -1)
    why = next((o.detail for o in outputs if isinstance(o, InputRejected)), "")
    return outputs, [Followed(order=name_of(order), asked_n=asked_n, round_n=round_n, why=why)]


def tell_roll_back(
    partition: int, entry: ModelRolledBack | InputRejected
) -> tuple[list[Output], list[Followed]]:
    """Return a shard's outputs for an order to roll back; the first alone reports a refusal."""
    if isinstance(entry, InputRejected):
        name = name_of(RollBackOrdered(at=entry.at, to=0, key=entry.input_id))
        followed = Followed(order=name, why=entry.detail)
        return [entry] if partition == 0 else [], [followed]
    if entry.to is None:
        return [], []
    name = name_of(RollBackOrdered(at=entry.at, to=entry.to, key=entry.order_key))
    return [], [Followed(order=name, model_version=entry.model_version)]


def erase_for_order(
    shard: Shard, partition: int, order: ErasureOrdered, told: SubjectErased | None
) -> list[Followed]:
    """Forget a person in a shard; the first shard also reports what desk and trainer forgot.

    `told` is what the trainer forgot, None for nothing.
    """
    erased, is_refitted = Counter(erase_events(order, shard)), False
    if partition == 0:
        erased.update(order.erased)
        if told is not None:
            erased.update(told.erased)
            is_refitted = told.is_refitted
    return [Followed(order=name_of(order), erased=dict(erased), is_refitted=is_refitted)]
