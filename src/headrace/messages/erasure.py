"""The messages of an erasure: who is to be forgotten, and what was."""

from __future__ import annotations

import msgspec

from .base import Message


class ErasureOrdered(Message, frozen=True, kw_only=True):
    """Everything about some events is to be forgotten (docs/ERASURE.md).

    They are those with these `event_ids`, and those whose `field` is one of `values`: `key`, `id`,
    or the name of a feature. Of orders with one `key` only the first is carried out. With
    `is_learned` it is known from outside that a label of such an event was learned: the models are
    then made anew from the examples that are left, as they are where one is found here.

    On Kafka, where an order stands in logs, nobody is named in clear: `values` are digests, made
    with `salt` (`subject.digest_of`), and events are named by the ids of the requests that there
    may be about them, `request_ids`. `by` is who ordered it, `shards_n` for how many partitions of
    the events. A desk that has forgotten the person passes the order on with its number, `desk`,
    the ids of the requests that it had about the person, and what it forgot, `erased`.

    With `before`, all events that happened before that time are forgotten too, seconds; with
    `examples_before`, labelled examples of before that time, which are kept otherwise. What was
    learned of these stays in the sums of river models, unless it `is_unlearned`.
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
    """An order to erase was carried out: from where how many, and who, it does not say.

    `erased` counts what was forgotten by where it was: `window`, `reservoir`, `open requests`,
    `ended requests`, `waiting requests`, `examples`, `halves`, `categories`. With `is_refitted`
    models were made anew.
    """

    at: float
    key: str = ""
    erased: dict[str, int] = msgspec.field(default_factory=dict)
    is_refitted: bool = False
