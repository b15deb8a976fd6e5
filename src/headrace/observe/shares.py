"""The distribution of one feature in the window and in the sample of the past, in a few bins.

It is for display, not for tests: `detectors` compares finer. Bins have numbers instead of the
categories' own texts, so that they can be used where only a closed list of names is allowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

Counted: TypeAlias = tuple[NDArray[np.float64], NDArray[np.int64]]

BINS_N = 8
MISSING = "missing"
OTHER = "other"
BINS = (*(str(i) for i in range(1, BINS_N + 1)), OTHER, MISSING)
"""All names that a bin can have."""


class FeatureShares(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of the events by bin in `past`, the reference, and in `now`; each adds up to 1.

    For numbers, bin "1" is below the first of `borders`, bin "2" from there to below the second and
    so on; the borders are the past's octiles, equal ones taken once. For categories the bins are
    the most frequent ones of the past, in falling order, and "other". The last bin is "missing".
    """

    bins: tuple[str, ...]
    past: tuple[float, ...]
    now: tuple[float, ...]
    borders: tuple[float, ...] = ()


def shares_of_numbers(
    borders: Sequence[float], past: Sequence[int], now: Sequence[int]
) -> FeatureShares:
    """Return shares from counts by bin, "missing" being the last; the borders rise.

    >>> shares_of_numbers([2.0, 4.0], [2, 2, 4, 0], [1, 0, 1, 2]).now
    (0.25, 0.0, 0.25, 0.5)
    """
    return FeatureShares(
        bins=(*BINS[: len(borders) + 1], MISSING),
        past=_divide_counts(past),
        now=_divide_counts(now),
        borders=tuple(borders),
    )


def shares_of_categories(past: Counted, now: Counted, missing_n: tuple[int, int]) -> FeatureShares:
    """Return shares from category codes and their counts in past and now, and missing values.

    >>> past = np.array([0.0, 1.0, 3.0]), np.array([1, 1, 2])
    >>> shares_of_categories(past, (np.array([2.0, 3.0]), np.array([1, 1])), (0, 0)).now
    (0.5, 0.0, 0.0, 0.5, 0.0)
    """
    codes, frequencies = past
    shown = codes[np.lexsort((codes, -frequencies))][:BINS_N].tolist()
    counts = []
    for (seen, seen_n), gone_n in zip((past, now), missing_n, strict=True):
        count_of = dict(zip(seen.tolist(), seen_n.tolist(), strict=True))
        shown_n = [count_of.get(code, 0) for code in shown]
        counts.append([*shown_n, sum(count_of.values()) - sum(shown_n), gone_n])
    return FeatureShares(
        bins=(*BINS[: len(shown)], OTHER, MISSING),
        past=_divide_counts(counts[0]),
        now=_divide_counts(counts[1]),
    )


def _divide_counts(counts: Sequence[int]) -> tuple[float, ...]:
    total_n = max(1, sum(counts))
    return tuple(count / total_n for count in counts)
