"""Rescoring: open questions of a shard are scored again by the present model.

This happens at counted events, together with the latest events, so that batching makes no
difference; and only if the model has learned since the last time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..messages import RequestRescored
from ..observe.originals import unpack_features
from ..observe.window import Columns
from ..query.asking import Asking
from ..query.open_questions import LATEST_N
from .candidates import pool_of, read_more
from .watched import Watched


def rescore_open(
    asking: Asking, watched: Watched, at_random: Callable[[], str | None], now: float
) -> list[RequestRescored]:
    """Return the changed priorities of open questions at this event, or those of the record.

    There are none while `at_random()` returns a reason why the strategy has no say. `now` is the
    clock in seconds.
    """
    changes: list[RequestRescored] = []
    if not asking.open.is_place(watched.events_n):
        return changes
    if asking.open.is_due(watched.model.version) and not at_random():
        changes = _find_changes(asking, watched, now)
    return asking.apply_rescoring(changes)


def _find_changes(asking: Asking, watched: Watched, now: float) -> list[RequestRescored]:
    model, schema = watched.model, watched.schema
    latest = watched.window.since(watched.events_n - LATEST_N)
    questions = asking.open.list_questions(asking.remembered.open_keys)
    events = Columns.join_blocks([latest, *(question.event for question in questions)])
    anew = model.probabilities(events.rows, None, lambda i: unpack_features(events.originals[i]))
    more = read_more(asking.strategy, events, watched, asking, anew)
    source, n = asking.settings.uncertainty_from, len(latest)
    pool = pool_of(events, schema, source, max(1, len(questions)), anew, **more)
    utilities = asking.rate_events(pool)
    asking.open.note_look(utilities[:n], model.version)
    best_first = np.argsort(-utilities[n:], kind="stable")
    is_redundant = np.zeros(len(questions), dtype=np.bool_)
    is_redundant[best_first] = asking.duplicates.of_better(
        pool.X[n:][best_first], pool.keys[n:][best_first], pool.is_category
    )
    return asking.open.find_changes(questions, utilities[n:], is_redundant, now)
