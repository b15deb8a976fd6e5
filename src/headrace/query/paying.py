"""Pays for the requests that were decided, lets them wait for a label to spend, counts them."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..chance import Chance
from ..errors import BrokenInvariant
from ..messages import LabelDisputed, LabelRequested, LabelSettled
from ..settings import LabelSettings
from ..settings.label import sure_of
from .accounts import AskedLabel
from .budgets import Budget
from .labels import Labels
from .opinions import REASON as OPINION
from .opinions import Opinions
from .record import AskedRecord, Decided
from .remembered import Remembered
from .requests import AUDIT, asked_of, request_id
from .waiting import Waiting


class Paying:
    """The part of `Asking` that knows the budget, and every request until its end."""

    # Set while the decisions of a journal are made again: its record wins over what is decided now.
    record: AskedRecord | None = None

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
        """Return the id of the one request that there can be about this event of this stream."""
        return request_id(self.stream, event_id)

    @property
    def open_n(self) -> int:
        """Requests that have not ended."""
        return self.remembered.open_n + len(self.opinions.open) - self.queue.opinions_n

    @property
    def can_ask_n(self) -> int:
        """Labels that budget and open requests allow now, less what is held for audits."""
        return self.can_open_n("")

    def can_open_n(self, reason: str) -> int:
        """Return how many labels a round for this reason may ask now.

        Labels held for another purpose are left out.
        """
        other = self.budget.reserve if reason == AUDIT else self.budget.audit
        return min(self.budget.spendable_n(other), self.open_max - self.open_n)

    @property
    def regular_n(self) -> int:
        """Labels that a regular round may ask now: nothing that is held for another purpose."""
        return min(self.budget.available_n - self.budget.held_n, self.open_max - self.open_n)

    def are_known(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Return for each hashed id whether its event has a request, open or remembered."""
        return self.remembered.has_each(keys)

    def remembers(self, event_id: str) -> bool:
        """Whether a request about this event is open or remembered."""
        return self.remembered.has(self.chance.key(event_id))

    # ---------------------------------------------------------------------- paid, or waiting

    def passes_over(self, request_id: str, can_ask_n: int) -> bool:
        """Whether the record says that the draw did not fall on this request's event."""
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
        """Whether the request can be paid now: what is held for a drift does not pay for opinions.

        With a record it says whether the request was paid.
        """
        if self.record is not None:
            return self.record.has_request(request.request_id, self.budget.events_n)
        if request.opinion_n > 1:
            return self.regular_n >= 1
        return self.can_open_n(request.reason) >= 1

    @property
    def waiting_n(self) -> int:
        """Requests that wait for money: about events drawn on arrival, and for opinions."""
        return len(self.queue)

    @property
    def paid_in_n(self) -> int:
        """At least so many events go by before the oldest waiting request can be paid."""
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
        """Ask the waiting requests that there is money for now, and return them, oldest first."""
        requests = []
        while (request := self.queue.first) is not None and self._can_pay(request):
            self.queue.pop()
            if request.opinion_n > 1 or not self.remembers(request.event_id):
                requests.append(self._pay_request(request, now, is_checked=True))
        return requests

    def settle(self, entry: LabelSettled) -> None:
        """Note that a label came, or another one for the same event: its price is known now."""
        self.labels.settle(self.chance.key(entry.event_id), entry.label)
        unnamed_n = max(0, entry.answers_n - len(entry.by))
        self.budget.settle(entry.request_id, entry.label, (*entry.by, *[""] * unnamed_n))

    def note_opinion(self, entry: LabelSettled | LabelDisputed) -> None:
        """Note the label of an event after an opinion; a dispute leaves the event without one."""
        if not self.remembers(entry.event_id):
            return
        key = self.chance.key(entry.event_id)
        if isinstance(entry, LabelSettled):
            self.labels.settle(key, entry.label)
        else:
            self.labels.drop(key)

    def charge_unseen(self, request_id: str, decided: Decided) -> None:
        """Charge a request on record whose event is no longer kept: it is open, and was paid."""
        asked = AskedLabel(request_id, decided.predicted, decided.doubt)
        self._charge_request(decided, asked, None if decided.reason == OPINION else decided.key)

    def _pay_request(
        self, request: LabelRequested, now: float, *, is_checked: bool = False
    ) -> LabelRequested:
        """Pay for the request and return it as asked now; `is_checked`: there is money for it.

        The deadline counts from the newest event where the clock is behind that, as after a gap:
        else the request would expire when the clock catches up.
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
        self, request: LabelRequested | Decided, asked: AskedLabel, key: int | None
    ) -> None:
        self.budget.charge(asked=asked)
        if key is not None:
            self.remembered.note_open(key, self.budget.events_n)
        reason_and_strategy, predicted = (request.reason, request.strategy), asked.predicted
        self.asked_by[reason_and_strategy] = self.asked_by.get(reason_and_strategy, 0) + 1
        self.asked_by_class[predicted] = self.asked_by_class.get(predicted, 0) + 1
