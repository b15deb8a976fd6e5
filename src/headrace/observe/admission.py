"""Admission: rejects duplicates, bad ids and bad times, and yields the other events as `Run`s.

A run is a stretch of successive events that no rejection interrupts and in which, after its first
event, no class or feature comes for the first time. Admission is lazy, one run at a time, so that
what the schema learns from one run counts for the next and not for those before, however the events
were batched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..chance import Chance
from ..messages import EventBatch, InputRejected, Reason
from ..settings import Settings
from .clock import clock_of
from .given import RefusedEvent
from .joining import Halves
from .originals import Originals
from .schema import Schema
from .values import SECONDS_MAX, fault_of_seconds

ID_LENGTH_MAX = 500


class Run:
    """n admitted events as columns; `i` is the next event to observe.

    `clock`, shape (n,), is the engine's time at each event, which never falls; `is_set_anew` says
    that the clock was wrong before this run. `dated`, shape (n,), is `at`, but at most the clock:
    the ages of remembered events go by it. `served`, shape (n, k), holds the served model's
    probabilities over the schema's classes, NaN where the log had none. `luck`, shape (n,), are the
    random numbers of the control draw; `origins`, shape (n,), what requests pass on: (key, version
    of the served model), or None; `is_asked`, shape (n,), whether a label was requested.
    `originals` are the features as they came. Events are those of `batch` from `start` on.
    """

    def __init__(
        self,
        batch: EventBatch,
        start: int,
        clock: NDArray[np.float64],
        *,
        is_set_anew: bool,
        keys: NDArray[np.uint64],
        luck: NDArray[np.float64],
        rows: NDArray[np.float64],
        served: NDArray[np.float64],
        originals: Originals,
    ) -> None:
        stop = start + len(clock)
        self.ids = np.array(batch.ids[start:stop], dtype=np.object_)
        self.at = batch.at[start:stop].copy()
        self.clock = clock
        self.dated = np.minimum(self.at, clock)
        self.is_set_anew = is_set_anew
        self.origins = _list_origins(batch, start, stop)
        self.keys = keys
        self.luck = luck
        self.rows = rows
        self.served = served
        self.originals = originals
        self.is_asked = np.zeros(len(clock), np.bool_)
        self.i = 0

    def __len__(self) -> int:
        return len(self.ids)


class Admission:
    """Checks events by the latest ids and the clock; `halves` are records waiting to be joined."""

    def __init__(self, settings: Settings, chance: Chance) -> None:
        self.jump_max_s = settings.input.jump_max_s
        self.ids_n = settings.observe.ids_n
        self.chance = chance
        self.clock = clock_of(settings)
        # Whether the clock was set anew since the last run.
        self._is_set_anew = False
        self.rejected: dict[str, int] = {}
        self.halves = Halves()
        # Two generations: together they hold the latest ids_n ids, and at most twice as many.
        self._latest: dict[int, None] = {}
        self._before: dict[int, None] = {}

    def admit_batch(self, batch: EventBatch, schema: Schema) -> Iterator[Run | InputRejected]:
        """Yield the batch as runs and rejections, in order; each moves the clock."""
        keys = self.chance.keys(batch.ids)
        first_served = _first_rows_of_new_classes(batch, schema, 0)
        start, n = 0, len(batch)
        while start < n:
            news = schema.next_news(batch, start)
            cuts = [*first_served.values(), news]
            clock, rejection = self._admit_run(batch, keys, start, cuts)
            stop = start + len(clock)
            if stop > start:
                # In the order of their names: that of the columns depends on the batch.
                for new in sorted(name for name, row in first_served.items() if row == start):
                    schema.class_code(new)
                    del first_served[new]
                # Copied, since the caller's own array may be reused after this feed.
                rows = schema.rows(_rows_of(batch, start, stop)).copy()
                are_rows_exact = (
                    batch.originals is None and not batch.texts and schema.knows(batch.names)
                )
                run = Run(
                    batch,
                    start,
                    clock,
                    is_set_anew=self._is_set_anew,
                    keys=keys[start:stop],
                    luck=self.chance.uniforms("control", keys[start:stop]),
                    rows=rows,
                    served=_read_served(batch, start, stop, schema),
                    originals=Originals(batch, start, len(clock), are_rows_exact=are_rows_exact),
                )
                self._is_set_anew = False
                yield run
            if rejection is not None:
                stop += 1
                # New classes of a rejected event do not count.
                first_served = _first_rows_of_new_classes(batch, schema, stop)
                yield rejection
            start = stop

    def _admit_run(
        self,
        batch: EventBatch,
        keys: NDArray[np.uint64],
        start: int,
        cuts: list[int],
    ) -> tuple[NDArray[np.float64], InputRejected | None]:
        """Return the clock at each event of a run from `start`, and the rejection that ends it.

        `keys`, shape (n,), are the hashed ids of the batch; at the next of the rows `cuts` the run
        ends at the latest. The rejection is None where nothing was rejected.
        """
        cut = min((row for row in cuts if row > start), default=len(batch))
        latest, before = self._latest, self._before
        at, identities = batch.at[start:cut].tolist(), keys[start:cut].tolist()
        clock, clocks, rejection = self.clock, [], None
        # Where all times are close together, columns are processed at once.
        is_dense, now = clock.is_dense(min(at), max(at)), clock.now
        each: Iterable[tuple[float, int]] = zip(at, identities, strict=True)
        if is_dense and self._are_usual(batch, start, cut, identities):
            latest.update(dict.fromkeys(identities))
            each = ()
        for i, (event_at, key) in enumerate(each, start):
            rejection = self._fault(batch, i, is_known=key in latest or key in before)
            if rejection is None and not is_dense:
                borne_out = clock.borne_out(event_at)
                if clock.is_wrong(borne_out):
                    if i > start:
                        # The clock of a run never falls.
                        cut = i
                        break
                    self._is_set_anew = True
                clock.add_time(event_at, borne_out)
                rejection = self._check_time(batch, i)
                clocks.append(clock.now)
            if rejection is not None:
                cut = i
                break
            latest[key] = None
            if len(latest) >= self.ids_n:
                before, latest = latest, {}
                self._latest, self._before = latest, before
        n = cut - start
        if not is_dense:
            return np.array(clocks[:n]), rejection
        clock.hear_dense(at[:n])
        return np.maximum(np.maximum.accumulate(batch.at[start:cut]), now), rejection

    def _are_usual(self, batch: EventBatch, start: int, stop: int, keys: list[int]) -> bool:
        """Whether `_fault` accepts all these events, and no generation of ids ends."""
        latest, lengths = self._latest, [*map(len, batch.ids[start:stop])]
        return (
            len(latest) + len(keys) < self.ids_n
            and len(set(keys)) == len(keys)
            and latest.keys().isdisjoint(keys)
            and self._before.keys().isdisjoint(keys)
            and min(lengths) > 0
            and max(lengths) <= ID_LENGTH_MAX
            # NaN is not.
            and bool(np.logical_and.reduce(np.abs(batch.at[start:stop]) <= SECONDS_MAX))
        )

    def _fault(self, batch: EventBatch, i: int, *, is_known: bool) -> InputRejected | None:
        """Return why event i is rejected, whatever the clock; None if it is not."""
        if is_known:
            return self._reject_event(batch, i, Reason.DUPLICATE_ID, "this id was seen before")
        # A comparison with NaN is false, so this also rejects NaN.
        if not (-SECONDS_MAX <= batch.at[i] <= SECONDS_MAX):
            detail = fault_of_seconds(float(batch.at[i]), "at") or ""
            return self._reject_event(batch, i, Reason.BAD_TIME, detail)
        if not 0 < len(batch.ids[i]) <= ID_LENGTH_MAX:
            return self._reject_event(batch, i, Reason.BAD_ID, "an id has 1 to 500 characters")
        return None

    def _check_time(self, batch: EventBatch, i: int) -> InputRejected | None:
        """Return why event i, whose time the clock knows, is rejected; None if it is not."""
        ahead_s = float(batch.at[i]) - self.clock.now
        # While the clock has few times, a first wrong one may make later, right ones look wrong.
        if ahead_s <= self.jump_max_s or not self.clock.is_full:
            return None
        detail = (
            f"at is {ahead_s:.0f} s ahead of the latest events, and input.jump_max_s is "
            f"{self.jump_max_s:.0f}"
        )
        return self._reject_event(batch, i, Reason.FUTURE, detail)

    def reject_refused(self, refused: RefusedEvent, now: float) -> InputRejected:
        """Count and return the rejection of an event that could not be read; `now` in seconds."""
        reason = refused.refusal.reason
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
        return InputRejected(
            reason=reason,
            detail=refused.refusal.detail,
            at=now,
            input_id=refused.id[:ID_LENGTH_MAX],
        )

    def _reject_event(self, batch: EventBatch, i: int, reason: str, detail: str) -> InputRejected:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
        at = float(batch.at[i]) if np.isfinite(batch.at[i]) else 0.0
        return InputRejected(
            reason=reason, detail=detail, at=at, input_id=batch.ids[i][:ID_LENGTH_MAX]
        )


def _list_origins(batch: EventBatch, start: int, stop: int) -> NDArray[np.object_]:
    origins = np.empty(stop - start, dtype=np.object_)
    keys, versions = batch.keys, batch.model_versions
    if keys is not None or versions is not None:
        for i, place in enumerate(range(start, stop)):
            origins[i] = (keys[place] if keys else None, versions[place] if versions else None)
    return origins


def _first_rows_of_new_classes(batch: EventBatch, schema: Schema, start: int) -> dict[str, int]:
    """Return, for each class of the served model new to the schema, its first row from `start`."""
    first: dict[str, int] = {}
    if batch.probabilities is not None:
        for j, name in enumerate(batch.served_classes):
            if schema.code_of(name) is None:
                rows = np.flatnonzero(~np.isnan(batch.probabilities[start:, j]))
                if rows.size:
                    first[name] = start + int(rows[0])
    for i, predicted in enumerate((batch.predicted or ())[start:], start):
        if predicted is not None and schema.code_of(predicted) is None:
            first[predicted] = min(i, first.get(predicted, i))
    return first


def _rows_of(batch: EventBatch, start: int, stop: int) -> EventBatch:
    """Return events [start, stop) with the columns that the schema reads."""
    if start == 0 and stop == len(batch):
        return batch
    return EventBatch(
        ids=batch.ids[start:stop],
        at=batch.at[start:stop],
        names=batch.names,
        number_names=batch.number_names,
        numbers=batch.numbers[start:stop],
        texts={name: values[start:stop] for name, values in batch.texts.items()},
    )


def _read_served(batch: EventBatch, start: int, stop: int, schema: Schema) -> NDArray[np.float64]:
    """Return probabilities of the served model over the schema's classes, (stop - start, k).

    Where the log has a class and no probabilities, that class has probability 1.
    """
    if batch.probabilities is None and batch.predicted is None:
        return np.empty((stop - start, 0))
    served = np.full((stop - start, len(schema.classes)), np.nan)
    if batch.probabilities is not None:
        for j, name in enumerate(batch.served_classes):
            code = schema.code_of(name)
            if code is not None:
                served[:, code] = batch.probabilities[start:stop, j]
    known = ~np.isnan(served).all(axis=1) if served.shape[1] else np.zeros(stop - start, bool)
    # A class that the log left out of a row with probabilities has probability 0.
    served[known] = np.nan_to_num(served[known], nan=0.0)
    for i, predicted in enumerate((batch.predicted or ())[start:stop]):
        code = schema.code_of(predicted) if predicted is not None else None
        if code is not None and not known[i]:
            served[i] = 0.0
            served[i, code] = 1.0
    return served
