"""Writes what was decided, in an order that a kill at any instant can't spoil.

A batch goes out in three stages, each acknowledged by the brokers before the next begins: the
step in the journal; requests into the log of their desk; requests to the annotators and all else.
Then its offsets may be committed. Batches that wait are carried out together, so that the three
waits are shared, and while they last the next events are decided.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .effects import Part, Produce, Routine
from .places import check_place
from .produce import ProduceBatch, ProducerRecord


class Outbox:
    """Batches that wait, `waiting_max` before there is no more room, and those on their way.

    `place_of` returns up to where a log that is written to was read, None if unknown. `fenced` is
    called with a partition whose journal somebody else has written to: nothing of it is sent.
    """

    def __init__(
        self,
        waiting_max: int,
        place_of: Callable[[Part], int | None],
        fenced: Callable[[int], None],
    ) -> None:
        self._place_of = place_of
        self._fenced = fenced
        self._waiting: deque[ProduceBatch] = deque()
        self._waiting_max = waiting_max
        self._is_under_way = False

    @property
    def has_room(self) -> bool:
        """Whether more should be decided yet."""
        return len(self._waiting) < self._waiting_max

    @property
    def is_empty(self) -> bool:
        """Whether everything handed over has arrived."""
        return not self._waiting and not self._is_under_way

    def put(self, batch: ProduceBatch) -> None:
        """Hand over a batch."""
        self._waiting.append(batch)

    @property
    def is_to_start(self) -> bool:
        """Whether something waits, and nothing is on its way."""
        return bool(self._waiting) and not self._is_under_way

    def carry_out(self) -> Routine[None]:
        """Write until no batch waits. Raises `BadInput` for a log cut short."""
        self._is_under_way = True
        while self._waiting:
            batches = list(self._waiting)
            self._waiting.clear()
            steps = [batch.journal for batch in batches if batch.journal is not None]
            batches = self._drop_fenced(batches, (yield from self._write_records(steps)))
            yield from self._write_records(
                [record for batch in batches for record in batch.to_desks]
            )
            yield from self._write_records(
                [record for batch in batches for record in batch.to_others]
            )
            for batch in batches:
                batch.arrived()
        self._is_under_way = False

    def _drop_fenced(self, batches: list[ProduceBatch], offsets: list[int]) -> list[ProduceBatch]:
        """Drop steps that came behind somebody else's, and all that follow; return the others."""
        unfenced, fenced, offsets_left = list[ProduceBatch](), set[int](), iter(offsets)
        for batch in batches:
            if batch.journal is not None and _is_fenced(batch, next(offsets_left)):
                fenced.add(batch.journal.partition or 0)
            else:
                unfenced.append(batch)
        for partition in sorted(fenced):
            waiting = [other for other in self._waiting if _partition_of(other) != partition]
            self._waiting = deque(waiting)
            self._fenced(partition)
        return unfenced

    def _write_records(self, records: list[ProducerRecord]) -> Routine[list[int]]:
        if not records:
            return []
        parts = [Part(record.topic, record.partition or 0) for record in records]
        places = [
            None if record.partition is None else self._place_of(part)
            for record, part in zip(records, parts, strict=True)
        ]
        offsets: list[int] = yield Produce(tuple(records))
        for part, place, offset in zip(parts, places, offsets, strict=True):
            # A new record comes behind those that had been read, unless these are gone.
            if place is not None:
                check_place(part, place, offset)
        return offsets


def _partition_of(batch: ProduceBatch) -> int | None:
    return None if batch.journal is None else batch.journal.partition


def _is_fenced(step: ProduceBatch, offset: int) -> bool:
    """Whether somebody else wrote to the journal before this step; all of ours behind it are too.

    Raises `BadInput` where the journal was cut: another worker's steps make it longer.
    """
    assert step.journal is not None
    check_place(Part(step.journal.topic, step.journal.partition or 0), step.offset, offset)
    return offset != step.offset
