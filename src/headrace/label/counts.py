"""Counts of what happened at a desk: its requests, the answers to them, its gold questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from ..messages import Answer
from ..state.stored_parts import OfParts, Parts, same_names
from .consensus import latest_of


@dataclass
class RequestCounts:
    """Requests and how they ended, since the desk's start.

    `asked_n` is the sum of the open requests and of the counts by end: `settled_n`, `disputed_n`,
    `expired_n`, `withdrawn_n`, and, for requests for an opinion, `confirmed_n`, `overruled_n` and
    `undecided_n`, by what became of the first label. `revised_n` counts outcomes with a revision
    above 0, `asked_twice_n` requests delivered again.
    """

    asked_n: int = 0
    settled_n: int = 0
    disputed_n: int = 0
    expired_n: int = 0
    withdrawn_n: int = 0
    confirmed_n: int = 0
    overruled_n: int = 0
    undecided_n: int = 0
    revised_n: int = 0
    asked_twice_n: int = 0

    def count_outcome(self, label: str | None, revision: int) -> None:
        """Count an outcome of a request: its label, or None if its answers disagree."""
        if revision > 0:
            self.revised_n += 1
        elif label is not None:
            self.settled_n += 1
        else:
            self.disputed_n += 1

    def count_opinion(self, label: str | None, about: str | None) -> None:
        """Count an opinion about the label `about`, by the label of the request after it.

        >>> counts = RequestCounts()
        >>> counts.count_opinion("spam", about="ham")
        >>> counts.confirmed_n, counts.overruled_n, counts.undecided_n
        (0, 1, 0)
        """
        if label is None:
            self.undecided_n += 1
        elif label == about:
            self.confirmed_n += 1
        else:
            self.overruled_n += 1


@dataclass
class AnswerCounts:
    """Answers and what became of them, since the desk's start.

    `accepted_n` entered a request; among them `refused_n` were "cannot tell" and `corrected_n`
    changed an annotator's earlier answer. The others were duplicates (`duplicate_n`), late and of
    no effect, or rejected. `late_n` counts all late ones. `rejected_n` includes the `unknown_n`
    answers to unknown requests.
    """

    accepted_n: int = 0
    refused_n: int = 0
    corrected_n: int = 0
    duplicate_n: int = 0
    late_n: int = 0
    unknown_n: int = 0
    rejected_n: int = 0

    def count_answer(self, answer: Answer, before: Sequence[Answer], *, is_late: bool) -> None:
        """Count an answer that enters a request; `before` are earlier ones of the same voice."""
        self.accepted_n += 1
        self.late_n += is_late
        self.refused_n += answer.label is None
        if before:
            self.corrected_n += latest_of([*before, answer]).label != latest_of(before).label


@dataclass
class GoldCounts:
    """Gold questions that were asked, and the accepted answers to them."""

    asked_n: int = 0
    answers_n: int = 0


# The names of the parts' fields in the saved state of the whole.
_PARTS: Parts = {
    "requests": (RequestCounts, same_names(*(one.name for one in fields(RequestCounts)))),
    "answers": (AnswerCounts, same_names(*(one.name for one in fields(AnswerCounts)))),
    "gold": (GoldCounts, {"gold_asked_n": "asked_n", "gold_answers_n": "answers_n"}),
}


class Counts(OfParts):
    """What happened at the desk since its start."""

    PARTS: ClassVar[Parts] = _PARTS

    def __init__(self) -> None:
        self.requests = RequestCounts()
        self.answers = AnswerCounts()
        self.gold = GoldCounts()

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 there were no gold questions."""
        return fields | {"gold_asked_n": 0, "gold_answers_n": 0}
