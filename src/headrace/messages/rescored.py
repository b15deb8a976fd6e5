"""The message about an open question whose priority changed because the model learned."""

from __future__ import annotations

from .base import Message


class RequestRescored(Message, frozen=True, kw_only=True):
    """The model has learned since a question was asked, and now it matters more, or less.

    Attributes:
        request_id: The id of the request.
        at: When, seconds since the epoch.
        priority: The share of the latest events that are less useful now than the question's
            event, 0 to 1.
        withdrawn: Unless empty, the reason why nobody need answer any more; the desk then ends the
            request, with the label if there are answers enough for one.

    >>> RequestRescored(request_id="r1", at=60.0, priority=0.9).withdrawn
    ''
    """

    request_id: str
    at: float
    priority: float = 0.0
    withdrawn: str = ""
