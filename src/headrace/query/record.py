"""What was decided once, and is decided again from a journal: the record wins.

Sums may differ in the last bit between two types of processors, and a decision that compares them
may fall otherwise. So a journal has, beside the id of every request, the numbers of the decision
behind it. Whoever decides again asks what the record names, with the propensity and the utility
that stand there, and nothing else; `Differences` counts what would have been decided otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from ..messages import LabelRequested, Output, RequestRescored
from .accounts import Asked
from .pool import Pool
from .requests import asked_of
from .rounds import Decision
from .spread import NAME as SPREAD


class Decided(msgspec.Struct, frozen=True, array_like=True):
    """The numbers of one request: what a recomputation may get otherwise, and when it was asked.

    `key` is the hashed id of its event. It was asked after `after_n` events of its step (or of its
    piece of a journal), `round_n` is -1 outside rounds. `predicted` and `doubt` are what the budget
    was told of it; the rest is as in `LabelRequested`.
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
    """What a journal has of a request beside its id."""
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
    """What was said of an open question, after `after_n` events of its step or piece."""

    after_n: int
    said: RequestRescored


def rescored_of(outputs: Sequence[Output], after_n: int) -> list[RescoredThen]:
    """What a journal has of open questions, of what an event led to."""
    return [RescoredThen(after_n, one) for one in outputs if isinstance(one, RequestRescored)]


@dataclass(slots=True)
class Differences:
    """By how much a recomputation differs from the record, over `decided_n` requests of it.

    `moved_n` have another utility or propensity now, by at most `largest`; `turned_n` requests
    would be asked now and were not, or were and would not be.

    >>> print(Differences(decided_n=40, moved_n=3, largest=2.5e-16).told)
    3 of 40 decisions differ from the record: 3 in utility or propensity, by 2.5e-16 at most
    """

    decided_n: int = 0
    moved_n: int = 0
    turned_n: int = 0
    largest: float = 0.0

    @property
    def n(self) -> int:
        """Decisions that differ."""
        return self.moved_n + self.turned_n

    @property
    def told(self) -> str:
        """The same in words; empty where nothing differs."""
        if not self.n:
            return ""
        parts = []
        if self.moved_n:
            parts.append(f"{self.moved_n} in utility or propensity, by {self.largest:.2g} at most")
        if self.turned_n:
            parts.append(f"{self.turned_n} in whether an event is asked about")
        told = ", ".join(parts)
        return f"{self.n} of {self.decided_n} decisions differ from the record: {told}"

    def add(self, other: Differences) -> None:
        """Count those of another stretch too."""
        self.decided_n += other.decided_n
        self.moved_n += other.moved_n
        self.turned_n += other.turned_n
        self.largest = max(self.largest, other.largest)


class Record:
    """What was asked in a stretch that begins after `events_n` events, in order of asking.

    What the recomputation comes to is held against it: `has`, `round_at` and `correct_decision` say
    what is to be asked, `take_request` that it is, and `find_missing` what nothing led to.
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

    def until(self, events_n: int, n: int) -> int:
        """How many of the n events after event `events_n` go by until the next was asked."""
        first = next(iter(self._left.values()), None)
        until = 0 if first is None else self._from_n + first.after_n - events_n
        return min(n, until) if until > 0 else n

    def has(self, request_id: str, events_n: int) -> bool:
        """Whether a request outside rounds was asked at this event."""
        one = self._left.get(request_id)
        if one is None or one.round_n >= 0:
            return False
        return request_id in self._due or one.after_n == events_n - self._from_n

    def passes_over(self, request_id: str, events_n: int, *, is_paid: bool) -> bool:
        """Whether a draw that falls on an event now did not fall on it then.

        Where there was nothing to pay with (`is_paid` is false), it may have, and waits.
        """
        if self.has(request_id, events_n) or not is_paid:
            return False
        self.differences.turned_n += 1
        return True

    def round_at(self, events_n: int, *, is_spread: bool) -> int | None:
        """The number of the round that was held at this event; None if there was none."""
        after_n = events_n - self._from_n
        numbers = [
            one.round_n
            for one in self._left.values()
            if one.round_n >= 0 and one.after_n == after_n and one.is_spread == is_spread
        ]
        self.differences.turned_n += not numbers
        return min(numbers, default=None)

    def insists(self, request_id: str, events_n: int) -> bool:
        """The same as `has`; what is on record is asked whatever leads to it now."""
        is_on_record = self.has(request_id, events_n)
        if is_on_record:
            self._due.add(request_id)
        return is_on_record

    def correct_decision(
        self, decision: Decision, pool: Pool, request_id_of: Callable[[str], str]
    ) -> Decision:
        """The decision with what was chosen then, as far as it is in the pool, and its numbers."""
        named = [one for one in self._left.items() if one[1].round_n == decision.round_n]
        row_of = {key: row for row, key in enumerate(pool.keys.tolist())}
        # Of an id that is in the pool twice, the one that was chosen.
        row_of |= {int(pool.keys[row]): int(row) for row in decision.chosen}
        utilities, inclusion = decision.utilities.copy(), decision.inclusion.copy()
        chosen, picked = [], set(decision.chosen.tolist())
        for request_id, one in named:
            row = row_of.get(one.key)
            # Under another seed another event may have its key.
            if row is None or request_id_of(pool.ids[row]) != request_id:
                continue
            if row in picked:
                self._compare_numbers(one, utilities[row], inclusion[row])
            else:
                self.differences.turned_n += 1
            self._held.add(request_id)
            utilities[row], inclusion[row] = one.utility, one.propensity
            chosen.append(row)
        self.differences.turned_n += len(picked - set(chosen))
        rows = np.array(chosen, dtype=np.intp)
        return replace(decision, utilities=utilities, inclusion=inclusion, chosen=rows)

    def take_request(self, request: LabelRequested) -> tuple[LabelRequested, Asked]:
        """It is asked: the request as it was then, and what the budget was told of it."""
        one = self._left.pop(request.request_id)
        if request.request_id not in self._held | self._due:
            self._compare_numbers(one, request.utility, request.propensity)
        request = msgspec.structs.replace(
            request,
            reason=one.reason,
            strategy=one.strategy,
            utility=one.utility,
            threshold=one.threshold,
            propensity=one.propensity,
            control_p=one.control_p,
            round_n=one.round_n,
        )
        return request, Asked(request.request_id, one.predicted, one.doubt)

    def take_rescored(self, now: Sequence[RequestRescored], events_n: int) -> list[RequestRescored]:
        """What was said of open questions up to this event; `now` is what would be said of them."""
        passed_n = events_n - self._from_n
        then = [one.said for one in self._rescored if one.after_n <= passed_n]
        self._rescored = self._rescored[len(then) :]
        said = {one.request_id: one for one in now}
        self.differences.turned_n += len({*said} ^ {one.request_id for one in then})
        self.differences.turned_n += sum(said.get(one.request_id, one) != one for one in then)
        return then

    def find_missing(self, events_n: int, *, is_end: bool) -> list[dict[str, Decided]]:
        """What was asked up to this event, or with `is_end` at all, and nothing led to, by round.

        It counts as different, and may be asked from now on.
        """
        found: dict[int, dict[str, Decided]] = {}
        for request_id, one in self._left.items():
            if is_end or one.after_n <= events_n - self._from_n:
                found.setdefault(one.round_n, {})[request_id] = one
                if request_id not in self._due | self._held:
                    self.differences.turned_n += 1
                self._due.add(request_id)
        return list(found.values())

    def select_left(self, ones: Mapping[str, Decided]) -> dict[str, Decided]:
        """Those that were not asked again yet."""
        return {request_id: one for request_id, one in ones.items() if request_id in self._left}

    def drop(self, request_id: str) -> None:
        """Its event is not here any more."""
        del self._left[request_id]

    def _compare_numbers(self, one: Decided, utility: float, propensity: float) -> None:
        apart = max(abs(one.utility - utility), abs(one.propensity - propensity))
        if apart > 0.0:
            self.differences.moved_n += 1
            self.differences.largest = max(self.differences.largest, float(apart))
