"""The distribution of each feature in a sample of the past, compared with many windows.

For a numeric feature only the counts below some eighty places are kept, for a categorical one the
counts of its codes, so that a comparison sorts the newest events alone and a state stays small.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..shares import FeatureShares, shares_of_categories, shares_of_numbers
from .comparisons import ROWS_MIN, ks_noise, psi, psi_noise, psi_quantile

PARTS_N = 80
"""The knots cut the past into this many parts of equal share, which include tenths and eighths."""

_DECILES = slice(PARTS_N // 10 - 1, None, PARTS_N // 10)
_OCTILES = slice(PARTS_N // 8 - 1, None, PARTS_N // 8)
_BORDERS_MAX = 13  # Nine deciles, and one more after each value, at most four, of two or more.
_KNOTS_MAX = PARTS_N - 1 + 4


class Newest(NamedTuple):
    """Counts of the newest n events, to be compared with those of the past.

    `below` (d, knots) counts the values below each knot of numeric features, `known_n` (d,) the
    values that are not missing; `categories` has codes and counts, by the place of the feature.
    """

    n: int
    below: NDArray[np.int64]
    known_n: NDArray[np.int64]
    categories: dict[int, tuple[NDArray[np.float64], NDArray[np.int64]]]


class FeatureStatistics(NamedTuple):
    """A statistic of each feature, (d,), and what chance alone exceeds with the given p, (d,)."""

    statistic: NDArray[np.float64]
    noise: NDArray[np.float64]


class Marginals:
    """The distribution of each feature in n rows of the past, shape (n, d); NaN is missing.

    The bins of PSI lie between the past's deciles; a value that fills two or more deciles has a bin
    of its own, and missing values have another. Each category is a bin. KS is the largest distance
    at the knots, which are the past's 80-quantiles and the borders of the bins: at most 1/80 below
    the largest distance at all values.

    >>> rows = np.arange(2000.0)[:, np.newaxis] % 100
    >>> past = Marginals(rows, ["numeric"])
    >>> newest = past.count_newer(rows[:500].T + 50.0)
    >>> found = [past.compare_features(newest, test, 0.01) for test in ("ks", "psi")]
    >>> [bool(each.statistic[0] >= 0.5) for each in found]
    [True, True]
    """

    __slots__ = (
        "_border_places",
        "_borders_n",
        "_categories",
        "_knots",
        "_known_n",
        "_octiles",
        "_past_below",
        "kinds",
        "n",
    )

    def __init__(self, rows: NDArray[np.float64], kinds: Sequence[str]) -> None:
        self.kinds = tuple(kinds)
        self.n = len(rows)
        d = len(self.kinds)
        self._knots = np.full((d, _KNOTS_MAX), np.inf)
        self._past_below = np.zeros((d, _KNOTS_MAX), np.int64)
        self._known_n = np.zeros(d, np.int64)
        # The places of the bins' borders among the knots; unused ones point to the end.
        self._border_places = np.full((d, _BORDERS_MAX), _KNOTS_MAX, np.int64)
        self._borders_n = np.zeros(d, np.int64)
        self._octiles = np.full((d, 7), np.inf)
        self._categories: dict[int, tuple[NDArray[np.float64], NDArray[np.int64]]] = {}
        ordered = np.sort(rows.T, axis=1)
        for j, kind in enumerate(self.kinds):
            known = ordered[j, : len(rows) - np.count_nonzero(np.isnan(ordered[j]))]
            self._known_n[j] = len(known)
            if kind == "categorical":
                self._categories[j] = np.unique(known, return_counts=True)
            elif len(known):
                self._cut_feature(j, known)

    def _cut_feature(self, j: int, known: NDArray[np.float64]) -> None:
        """Place the knots of numeric feature j; `known` are its past values, sorted."""
        quantiles = known[(np.arange(1, PARTS_N) * len(known)) // PARTS_N]
        deciles, deciles_n = np.unique(quantiles[_DECILES], return_counts=True)
        borders = np.sort(np.concatenate([deciles, np.nextafter(deciles[deciles_n > 1], np.inf)]))
        knots = np.unique(np.concatenate([quantiles, borders]))
        self._knots[j, : len(knots)] = knots
        self._past_below[j] = known.searchsorted(self._knots[j])
        self._borders_n[j] = len(borders)
        self._border_places[j, : len(borders)] = knots.searchsorted(borders)
        self._octiles[j] = quantiles[_OCTILES]

    def count_newer(self, columns: NDArray[np.float64]) -> Newest:
        """Count newer events by knots and codes; `columns` (d, m) are sorted in place."""
        columns.sort(axis=1)
        known_n = columns.shape[1] - np.isnan(columns).sum(axis=1)
        below = np.zeros((len(columns), _KNOTS_MAX), np.int64)
        categories = {}
        for j, column in enumerate(columns):
            if j in self._categories:
                known = column[: known_n[j]]
                categories[j] = np.unique(known, return_counts=True)
            else:
                below[j] = column.searchsorted(self._knots[j])
        return Newest(columns.shape[1], below, known_n, categories)

    def compare_features(self, newest: Newest, test: str, p: float) -> FeatureStatistics:
        """Run the test `psi` or `ks` on each feature; chance exceeds a noise with probability p."""
        return self._compare_psi(newest, p) if test == "psi" else self._compare_ks(newest, p)

    def _compare_psi(self, newest: Newest, p: float) -> FeatureStatistics:
        before = self._bin_values(self._past_below, self._known_n, self.n)
        after = self._bin_values(newest.below, newest.known_n, newest.n)
        # The last bin counts missing values, if there are any.
        is_bin = np.arange(_BORDERS_MAX + 2) <= self._borders_n[:, np.newaxis]
        is_bin[:, -1] = (before[:, -1] > 0) | (after[:, -1] > 0)
        size = is_bin.sum(axis=1)
        half = 0.5 * size[:, np.newaxis]
        share_before = (before + 0.5) / (self.n + half)
        share_after = (after + 0.5) / (newest.n + half)
        terms = (share_before - share_after) * np.log(share_before / share_after)
        index = np.where(is_bin, terms, 0.0).sum(axis=1)
        noise = psi_quantile(size, p) * (1.0 / self.n + 1.0 / newest.n)
        for j in self._categories:
            counts = self._counts_of(j, newest)
            index[j], noise[j] = psi(*counts), psi_noise(*counts, p)
        return FeatureStatistics(index, noise)

    def _compare_ks(self, newest: Newest, p: float) -> FeatureStatistics:
        """Run `ks`; for categories and features with few known values the distance is 0."""
        is_compared = np.minimum(self._known_n, newest.known_n) >= ROWS_MIN
        is_compared[list(self._categories)] = False
        n, m = np.where(is_compared, (self._known_n, newest.known_n), 1)
        # In whole numbers of 1 / (n * m), so that equal samples are exactly 0 apart.
        distances = np.abs(self._past_below * m[:, np.newaxis] - newest.below * n[:, np.newaxis])
        distance = np.where(is_compared, distances.max(axis=1) / (n * m), 0.0)
        return FeatureStatistics(distance, ks_noise(n, m, p))

    def shares_of(self, j: int, newest: Newest) -> FeatureShares:
        """Return the distribution of feature j in the past and in the newest events."""
        past = self._known_n[j], self.n - self._known_n[j]
        now = newest.known_n[j], newest.n - newest.known_n[j]
        if j in self._categories:
            return shares_of_categories(
                self._categories[j], newest.categories[j], (int(past[1]), int(now[1]))
            )
        borders = np.unique(self._octiles[j]) if past[0] else np.zeros(0)
        places = self._knots[j].searchsorted(borders)
        sides = (self._past_below[j], *past), (newest.below[j], *now)
        counts = [
            [*np.diff(below[places], prepend=0, append=known_n).tolist(), int(missing_n)]
            for below, known_n, missing_n in sides
        ]
        return shares_of_numbers(borders.tolist(), counts[0], counts[1])

    def _bin_values(
        self, below: NDArray[np.int64], known_n: NDArray[np.int64], n: int
    ) -> NDArray[np.int64]:
        """Return counts by bin, shape (d, 15); the last two: above the last border, and missing."""
        ends = np.concatenate([below, known_n[:, np.newaxis]], axis=1)
        at_borders = np.take_along_axis(ends, self._border_places, axis=1)
        missing_n = (n - known_n)[:, np.newaxis]
        counts = np.diff(at_borders, axis=1, prepend=0, append=known_n[:, np.newaxis])
        return np.concatenate([counts, missing_n], axis=1)

    def _counts_of(self, j: int, newest: Newest) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the counts of categorical feature j by code, past and newest; missing last."""
        codes = np.union1d(self._categories[j][0], newest.categories[j][0])
        missing = self.n - self._known_n[j], newest.n - newest.known_n[j]
        sides = []
        for (seen, counts), missing_n in zip(
            (self._categories[j], newest.categories[j]), missing, strict=True
        ):
            aligned = np.zeros(len(codes) + any(missing), np.int64)
            aligned[codes.searchsorted(seen)] = counts
            aligned[len(codes) :] = missing_n
            sides.append(aligned)
        return sides[0], sides[1]
