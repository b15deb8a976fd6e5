"""The training log as many write it and all read it: what of it counts, and what only repeats.

Desks that were killed and started again say the same ends again, and two workers may both believe
for a moment that they order retraining. Every reader folds the log by the same rule, so all hold
the same model at the same place in it:

- An end of a request names its *origin*: the desk, its place among that desk's ends, and the place
  of the one before. It counts if the one before is the last that counted. So neither a repeat nor
  what follows a gap does; after a gap the desk, started anew, says everything again.
- An order to retrain counts if it has the next number, and the trainer would have ordered it.
- An adoption counts if its job is open, and so does its refusal; a roll back if that is on trial,
  or if the version that somebody wants back is kept.

Nothing here reads Kafka; whoever does hands in entries in the order of the log.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, TypeAlias

from ..messages import ModelAdopted, ModelKept, ModelRolledBack, RetrainRequested
from .retrain import Challenger
from .trainer import Entry, Trainer

Place: TypeAlias = tuple[int, int]
"""Of an end: the offset in the desk's log of the entry it follows from, its number among those."""

ANSWERED_N = 64
"""Moments of drift that are remembered as answered: a change that is read again is an old one."""

NOWHERE: Place = (-1, -1)
"""Before the first end of a desk, and before the first of one that lost its memory."""


class Origin(NamedTuple):
    """Where an end came from: `desk` is a partition, `before` the place of its last end."""

    desk: int
    place: Place
    before: Place


class TrainingLog:
    """A trainer, and how far each desk was heard. The state is a function of the entries alone."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.repeated_n = 0
        self._heard: dict[int, Place] = {}
        self._answered: deque[float] = deque(maxlen=ANSWERED_N)

    def heard(self, desk: int) -> Place:
        """The place of the last end of this desk that counted."""
        return self._heard.get(desk, NOWHERE)

    def has_answered(self, at: float) -> bool:
        """Whether a retraining for a drift of this moment was ordered.

        A change of drift may stand in its topic twice, or be read twice, after a worker was killed.
        """
        return at in self._answered

    def counts(self, entry: Entry, origin: Origin | None = None) -> bool:
        """Whether this entry, next in the log, changes anything.

        An end without origin, as somebody may put labels from elsewhere into the log, always does.
        """
        trainer = self.trainer
        if isinstance(entry, RetrainRequested):
            is_busy = trainer.open_job is not None and entry.reason != "drift"
            return entry.job_id == trainer.jobs_n and not is_busy
        if isinstance(entry, ModelAdopted):
            return trainer.job(entry.job_id) is not None
        if isinstance(entry, ModelKept):
            return trainer.awaits(entry.job_id)
        if isinstance(entry, ModelRolledBack):
            is_kept = entry.to is not None and trainer.versions.find(entry.to) is not None
            return is_kept or trainer.is_on_trial(entry.job_id)
        if origin is None:
            return True
        heard = self.heard(origin.desk)
        return origin.place > heard and origin.before in (heard, NOWHERE)

    def fold(
        self, entry: Entry, origin: Origin | None = None, challenger: Challenger | None = None
    ) -> bool:
        """Take the next entry; false if it only repeats. `challenger` as for `Trainer.fold`."""
        if not self.counts(entry, origin):
            self.repeated_n += 1
            return False
        if origin is not None:
            self._heard[origin.desk] = origin.place
        if isinstance(entry, RetrainRequested) and entry.reason == "drift":
            self._answered.append(entry.at)
        self.trainer.fold(entry, challenger)
        return True
