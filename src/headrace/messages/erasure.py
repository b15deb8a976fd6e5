"""The messages of an erasure: the order to forget somebody's events, and its execution."""

from __future__ import annotations

import msgspec

from .base import Message


class ErasureOrdered(Message, frozen=True, kw_only=True):
    """An order to forget everything about some events (docs/ERASURE.md).

    The models are built anew from the remaining examples where a label of such an event is found
    among those learned, or where `is_learned` says that one was learned.

    On Kafka, where an order stands in logs, nobody is named in clear: `values` are digests and
    `request_ids` stand for the ids of events. A desk that has forgotten the person passes the
    order on, with `desk`, the `request_ids` that it had about the person, and `erased`.

    Attributes:
        at: When it was ordered, seconds since the epoch.
        event_ids: The ids of events to forget.
        field: What `values` are compared with: `key`, `id`, or the name of a feature.
        values: The events whose `field` is one of these are forgotten too.
        key: Names the order; of several orders with the same key only the first is carried out.
        is_learned: Whether a label of such an event is known to have been learned.
        before: All events that happened before this time, seconds, are forgotten too.
        examples_before: All labelled examples from before this time, seconds, are forgotten too;
            without it `before` keeps them.
        is_unlearned: Whether the models unlearn the examples of `examples_before`. Otherwise the
            sums of river models keep what they learned from these.
        request_ids: The ids that requests about the events would have.
        salt: The salt with which the digests in `values` were made (`subject.digest_of`).
        by: Who ordered it, for the audit log.
        shards_n: The number of partitions of the events that the order is for.
        desk: The number of the desk that passes the order on.
        erased: What this desk has forgotten, as a count by place.

    >>> order = ErasureOrdered(at=60.0, field="customer", values=("c-17",), key="ticket 4")
    """

    at: float
    event_ids: tuple[str, ...] = ()
    field: str = ""
    values: tuple[str, ...] = ()
    key: str = ""
    is_learned: bool = False
    before: float | None = None
    examples_before: float | None = None
    is_unlearned: bool = False
    request_ids: tuple[str, ...] = ()
    salt: str = ""
    by: str = ""
    shards_n: int = 1
    desk: int = 0
    erased: dict[str, int] = msgspec.field(default_factory=dict)


class SubjectErased(Message, frozen=True, kw_only=True):
    """An order to erase was carried out; the message counts what was forgotten and names nobody.

    Attributes:
        at: When it was carried out, seconds since the epoch.
        key: The `key` of the order.
        erased: Counts of what was forgotten, by place: `window`, `reservoir`, `open requests`,
            `ended requests`, `waiting requests`, `examples`, `halves`, `categories`.
        is_refitted: Whether models were built anew.

    >>> from headrace import Engine, Event
    >>> engine = Engine(seed=7)
    >>> outputs = engine.feed([Event(id=str(i), at=i, features={"x": i}) for i in range(5)])
    >>> done = engine.feed([ErasureOrdered(at=5.0, event_ids=("3",))])[-1]
    >>> type(done).__name__, done.erased["window"], done.is_refitted
    ('SubjectErased', 1, False)
    """

    at: float
    key: str = ""
    erased: dict[str, int] = msgspec.field(default_factory=dict)
    is_refitted: bool = False
