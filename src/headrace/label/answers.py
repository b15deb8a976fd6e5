"""One answer by itself: what is wrong with it, and how it is shown when it is rejected."""

from __future__ import annotations

import math

import msgspec

from ..messages import Answer, InputRejected, Reason

TEXT_MAX = 200
RAW_MAX = 1_000


def fault_of(answer: Answer) -> str:
    """What is wrong with an answer by itself, as a sentence; empty when nothing is."""
    if not isinstance(answer.request_id, str):
        return "request_id must be text"
    if answer.label is not None and not (is_text(answer.label) and answer.label.strip()):
        return f"label must be text of 1 to {TEXT_MAX} characters, or null for cannot tell"
    if not is_text(answer.annotator):
        return f"annotator must be text of at most {TEXT_MAX} characters"
    try:
        is_moment = math.isfinite(answer.at)
    except (TypeError, OverflowError):
        is_moment = False
    return "" if is_moment else "at must be a finite number of seconds"


def is_text(value: object, length_max: int = TEXT_MAX) -> bool:
    """Text that is short enough, and that can be written in UTF-8: no lone surrogates."""
    if not isinstance(value, str) or len(value) > length_max:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def rejection_of(answer: Answer, at: float, reason: Reason, detail: str) -> InputRejected:
    """Why an answer was rejected at `at`, seconds, with the answer itself."""
    return InputRejected(
        reason=reason,
        detail=detail,
        at=at,
        input_id=answer.request_id if is_text(answer.request_id, RAW_MAX) else "",
        raw=_raw_of(answer),
    )


def _raw_of(answer: Answer) -> str:
    """The answer as JSON, so that a rejected label can be read and sent again; cut when long."""
    try:
        return msgspec.json.encode(answer).decode()[:RAW_MAX]
    except (TypeError, ValueError, OverflowError):
        return ""
