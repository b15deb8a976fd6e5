"""Questions that wait for an answer while the model learns, and what they are worth to it by now.

A question that the strategy chose is worth the part of the latest events that its event is more
useful than, by the strategy and the present model: a rank, which needs no scale. One that is worth
less than `worth` of the settings is no longer informative; one near another that was asked, and
that is labelled or worth more, is redundant.

What was drawn blindly, for a quota or to cover a new world is not scored: doubt did not choose it.
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
"""Reasons of requests that doubt chose, and a further look may find needless."""

SCORED_MAX = 1_000
"""So many questions are scored again at most; the oldest stays as it was asked."""

LATEST_N = 200
"""So many of the latest events are what a question is compared with."""

UNINFORMATIVE = "no longer informative"
REDUNDANT = "redundant"
LOWER, HIGHER = "lower", "higher"
OUTCOMES = (LOWER, HIGHER, UNINFORMATIVE, REDUNDANT)
"""What may be said of an open question: its priority has moved, or why it was withdrawn."""


@dataclass(slots=True)
class OpenQuestion:
    """One question with its event, a block of one, and the priority that it has now."""

    request_id: str
    event: Columns
    priority: float


class OpenQuestions:
    """Those that may be scored again, by request, and how useful the latest events were."""

    def __init__(self, settings: OpenSettings) -> None:
        self.settings = settings
        self._version = -1
        self._usual: NDArray[np.float64] = np.empty(0)
        self._asked: dict[str, OpenQuestion] = {}
        # How often each of `OUTCOMES` was said of a question.
        self.rescored_n: dict[str, int] = {}

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before 2 nobody counted."""
        return fields | {"rescored_n": {}}

    @property
    def is_scored(self) -> bool:
        """Whether questions are scored again at all."""
        return self.settings.rescored != "kept"

    def priority_of(self, utility: float) -> float:
        """The priority of an event of this utility, as far as the last look can tell."""
        return self.priorities(np.array([utility]), self._usual)[0]

    def priorities(self, utilities: NDArray[np.float64], usual: NDArray[np.float64]) -> list[float]:
        """Those of events of these utilities among the `usual`; 0 where there are none.

        Only where questions are scored again do requests have a priority.
        """
        if not self.is_scored:
            return [0.0] * len(utilities)
        return [round_priority(one) for one in worths(utilities, np.sort(usual)).tolist()]

    def add_question(self, question: OpenQuestion) -> None:
        """Doubt chose this one."""
        originals = question.event.originals
        originals[0] = without_line(originals[0])
        self._asked[question.request_id] = question
        if len(self._asked) > SCORED_MAX:
            del self._asked[next(iter(self._asked))]

    def drop_question(self, request_id: str) -> None:
        """It has an answer, or nobody is asked any longer."""
        self._asked.pop(request_id, None)

    def erase(self, request_ids: Collection[str]) -> None:
        """Forget the events of these."""
        for request_id in request_ids:
            self._asked.pop(request_id, None)

    def questions(self, open_keys: Collection[int]) -> list[OpenQuestion]:
        """Those about the events with these hashed ids, in order of asking."""
        return [one for one in self._asked.values() if int(one.event.keys[0]) in open_keys]

    # --------------------------------------------------------------------------------- a look

    def next_n(self, events_n: int, most_n: int) -> int:
        """Events until the next place for a look, at most so many."""
        if not self.is_scored:
            return most_n
        return min(most_n, self.settings.every_n - events_n % self.settings.every_n)

    def is_place(self, events_n: int) -> bool:
        """Whether this is a place for a look."""
        return self.is_scored and events_n % self.settings.every_n == 0

    def is_due(self, model_version: int) -> bool:
        """Whether the model has moved since the last look."""
        return model_version != self._version

    def note_look(self, utilities: NDArray[np.float64], model_version: int) -> None:
        """The latest events are so useful, shape (n,), to this version of the model."""
        self._usual = np.sort(utilities)
        self._version = model_version

    def find_changes(
        self,
        questions: Iterable[OpenQuestion],
        utilities: NDArray[np.float64],
        is_redundant: NDArray[np.bool_],
        now: float,
    ) -> list[RequestRescored]:
        """What is to be said of these questions, whose utilities have shape (n,).

        After `note_look`. Nothing of one whose priority is what it was.
        """
        worth = worths(utilities, self._usual)
        found = []
        for one, value, is_like in zip(questions, worth.tolist(), is_redundant, strict=True):
            why = REDUNDANT if is_like else UNINFORMATIVE if value < self.settings.worth else ""
            priority = 0.0 if is_like else round_priority(value)
            withdrawn = why if self.settings.rescored == "withdrawn" else ""
            if withdrawn or priority != one.priority:
                found.append(
                    RequestRescored(
                        request_id=one.request_id, at=now, priority=priority, withdrawn=withdrawn
                    )
                )
        return found

    def apply_change(self, said: RequestRescored) -> int | None:
        """This was said of a question; the hashed id of its event if it was withdrawn."""
        one = self._asked.get(said.request_id)
        if one is None:
            return None
        outcome = said.withdrawn or (LOWER if said.priority < one.priority else HIGHER)
        self.rescored_n[outcome] = self.rescored_n.get(outcome, 0) + 1
        one.priority = said.priority
        if not said.withdrawn:
            return None
        del self._asked[said.request_id]
        return int(one.event.keys[0])


def worths(utilities: NDArray[np.float64], usual: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of the `usual` utilities, ascending, that each is above; equals count half.

    >>> worths(np.array([0.1, 0.3, 9.0]), np.array([0.1, 0.2, 0.3, 0.3]))
    array([0.125, 0.75 , 1.   ])
    >>> worths(np.array([0.1]), np.empty(0))
    array([0.5])
    """
    if not len(usual):
        return np.full(len(utilities), 0.5)
    below = np.searchsorted(usual, utilities, side="left")
    upto = np.searchsorted(usual, utilities, side="right")
    found: NDArray[np.float64] = (below + upto) / (2.0 * len(usual))
    return found


def round_priority(worth: float) -> float:
    """A priority: in tenths, so that it does not change with every label."""
    return round(10.0 * worth) / 10.0
