"""Further questions: one more answer to a request that its answers so far leave open.

A labelling tool shows a question until as many annotators have answered as its request wants, and
cannot know whether the run makes a label of these answers. If they leave the request open, because
of refusals or disagreement, the desk asks one more annotator, up to `answers_max` answers. The
question has its own id (`further_id`), so that every tool shows it like any other; its answer
counts for the request. It is no request: the budget pays nothing for it, and it has no end of its
own. When the request is settled, its open questions are withdrawn from the tools.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..messages import Answer, LabelRequested, QuestionChanged, RequestWithdrawn
from ..messages.request_ids import further_id
from .ledger import Entry

SETTLED = "settled"
"""The reason in the message that withdraws a question."""


def ask_further(
    entry: Entry, standing: Sequence[Answer], answers_max: int, at: float
) -> list[QuestionChanged]:
    """Ask the next further question of an open request; a list with that question, or empty.

    None is asked while one is open, below the wanted answers, at `answers_max`, or for an opinion.
    `standing` are the current answers of the request, `at` is in seconds.
    """
    request = entry.request
    asked_n = request.answers_wanted + len(entry.further)
    is_open = any(asked is not None for asked in entry.further.values())
    if is_open or len(standing) < request.answers_wanted or request.opinion_n > 1:
        return []
    if max(len(standing), asked_n) >= answers_max:
        return []
    question_id = further_id(request.request_id, asked_n + 1)
    not_by = tuple(dict.fromkeys(a.annotator for a in standing if a.annotator))
    entry.further[question_id] = (at, not_by)
    return [QuestionChanged(at=at, record=question) for question in list_open(entry)]


def list_open(entry: Entry) -> list[LabelRequested]:
    """The further questions about a request that nobody has answered yet; one at most."""
    return [
        msgspec.structs.replace(
            entry.request,
            request_id=question_id,
            at=asked[0],
            answers_wanted=1,
            not_by=asked[1],
        )
        for question_id, asked in entry.further.items()
        if asked is not None
    ]


def take_back(
    entry: Entry, at: float, *, is_shown: bool = False, reason: str = SETTLED
) -> list[QuestionChanged]:
    """Withdraw the request's own question and its unanswered further ones after its first outcome.

    `is_shown`: tools still show the request, because it has fewer answers than it wants.
    """
    if entry.revision > 0 or not (entry.further or is_shown):
        return []
    request = entry.request
    open_ids = [question.request_id for question in list_open(entry)]
    entry.further = dict.fromkeys(entry.further)
    return [
        QuestionChanged(
            at=at,
            record=RequestWithdrawn(
                request_id=question_id, event_id=request.event_id, at=at, reason=reason
            ),
        )
        for question_id in (request.request_id, *open_ids)
    ]


def drop_questions(entry: Entry, reason: str, at: float) -> list[QuestionChanged]:
    """Withdraw all further and gold questions about a request that is erased.

    The messages do not name the event.
    """
    gold = entry.gold.asked if entry.gold is not None else ()
    return [
        QuestionChanged(
            at=at,
            record=RequestWithdrawn(request_id=question_id, event_id="", at=at, reason=reason),
        )
        for question_id in (*entry.further, *gold)
    ]
