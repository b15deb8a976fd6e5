"""One worker over logs in memory, and nothing that goes wrong: the flow as it runs, in calm.

It is the cluster of tests/simulation with a single worker and no chance, fed and answered step by
step.
"""

from __future__ import annotations

import copy
from collections.abc import MutableSequence, Sequence
from typing import TypeVar

import msgspec

from headrace import Event, LabelRequested, Settings
from headrace.flow import wire
from headrace.flow.effects import Part
from headrace.flow.flow import Flow
from headrace.flow.owned import OwnedDesk, OwnedShard
from headrace.flow.produce import ProducerRecord
from headrace.flow.sealed import Seals
from headrace.flow.shards import PartitionShard
from headrace.learn.trainer import Entry
from headrace.learn.training_log import TrainingLog
from headrace.messages import Answer, Tick
from headrace.privacy import Privacy
from simulation.cluster import Cluster, Kept

T = TypeVar("T")
STEP_S = 1.5
"""More than a worker that has had nothing to do for long waits until it looks again."""


class NoLuck:
    """Nothing is drawn: the first of everything, the longest pause, all that is there at once."""

    def choice(self, found: Sequence[T]) -> T:
        return found[0]

    def randint(self, _: int, most: int) -> int:
        return most

    def uniform(self, _: float, most: float) -> float:
        return most

    def random(self) -> float:
        return 1.0

    def shuffle(self, found: MutableSequence[T]) -> None:
        pass


class World:
    """One worker that owns everything: `partitions_n` shards, as many desks as the settings say."""

    def __init__(
        self,
        settings: Settings,
        partitions_n: int = 1,
        privacy: Privacy | None = None,
        seals: Seals | None = None,
    ) -> None:
        self.settings, self.kafka = settings, settings.kafka
        self.cluster = Cluster(settings, 0, partitions_n=partitions_n, privacy=privacy)
        self.cluster.seals = seals
        self.cluster.luck = NoLuck()  # type: ignore[assignment]  # as far as it is asked
        self.cluster.start()
        self.settle()

    # -------------------------------------------------------------------------- what there is

    @property
    def flow(self) -> Flow:
        flow = self.cluster.workers[0].flow
        assert flow is not None, (self.cluster.refused, self.cluster.restarts)
        return flow

    @property
    def log(self) -> TrainingLog:
        return self.flow.training.log

    @property
    def shards(self) -> dict[int, OwnedShard]:
        return self.flow.owned.shards

    @property
    def desks(self) -> dict[int, OwnedDesk]:
        return self.flow.owned.desks

    def of(self, topic: str, partition: int = 0) -> list[Kept]:
        return self.cluster.log(Part(topic, partition)).records

    def values(self, topic: str, partition: int = 0) -> list[bytes]:
        return [record.value for record in self.of(topic, partition)]

    def requests(self) -> list[LabelRequested]:
        return [
            msgspec.json.decode(value, type=LabelRequested)
            for value in self.values(self.kafka.requests)
            if b'"LabelRequested"' in value
        ]

    # ------------------------------------------------------------------------- what comes in

    def feed(self, events: list[Event], partition: int = 0) -> None:
        """Events into a partition, and all that follows from them."""
        for event in events:
            self.send(self.kafka.events, encoded(event), partition)
        self.settle()

    def give(self, *entries: Answer | Tick) -> None:
        """Answers, or the time to every desk, and all that follows."""
        for entry in entries:
            if isinstance(entry, Answer):
                self.send(self.kafka.answers, msgspec.json.encode(entry))
                continue
            for number in self.desks:
                self.cluster.send(self.flow.router.route_to_desk(entry, entry.at, number))
        self.settle()

    def say(self, entry: Entry) -> None:
        """An entry of the training log, from whoever may write it."""
        self.send(self.kafka.training, wire.value_of(entry))

    def send(self, topic: str, value: bytes, partition: int = 0) -> None:
        self.cluster.send(ProducerRecord(topic, value, partition=partition))

    def settle(self) -> None:
        """Let time pass until nothing moves any more."""
        before = None
        while (stands := self._stands()) != before:
            before = stands
            self.cluster.run(self.cluster.now + STEP_S)

    def _stands(self) -> tuple[int, ...]:
        flow = self.cluster.workers[0].flow
        if flow is None or not self.cluster.generation:
            return (int(self.cluster.now),)
        places = [flow.owned.place_of(part) or 0 for part in self.cluster.parts()]
        return (
            sum(log.end for log in self.cluster.logs.values()),
            flow.training.position,
            *places,
        )

    # ---------------------------------------------------------------------------- recovering

    def save(self) -> None:
        """Let it write its snapshots."""
        self.cluster.run(self.cluster.now + self.settings.worker.snapshot_every_s + STEP_S)

    def recovered(self) -> World:
        """Another worker over the same logs, from the states that are saved.

        It writes nothing, but for what the last step rejected: nobody knows that it arrived.
        """
        other = copy.copy(self)
        other.cluster = Cluster(
            self.settings,
            0,
            partitions_n=self.cluster.partitions_n,
            privacy=self.cluster.privacy,
        )
        other.cluster.luck = NoLuck()  # type: ignore[assignment]  # as far as it is asked
        other.cluster.logs = copy.deepcopy(self.cluster.logs)
        other.cluster.committed = dict(self.cluster.committed)
        other.cluster.saved = {key: [*kept] for key, kept in self.cluster.saved.items()}
        other.cluster.start()
        other.settle()
        assert other._ends() == self._ends()
        return other

    def _ends(self) -> dict[Part, int]:
        logs = self.cluster.logs.items()
        return {part: log.end for part, log in logs if log.end and part.topic != self.kafka.rejects}

    def replayed(self, partition: int) -> PartitionShard:
        """A shard as another worker makes it from the logs alone."""
        self.cluster.saved.clear()
        return self.recovered().shards[partition].shard


def encoded(event: Event) -> bytes:
    """An event as a log of inferences has it."""
    return msgspec.json.encode(
        {name: getattr(event, name) for name in event.__struct_fields__ if name != "type"}
    )
