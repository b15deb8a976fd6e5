"""A worker without its clients: it takes inputs and returns effects.

`Flow.take_inputs` takes what happened (`effects`) and returns what is to be carried out. So order
of writing, ownership of partitions, recovery, commits and idleness are decided here, by the same
code over brokers and over lists in a test, and the driver that carries them out decides nothing.
Work in several steps is done by routines: each yields a request and goes on when that is carried
out.

An error is not repaired: the next flow begins from snapshots and logs, as after a kill.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import BadInput
from ..learn.caps import CapClaimed
from ..learn.retrain import RetrainJob
from ..learn.rules import RulesInUse
from ..learn.training_log import Folded
from ..messages import InputRejected
from ..query.orders import Order
from ..report.building import check_model_starts
from . import wire
from .deadlines import say_due, watch_brokers
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
from .owned import OwnedShard, Route
from .places import check_place
from .produce import FencedError, ProduceBatch
from .saving import commit_positions, save_state
from .takeover import take_over
from .training import Training
from .worker_state import FlowSetup, WorkerState


class Flow(WorkerState):
    """One worker's part of the stream: `take_inputs` turns inputs into effects."""

    def __init__(self, setup: FlowSetup) -> None:
        super().__init__(setup)
        self.answers_decoder = setup.answers_decoder
        self._read: deque[tuple[int, Part, Sequence[Any]]] = deque()
        self._taking_over: Routine[None] | None = None
        self._is_stopping = self._is_feeding = False
        for routine in (self._begin_training(), self._feed_all(), watch_brokers(self)):
            self.agenda.start(routine)

    # ------------------------------------------------------------------------ in, and what follows

    def take_inputs(self, inputs: Iterable[Input]) -> list[Effect]:
        """Take these inputs and return what is to be done next, in order.

        Raises `FencedError`, `GrownError` and `BadInput`: then this flow is over.
        """
        for one in inputs:
            self._take_input(one)
        if self.is_open:
            self._do_due()
        self.agenda.wake()
        if self.outbox.is_to_start:
            self.agenda.start(self.outbox.carry_out())
        return self.agenda.take_effects()

    def _take_input(self, one: Input) -> None:
        match one:
            case Woke(now=now, elapsed=elapsed):
                self.clocks.set_times(now, elapsed)
            case Done(number=number, result=result):
                self.agenda.answer(number, result)
            case Heard(records=records):
                self.training.decode_records(records)
            case Polled():
                self._keep_read(one)
            case Assigned():
                self._take_assignment(one)
            case Revoked():
                self.agenda.start(self._release_parts())
            case Stopped():
                self.agenda.start(self._end_flow())

    def _do_due(self) -> None:
        """Do what needs no input: fold labels, write what they led to, then do what time brings."""
        if not self.agenda.is_held:
            self._check_fence()
            self.training.fold_ready(self._on_entry)
            shards = [owned.shard.shard for owned in self.owned.shards.values()]
            check_model_starts(self.training.trainer, shards)
            self._check_caught_up()
            self.hand_over()
            self.agenda.wake()
            say_due(self)
            self._commit_if_due()
        every_s = self.settings.worker.snapshot_every_s
        if self.snapshots.begin_if_due(self.clocks.elapsed, every_s):
            self.agenda.start(save_state(self))

    def _check_fence(self) -> None:
        """Raise `FencedError` if the group has not reassigned what another worker took long ago."""
        if self.group.is_fenced_long(self.clocks.elapsed):
            raise FencedError("another worker wrote to a journal of ours, and took nothing over")

    def _commit_if_due(self) -> None:
        polled = self.commits.take_polled(self.clocks.elapsed)
        if polled is not None:
            # Records that are not fed yet, or were dropped with their turn, must not be skipped.
            is_fed = not self._read and not self._is_feeding and polled.turn == self.group.turn
            positions = polled.positions if is_fed else None
            self.agenda.start(commit_positions(self, positions or {}))

    @property
    def has_room(self) -> bool:
        """Whether the group's consumer should read more."""
        return self.outbox.has_room and not self._read and not self.agenda.is_held

    @property
    def is_behind(self) -> bool:
        """Whether there is work left that needs no further input."""
        return self.is_open and bool(self.training.waiting_n) and not self.agenda.is_held

    @property
    def is_commit_due(self) -> bool:
        """Whether the next `Polled` should have the consumer's positions."""
        return self.commits.is_due(self.clocks.elapsed)

    def why_not_ready(self, elapsed: float) -> str:
        """Why this flow does not do its work, as a sentence; empty when it does."""
        if silence := self.group.describe_silence(elapsed):
            return silence
        if not self.is_caught_up:
            end = self.training.end if self.is_open else 0
            return f"the training log is folded up to {self.training_place} of {end}"
        if waiting_n := self.owned.waiting_n:
            return f"{waiting_n} partitions are being taken over"
        return "" if self.group.rebalances_n else "no partition was assigned yet"

    # ---------------------------------------------------------------------------- the training log

    def _begin_training(self) -> Routine[None]:
        """Load the model as it was saved last, and follow the training log from there."""
        log, position = yield Load("training")
        part = Part(self.settings.kafka.training, 0)
        bounds = yield Look((part,))
        self.places.topic_ids.check_ids(bounds)
        first, end = bounds[part].first, bounds[part].end
        if not bounds[part].topic_id:
            self.agenda.note(
                "the brokers tell no ids of topics: one made anew with as many records as "
                "the old one had is taken for it"
            )
        check_place(part, position, end)
        if first > position:
            raise BadInput(
                f"{part.topic} begins at {first}, and the newest snapshot stands at {position}: "
                "it must be kept for ever (retention.ms=-1)"
            )
        run, timer = self._start_retraining, self.clocks.timer
        self.open_training(Training(log, position, end, run=run, timer=timer))
        self.agenda.add_effects(Follow(part, position))

    def _start_retraining(self, job: RetrainJob) -> None:
        self.agenda.start(self._await_retraining(job))

    def _await_retraining(self, job: RetrainJob) -> Routine[None]:
        challenger, error = yield Retrain(job)
        self.training.end_retraining(job.job_id, challenger, error)

    def _on_entry(self, entry: Folded) -> None:
        """Pass an entry that was just folded to the shards, before anything else happens."""
        if isinstance(entry, RulesInUse):
            # Rules logged before this worker started are of no concern.
            if self.is_caught_up and (warning := self.rules.compare_rules(self.training.log.rules)):
                self.agenda.warn(warning)
            return
        if not isinstance(entry, CapClaimed):
            self.clocks.advance_events(entry.at)
        if not isinstance(entry, CapClaimed | Order | InputRejected):
            self.router.on_outputs([entry])
        for owned in self.owned.shards.values():
            owned.shard.hear_entry(entry, self.training.log)

    def _check_caught_up(self) -> None:
        """At the end of the log, log our rules and read drift: it leads to orders from here on."""
        if self.training.catch_up():
            theirs, drift = self.training.log.rules, self.settings.kafka.drift
            if sentence := self.rules.describe_last(theirs):
                self.agenda.note(sentence)
            if rules := self.rules.rules_to_say(theirs):
                self.write_entry(wire.value_of(rules))
            parts = sorted(self.owned.parts)
            self.agenda.add_effects(*(Resume(part) for part in parts if part.topic == drift))

    # ------------------------------------------------------------------------ recover: what is ours

    def _take_assignment(self, one: Assigned) -> None:
        """Go on with the partitions that were ours before; start making the others ready."""
        kafka = self.settings.kafka
        self.group.note_rebalance(self.clocks.wall)
        self.agenda.stop(self._taking_over)
        if self._is_stopping:  # The consumer leaves the group last, and still sees a rebalance.
            return
        events = {part.partition for part in one.parts if part.topic == kafka.events}
        desks = {part.partition for part in one.parts if part.topic == kafka.desk}
        leaving = self.owned.keep_assigned(events, desks, one.journals)
        self.training.is_decider = Part(kafka.drift, 0) in one.parts
        self.commits.forget_all()
        self.group.forget_fence()
        for part in one.parts:
            if part.topic == kafka.drift and not self.is_caught_up:
                self.agenda.add_effects(Pause(part))
            if part in one.routes:
                bounds = one.routes[part]
                is_other = self.places.is_made_anew(part, bounds)
                position = bounds.first if is_other else self.places.of_group(part, bounds)
                self.owned.routes[part] = Route(position, position)
            place = self.owned.place_of(part)
            self.agenda.add_effects(Pause(part) if place is None else Seek(part, place))
        self.owned.parts = set(one.parts)
        self._taking_over = self.agenda.start(take_over(self, events, desks))
        if leaving:
            self.agenda.note(f"partitions {leaving} of the events went to other workers")

    def _release_parts(self) -> Routine[None]:
        """Finish what is under way and give up all partitions, before the group reassigns them."""
        self.agenda.stop(self._taking_over)
        self.agenda.hold()
        # A part that is written later would stand before what its next owner has saved.
        self.snapshots.is_paused = True
        while not self.outbox.is_empty or self.snapshots.is_writing:
            yield None
        self.snapshots.is_paused = False
        yield from commit_positions(self, {})
        self.owned.parts = set()
        self.group.end_turn()
        if self.is_open:
            self.training.is_decider = False
        self.agenda.release()
        self.agenda.add_effects(Released())

    def _end_flow(self) -> Routine[None]:
        """Carry out what is decided, commit, and save."""
        self._is_stopping = True
        self.agenda.stop(self._taking_over)
        self.agenda.hold()
        while not self.outbox.is_empty or self.snapshots.is_under_way:
            yield None
        yield from commit_positions(self, {})
        if self.is_open:
            yield from save_state(self)
        self.agenda.add_effects(Ended())

    # ----------------------------------------------------------------------- process: what is read

    def _keep_read(self, one: Polled) -> None:
        self._read += [(one.turn, part, records) for part, records in one.records.items()]
        if one.positions is not None:
            self.commits.keep_polled(one)

    def _feed_all(self) -> Routine[None]:
        """Feed what was read, in the order in which it was read, for ever."""
        while True:
            while not self._read or self.agenda.is_held:
                yield None
            turn, part, records = self._read.popleft()
            place = self.owned.place_of(part)
            if part not in self.owned.parts or place is None:
                continue
            if turn != self.group.turn:
                # Read from where the group stood, which another worker may have moved on.
                self.go_back(part, place)
                continue
            if records and records[0].offset < place:
                records = [record for record in records if record.offset >= place]
            if records and records[0].offset > place:
                # A gap: deleted records, or transaction markers and aborted records, never read.
                self._is_feeding = True
                first = (yield Look((part,)))[part].first
                while self.agenda.is_held:
                    yield None
                self._is_feeding = False
                if turn != self.group.turn:
                    # A topic made anew ends a turn too, and nothing else goes back for these.
                    place = self.owned.place_of(part)
                    if place is not None and part in self.owned.parts:
                        self.go_back(part, place)
                    continue
                if self.owned.place_of(part) is None:  # Another worker took it while we looked.
                    continue
                if first > place:
                    self.places.count_lost(part, place, first, "what follows goes on without them")
            if records:
                self._feed_records(part, records)

    def _feed_records(self, part: Part, records: Sequence[Any]) -> None:
        """Feed some records of one part, and hand over what follows from them."""
        kafka = self.settings.kafka
        if part.topic == kafka.events:
            self._feed_events(self.owned.shards[part.partition], records)
        elif part.topic == kafka.desk:
            desk = self.owned.desks[part.partition]
            self.outbox.put(self.router.fold_desk_records(desk, records))
            self.clocks.advance_events(desk.desk.now)
        else:
            self._route_records(part, self.owned.routes[part], records)

    def _feed_events(self, owned: OwnedShard, records: Sequence[Any]) -> None:
        # What labels led to goes first, as a step of its own: entries, then events.
        if owned.shard.is_due:
            self.outbox.put(self.router.pack_step(owned, self.training.position))
        events_n = owned.shard.shard.events_n
        owned.shard.feed(self.decoder, records, records[-1].offset + 1)
        self.clocks.note_feeding()
        self.agenda.add_effects(Fed(owned.shard.shard.events_n - events_n, owned.shard.shard.now))
        owned.read_at = records[-1].timestamp / 1_000
        if warning := owned.describe_off_clock():
            self.agenda.warn(warning)
        self.clocks.advance_events(owned.shard.shard.admission.clock.sure)
        self.outbox.put(self.router.pack_step(owned, self.training.position))
        for warning in self.router.describe_hidden():
            self.agenda.warn(warning)

    def _route_records(self, part: Part, route: Route, records: Sequence[Any]) -> None:
        """Write answers into the logs of their desks; note drift, which may order retraining."""
        batch, stop = ProduceBatch(lambda: None), records[-1].offset + 1
        if part.topic == self.settings.kafka.answers:
            decoder, now = self.answers_decoder, self.clocks.events
            for record in records:
                batch.to_desks += self.router.route_answer(decoder, part, record, now)
        else:
            for record in records:
                change = wire.drift_of(record.value or b"")
                if change is not None:
                    self.clocks.advance_events(change.at)
                    self.training.note_drift(change)
            self.hand_over()
        route.position = stop

        def note_arrival() -> None:
            route.arrived = stop

        batch.arrived = note_arrival
        self.outbox.put(batch)
