"""Gold questions: questions whose answer is known, asked again to learn who is right how often.

The answers that experts give (`label.experts`) are taken as the truth. Whenever a request is
settled, chance picks whether one question that an expert has answered is asked again, of anybody
else (`label.gold_share`). Those that were asked least lately come first, each at most
`GOLD_ASKED_MAX` times. The answers never change a label: they are compared with the truth, and a
consensus that learns how annotators err learns from them (docs/adr/0023-gold-questions.md).

Nothing in a gold question tells that it is one: its id is made like that of any request, it wants
as many answers, has as much time and shows what the first question showed. So it can't name those
who have answered the first one either; an answer of theirs is taken, and counts for nothing.

Limits: `KNOWN_MAX` requests wait for their turn; the one that waits longest leaves for a new one.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ..chance import Chance
from ..messages import Answer, LabelSettled, QuestionChanged
from ..request_ids import GOLD_ASKED_MAX, gold_id
from ..settings import LabelSettings
from .annotators import Annotators
from .consensus import standing
from .counts import GoldCounts
from .ledger import Entry, Gold, Ledger

KNOWN_MAX = 200
"""Requests whose truth is known, of which gold questions are made in turn."""

PURPOSE = "gold"


class GoldQuestions:
    """Which questions are asked again, and when.

    `known` are the ids of requests whose truth is known, in the order of their turn. Of a settled
    request the luck is that of its id, by `chance`; with `desks_n` desks each has questions of its
    own.

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
        """The class that experts name; None if none does, or if they differ."""
        if not self.experts:
            return None
        named = {a.label for a in answers if a.annotator in self.experts and a.label is not None}
        return named.pop() if len(named) == 1 else None

    def compare(
        self, entry: Entry, annotators: Annotators, at: float
    ) -> tuple[Sequence[Answer], str | None]:
        """Count how the answers to gold questions about a request compare with its truth now.

        Returns the answers that tell of who errs, and the truth, if it is known: of the experts'
        own, which are true by what is taken, nothing is learned then.
        """
        answers, gold = entry.accounted[0], entry.gold
        truth = self.truth_of(answers)
        if gold is not None:
            before, gold.accounted = gold.accounted, (_standing(entry, gold), truth)
            annotators.count_gold_answers(before, gold.accounted, at)
        if truth is None:
            return answers, None
        self._keep_turn(entry)
        others = tuple(answer for answer in answers if answer.annotator not in self.experts)
        return others + (gold.accounted[0] if gold is not None else ()), truth

    def _keep_turn(self, entry: Entry) -> None:
        """The truth of a request is known: it waits for its turn, if it does not yet."""
        request_id = entry.request.request_id
        if self.share and request_id not in self.known and _has_turns(entry):
            self.known[request_id] = None
            if len(self.known) > KNOWN_MAX:
                del self.known[next(iter(self.known))]

    def forget(self, request_id: str) -> None:
        """A request is erased."""
        self.known.pop(request_id, None)

    def mix_in(
        self, said: Sequence[object], ledger: Ledger, counts: GoldCounts, at: float
    ) -> list[QuestionChanged]:
        """The gold questions that these outputs lead to: some requests of them are settled."""
        asked = []
        for one in said if self.share else ():
            if isinstance(one, LabelSettled) and one.revision == 0 and self._is_due(one.request_id):
                entry = self._take_turn(ledger)
                if entry is not None:
                    asked.append(self._ask_gold(entry, ledger, at))
        counts.asked_n += len(asked)
        return asked

    def _is_due(self, request_id: str) -> bool:
        return self._chance.uniform(PURPOSE, request_id) < self.share

    def _ask_gold(self, entry: Entry, ledger: Ledger, at: float) -> QuestionChanged:
        request = entry.request
        asked_n = len(entry.gold.asked) if entry.gold is not None else 0
        question = replace(
            request,
            request_id=gold_id(request.request_id, asked_n + 1, self._desks_n),
            at=at,
            deadline=at + (request.deadline - request.at),
        )
        ledger.ask_gold(entry, question.request_id, at)
        self._keep_turn(entry)
        return QuestionChanged(at=at, record=question)

    def _take_turn(self, ledger: Ledger) -> Entry | None:
        """The request whose turn it is; those that are forgotten or in doubt by now lose theirs."""
        while self.known:
            request_id = next(iter(self.known))
            del self.known[request_id]
            entry = ledger.find(request_id)
            if entry is not None and self.truth_of(entry.accounted[0]) is not None:
                return entry
        return None


def _standing(entry: Entry, gold: Gold) -> tuple[Answer, ...]:
    """What stands of the answers to gold questions, less those of whoever answered the request."""
    known = {answer.annotator for answer in entry.answers if answer.annotator}
    given = standing(gold.answers, wanted_n=1)
    return tuple(answer for answer in given if answer.annotator not in known)


def _has_turns(entry: Entry) -> bool:
    """Whether more gold questions may be asked about a request: each is about a first question."""
    asked_n = len(entry.gold.asked) if entry.gold is not None else 0
    return asked_n < GOLD_ASKED_MAX and entry.request.opinion_n == 1
