"""The answers file of a run: which line comes next, and which wait for their request to be asked.

The order depends on the file and on what was fed before, never on how the file is read.
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
"""How many lines are fed at once at most."""

WAITING_MAX = 10_000
"""How many answers wait at most; then the oldest without a request is fed, and rejected."""


@dataclass(frozen=True, slots=True, order=True)
class WaitingLine:
    """A line of the answers file that was not fed yet; `at` is minus infinity without an answer.

    A line with several answers is fed at the time of the last, when all their requests are known.
    """

    at: float
    start: int
    line: bytes = field(compare=False)
    request_ids: tuple[str, ...] = field(compare=False, default=())


class Answers:
    """The next lines of the answers file, `tail`: by time if their request is known, and others.

    `fed` are the spans of the file that were fed before, in whichever order; `is_known` returns
    whether the request of an id was asked; `decoder` decodes answers.
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
        self._known: list[WaitingLine] = []
        self._unknown: dict[int, WaitingLine] = {}
        self._starts: dict[str, list[int]] = {}

    @property
    def earliest(self) -> float | None:
        """The time of the next answer whose request is known; None for no such answer."""
        return self._known[0].at if self._known else None

    @property
    def unknown_n(self) -> int:
        return len(self._unknown)

    @property
    def first_unknown(self) -> str:
        """The id of a request that was not asked, and that the first of those answers names."""
        ids = next(iter(self._unknown.values())).request_ids if self._unknown else ()
        return next((name for name in ids if not self._is_known(name)), "")

    @property
    def is_full(self) -> bool:
        return len(self._known) + len(self._unknown) >= WAITING_MAX

    def read_ahead(self, *, is_final: bool) -> None:
        """Read on, up to `WAITING_MAX`; `is_final` says that the file is complete."""
        while self.tail is not None and not self.is_full:
            lines = self.tail.peek(1, is_final=is_final)
            if not lines:
                return
            start = self.tail.position
            self.tail.advance(1)
            if start not in self._fed:
                self._add_line(start, lines[0])

    def note_request(self, request_id: str) -> None:
        """Note that a request was asked: answers to it now wait for their time alone."""
        for start in self._starts.pop(request_id, ()):
            self._place_line(self._unknown.pop(start), request_id)

    def pop_due(self, until: float) -> list[WaitingLine]:
        """Remove and return the next answers up to `until` that adjoin each other in the file."""
        lines: list[WaitingLine] = []
        while self._known and self._known[0].at <= until and len(lines) < PIECE_N:
            if lines and self._known[0].start != lines[-1].start + len(lines[-1].line):
                break
            lines.append(heapq.heappop(self._known))
        return lines

    def oldest_unknown(self, n: int) -> list[WaitingLine]:
        """Remove and return the first answers without a known request, at most n that adjoin."""
        lines: list[WaitingLine] = []
        for start, waiting in list(self._unknown.items())[:n]:
            if lines and start != lines[-1].start + len(lines[-1].line):
                break
            lines.append(waiting)
        for waiting in lines:
            del self._unknown[waiting.start]
            for request_id in waiting.request_ids:
                starts = self._starts.get(request_id, [])
                if waiting.start in starts:
                    starts.remove(waiting.start)
                    if not starts:
                        del self._starts[request_id]
        return lines

    def _add_line(self, start: int, line: bytes) -> None:
        decoded = self._decoder.decode([line.removesuffix(b"\n")], positions=[start])
        answers = [answer for answer in decoded if not isinstance(answer, InputRejected)]
        at = max((answer.at for answer in answers), default=-math.inf)
        ids = tuple(dict.fromkeys(answer.request_id for answer in answers))
        self._place_line(WaitingLine(at, start, line, ids))

    def _place_line(self, waiting: WaitingLine, asked: str | None = None) -> None:
        """Have a line wait for the first of its requests that is not known, or for its time.

        `asked` is a request that was asked just now.
        """
        for request_id in waiting.request_ids:
            if request_id != asked and not self._is_known(request_id):
                self._unknown[waiting.start] = waiting
                self._starts.setdefault(request_id, []).append(waiting.start)
                return
        heapq.heappush(self._known, waiting)
