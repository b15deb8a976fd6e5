"""The lines of all watches, from "at most one false alarm in N events": closed forms, no state.

A watch has two lines. All watches together cross their *drift* lines by chance less than once in
2 N events, and their *warning* lines less than five times in N, or twice if all were watches of
labels: a suspicion is cheap, but the response to a confirmed drift is not. Each watch that can
raise a level has an equal part (Bonferroni), and divides it among the features or classes it tests.
The other half of the allowed false alarms is left for suspicions that coincide by chance.
`bench/false_alarms.py` measures how often lines are in fact crossed when nothing happens;
docs/DRIFT.md has the results.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

WARNINGS_IN_N = 5.0
# A warning of inputs may last long without harm; meanwhile one of labels alone makes a drift.
LABEL_WARNINGS_IN_N = 2.0
DRIFTS_IN_N = 0.5

# A likelihood ratio with the rise of `glr` exceeds c at a mean distance of at least
# _GLR_N * exp(c) steady numbers, whatever their share of yes (160,000 labels a cell; by
# bench/false_alarms.py). Without a rise theory says exp(c): Lorden, Ann. Math. Statist. 42, 1971.
_GLR_N = 2.3

# ADWIN, fed steady numbers in [0, 1], raises at most one alarm of a rise in
# _ADWIN_N * delta ** -_ADWIN_POWER of them (200,000 numbers a cell; by bench/false_alarms.py).
_ADWIN_N = 1_500.0
_ADWIN_POWER = 1.25
_ADWIN_DELTA_MAX = 0.9

_TESTS_MIN = 20.0
"""No line is lower than that for one false alarm in this many labels or tests."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Computes the lines of a watch, so that there is one false alarm in `every_n` events at most.

    Windowed tests run every `check_every_n` events. There are `watches_n` watches, of which
    `drift_watches_n` may raise DRIFT by themselves.

    >>> lines = Lines(every_n=10_000, check_every_n=500, watches_n=8, drift_watches_n=3)
    >>> round(lines.warning_p, 6), round(lines.glr_drift(0.05), 2)
    (0.03125, 7.17)
    """

    every_n: int
    check_every_n: int
    watches_n: int
    drift_watches_n: int

    @property
    def warning_p(self) -> float:
        """The probability with which one check may cross the warning line by chance."""
        checks_n = self.every_n / self.check_every_n
        return min(1.0 / _TESTS_MIN, WARNINGS_IN_N / checks_n / self.watches_n)

    def glr_warning(self, labels_per_event: float) -> float:
        """Return the warning line of a generalised likelihood ratio, in nats."""
        return self._draw_line(labels_per_event * self.watches_n / LABEL_WARNINGS_IN_N)

    def glr_drift(self, labels_per_event: float) -> float:
        """Return the drift line of a generalised likelihood ratio, in nats."""
        return self._draw_line(labels_per_event * self.drift_watches_n / DRIFTS_IN_N)

    def _draw_line(self, labels_per_event: float) -> float:
        return nats(max(_TESTS_MIN, self.every_n * labels_per_event))

    @property
    def adwin_delta(self) -> float:
        """The parameter `delta` of an ADWIN that is fed one number an event."""
        numbers_n = self.every_n * self.watches_n / WARNINGS_IN_N
        return min(_ADWIN_DELTA_MAX, math.pow(_ADWIN_N / numbers_n, 1.0 / _ADWIN_POWER))


def nats(every_n: float) -> float:
    """Return the line, nats, for at most one false alarm in `every_n` steady numbers."""
    return math.log(every_n / _GLR_N)


def upper_quantile(p: float) -> float:
    """Return what a standard normal number exceeds with probability p.

    >>> round(upper_quantile(0.025), 2)
    1.96
    """
    return -NormalDist().inv_cdf(min(max(p, 1e-300), 1.0 - 1e-16))
