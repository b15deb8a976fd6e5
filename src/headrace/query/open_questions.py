"""Questions that wait for an answer while the model learns, and their present worth to it.

The worth of a question that the strategy chose is the share of the latest events that are less
useful than its event, by the strategy and the present model: a rank, which needs no scale. A
question worth less than the setting `worth` is no longer informative; one is redundant whose event
is near another that was asked, and that has its label or is worth more.

Questions drawn blindly, for a quota or after a drift are not scored: doubt did not choose them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..messages import RequestRescored
from ..observe.originals import without_line
from ..observe.window import Columns
from ..settings.open import OpenSettings

SCORED_REASONS = ("doubt", "round", "ordered")
"""The reasons of requests that doubt chose, and that scoring again may find needless."""

SCORED_MAX = 1_000
"""At most this many questions are scored again; older ones stay as they were asked."""

LATEST_N = 200
"""A question is compared with this many of the latest events."""

UNINFORMATIVE = "no longer informative"
REDUNDANT = "redundant"
LOWER, HIGHER = "lower", "higher"
OUTCOMES = (LOWER, HIGHER, UNINFORMATIVE, REDUNDANT)
"""The outcomes of scoring an open question again: a changed priority, or why it is withdrawn."""


@dataclass(slots=True)
class OpenQuestion:
    """One question with its event, in a block of one, and its present priority."""

    request_id: str
    event: Columns
    priority: float


class OpenQuestions:
    """The questions that may be scored again, by request id, and the latest events' utilities."""

    def __init__(self, settings: OpenSettings) -> None:
        self.settings = settings
        self._version = -1
        self._usual: NDArray[np.float64] = np.empty(0)
        self._asked: dict[str, OpenQuestion] = {}
        # How often each of `OUTCOMES` occurred.
        self.rescored_n: dict[str, int] = {}

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 outcomes were not counted."""
        return fields | {"rescored_n": {}}

    @property
    def is_scored(self) -> bool:
        """Whether questions are scored again at all."""
        return self.settings.rescored != "kept"

    def priority_of(self, utility: float) -> float:
        """Return the priority of an event of this utility, by the events of the last look."""
        return self.rank_priorities(np.array([utility]), self._usual)[0]

    def rank_priorities(
        self, utilities: NDArray[np.float64], usual: NDArray[np.float64]
    ) -> list[float]:
        """Return the priorities of events of these utilities, by rank among the `usual` ones.

        They are 0 where questions are not scored again.
        """
        if not self.is_scored:
            return [0.0] * len(utilities)
        return [round_priority(one) for one in rank_utilities(utilities, np.sort(usual)).tolist()]

    def add_question(self, question: OpenQuestion) -> None:
        """Add a question that doubt chose."""
        originals = question.event.originals
        originals[0] = without_line(originals[0])
        self._asked[question.request_id] = question
        if len(self._asked) > SCORED_MAX:
            del self._asked[next(iter(self._asked))]

    def drop_question(self, request_id: str) -> None:
        """Drop a question that has its answer, or that nobody is asked any longer."""
        self._asked.pop(request_id, None)

    def erase(self, request_ids: Collection[str]) -> None:
        """Forget the events of these requests."""
        for request_id in request_ids:
            self._asked.pop(request_id, None)

    def list_questions(self, open_keys: Collection[int]) -> list[OpenQuestion]:
        """Return the questions about the events with these hashed ids, in order of asking."""
        return [
            question
            for question in self._asked.values()
            if int(question.event.keys[0]) in open_keys
        ]

    # --------------------------------------------------------------------------------- a look

    def next_n(self, events_n: int, most_n: int) -> int:
        """Return the number of events until the next place for a look, at most `most_n`."""
        if not self.is_scored:
            return most_n
        return min(most_n, self.settings.every_n - events_n % self.settings.every_n)

    def is_place(self, events_n: int) -> bool:
        """Whether questions are scored again after `events_n` events."""
        return self.is_scored and events_n % self.settings.every_n == 0

    def is_due(self, model_version: int) -> bool:
        """Whether the model has changed since the last look."""
        return model_version != self._version

    def note_look(self, utilities: NDArray[np.float64], model_version: int) -> None:
        """Store the utilities of the latest events, shape (n,), by this version of the model."""
        self._usual = np.sort(utilities)
        self._version = model_version

    def find_changes(
        self,
        questions: Iterable[OpenQuestion],
        utilities: NDArray[np.float64],
        is_redundant: NDArray[np.bool_],
        now: float,
    ) -> list[RequestRescored]:
        """Return a message for each question that is to be withdrawn or has another priority.

        `utilities` and `is_redundant`, shape (n,), are those of the questions; `now` is in seconds.
        `note_look` comes first.
        """
        worth = rank_utilities(utilities, self._usual)
        changes = []
        for question, value, is_like in zip(questions, worth.tolist(), is_redundant, strict=True):
            why = REDUNDANT if is_like else UNINFORMATIVE if value < self.settings.worth else ""
            priority = 0.0 if is_like else round_priority(value)
            withdrawn = why if self.settings.rescored == "withdrawn" else ""
            if withdrawn or priority != question.priority:
                changes.append(
                    RequestRescored(
                        request_id=question.request_id,
                        at=now,
                        priority=priority,
                        withdrawn=withdrawn,
                    )
                )
        return changes

    def apply_change(self, said: RequestRescored) -> int | None:
        """Apply a message to its question; return its event's hashed id if it was withdrawn."""
        question = self._asked.get(said.request_id)
        if question is None:
            return None
        outcome = said.withdrawn or (LOWER if said.priority < question.priority else HIGHER)
        self.rescored_n[outcome] = self.rescored_n.get(outcome, 0) + 1
        question.priority = said.priority
        if not said.withdrawn:
            return None
        del self._asked[said.request_id]
        return int(question.event.keys[0])


def rank_utilities(
    utilities: NDArray[np.float64], usual: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return which share of the `usual` utilities, ascending, is below each; equals count half.

    >>> rank_utilities(np.array([0.1, 0.3, 9.0]), np.array([0.1, 0.2, 0.3, 0.3]))
    array([0.125, 0.75 , 1.   ])
    >>> rank_utilities(np.array([0.1]), np.empty(0))
    array([0.5])
    """
    if not len(usual):
        return np.full(len(utilities), 0.5)
    below = np.searchsorted(usual, utilities, side="left")
    upto = np.searchsorted(usual, utilities, side="right")
    shares: NDArray[np.float64] = (below + upto) / (2.0 * len(usual))
    return shares


def round_priority(worth: float) -> float:
    """Return the worth rounded to tenths, so that a priority does not change with every label."""
    return round(10.0 * worth) / 10.0
