"""One more answer to a request that its answers leave open, asked for as a question of its own.

A labelling tool shows a question until as many have answered as its request wants, and cannot know
whether the run makes a label of these answers. So where they leave the request open, refusals and
disagreement included, the desk asks one more annotator, up to `answers_max` answers: a question
with an id of its own (`further_id`) that every tool shows like any other. Its answer is one to the
request. It is no request: nothing is paid for it from the budget, and it has no end of its own.
When the request is settled, whatever of its questions is still open is taken back.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..messages import Answer, QuestionChanged, RequestWithdrawn
from ..request_ids import further_id
from .ledger import Entry

SETTLED = "settled"
"""Why a question is taken back."""


def ask_further(
    entry: Entry, standing: Sequence[Answer], answers_max: int, at: float
) -> list[QuestionChanged]:
    """The next question of an open request, where all that were asked are answered."""
    request = entry.request
    asked_n = request.answers_wanted + len(entry.further)
    is_open = any(not is_answered for is_answered in entry.further.values())
    if is_open or len(standing) < request.answers_wanted or request.opinion_n > 1:
        return []
    if max(len(standing), asked_n) >= answers_max:
        return []
    question = msgspec.structs.replace(
        request,
        request_id=further_id(request.request_id, asked_n + 1),
        at=at,
        answers_wanted=1,
        not_by=tuple(dict.fromkeys(a.annotator for a in standing if a.annotator)),
    )
    entry.further[question.request_id] = False
    return [QuestionChanged(at=at, record=question)]


def take_back(entry: Entry, at: float, *, is_shown: bool = False) -> list[QuestionChanged]:
    """The questions of a request that has just ended, less those that were answered.

    `is_shown`: tools wait for more answers to it, though nobody was asked for one more.
    """
    if entry.revision > 0 or not (entry.further or is_shown):
        return []
    request = entry.request
    open_ids = [one for one, is_answered in entry.further.items() if not is_answered]
    entry.further = dict.fromkeys(entry.further, True)
    return [
        QuestionChanged(
            at=at,
            record=RequestWithdrawn(
                request_id=one, event_id=request.event_id, at=at, reason=SETTLED
            ),
        )
        for one in (request.request_id, *open_ids)
    ]


def drop_questions(entry: Entry, reason: str, at: float) -> list[QuestionChanged]:
    """The end of all questions about a request but its own, gold ones too: it is erased.

    It is told without a word of the event.
    """
    gold = entry.gold.asked if entry.gold is not None else ()
    return [
        QuestionChanged(
            at=at, record=RequestWithdrawn(request_id=one, event_id="", at=at, reason=reason)
        )
        for one in (*entry.further, *gold)
    ]
