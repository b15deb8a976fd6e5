"""Can a linear classifier tell the newest rows from those of the past? All features together.

Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", ICLR 2017; Gözüaçık et al.,
"Unsupervised concept drift detection with a discriminative classifier", CIKM 2019. The means,
spreads and covariance of the past are computed once and used for many windows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .lines import upper_quantile

_CLIP = 4.0
_SQUARED_MAX = 20
"""With more features than this, their squares are left out: they would cost too much."""

_CATEGORIES_MAX = 5
"""At most this many values of a categorical feature, the most frequent ones, get a column."""


@dataclass(frozen=True, eq=False, slots=True)
class Separation:
    """The result of a domain classifier: the `auc` of telling recent rows from past ones.

    `spread` is the standard deviation of the AUC without a difference, as if both halves had the
    same result, which they nearly have; `share_of` (d,) is each feature's part in the difference.
    """

    auc: float
    spread: float
    share_of: NDArray[np.float64]

    def over_noise(self, p: float) -> float:
        """Return the excess of the AUC over 1/2 that chance alone exceeds with probability p."""
        return upper_quantile(p) * self.spread


class DomainClassifier:
    """Tells recent rows from n past rows, shape (n, d); NaN is missing.

    It is a shrunken linear discriminant on columns standardised by the past and, if there are few,
    their squares; trained on one half and judged on the other, both ways. The halves of the recent
    rows are the earlier and the later, so that a difference has to last; those of the past are
    every other row. The covariance is that of the past alone: without a difference the recent rows
    have the same, and with one the direction separates as well.

    The AUC is that of two normal distributions with the means and variances of the two sides'
    scores. Without a difference its mean is 1/2, and its variance at most about Mann and Whitney's
    for ranks, (n + m + 1) / (12 n m).

    >>> rows = np.column_stack([np.arange(200) % 7, np.arange(200) % 11]).astype(float)
    >>> classifier = DomainClassifier(rows, ["numeric", "numeric"])
    >>> told = classifier.compare_rows((rows + np.array([0.0, 8.0])).T)
    >>> told.auc > 0.9, int(told.share_of.argmax())
    (True, 1)
    """

    __slots__ = (
        "_codes",
        "_covariance",
        "_features",
        "_means",
        "_n",
        "_numbers",
        "_origin",
        "_precision",
        "_scales",
    )

    def __init__(self, rows: NDArray[np.float64], kinds: Sequence[str]) -> None:
        table = np.ascontiguousarray(rows.T)
        is_category = np.array([kind == "categorical" for kind in kinds], np.bool_)
        self._numbers = np.flatnonzero(~is_category)
        # Columns that are 1 where a feature has one code, or is missing (NaN), else 0.
        pairs = [(j, code) for j in range(len(table)) for code in _codes_of(table[j], kinds[j])]
        self._features = np.array([j for j, _ in pairs], np.intp)
        self._codes = np.array([code for _, code in pairs])[:, np.newaxis]
        is_squared = len(kinds) <= _SQUARED_MAX
        parts = [self._numbers] * (2 if is_squared else 1)
        self._origin = np.concatenate([*parts, self._features])
        # Mean and deviation: of the numeric features, then of all columns made of the features.
        self._scales: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        self._scales.append(_scale_of(table[self._numbers]))
        self._scales.append(_scale_of(self._expand(table, is_squared=is_squared)))
        columns = self._make_columns(table)
        halves = columns[:, ::2], columns[:, 1::2]
        self._n = (halves[0].shape[1], halves[1].shape[1])
        self._means = [half.mean(axis=1) for half in halves]
        within = [
            half - mean[:, np.newaxis] for half, mean in zip(halves, self._means, strict=True)
        ]
        deviations = np.ascontiguousarray(np.concatenate(within, axis=1).T)
        c, n = len(columns), len(deviations)
        self._covariance = np.einsum("ij,ik->jk", deviations, deviations) / max(1, n)
        shrunken = n / (n + 2.0 * c) * self._covariance
        shrunken[np.arange(c), np.arange(c)] = self._covariance.diagonal() + 1e-3
        self._precision = np.linalg.inv(shrunken)

    def compare_rows(self, columns: NDArray[np.float64]) -> Separation:
        """Compare the past with m > 1 recent rows, in their order, as columns of shape (d, m)."""
        table = self._make_columns(columns)
        half = table.shape[1] // 2
        halves = table[:, :half], table[:, half:]
        differences = [new.mean(axis=1) - old for new, old in zip(halves, self._means, strict=True)]
        aucs, variances, shares = [], [], np.zeros(len(columns))
        for learned, judged in ((0, 1), (1, 0)):
            direction = (self._precision * differences[learned]).sum(axis=1)
            scores = (halves[judged] * direction[:, np.newaxis]).sum(axis=0)
            separation = direction * differences[judged]
            variance = float((self._covariance * np.outer(direction, direction)).sum())
            aucs.append(_compute_auc(float(separation.sum()), variance + float(scores.var())))
            n, m = self._n[judged], len(scores)
            variances.append((n + m + 1) / (12.0 * n * m))
            np.add.at(shares, self._origin, np.maximum(separation, 0.0))
        spread = math.sqrt(sum(variances) / 2.0)
        return Separation(sum(aucs) / 2.0, spread, shares / max(shares.sum(), 1e-12))

    def _make_columns(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the standardised columns (c, m) of a table of features (d, m)."""
        is_squared = len(self._origin) > len(self._numbers) + len(self._features)
        return _standardise(self._expand(table, is_squared=is_squared), *self._scales[1])

    def _expand(self, table: NDArray[np.float64], *, is_squared: bool) -> NDArray[np.float64]:
        """Return standardised numbers, their squares, and indicators of codes; shape (c, m)."""
        z = _standardise(table[self._numbers], *self._scales[0])
        parts = [z, z * z] if is_squared else [z]
        if len(self._features):
            values = table[self._features]
            is_missing = np.isnan(self._codes) & np.isnan(values)
            parts.append(((values == self._codes) | is_missing).astype(np.float64))
        return np.concatenate(parts)


def _codes_of(column: NDArray[np.float64], kind: str) -> list[float]:
    """Return the codes of a feature that get a column: NaN if missing, frequent categories."""
    is_missing = np.isnan(column)
    missing = [math.nan] if is_missing.any() else []
    if kind != "categorical":
        return missing
    codes, counts = np.unique(column[~is_missing], return_counts=True)
    frequent: list[float] = codes[np.lexsort((codes, -counts))][:_CATEGORIES_MAX].tolist()
    return missing + frequent


def _scale_of(
    table: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and deviation of the known values of each row, (c, 1); infinite if all equal."""
    is_known = ~np.isnan(table)
    n = np.maximum(is_known.sum(axis=1, keepdims=True), 1)
    if is_known.all():
        mean = table.sum(axis=1, keepdims=True) / n
        differences = table - mean
    else:
        mean = np.where(is_known, table, 0.0).sum(axis=1, keepdims=True) / n
        differences = np.where(is_known, table - mean, 0.0)
    spread = np.sqrt((differences * differences).sum(axis=1, keepdims=True) / n)
    return mean, np.where(spread > 0.0, spread, np.inf)


def _standardise(
    table: NDArray[np.float64], mean: NDArray[np.float64], spread: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (table - mean) / spread, clipped to 4; 0 where missing or the past was constant."""
    z = table - mean
    z /= spread
    np.minimum(z, _CLIP, out=z)
    np.maximum(z, -_CLIP, out=z)
    # The sum is NaN if one of the numbers is, and faster than checking each.
    if np.isnan(np.add.reduce(z, axis=None)):
        np.copyto(z, 0.0, where=np.isnan(z))
    return z


def _compute_auc(apart: float, variance: float) -> float:
    """Return the AUC of two normal distributions with these means' distance and summed variance."""
    return 0.5 if variance <= 0.0 else 0.5 + 0.5 * math.erf(apart / math.sqrt(2.0 * variance))
