"""One partition of the desk log: a desk, folded from its inputs in the order they were logged.

Sans I/O. The log holds requests, what is said of them later, answers, withdrawals, orders and
moments of the clock, each with the time at which it was written. A desk has no other inputs, so the
same log gives the same ends on any worker, at any time; which of them were said before, their
origin tells (`learn.training_log`).

A request is in this log before it is sent to the annotators. So an answer never comes before its
request, however the topics are read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import msgspec
import xxhash

from ..errors import BadInput
from ..label.desk import Desk
from ..learn.training_log import NOWHERE, Origin, Place
from ..messages import (
    Answer,
    InputRejected,
    LabelDisputed,
    LabelRequested,
    LabelSettled,
    QuestionChanged,
    RequestExpired,
    RequestRescored,
    RequestWithdrawn,
    RollBackOrdered,
    RoundOrdered,
    Tick,
    Withdrawal,
)
from ..query.orders import Order
from ..request_ids import base_id
from ..settings import Settings
from ..state import frozen
from ..wiring import make_desk

DeskInput: TypeAlias = LabelRequested | RequestRescored | Answer | Withdrawal | Tick | Order
End: TypeAlias = LabelSettled | LabelDisputed | RequestExpired | RequestWithdrawn | Order
Unended: TypeAlias = InputRejected | QuestionChanged


def desk_of(request_id: str, desks_n: int) -> int:
    """The partition of the desk log that everything about this request goes to.

    Opinions about a label go where the label was settled.

    >>> desk_of("8a04c3416f459c72de7412b5dd1ee580", 4)
    1
    """
    base = base_id(request_id).encode("utf-8", "surrogatepass")
    return xxhash.xxh64_intdigest(base) % desks_n


@dataclass(frozen=True, slots=True)
class Said:
    """What an entry of the desk log led to; `origin` is None for what no log is told."""

    output: End | Unended
    origin: Origin | None


class PartitionDesk:
    """A desk with its place in its log: `position` is the offset of the next entry."""

    def __init__(self, settings: Settings, partition: int) -> None:
        self.partition = partition
        self.position = 0
        self.now = -math.inf
        self._last: Place = NOWHERE
        self.desk = make_desk(settings)
        # The clock that was asked for and has not come back in the log yet.
        self.asked_at = -math.inf

    def fold(self, entry: DeskInput, written_at: float, offset: int) -> list[Said]:
        """Take the next entry of the log; what fell due by its time comes first."""
        self.position = offset + 1
        if math.isfinite(written_at):
            self.now = max(self.now, written_at)
        now = self.now if math.isfinite(self.now) else 0.0
        outputs: list[End | Unended] = [*self.desk.advanced(now)]
        match entry:
            case LabelRequested():
                outputs += self.desk.requested(entry)
            case RequestRescored():
                outputs += self.desk.rescored(entry)
            case Answer():
                outputs += self.desk.answered(entry, now)
            case Withdrawal():
                outputs += self.desk.withdrawn(entry, now)
            case RoundOrdered() | RollBackOrdered():
                # Passed on to all: like an end it is said once, in its place among them.
                outputs.append(msgspec.structs.replace(entry, at=now))
        return self._said(outputs, offset)

    def _said(self, outputs: list[End | Unended], offset: int) -> list[Said]:
        said, number = [], 0
        for output in outputs:
            if isinstance(output, InputRejected | QuestionChanged):
                said.append(Said(output, None))
                continue
            place = (offset, number)
            said.append(Said(output, Origin(self.partition, place, self._last)))
            self._last, number = place, number + 1
        return said

    def due(self, now: float) -> Tick | None:
        """The moment to log, if a deadline passed and the log does not know of it yet."""
        deadline = self.desk.next_deadline()
        # Once it came back, a request may follow it in the log that was due before: by a clock that
        # was ahead. It is asked for again.
        is_on_its_way = self.asked_at > self.now
        if deadline is None or deadline > now or (is_on_its_way and self.asked_at >= deadline):
            return None
        self.asked_at = now
        return Tick(at=now)

    @property
    def state(self) -> tuple[Desk, float, Place]:
        """What is frozen."""
        return self.desk, self.now, self._last

    def freeze(self) -> bytes:
        """The desk as bytes."""
        return frozen.freeze(self.state, kind="desk")

    def thaw(self, blob: bytes, position: int) -> None:
        """Go on from `freeze`. Raises `BadInput` as `frozen.thaw` does."""
        match frozen.thaw(blob, kind="desk"):
            case (Desk() as desk, float() as now, last):
                pass
            case _:
                raise BadInput("the state is not that of a desk on Kafka")
        # Requests cost money: they are kept when the settings change, and these hold from now on.
        desk.govern(self.desk.settings)
        self.desk, self.now, self._last, self.position = desk, now, last, position
