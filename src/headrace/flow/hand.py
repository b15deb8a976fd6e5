"""What a worker has in hand: its shards, desks and places, and the effects that it gives.

The flow and its routines (`takeover`, `saving`, `deadlines`) share it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..observe.decode import Decoder
from ..privacy import Privacy
from ..query.record import Differences
from ..settings import Settings
from . import wire
from .effects import Bounds, Effect, Note, Part, Pause, Seek, Told, Woke
from .mail import Mail, OwnedDesk, OwnedShard
from .outbox import Outbox
from .parcels import Parcel, Post
from .places import Places
from .quiet import Quiet
from .routines import Routines
from .sealed import Seals
from .topic_ids import TopicIds
from .training import Training


@dataclass(slots=True)
class Route:
    """A partition of answers or drift: the next record to read, and up to where all has arrived."""

    position: int
    arrived: int


class Hand:
    """See the module. `held` are the parts that are assigned; `holds_n` above 0 keeps all else
    waiting. What goes on is told by `give`, `note` and `warn`, and carried out by the driver.
    """

    def __init__(
        self,
        settings: Settings,
        decoder: Decoder,
        *,
        writer: str,
        partitions_n: Mapping[str, int],
        lost_n: dict[str, int],
        recomputed: Differences,
        woke: Woke,
        privacy: Privacy,
        seals: Seals | None,
        rules: Mapping[str, str],
    ) -> None:
        self.settings = settings
        self.decoder = decoder
        self.partitions_n = partitions_n["events"]
        self.request_partitions_n = partitions_n["requests"]
        self.lost_n, self.recomputed = lost_n, recomputed
        self.wall, self.elapsed = woke.now, woke.elapsed
        self.now = -math.inf
        self.turn = 0
        self.rebalances_n = 0
        self.rules, self.differing = rules, list[str]()
        self.shards: dict[int, OwnedShard] = {}
        self.desks: dict[int, OwnedDesk] = {}
        self.routes: dict[Part, Route] = {}
        self.held: set[Part] = set()
        self.is_caught_up = False
        self.rebalanced_at: float | None = None
        self.saved_at: float | None = None
        self.save_failed_n = 0
        self.saved_bytes_n: int | None = None
        self.training: Training
        self.mail = Mail(
            settings.kafka,
            writer=writer,
            privacy=privacy,
            seals=seals,
            told=lambda out: self.give(Told(out)),
            shards_n=self.partitions_n,
        )
        self.outbox = Outbox(settings.worker.batches_in_flight_max, self.read_up_to, self.fenced)
        self.quiet = Quiet(settings.worker.quiet_tick_s, woke.elapsed)
        self.places = Places(settings.kafka, self.warn, lost_n)
        self.topic_ids = TopicIds(settings.kafka)
        self.mail.topic_ids = self.topic_ids
        self._effects: list[Effect] = []
        self.routines = Routines(self.give)
        self.is_open = False
        self.holds_n = 0
        self.is_saving = self.is_committing = False
        self.committed: dict[Part, int] = {}
        self.heard_at = woke.elapsed
        self.fenced_at: float | None = None

    def give(self, *effects: Effect) -> None:
        """These are to be carried out next."""
        self._effects += effects

    def note(self, sentence: str) -> None:
        """Tell what goes on."""
        self.give(Note(sentence))

    def warn(self, sentence: str) -> None:
        """Tell what an operator should look at."""
        self.give(Note(sentence, is_warning=True))

    def given(self) -> list[Effect]:
        """What was given since this was called last."""
        effects, self._effects = self._effects, []
        return effects

    def clock(self, deadline: float | None) -> float:
        """The clock of the events, or in a quiet hour that of the day."""
        return self.quiet.now(deadline, self.now, self.wall)

    @property
    def training_place(self) -> int:
        """Up to where the training log was read and folded; 0 until it is begun."""
        return self.training.position if self.is_open else 0

    def place_of(self, part: Part) -> int | None:
        """Where we stand in a part; None while it is not ours."""
        kafka = self.settings.kafka
        if part.topic == kafka.events:
            owned = self.shards.get(part.partition)
            return None if owned is None else owned.shard.position
        if part.topic == kafka.desk:
            desk = self.desks.get(part.partition)
            return None if desk is None else desk.desk.position
        route = self.routes.get(part)
        return None if route is None else route.position

    def read_up_to(self, part: Part) -> int | None:
        """Up to where a log of ours was read that is written to as well."""
        kafka = self.settings.kafka
        if part == Part(kafka.training, 0):
            return self.training_place
        return self.place_of(part) if part.topic == kafka.desk else None

    def place_of_group(self, part: Part, found: Bounds) -> int:
        """Where to go on with answers or drift: where the group stands in them, if anywhere."""
        if self.topic_ids.is_other(part, found):
            self.warn(f"{part.topic} was made anew; it is read from its beginning")
            return found.first
        return self.places.of_group(part, found)

    def go_to(self, part: Part, position: int) -> None:
        """Go on from here with answers or drift; what was read before is not taken any more."""
        self.routes[part] = Route(position, position)
        self.committed.pop(part, None)
        self.turn += 1
        self.give(Seek(part, position))

    def fenced(self, partition: int) -> None:
        """Another worker wrote to the journal of a shard of ours: let go of it, and of it alone.

        Who has it the group says when it shares out next; it does so once it misses one of us.
        """
        part = Part(self.settings.kafka.events, partition)
        if self.shards.pop(partition, None) is not None and part in self.held:
            self.give(Pause(part))
        self.fenced_at = self.elapsed if self.fenced_at is None else self.fenced_at
        self.warn(
            f"partition {partition} is let go of: another worker wrote to its journal. What was "
            "not sent of it that worker sends"
        )

    def shards_now(self) -> list[OwnedShard]:
        """The shards that may write: none while the group shares out. Others may join meanwhile."""
        events = self.settings.kafka.events
        return [owned for n, owned in self.shards.items() if Part(events, n) in self.held]

    def hand_over(self) -> None:
        """What labels led to, and what the decider has to say."""
        for owned in self.shards_now():
            if owned.shard.is_due:
                self.outbox.put(self.mail.of_step(owned, self.training.position))
        # What follows in the log may have decided already.
        if self.is_caught_up and math.isfinite(self.now):
            topic, due = self.settings.kafka.training, self.training.trainer.next_deadline()
            for entry in self.training.decisions(self.clock(due)):
                post = Post(topic, wire.value_of(entry), partition=0)
                self.outbox.put(Parcel(lambda: None, to_others=[post]))
