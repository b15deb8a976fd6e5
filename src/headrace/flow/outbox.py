"""What was decided, written in an order that a kill at any instant can't spoil.

A parcel goes out in three stages, each acknowledged by the brokers before the next begins: the
step in the journal; requests into the log of their desk; requests to the annotators and all else.
Then its offsets may be committed. Parcels that wait are carried out together, so that the three
waits are shared, and while they last the next events are decided.
"""

from __future__ import annotations

from collections import deque

from .effects import Produce, Routine
from .parcels import FencedError, Parcel, Post


class Outbox:
    """Parcels that wait, and those on their way."""

    def __init__(self, waiting_max: int) -> None:
        self._waiting: deque[Parcel] = deque()
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

    def put(self, parcel: Parcel) -> None:
        """Hand over a parcel."""
        self._waiting.append(parcel)

    @property
    def is_to_start(self) -> bool:
        """Whether something waits, and nothing is on its way."""
        return bool(self._waiting) and not self._is_under_way

    def carry_out(self) -> Routine[None]:
        """Write until nothing waits. Raises `FencedError`."""
        self._is_under_way = True
        while self._waiting:
            parcels = list(self._waiting)
            self._waiting.clear()
            steps = [parcel for parcel in parcels if parcel.journal is not None]
            offsets = yield from _written([step.journal for step in steps if step.journal])
            for step, offset in zip(steps, offsets, strict=True):
                _check_fence(step, offset)
            yield from _written([post for parcel in parcels for post in parcel.to_desks])
            yield from _written([post for parcel in parcels for post in parcel.to_others])
            for parcel in parcels:
                parcel.arrived()
        self._is_under_way = False


def _written(posts: list[Post]) -> Routine[list[int]]:
    if not posts:
        return []
    offsets: list[int] = yield Produce(tuple(posts))
    return offsets


def _check_fence(step: Parcel, offset: int) -> None:
    if offset != step.offset:
        assert step.journal is not None
        raise FencedError(
            f"the journal of partition {step.journal.partition} was written by another worker: "
            f"offset {step.offset} is its own"
        )
