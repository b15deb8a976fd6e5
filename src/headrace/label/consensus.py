"""From the answers of one request to a label, a dispute, or neither yet: a pure function of a set.

This module knows nothing of time, memory or other requests; the desk decides when to call it. The
input is every valid answer of one request, in any order; the outcome depends on the set alone:

- The answers of one annotator are one *voice*. The latest of them counts (by `at`, ties by label,
  a refusal first), at the place of the earliest: a correction takes the place of what it corrects,
  so clicking twice does not move an annotator behind the others.
- Answers of one voice without a time count in the order of their arrival (`answers.place_undated`).
- Answers without a name: where one answer is wanted, all of them are one voice, so that they can be
  corrected. Where more are wanted, each distinct (at, label) is a separate voice, so that tools
  which know no names can collect several; none of these can be corrected.
- Voices are ordered by (place, annotator) and counted one after the other. As soon as as many of
  them named a class as answers are wanted, and one class has more than half of these, it is the
  label. If `answers_max` voices, refusals included, bring no label, the request is a dispute.
- When asking is over (the deadline passed, the request was withdrawn), fewer answers than wanted
  are enough if one class has more than half of them: they were paid for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ..messages import Answer


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of the answers so far.

    `label` is the class they agree on, or None. `is_decided` is true for a label and for a dispute,
    and false while more answers could decide. `tally` counts the answers by class, in alphabetical
    order. `probability` is that of the label, if the consensus estimates one.
    """

    label: str | None
    is_decided: bool
    tally: dict[str, int]
    probability: float | None = None

    @property
    def answers_n(self) -> int:
        """The number of answers that name a class."""
        return sum(self.tally.values())

    @property
    def agreement(self) -> float:
        """The label's probability, or else the share of answers that name it; 0 without a label."""
        if self.label is None:
            return 0.0
        if self.probability is not None:
            return self.probability
        return self.tally[self.label] / self.answers_n

    @property
    def reason(self) -> str:
        """Why there is no label: `refused` when nobody could tell, else `no_majority`."""
        return "no_majority" if self.tally else "refused"


class Consensus(Protocol):
    """How answers become a label. An object with state must be picklable.

    `answers` come from `select_standing`: one per voice, in the order in which they are counted.

    A consensus that learns from answers also has

        def ended(self, request_id: str, answers: Sequence[Answer], *, known: str | None) -> None

    which the desk calls whenever a request has ended, and whenever the current answers of an ended
    request may have changed: `answers` replace those of the previous call for this request. `known`
    is its true class, if an expert has named one; `answers` then include those to gold questions
    and leave out the experts' own.
    """

    def decide(
        self, answers: Sequence[Answer], *, wanted_n: int, answers_max: int, is_closing: bool
    ) -> Outcome:
        """The outcome of a request by its current answers.

        `wanted_n` class-naming answers may settle it; with `answers_max` answers, refusals
        included, it is decided in any case. `is_closing`: no more answers are awaited.
        """
        ...


class Majority:
    """The label is the class with more than half of the answers that name a class.

    >>> def says(annotator, label, at):
    ...     return Answer(request_id="r", annotator=annotator, label=label, at=at)
    >>> said = [says("bo", "ham", 2), says("al", "spam", 1), says("cy", "ham", 3)]
    >>> answers = select_standing(said, 2)
    >>> Majority().decide(answers, wanted_n=2, answers_max=3, is_closing=False).label
    'ham'
    """

    def decide(
        self, answers: Sequence[Answer], *, wanted_n: int, answers_max: int, is_closing: bool
    ) -> Outcome:
        """The outcome after the first answers that decide it, or else after all of them."""
        if len(answers) == wanted_n == 1 and (label := answers[0].label) is not None:
            return Outcome(label, True, {label: 1})
        tally: dict[str, int] = {}
        for heard_n, answer in enumerate(answers, start=1):
            if answer.label is not None:
                tally[answer.label] = tally.get(answer.label, 0) + 1
            if sum(tally.values()) >= wanted_n and (label := _find_majority(tally)) is not None:
                return Outcome(label, True, dict(sorted(tally.items())))
            if heard_n >= max(answers_max, wanted_n):
                return Outcome(None, True, dict(sorted(tally.items())))
        label = _find_majority(tally) if is_closing else None
        return Outcome(label, label is not None, dict(sorted(tally.items())))


def hear_again(answers: Sequence[Answer], consensus: Consensus) -> Outcome:
    """The outcome of all answers after a second opinion; it is always decided.

    By majority, the label is the class that more than half of the class-naming answers name: two
    answers that disagree make no label.

    >>> def says(annotator, label):
    ...     return Answer(request_id="r", annotator=annotator, label=label, at=0.0)
    >>> hear_again([says("al", "spam"), says("bo", "ham")], Majority())
    Outcome(label=None, is_decided=True, tally={'ham': 1, 'spam': 1}, probability=None)
    """
    beyond_n = len(answers) + 1
    outcome = consensus.decide(answers, wanted_n=beyond_n, answers_max=beyond_n, is_closing=True)
    return replace(outcome, is_decided=True)


def take_as_truth(answers: Sequence[Answer], truth: str) -> Outcome:
    """The outcome where an expert has named the class: it is the label, whatever others answer."""
    tally = Counter(answer.label for answer in answers if answer.label is not None)
    return Outcome(truth, True, dict(sorted(tally.items())), 1.0)


def voice(answer: Answer, wanted_n: int) -> tuple[str, float, str]:
    """The voice of an answer: equal for answers that replace one another.

    A nameless answer to a request for an opinion is another voice than that of the first request.
    """
    if answer.annotator:
        return (answer.annotator, 0.0, "")
    if wanted_n <= 1:
        return ("", 0.0, answer.request_id)
    return ("", answer.at, answer.label or "")


def latest_of(answers: Iterable[Answer]) -> Answer:
    """The answer that counts among one or more answers of one voice."""
    return max(answers, key=_moment_of)


def select_standing(answers: Sequence[Answer], wanted_n: int) -> list[Answer]:
    """The current answer of each voice, in the order in which voices are counted.

    >>> first = Answer(request_id="r", annotator="al", label="ham", at=1.0)
    >>> other = Answer(request_id="r", annotator="bo", label="ham", at=2.0)
    >>> second = Answer(request_id="r", annotator="al", label="spam", at=3.0)
    >>> [(a.annotator, a.label) for a in select_standing([second, other, first], wanted_n=1)]
    [('al', 'spam'), ('bo', 'ham')]
    """
    if len(answers) < 2:
        return [*answers]
    voices: dict[tuple[str, float, str], list[Answer]] = {}
    for answer in answers:
        voices.setdefault(voice(answer, wanted_n), []).append(answer)
    places = sorted((min(earlier.at for earlier in voices[speaker]), speaker) for speaker in voices)
    return [latest_of(voices[speaker]) for _, speaker in places]


def _moment_of(answer: Answer) -> tuple[float, str]:
    """The sort key of answers by time. A refusal sorts before any label of the same time."""
    return (answer.at, answer.label or "")


def _find_majority(tally: dict[str, int]) -> str | None:
    """The class named by more than half; at most one can be."""
    total_n = sum(tally.values())
    return next((label for label, named_n in tally.items() if 2 * named_n > total_n), None)
