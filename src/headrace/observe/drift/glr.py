"""Being wrong more often than expected: a windowed generalised likelihood ratio for yes and no.

Lai, "Sequential changepoint detection in quality control and dynamical systems", JRSS B 57, 1995.
What is expected of each number is told (a guess that was made on arrival), or it is the share among
the numbers before. One watch of labels; how high its line is comes from `lines`.
"""

from __future__ import annotations

import math
from collections import deque

SCALES = (5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160)
"""The newest so many numbers are each compared with what was expected of them."""

MEMORY_N = 400
"""Numbers remembered; what is before the newest is what they are compared with, if not told."""

BEFORE_MIN = 30
"""So many numbers there must be before the newest, where nothing is expected of them."""

RISE = 0.03
"""A share this little above the expected one is no news: guesses are not that exact."""

_LEAST, _SURE = 1e-6, 1.0 - 1e-6
"""No chance counts as lower than the one, or as higher than the other."""


class Glr:
    """The statistic after each number, in nats: how much likelier a higher share is than expected.

    The largest over the newest m numbers, m of `SCALES`. With shares p found and q expected, it is
    m * KL(p | q + rise) where something was expected, else the same for both sides of the cut, each
    against the share of both together. Only a rise counts.

    >>> glr = Glr(rise=0.0)
    >>> for i in range(200):
    ...     glr.step(i % 10 == 0, 0.1, at=float(i))
    >>> glr.statistic < 1.0
    True
    >>> for i in range(200, 210):
    ...     glr.step(i % 2 == 0, 0.1, at=float(i))
    >>> glr.statistic > 4.0, glr.since
    (True, 200.0)
    """

    __slots__ = ("_at", "_expected", "_hits", "newest_n", "rise", "since", "statistic")

    def __init__(self, rise: float = RISE) -> None:
        self.rise = rise
        self.statistic = 0.0
        # How many of the newest numbers say so, and the date of the first of them, seconds.
        self.newest_n = 0
        self.since = 0.0
        self._at: deque[float] = deque(maxlen=MEMORY_N)
        self._hits: deque[int] = deque(maxlen=MEMORY_N)
        self._expected: deque[float] = deque(maxlen=MEMORY_N)

    def step(self, is_hit: bool, expected: float | None, at: float) -> None:
        """Take in one yes or no, with the chance of a yes that was expected; none: not known."""
        self._at.append(at)
        self._hits.append(int(is_hit))
        self._expected.append(math.nan if expected is None else expected)
        self.statistic, self.newest_n = 0.0, 0
        hits, n = list(self._hits), len(self._hits)
        # Only where nothing is expected are the numbers before the newest looked at.
        expectations, total = (list(self._expected), 0) if expected is not None else ([], sum(hits))
        found, sure, start = 0, 0.0, n
        for newest_n in SCALES:
            if newest_n > n:
                break
            found += sum(hits[n - newest_n : start])
            if expected is not None:
                sure += sum(expectations[n - newest_n : start])
            start = n - newest_n
            if expected is not None:
                wanted = sure / newest_n + self.rise
                if found / newest_n <= wanted < _SURE:
                    continue  # The usual case: no gain.
                gain = _told(found, newest_n, wanted)
            else:
                gain = compare_shares(found, newest_n, total - found, n - newest_n, self.rise)
            if gain > self.statistic:
                self.statistic, self.newest_n = gain, newest_n
                self.since = self._at[-newest_n]

    def restart(self) -> None:
        """Forget the numbers; the statistic is told until the next one comes."""
        self._at.clear()
        self._hits.clear()
        self._expected.clear()


def _told(hits_n: int, n: int, expected: float) -> float:
    share = hits_n / n
    if not _LEAST <= expected <= _SURE:
        expected = min(max(expected, _LEAST), _SURE)
    return n * _measure_divergence(share, expected) if share > expected else 0.0


def compare_shares(
    hits_n: int, n: int, hits_before_n: int, before_n: int, rise: float = RISE
) -> float:
    """How much likelier two shares are than one, in nats; 0 where the later one is no rise."""
    if before_n < BEFORE_MIN or hits_n / n <= hits_before_n / before_n + rise:
        return 0.0
    both = (hits_n + hits_before_n) / (n + before_n)
    return n * _measure_divergence(hits_n / n, both) + before_n * _measure_divergence(
        hits_before_n / before_n, both
    )


def _measure_divergence(p: float, q: float) -> float:
    """Kullback and Leibler's, of a coin of p from a coin of q; nats."""
    yes = p * math.log(p / q) if p > 0.0 else 0.0
    no = (1.0 - p) * math.log((1.0 - p) / (1.0 - q)) if p < 1.0 else 0.0
    return yes + no
