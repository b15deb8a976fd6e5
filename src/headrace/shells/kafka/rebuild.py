"""All state made again from the logs alone, and compared with what was saved; `headrace rebuild`.

The training log from its first entry, every desk from its log, every shard from its journal, events
and the training log. At the place where the newest snapshot of a part stands both must be the same,
bit for bit; then it goes on to the end of the logs. Nothing is sent, no offset is moved. How it is
shown and asked for is in `rebuilding`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from ...errors import BadInput
from ...frozen_compare import Difference, differences
from ...learn.training_log import TrainingLog
from ...settings import Settings
from . import wire
from .chain import Chain, chain_of
from .desks import PartitionDesk
from .reading import Tapes, partition_of
from .recovery import Recovery, UnusableError, folded
from .shards import PartitionShard, decoder_of
from .states import States, frozen_log
from .training import new_log

EQUAL, UNSAVED, CUT, DIFFERS = "equal", "no snapshot", "cut", "DIFFERS"
SHOWN_MAX = 3
"""Differences told of one part."""


@dataclass(slots=True)
class Part:
    """What came of one part: `training`, `desk-0`, `shard-3`.

    `verdict` is `equal`, `no snapshot`, `cut` (it differs, and retention deleted what it follows
    from) or `DIFFERS`; `told` says more. With `is_written` the rebuilt state is the newest snapshot.
    """

    name: str
    verdict: str = UNSAVED
    records_n: int = 0
    took_s: float = 0.0
    told: list[str] = field(default_factory=list)
    is_written: bool = False


class Counted:
    """A consumer that tells how many records it read."""

    def __init__(self, consumer: Any, on_read: Callable[[int], None]) -> None:
        self._consumer = consumer
        self._on_read = on_read
        self.records_n = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    async def getmany(self, *tps: Any, **limits: Any) -> Mapping[Any, list[Any]]:
        """As the consumer's own."""
        found: Mapping[Any, list[Any]] = await self._consumer.getmany(*tps, **limits)
        read_n = sum(map(len, found.values()))
        self.records_n += read_n
        self._on_read(read_n)
        return found


class Rebuild:
    """Makes parts again, one after the other, with a consumer that nobody else uses.

    With `is_writing`, which needs the group to be empty, what was made is saved where the snapshot
    differs, is missing or is older. `committed` has the group's offsets, by partition.
    """

    def __init__(
        self,
        settings: Settings,
        states: States,
        consumer: Counted,
        threads: Executor,
        *,
        partitions_n: int,
        committed: Mapping[Any, int],
        is_writing: bool = False,
    ) -> None:
        self._settings, self._kafka = settings, settings.kafka
        self._states = states
        self._consumer = consumer
        self._threads = threads
        self._partitions_n = partitions_n
        self._committed = committed
        self._is_writing = is_writing
        self._decoder = decoder_of(settings)

    async def training(self) -> Part:
        """The training log's state."""
        part, began = self._begun("training")
        saved, position = self._states.training()
        topic = partition_of(self._kafka.training, 0)
        tapes, end = await self._tapes_of(topic)
        log = new_log(self._settings)
        cut = _cut(topic.topic, tapes.lost[topic])
        if position > end:
            part.verdict = DIFFERS
            part.told.append(f"the snapshot stands at {position}, and {topic.topic} ends at {end}")
        elif not cut:
            await self._fold(log, tapes, topic, position)
            _judge(part, position > 0, differences(log, saved), cut)
            await self._fold(log, tapes, topic, end)
        else:
            _judge(part, position > 0, [Difference("", "nothing", "what was saved")], cut)
        if self._is_to_write(part, end > position):
            self._save(part, lambda: self._states.write_training(frozen_log(log), end))
        return self._done(part, began)

    async def desk(self, number: int) -> Part:
        """One desk."""
        part, began = self._begun(f"desk-{number}")
        saved = self._states.desk(number)
        tp = partition_of(self._kafka.desk, number)
        tapes, end = await self._tapes_of(tp)
        desk = PartitionDesk(self._settings, number)
        # What it says of entries after the committed one may not be in the training log yet.
        arrived = min(end, self._committed.get(tp, 0))
        blob = b""
        for stop in sorted({min(saved.position, end), arrived, end}):
            await _fold_desk(desk, tapes, tp, stop)
            if stop == saved.position:
                found = differences(desk.state, saved.state)
                _judge(part, stop > 0, found, _cut(tp.topic, tapes.lost[tp]))
            if stop == arrived:
                blob = desk.freeze()
        if saved.position > end:
            part.verdict = DIFFERS
            part.told.append(f"the snapshot stands at {saved.position}, and the log ends at {end}")
        if self._is_to_write(part, arrived > saved.position):
            self._save(part, lambda: self._states.write_desk(number, blob, arrived), arrived > 0)
        return self._done(part, began)

    async def shard(self, number: int) -> Part:
        """One shard."""
        part, began = self._begun(f"shard-{number}")
        saved, saved_log, positions = self._states.shard(number, self._partitions_n)
        chain = await chain_of(self._settings, number, self._consumer)
        why_not = await self._why_not(chain, number, positions)
        cut = await self._cut_of(chain, number)
        if why_not or (cut and "partitions" not in positions):
            part.verdict, part.told = (DIFFERS, [why_not]) if why_not else (UNSAVED, [cut])
            return self._done(part, began)
        written = _Written()
        try:
            shard, log, at_snapshot = await self._to_snapshot(part, number, chain, positions, written)
            if at_snapshot:
                theirs = (saved.shard.schema, saved.shard)
                found = differences((shard.shard.schema, shard.shard), theirs)
                _judge(part, True, [*found, *differences(log, saved_log)], cut)
        except UnusableError as error:
            part.verdict = DIFFERS
            part.told.append(f"the snapshot stands at no place of the journal: {error}")
        return self._done(part, began)
