"""Erasure: removes everything that the parts of an engine hold about some events.

This is the one list of where content of events is in memory (docs/ERASURE.md has all other places):
window, reservoir, requests that are open, ended or wait for money, labelled examples, evidence of
the committee, categories of the schema, halves that wait to be joined, labels that look wrong, rows
that strategies and rules on arrival remember, models. Sums over many events stay: counts, moments,
statistics of drift, estimates, settings that were tuned. Hashes of ids stay too: they show whether
an event comes a second time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..label.desk import Desk
from ..learn.erasing import erase_examples, forget_examples, read_anew
from ..learn.trainer import Trainer
from ..messages import (
    ErasureOrdered,
    LabelRequested,
    QuestionChanged,
    RequestWithdrawn,
    SubjectErased,
    class_name,
)
from ..messages.request_ids import opinion_ids
from ..observe.joining import Half
from ..observe.schema import Schema
from ..query.strategies.state import tell_strategy
from ..shard.shard import Shard
from .subject import Subject

REASON = "erased"
"""The reason of a withdrawal because the event is erased."""

TOO_OLD = "retention"
"""The reason of a withdrawal because the event is older than events are kept."""


def erase_subject(
    order: ErasureOrdered, now: float, shard: Shard, desk: Desk, trainer: Trainer
) -> tuple[list[RequestWithdrawn], list[QuestionChanged], SubjectErased]:
    """Erase all events that the order names from shard, desk and trainer; `now` is in seconds.

    Returns the withdrawals, the changed questions and the outcome. The caller passes the
    withdrawals, which still have the ids of their events, on to all parts. The other questions
    about the events, such as gold ones, only have to be removed from the labelling tools.
    """
    subject, schema = Subject(order), shard.schema
    _find_ids(subject, schema, shard, _requests_of(shard, desk))
    request_ids = _requests_about(subject.event_ids, shard)
    old = _old_ids(subject, _requests_of(shard, desk))
    old_ids = _requests_about(old, shard) - request_ids
    erased: Counter[str] = Counter()
    _erase_events(subject, schema, shard, erased)
    erased["waiting requests"] = _erase_waiting(shard, request_ids | old_ids)
    erased["halves"] = _erase_halves(subject, shard)
    theirs = desk.erase(request_ids, REASON, now)
    too_old = desk.erase(old_ids, TOO_OLD, now)
    withdrawn = theirs.withdrawn + too_old.withdrawn
    questions = theirs.questions + too_old.questions
    erased["open requests"] = len(withdrawn)
    erased["ended requests"] = theirs.ended_n + too_old.ended_n
    trainer.noise.erase(old_ids)
    is_refitted = False
    if subject.is_anybody:
        is_learned = order.is_learned or theirs.has_label
        erased["examples"], is_refitted = erase_examples(
            trainer, subject.names_event, request_ids, is_learned=is_learned
        )
    if order.examples_before is not None:
        examples_n, is_made_anew = forget_examples(
            trainer, order.examples_before, is_unlearned=order.is_unlearned
        )
        erased["examples"] += examples_n
        is_refitted |= is_made_anew
    rows = [*_rows_of(shard), *(example.row for example in trainer.memory.examples())]
    erased["categories"] = schema.forget_categories(rows)
    read_anew(trainer)
    counts = {where: n for where, n in erased.items() if n}
    done = SubjectErased(at=now, key=order.key, erased=counts, is_refitted=is_refitted)
    return withdrawn, questions, done


def erase_events(order: ErasureOrdered, shard: Shard) -> dict[str, int]:
    """Erase what a shard holds of the events that the order names; return the counts by place."""
    subject, schema = Subject(order, shard.asking.request_id), shard.schema
    _find_ids(subject, schema, shard, _waiting_of(shard))
    old = _old_ids(subject, _waiting_of(shard))
    request_ids = _requests_about(subject.event_ids | old, shard)
    request_ids = request_ids.union(order.request_ids, *map(opinion_ids, order.request_ids))
    erased: Counter[str] = Counter()
    _erase_events(subject, schema, shard, erased)
    erased["waiting requests"] = _erase_waiting(shard, request_ids)
    erased["halves"] = _erase_halves(subject, shard)
    erased["categories"] = schema.forget_categories(_rows_of(shard))
    return {where: n for where, n in erased.items() if n}


def _find_ids(
    subject: Subject, schema: Schema, shard: Shard, requests: Iterable[LabelRequested]
) -> None:
    """Add the ids of all their events that are found: some places know an event by its id only."""
    if not subject.is_anybody:
        return
    for events in (shard.window.copy_kept(), shard.reservoir.columns()):
        is_old = events.at < subject.before
        subject.event_ids.update(events.ids[subject.find_events(events, schema) & ~is_old].tolist())
    for request in requests:
        if subject.names_event(request.event_id, request.key, request.features):
            subject.event_ids.add(request.event_id)


def _old_ids(subject: Subject, requests: Iterable[LabelRequested]) -> set[str]:
    """Return the ids of the events of these requests that are too old."""
    return {request.event_id for request in requests if request.event_at < subject.before}


def _requests_of(shard: Shard, desk: Desk) -> list[LabelRequested]:
    """Return all known requests: open, ended, or waiting for money."""
    return [*desk.list_requests(), *_waiting_of(shard)]


def _waiting_of(shard: Shard) -> list[LabelRequested]:
    """Return the requests that a shard holds: those that wait for money, and open opinions."""
    return [*shard.asking.queue.requests, *shard.asking.opinions.open.values()]


def _requests_about(event_ids: set[str], shard: Shard) -> set[str]:
    """Return the ids of all requests that may exist about these events."""
    first_ids = {shard.asking.request_id(event_id) for event_id in sorted(event_ids)}
    return first_ids.union(*map(opinion_ids, first_ids))


def _erase_events(subject: Subject, schema: Schema, shard: Shard, erased: Counter[str]) -> None:
    """Erase the events that are kept, and what strategies and rules remember of events."""
    events = shard.window.copy_kept()
    seqs = events.seq[subject.find_events(events, schema)]
    shard.window.erase(seqs)
    is_gone = subject.find_events(shard.reservoir.columns(), schema)
    shard.reservoir.erase(is_gone)
    erased["window"], erased["reservoir"] = len(seqs), int(is_gone.sum())
    tell_strategy(getattr(shard.asking.arrivals, "rule", None), "forget_events")
    tell_strategy(shard.asking.strategy, "forget_events")
    # Always: its bin borders may be values of events that have left window and reservoir since.
    shard.drift.windows.forget_events()
    shard.asking.quotas.forget_events()
    shard.asking.duplicates.forget_events()
    shard.asking.labels.keep_only(shard.past().keys)


def _erase_waiting(shard: Shard, request_ids: set[str]) -> int:
    """Give up these requests if they wait for money; return how many did."""
    given_up = shard.asking.erase(request_ids)
    for request in given_up:
        if request.opinion_n == 1:
            shard.evaluation.end_request(request.request_id)
    return len(given_up)


def _erase_halves(subject: Subject, shard: Shard) -> int:
    """Erase records that wait to be joined and name the subject anywhere; return how many."""
    halves = shard.admission.halves
    gone = [name for name, half in halves.waiting.items() if _is_about(subject, name, half)]
    for name in gone:
        halves.pop_half(name)
    return len(gone)


def _is_about(subject: Subject, name: str, half: Half) -> bool:
    """Whether a half is about the subject: by its id, or because it contains one of the names."""
    if subject.names_event(name, None, None):
        return True
    texts = sorted(subject.event_ids | subject.values)
    if any(text.encode() in half.content for text in texts):
        return True
    values = _texts_in(msgspec.json.decode(half.content)) if subject.values else ()
    return any(map(subject.has_value, values))


def _texts_in(record: object) -> Iterator[str]:
    """Yield all values of a record, at any depth, as texts."""
    if isinstance(record, dict):
        for value in record.values():
            yield from _texts_in(value)
    elif isinstance(record, list):
        for value in record:
            yield from _texts_in(value)
    elif record is not None:
        yield class_name(record)


def _rows_of(shard: Shard) -> list[NDArray[np.float64]]:
    """Return the rows of all events that a shard keeps."""
    return [*shard.window.copy_kept().rows, *shard.reservoir.columns().rows]
