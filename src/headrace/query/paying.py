"""What was decided is paid and asked, or waits for a label to spend; and who was asked about."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..chance import Chance
from ..errors import BrokenInvariant
from ..messages import LabelDisputed, LabelRequested, LabelSettled
from ..settings import LabelSettings
from ..settings.label import sure_of
from .accounts import Asked
from .budgets import Budget
from .labels import Labels
from .opinions import REASON as OPINION
from .opinions import Opinions
from .record import Decided, Record
from .remembered import Remembered
from .requests import AUDIT, asked_of, request_id
from .waiting import Waiting


class Paying:
    """The part of asking that knows the budget, and every request until its end."""

    record: Record | None = None  # While what a journal has is decided again: it wins.

    def __init__(self, label: LabelSettings, budget: Budget, chance: Chance, stream: str) -> None:
        self.deadline_s = label.deadline_s
        self.answers_wanted = label.answers_wanted
        self.open_max = label.open_max
        self.late_answers = label.late_answers
        self.budget = budget
        self.chance = chance
        self.stream = stream
        # Requests by reason and strategy, and by the class that was predicted ("" for none).
        self.asked_by: dict[tuple[str, str], int] = {}
        self.asked_by_class: dict[str, int] = {}
        self.queue = Waiting()
        self.opinions = Opinions(label.second_opinion_share, sure_of(label))
        self.remembered = Remembered(label.closed_n)
        self.labels = Labels()
        self._newest_at = -np.inf

    def request_id(self, event_id: str) -> str:
        """The id of the one request there can be about this event of this stream."""
        return request_id(self.stream, event_id)

    @property
    def open_n(self) -> int:
        """Requests that have not ended."""
        return self.remembered.open_n + len(self.opinions.open) - self.queue.opinions_n

    @property
    def can_ask_n(self) -> int:
        """Labels that may be asked now: money and room, less what is held for audits."""
        return self.can_open_n("")

    def can_open_n(self, reason: str) -> int:
        """Labels that a round for this reason may ask now: not those held for another purpose."""
        other = self.budget.reserve if reason == AUDIT else self.budget.audit
        return min(self.budget.spendable_n(other), self.open_max - self.open_n)

    @property
    def regular_n(self) -> int:
        """The same, less what is held for rounds that drift or a person opens."""
        return min(self.budget.available_n - self.budget.held_n, self.open_max - self.open_n)

    def are_known(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of these events, by hashed id, have a request that is open or remembered."""
        return self.remembered.has_each(keys)

    def remembers(self, event_id: str) -> bool:
        """Whether a request about this event is open or remembered."""
        return self.remembered.has(self.chance.key(event_id))

    # ---------------------------------------------------------------------- paid, or waiting

    def passes_over(self, request_id: str, can_ask_n: int) -> bool:
        """Whether the record has it that the draw did not fall on this one."""
        if self.record is None:
            return False
        events_n, is_paid = self.budget.events_n, can_ask_n >= 1
        return self.record.passes_over(request_id, events_n, is_paid=is_paid)

    def _ask_or_wait(self, request: LabelRequested, now: float) -> list[LabelRequested]:
        if self._can_pay(request):
            return [self._pay_request(request, now, is_checked=True)]
        oldest = self.queue.add(request)
        if oldest is not None and oldest.opinion_n > 1:
            self.opinions.give_up(oldest)
        return []

    def _can_pay(self, request: LabelRequested) -> bool:
        """What is held for a drift is not for opinions; what is on record is paid."""
        if self.record is not None:
            return self.record.has(request.request_id, self.budget.events_n)
        if request.opinion_n > 1:
            return self.regular_n >= 1
        return self.can_open_n(request.reason) >= 1

    @property
    def waiting_n(self) -> int:
        """Requests that wait for money: of events drawn on arrival, and for opinions."""
        return len(self.queue)

    @property
    def paid_in_n(self) -> int:
        """Events that go by, at least, before what waits longest can be paid."""
        request, budget = self.queue.first, self.budget
        if request is None or self.record is not None:
            return 0
        if request.opinion_n > 1:
            held_n = budget.held_n
        else:
            other = budget.reserve if request.reason == AUDIT else budget.audit
            held_n = other.held_n(budget.asked_n)
        return budget.events_until(held_n + 1)

    def pay_waiting(self, now: float) -> list[LabelRequested]:
        """What was drawn earlier and there is money for now, oldest first."""
        requests = []
        while (request := self.queue.first) is not None and self._can_pay(request):
            self.queue.pop()
            if request.opinion_n > 1 or not self.remembers(request.event_id):
                requests.append(self._pay_request(request, now, is_checked=True))
        return requests

    def settle(self, entry: LabelSettled) -> None:
        """A label came, or another one for the same event: what it costs is known."""
        self.labels.settle(self.chance.key(entry.event_id), entry.label)
        unnamed_n = max(0, entry.answers_n - len(entry.by))
        self.budget.settle(entry.request_id, entry.label, (*entry.by, *[""] * unnamed_n))

    def note_opinion(self, entry: LabelSettled | LabelDisputed) -> None:
        """An opinion came on the label of an event: that it is, or that it is none."""
        if not self.remembers(entry.event_id):
            return
        key = self.chance.key(entry.event_id)
        if isinstance(entry, LabelSettled):
            self.labels.settle(key, entry.label)
        else:
            self.labels.drop(key)

    def charge_unseen(self, request_id: str, decided: Decided) -> None:
        """The record has a request whose event is not here any more: it is open, and was paid."""
        asked = Asked(request_id, decided.predicted, decided.doubt)
        self._charge_request(decided, asked, None if decided.reason == OPINION else decided.key)

    def _pay_request(
        self, request: LabelRequested, now: float, *, is_checked: bool = False
    ) -> LabelRequested:
        """The request, asked now and paid; `is_checked`: there is money for it.

        Where the clock is behind the newest event, as after a gap, its time counts from that: else
        it would expire when the clock follows.
        """
        asked = asked_of(request)
        if self.record is not None:
            request, asked = self.record.take_request(request)
        elif not (is_checked or self._can_pay(request)):
            raise BrokenInvariant(f"{request.request_id} would be asked without a label to spend")
        is_first = request.opinion_n == 1
        self._charge_request(
            request, asked, self.chance.key(request.event_id) if is_first else None
        )
        deadline = max(now, self._newest_at) + self.deadline_s
        return msgspec.structs.replace(request, at=now, deadline=deadline)

    def _charge_request(
        self, request: LabelRequested | Decided, asked: Asked, key: int | None
    ) -> None:
        self.budget.charge(asked=asked)
        if key is not None:
            self.remembered.note_open(key, self.budget.events_n)
        by, predicted = (request.reason, request.strategy), asked.predicted
        self.asked_by[by] = self.asked_by.get(by, 0) + 1
        self.asked_by_class[predicted] = self.asked_by_class.get(predicted, 0) + 1
