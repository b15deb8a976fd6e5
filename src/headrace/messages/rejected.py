"""The message about an input that could not be used, and the closed list of reasons."""

from __future__ import annotations

from enum import StrEnum

from .base import Message


class Reason(StrEnum):
    """Why an input was rejected: the closed list of docs/REJECTS.md."""

    OVERSIZE = "oversize"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_AN_OBJECT = "not_an_object"
    NOT_DECODED = "not_decoded"
    LEFT_OUT = "left_out"
    NOT_JOINED = "not_joined"
    NO_ID = "no_id"
    BAD_ID = "bad_id"
    DUPLICATE_ID = "duplicate_id"
    NO_TIME = "no_time"
    BAD_TIME = "bad_time"
    FUTURE = "future"
    BAD_FEATURES = "bad_features"
    BAD_FIELD = "bad_field"
    BAD_PROBABILITIES = "bad_probabilities"
    BAD_BATCH = "bad_batch"
    NOT_SEALED = "not_sealed"
    BAD_ANSWER = "bad_answer"
    UNKNOWN_REQUEST = "unknown_request"
    LATE_ANSWER = "late_answer"
    TOO_MANY_CLASSES = "too_many_classes"
    TOO_MANY_ANSWERS = "too_many_answers"
    BAD_ORDER = "bad_order"
    NO_ROUND = "no_round"
    NO_VERSION = "no_version"


class InputRejected(Message, frozen=True, kw_only=True):
    """An input could not be used.

    Attributes:
        reason: Why, one of `Reason` (docs/REJECTS.md).
        detail: What is wrong, in words.
        at: When it was rejected, seconds since the epoch.
        input_id: The id of the event, request or order, as far as it could be read.
        source: Where the input came from, a file, or a topic and partition; empty for an object
            passed by a program.
        position: Its place there, a byte offset or an offset; -1 for an object passed by a program.
        raw: The start of the input as it came; empty where privacy hides it.

    >>> from headrace import Answer, Engine
    >>> [rejected] = Engine().feed([Answer(request_id="nobody asked", label="fine", at=60.0)])
    >>> str(rejected.reason), rejected.input_id
    ('unknown_request', 'nobody asked')
    """

    reason: str
    detail: str
    at: float
    input_id: str = ""
    source: str = ""
    position: int = -1
    raw: str = ""
