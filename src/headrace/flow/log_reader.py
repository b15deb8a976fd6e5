"""Logs read forwards, each from its own place, as routines: their driver does the I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from .effects import Find, Look, Part, Read, Routine
from .places import check_place


class LogReader:
    """Reads some parts forwards, each from its own place.

    `lost` says, by part, how many of the wanted records were deleted before its first one; `ends`
    is where each part ended when `go_to_starts` ran.
    """

    def __init__(self, starts: Mapping[Part, int]) -> None:
        self._places = dict(starts)
        self._ahead: dict[Part, deque[Any]] = {part: deque() for part in starts}
        self.lost: dict[Part, int] = {}
        self.ends: dict[Part, int] = {}

    def go_to_starts(self) -> Routine[None]:
        """Go to the start of each part, or to the first record that is still there.

        Raises `BadInput` for a start beyond the end: that is another log.
        """
        bounds = yield Look(tuple(self._places))
        for part, start in self._places.items():
            first, end = bounds[part].first, bounds[part].end
            check_place(part, start, end)
            self.ends[part], self.lost[part] = end, max(0, first - start)
            self._places[part] = max(start, first)

    def read_piece(self, part: Part, stop: int) -> Routine[list[Any]]:
        """Return records before offset `stop` that were not read yet; empty if none is left.

        They must have been written already: this waits for them.
        """
        yield from self._read_ahead(part, stop)
        ahead, piece = self._ahead[part], []
        while ahead and ahead[0].offset < stop:
            piece.append(ahead.popleft())
        return piece

    def read_next(self, part: Part, stop: int) -> Routine[Any | None]:
        """Return the next record before offset `stop`; None if there is none left."""
        yield from self._read_ahead(part, stop)
        ahead = self._ahead[part]
        return ahead.popleft() if ahead and ahead[0].offset < stop else None

    def go_to_offset(self, part: Part, start: int) -> None:
        """Go on from this offset, wherever the part was read up to."""
        ahead = self._ahead[part]
        if ahead and ahead[0].offset <= start <= ahead[-1].offset:
            while ahead[0].offset < start:
                ahead.popleft()
            return
        ahead.clear()
        self._places[part] = start

    def _read_ahead(self, part: Part, stop: int) -> Routine[None]:
        if not self._ahead[part] and self._places[part] < stop:
            records, self._places[part] = yield Read(part, self._places[part], stop)
            self._ahead[part].extend(records)


def read_since(parts: tuple[Part, ...], since_ms: int) -> Routine[list[Any]]:
    """Return all records of these parts that were written since a moment, in milliseconds."""
    starts = yield Find(parts, since_ms)
    logs, read = LogReader(starts), list[Any]()
    yield from logs.go_to_starts()
    for part in parts:
        while piece := (yield from logs.read_piece(part, logs.ends[part])):
            read += piece
    return read
