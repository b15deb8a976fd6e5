"""The training log with many writers and readers: which entries count, and which are repetitions.

Desks that were killed and restarted write the same ends again, and two workers may both believe for
a moment that they order retrainings. Every reader folds the log by the same rules, so all have the
same model at the same place in it:

- An end of a request names its *origin*: the desk, its place among that desk's ends, and the place
  of the end before. It counts if the end before is the last one that counted. So neither a
  repetition nor an end after a gap counts; after a gap the restarted desk writes everything again.
- An order to retrain counts if it has the next number, and no job is open or its reason is drift.
- A claim to a part of a cap counts by its number (`caps`); the rules of a worker (`rules`) count if
  they differ from the latest ones.
- An adoption counts if its job is open, and so does its refusal; a roll back counts if the
  challenger is on trial, or if the version that somebody wants back is kept.
- A person's order counts as an end does, and is carried out if no order of its kind with its key
  came before. The order itself brings a version back, in every reader; in the same way the order of
  each desk erases labels.

Nothing here reads Kafka; the caller passes entries in the order of the log.
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
"""The entries of the log: those that make the model, claims to caps, and workers' rules."""

Place: TypeAlias = tuple[int, int]
"""The place of an end: the offset of the desk's log entry behind it, its number among those."""

Decision: TypeAlias = RetrainRequested | ModelAdopted | ModelKept | ModelRolledBack
DECISIONS = (RetrainRequested, ModelAdopted, ModelKept, ModelRolledBack)

Folded: TypeAlias = Logged | InputRejected
"""The result of folding an entry: the entry, or the result of an ordered roll back."""

ANSWERED_N = 64
"""The most drift times remembered as answered; a drift that is read again is among the latest."""

NOWHERE: Place = (-1, -1)
"""The place before the first end of a desk, also of one that lost its memory."""


class Origin(NamedTuple):
    """The origin of an end: `desk` is a partition, `before` the place of the desk's end before."""

    desk: int
    place: Place
    before: Place


class TrainingLog:
    """A trainer, the place reached in each desk's ends, the caps, and the latest rules of workers.

    The state is a function of the entries alone. `erasures_n` counts orders to erase; `erased` is
    the result of the last of these.
    """

    STATE_VERSION: ClassVar[int] = 6

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """1: no caps, 2: no orders, 3: no rules of workers, 4: no erasures, 5: repeated_n."""
        more = {"caps": Caps(), "_ordered": Orders(), "rules": {}, "erasures_n": 0, "erased": None}
        return more | {name: value for name, value in fields.items() if name != "repeated_n"}

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.caps = Caps()
        self.rules: dict[str, str] = {}
        self.erasures_n = 0
        self.erased: SubjectErased | None = None
        self._heard: dict[int, Place] = {}
        self._answered: deque[float] = deque(maxlen=ANSWERED_N)
        self._ordered = Orders()

    def last_end_of(self, desk: int) -> Place:
        """The place of this desk's last end that counted."""
        return self._heard.get(desk, NOWHERE)

    def has_answered(self, at: float) -> bool:
        """Whether a retraining was ordered for the drift at this time, seconds.

        A change of drift may be in its topic twice, or be read twice, after a worker was killed.
        """
        return at in self._answered

    def counts(self, entry: Logged, origin: Origin | None = None) -> bool:
        """Whether this entry, the next in the log, changes anything.

        An end without an origin always does: somebody may write labels from elsewhere into the log.
        """
        if isinstance(entry, CapClaimed):
            return self.caps.counts(entry)
        if isinstance(entry, RulesInUse):
            return entry.parts != self.rules
        if isinstance(entry, DECISIONS):
            return self._is_decisive(entry)
        if origin is None:
            return True
        last = self.last_end_of(origin.desk)
        return origin.place > last and origin.before in (last, NOWHERE)

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
        """Fold the next entry and return the result; None for a repetition.

        `origin` is that of an end or an order; `challenger` is as in `Trainer.fold`.
        """
        if not self.counts(entry, origin):
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
        # Even an order with a known key has a place among its desk's ends, noted above.
        if isinstance(entry, Order) and self._ordered.is_known(name_of(entry)):
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
        entries = trainer.versions.order_roll_back(order, order.at, trainer.version + 1)
        detail = "an order with this key was carried out before"
        result = entries[0] if entries else refuse_order(order, Reason.NO_VERSION, detail, order.at)
        trainer.fold(result if isinstance(result, ModelRolledBack) else order)
        return result
