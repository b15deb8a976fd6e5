"""A watch for each annotator: an alarm when they name the settled label less often than before.

A comparison is a yes or no: whether the annotator's class is the label, the first time a request
that others answered too has one, or the known class of a gold question. A later correction does not
change it. The watch is the windowed generalised likelihood ratio of `observe.drift.glr` with
nothing expected: it compares the newest answers with those before. Its line allows at most one
false alarm in `ALARM_EVERY_N` compared answers of a steady annotator (`bench/annotator_drift.py`
checks it). After an alarm the older comparisons are forgotten, so the new level is the reference.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..observe.drift.glr import MEMORY_N, SCALES, compare_shares
from ..observe.drift.lines import nats

ALARM_EVERY_N = 10_000
"""The number of compared answers of one annotator with at most one false alarm."""

# 1.5 times the length: at first only a few answers tell how an annotator did before.
_LINE = nats(1.5 * ALARM_EVERY_N)
_MASKS = tuple((n, (1 << n) - 1) for n in SCALES)
_KEPT = (1 << MEMORY_N) - 1


@dataclass(frozen=True, slots=True)
class Fall:
    """Agreement fell at the time `at`, seconds: to `agreed_n` of the newest `n` comparisons, from
    `agreed_before_n` of the `before_n` comparisons before."""

    at: float
    agreed_n: int
    n: int
    agreed_before_n: int
    before_n: int


@dataclass(slots=True)
class Steadiness:
    """The latest `n` comparisons of one annotator, and the alarms they raised.

    `disagreed` has a bit for each comparison, 1 for a disagreement, the newest lowest. `falls_n` is
    the number of alarms so far, `fall` the latest.

    >>> watch = Steadiness()
    >>> for i in range(300):
    ...     watch.note_comparison(i % 10 != 0, at=float(i))
    >>> watch.falls_n
    0
    >>> for i in range(300, 330):
    ...     watch.note_comparison(i % 2 != 0, at=float(i))
    >>> watch.falls_n, watch.fall
    (1, Fall(at=318.0, agreed_n=10, n=20, agreed_before_n=269, before_n=299))
    """

    disagreed: int = 0
    n: int = 0
    falls_n: int = 0
    fall: Fall | None = None

    def note_comparison(self, has_agreed: bool, at: float) -> None:
        """Add one comparison with a settled label, at the time `at`, seconds."""
        self.disagreed = (self.disagreed << 1 | (not has_agreed)) & _KEPT
        self.n = min(self.n + 1, MEMORY_N)
        if has_agreed:
            return  # only a disagreement can raise the share of them
        total_n, best, fall = self.disagreed.bit_count(), 0.0, None
        for n, mask in _MASKS:
            if n >= self.n:
                break
            hits_n = (self.disagreed & mask).bit_count()
            before_n, hits_before_n = self.n - n, total_n - hits_n
            gain = compare_shares(hits_n, n, hits_before_n, before_n)
            if gain > best:
                best, fall = gain, Fall(at, n - hits_n, n, before_n - hits_before_n, before_n)
        if best >= _LINE and fall is not None:
            self.falls_n += 1
            self.fall = fall
            self.disagreed, self.n = 0, 0

    def add(self, other: Steadiness) -> None:
        """Add the alarms of another desk, for a report."""
        self.falls_n += other.falls_n
        falls = [fall for fall in (self.fall, other.fall) if fall is not None]
        self.fall = max(falls, key=lambda fall: fall.at, default=None)
