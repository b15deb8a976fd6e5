"""An erasure: everything that the parts of an engine hold of some events is forgotten.

This is the one list of where content of events is in memory (docs/ERASURE.md has all other places):
window, reservoir, requests that are open, ended or wait for money, labelled examples, evidence of
the committee, categories of the schema, halves that wait to be joined, labels that look wrong, rows
that rules on arrival remember, models. Sums over many events stay: counts, moments, statistics of
drift, estimates, settings that were tuned; so do hashes of ids, by which an event that comes again
is known.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from .label.desk import Desk
from .learn.erasing import erase_examples, forget_examples, read_anew
from .learn.trainer import Trainer
from .messages import (
    ErasureOrdered,
    Features,
    LabelRequested,
    RequestWithdrawn,
    SubjectErased,
    class_name,
)
from .observe.originals import unpacked
from .observe.schema import Schema
from .observe.window import Columns
from .request_ids import opinion_ids
from .shard import Shard

REASON = "erased"
"""Why a request is withdrawn whose event is erased."""

TOO_OLD = "retention"
"""Why a request is withdrawn whose event is older than events are kept."""


class Subject:
    """Whose events are to be erased: by their ids, and by a field of theirs."""

    def __init__(self, order: ErasureOrdered) -> None:
        self.event_ids = set(order.event_ids)
        self.field = order.field
        self.values = set(order.values)
        self.before = -math.inf if order.before is None else order.before

    def names(self, event_id: str, key: str | None, features: Features | None) -> bool:
        """Whether an event with these is one of them.

        >>> subject = Subject(ErasureOrdered(at=0.0, field="customer", values=("7",)))
        >>> subject.names("e1", None, {"customer": 7.0}), subject.names("e2", "7", {})
        (True, False)
        """
        if event_id in self.event_ids:
            return True
        if not self.values:
            return False
        if self.field == "id":
            return event_id in self.values
        if self.field == "key":
            return key in self.values
        value = (features or {}).get(self.field)
        return value is not None and class_name(value) in self.values

    def among(self, events: Columns, schema: Schema) -> NDArray[np.bool_]:
        """Which of these events are theirs, shape (n,)."""
        found = events.at < self.before
        if not (self.event_ids or self.values):
            return found
        is_feature = bool(self.values) and self.field not in ("id", "key")
        for row, event_id in enumerate(events.ids.tolist()):
            key, _ = events.origins[row] or (None, None)
            features: Features | None = None
            if is_feature:
                features = unpacked(events.originals[row])
                features = schema.features(events.rows[row]) if features is None else features
            found[row] |= self.names(event_id, key, features)
        return found


def erase_subject(
    order: ErasureOrdered, now: float, shard: Shard, desk: Desk, trainer: Trainer
) -> tuple[list[RequestWithdrawn], SubjectErased]:
    """Forget all events that an order names; the requests withdrawn, and what was forgotten.

    The withdrawals are to be told to all parts; they still have the ids of their events.
    """
    subject, schema = Subject(order), shard.schema
    _find_ids(subject, schema, shard, desk)
    request_ids = _requests_about(subject.event_ids, shard)
    old_ids = _requests_about(_old_ids(subject, shard, desk), shard) - request_ids
    erased: Counter[str] = Counter()
    _erase_events(subject, schema, shard, erased)
    erased["waiting requests"] = _erase_waiting(shard, request_ids | old_ids)
    erased["halves"] = _erase_halves(subject, shard)
    withdrawn, ended_n, has_label = desk.erase(request_ids, REASON, now)
    too_old, old_n, _ = desk.erase(old_ids, TOO_OLD, now)
    withdrawn += too_old
    erased["open requests"], erased["ended requests"] = len(withdrawn), ended_n + old_n
    trainer.noise.erase(old_ids)
    is_refitted = False
    if subject.event_ids or subject.values:
        is_learned = order.is_learned or has_label
        erased["examples"], is_refitted = erase_examples(
            trainer, subject.names, request_ids, is_learned=is_learned
        )
    if order.examples_before is not None:
        examples_n, is_made_anew = forget_examples(
            trainer, order.examples_before, is_unlearned=order.is_unlearned
        )
        erased["examples"] += examples_n
        is_refitted |= is_made_anew
    erased["categories"] = _forget_categories(schema, shard, trainer)
    told = {where: n for where, n in erased.items() if n}
    return withdrawn, SubjectErased(at=now, key=order.key, erased=told, is_refitted=is_refitted)


def _find_ids(subject: Subject, schema: Schema, shard: Shard, desk: Desk) -> None:
    """Note the ids of all events of theirs that are found: what is left may have no more."""
    if not (subject.event_ids or subject.values):
        return
    for events in (shard.window.kept(), shard.reservoir.columns()):
        is_old = events.at < subject.before
        subject.event_ids.update(events.ids[subject.among(events, schema) & ~is_old].tolist())
    for one in _requests_of(shard, desk):
        if subject.names(one.event_id, one.key, one.features):
            subject.event_ids.add(one.event_id)


def _old_ids(subject: Subject, shard: Shard, desk: Desk) -> set[str]:
    """The ids of the events that are too old and were asked about."""
    return {one.event_id for one in _requests_of(shard, desk) if one.event_at < subject.before}


def _requests_of(shard: Shard, desk: Desk) -> list[LabelRequested]:
    """All requests that are known: open, ended, or waiting for money."""
    asking = shard.asking
    return [*desk.requests(), *asking.queue.requests, *asking.opinions.open.values()]


def _requests_about(event_ids: set[str], shard: Shard) -> set[str]:
    """The ids of all requests that there may be about these events."""
    first_ids = {shard.asking.request_id(event_id) for event_id in sorted(event_ids)}
    return first_ids.union(*map(opinion_ids, first_ids))


def _erase_events(subject: Subject, schema: Schema, shard: Shard, erased: Counter[str]) -> None:
    """Forget the events that are kept, and what rules on arrival remember of events."""
    events = shard.window.kept()
    seqs = events.seq[subject.among(events, schema)]
    shard.window.erase(seqs)
    is_gone = subject.among(shard.reservoir.columns(), schema)
    shard.reservoir.erase(is_gone)
    erased["window"], erased["reservoir"] = len(seqs), int(is_gone.sum())
    forget = getattr(getattr(shard.asking.arrivals, "rule", None), "forget_events", None)
    if forget is not None:
        forget()
    # Always: its places may be values of events that have left window and reservoir since.
    shard.drift.windows.forget_events()
    shard.asking.quotas.forget_events()
    shard.asking.duplicates.forget_events()


def _erase_waiting(shard: Shard, request_ids: set[str]) -> int:
    """Give up requests that wait for money; how many."""
    given_up = shard.asking.erase(request_ids)
    for one in given_up:
        if one.opinion_n == 1:
            shard.evaluation.ended(one.request_id)
    return len(given_up)


def _erase_halves(subject: Subject, shard: Shard) -> int:
    """Forget records that wait to be joined and name them anywhere; how many."""
    halves = shard.admission.halves
    texts = [one.encode() for one in sorted(subject.event_ids | subject.values)]
    gone = [
        name
        for name, half in halves.waiting.items()
        if name in subject.event_ids or any(text in half.content for text in texts)
    ]
    for name in gone:
        halves.take(name)
    return len(gone)


def _forget_categories(schema: Schema, shard: Shard, trainer: Trainer) -> int:
    """Forget the categories that no event shows which is still kept; how many."""
    shown: dict[str, set[int]] = {}
    places = [(j, name) for j, name in enumerate(schema.names) if name in schema.categories]
    rows: list[NDArray[np.float64]] = [
        *shard.window.kept().rows,
        *shard.reservoir.columns().rows,
        *(example.row for example in trainer.memory.examples()),
    ]
    for j, name in places:
        codes = {float(row[j]) for row in rows if j < len(row)}
        shown[name] = {int(code) for code in codes if code == code}  # noqa: PLR0124 - NaN
    gone_n = schema.forget_categories(shown)
    read_anew(trainer)
    return gone_n
