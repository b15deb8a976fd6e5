"""Requests that are decided and wait for a label to spend, in order; bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from ..messages import LabelRequested

WAITING_MAX = 10_000
"""Requests that wait for money at most; the oldest is given up and counted."""


class Waiting:
    """The oldest first; `opinions_n` of them are for second or third opinions."""

    def __init__(self) -> None:
        self.opinions_n = 0
        self.given_up_n = 0
        self._requests: deque[LabelRequested] = deque()

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def requests(self) -> tuple[LabelRequested, ...]:
        return tuple(self._requests)

    @property
    def first(self) -> LabelRequested | None:
        """The oldest; None if nothing waits."""
        return self._requests[0] if self._requests else None

    def add(self, request: LabelRequested) -> LabelRequested | None:
        """One more; the oldest is given up for it, and returned, if there are too many."""
        oldest = None
        if len(self._requests) == WAITING_MAX:
            oldest = self.pop()
            self.given_up_n += 1
        self._requests.append(request)
        self.opinions_n += request.opinion_n > 1
        return oldest

    def pop(self) -> LabelRequested:
        """The oldest waits no longer."""
        request = self._requests.popleft()
        self.opinions_n -= request.opinion_n > 1
        return request

    def erase(self, request_ids: Collection[str]) -> list[LabelRequested]:
        """Give up those of these requests that wait; which."""
        gone = [one for one in self._requests if one.request_id in request_ids]
        self._requests = deque(one for one in self._requests if one.request_id not in request_ids)
        self.opinions_n -= sum(one.opinion_n > 1 for one in gone)
        return gone
