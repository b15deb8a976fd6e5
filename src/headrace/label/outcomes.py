"""The message of an outcome: a label or a dispute, with the fields copied from its request."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from ..messages import LabelDisputed, LabelSettled, QuestionChanged, RequestWithdrawn
from .consensus import Outcome
from .ledger import Entry

Revised: TypeAlias = LabelSettled | LabelDisputed


class Erased(NamedTuple):
    """The result of erasing requests.

    `withdrawn` are the ends of the open ones, `questions` the ends of other questions about them.
    `ended_n` is how many had ended before, `has_label` whether any of them had a label.
    """

    withdrawn: list[RequestWithdrawn]
    questions: list[QuestionChanged]
    ended_n: int
    has_label: bool


def message_of(  # noqa: PLR0917 - an outcome and what is said of it
    entry: Entry, outcome: Outcome, at: float, is_late: bool, by: tuple[str, ...], confirms: bool
) -> Revised:
    """The outcome of a request as a message.

    `at` is the time of the outcome, seconds; `is_late` whether a late answer led to it; `by` are
    the annotators to name; `confirms` whether an opinion left the label as it was.
    """
    request = entry.request
    if outcome.label is None:
        return LabelDisputed(
            request_id=request.request_id,
            event_id=request.event_id,
            at=at,
            reason=outcome.reason,
            answers=outcome.tally,
            revision=entry.revision,
            opinion_n=entry.opinion_n,
            by=by,
        )
    return LabelSettled(
        request_id=request.request_id,
        event_id=request.event_id,
        at=at,
        event_at=request.event_at,
        label=outcome.label,
        features=request.features,
        prediction=request.prediction,
        reason=request.reason,
        seq=request.seq,
        answers_n=outcome.answers_n,
        agreement=outcome.agreement,
        revision=entry.revision,
        is_late=is_late,
        propensity=request.propensity,
        served=request.served,
        served_model=request.served_model,
        key=request.key,
        context=request.context,
        opinion_n=entry.opinion_n,
        confirms=confirms,
        by=by,
        judges=request.judges,
    )
