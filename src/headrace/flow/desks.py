"""One partition of the desk log: a desk, folded from its inputs in the order they were logged.

Sans I/O. The log holds requests, later changes to them, answers, withdrawals, orders and ticks of
the clock, each with the time at which it was written. A desk has no other inputs, so the same log
leads to the same ends on any worker, at any time; the origin of an end shows whether it was logged
before (`learn.training_log`).

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
from ..messages.request_ids import base_id
from ..privacy.erasing import REASON, TOO_OLD
from ..privacy.retention import KEY, order_to_forget, step_of, step_s_of
from ..privacy.subject import Subject
from ..query.orders import Order
from ..query.requests import request_id
from ..settings import Settings
from ..state import frozen
from ..wiring import make_desk

ERASURES_MAX = 100
"""How many of the latest orders to erase are kept: requests about those people may still come."""

DeskInput: TypeAlias = LabelRequested | RequestRescored | Answer | Withdrawal | Tick | Order
End: TypeAlias = LabelSettled | LabelDisputed | RequestExpired | RequestWithdrawn | Order
Unended: TypeAlias = InputRejected | QuestionChanged


@dataclass(frozen=True, slots=True)
class DeskOutput:
    """An output of one entry of the desk log; `origin` is None for one that goes into no log."""

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
        # The time of the last tick that was to be logged; it may not have come back yet.
        self.asked_at = -math.inf

    def fold(self, entry: DeskInput, written_at: float, offset: int) -> list[DeskOutput]:
        """Fold the entry at `offset`, written at this time; what fell due by then comes first."""
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
                # Passed on to all: like an end it is logged once, in its place among them.
                outputs.append(msgspec.structs.replace(entry, at=now))
            case ErasureOrdered():
                outputs += self._erase_subject(entry, now)
        return self._number_outputs(outputs, offset)

    def _open_request(self, request: LabelRequested, now: float) -> list[RequestWithdrawn]:
        """Open a request; end it at once if an order to erase covers its event."""
        outputs = self.desk.open_request(request)
        if any(self._is_covered(order, request) for order in self._erasures):
            outputs += self.desk.erase([request.request_id], REASON, now).withdrawn
        return outputs

    def _is_covered(self, order: ErasureOrdered, request: LabelRequested) -> bool:
        is_before = request.event_at <= order.at
        return is_before and self._is_about(Subject(order, self._request_id), request)

    @staticmethod
    def _is_about(subject: Subject, request: LabelRequested) -> bool:
        return subject.names_event(request.event_id, request.key, request.features)

    def _erase_subject(self, order: ErasureOrdered, now: float) -> list[End | Unended]:
        """Forget all requests about a person, and pass the order on with their ids.

        Annotators' tools are notified of requests that ended before, too: they may have kept them.
        """
        if any(order.key == known.key for known in self._erasures):
            return []
        self.erasures_n += 1
        self._erasures = (*self._erasures, order)[-ERASURES_MAX:]
        subject = Subject(order, self._request_id)
        requests = [
            request for request in self.desk.list_requests() if self._is_about(subject, request)
        ]
        outputs, erased = self._erase_requests(requests, REASON, now)
        ids = {base_id(request.request_id) for request in requests}
        # Only the first desk passes on that the order tells of a learned label: one refit suffices.
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
        """Forget these requests; return the outputs, and what was forgotten.

        Annotators' tools are notified of requests that ended before, too: they may have kept them.
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
        """Whether a step of [retention] began between the two; with the first entry none has."""
        return math.isfinite(before) and step_of(now, self._step_s) > step_of(before, self._step_s)

    def _forget_old(self, now: float) -> list[End | Unended]:
        """Forget requests about events that are too old; an order has all others do the same."""
        key = f"{KEY} {step_of(now, self._step_s)}"
        order = order_to_forget(self._retention, now, key)
        self.erasures_n += 1
        too_old = -math.inf if order.before is None else order.before
        requests = [request for request in self.desk.list_requests() if request.event_at < too_old]
        outputs, erased = self._erase_requests(requests, TOO_OLD, now)
        counts = _counts_of(erased)
        return [*outputs, msgspec.structs.replace(order, desk=self.partition, erased=counts)]

    def _number_outputs(self, outputs: list[End | Unended], offset: int) -> list[DeskOutput]:
        numbered, number = [], 0
        for output in outputs:
            if isinstance(output, InputRejected | QuestionChanged):
                numbered.append(DeskOutput(output, None))
                continue
            place = (offset, number)
            numbered.append(DeskOutput(output, Origin(self.partition, place, self._last)))
            self._last, number = place, number + 1
        return numbered

    @property
    def next_deadline(self) -> float | None:
        """When something falls due without a record: a request, or a step of [retention]."""
        deadline = self.desk.next_deadline()
        if math.isinf(self._step_s):
            return deadline
        # The clock of a desk begins with its first entry, whether anything is ever asked or not.
        is_begun = math.isfinite(self.now)
        begins = (step_of(self.now, self._step_s) + 1) * self._step_s if is_begun else -math.inf
        return begins if deadline is None else min(deadline, begins)

    def tick_if_due(self, now: float) -> Tick | None:
        """Return a tick to log if a deadline or a step has passed that the log does not know of."""
        deadline = self.next_deadline
        # Once the tick has come back, a request may follow it in the log that was due before it,
        # where a clock was ahead: then another tick is needed.
        is_on_its_way = self.asked_at > self.now
        if deadline is None or deadline > now or not math.isfinite(now):
            return None
        if is_on_its_way and self.asked_at >= deadline:
            return None
        self.asked_at = now
        return Tick(at=now)

    @property
    def state(self) -> tuple[Desk, float, Place, int, tuple[ErasureOrdered, ...]]:
        """What `freeze` stores."""
        return self.desk, self.now, self._last, self.erasures_n, self._erasures

    def freeze(self) -> bytes:
        """Return the desk as bytes."""
        return frozen.freeze(self.state, kind="desk")

    def thaw(self, blob: bytes, position: int) -> None:
        """Restore the desk from `freeze`. Raises `BadInput` as `frozen.thaw` does."""
        match frozen.thaw(blob, kind="desk"):
            case (Desk() as desk, float() as now, last, int() as erasures_n, erasures):
                pass
            case (Desk() as desk, float() as now, last):  # written before there were erasures
                erasures_n, erasures = 0, ()
            case _:
                raise BadInput("the state is not that of a desk on Kafka")
        # Requests cost money: they outlast a change of settings, and follow the new ones from here.
        desk.change_settings(self.desk.settings, self.desk.gold)
        self.desk, self.now, self._last, self.position = desk, now, last, position
        self.erasures_n, self._erasures = erasures_n, erasures


def _counts_of(erased: Erased) -> dict[str, int]:
    counts = {"open requests": len(erased.withdrawn), "ended requests": erased.ended_n}
    return {where: n for where, n in counts.items() if n}
