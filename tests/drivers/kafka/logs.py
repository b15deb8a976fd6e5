"""The topics of a worker as lists, and the worker's parts between them: no broker, no clock.

`World` does in one thread what `session` does with clients: every part is the real one, every
record is encoded and decoded as on the wire, and a part can be killed and made anew from the lists.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from headrace import Event, LabelRequested, Settings
from headrace.flow import wire
from headrace.flow.desks import PartitionDesk
from headrace.flow.mail import Mail, OwnedDesk, OwnedShard
from headrace.flow.parcels import Parcel, Post
from headrace.flow.shards import PartitionShard
from headrace.flow.training import new_log
from headrace.learn.retrain import retrain
from headrace.learn.trainer import Entry
from headrace.learn.training_log import TrainingLog
from headrace.messages import Answer, RetrainFinished, Tick
from headrace.observe.decode import Decoder
from headrace.privacy import Privacy


class Kept(NamedTuple):
    """A record, as far as the worker reads it."""

    offset: int
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    key: bytes | None = None


@dataclass
class Topics:
    """Partitions by topic and number; a record without a partition goes to the first."""

    kept: dict[tuple[str, int], list[Kept]] = field(default_factory=dict)

    def send(self, post: Post) -> int:
        records = self.of(post.topic, post.partition or 0)
        records.append(Kept(len(records), post.value, tuple(post.headers), post.key))
        return len(records) - 1

    def of(self, topic: str, partition: int = 0) -> list[Kept]:
        return self.kept.setdefault((topic, partition), [])

    def values(self, topic: str, partition: int = 0) -> list[bytes]:
        return [record.value for record in self.of(topic, partition)]


class World:
    """One worker that owns everything: `partitions_n` shards, as many desks as the settings say."""

    def __init__(
        self, settings: Settings, partitions_n: int = 1, privacy: Privacy | None = None
    ) -> None:
        self.settings, self.kafka = settings, settings.kafka
        self.partitions_n = partitions_n
        self.topics = Topics()
        self.mail = Mail(settings.kafka, privacy=privacy or Privacy(settings.privacy))
        self.decoder = Decoder(settings.input, settings.columns)
        self.log, self.training = new_log(settings), 0
        self.shards = {
            n: OwnedShard(PartitionShard(settings, n, partitions_n, self.log.trainer), 0, -1)
            for n in range(partitions_n)
        }
        self.desks = {
            n: OwnedDesk(PartitionDesk(settings, n), 0)
            for n in range(settings.kafka.desk_partitions)
        }
        self._drifts_n = 0

    # ------------------------------------------------------------------------------- feeding

    def feed(self, events: list[Event], partition: int = 0) -> None:
        """Events through one shard, and all that follows from them at the desks."""
        for event in events:
            self.topics.send(Post(self.kafka.events, encoded(event), partition=partition))
        owned = self.shards[partition]
        records = self.topics.of(self.kafka.events, partition)[owned.shard.position :]
        if owned.shard.is_due:
            self.carry_out(self.mail.of_step(owned, self.training))
        owned.shard.feed(self.decoder, records, records[-1].offset + 1)
        self.carry_out(self.mail.of_step(owned, self.training))
        self.settle()

    def give(self, *entries: Answer | Tick) -> None:
        """Answers, or the time, into the logs of their desks, and all that follows."""
        now = max(owned.shard.shard.now for owned in self.shards.values())
        for entry in entries:
            for n in self.desks if isinstance(entry, Tick) else [None]:
                at = entry.at if isinstance(entry, Tick) else now
                self.topics.send(self.mail.to_desk(entry, at, n))
        self.settle()

    def carry_out(self, parcel: Parcel) -> None:
        if parcel.journal is not None:
            assert self.topics.send(parcel.journal) == parcel.offset
        for post in (*parcel.to_desks, *parcel.to_others):
            self.topics.send(post)
        parcel.arrived()

    def settle(self) -> None:
        """Desks, trainer and shards, until nothing moves any more."""
        is_moving = True
        while is_moving:
            is_moving = False
            for n, desk in self.desks.items():
                records = self.topics.of(self.kafka.desk, n)[desk.desk.position :]
                if records:
                    self.carry_out(self.mail.of_desk(desk, records))
                    is_moving = True
            is_moving |= self.fold()
            is_moving |= self._order_on_drift()
            for owned in self.shards.values():
                if owned.shard.is_due:
                    self.carry_out(self.mail.of_step(owned, self.training))
                    is_moving = True

    def fold(self, orders: bool = True) -> bool:
        """The training log up to its end; `orders`: what the trainer orders joins it."""
        records = self.topics.of(self.kafka.training)[self.training :]
        for record in records:
            fold_into(self.log, record, [owned.shard for owned in self.shards.values()])
            self.training = record.offset + 1
            now = max(owned.shard.shard.now for owned in self.shards.values())
            for entry in self.log.trainer.due(now) if orders else []:
                self.say(entry)
        return bool(records)

    def _order_on_drift(self) -> bool:
        changes = self.topics.values(self.kafka.drift)[self._drifts_n :]
        self._drifts_n += len(changes)
        for value in changes:
            change = wire.drift_of(value)
            if change is not None and change.level == "DRIFT":
                for entry in self.log.trainer.order("drift", change.at):
                    self.say(entry)
        return bool(changes)

    def say(self, entry: Entry) -> None:
        self.topics.send(Post(self.kafka.training, wire.value_of(entry), partition=0))

    def retrain(self, now: float) -> None:
        """Run the retraining that is open, and judge it."""
        job = self.log.trainer.open_job
        assert job is not None
        finished = RetrainFinished(job_id=job.job_id, at=now, challenger=retrain(job))
        verdict = self.log.trainer.judge(finished)
        assert verdict is not None
        self.say(verdict)
        self.settle()

    # ------------------------------------------------------------------------------ recovering

    def replayed(
        self, partition: int, start: tuple[PartitionShard, TrainingLog] | None = None
    ) -> PartitionShard:
        """A shard made anew from the topics, from nothing or from a saved one with its log."""
        log = new_log(self.settings) if start is None else start[1]
        shard = (
            PartitionShard(self.settings, partition, self.partitions_n, log.trainer)
            if start is None
            else start[0]
        )
        events = self.topics.of(self.kafka.events, partition)
        training = self.topics.of(self.kafka.training)
        for record in self.topics.of(self.kafka.journal, partition)[shard.journal + 1 :]:
            step = wire.step_of(record)
            assert step is not None
            for entry in training[shard.training : step.training]:
                fold_into(log, entry, [shard])
            if step.stop > step.start:
                piece = events[step.start : step.stop]
                shard.feed(self.decoder, piece, step.stop)
            if step.tick is not None:
                shard.tick(step.tick)
            taken = shard.take(step.training, step.done)
            shard.journal = record.offset
            assert taken.step.asked == step.asked
        # Whoever takes over folds what came since, before the next event.
        for entry in training[shard.training : self.training]:
            fold_into(log, entry, [shard])
        return shard


def fold_into(log: TrainingLog, record: Kept, shards: list[PartitionShard]) -> None:
    entry, origin = wire.entry_of(record) or (None, None)
    assert entry is not None
    if log.fold(entry, origin):
        for shard in shards:
            shard.ended(entry)


def encoded(event: Event) -> bytes:
    """An event as a log of inferences has it."""
    return msgspec.json.encode(
        {name: getattr(event, name) for name in event.__struct_fields__ if name != "type"}
    )


def requests_in(topics: Topics, settings: Settings) -> list[LabelRequested]:
    return [
        msgspec.json.decode(value, type=LabelRequested)
        for value in topics.values(settings.kafka.requests)
        if b'"LabelRequested"' in value
    ]
