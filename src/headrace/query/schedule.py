"""When a regular round opens, and how large it is: the workflow between model and annotators.

A workflow is an object with one method, `batch_n`, which is called at every point where a round may
open: when `query.rounds` says so, and, for a workflow that waits for answers, whenever a request
has ended and as many events have come since the last round. It gets a `Situation` and returns how
many events to ask about; 0 means not now. Budget, open requests and the number of candidates limit
that number. A workflow may keep state, which is snapshotted; it has no clock and draws no luck.

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
"""The pace of answers is measured over this many of the latest ones."""

GROWTH = 1.5
"""The factor by which an adaptive batch grows when annotators were idle, or shrinks if late."""


@dataclass(frozen=True, slots=True)
class Situation:
    """The state of requests and answers by which a workflow decides.

    Attributes:
        now: The clock, seconds since the epoch.
        can_ask_n: The labels that may be asked now.
        labels_n: The labels that have come.
        open_n: The requests that are open.
        batch_n: How many the last regular round asked.
        batch_open_n: How many of these are open.
        answers_per_s: The pace of the latest answers, per second; None before there are two.
        is_idle: Whether no request was open at some moment since the last round.

    >>> Situation(0.0, 30, 5, 2, 10, 2, None, False).answered_share
    0.8
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
        """The share of the last batch whose requests have ended, 1 before the first batch."""
        return 1.0 - self.batch_open_n / self.batch_n if self.batch_n else 1.0


class Workflow(Protocol):
    """When to ask, and how many; `headrace.testing.check_workflow` checks one.

    Attributes:
        waits: Whether it depends on answers, not on events alone.

    >>> class TwoByTwo:
    ...     waits = True
    ...     def batch_n(self, situation): return 2 if situation.open_n == 0 else 0
    >>> TwoByTwo().batch_n(Situation(0.0, 30, 5, 0, 2, 0, None, True))
    2
    """

    waits: ClassVar[bool]

    def batch_n(self, situation: Situation) -> int:
        """Decide how many events to ask about now.

        Args:
            situation: The state of requests and answers.

        Returns:
            A whole number of at least 0; 0 means not now.
        """


@dataclass
class Parallel:
    """Batches on schedule, whether the last one was answered or not.

    A batch has `size` events; with None as many as the budget allows.

    >>> Parallel(10).batch_n(Situation(0.0, 30, 5, 8, 10, 8, None, False))
    10
    """

    size: int | None = None
    waits: ClassVar[bool] = False

    def batch_n(self, situation: Situation) -> int:
        return situation.can_ask_n if self.size is None else self.size


@dataclass
class Sequential:
    """One question at a time: the next is asked when the last one has ended.

    Each event is chosen by a model that has learned all answers; annotators wait for the model.

    >>> [Sequential().batch_n(Situation(0.0, 30, 5, n, 1, n, None, False)) for n in (1, 0)]
    [0, 1]
    """

    waits: ClassVar[bool] = True

    def batch_n(self, situation: Situation) -> int:
        return 1 if situation.batch_open_n == 0 else 0


@dataclass
class Hybrid:
    """One at a time for the first `warm_up_n` labels, then batches of `size`.

    The next batch opens when the share `enough` of the last one has ended: slow or absent
    annotators hold up nobody, and later answers of the batch still count.

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
        # The last question of the warm-up may still be open: it does not count as a batch.
        return self.size if situation.answered_share >= self.enough - 1e-9 else 0


@dataclass
class Adaptive:
    """As many questions as annotators answer while the model learns, less those still open.

        B = T_retrain * N / T_annotate

    with N annotators who take T_annotate for a label: N / T_annotate is the pace of the latest
    answers, `retrain_s` the time in seconds until a model has learned them. `size` is the first
    batch, before there is a pace. The measured pace includes the time in which annotators wait for
    questions: so B grows by half whenever they had nothing to do, and shrinks again while more than
    half of the last batch is still open. At most `size_max` requests are open.

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
        stretch = self._next_stretch(situation)
        wanted = min(self.size_max, max(1, math.ceil(pace * self.retrain_s * stretch)))
        # A round is not worth a few questions: wait until half of the batch is missing.
        missing = wanted - situation.open_n
        if missing < max(1, wanted // 2):
            return 0
        self.stretch = stretch
        return missing

    def _next_stretch(self, situation: Situation) -> float:
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
    """A workflow, and the state that it decides by: the last batch, and the pace of answers."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self._batch_n = 0
        # The hashed ids of the last regular round's events whose request is open.
        self._batch: dict[int, None] = {}
        self._answered_at: deque[float] = deque(maxlen=ANSWERS_N)
        self._is_idle = False

    def wanted_n(self, *, now: float, can_ask_n: int, labels_n: int, open_n: int) -> int:
        """Return how many events to ask about now, at most `can_ask_n`; see `Situation`."""
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
        """Note that a regular round asked about the events with these hashed ids."""
        if keys:
            self._batch_n, self._batch = len(keys), dict.fromkeys(keys)
            self._is_idle = False

    def note_end(self, key: int, now: float, open_n: int, *, is_answered: bool) -> None:
        """Note that the request about the event `key` ended at `now`; `open_n` are still open."""
        self._batch.pop(key, None)
        self._is_idle |= open_n == 0
        if is_answered:
            self._answered_at.append(now)

    @property
    def _pace(self) -> float | None:
        """Answers per second, over the latest ones; None where no time passed between them."""
        times = self._answered_at
        elapsed_s = times[-1] - times[0] if len(times) > 1 else 0.0
        return (len(times) - 1) / elapsed_s if elapsed_s > 0 else None


def workflow_of(settings: WorkflowSettings) -> Workflow:
    """Return the workflow that the settings name."""
    return WORKFLOWS[settings.kind](settings)
