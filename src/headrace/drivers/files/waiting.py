"""The answers file of a run: which line comes next, and which wait for their request to be asked.

What it gives depends on the file and on what was fed before, never on how the file is read.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from ...adapters.journal import Spans
from ...adapters.jsonl import Tail
from ...messages import InputRejected
from ...observe.answers import AnswersDecoder

PIECE_N = 512
"""Lines fed at once."""

WAITING_MAX = 10_000
"""Answers that wait for their request at most; then the oldest is fed, and rejected."""


@dataclass(frozen=True, slots=True, order=True)
class Waiting:
    """A line of the answers file that was not fed yet; minus infinity if it holds no answer.

    A line with several answers is fed at the time of the last, when all their requests are known.
    """

    at: float
    start: int
    line: bytes = field(compare=False)
    request_ids: tuple[str, ...] = field(compare=False, default=())


class Answers:
    """The next lines of the answers file: those whose request is known by time, and the others.

    `fed` is what was fed of the file before, in whichever order; `is_known` tells of a request id
    whether it was asked.
    """

    def __init__(
        self,
        tail: Tail | None = None,
        fed: Spans | None = None,
        is_known: Callable[[str], bool] = lambda request_id: True,
        decoder: AnswersDecoder | None = None,
    ) -> None:
        self.tail = tail
        self._fed = fed or Spans()
        self._is_known = is_known
        self._decoder = decoder or AnswersDecoder()
        self._known: list[Waiting] = []
        self._unknown: dict[int, Waiting] = {}
        self._starts: dict[str, list[int]] = {}

    @property
    def earliest(self) -> float | None:
        """The time of the next answer whose request is known."""
        return self._known[0].at if self._known else None

    @property
    def unknown_n(self) -> int:
        return len(self._unknown)

    @property
    def is_full(self) -> bool:
        return len(self._known) + len(self._unknown) >= WAITING_MAX

    def fill(self, *, is_final: bool) -> None:
        """Read on, up to the limit."""
        while self.tail is not None and not self.is_full:
            lines = self.tail.peek(1, is_final=is_final)
            if not lines:
                return
            start = self.tail.position
            self.tail.advance(1)
            if start not in self._fed:
                self._add_line(start, lines[0])

    def asked(self, request_id: str) -> None:
        """A request was asked: answers to it wait no longer but for their time."""
        for start in self._starts.pop(request_id, ()):
            self._place_line(self._unknown.pop(start), request_id)

    def due(self, until: float) -> list[Waiting]:
        """Take the next answers at or before `until` that stand one after the other."""
        found: list[Waiting] = []
        while self._known and self._known[0].at <= until and len(found) < PIECE_N:
            if found and self._known[0].start != found[-1].start + len(found[-1].line):
                break
            found.append(heapq.heappop(self._known))
        return found

    def oldest_unknown(self, n: int) -> list[Waiting]:
        """Take the first answers to no known request, at most n that stand one after the other."""
        found: list[Waiting] = []
        for start, waiting in list(self._unknown.items())[:n]:
            if found and start != found[-1].start + len(found[-1].line):
                break
            found.append(waiting)
        for waiting in found:
            del self._unknown[waiting.start]
            for request_id in waiting.request_ids:
                starts = self._starts.get(request_id, [])
                if waiting.start in starts:
                    starts.remove(waiting.start)
                    if not starts:
                        del self._starts[request_id]
        return found

    def _add_line(self, start: int, line: bytes) -> None:
        found = self._decoder.decode([line.removesuffix(b"\n")], positions=[start])
        answers = [one for one in found if not isinstance(one, InputRejected)]
        at = max((one.at for one in answers), default=-math.inf)
        ids = tuple(dict.fromkeys(one.request_id for one in answers))
        self._place_line(Waiting(at, start, line, ids))

    def _place_line(self, waiting: Waiting, asked: str | None = None) -> None:
        """Where a line waits: for its time, or for the first of its requests that is not known.

        `asked` is a request that was asked just now.
        """
        for request_id in waiting.request_ids:
            if request_id != asked and not self._is_known(request_id):
                self._unknown[waiting.start] = waiting
                self._starts.setdefault(request_id, []).append(waiting.start)
                return
        heapq.heappush(self._known, waiting)
