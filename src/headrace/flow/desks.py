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
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import msgspec

from ..erasing import REASON, TOO_OLD
from ..errors import BadInput
from ..label.desk import Desk
from ..label.outcomes import Erased
from ..learn.training_log import NOWHERE, Origin, Place
from ..messages import (
    Answer,
    ErasureOrdered,
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
from ..query.requests import request_id
from ..request_ids import base_id
from ..settings import Settings
from ..state import frozen
from ..subject import Subject
from ..too_old import KEY, order_to_forget, step_of, step_s_of
from ..wiring import make_desk

ERASURES_MAX = 100
"""So many of the latest orders to erase are remembered: requests about those people may come."""

DeskInput: TypeAlias = LabelRequested | RequestRescored | Answer | Withdrawal | Tick | Order
End: TypeAlias = LabelSettled | LabelDisputed | RequestExpired | RequestWithdrawn | Order
Unended: TypeAlias = InputRejected | QuestionChanged


@dataclass(frozen=True, slots=True)
class Said:
    """What an entry of the desk log led to; `origin` is None for what no log is told."""

    output: End | Unended
    origin: Origin | None


class PartitionDesk:
    """A desk with its place in its log: `position` is the offset of the next entry.

    `erasures_n` counts the orders to erase that it has carried out.
    """

    def __init__(self, settings: Settings, partition: int) -> None:
        self.partition = partition
        self.position = 0
        self.now = -math.inf
        self._last: Place = NOWHERE
        self.desk = make_desk(settings)
        self.erasures_n = 0
        self._erasures: tuple[ErasureOrdered, ...] = ()
        self._request_id = partial(request_id, settings.stream)
        self._retention = settings.retention
        self._step_s = step_s_of(settings.retention)
        # The clock that was asked for and has not come back in the log yet.
        self.asked_at = -math.inf

    def fold(self, entry: DeskInput, written_at: float, offset: int) -> list[Said]:
        """Take the next entry of the log; what fell due by its time comes first."""
        self.position = offset + 1
        before = self.now
        if math.isfinite(written_at):
            self.now = max(self.now, written_at)
        now = self.now if math.isfinite(self.now) else 0.0
        outputs: list[End | Unended] = [*self.desk.advance_clock(now)]
        if self._is_step_between(before, now):
            outputs += self._forget_old(now)
        match entry:
            case LabelRequested():
                outputs += self._open_request(entry, now)
            case RequestRescored():
                outputs += self.desk.rescore_request(entry)
            case Answer():
                outputs += self.desk.take_answer(entry, now)
            case Withdrawal():
                outputs += self.desk.take_withdrawal(entry, now)
            case RoundOrdered() | RollBackOrdered():
                # Passed on to all: like an end it is said once, in its place among them.
                outputs.append(msgspec.structs.replace(entry, at=now))
            case ErasureOrdered():
                outputs += self._erase_subject(entry, now)
        return self._number_outputs(outputs, offset)

    def _open_request(self, request: LabelRequested, now: float) -> list[RequestWithdrawn]:
        """Open a request; one about an event of before an order to erase it ends at once."""
        outputs = self.desk.open_request(request)
        if any(self._is_covered(order, request) for order in self._erasures):
            outputs += self.desk.erase([request.request_id], REASON, now).withdrawn
        return outputs

    def _is_covered(self, order: ErasureOrdered, request: LabelRequested) -> bool:
        is_before = request.event_at <= order.at
        return is_before and self._is_about(Subject(order, self._request_id), request)

    @staticmethod
    def _is_about(subject: Subject, request: LabelRequested) -> bool:
        return subject.names(request.event_id, request.key, request.features)

    def _erase_subject(self, order: ErasureOrdered, now: float) -> list[End | Unended]:
        """Forget all requests about a person, and pass the order on with their ids.

        Annotators' tools are told of those that have ended too: they may remember them.
        """
        if any(order.key == known.key for known in self._erasures):
            return []
        self.erasures_n += 1
        self._erasures = (*self._erasures, order)[-ERASURES_MAX:]
        subject = Subject(order, self._request_id)
        found = [one for one in self.desk.requests() if self._is_about(subject, one)]
        outputs, erased = self._erase_requests(found, REASON, now)
        ids = {base_id(one.request_id) for one in found}
        # One desk tells that a label is known to have been learned: models are made anew once.
        is_learned = erased.has_label or (order.is_learned and self.partition == 0)
        passed_on = msgspec.structs.replace(
            order,
            at=now,
            request_ids=tuple(sorted({*order.request_ids, *ids})),
            is_learned=is_learned,
            desk=self.partition,
            erased=_counts_of(erased),
        )
        return [*outputs, passed_on]

    def _erase_requests(
        self, requests: Sequence[LabelRequested], reason: str, now: float
    ) -> tuple[list[End | Unended], Erased]:
        """Forget these requests: what is said of it, and what was forgotten.

        Annotators' tools are told of those that have ended too: they may remember them.
        """
        ids = {one.request_id for one in requests}
        erased = self.desk.erase(ids, reason, now)
        ended = ids - {one.request_id for one in erased.withdrawn}
        moot = [
            RequestWithdrawn(request_id=one, event_id="", at=now, reason=reason)
            for one in sorted(ended)
        ]
        gone = [*erased.questions, *(QuestionChanged(at=now, record=one) for one in moot)]
        return [*erased.withdrawn, *gone], erased

    def _is_step_between(self, before: float, now: float) -> bool:
        """Whether another step of [retention] has begun; with the first entry none has."""
        return math.isfinite(before) and step_of(now, self._step_s) > step_of(before, self._step_s)

    def _forget_old(self, now: float) -> list[End | Unended]:
        """Forget the requests about what is too old, and have all others forget what they hold."""
        key = f"{KEY} {step_of(now, self._step_s)}"
        order = order_to_forget(self._retention, now, key)
        self.erasures_n += 1
        too_old = -math.inf if order.before is None else order.before
        found = [one for one in self.desk.requests() if one.event_at < too_old]
        outputs, erased = self._erase_requests(found, TOO_OLD, now)
        counts = _counts_of(erased)
        return [*outputs, msgspec.structs.replace(order, desk=self.partition, erased=counts)]

    def _number_outputs(self, outputs: list[End | Unended], offset: int) -> list[Said]:
        said, number = [], 0
        for output in outputs:
            if isinstance(output, InputRejected | QuestionChanged):
                said.append(Said(output, None))
                continue
            place = (offset, number)
            said.append(Said(output, Origin(self.partition, place, self._last)))
            self._last, number = place, number + 1
        return said

    @property
    def next_deadline(self) -> float | None:
        """When something is due that no record has to come for: a request, or a step."""
        deadline = self.desk.next_deadline()
        if math.isinf(self._step_s):
            return deadline
        # The clock of a desk begins with its first entry, whether anything is ever asked or not.
        is_begun = math.isfinite(self.now)
        begins = (step_of(self.now, self._step_s) + 1) * self._step_s if is_begun else -math.inf
        return begins if deadline is None else min(deadline, begins)

    def tick_if_due(self, now: float) -> Tick | None:
        """The moment to log, if a deadline passed or a step began that the log does not know of."""
        deadline = self.next_deadline
        # Once it came back, a request may follow it in the log that was due before: by a clock that
        # was ahead. It is asked for again.
        is_on_its_way = self.asked_at > self.now
        if deadline is None or deadline > now or not math.isfinite(now):
            return None
        if is_on_its_way and self.asked_at >= deadline:
            return None
        self.asked_at = now
        return Tick(at=now)

    @property
    def state(self) -> tuple[Desk, float, Place, int, tuple[ErasureOrdered, ...]]:
        """What is frozen."""
        return self.desk, self.now, self._last, self.erasures_n, self._erasures

    def freeze(self) -> bytes:
        """The desk as bytes."""
        return frozen.freeze(self.state, kind="desk")

    def thaw(self, blob: bytes, position: int) -> None:
        """Go on from `freeze`. Raises `BadInput` as `frozen.thaw` does."""
        match frozen.thaw(blob, kind="desk"):
            case (Desk() as desk, float() as now, last, int() as erasures_n, erasures):
                pass
            case (Desk() as desk, float() as now, last):  # of before there were erasures
                erasures_n, erasures = 0, ()
            case _:
                raise BadInput("the state is not that of a desk on Kafka")
        # Requests cost money: they are kept when the settings change, and these hold from now on.
        desk.govern(self.desk.settings, self.desk.gold)
        self.desk, self.now, self._last, self.position = desk, now, last, position
        self.erasures_n, self._erasures = erasures_n, erasures


def _counts_of(erased: Erased) -> dict[str, int]:
    counts = {"open requests": len(erased.withdrawn), "ended requests": erased.ended_n}
    return {where: n for where, n in counts.items() if n}
