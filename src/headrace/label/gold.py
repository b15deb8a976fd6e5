"""Gold questions: questions whose answer is known, asked again to measure how often annotators err.

An expert's answer (`label.experts`) is taken as the truth. Whenever a request is settled, chance
decides whether one question that an expert has answered is asked again, to anybody else
(`label.gold_share`). The question that was asked least recently comes first; each is asked at most
`GOLD_ASKED_MAX` times. The answers never change a label: they are compared with the truth, and a
consensus that learns how annotators err learns from them (docs/adr/0023-gold-questions.md).

A gold question cannot be recognised: its id is made like that of any request, it wants as many
answers, has as much time and shows what the first question showed. So it cannot exclude the
annotators who answered the first question either; their answers are accepted and count for nothing.

Limits: `KNOWN_MAX` requests wait for their turn; a new one displaces the one that waits longest.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ..chance import Chance
from ..messages import Answer, LabelRequested, LabelSettled, QuestionChanged
from ..messages.request_ids import GOLD_ASKED_MAX, gold_id
from ..settings import LabelSettings
from .annotators import Annotators
from .consensus import select_standing
from .counts import GoldCounts
from .ledger import Entry, Gold, Ledger

KNOWN_MAX = 200
"""The most requests with a known truth that wait to be asked again as gold questions."""

PURPOSE = "gold"


class GoldQuestions:
    """Which questions are asked again, and when.

    `known` has the ids of requests whose truth is known, in the order of their turn. `chance` draws
    by the id of the settled request. `desks_n` is the number of desks; each has its own questions.

    >>> gold = GoldQuestions(LabelSettings(experts=["eve"]))
    >>> said = [("al", "ham"), ("eve", "spam")]
    >>> gold.truth_of([Answer(request_id="r", annotator=a, label=b, at=0.0) for a, b in said])
    'spam'
    """

    def __init__(
        self, settings: LabelSettings, chance: Chance | None = None, desks_n: int = 1
    ) -> None:
        self.share = settings.gold_share
        self.experts = tuple(settings.experts)
        self.known: dict[str, None] = {}
        self._chance = chance if chance is not None else Chance(0)
        self._desks_n = desks_n

    def truth_of(self, answers: Sequence[Answer]) -> str | None:
        """The class that the experts name; None if no expert names one, or if they differ."""
        if not self.experts:
            return None
        named = {a.label for a in answers if a.annotator in self.experts and a.label is not None}
        return named.pop() if len(named) == 1 else None

    def compare_answers(
        self, entry: Entry, annotators: Annotators, at: float
    ) -> tuple[Sequence[Answer], str | None]:
        """Compare the answers to gold questions about a request with its truth, and count them.

        Returns the answers to learn reliability from, and the truth or None. If the truth is known,
        the experts' own answers are left out, because they are right by definition.
        """
        answers, gold = entry.accounted[0], entry.gold
        truth = self.truth_of(answers)
        if gold is not None:
            before, gold.accounted = gold.accounted, (_select_standing(entry, gold), truth)
            annotators.count_gold_answers(before, gold.accounted, at)
        if truth is None:
            return answers, None
        self._queue_request(entry)
        others = tuple(answer for answer in answers if answer.annotator not in self.experts)
        return others + (gold.accounted[0] if gold is not None else ()), truth

    def _queue_request(self, entry: Entry) -> None:
        """Queue a request whose truth is known, unless it waits or was asked often enough."""
        request_id = entry.request.request_id
        if self.share and request_id not in self.known and _has_turns(entry):
            self.known[request_id] = None
            if len(self.known) > KNOWN_MAX:
                del self.known[next(iter(self.known))]

    def forget(self, request_id: str) -> None:
        """Remove an erased request from the queue."""
        self.known.pop(request_id, None)

    def mix_in(
        self, said: Sequence[object], ledger: Ledger, counts: GoldCounts, at: float
    ) -> list[QuestionChanged]:
        """Ask the gold questions that the labels among the outputs `said` lead to; return them.

        `ledger` and `counts` are those of the desk; `at` is the time of asking, in seconds.
        """
        asked = []
        for output in said if self.share else ():
            if (
                isinstance(output, LabelSettled)
                and output.revision == 0
                and self._chance.uniform(PURPOSE, output.request_id) < self.share
            ):
                entry = self._take_turn(ledger)
                if entry is not None:
                    asked.append(self._ask_gold(entry, ledger, at))
        counts.asked_n += len(asked)
        return asked

    def _ask_gold(self, entry: Entry, ledger: Ledger, at: float) -> QuestionChanged:
        asked_n = len(entry.gold.asked) if entry.gold is not None else 0
        question_id = gold_id(entry.request.request_id, asked_n + 1, self._desks_n)
        ledger.ask_gold(entry, question_id, at)
        self._queue_request(entry)
        return QuestionChanged(at=at, record=question_of(entry, question_id, at))

    def _take_turn(self, ledger: Ledger) -> Entry | None:
        """Remove the next request from the queue and return it, or None if no request is left.

        Requests that are forgotten, or have no known truth any more, are skipped.
        """
        while self.known:
            request_id = next(iter(self.known))
            del self.known[request_id]
            entry = ledger.find_entry(request_id)
            if entry is not None and self.truth_of(entry.accounted[0]) is not None:
                return entry
        return None


def question_of(entry: Entry, question_id: str, at: float) -> LabelRequested:
    """The gold question with this id about a request, asked at `at`, seconds."""
    request = entry.request
    deadline = at + (request.deadline - request.at)
    return replace(request, request_id=question_id, at=at, deadline=deadline)


def _select_standing(entry: Entry, gold: Gold) -> tuple[Answer, ...]:
    """The current answers to gold questions, without those of the request's own annotators."""
    answered_before = {answer.annotator for answer in entry.answers if answer.annotator}
    current = select_standing(gold.answers, wanted_n=1)
    return tuple(answer for answer in current if answer.annotator not in answered_before)


def _has_turns(entry: Entry) -> bool:
    """Whether more gold questions may be asked about a request; never about one for an opinion."""
    asked_n = len(entry.gold.asked) if entry.gold is not None else 0
    return asked_n < GOLD_ASKED_MAX and entry.request.opinion_n == 1
