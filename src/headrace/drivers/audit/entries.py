"""What a run took in and let out, as entries of its audit log: ids and decisions, no feature.

The events' own ids are left out as well: a request's id is a hash of one, which says nothing to who
does not have the event. Classes, annotators and what operators wrote are in it.
"""

from __future__ import annotations

from typing import Any

from ...learn.caps import CapClaimed
from ...learn.rules import RulesInUse
from ...messages import (
    Answer,
    DriftChanged,
    ErasureOrdered,
    InputRejected,
    LabelDisputed,
    LabelRequested,
    LabelSettled,
    Message,
    ModelAdopted,
    ModelKept,
    ModelRolledBack,
    Output,
    QuestionChanged,
    RequestExpired,
    RequestRescored,
    RequestWithdrawn,
    RetrainRequested,
    RollBackOrdered,
    RoundClosed,
    RoundOpened,
    RoundOrdered,
    SubjectErased,
    Withdrawal,
)
from ...query.orders import Order

TEXT_MAX = 500

Entry = dict[str, Any]

_ASKED = "reason strategy propensity control_p round_n model_version answers_wanted opinion_n"
_COMPARED = "job_id model_version champion_right challenger_right labels_n"
_COPIED: dict[type[Message], tuple[str, str]] = {
    LabelRequested: ("asked", f"request_id at deadline {_ASKED}"),
    RequestRescored: ("rescored", "request_id at priority withdrawn"),
    RequestWithdrawn: ("withdrawn", "request_id at reason"),
    RequestExpired: ("expired", "request_id at answers_n"),
    LabelSettled: (
        "settled",
        "request_id at label answers_n agreement revision is_late opinion_n confirms",
    ),
    LabelDisputed: ("disputed", "request_id at reason answers revision opinion_n"),
    DriftChanged: ("drift", "at level previous signal detector statistic"),
    RoundOpened: ("round_opened", "round_n at reason pool_n wanted_n order_key order_reason"),
    RoundClosed: ("round_closed", "round_n at asked_n"),
    RetrainRequested: ("retraining_opened", "job_id at reason examples_n model_version"),
    ModelAdopted: ("challenger_adopted", f"at {_COMPARED}"),
    ModelKept: ("challenger_rejected", "at job_id reason champion_right challenger_right labels_n"),
    ModelRolledBack: ("challenger_rolled_back", f"at {_COMPARED} to order_key order_reason"),
    Answer: ("answered", "request_id at label annotator"),
    Withdrawal: ("withdrawal", "request_id at reason"),
    RoundOrdered: ("round_ordered", "at labels_n key reason by"),
    ErasureOrdered: ("erasure_ordered", "at key by desk"),
    RollBackOrdered: ("roll_back_ordered", "at to key reason by"),
    SubjectErased: ("erased", "at key erased is_refitted"),
    CapClaimed: ("cap_claimed", "partition number spent_n cap spent_money money partitions_n"),
    RulesInUse: ("rules_in_use", "parts"),
    InputRejected: ("refused", "at reason input_id"),
}
"""Of each message what it is called in the log, and the fields that an entry copies."""


def entry_of(
    message: Output | Answer | Withdrawal | Order | CapClaimed | RulesInUse, **more: Any
) -> Entry:
    """The entry about a message, with `more` beside.

    >>> entry_of(RequestExpired(request_id="r1", event_id="e1", at=9.0, answers_n=0))
    {'what': 'expired', 'request_id': 'r1', 'at': 9.0, 'answers_n': 0}
    """
    if isinstance(message, QuestionChanged):
        message = message.record  # to annotators it is a request, or its end
    what, names = _COPIED[type(message)]
    return (
        {"what": what}
        | {name: _shorten_value(getattr(message, name)) for name in names.split()}
        | more
    )


def _shorten_value(value: Any) -> Any:
    if isinstance(value, str):
        return value[:TEXT_MAX]
    if isinstance(value, dict):
        return {str(key)[:TEXT_MAX]: n for key, n in value.items()}
    return value
