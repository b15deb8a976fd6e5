"""Feeding events and time to a shard: an engine and a worker's partition use the same functions.

The outputs of each piece are passed to `take` before the next piece is observed, so that their
consequences are known to it. `next_deadline` returns when something is due without an event, and
`advance` carries it out; both may cover more than the shard, as an engine's also cover its desk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import msgspec
import numpy as np

from ..errors import BadSettings
from ..messages import (
    Answer,
    ErasureOrdered,
    Event,
    EventBatch,
    Input,
    InputRejected,
    Message,
    Output,
    RetrainFinished,
    RollBackOrdered,
    RoundOrdered,
    Tick,
    Withdrawal,
)
from ..observe.declared import Declared
from ..observe.decode import batch_of
from ..observe.given import RefusedEvent, accept_event
from ..observe.values import fault_of_seconds, format_value
from ..settings import InputSettings
from .recalling import recall
from .shard import Shard

Take: TypeAlias = Callable[[Sequence[Output]], list[Output]]
Advance: TypeAlias = Callable[[float], list[Output]]
NextDeadline: TypeAlias = Callable[[], float | None]

_TIMED = (Tick, RoundOrdered, RollBackOrdered, ErasureOrdered)
_INPUTS = (Event, EventBatch, Answer, Withdrawal, *_TIMED, RetrainFinished)


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


def check_inputs(inputs: Sequence[Input]) -> list[Input]:
    """Return the inputs as a list; raise `BadSettings` for one that can't be fed.

    It is looked for before anything is processed: an exception in between would lose the outputs
    of the inputs before it, and with them label requests.
    """
    if isinstance(inputs, Message | EventBatch):
        raise BadSettings(f"feed takes a list of inputs; pass [{type(inputs).__name__}(...)]")
    if not isinstance(inputs, Iterable):
        raise BadSettings(f"feed takes a list of inputs, not {inputs!r}")
    messages = [*inputs]
    for message in messages:
        kind = type(message).__name__
        if not isinstance(message, _INPUTS):
            raise BadSettings(f"{kind} is not an input of the engine; pass an Event")
        if isinstance(message, _TIMED):
            at: object = message.at
            at = at.item() if isinstance(at, np.number) else at
            if fault_of_seconds(at, ""):
                shown = f"the at of a {kind} is {format_value(at)}"
                raise BadSettings(f"{shown}; must be seconds since the epoch")
    return messages


def join_events(
    inputs: Sequence[Input], settings: InputSettings, declared: Declared
) -> Iterator[Input | RefusedEvent]:
    """Yield the inputs with neighbouring events as one batch; a bad event becomes `RefusedEvent`.

    `settings` say how an event is read, `declared` which kinds its features have.
    """
    events: list[Event] = []
    for message in inputs:
        accepted: Input | RefusedEvent = message
        if isinstance(message, Event):
            accepted = accept_event(message, settings)
            if isinstance(accepted, Event):
                if declared.is_any:
                    features = declared.apply_to(accepted.features)
                    accepted = msgspec.structs.replace(accepted, features=features)
                events.append(accepted)
                continue
        if events:
            yield batch_of(events)
            events = []
        yield accepted
    if events:
        yield batch_of(events)
