"""Feeding events and time to a shard: an engine and a worker's partition use the same functions.

The outputs of each piece are passed to `take` before the next piece is observed, so that their
consequences are known to it. `next_deadline` returns when something is due without an event, and
`advance` carries it out; both may cover more than the shard, as an engine's also cover its desk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from .messages import EventBatch, InputRejected, Output
from .recalling import recall
from .shard import Shard

Take: TypeAlias = Callable[[Sequence[Output]], list[Output]]
Advance: TypeAlias = Callable[[float], list[Output]]
NextDeadline: TypeAlias = Callable[[], float | None]


def never() -> float:
    """Return infinity: a `wake_at` that never wakes."""
    return np.inf


def feed_batch(
    shard: Shard,
    batch: EventBatch,
    take: Take,
    advance: Advance,
    *,
    next_deadline: NextDeadline,
    wake_at: Callable[[], float] = never,
) -> Iterator[list[Output] | None]:
    """Feed a batch of events to a shard; yield what `take` and `advance` return for each piece.

    - `take`: routes the outputs of a piece, and returns them with all that follows from them.
    - `advance`: moves the clock to a time, seconds, and returns the outputs due by then.
    - `next_deadline`: when something is due without an event, seconds, or None.
    - `wake_at`: before the first event at or after `wake_at()`, seconds, None is yielded; the
      caller must then make it return a later time.
    """
    for run in shard.admit_batch(batch):
        if isinstance(run, InputRejected):
            yield take([run])
            continue
        while run.i < len(run):
            now, wake, due = float(run.clock[run.i]), wake_at(), next_deadline()
            until = wake if due is None else min(wake, due)
            if until > now:
                stop = int(np.searchsorted(run.clock, until, side="left"))
                recalled = recall(shard)
                outputs = take(recalled) if recalled else []
                yield outputs + take(shard.observe(run, stop))
            elif due is not None and due < wake:
                yield advance(due)
            else:
                yield None


def pass_time(now: float, at: float, advance: Advance, next_deadline: NextDeadline) -> list[Output]:
    """Move the clock from `now` to `at`, seconds, stopping at each deadline; return the outputs."""
    outputs: list[Output] = []
    while (due := next_deadline()) is not None and due <= at:
        outputs += advance(due)
    return outputs + advance(max(at, now))
