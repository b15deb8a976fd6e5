"""What a worker holds: its model, shards and desks, its places, and its pending work.

The flow and its routines (`takeover`, `saving`, `deadlines`) share it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..observe.answers import AnswersDecoder
from ..observe.decode import Decoder
from ..privacy import Privacy
from ..query.record import Differences
from ..settings import Settings
from . import wire
from .agenda import Agenda
from .alike import SharedRules
from .clocks import Clocks
from .commits import FREEZE_S_MAX, Commits, Snapshots
from .effects import Emitted, Part, Pause, Seek, Woke
from .membership import Membership
from .outbox import Outbox
from .output_router import OutputRouter
from .owned import Owned, Route
from .places import Places
from .produce import ProduceBatch, ProducerRecord
from .sealed import Seals
from .training import Training


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowSetup:
    """What a flow begins with.

    - `writer`: an id that tells its steps from those of any other
    - `partitions_n`: how many partitions each topic has, by the name of its setting
    - `lost_n`: counts, by log, records that were deleted unread
    - `recomputed`: counts decisions that differ from the journal when they are made again
    - `woke`: when it begins; `timer` returns seconds from any moment, to measure durations
    - `privacy`: what requests show, from the settings if None; `seals` seal them
    - `rules`: what decisions follow from, by name (`learn.rules`)
    - `freeze_s_max`: for how long parts are frozen before the flow goes on; seconds
    """

    settings: Settings
    decoder: Decoder
    answers_decoder: AnswersDecoder
    writer: str
    partitions_n: Mapping[str, int]
    lost_n: dict[str, int]
    recomputed: Differences
    woke: Woke
    timer: Callable[[], float]
    privacy: Privacy | None = None
    seals: Seals | None = None
    rules: Mapping[str, str] = field(default_factory=dict)
    freeze_s_max: float = FREEZE_S_MAX


class WorkerState:
    """The state that a flow and its routines share.

    What the worker wants reported and done goes through `agenda`; the driver carries it out.
    """

    def __init__(self, setup: FlowSetup) -> None:
        self.settings = settings = setup.settings
        self.decoder = setup.decoder
        self.partitions_n = setup.partitions_n
        self.recomputed = setup.recomputed
        elapsed = setup.woke.elapsed
        self.agenda = Agenda()
        self.clocks = Clocks(settings.worker.quiet_tick_s, setup.woke, setup.timer)
        self.group = Membership(elapsed)
        self.owned = Owned(settings.kafka)
        self.commits = Commits(elapsed)
        self.snapshots = Snapshots(elapsed, setup.freeze_s_max)
        self.rules = SharedRules(setup.rules)
        self.places = Places(settings.kafka, self.agenda.warn, setup.lost_n)
        self.router = OutputRouter(
            settings.kafka,
            writer=setup.writer,
            privacy=setup.privacy or Privacy(settings.privacy),
            seals=setup.seals,
            on_outputs=lambda out: self.agenda.add_effects(Emitted(out)),
            topic_ids=self.places.topic_ids,
            shards_n=setup.partitions_n["events"],
        )
        self.outbox = Outbox(settings.worker.batches_in_flight_max, self.read_up_to, self.let_go)
        self._training: Training | None = None

    # ---------------------------------------------------------------------------- the training log

    def open_training(self, training: Training) -> None:
        """Set the training log, with the model and its place loaded."""
        self._training = training

    @property
    def is_open(self) -> bool:
        """Whether the training log is open."""
        return self._training is not None

    @property
    def training(self) -> Training:
        """The training log, once it is open."""
        assert self._training is not None
        return self._training

    @property
    def is_caught_up(self) -> bool:
        """Whether the training log was folded up to where it ended when it was opened."""
        return self._training is not None and self._training.is_caught_up

    # ------------------------------------------------------------------------------------- places

    @property
    def training_place(self) -> int:
        """The offset up to which the training log was folded; 0 until it is open."""
        return self.training.position if self.is_open else 0

    def read_up_to(self, part: Part) -> int | None:
        """Return up to where a log that we also write to was read; None for any other log."""
        kafka = self.settings.kafka
        if part == Part(kafka.training, 0):
            return self.training_place
        return self.owned.place_of(part) if part.topic == kafka.desk else None

    def go_to(self, part: Part, position: int) -> None:
        """Go on from here with answers or drift; records read before are no longer accepted."""
        self.owned.routes[part] = Route(position, position)
        self.commits.forget_part(part)
        self.go_back(part, position)

    def go_back(self, part: Part, place: int) -> None:
        """Read a part from here again: the consumer has passed over records."""
        self.group.end_turn()
        self.agenda.add_effects(Seek(part, place))

    def let_go(self, partition: int) -> None:
        """Drop a shard of ours, and it alone, after another worker wrote to its journal.

        The group says who has it when it next reassigns, which it does once it misses one of us.
        """
        part = self.owned.drop_shard(partition)
        if part is not None:
            self.agenda.add_effects(Pause(part))
        self.group.note_fenced(self.clocks.elapsed)
        self.agenda.warn(
            f"partition {partition} is let go of: another worker wrote to its journal. What was "
            "not sent of it that worker sends"
        )

    # ---------------------------------------------------------------------------------- deciding

    def hand_over(self) -> None:
        """Hand over what labels led to, and what the decider has to write."""
        for owned in self.owned.writing_shards():
            if owned.shard.is_due:
                self.outbox.put(self.router.pack_step(owned, self.training.position))
        # Before that, entries further on in the log may have decided already.
        if self.is_caught_up and self.clocks.has_events:
            due = self.training.trainer.next_deadline()
            for entry in self.training.take_decisions(self.clocks.read_for(due)):
                self.write_entry(wire.value_of(entry))

    def write_entry(self, value: bytes) -> None:
        """Write an entry of the training log."""
        record = ProducerRecord(self.settings.kafka.training, value, partition=0)
        self.outbox.put(ProduceBatch(lambda: None, to_others=[record]))
