"""A worker's trainer: the training log is read ahead, and folded between two feeds.

Every worker reads the whole log and so holds the same model at the same offset. Each runs every
retraining itself, beside the flow, and takes its own challenger when the log says so. One worker at
a time, the one that reads the drift topic, also writes the entries that order and adopt; should two
believe that they are it, the rule of `learn.training_log` makes the second entry void.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..chance import Chance
from ..learn.retrain import Challenger, RetrainJob
from ..learn.trainer import Entry, Trainer
from ..learn.training_log import DECISIONS, Decision, Folded, Logged, Origin, TrainingLog
from ..messages import (
    DriftChanged,
    ModelAdopted,
    ModelRolledBack,
    RetrainFinished,
    RetrainRequested,
)
from ..observe.drift import DriftLevel
from ..settings import Settings
from ..wiring import make_schema, make_trainer
from . import wire

READ_AHEAD_MAX = 5_000
"""How many entries may be read and not yet folded before reading waits."""

FOLDED_AT_ONCE_MAX = 500
FOLDING_S_MAX = 0.05
"""How many entries are folded, for how many seconds, before events have their turn again."""


def new_log(settings: Settings) -> TrainingLog:
    """Return the state at offset 0: a model that has learned nothing. Raises `BadSettings`."""
    return TrainingLog(make_trainer(settings, make_schema(settings), Chance(settings.seed)))


@dataclass(slots=True)
class Attempt:
    """A retraining that runs beside the flow, and its result."""

    job_id: int
    is_over: bool = False
    challenger: Challenger | None = None
    error: str | None = None


class Training:
    """A training log and the offset up to which it is folded: `position`, of the next entry.

    `end` is where the log ended when it was opened. `run` starts a retraining; `timer` returns
    seconds from any moment, to measure how long folding takes.
    """

    def __init__(
        self,
        log: TrainingLog,
        position: int,
        end: int,
        *,
        run: Callable[[RetrainJob], None],
        timer: Callable[[], float],
    ) -> None:
        self.log = log
        self.position = position
        self.end = end
        self.is_caught_up = False
        self.is_decider = False
        self._run = run
        self._timer = timer
        self._ahead: deque[tuple[int, Logged | None, Origin | None]] = deque()
        self._attempt: Attempt | None = None
        self._said: set[tuple[str, int]] = set()
        self._drifts: list[DriftChanged] = []
        self._is_for_drift = False
        self._start_job()

    @property
    def trainer(self) -> Trainer:
        return self.log.trainer

    @property
    def waiting_n(self) -> int:
        """The number of entries that were read and are not folded yet."""
        return len(self._ahead)

    @property
    def has_room(self) -> bool:
        """Whether more should be read yet."""
        return len(self._ahead) < READ_AHEAD_MAX

    def decode_records(self, records: Iterable[Any]) -> None:
        """Decode the next records of the log; they are folded later."""
        for record in records:
            entry, origin = wire.entry_of(record) or (None, None)
            self._ahead.append((record.offset, entry, origin))

    # -------------------------------------------------------------------------------- folding

    def fold_ready(self, on_entry: Callable[[Folded], None]) -> None:
        """Fold some of what was read, and call `on_entry` with each entry that counts.

        How many are folded changes no decision: each step of a shard says up to where that was.
        Stops before an adoption whose challenger is still in training here, or still learns what
        settled since: until then the shards go on with the champion, at a version that they name.
        """
        until = self._timer() + FOLDING_S_MAX
        for _ in range(min(FOLDED_AT_ONCE_MAX, len(self._ahead))):
            offset, entry, origin = self._ahead[0]
            challenger = None
            if isinstance(entry, ModelAdopted) and self.log.counts(entry):
                attempt = self._attempt_of(entry.job_id)
                if attempt is not None and not self._is_ready(attempt):
                    return
                challenger = attempt.challenger if attempt is not None else None
            self._ahead.popleft()
            self.position = offset + 1
            folded = None if entry is None else self.log.fold(entry, origin, challenger)
            if folded is not None:
                self._keep_folded(folded)
                on_entry(folded)
            if self._timer() >= until:
                return

    def catch_up(self) -> bool:
        """Whether the log has just been folded up to where it ended when opened; true once."""
        is_news = not self.is_caught_up and self.position >= self.end
        self.is_caught_up = self.is_caught_up or is_news
        return is_news

    def _keep_folded(self, entry: Folded) -> None:
        if isinstance(entry, RetrainRequested):
            self._is_for_drift = entry.reason == "drift"
            self._start_job()
        if isinstance(entry, DECISIONS):
            self._said.discard(_name_question(entry))

    def _start_job(self) -> None:
        """Run the retraining that is open, if any; the result of an earlier one is dropped."""
        job = self.trainer.retrainings.open_job
        if job is not None:
            self._attempt = Attempt(job.job_id)
            self._run(job)

    def end_retraining(self, job_id: int, challenger: Challenger | None, error: str | None) -> None:
        """Note that the retraining of this number is over, with its challenger or its error."""
        attempt = self._attempt_of(job_id)
        if attempt is not None:
            attempt.is_over, attempt.challenger, attempt.error = True, challenger, error

    def _is_ready(self, attempt: Attempt) -> bool:
        """Whether a retraining is over, and its challenger learned what settled in the meantime.

        If it did not, it learns for some time before events have their turn again.
        """
        if not attempt.is_over or attempt.challenger is None:
            return attempt.is_over
        until = self._timer() + FOLDING_S_MAX
        is_ready = self.trainer.prepare(attempt.challenger, lambda: self._timer() >= until)
        if not is_ready and self.trainer.is_outdated(attempt.challenger):
            self._start_job()
        return is_ready

    # ------------------------------------------------------------------------------- deciding

    def note_drift(self, change: DriftChanged) -> None:
        """Note that a shard's drift level changed: the decider will order a retraining, once."""
        if change.level == DriftLevel.DRIFT.name and not self.log.has_answered(change.at):
            self._drifts.append(change)

    def take_decisions(self, now: float) -> list[Entry]:
        """Return what the decider has to write to the log now; nothing on any other worker.

        A drift that many partitions see within one retraining for drift leads to one, not to many.
        """
        drifts, self._drifts = self._drifts, []
        if not self.is_decider:
            return []
        trainer, decisions = self.trainer, list[Entry]()
        if drifts and not (trainer.retrainings.open_job is not None and self._is_for_drift):
            decisions += trainer.order_retraining("drift", drifts[-1].at)
        if not decisions:
            decisions += trainer.order_due(now)
        job = trainer.retrainings.open_job
        attempt = self._attempt_of(job.job_id) if job is not None else None
        if job is not None and attempt is not None and self._is_ready(attempt):
            verdict = trainer.judge(
                RetrainFinished(
                    job_id=job.job_id, at=now, challenger=attempt.challenger, error=attempt.error
                )
            )
            decisions += [verdict] if verdict is not None else []
        return [entry for entry in decisions if self._is_unsaid(entry)]

    def _attempt_of(self, job_id: int) -> Attempt | None:
        """The retraining of this number, if it is the one that was started here last."""
        attempt = self._attempt
        return attempt if attempt is not None and attempt.job_id == job_id else None

    def _is_unsaid(self, entry: Entry) -> bool:
        """Whether an entry is not written yet; if so, note that it is about to be."""
        assert isinstance(entry, DECISIONS)
        question = _name_question(entry)
        if question in self._said:
            return False
        self._said.add(question)
        return True


def _name_question(entry: Decision) -> tuple[str, int]:
    """Return what an entry decides: whether a job is run, its model is adopted, or rolled back."""
    if isinstance(entry, ModelRolledBack):
        return "roll back", entry.job_id
    return ("order" if isinstance(entry, RetrainRequested) else "verdict", entry.job_id)
