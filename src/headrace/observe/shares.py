"""How one feature is distributed, in the window and in the sample of the past: a few bins each.

For the eye, not for tests: `detectors` compares finer. Bins have numbers, never the categories' own
texts, so that they can stand where only a closed list may.
"""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from .signals import known

BINS_N = 8
MISSING = "missing"
OTHER = "other"
BINS = (*(str(i) for i in range(1, BINS_N + 1)), OTHER, MISSING)
"""All names that a bin can have."""


class FeatureShares(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of the events by bin, of either side 1 in all: the `past` is the reference.

    Of numbers, bin "1" is below the first of `borders`, bin "2" from there to below the second and
    so on; the borders are the past's octiles, equal ones taken once. Of categories the bins are the
    most frequent of the past, the first being the most frequent, and "other". The last bin is
    "missing".
    """

    bins: tuple[str, ...]
    past: tuple[float, ...]
    now: tuple[float, ...]
    borders: tuple[float, ...] = ()


def shares_of_numbers(past: NDArray[np.float64], now: NDArray[np.float64]) -> FeatureShares:
    """Of two sorted columns, NaN last, neither empty.

    >>> found = shares_of_numbers(np.arange(16.0), np.array([0.0, 15.0, np.nan, np.nan]))
    >>> found.borders
    (2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0)
    >>> found.now
    (0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.25, 0.5)
    """
    before, after = known(past), known(now)
    places = (np.arange(1, BINS_N) * len(before)) // BINS_N
    borders = list(dict.fromkeys(before[places].tolist())) if before.size else []
    return FeatureShares(
        bins=(*BINS[: len(borders) + 1], MISSING),
        past=_shares([*_binned(before, borders), len(past) - len(before)]),
        now=_shares([*_binned(after, borders), len(now) - len(after)]),
        borders=tuple(borders),
    )


def shares_of_categories(past: NDArray[np.float64], now: NDArray[np.float64]) -> FeatureShares:
    """Of two columns of category codes, NaN where missing, neither empty.

    >>> shares_of_categories(np.array([3.0, 3.0, 0.0, 1.0]), np.array([2.0, 3.0])).now
    (0.5, 0.0, 0.0, 0.5, 0.0)
    """
    codes, times = np.unique(past[~np.isnan(past)], return_counts=True)
    shown = codes[np.lexsort((codes, -times))][:BINS_N]
    counts = []
    for side in (past, now):
        named = [int(np.count_nonzero(side == code)) for code in shown.tolist()]
        missing_n = int(np.isnan(side).sum())
        counts.append([*named, len(side) - sum(named) - missing_n, missing_n])
    return FeatureShares(
        bins=(*BINS[: len(shown)], OTHER, MISSING), past=_shares(counts[0]), now=_shares(counts[1])
    )


def _binned(ordered: NDArray[np.float64], borders: list[float]) -> list[int]:
    ends = [0, *np.searchsorted(ordered, borders, side="left").tolist(), len(ordered)]
    return [b - a for a, b in pairwise(ends)]


def _shares(counts: list[int]) -> tuple[float, ...]:
    total_n = max(1, sum(counts))
    return tuple(count / total_n for count in counts)
