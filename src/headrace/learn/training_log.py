"""The training log as many write it and all read it: what of it counts, and what only repeats.

Desks that were killed and started again say the same ends again, and two workers may both believe
for a moment that they order retraining. Every reader folds the log by the same rule, so all hold
the same model at the same place in it:

- An end of a request names its *origin*: the desk, its place among that desk's ends, and the place
  of the one before. It counts if the one before is the last that counted. So neither a repeat nor
  what follows a gap does; after a gap the desk, started anew, says everything again.
- An order to retrain counts if it has the next number, and the trainer would have ordered it.
- A claim to a part of a cap counts by its number (`caps`), what a worker goes by (`rules`) where
  it is not what was said last.
- An adoption counts if its job is open, and so does its refusal; a roll back if that is on trial,
  or if the version that somebody wants back is kept.
- An order of a person counts as an end does, and is carried out if none of its kind with its key
  came before. A version that is wanted back is brought back by the order itself, in every reader;
  so are labels forgotten, at the order of each desk.

Nothing here reads Kafka; whoever does hands in entries in the order of the log.
"""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar, NamedTuple, TypeAlias

from ..messages import (
    ErasureOrdered,
    InputRejected,
    ModelAdopted,
    ModelKept,
    ModelRolledBack,
    Reason,
    RetrainRequested,
    RollBackOrdered,
    SubjectErased,
)
from ..query.orders import Order, Orders, name_of, refuse_order
from .caps import CapClaimed, Caps
from .erasing import erase_labels
from .retrain import Challenger
from .rules import RulesInUse
from .trainer import Entry, Trainer

Logged: TypeAlias = Entry | CapClaimed | RulesInUse
"""What the log holds: entries that make the model, what shards may spend, what workers go by."""

Place: TypeAlias = tuple[int, int]
"""Of an end: the offset in the desk's log of the entry it follows from, its number among those."""

Decision: TypeAlias = RetrainRequested | ModelAdopted | ModelKept | ModelRolledBack
DECISIONS = (RetrainRequested, ModelAdopted, ModelKept, ModelRolledBack)

Folded: TypeAlias = Logged | InputRejected
"""What an entry comes to: itself, or of an order to roll back what becomes of it."""

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
    """A trainer, how far each desk was heard, the parts of a cap, and what workers went by last.

    The state is a function of the entries alone. `erasures_n` counts orders to erase, and `erased`
    is what the last of them led to.
    """

    STATE_VERSION: ClassVar[int] = 5

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Version 1 knew no parts of a cap, 2 no orders, 3 not what workers go by, 4 no erasure."""
        more = {"caps": Caps(), "_ordered": Orders(), "rules": {}, "erasures_n": 0, "erased": None}
        return more | fields

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.caps = Caps()
        self.rules: dict[str, str] = {}
        self.repeated_n = 0
        self.erasures_n = 0
        self.erased: SubjectErased | None = None
        self._heard: dict[int, Place] = {}
        self._answered: deque[float] = deque(maxlen=ANSWERED_N)
        self._ordered = Orders()

    def last_end_of(self, desk: int) -> Place:
        """The place of the last end of this desk that counted."""
        return self._heard.get(desk, NOWHERE)

    def has_answered(self, at: float) -> bool:
        """Whether a retraining for a drift of this moment was ordered.

        A change of drift may stand in its topic twice, or be read twice, after a worker was killed.
        """
        return at in self._answered

    def counts(self, entry: Logged, origin: Origin | None = None) -> bool:
        """Whether this entry, next in the log, changes anything.

        An end without origin, as somebody may put labels from elsewhere into the log, always does.
        """
        if isinstance(entry, CapClaimed):
            return self.caps.counts(entry)
        if isinstance(entry, RulesInUse):
            return entry.parts != self.rules
        if isinstance(entry, DECISIONS):
            return self._is_decisive(entry)
        if origin is None:
            return True
        heard = self.last_end_of(origin.desk)
        return origin.place > heard and origin.before in (heard, NOWHERE)

    def _is_decisive(self, entry: Decision) -> bool:
        trainer = self.trainer
        if isinstance(entry, RetrainRequested):
            is_busy = trainer.retrainings.open_job is not None and entry.reason != "drift"
            return entry.job_id == trainer.retrainings.jobs_n and not is_busy
        if isinstance(entry, ModelAdopted):
            return trainer.retrainings.job(entry.job_id) is not None
        if isinstance(entry, ModelKept):
            return trainer.retrainings.awaits(entry.job_id)
        is_kept = entry.to is not None and trainer.versions.find(entry.to) is not None
        return is_kept or trainer.displaced.is_on_trial(entry.job_id)

    def fold(
        self, entry: Logged, origin: Origin | None = None, challenger: Challenger | None = None
    ) -> Folded | None:
        """Take the next entry; what it comes to, None if it only repeats.

        `challenger` as for `Trainer.fold`.
        """
        if not self.counts(entry, origin):
            self.repeated_n += 1
            return None
        if isinstance(entry, CapClaimed):
            return entry if self.caps.fold(entry) else None
        if isinstance(entry, RulesInUse):
            self.rules = entry.parts
            return entry
        if origin is not None:
            self._heard[origin.desk] = origin.place
        if isinstance(entry, RetrainRequested) and entry.reason == "drift":
            self._answered.append(entry.at)
        # It has its place among what its desk said, whether its key came before or not.
        if isinstance(entry, Order) and self._ordered.is_known(name_of(entry)):
            self.repeated_n += 1
            return None
        if isinstance(entry, RollBackOrdered):
            return self._roll_back(entry)
        if isinstance(entry, ErasureOrdered):
            self.erasures_n += 1
            self.erased = erase_labels(entry, self.trainer)
        else:
            self.trainer.fold(entry, challenger)
        return entry

    def _roll_back(self, order: RollBackOrdered) -> Folded:
        trainer = self.trainer
        led_to = trainer.versions.order_roll_back(order, order.at, trainer.version + 1)
        told = "an order with this key was carried out before"
        found = led_to[0] if led_to else refuse_order(order, Reason.NO_VERSION, told, order.at)
        trainer.fold(found if isinstance(found, ModelRolledBack) else order)
        return found
