"""What became of orders: read off the training log and the journals, for a caller that waits.

Sans I/O, and without a group or a worker: an order is carried out when every partition that has a
part of it says so in its journal.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..messages import ErasureOrdered, LabelSettled, RollBackOrdered
from ..query.orders import Order, name_of
from ..settings.kafka import KafkaSettings
from . import wire
from .effects import Find, Look, Part, Routine
from .log_reader import LogReader
from .orders import Followed
from .steps import ChainEnd, Step

CLOCKS_MS = 60_000
"""How far clocks of two workers may differ: journals are read from this long before an order."""

KEPT_N = 10_000


@dataclass(slots=True)
class _Journal:
    """How far a partition's journal was read (`place`), from offset `first` on, and its chain."""

    first: int
    place: int
    chain: ChainEnd = field(default_factory=lambda: ChainEnd(-1, ""))
    is_linked: bool = False

    def take_step(self, record: Any) -> Step | None:
        """Return the step that this record holds, if it counts."""
        step = wire.step_of(record)
        # Reading began within the journal: the step before this one may not have been seen.
        is_unseen = step is not None and not self.is_linked and step.previous < self.first
        if not self.chain.accepts_step(step, record.offset, is_any=is_unseen):
            return None
        self.is_linked |= not is_unseen
        return step


@dataclass(slots=True)
class _Order:
    order: Order
    since_ms: int
    journals: dict[int, _Journal] = field(default_factory=dict)
    followed: dict[int, Followed] = field(default_factory=dict)
    stops: dict[int, int] = field(default_factory=dict)

    @property
    def numbers(self) -> Sequence[int]:
        """The partitions that have a part in the order; of a roll back all report the same."""
        return (0,) if isinstance(self.order, RollBackOrdered) else range(self.order.shards_n)

    @property
    def is_over(self) -> bool:
        return all(number in self.followed for number in self.numbers)

    @property
    def outcome(self) -> dict[str, Any]:
        """What is known of the order, in the form of `RoundOutcomes`."""
        if not self.is_over:
            return {"state": "ordered"}
        order, outcomes = self.order, [self.followed[number] for number in self.numbers]
        if isinstance(order, ErasureOrdered):
            erased: Counter[str] = Counter()
            for outcome in outcomes:
                erased.update(outcome.erased)
            is_refitted = any(outcome.is_refitted for outcome in outcomes)
            about = {"is_refitted": is_refitted, "stops": self.stops}
            return {"state": "erased", "erased": dict(erased), **about}
        if isinstance(order, RollBackOrdered):
            if outcomes[0].model_version < 0:
                return {"state": "refused", "asked_n": 0, "why": outcomes[0].why}
            back = {"to": order.to, "model_version": outcomes[0].model_version}
            return {"state": "rolled back", **back}
        if asked_n := sum(outcome.asked_n for outcome in outcomes):
            return {"state": "asked", "asked_n": asked_n}
        why = "; ".join(dict.fromkeys(outcome.why for outcome in outcomes if outcome.why))
        return {"state": "refused", "asked_n": 0, "why": why or "no partition had a part of it"}


def combine_erasures(by_desk: Sequence[dict[str, Any] | None]) -> dict[str, Any] | None:
    """Combine what is known of an erasure at each desk: all have to be over; None if none is."""
    outcomes = [outcome for outcome in by_desk if outcome is not None]
    if not outcomes:
        return None
    if len(outcomes) < len(by_desk) or any(outcome["state"] != "erased" for outcome in outcomes):
        return {"state": "ordered"}
    erased: Counter[str] = Counter()
    for outcome in outcomes:
        erased.update(outcome["erased"])
    stops = {n: min(outcome["stops"][n] for outcome in outcomes) for n in outcomes[0]["stops"]}
    is_refitted = any(outcome["is_refitted"] for outcome in outcomes)
    return {"state": "erased", "erased": erased, "is_refitted": is_refitted, "stops": stops}


def find_labelled_requests(
    training: Part, is_wanted: Callable[[LabelSettled], bool]
) -> Routine[set[str]]:
    """Return the ids of requests whose labels are wanted, are in the log, and were not erased."""
    first = (yield Look((training,)))[training].first
    logs, ids = LogReader({training: first}), set[str]()
    yield from logs.go_to_starts()
    while records := (yield from logs.read_piece(training, logs.ends[training])):
        for record in records:
            match wire.entry_of(record):
                case (LabelSettled() as label, _) if is_wanted(label):
                    ids.add(label.request_id)
                case (ErasureOrdered() as order, _):
                    ids.difference_update(order.request_ids)
    return ids


class OrderOutcomes:
    """What became of the orders that were passed on since `since_ms`, by their `name_of`.

    Each record of the training log is read once; a journal is read from shortly before an order
    until it says what came of it. The latest 10,000 orders are remembered.
    """

    def __init__(self, kafka: KafkaSettings, since_ms: int) -> None:
        self._kafka = kafka
        self._since_ms = since_ms
        self._place: int | None = None
        self._orders: OrderedDict[str, _Order] = OrderedDict()

    def read_order(self, name: str) -> Routine[dict[str, Any] | None]:
        """Return what is known of an order; None if the desks have not passed it on."""
        yield from self._read_training()
        order = self._orders.get(name)
        if order is None:
            return None
        for number in order.numbers:
            if number not in order.followed:
                yield from self._read_journal(order, number)
        return order.outcome

    def _read_training(self) -> Routine[None]:
        part = Part(self._kafka.training, 0)
        if self._place is None:
            self._place = (yield Find((part,), self._since_ms))[part]
        # The log may have been cut, which does no harm to a mere reader.
        first = (yield Look((part,)))[part].first
        logs = LogReader({part: max(first, self._place)})
        yield from logs.go_to_starts()
        while records := (yield from logs.read_piece(part, logs.ends[part])):
            for record in records:
                # Few entries are orders: only those are decoded.
                entry = wire.entry_of(record) if b"Ordered" in (record.value or b"")[:40] else None
                if entry is not None and isinstance(entry[0], Order):
                    self._keep_order(entry[0], record.timestamp)
            self._place = records[-1].offset + 1

    def _keep_order(self, order: Order, written_ms: int) -> None:
        # Of orders with the same key the first counts.
        self._orders.setdefault(name_of(order), _Order(order, max(0, written_ms - CLOCKS_MS)))
        while len(self._orders) > KEPT_N:
            self._orders.popitem(last=False)

    def _read_journal(self, found: _Order, number: int) -> Routine[None]:
        part, name = Part(self._kafka.journal, number), name_of(found.order)
        if number not in found.journals:
            start = (yield Find((part,), found.since_ms))[part]
            found.journals[number] = _Journal(start, start)
        journal = found.journals[number]
        first = (yield Look((part,)))[part].first
        logs = LogReader({part: max(first, journal.place)})
        yield from logs.go_to_starts()
        while records := (yield from logs.read_piece(part, logs.ends[part])):
            for record in records:
                step = journal.take_step(record)
                for followed in () if step is None else step.orders:
                    if step is not None and followed.order == name:
                        found.followed[number], found.stops[number] = followed, step.stop
            journal.place = records[-1].offset + 1
