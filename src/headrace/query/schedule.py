"""When a regular round opens, and how large it is: the workflow between model and annotators.

A workflow is an object with one method, `batch_n`, which is asked at every point where a round may
open: when `query.rounds` says so, and, for a workflow that waits for answers, whenever a request
has ended and as many events have come since the last round. It sees a `Situation` and says how many
events to ask about; 0 is not now. Money, room and the number of candidates limit what it says. It
may keep state, which is snapshotted; it has no clock and no chance of its own.

Labels are learned as they come: of a batch that is half answered, half is learned. Rounds that
drift or a person opens don't ask the workflow.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from ..settings.query import WorkflowSettings

ANSWERS_N = 50
"""The pace of answers is that of so many latest ones."""

GROWTH = 1.5
"""By so much an adaptive batch grows when the annotators had nothing to do, or shrinks if late."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a workflow decides by.

    `now` is the clock, seconds; `can_ask_n` the labels that may be asked now; `labels_n` those that
    have come. `open_n` requests are open, `batch_open_n` of them of the last regular round, which
    asked `batch_n`. `answers_per_s` is the pace of the latest answers, None before there are two.
    `idle` says that since the last round there was a moment with nothing open.
    """

    now: float
    can_ask_n: int
    labels_n: int
    open_n: int
    batch_n: int
    batch_open_n: int
    answers_per_s: float | None
    is_idle: bool

    @property
    def answered_share(self) -> float:
        """The part of the last batch that has ended, 1 before there was one."""
        return 1.0 - self.batch_open_n / self.batch_n if self.batch_n else 1.0


class Workflow(Protocol):
    """When to ask, and how many. `waits` says that it goes by answers, not by events alone."""

    waits: ClassVar[bool]

    def batch_n(self, situation: Situation) -> int:
        """How many events to ask about now; 0: not now."""


@dataclass
class Parallel:
    """Batches on schedule, whether the last one was answered or not.

    `size` is that of a batch, None for all there is to spend.

    >>> Parallel(10).batch_n(Situation(0.0, 30, 5, 8, 10, 8, None, False))
    10
    """

    size: int | None = None
    waits: ClassVar[bool] = False

    def batch_n(self, situation: Situation) -> int:
        return situation.can_ask_n if self.size is None else self.size


@dataclass
class Sequential:
    """One question at a time: the next when the last has its answer, or none can come in time.

    Each is chosen by a model that has learned all answers; whoever labels waits for the model.

    >>> [Sequential().batch_n(Situation(0.0, 30, 5, n, 1, n, None, False)) for n in (1, 0)]
    [0, 1]
    """

    waits: ClassVar[bool] = True

    def batch_n(self, situation: Situation) -> int:
        return 1 if situation.batch_open_n == 0 else 0


@dataclass
class Hybrid:
    """One at a time for the first `warm_up_n` labels, then batches of `size`.

    The next batch opens when the share `enough` of the last one has ended: those who are slow or
    absent hold up nobody, and the rest of the batch still counts when it comes.

    >>> workflow = Hybrid(size=10, warm_up_n=20, enough=0.8)
    >>> [workflow.batch_n(Situation(0.0, 99, 30, n, 10, n, None, False)) for n in (3, 2)]
    [0, 10]
    """

    size: int
    warm_up_n: int
    enough: float
    waits: ClassVar[bool] = True

    def batch_n(self, situation: Situation) -> int:
        if situation.labels_n < self.warm_up_n:
            return 1 if situation.batch_open_n == 0 else 0
        # Of a warm-up of one by one the last question may be open still: it is no batch.
        return self.size if situation.answered_share >= self.enough - 1e-9 else 0


@dataclass
class Adaptive:
    """As many as the annotators get done while the model learns, less what they have before them.

        B = T_retrain * N / T_annotate

    with N annotators who take T_annotate for a label: N / T_annotate is the pace of the latest
    answers, `retrain_s` the time until a model has learned them. `size` is the first batch, before
    there is a pace. The pace is also that of annotators who wait for questions: so B grows by half
    whenever they had nothing to do, and shrinks again while more than half of the last batch is
    still open. At most `size_max` are open.

    >>> workflow = Adaptive(size=4, size_max=50, retrain_s=60.0)
    >>> workflow.batch_n(Situation(0.0, 99, 30, 2, 4, 2, 0.2, False))
    10
    """

    size: int
    size_max: int
    retrain_s: float
    stretch: float = 1.0
    waits: ClassVar[bool] = True

    def batch_n(self, situation: Situation) -> int:
        pace = situation.answers_per_s
        if pace is None:
            return max(0, self.size - situation.open_n)
        stretch = self._next(situation)
        wanted = min(self.size_max, max(1, math.ceil(pace * self.retrain_s * stretch)))
        # A batch of a few more questions is a round for nothing: wait until half of it is wanted.
        missing = wanted - situation.open_n
        if missing < max(1, wanted // 2):
            return 0
        self.stretch = stretch
        return missing

    def _next(self, situation: Situation) -> float:
        if situation.is_idle:
            return min(self.size_max, self.stretch * GROWTH)
        if situation.answered_share < 0.5:
            return max(1.0, self.stretch / GROWTH)
        return self.stretch


WORKFLOWS: dict[str, Callable[[WorkflowSettings], Workflow]] = {
    "parallel": lambda s: Parallel(s.batch_n),
    "sequential": lambda s: Sequential(),
    "hybrid": lambda s: Hybrid(s.batch_n or BATCH_N, s.warm_up_n, s.enough),
    "adaptive": lambda s: Adaptive(s.batch_n or BATCH_N, s.batch_max, s.retrain_s),
}
BATCH_N = 10


class Schedule:
    """A workflow, and what it has to know: the last batch, and the pace of answers."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self._batch_n = 0
        # Of the last regular round: the hashed ids of the events whose request is open.
        self._batch: dict[int, None] = {}
        self._answered_at: deque[float] = deque(maxlen=ANSWERS_N)
        self._is_idle = False

    def wanted_n(self, *, now: float, can_ask_n: int, labels_n: int, open_n: int) -> int:
        """How many to ask now, at most `can_ask_n`."""
        if can_ask_n < 1:
            return 0
        situation = Situation(
            now=now,
            can_ask_n=can_ask_n,
            labels_n=labels_n,
            open_n=open_n,
            batch_n=self._batch_n,
            batch_open_n=len(self._batch),
            answers_per_s=self._pace,
            is_idle=self._is_idle,
        )
        return max(0, min(can_ask_n, self.workflow.batch_n(situation)))

    def note_batch(self, keys: list[int]) -> None:
        """A regular round asked about the events with these hashed ids."""
        if keys:
            self._batch_n, self._batch = len(keys), dict.fromkeys(keys)
            self._is_idle = False

    def note_end(self, key: int, now: float, open_n: int, *, is_answered: bool) -> None:
        """A request ended, with an answer or without; `open_n` are still open."""
        self._batch.pop(key, None)
        self._is_idle |= open_n == 0
        if is_answered:
            self._answered_at.append(now)

    @property
    def _pace(self) -> float | None:
        """Answers per second, over the latest ones; None where no time went by."""
        times = self._answered_at
        spell = times[-1] - times[0] if len(times) > 1 else 0.0
        return (len(times) - 1) / spell if spell > 0 else None


def workflow_of(settings: WorkflowSettings) -> Workflow:
    """The workflow that the settings name."""
    return WORKFLOWS[settings.kind](settings)
