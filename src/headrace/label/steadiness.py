"""An annotator who names the settled label less often than before: one watch a person.

Each request with a label that they and others gave a class to is one yes or no, taken when they are
first compared with its label; so is each gold question, with its known class. A later correction
changes nothing of it. The watch is the windowed generalised likelihood ratio of `observe.drift.glr`
with nothing expected: the newest answers against those before. At its line there is at most one
false alarm in `ALARM_EVERY_N` such answers of a steady annotator (`bench/annotator_drift.py` checks
it). An alarm forgets what was before, so that they are then compared with how they are now.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..observe.drift.glr import MEMORY_N, SCALES, compare_shares
from ..observe.drift.lines import nats

ALARM_EVERY_N = 10_000
"""At most one false alarm in so many compared answers of one annotator."""

# Half as far again: what an annotator did before is known from few answers at first.
_LINE = nats(1.5 * ALARM_EVERY_N)
_MASKS = tuple((n, (1 << n) - 1) for n in SCALES)
_KEPT = (1 << MEMORY_N) - 1


@dataclass(frozen=True, slots=True)
class Fall:
    """Agreement fell at `at`, seconds: to `agreed_n` of the newest `n`, from `before_n` before."""

    at: float
    agreed_n: int
    n: int
    agreed_before_n: int
    before_n: int


@dataclass(slots=True)
class Steadiness:
    """The latest `n` comparisons of one annotator, as bits: 1 is a disagreement, the newest lowest.

    `falls_n` alarms so far, of which `fall` is the latest.

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
        """Take in one comparison with a settled label, at `at`, seconds."""
        self.disagreed = (self.disagreed << 1 | (not has_agreed)) & _KEPT
        self.n = min(self.n + 1, MEMORY_N)
        if has_agreed:
            return  # only a disagreement can raise the share of them
        total_n, best, found = self.disagreed.bit_count(), 0.0, None
        for n, mask in _MASKS:
            if n >= self.n:
                break
            hits_n = (self.disagreed & mask).bit_count()
            before_n, hits_before_n = self.n - n, total_n - hits_n
            gain = compare_shares(hits_n, n, hits_before_n, before_n)
            if gain > best:
                best, found = gain, Fall(at, n - hits_n, n, before_n - hits_before_n, before_n)
        if best >= _LINE and found is not None:
            self.falls_n += 1
            self.fall = found
            self.disagreed, self.n = 0, 0

    def add(self, other: Steadiness) -> None:
        """Take in the alarms of another desk, for a report."""
        self.falls_n += other.falls_n
        falls = [fall for fall in (self.fall, other.fall) if fall is not None]
        self.fall = max(falls, key=lambda fall: fall.at, default=None)
