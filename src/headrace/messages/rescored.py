"""What became of an open question when the model had moved."""

from __future__ import annotations

from .base import Message


class RequestRescored(Message, frozen=True, kw_only=True):
    """The model has learned since a question was asked, and it matters more, or less, than it did.

    `priority` is 0 to 1: the part of the latest events that its event is more useful than now. With
    `withdrawn` nobody need answer it, for this reason; the desk ends it then, with the label if
    there are answers enough for one.
    """

    request_id: str
    at: float
    priority: float = 0.0
    withdrawn: str = ""
