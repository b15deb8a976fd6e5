"""A bounded queue of requests that are decided and wait for a label to spend."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from ..messages import LabelRequested

WAITING_MAX = 10_000
"""At most this many requests wait for money; beyond that the oldest is given up and counted."""


class Waiting:
    """The waiting requests, oldest first; `opinions_n` of them are second or third opinions."""

    def __init__(self) -> None:
        self.opinions_n = 0
        self.given_up_n = 0
        self._requests: deque[LabelRequested] = deque()

    @classmethod
    def of_state(
        cls, *, requests: deque[LabelRequested], opinions_n: int, given_up_n: int
    ) -> Waiting:
        """Return the queue of a state in which it was no object of its own."""
        queue = cls()
        queue.opinions_n, queue.given_up_n = opinions_n, given_up_n
        queue._requests = requests
        return queue

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def requests(self) -> tuple[LabelRequested, ...]:
        return tuple(self._requests)

    @property
    def first(self) -> LabelRequested | None:
        """The oldest request; None if nothing waits."""
        return self._requests[0] if self._requests else None

    def add(self, request: LabelRequested) -> LabelRequested | None:
        """Append a request; if there are too many, give up the oldest and return it."""
        oldest = None
        if len(self._requests) == WAITING_MAX:
            oldest = self.pop()
            self.given_up_n += 1
        self._requests.append(request)
        self.opinions_n += request.opinion_n > 1
        return oldest

    def pop(self) -> LabelRequested:
        """Remove the oldest request and return it."""
        request = self._requests.popleft()
        self.opinions_n -= request.opinion_n > 1
        return request

    def erase(self, request_ids: Collection[str]) -> list[LabelRequested]:
        """Give up the waiting requests that have these ids, and return them."""
        gone = [request for request in self._requests if request.request_id in request_ids]
        self._requests = deque(
            request for request in self._requests if request.request_id not in request_ids
        )
        self.opinions_n -= sum(request.opinion_n > 1 for request in gone)
        return gone
