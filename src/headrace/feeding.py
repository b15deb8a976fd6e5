"""How events and time go through a shard: an engine and a worker's partition feed it alike.

What the shard came to is handed to `take` before it goes on, so that what follows from one piece
is known to the next. `next_deadline` says when something is due without an event, and `advance`
makes it happen; both may know of more than the shard, as an engine's do of its desk.
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
    """A wake-up call that does not come."""
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
    """Feed a batch; yields what `take` and `advance` made of each piece.

    Yields None before the first event at or after `wake_at()`, seconds, which has to move on then.
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
    """The clock, which says `now`, goes on to `at`; each deadline before comes at its own time."""
    outputs: list[Output] = []
    while (due := next_deadline()) is not None and due <= at:
        outputs += advance(due)
    return outputs + advance(max(at, now))
