"""What became of orders: read off the training log and the journals, for whoever waits.

Sans I/O, like all that is read here. It joins no group and knows no worker: an order is carried out
when every partition that has a part of it says so in its journal.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..messages import RoundOrdered
from ..query.orders import Order, name_of
from ..settings.kafka import KafkaSettings
from . import wire
from .effects import Find, Look, Part, Routine
from .orders import Followed
from .shards import ChainEnd
from .tapes import Tapes

CLOCKS_MS = 60_000
"""By how much clocks of two workers may differ: journals are read from so long before an order."""

KEPT_N = 10_000


@dataclass(slots=True)
class _Journal:
    """How far the journal of a partition was read from `first` on, and its chain."""

    first: int
    place: int
    chain: ChainEnd = field(default_factory=lambda: ChainEnd(-1, ""))
    is_linked: bool = False

    def takes(self, record: Any) -> Sequence[Followed]:
        """What this record says of orders, if it counts."""
        step = wire.step_of(record)
        # Read from somewhere within: what a step follows on may not have been seen.
        is_unseen = step is not None and not self.is_linked and step.previous < self.first
        if not self.chain.takes(step, record.offset, is_any=is_unseen):
            return ()
        self.is_linked |= not is_unseen
        assert step is not None
        return step.orders


@dataclass(slots=True)
class _Order:
    order: Order
    since_ms: int
    journals: dict[int, _Journal] = field(default_factory=dict)
    followed: dict[int, Followed] = field(default_factory=dict)

    @property
    def numbers(self) -> Sequence[int]:
        """The partitions that have a part in it; what one says of a version, all do."""
        return range(self.order.shards_n) if isinstance(self.order, RoundOrdered) else (0,)

    @property
    def is_over(self) -> bool:
        return all(number in self.followed for number in self.numbers)

    @property
    def told(self) -> dict[str, Any]:
        """As `RoundsTold` tells it."""
        if not self.is_over:
            return {"state": "ordered"}
        order, said = self.order, [self.followed[number] for number in self.numbers]
        if not isinstance(order, RoundOrdered):
            if said[0].model_version < 0:
                return {"state": "refused", "asked_n": 0, "why": said[0].why}
            back = {"to": order.to, "model_version": said[0].model_version}
            return {"state": "rolled back", **back}
        if asked_n := sum(one.asked_n for one in said):
            return {"state": "asked", "asked_n": asked_n}
        why = "; ".join(dict.fromkeys(one.why for one in said if one.why))
        return {"state": "refused", "asked_n": 0, "why": why or "no partition had a part of it"}


class OrdersTold:
    """Orders by their `name_of`, of those that were passed on since `since_ms`.

    Each record of the training log is read once; those of the journals from shortly before an order
    until all have said what came of it. The latest 10,000 orders are remembered.
    """

    def __init__(self, kafka: KafkaSettings, since_ms: int) -> None:
        self._kafka = kafka
        self._since_ms = since_ms
        self._place: int | None = None
        self._orders: OrderedDict[str, _Order] = OrderedDict()

    def read(self, name: str) -> Routine[dict[str, Any] | None]:
        """What is known of an order; None if the desks have not passed it on."""
        yield from self._read_training()
        found = self._orders.get(name)
        if found is None:
            return None
        for number in found.numbers:
            if number not in found.followed:
                yield from self._read_journal(found, number)
        return found.told

    def _read_training(self) -> Routine[None]:
        part = Part(self._kafka.training, 0)
        if self._place is None:
            self._place = (yield Find((part,), self._since_ms))[part]
        # It may have been cut, which whoever only looks on does not mind.
        first = (yield Look((part,)))[part].first
        tapes = Tapes({part: max(first, self._place)})
        yield from tapes.begin()
        while records := (yield from tapes.piece(part, tapes.ends[part])):
            for record in records:
                # Few are orders: those are decoded.
                entry = wire.entry_of(record) if b"Ordered" in (record.value or b"")[:40] else None
                if entry is not None and isinstance(entry[0], Order):
                    self._remember(entry[0], record.timestamp)
            self._place = records[-1].offset + 1

    def _remember(self, order: Order, written_ms: int) -> None:
        # Of those with one key the first counts.
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
        tapes = Tapes({part: max(first, journal.place)})
        yield from tapes.begin()
        while records := (yield from tapes.piece(part, tapes.ends[part])):
            for record in records:
                for told in journal.takes(record):
                    if told.order == name:
                        found.followed[number] = told
            journal.place = records[-1].offset + 1
