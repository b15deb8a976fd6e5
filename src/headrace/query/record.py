"""Decisions that are made again from a journal: what was decided then wins.

Sums may differ in the last bit between two types of processors, and so may a decision that compares
them. Therefore a journal has, beside the id of every request, the numbers of the decision behind
it. A replay asks the events on record, with the propensity and the utility on record, and nothing
else; `Differences` counts what would be decided otherwise now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from ..messages import LabelRequested, Output, RequestRescored
from .accounts import AskedLabel
from .pool import Pool
from .requests import asked_of
from .rounds import Decision
from .spread import NAME as SPREAD


class Decided(msgspec.Struct, frozen=True, array_like=True):
    """The numbers of one request that a recomputation may get otherwise, and when it was asked.

    `key` is the hashed id of its event. It was asked after `after_n` events of its step (or of its
    piece of a journal); `round_n` is -1 outside rounds. `predicted` and `doubt` are those that the
    budget charged it with; the rest is as in `LabelRequested`.
    """

    key: int
    after_n: int
    round_n: int
    reason: str
    strategy: str
    utility: float
    threshold: float
    propensity: float
    control_p: float
    predicted: str
    doubt: float

    @property
    def is_spread(self) -> bool:
        """Whether a round that drift opened asked it."""
        return self.strategy == SPREAD


def decided_of(request: LabelRequested, key: int, after_n: int) -> Decided:
    """Return what a journal stores of a request beside its id."""
    asked = asked_of(request)
    return Decided(
        key=key,
        after_n=after_n,
        round_n=request.round_n,
        reason=request.reason,
        strategy=request.strategy,
        utility=request.utility,
        threshold=request.threshold,
        propensity=request.propensity,
        control_p=request.control_p,
        predicted=asked.predicted,
        doubt=asked.doubt,
    )


class RescoredThen(msgspec.Struct, frozen=True, array_like=True):
    """A message about an open question that was scored again after `after_n` events."""

    after_n: int
    said: RequestRescored


def rescored_of(outputs: Sequence[Output], after_n: int) -> list[RescoredThen]:
    """Return what a journal stores of the messages about open questions among these outputs."""
    return [RescoredThen(after_n, one) for one in outputs if isinstance(one, RequestRescored)]


@dataclass(slots=True)
class Differences:
    """By how much a recomputation differs from the `decided_n` requests on record.

    `moved_n` requests have another utility or propensity now, by at most `largest`; `turned_n`
    would be asked now and were not, or were asked and would not be now.

    >>> print(Differences(decided_n=40, moved_n=3, largest=2.5e-16).told)
    3 of 40 decisions differ from the record: 3 in utility or propensity, by 2.5e-16 at most
    """

    decided_n: int = 0
    moved_n: int = 0
    turned_n: int = 0
    largest: float = 0.0

    @property
    def n(self) -> int:
        """The number of decisions that differ."""
        return self.moved_n + self.turned_n

    @property
    def told(self) -> str:
        """The differences as a sentence; empty where nothing differs."""
        if not self.n:
            return ""
        parts = []
        if self.moved_n:
            parts.append(f"{self.moved_n} in utility or propensity, by {self.largest:.2g} at most")
        if self.turned_n:
            parts.append(f"{self.turned_n} in whether an event is asked about")
        details = ", ".join(parts)
        return f"{self.n} of {self.decided_n} decisions differ from the record: {details}"

    def add(self, other: Differences) -> None:
        """Add the differences of another stretch."""
        self.decided_n += other.decided_n
        self.moved_n += other.moved_n
        self.turned_n += other.turned_n
        self.largest = max(self.largest, other.largest)


class AskedRecord:
    """The requests of a stretch that begins after `events_n` events, in order of asking.

    `asked` are their ids, `decided` their numbers, `rescored` the messages about open questions.
    `has_request`, `round_at` and `correct_decision` say what the recomputation is to ask,
    `take_request` removes a request that is asked, and `find_missing` returns those that nothing
    led to.
    """

    def __init__(
        self,
        asked: Sequence[str],
        decided: Sequence[Decided],
        events_n: int,
        rescored: Sequence[RescoredThen] = (),
    ) -> None:
        self._left = dict(zip(asked, decided, strict=True))
        self._rescored = list(rescored)
        self._from_n = events_n
        self._due: set[str] = set()
        self._held: set[str] = set()
        self.differences = Differences(decided_n=len(self._left))

    def count_to_next(self, events_n: int, n: int) -> int:
        """Return how many of the next n events go by until the next request on record.

        `events_n` events were observed before.
        """
        first = next(iter(self._left.values()), None)
        until = 0 if first is None else self._from_n + first.after_n - events_n
        return min(n, until) if until > 0 else n

    def has_request(self, request_id: str, events_n: int) -> bool:
        """Whether this request was asked outside rounds after `events_n` events."""
        decided = self._left.get(request_id)
        if decided is None or decided.round_n >= 0:
            return False
        return request_id in self._due or decided.after_n == events_n - self._from_n

    def passes_over(self, request_id: str, events_n: int, *, is_paid: bool) -> bool:
        """Whether the draw, which falls on this event now, did not fall on it then.

        Where the event can't be paid for (`is_paid` is false) the draw may have fallen on it, and
        the request waits.
        """
        if self.has_request(request_id, events_n) or not is_paid:
            return False
        self.differences.turned_n += 1
        return True

    def round_at(self, events_n: int, *, is_spread: bool) -> int | None:
        """Return the number of the round held after `events_n` events; None if there was none."""
        after_n = events_n - self._from_n
        numbers = [
            decided.round_n
            for decided in self._left.values()
            if decided.round_n >= 0
            and decided.after_n == after_n
            and decided.is_spread == is_spread
        ]
        self.differences.turned_n += not numbers
        return min(numbers, default=None)

    def insists_on(self, request_id: str, events_n: int) -> bool:
        """Whether this request was asked then; if so it is due, whatever is drawn now."""
        is_on_record = self.has_request(request_id, events_n)
        if is_on_record:
            self._due.add(request_id)
        return is_on_record

    def correct_decision(
        self, decision: Decision, pool: Pool, request_id_of: Callable[[str], str]
    ) -> Decision:
        """Return the decision with rows and numbers on record, as far as they are in the pool."""
        on_record = [
            decided for decided in self._left.items() if decided[1].round_n == decision.round_n
        ]
        row_of = {key: row for row, key in enumerate(pool.keys.tolist())}
        # Where the pool has an id twice, the row that was chosen.
        row_of |= {int(pool.keys[row]): int(row) for row in decision.chosen}
        utilities, inclusion = decision.utilities.copy(), decision.inclusion.copy()
        chosen, picked = [], set(decision.chosen.tolist())
        for request_id, decided in on_record:
            row = row_of.get(decided.key)
            # With another seed the same key may belong to another event.
            if row is None or request_id_of(pool.ids[row]) != request_id:
                continue
            if row in picked:
                self._compare_numbers(decided, utilities[row], inclusion[row])
            else:
                self.differences.turned_n += 1
            self._held.add(request_id)
            utilities[row], inclusion[row] = decided.utility, decided.propensity
            chosen.append(row)
        self.differences.turned_n += len(picked - set(chosen))
        rows = np.array(chosen, dtype=np.intp)
        return replace(decision, utilities=utilities, inclusion=inclusion, chosen=rows)

    def take_request(self, request: LabelRequested) -> tuple[LabelRequested, AskedLabel]:
        """Return the request as it was then, and what to charge the budget; it is asked now."""
        decided = self._left.pop(request.request_id)
        if request.request_id not in self._held | self._due:
            self._compare_numbers(decided, request.utility, request.propensity)
        request = msgspec.structs.replace(
            request,
            reason=decided.reason,
            strategy=decided.strategy,
            utility=decided.utility,
            threshold=decided.threshold,
            propensity=decided.propensity,
            control_p=decided.control_p,
            round_n=decided.round_n,
        )
        return request, AskedLabel(request.request_id, decided.predicted, decided.doubt)

    def take_rescored(self, now: Sequence[RequestRescored], events_n: int) -> list[RequestRescored]:
        """Return the messages about open questions on record up to this event.

        `now` are those that would be sent today; differences are counted.
        """
        passed_n = events_n - self._from_n
        then = [message.said for message in self._rescored if message.after_n <= passed_n]
        self._rescored = self._rescored[len(then) :]
        message_of = {message.request_id: message for message in now}
        self.differences.turned_n += len({*message_of} ^ {message.request_id for message in then})
        self.differences.turned_n += sum(
            message_of.get(message.request_id, message) != message for message in then
        )
        return then

    def find_missing(self, events_n: int, *, is_end: bool) -> list[dict[str, Decided]]:
        """Return by round the requests on record up to this event that nothing led to now.

        With `is_end` those of the whole stretch. They count as different, and are due from now on.
        """
        missing: dict[int, dict[str, Decided]] = {}
        for request_id, decided in self._left.items():
            if is_end or decided.after_n <= events_n - self._from_n:
                missing.setdefault(decided.round_n, {})[request_id] = decided
                if request_id not in self._due | self._held:
                    self.differences.turned_n += 1
                self._due.add(request_id)
        return list(missing.values())

    def select_left(self, ones: Mapping[str, Decided]) -> dict[str, Decided]:
        """Return those of these requests that were not asked again yet."""
        return {
            request_id: decided for request_id, decided in ones.items() if request_id in self._left
        }

    def drop_request(self, request_id: str) -> None:
        """Drop a request whose event is no longer kept."""
        del self._left[request_id]

    def _compare_numbers(self, one: Decided, utility: float, propensity: float) -> None:
        apart = max(abs(one.utility - utility), abs(one.propensity - propensity))
        if apart > 0.0:
            self.differences.moved_n += 1
            self.differences.largest = max(self.differences.largest, float(apart))
