"""Checks of a single answer, the place of one without a time, and the message of a rejection."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from ..messages import Answer, InputRejected, LabelRequested, Reason
from .consensus import latest_of, voice

TEXT_MAX = 200
RAW_MAX = 1_000


def fault_of(answer: Answer) -> str:
    """The fault of an answer by itself, as a sentence; empty if it has none."""
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
    return "" if is_moment else "at must be a finite number of seconds, or a datetime with a zone"


def place_undated(answer: Answer, earlier: Sequence[Answer], request: LabelRequested) -> Answer:
    """Return an answer without a time (0.0, before it was asked) as later than what it corrects.

    Such answers of one voice count in the order of their arrival. One that says again what its
    voice said last is returned as that answer: it is a repetition.
    """
    if answer.at != 0.0 or request.at <= 0.0:
        return answer
    speaker = voice(answer, request.answers_wanted)
    before = [one for one in earlier if voice(one, request.answers_wanted) == speaker]
    if not before:
        return answer
    latest = latest_of(before)
    if latest.label == answer.label:
        return latest
    return msgspec.structs.replace(answer, at=math.nextafter(latest.at, math.inf))


def is_text(value: object, length_max: int = TEXT_MAX) -> bool:
    """Whether a value is text of at most `length_max` characters that UTF-8 can encode."""
    if not isinstance(value, str) or len(value) > length_max:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def rejection_of(answer: Answer, at: float, reason: Reason, detail: str) -> InputRejected:
    """The rejection of an answer at the time `at`, seconds; it contains the answer itself."""
    return InputRejected(
        reason=reason,
        detail=detail,
        at=at,
        input_id=answer.request_id if is_text(answer.request_id, RAW_MAX) else "",
        raw=_raw_of(answer),
    )


def _raw_of(answer: Answer) -> str:
    """The answer as JSON of at most `RAW_MAX` characters, so that it can be read and sent again."""
    try:
        return msgspec.json.encode(answer).decode()[:RAW_MAX]
    except (TypeError, ValueError, OverflowError):
        return ""
