"""A worker without its clients: what it is told, and what it wants done.

`Flow.take` is told what happened (`effects`) and gives back what is to be carried out. So order of
writing, ownership of partitions, recovery, commits and idleness are decided here, by the same code
over brokers and over lists in a test, and whoever carries them out decides nothing. Things that
take several steps are routines: they ask for something and go on when it is done.

An error is not mended: the next flow begins from snapshots and logs, as after a kill.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import BadInput
from ..learn.caps import CapClaimed
from ..learn.retrain import RetrainJob
from ..learn.rules import RulesInUse
from ..learn.training_log import Folded
from ..messages import InputRejected
from ..observe.answers import AnswersDecoder
from ..observe.decode import Decoder
from ..privacy import Privacy
from ..query.orders import Order
from ..query.record import Differences
from ..report.building import check_model_starts
from ..settings import Settings
from . import wire
from .alike import compare_rules, say_rules
from .deadlines import say_due, watch
from .effects import (
    Assigned,
    Done,
    Effect,
    Ended,
    Fed,
    Follow,
    Heard,
    Input,
    Load,
    Look,
    Part,
    Pause,
    Polled,
    Released,
    Resume,
    Retrain,
    Revoked,
    Routine,
    Seek,
    Stopped,
    Woke,
)
from .hand import Hand, Route
from .mail import OwnedShard
from .parcels import FencedError, Parcel
from .places import check_place
from .saving import commit, save
from .sealed import Seals
from .takeover import take_over
from .training import Training

COMMIT_S = 1.0
FENCED_S_MAX = 15.0
"""So long a partition that was fenced waits for the group to share out anew: longer than a session,
after which the brokers do so if they miss one of us."""

SILENT_S_MAX = 20.0
"""After so long without an answer from the brokers a worker is not ready."""


class Flow(Hand):
    """See the module. `writer` tells this flow's steps from those of any other; `woke` is when it
    begins. `lost_n` counts, by log, records that were deleted unread, `recomputed` by how much
    decisions of a journal differ when they are made again. `rules` is what decisions follow from,
    by name (`learn.rules`).
    """

    def __init__(
        self,
        settings: Settings,
        decoder: Decoder,
        answers_decoder: AnswersDecoder,
        *,
        writer: str,
        partitions_n: Mapping[str, int],
        lost_n: dict[str, int],
        recomputed: Differences,
        woke: Woke,
        privacy: Privacy | None = None,
        seals: Seals | None = None,
        rules: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            settings,
            decoder,
            writer=writer,
            partitions_n=partitions_n,
            lost_n=lost_n,
            recomputed=recomputed,
            woke=woke,
            privacy=privacy or Privacy(settings.privacy),
            seals=seals,
            rules=rules or {},
        )
        self.answers_decoder = answers_decoder
        self._read: deque[tuple[int, Part, Sequence[Any]]] = deque()
        self._taking_over: Routine[None] | None = None
        self._training_end = 0
        self._is_stopping = self._is_feeding = False
        self._stood: Polled | None = None
        self._committed_at = self._save_at = woke.elapsed
        for routine in (self._open(), self._feed_all(), watch(self)):
            self.routines.start(routine)

    # ------------------------------------------------------------------------ in, and what follows

    def take(self, inputs: Iterable[Input]) -> list[Effect]:
        """What is to be done after these, in order.

        Raises `FencedError`, `GrownError` and `BadInput`: then this flow is over.
        """
        for one in inputs:
            self._take(one)
        if self.is_open:
            self._turn()
        self.routines.wake()
        if self.outbox.is_to_start:
            self.routines.start(self.outbox.carry_out())
        return self.given()

    def _take(self, one: Input) -> None:
        match one:
            case Woke(now=now, elapsed=elapsed):
                self.wall, self.elapsed = now, elapsed
            case Done(number=number, result=result):
                self.routines.answer(number, result)
            case Heard(records=records):
                self.training.read(records)
            case Polled():
                self._polled(one)
            case Assigned():
                self._assigned(one)
            case Revoked():
                self.routines.start(self._revoke())
            case Stopped():
                self.routines.start(self._stop())

    def _turn(self) -> None:
        """What is due by itself: labels first, then what they led to, then what time brings."""
        if not self.holds_n:
            self._check_fence()
            self.training.fold_ready(self._on_entry)
            shards = [owned.shard.shard for owned in self.shards.values()]
            check_model_starts(self.training.trainer, shards)
            self._check_caught_up()
            self.hand_over()
            self.routines.wake()
            say_due(self)
            self._commit_if_due()
        if self.elapsed - self._save_at >= self.settings.worker.snapshot_every_s:
            self._save_at = self.elapsed
            self.routines.start(save(self))

    def _check_fence(self) -> None:
        """Join the group anew if it does not say who has what another worker took."""
        if self.fenced_at is not None and self.elapsed - self.fenced_at >= FENCED_S_MAX:
            raise FencedError("another worker wrote to a journal of ours, and took nothing over")

    def _commit_if_due(self) -> None:
        if self._stood is not None:
            # What is not fed yet, or was let go of in a turn that ended, is not passed over.
            is_fed = not self._read and not self._is_feeding and self._stood.turn == self.turn
            positions = self._stood.positions if is_fed else None
            self._stood, self._committed_at = None, self.elapsed
            self.routines.start(commit(self, positions or {}))

    @property
    def has_room(self) -> bool:
        """Whether the group's consumer should read more."""
        return self.outbox.has_room and not self._read and not self.holds_n

    @property
    def is_behind(self) -> bool:
        """Whether there is work left that nobody has to be asked for."""
        return self.is_open and bool(self.training.waiting_n) and not self.holds_n

    @property
    def is_commit_due(self) -> bool:
        """Whether `Polled` should say where the consumer stands."""
        return self.elapsed - self._committed_at >= COMMIT_S

    def why_not_ready(self, elapsed: float) -> str:
        """Why this flow does not do its work, as a sentence; empty when it does."""
        silent_s = elapsed - self.heard_at
        if silent_s > SILENT_S_MAX:
            return f"the brokers have not answered for {silent_s:.0f} s"
        if not self.is_caught_up:
            return f"the training log is folded up to {self.training_place} of {self._training_end}"
        waiting_n = sum(self.place_of(part) is None for part in self.held)
        if waiting_n:
            return f"{waiting_n} partitions are being taken over"
        return "" if self.rebalances_n else "no partition was assigned yet"

    # ---------------------------------------------------------------------------- the training log

    def _open(self) -> Routine[None]:
        """The model as it was saved last, and the place in its log from where it goes on."""
        log, position = yield Load("training")
        part = Part(self.settings.kafka.training, 0)
        found = yield Look((part,))
        self.topic_ids.check(found)
        first, end = found[part].first, found[part].end
        if not found[part].topic_id:
            self.note(
                "the brokers tell no ids of topics: one made anew with as many records as "
                "the old one had is taken for it"
            )
        check_place(part, position, end)
        if first > position:
            raise BadInput(
                f"{part.topic} begins at {first}, and the newest snapshot stands at {position}: "
                "it must be kept for ever (retention.ms=-1)"
            )
        self._training_end = end
        self.training = Training(log, position, self._run)
        self.is_open = True
        self.give(Follow(part, position))

    def _run(self, job: RetrainJob) -> None:
        self.routines.start(self._retrain(job))

    def _retrain(self, job: RetrainJob) -> Routine[None]:
        challenger, error = yield Retrain(job)
        self.training.retrained(job.job_id, challenger, error)

    def _on_entry(self, entry: Folded) -> None:
        """This entry was just folded: the shards hear of it before anything else."""
        if isinstance(entry, RulesInUse):
            compare_rules(self)
            return
        if not isinstance(entry, CapClaimed):
            self.now = max(self.now, entry.at)
        if not isinstance(entry, CapClaimed | Order | InputRejected):
            self.mail.told([entry])
        for owned in self.shards.values():
            owned.shard.hear(entry, self.training.log)

    def _check_caught_up(self) -> None:
        """From the end of the log on, drift may lead to orders: they depend on what it says."""
        if not self.is_caught_up and self.training.position >= self._training_end:
            self.is_caught_up = True
            say_rules(self)
            drift = self.settings.kafka.drift
            self.give(*(Resume(part) for part in sorted(self.held) if part.topic == drift))

    # ------------------------------------------------------------------------ recover: what is ours

    def _assigned(self, one: Assigned) -> None:
        """What was ours before goes on; the rest is made anew."""
        kafka = self.settings.kafka
        self.turn, self.rebalanced_at = self.turn + 1, self.wall
        self.rebalances_n += 1
        self.routines.stop(self._taking_over)
        if self._is_stopping:  # The consumer leaves the group last, and hears it share out anew.
            return
        events = {part.partition for part in one.parts if part.topic == kafka.events}
        desks = {part.partition for part in one.parts if part.topic == kafka.desk}
        leaving = sorted(self.shards.keys() - events)
        # Where another worker wrote meanwhile, its steps are the newer ones.
        self.shards = {
            number: owned
            for number, owned in self.shards.items()
            if number in events and one.journals[number] == owned.end
        }
        self.desks = {number: owned for number, owned in self.desks.items() if number in desks}
        self.training.is_decider = Part(kafka.drift, 0) in one.parts
        self.routes, self.committed, self.fenced_at = {}, {}, None
        for part in one.parts:
            if part.topic == kafka.drift and not self.is_caught_up:
                self.give(Pause(part))
            if part in one.routes:
                position = self.place_of_group(part, one.routes[part])
                self.routes[part] = Route(position, position)
            place = self.place_of(part)
            self.give(Pause(part) if place is None else Seek(part, place))
        self.held = set(one.parts)
        self._taking_over = self.routines.start(take_over(self, events, desks))
        if leaving:
            self.note(f"partitions {leaving} of the events went to other workers")

    def _revoke(self) -> Routine[None]:
        """The group is about to share out anew: finish what is under way, and let go."""
        self.routines.stop(self._taking_over)
        self.holds_n += 1
        while not self.outbox.is_empty:
            yield None
        yield from commit(self, {})
        self.held, self.turn = set(), self.turn + 1
        if self.is_open:
            self.training.is_decider = False
        self.holds_n -= 1
        self.give(Released())

    def _stop(self) -> Routine[None]:
        """Carry out what is decided, commit, and save."""
        self._is_stopping = True
        self.routines.stop(self._taking_over)
        self.holds_n += 1
        while not self.outbox.is_empty or self.is_saving:
            yield None
        yield from commit(self, {})
        if self.is_open:
            yield from save(self)
        self.give(Ended())

    # ----------------------------------------------------------------------- process: what is read

    def _polled(self, one: Polled) -> None:
        self._read += [(one.turn, part, records) for part, records in one.records.items()]
        if one.positions is not None:
            self._stood = one

    def _feed_all(self) -> Routine[None]:
        """Feed what was read, in the order in which it was, for ever."""
        while True:
            while not self._read or self.holds_n:
                yield None
            turn, part, records = self._read.popleft()
            place = self.place_of(part)
            if part not in self.held or place is None:
                continue
            if turn != self.turn:
                # Read from where the group stood, which another worker may have moved on.
                self._go_back(part, place)
                continue
            records = [record for record in records if record.offset >= place]
            if records and records[0].offset > place:
                # Deleted, or what nobody gets: marks of transactions, and what they took back.
                self._is_feeding = True
                first = (yield Look((part,)))[part].first
                while self.holds_n:
                    yield None
                self._is_feeding = False
                if turn != self.turn:
                    # Answers made anew end a turn too, and nobody else goes back for these.
                    if (place := self.place_of(part)) is not None and part in self.held:
                        self._go_back(part, place)
                    continue
                if self.place_of(part) is None:  # Another worker took it while we looked.
                    continue
                if first > place:
                    self.places.lose(part, place, first, "what follows goes on without them")
            if records:
                self._feed(part, records)

    def _go_back(self, part: Part, place: int) -> None:
        """Read from here again: where the consumer stood until then has passed over records."""
        self.turn += 1
        self.give(Seek(part, place))

    def _feed(self, part: Part, records: Sequence[Any]) -> None:
        """A piece of one part, fed and handed over."""
        kafka = self.settings.kafka
        if part.topic == kafka.events:
            self._feed_events(self.shards[part.partition], records)
        elif part.topic == kafka.desk:
            desk = self.desks[part.partition]
            self.outbox.put(self.mail.of_desk(desk, records))
            self.now = max(self.now, desk.desk.now)
        else:
            self._route(part, self.routes[part], records)

    def _feed_events(self, owned: OwnedShard, records: Sequence[Any]) -> None:
        # Labels that led to something come first: the step says entries, then events.
        if owned.shard.is_due:
            self.outbox.put(self.mail.of_step(owned, self.training.position))
        events_n = owned.shard.shard.events_n
        owned.shard.feed(self.decoder, records, records[-1].offset + 1)
        self.quiet.fed(self.elapsed)
        self.give(Fed(owned.shard.shard.events_n - events_n, owned.shard.shard.now))
        owned.read_at = records[-1].timestamp / 1_000
        if told := owned.off_clock_told():
            self.warn(told)
        self.now = max(self.now, owned.shard.shard.admission.clock.sure)
        self.outbox.put(self.mail.of_step(owned, self.training.position))
        for told in self.mail.hidden_told():
            self.warn(told)

    def _route(self, part: Part, route: Route, records: Sequence[Any]) -> None:
        """Answers from anywhere into the logs of their desks; drift to who orders retraining."""
        parcel, stop = Parcel(lambda: None), records[-1].offset + 1
        if part.topic == self.settings.kafka.answers:
            for record in records:
                parcel.to_desks += self.mail.of_answer(self.answers_decoder, part, record, self.now)
        else:
            for record in records:
                change = wire.drift_of(record.value or b"")
                if change is not None:
                    self.now = max(self.now, change.at)
                    self.training.drifted(change)
            self.hand_over()
        route.position = stop

        def arrived() -> None:
            route.arrived = stop

        parcel.arrived = arrived
        self.outbox.put(parcel)
