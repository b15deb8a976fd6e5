"""The messages of an erasure: the order to forget somebody's events, and its execution."""

from __future__ import annotations

import msgspec

from .base import Message


class ErasureOrdered(Message, frozen=True, kw_only=True):
    """An order to forget everything about some events (docs/ERASURE.md).

    It is about the events with these `event_ids`, and those whose `field` is one of `values`;
    `field` is `key`, `id`, or the name of a feature. If several orders have the same `key`, only
    the first is carried out. The models are built anew from the remaining examples where a label
    of such an event is found among those learned, or where `is_learned` says that one was learned.

    On Kafka, where an order stands in logs, nobody is named in clear: `values` are digests, made
    with `salt` (`subject.digest_of`), and events are named by `request_ids`, the ids that requests
    about them would have. `by` is who ordered it; the order is for `shards_n` partitions of the
    events. A desk that has forgotten the person passes the order on with its own number, `desk`,
    the ids of the requests that it had about the person, and counts of what it forgot, `erased`.

    With `before`, all events that happened before that time (seconds) are forgotten too; with
    `examples_before`, all labelled examples from before that time, which are kept otherwise. The
    sums of river models keep what they learned from these, unless it `is_unlearned`.
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

    `erased` has a count for each place: `window`, `reservoir`, `open requests`, `ended requests`,
    `waiting requests`, `examples`, `halves`, `categories`. With `is_refitted` models were built
    anew.
    """

    at: float
    key: str = ""
    erased: dict[str, int] = msgspec.field(default_factory=dict)
    is_refitted: bool = False
