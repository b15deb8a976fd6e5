"""The answers file of a run: which line comes next, and which wait for their request to be asked.

What it gives depends on the file and on what was fed before, never on how the file is read.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from ..adapters.journal import Spans
from ..adapters.jsonl import Tail
from ..messages import InputRejected
from ..observe.decode import decode_answers
from ..settings import AnswersSettings

PIECE_N = 512
"""Lines fed at once."""

WAITING_MAX = 10_000
"""Answers that wait for their request at most; then the oldest is fed, and rejected."""


@dataclass(frozen=True, slots=True, order=True)
class Waiting:
    """A line of the answers file that was not fed yet; minus infinity if it holds no answer."""

    at: float
    start: int
    line: bytes = field(compare=False)
    request_id: str = field(compare=False, default="")


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
        settings: AnswersSettings | None = None,
    ) -> None:
        self.tail = tail
        self._fed = fed or Spans()
        self._is_known = is_known
        self._settings = settings
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
                self._add(start, lines[0])

    def asked(self, request_id: str) -> None:
        """A request was asked: answers to it wait no longer but for their time."""
        for start in self._starts.pop(request_id, ()):
            heapq.heappush(self._known, self._unknown.pop(start))

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
            starts = self._starts[waiting.request_id]
            starts.remove(waiting.start)
            if not starts:
                del self._starts[waiting.request_id]
        return found

    def _add(self, start: int, line: bytes) -> None:
        answers = decode_answers([line.removesuffix(b"\n")], settings=self._settings)
        answer = next(iter(answers), None)
        if answer is None or isinstance(answer, InputRejected):
            heapq.heappush(self._known, Waiting(-math.inf, start, line))
            return
        waiting = Waiting(answer.at, start, line, answer.request_id)
        if self._is_known(answer.request_id):
            heapq.heappush(self._known, waiting)
        else:
            self._unknown[start] = waiting
            self._starts.setdefault(answer.request_id, []).append(start)
