"""Decode the answers in a stream or a queue, one JSON object each, and turn them into replies."""

from __future__ import annotations

import msgspec

from ..messages import class_name
from .bridge import Reply


class QueueAnswer(msgspec.Struct, kw_only=True):
    """The fields of an answer; a `label` of null means that the annotator cannot tell."""

    request_id: str
    label: str | bool | int | float | None
    annotator: str = ""
    at: float | None = None


_ANSWERS = msgspec.json.Decoder(QueueAnswer)


def decode_answer(body: bytes) -> QueueAnswer:
    """Decode the answer in a message. Raises `ValueError`, which says what is wrong with it.

    >>> decode_answer(b'{"request_id": "r1", "label": "spam", "annotator": "eva"}').label
    'spam'
    >>> decode_answer(b'{"request_id": "r1"}')
    Traceback (most recent call last):
    ValueError: Object missing required field `label`
    """
    try:
        answer = _ANSWERS.decode(body)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ValueError(str(error)) from None
    if not answer.request_id:
        raise ValueError("request_id is empty")
    return answer


def make_reply(answer: QueueAnswer, reply_id: str, at: float) -> Reply:
    """Return the reply to hand on; `at` is the time of the message, if the answer has none."""
    return Reply(
        request_id=answer.request_id,
        label=None if answer.label is None else class_name(answer.label),
        at=at if answer.at is None else answer.at,
        annotator=answer.annotator,
        reply_id=reply_id,
    )
