"""A shard made anew: its newest snapshot, then every step of its journal decided again.

The events and the entries of the training log are read once more and interleaved as the journal
says, so the result is what the last owner had. The requests it decided in its last moments are
decided again, the same: those that never reached the annotators are sent now.

The record wins: the requests of a step are made again, with the numbers recorded there, whatever
this machine computes by itself; the differences are counted. Where the events of a step are no
longer in their topic, the shard goes on without them. Both are reported, and neither can make an
event be asked twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import BadInput
from ..learn.training_log import Folded, TrainingLog
from ..messages import ModelAdopted
from ..observe.decode import Decoder
from ..query.record import Differences
from ..settings import Settings
from . import wire
from .effects import Part, Retrain, Routine
from .log_reader import LogReader
from .places import check_place
from .records import Record
from .shards import PartitionShard
from .steps import ChainEnd, DecidedStep, Step


@dataclass(slots=True)
class Recovered:
    """A shard at the end of its journal, with the log it saw, and what may not have been sent.

    `writer` wrote the last step; `journal_end` is the offset that the next one must get. `unsent`
    has the outputs of all steps after `done`, the last step whose outputs are known to have
    arrived, or is None if there are none; `since_ms` is when the first of them was written.
    `events_n` events were read again. `differences` counts decisions unlike those in the journal;
    `topics` are the ids of topics that its last writer went by.
    """

    shard: PartitionShard
    log: TrainingLog
    writer: str
    journal_end: int
    done: int
    unsent: DecidedStep | None
    since_ms: int
    events_n: int
    differences: Differences
    topics: dict[str, str]


class UnusableError(Exception):
    """The snapshot fits no place of the journal: its writer had lost the partition."""


class CutOffError(BadInput):
    """The training log begins after the place from which a shard needs it."""


def fold_record(log: TrainingLog, record: Record) -> Routine[Folded | None]:
    """Fold the next record of the training log; return the entry if it counts.

    Raises `BadInput` if a retraining that was adopted fails here.
    """
    entry, origin = wire.entry_of(record) or (None, None)
    if entry is None:
        return None
    challenger, job = None, log.trainer.retrainings.open_job
    if isinstance(entry, ModelAdopted) and job is not None and log.counts(entry):
        challenger, error = yield Retrain(job)
        if error is not None:
            raise BadInput(f"retraining {job.job_id} was adopted, and fails here: {error}")
    return log.fold(entry, origin, challenger)


def fold_until(log: TrainingLog, logs: LogReader, part: Part, stop: int) -> Routine[None]:
    """Fold a training log up to this offset."""
    while records := (yield from logs.read_piece(part, stop)):
        for record in records:
            yield from fold_record(log, record)


class Recovery:
    """Makes one shard anew; `note` is called with sentences about what was lost or differs."""

    def __init__(self, settings: Settings, decoder: Decoder, note: Callable[[str], None]) -> None:
        self._settings = settings
        self._decoder = decoder
        self._note = note
        self._in_doubt: deque[tuple[int, int, DecidedStep]] = deque()
        self._events_n = 0
        self._topics: dict[str, str] = {}
        self._differences = Differences()

    def recover_shard(
        self, shard: PartitionShard, log: TrainingLog, *, writer: str, until: int | None = None
    ) -> Routine[Recovered]:
        """Take a shard and the log it saw from where they stand to the end of the journal.

        `writer` wrote the shard's last step. With `until` this ends after the step at that offset.
        Raises `UnusableError`, and `CutOffError` if the training log was cut.
        """
        self._writer = writer
        kafka, partition = self._settings.kafka, shard.partition
        self._events = Part(kafka.events, partition)
        self._training = Part(kafka.training, 0)
        self._journal = Part(kafka.journal, partition)
        self._logs = logs = LogReader(
            {
                self._events: shard.position,
                self._training: shard.training,
                self._journal: shard.journal + 1,
            }
        )
        yield from logs.go_to_starts()
        if logs.lost[self._training]:
            raise CutOffError(
                f"{kafka.training} begins {logs.lost[self._training]} entries after the place "
                f"from which partition {partition} needs it: it must be kept for ever "
                "(retention.ms=-1). Put it back, or begin the shards anew, on the saved model, "
                "with headrace reset"
            )
        end = logs.ends[self._journal]
        is_any = logs.lost[self._journal] > 0
        at = ChainEnd(shard.journal, writer)
        while (record := (yield from logs.read_next(self._journal, end))) is not None:
            if until is not None and record.offset > until:
                break
            step = wire.step_of(record)
            if not at.accepts_step(step, record.offset, is_any=is_any):
                # Written by a worker that had lost the partition, and has noticed that since.
                continue
            assert step is not None
            if is_any:
                self._note(
                    f"the journal of partition {shard.partition} begins at {record.offset}: what "
                    "its shard knew before is lost"
                )
                is_any = False
            if step.training < shard.training:
                raise UnusableError(
                    f"it has the training log up to {shard.training}, and the step after it only "
                    f"up to {step.training}"
                )
            check_place(self._training, step.training, logs.ends[self._training])
            shard.follow_step(step)
            yield from self.catch_up(shard, log, step.training)
            shard = yield from self._decide_again(logs, shard, log, step)
            self._settle_step(shard, step, record.offset, record.timestamp)
            shard.go_on_with(step, log.caps)
            self._writer = step.writer
            if step.is_first:
                self._topics = step.topics
        return self._make_recovered(shard, log, end)

    def _make_recovered(self, shard: PartitionShard, log: TrainingLog, end: int) -> Recovered:
        """Return what was made anew, with the outputs of all steps that may not have been sent."""
        doubted = [(at, ms, decided) for at, ms, decided in self._in_doubt if decided.outputs]
        done, since_ms, unsent = shard.journal, 0, None
        if doubted:
            outputs = [output for *_, step in doubted for output in step.outputs]
            letters = {at: record for *_, step in doubted for at, record in step.letters.items()}
            unsent = DecidedStep(doubted[-1][2].step, outputs, letters)
            done, since_ms = doubted[0][0] - 1, doubted[0][1]
        return Recovered(
            shard=shard,
            log=log,
            writer=self._writer,
            journal_end=end,
            done=done,
            unsent=unsent,
            since_ms=since_ms,
            events_n=self._events_n,
            differences=self._differences,
            topics=self._topics,
        )

    def catch_up(self, shard: PartitionShard, log: TrainingLog, training: int) -> Routine[None]:
        """Fold the training log up to this offset, and pass its entries to the shard."""
        while records := (yield from self._logs.read_piece(self._training, training)):
            for record in records:
                entry = yield from fold_record(log, record)
                if entry is not None:
                    shard.hear_entry(entry, log)
        shard.training = max(shard.training, training)

    def _decide_again(
        self, logs: LogReader, shard: PartitionShard, log: TrainingLog, step: Step
    ) -> Routine[PartitionShard]:
        """Decide one step again; return the shard, another one where it was reset."""
        if step.is_reset or step.rules != shard.rules:
            fresh = PartitionShard(self._settings, shard.partition, shard.partitions_n, log.trainer)
            logs.go_to_offset(self._events, step.stop)
            fresh.seek(step.stop)
            # A step from before a cap, or of an earlier version, has no totals: then this counts.
            fresh.keep_spent(shard.claim_n, step.count_spent(self._settings, shard.spent), log.caps)
            return fresh
        if shard.position < step.start:
            logs.go_to_offset(self._events, step.start)
            shard.seek(step.start)
        check_place(self._events, step.stop, logs.ends[self._events])
        read_n = 0
        while records := (yield from logs.read_piece(self._events, step.stop)):
            read_n += len(records)
            shard.feed(self._decoder, records, step.stop)
        self._events_n += read_n
        if read_n == 0 and step.stop > step.start:
            self._note(
                f"events {step.start} to {step.stop} of partition {shard.partition} are gone: its "
                "window and budget go on without them"
            )
            shard.seek(step.stop)
            if not step.is_followed:
                shard.shard.asking.budget.charge(len(step.asked))
        if step.tick is not None:
            shard.tick(step.tick)
        return shard

    def _settle_step(self, shard: PartitionShard, step: Step, offset: int, written_ms: int) -> None:
        """Close the step that was decided again; keep its outputs while they may be unsent."""
        self._differences.add(shard.settle_step())
        decided = shard.take_step(step.training, step.done)
        shard.journal = offset
        asked_n, again_n = len(step.asked), len(decided.step.asked)
        if step.is_followed and step.rules == shard.rules:
            if again_n < asked_n:
                self._note(
                    f"partition {shard.partition}, events {step.start} to {step.stop}: "
                    f"{asked_n - again_n} requests can't be made again, their events are gone; "
                    "they are open and paid"
                )
        elif decided.step.asked != step.asked:
            self._note(
                f"partition {shard.partition}, events {step.start} to {step.stop}: decided again, "
                f"{again_n} requests follow, and {asked_n} did then; what was asked then holds"
            )
            decided.outputs = []
        self._in_doubt.append((offset, written_ms, decided))
        while self._in_doubt and self._in_doubt[0][0] <= step.done:
            self._in_doubt.popleft()
