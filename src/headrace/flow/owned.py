"""Which of the group's partitions are ours, and where we stand in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..learn.training_log import NOWHERE, Place
from ..observe.clock import describe_off_clock
from ..settings.kafka import KafkaSettings
from .desks import PartitionDesk
from .effects import Part
from .shards import PartitionShard


@dataclass(slots=True)
class OwnedShard:
    """A shard of ours. `end` is the offset its next step must get in the journal, `done` that of
    the last step whose outputs all arrived, `arrived` the offset up to which its events are done
    with. `writer` wrote the last step; `is_begun` says that we have written one since we took the
    shard over. `read_at` is when the last event that was read came to its topic, seconds.
    """

    shard: PartitionShard
    end: int
    done: int
    arrived: int = 0
    writer: str = ""
    is_begun: bool = False
    read_at: float | None = None
    is_off_clock_told: bool = False

    def describe_off_clock(self) -> str:
        """Return a warning of events far from the clock, once; empty if there is none."""
        clock = self.shard.shard.admission.clock
        if self.is_off_clock_told or not (clock.ahead_n or clock.behind_n):
            return ""
        self.is_off_clock_told = True
        warning = describe_off_clock(clock.ahead_n, clock.behind_n)
        return f"the clock of partition {self.shard.partition}: {warning}"


@dataclass(slots=True)
class OwnedDesk:
    """A desk of ours. Its outputs for entries before offset `written_to` have been written before.

    Ends go by another rule: the training log has those up to the place `heard`, and no others. The
    offsets of a group can be moved by anybody, and an end is a label that was paid for.

    Until the desk has written an end here (`is_new`), its next one is not linked to earlier ends:
    a desk may come from a log whose beginning is gone, or have had other settings. `arrived` is the
    offset up to which all outputs have arrived.
    """

    desk: PartitionDesk
    written_to: int
    heard: Place = NOWHERE
    arrived: int = 0
    is_new: bool = True


@dataclass(slots=True)
class Route:
    """A partition of answers or drift: the next offset to read, and up to where all has arrived."""

    position: int
    arrived: int


class Owned:
    """`parts` are assigned to us; `shards`, `desks` and `routes` have those that are ready.

    Shards and desks are by partition. A shard stays while the group is reassigned.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self.parts: set[Part] = set()
        self.shards: dict[int, OwnedShard] = {}
        self.desks: dict[int, OwnedDesk] = {}
        self.routes: dict[Part, Route] = {}
        self._kafka = kafka

    def keep_assigned(
        self, events: set[int], desks: set[int], journals: Mapping[int, int]
    ) -> list[int]:
        """Keep the shards and desks that are ours again; return the shards that are not, sorted.

        `events` and `desks` are the partitions that are ours now, `journals` the ends of shards'
        journals: where another worker wrote meanwhile, our shard is out of date and is dropped.
        """
        leaving = sorted(self.shards.keys() - events)
        self.shards = {
            number: owned
            for number, owned in self.shards.items()
            if number in events and journals[number] == owned.end
        }
        self.desks = {number: owned for number, owned in self.desks.items() if number in desks}
        self.routes = {}
        return leaving

    def drop_shard(self, partition: int) -> Part | None:
        """Drop a shard; return its part of the events if that was assigned, else None."""
        part = Part(self._kafka.events, partition)
        dropped = self.shards.pop(partition, None)
        return part if dropped is not None and part in self.parts else None

    def place_of(self, part: Part) -> int | None:
        """Return where we stand in a part; None while it is not ours."""
        if part.topic == self._kafka.events:
            owned = self.shards.get(part.partition)
            return None if owned is None else owned.shard.position
        if part.topic == self._kafka.desk:
            desk = self.desks.get(part.partition)
            return None if desk is None else desk.desk.position
        route = self.routes.get(part)
        return None if route is None else route.position

    @property
    def waiting_n(self) -> int:
        """The number of parts that are assigned and not ready yet."""
        return sum(self.place_of(part) is None for part in self.parts)

    def writing_shards(self) -> list[OwnedShard]:
        """Return a copy of the shards that may write: none while the group is reassigned."""
        events = self._kafka.events
        return [owned for n, owned in self.shards.items() if Part(events, n) in self.parts]

    def arrived_offsets(self, polled: Mapping[Part, int]) -> dict[Part, int]:
        """Return up to where all has arrived, by part; `polled` is where the consumer stands."""
        offsets = dict[Part, int]()
        for number, owned in self.shards.items():
            part = Part(self._kafka.events, number)
            offsets[part] = owned.arrived
            if owned.arrived == owned.shard.position:
                # Past transaction markers and aborted records, which nobody reads.
                offsets[part] = max(owned.arrived, polled.get(part, 0))
        offsets |= {Part(self._kafka.desk, n): owned.arrived for n, owned in self.desks.items()}
        offsets |= {part: route.arrived for part, route in self.routes.items()}
        return {part: offset for part, offset in offsets.items() if part in self.parts}
