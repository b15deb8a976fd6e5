"""`headrace rebuild`: makes all state again from the logs alone, and compares it with snapshots.

The training log is folded from its first entry, every desk from its log, every shard from its
journal, events and the training log. Where the newest snapshot of a part stands both must be the
same, bit for bit; then the part goes on to the end of the logs. Nothing is sent, no offset is
moved. The command is in `rebuilding`.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ...flow import wire
from ...flow.desks import PartitionDesk
from ...flow.effects import Bounds, Part, Routine
from ...flow.journal_head import JournalHead, read_journal_head
from ...flow.log_reader import LogReader
from ...flow.recovery import Recovery, UnusableError, fold_until
from ...flow.saving import freeze_log
from ...flow.shards import PartitionShard, decoder_of
from ...flow.takeover import make_empty_shard
from ...flow.training import new_log
from ...learn.retrain import Challenger, RetrainJob, attempt_job
from ...learn.training_log import TrainingLog
from ...query.record import Differences
from ...settings import Settings
from ...state.compare import Difference, find_differences
from .reading import Reader, retraining_in
from .states import States

EQUAL, UNSAVED, CUT, DIFFERS = "equal", "no snapshot", "cut", "DIFFERS"
SHOWN_MAX = 3
"""How many differences of one part are shown."""


@dataclass(slots=True)
class RebuildResult:
    """The result for one part: `training`, `desk-0`, `shard-3`.

    `verdict` is `equal`, `no snapshot`, `cut` (it differs, and retention deleted what it follows
    from) or `DIFFERS`; `notes` are sentences that say more. `records_n` were read in `took_s`
    seconds. `is_written`: the state made again is the newest snapshot now.
    """

    name: str
    verdict: str = UNSAVED
    records_n: int = 0
    took_s: float = 0.0
    notes: list[str] = field(default_factory=list)
    is_written: bool = False


class RetrainingCache:
    """Runs each retraining once, as every shard needs the same ones again.

    Retrainings beyond the first `KEPT_MAX` are run each time, so that memory stays bounded.
    """

    KEPT_MAX = 200

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Challenger | None, str | None]] = {}

    def __call__(self, job: RetrainJob) -> tuple[Challenger | None, str | None]:
        if job.job_id not in self._kept and len(self._kept) < self.KEPT_MAX:
            self._kept[job.job_id] = attempt_job(job)
        # A log that adopts a challenger goes on teaching it.
        return (
            copy.deepcopy(self._kept[job.job_id]) if job.job_id in self._kept else attempt_job(job)
        )


class Rebuild:
    """Makes parts again, one after the other, with a consumer that nobody else uses.

    Retrainings run in `threads`; the events have `partitions_n` partitions, and `committed` has the
    group's offsets, by partition. `on_read` is called with how many records were read. With
    `is_writing`, which needs the group to be empty, the state made again is saved where the
    snapshot differs, is missing or is older.
    """

    def __init__(
        self,
        settings: Settings,
        states: States,
        consumer: Any,
        threads: Executor,
        *,
        partitions_n: int,
        committed: Mapping[Any, int],
        on_read: Callable[[int], None],
        is_writing: bool = False,
    ) -> None:
        self._settings, self._kafka = settings, settings.kafka
        self._states = states
        self._reader = Reader(consumer, retraining_in(threads, RetrainingCache()), self._count_read)
        self._on_read = on_read
        self._records_n = 0
        self._partitions_n = partitions_n
        self._committed = committed
        self._is_writing = is_writing
        self._decoder = decoder_of(settings)

    async def rebuild_training(self) -> RebuildResult:
        """Make the training log's state again."""
        part = self._begin_part("training")
        saved, position = self._states.read_training()
        tp = Part(self._kafka.training, 0)
        logs, end = await self._open_log(tp)
        cut = _describe_cut(tp, logs.lost[tp])
        if position > end:
            _mark_beyond(part, f"{tp.topic} ends at {end}, and the snapshot stands at {position}")
        elif cut:
            part.verdict, part.notes = CUT, [cut]
        else:
            log = new_log(self._settings)
            await self._reader.run_routine(fold_until(log, logs, tp, position))
            _judge_part(part, position > 0, find_differences(log, saved))
            await self._reader.run_routine(fold_until(log, logs, tp, end))
            if self._is_to_write(part, end > position):
                self._clear_snapshots(part)
                self._states.write_training(freeze_log(log), end)
                part.is_written = True
        return self._finish_part(part)

    async def rebuild_desk(self, number: int) -> RebuildResult:
        """Make one desk again. Its outputs for entries after the group's offset may not be sent:
        a snapshot must not stand beyond that.
        """
        part = self._begin_part(f"desk-{number}")
        saved = self._states.read_desk(number)
        tp = Part(self._kafka.desk, number)
        logs, end = await self._open_log(tp)
        if saved.position > end:
            end_told = f"{tp.topic}, partition {number}, ends at {end}"
            return self._finish_part(
                _mark_beyond(part, f"{end_told}, and the snapshot stands at {saved.position}")
            )
        desk, blob = PartitionDesk(self._settings, number), b""
        arrived = min(end, self._committed.get(tp, 0))
        for stop in sorted({saved.position, arrived, end}):
            await self._reader.run_routine(_fold_desk(desk, logs, tp, stop))
            if stop == saved.position:
                differing = find_differences(desk.state, saved.state)
                _judge_part(part, stop > 0, differing, _describe_cut(tp, logs.lost[tp]))
            if stop == arrived:
                blob = desk.freeze()
        if self._is_to_write(part, arrived > saved.position):
            self._clear_snapshots(part)
            self._states.write_desk(number, blob, arrived)
            part.is_written = True
        return self._finish_part(part)

    async def rebuild_shard(self, number: int) -> RebuildResult:
        """Make one shard again. A snapshot may only stand where everything before is known sent."""
        part = self._begin_part(f"shard-{number}")
        saved = self._states.read_shard(number, self._partitions_n)
        head = await self._reader.run_routine(read_journal_head(self._settings, number))
        events, training = Part(self._kafka.events, number), Part(self._kafka.training, 0)
        bounds = await self._reader.find_bounds((events, training))
        known = {events: head.stop, training: max(head.training, int(saved[2]["training"]))}
        if fault := _explain_impossible(known, bounds):
            return self._finish_part(_mark_beyond(part, fault))
        cut = self._explain_missing(head, bounds[events].first, bounds[training].first)
        if bounds[training].first:
            part.verdict, part.notes = CUT, [cut]
            return self._finish_part(part)
        try:
            written = await self._walk_journal(part, head, saved, cut)
        except UnusableError as error:
            _mark_beyond(part, f"the snapshot is of a worker that had lost the partition: {error}")
            written = await self._walk_journal(part, head, None, cut)
        if written is not None and self._is_to_write(part, head.done > int(saved[2]["journal"])):
            self._clear_snapshots(part)
            self._states.write_shard(number, *written)
            part.is_written = True
        return self._finish_part(part)

    async def _walk_journal(
        self, part: RebuildResult, head: JournalHead, saved: Saved | None, cut: str
    ) -> tuple[bytes, bytes, dict[str, int | str]] | None:
        """Make the shard from its first step to its last, and judge it at the snapshot.

        Returns what may be saved: the shard, the training log, and where both stand; None without a
        step whose outputs all arrived.
        """
        positions = saved[2] if saved is not None and "rules" in saved[2] else None
        shard, log, _ = make_empty_shard(self._settings, head.partition, self._partitions_n)
        writer, written, at = "", None, int(positions["journal"]) if positions else head.last
        differing = Differences()
        for stop in sorted({at, head.done, head.last}):
            recovery = Recovery(self._settings, self._decoder, part.notes.append)
            again = recovery.recover_shard(shard, log, writer=writer, until=stop)
            recovered = await self._reader.run_routine(again)
            shard, log, writer = recovered.shard, recovered.log, recovered.writer
            differing.add(recovered.differences)
            if stop == head.done and shard.journal >= 0:
                written = (shard.freeze(), freeze_log(log), shard.places_at(shard.training, writer))
            if stop == at and saved is not None and positions is not None:
                await self._reader.run_routine(
                    recovery.catch_up(shard, log, int(positions["training"]))
                )
                _judge_part(part, True, _compare_states(shard, log, saved), cut)
        if positions is None:
            _judge_part(part, False, [], cut)
        if differing.n:
            part.notes.append(f"{differing.told}; what was asked then holds")
        return written

    def _explain_missing(self, head: JournalHead, first_event: int, first_entry: int) -> str:
        """Say what retention deleted of the logs that the shard follows from; empty if nothing."""
        kafka, number = self._kafka, head.partition
        needed = first_event if head.starts_at is None else head.starts_at
        reasons = (
            _describe_cut(Part(kafka.training, 0), first_entry),
            _describe_cut(Part(kafka.journal, number), head.lost_n),
            _describe_cut(Part(kafka.events, number), max(0, first_event - needed)),
        )
        return "; ".join(filter(None, reasons))

    # ----------------------------------------------------------------------------------- parts

    async def _open_log(self, tp: Part) -> tuple[LogReader, int]:
        """Return a tape of a partition from its beginning, and where it ends."""
        logs = LogReader({tp: 0})
        await self._reader.run_routine(logs.go_to_starts())
        return logs, logs.ends[tp]

    def _is_to_write(self, part: RebuildResult, is_further: bool) -> bool:
        """Whether to save a part; a state from a cut log is never better than what was saved."""
        is_wanted = part.verdict == DIFFERS or is_further
        return self._is_writing and is_wanted and part.verdict != CUT

    def _clear_snapshots(self, part: RebuildResult) -> None:
        """Remove snapshots that differ: one may stand further on, and be taken for the newest."""
        if part.verdict == DIFFERS:
            self._states.clear_series(part.name)

    def _count_read(self, records_n: int) -> None:
        self._records_n += records_n
        self._on_read(records_n)

    def _begin_part(self, name: str) -> RebuildResult:
        self._read_n, self._began = self._records_n, time.monotonic()
        return RebuildResult(name)

    def _finish_part(self, part: RebuildResult) -> RebuildResult:
        part.records_n = self._records_n - self._read_n
        part.took_s = time.monotonic() - self._began
        part.notes = list(dict.fromkeys(part.notes))
        return part


Saved: TypeAlias = tuple[PartitionShard, TrainingLog, Mapping[str, int | str]]


def _compare_states(shard: PartitionShard, log: TrainingLog, saved: Saved) -> list[Difference]:
    theirs, their_log, positions = saved
    for name, mine in (("journal", shard.journal), ("events", shard.position)):
        if mine != positions[name]:
            return [Difference(f"position in {name}", str(mine), str(positions[name]))]
    differing = find_differences(
        (shard.shard.schema, shard.shard), (theirs.shard.schema, theirs.shard)
    )
    return differing or find_differences(log, their_log)


def _fold_desk(desk: PartitionDesk, logs: LogReader, tp: Part, stop: int) -> Routine[None]:
    while records := (yield from logs.read_piece(tp, stop)):
        for record in records:
            entry = wire.desk_input_of(record)
            if entry is None:
                desk.position = record.offset + 1
            else:
                desk.fold(*entry, record.offset)


def _judge_part(
    part: RebuildResult, has_snapshot: bool, found: list[Difference], cut: str = ""
) -> None:
    """Set the verdict: equal whatever was deleted; with a `cut` a difference proves nothing."""
    if has_snapshot and not found:
        part.verdict = EQUAL
    elif cut:
        part.verdict = CUT
        part.notes.append(cut)
    elif has_snapshot:
        part.verdict = DIFFERS
        part.notes += [f"made again, and saved: {one}" for one in found[:SHOWN_MAX]]


def _mark_beyond(part: RebuildResult, fault: str) -> RebuildResult:
    part.verdict = DIFFERS
    part.notes.append(fault)
    return part


def _explain_impossible(known: Mapping[Part, int], bounds: Mapping[Part, Bounds]) -> str:
    """Say why logs can't be those that a shard was made from; empty if they can.

    `known` is up to where the shard knows each of them.
    """
    return "; ".join(
        f"{tp.topic}, partition {tp.partition}, ends at {bounds[tp].end}, and the shard knows it "
        f"up to {stop}: it is another log"
        for tp, stop in known.items()
        if stop > bounds[tp].end
    )


def _describe_cut(tp: Part, lost_n: int) -> str:
    """Say why a state can't be made again; empty if no record is missing."""
    if not lost_n:
        return ""
    return f"{tp.topic}, partition {tp.partition}: {lost_n} records before the first were deleted"
