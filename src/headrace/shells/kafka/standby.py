"""Desks of other workers, followed so that one of them can be taken over at once.

A followed desk folds its log and says nothing. Without this a desk is made anew from its newest
snapshot and what its log holds since, which takes as long as that is long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...flow import wire
from ...flow.desks import PartitionDesk
from .reading import partition_of

POLL_MS = 500


class Standby:
    """The desks that are followed, by partition; `take` hands one over, `keep` follows one more."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._desks: dict[int, PartitionDesk] = {}

    def keep(self, desk: PartitionDesk) -> None:
        """Follow this desk from where it stands."""
        self._desks[desk.partition] = desk

    def take(self, partition: int) -> PartitionDesk | None:
        """The desk of a partition, which is followed no longer; None if it never was."""
        return self._desks.pop(partition, None)

    def follows(self, partition: int) -> bool:
        """Whether the desk of this partition is followed."""
        return partition in self._desks

    async def run(self, consumer: Any, on_passed_over: Callable[[str], None]) -> None:
        """Follow for ever, with a consumer that nobody else uses."""
        followed: set[int] = set()
        while True:
            if followed != self._desks.keys():
                followed = set(self._desks)
                consumer.assign([partition_of(self._topic, number) for number in followed])
                for number in followed:
                    consumer.seek(partition_of(self._topic, number), self._desks[number].position)
            found = await consumer.getmany(timeout_ms=POLL_MS, max_records=1_000)
            for tp, records in found.items():
                desk = self._desks.get(tp.partition)
                for record in records if desk is not None else ():
                    entry = wire.desk_input_of(record)
                    if desk is None or record.offset < desk.position:
                        continue
                    if entry is None:
                        desk.position = record.offset + 1
                        on_passed_over(f"{tp.topic}, offset {record.offset}, can't be read")
                    else:
                        desk.fold(*entry, record.offset)
