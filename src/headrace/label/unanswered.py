"""The questions that still want an answer: what a labelling tool shows, read off the ledger.

Nothing is asked or changed here. A question is listed until its request ends, as many annotators
have answered as it wants, or its deadline has passed.
"""

from __future__ import annotations

from ..messages import LabelRequested
from . import further, gold
from .consensus import select_standing
from .ledger import Ledger


def list_unanswered(ledger: Ledger, now: float) -> list[LabelRequested]:
    """The questions that still want an answer at `now`, seconds, by the time of asking.

    They are requests, further questions and gold questions, each as it was asked; one whose request
    was scored again has its present priority.
    """
    questions = []
    for entry in ledger.open_entries:
        request = entry.request
        if len(select_standing(entry.answers, request.answers_wanted)) < request.answers_wanted:
            questions.append(request)
        questions += further.list_open(entry)
    for question_id, entry in ledger.list_gold():
        if entry.gold is None:
            continue
        question = gold.question_of(entry, question_id, entry.gold.asked[question_id])
        answers = [answer for answer in entry.gold.answers if answer.request_id == question_id]
        answered_n = len(select_standing(answers, question.answers_wanted))
        if answered_n < question.answers_wanted and now < question.deadline:
            questions.append(question)
    return sorted(questions, key=lambda question: question.at)
