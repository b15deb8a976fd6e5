"""A windowed generalised likelihood ratio of yes and no: is there more yes than expected?

Lai, "Sequential changepoint detection in quality control and dynamical systems", JRSS B 57, 1995.
The expected chance of a yes is passed with each number (a guess made on arrival), or it is the
share among the numbers before. Watches of labels use it; `lines` computes the height of its line.
"""

from __future__ import annotations

import math
from collections import deque

SCALES = (5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160)
"""The newest 5, 7, ... numbers are each compared with what was expected of them."""

MEMORY_N = 400
"""Numbers remembered; without expectations the newest are compared with those before them."""

BEFORE_MIN = 30
"""Without expectations, at least this many numbers must come before the newest."""

RISE = 0.03
"""A share must exceed the expected one by this much: guesses are not more exact than that."""

_LEAST, _SURE = 1e-6, 1.0 - 1e-6
"""Expected chances are clipped to these limits."""


class Glr:
    """The statistic after each number, in nats: how much likelier a higher share is than expected.

    It is the largest over the newest m numbers, m in `SCALES`. With observed share p and expected
    share q it is m * KL(p | q + rise). Without an expectation it is the sum, over both sides of the
    cut, of number * KL(share | share of both together). Only a rise counts.

    >>> glr = Glr(rise=0.0)
    >>> for i in range(200):
    ...     glr.add_outcome(i % 10 == 0, 0.1, at=float(i))
    >>> glr.statistic < 1.0
    True
    >>> for i in range(200, 210):
    ...     glr.add_outcome(i % 2 == 0, 0.1, at=float(i))
    >>> glr.statistic > 4.0, glr.since
    (True, 200.0)
    """

    __slots__ = ("_at", "_expected", "_hits", "newest_n", "rise", "since", "statistic")

    def __init__(self, rise: float = RISE) -> None:
        self.rise = rise
        self.statistic = 0.0
        # The m with the largest statistic, and the time of the first of these numbers, seconds.
        self.newest_n = 0
        self.since = 0.0
        self._at: deque[float] = deque(maxlen=MEMORY_N)
        self._hits: deque[int] = deque(maxlen=MEMORY_N)
        self._expected: deque[float] = deque(maxlen=MEMORY_N)

    def add_outcome(self, is_hit: bool, expected: float | None, at: float) -> None:
        """Add one yes or no at time `at`, seconds, with the expected chance of a yes, if known."""
        self._at.append(at)
        self._hits.append(int(is_hit))
        self._expected.append(math.nan if expected is None else expected)
        self.statistic, self.newest_n = 0.0, 0
        hits, n = list(self._hits), len(self._hits)
        # Numbers before the newest matter only without expectations.
        expectations, total = (list(self._expected), 0) if expected is not None else ([], sum(hits))
        hits_n, expected_hits_n, start = 0, 0.0, n
        for newest_n in SCALES:
            if newest_n > n:
                break
            hits_n += sum(hits[n - newest_n : start])
            if expected is not None:
                expected_hits_n += sum(expectations[n - newest_n : start])
            start = n - newest_n
            if expected is not None:
                bar = expected_hits_n / newest_n + self.rise
                if hits_n / newest_n <= bar < _SURE:
                    continue  # The usual case: no gain.
                gain = _gain_over(hits_n, newest_n, bar)
            else:
                gain = compare_shares(hits_n, newest_n, total - hits_n, n - newest_n, self.rise)
            if gain > self.statistic:
                self.statistic, self.newest_n = gain, newest_n
                self.since = self._at[-newest_n]

    def restart(self) -> None:
        """Forget the numbers; the statistic stays until the next number."""
        self._at.clear()
        self._hits.clear()
        self._expected.clear()


def _gain_over(hits_n: int, n: int, expected: float) -> float:
    share = hits_n / n
    if not _LEAST <= expected <= _SURE:
        expected = min(max(expected, _LEAST), _SURE)
    return n * _measure_divergence(share, expected) if share > expected else 0.0


def compare_shares(
    hits_n: int, n: int, hits_before_n: int, before_n: int, rise: float = RISE
) -> float:
    """Return how much likelier two shares are than one, in nats; 0 where the later is no rise.

    `hits_n` of the newest `n` numbers and `hits_before_n` of the `before_n` before them are a yes;
    the later share is a rise if it exceeds the earlier one by more than `rise`.
    """
    if before_n < BEFORE_MIN or hits_n / n <= hits_before_n / before_n + rise:
        return 0.0
    both = (hits_n + hits_before_n) / (n + before_n)
    return n * _measure_divergence(hits_n / n, both) + before_n * _measure_divergence(
        hits_before_n / before_n, both
    )


def _measure_divergence(p: float, q: float) -> float:
    """Return the Kullback-Leibler divergence of a coin with p from one with q, in nats."""
    yes = p * math.log(p / q) if p > 0.0 else 0.0
    no = (1.0 - p) * math.log((1.0 - p) / (1.0 - q)) if p < 1.0 else 0.0
    return yes + no
