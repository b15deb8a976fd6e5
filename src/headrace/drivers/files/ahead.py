"""The events' file of a run from where it was fed: its next lines, and their events' times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice

from ...adapters.jsonl import Tail
from .player import Player


class EventsAhead:
    """The lines that `tail` has next; `source` is the file's number in the journal."""

    def __init__(self, tail: Tail, source: int, player: Player) -> None:
        self.tail = tail
        self.source = source
        self._player = player
        # The times in the lines that wait, as far as they were asked for.
        self._times: list[list[float]] = []

    def advance(self, lines_n: int) -> None:
        """Go past lines that were fed."""
        self.tail.advance(lines_n)
        del self._times[:lines_n]

    def count_until(self, lines: Sequence[bytes], at: float) -> tuple[int, float]:
        """Return how many lines come before the clock reaches `at`, and its time at the next.

        The clock is a copy of the engine's: one event with a wild time feeds no answer.
        """
        self._read_times(lines)
        clock, before_n = self._player.engine.shard.admission.clock.copy(), 0
        for i, ats in enumerate(self._times[: len(lines)]):
            for n, when in enumerate(ats):
                clock.add_time(when)
                if n == 0 and clock.now >= at:
                    return before_n, clock.now
            before_n = i + 1 if ats else before_n
        return len(lines), -math.inf

    def _read_times(self, lines: Sequence[bytes]) -> None:
        """Note the times of the events in those lines whose times are not known yet."""
        if (decoder := self._player.decoder).is_joining:
            # A line's events depend on the lines before it, so no times are kept.
            self._times.clear()
        known_n = len(self._times)
        if known_n < len(lines):
            ahead = self._player.engine.shard.admission.halves.copy()
            decoded = decoder.decode(lines[known_n:], halves=ahead)
            ats = iter(decoded.batch.at.tolist())
            self._times += [list(islice(ats, events_n)) for events_n in decoded.events_n]
