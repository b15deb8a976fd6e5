"""Can a linear classifier tell the newest rows from those of the past? All features together.

Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", ICLR 2017; Gözüaçık et al.,
"Unsupervised concept drift detection with a discriminative classifier", CIKM 2019. What is asked of
the past, its spread and how its columns go together, is found once and used for many windows.
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
"""With more features than so many, their squares are left out: they would cost too much."""

_CATEGORIES_MAX = 5
"""Of a categorical feature the so many most frequent values are told apart."""


@dataclass(frozen=True, eq=False, slots=True)
class Told:
    """What a domain classifier found: `auc` of telling recent rows from past ones.

    `spread` is the standard deviation of the AUC when there is nothing to tell, as if both halves
    said the same, which they nearly do; `share_of` (d,) is each feature's part in it.
    """

    auc: float
    spread: float
    share_of: NDArray[np.float64]

    def over_noise(self, p: float) -> float:
        """Half the AUC that chance alone exceeds with probability p, above one half."""
        return upper_quantile(p) * self.spread


class DomainClassifier:
    """Tells recent rows from n past rows, shape (n, d); NaN is missing.

    A shrunken linear discriminant on columns standardised by the past and, where they are few,
    their squares, trained on one half and judged on the other, both ways. The halves of the recent
    rows are the earlier and the later, so what is found has to last; those of the past are every
    other row. How columns go together is taken of the past alone: without a difference it is the
    same of the recent rows, and with one the direction is as good for telling.

    The AUC is that of two normal distributions with the means and variances of the two sides'
    scores. Without a difference its mean is 1/2, and its variance at most about Mann and Whitney's
    for ranks, (n + m + 1) / (12 n m).

    >>> rows = np.column_stack([np.arange(200) % 7, np.arange(200) % 11]).astype(float)
    >>> told = DomainClassifier(rows, ["numeric", "numeric"]).tell((rows + np.array([0.0, 8.0])).T)
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
        # Columns that say whether a feature is of one code, or missing: NaN.
        pairs = [(j, code) for j in range(len(table)) for code in _codes_of(table[j], kinds[j])]
        self._features = np.array([j for j, _ in pairs], np.intp)
        self._codes = np.array([code for _, code in pairs])[:, np.newaxis]
        is_squared = len(kinds) <= _SQUARED_MAX
        parts = [self._numbers] * (2 if is_squared else 1)
        self._origin = np.concatenate([*parts, self._features])
        # Of the numbers, then of all columns that are made of them: mean and deviation.
        self._scales: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        self._scales.append(_scale_of(table[self._numbers]))
        self._scales.append(_scale_of(self._raw(table, is_squared=is_squared)))
        columns = self._columns(table)
        halves = columns[:, ::2], columns[:, 1::2]
        self._n = (halves[0].shape[1], halves[1].shape[1])
        self._means = [half.mean(axis=1) for half in halves]
        within = [
            half - mean[:, np.newaxis] for half, mean in zip(halves, self._means, strict=True)
        ]
        apart = np.ascontiguousarray(np.concatenate(within, axis=1).T)
        c, n = len(columns), len(apart)
        self._covariance = np.einsum("ij,ik->jk", apart, apart) / max(1, n)
        shrunken = n / (n + 2.0 * c) * self._covariance
        shrunken[np.arange(c), np.arange(c)] = self._covariance.diagonal() + 1e-3
        self._precision = np.linalg.inv(shrunken)

    def tell(self, columns: NDArray[np.float64]) -> Told:
        """What it finds between the past and recent rows in their order, columns (d, m), m > 1."""
        made = self._columns(columns)
        half = made.shape[1] // 2
        halves = made[:, :half], made[:, half:]
        apart = [new.mean(axis=1) - old for new, old in zip(halves, self._means, strict=True)]
        aucs, variances, shares = [], [], np.zeros(len(columns))
        for learned, judged in ((0, 1), (1, 0)):
            direction = (self._precision * apart[learned]).sum(axis=1)
            scores = (halves[judged] * direction[:, np.newaxis]).sum(axis=0)
            found = direction * apart[judged]
            variance = float((self._covariance * np.outer(direction, direction)).sum())
            aucs.append(_compute_auc(float(found.sum()), variance + float(scores.var())))
            n, m = self._n[judged], len(scores)
            variances.append((n + m + 1) / (12.0 * n * m))
            np.add.at(shares, self._origin, np.maximum(found, 0.0))
        spread = math.sqrt(sum(variances) / 2.0)
        return Told(sum(aucs) / 2.0, spread, shares / max(shares.sum(), 1e-12))

    def _columns(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standardised columns (c, m) of a table (d, m)."""
        is_squared = len(self._origin) > len(self._numbers) + len(self._features)
        return _standardise(self._raw(table, is_squared=is_squared), *self._scales[1])

    def _raw(self, table: NDArray[np.float64], *, is_squared: bool) -> NDArray[np.float64]:
        """The numbers, standardised, their squares, and which codes there are; shape (c, m)."""
        z = _standardise(table[self._numbers], *self._scales[0])
        parts = [z, z * z] if is_squared else [z]
        if len(self._features):
            values = table[self._features]
            is_missing = np.isnan(self._codes) & np.isnan(values)
            parts.append(((values == self._codes) | is_missing).astype(np.float64))
        return np.concatenate(parts)


def _codes_of(column: NDArray[np.float64], kind: str) -> list[float]:
    """What is asked of a feature beside its number: is it missing, is it a frequent category."""
    is_missing = np.isnan(column)
    found = [math.nan] if is_missing.any() else []
    if kind != "categorical":
        return found
    codes, counts = np.unique(column[~is_missing], return_counts=True)
    frequent: list[float] = codes[np.lexsort((codes, -counts))][:_CATEGORIES_MAX].tolist()
    return found + frequent


def _scale_of(
    table: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of the known values of each row, (c, 1); infinite without spread."""
    is_known = ~np.isnan(table)
    n = np.maximum(is_known.sum(axis=1, keepdims=True), 1)
    if is_known.all():
        mean = table.sum(axis=1, keepdims=True) / n
        apart = table - mean
    else:
        mean = np.where(is_known, table, 0.0).sum(axis=1, keepdims=True) / n
        apart = np.where(is_known, table - mean, 0.0)
    spread = np.sqrt((apart * apart).sum(axis=1, keepdims=True) / n)
    return mean, np.where(spread > 0.0, spread, np.inf)


def _standardise(
    table: NDArray[np.float64], mean: NDArray[np.float64], spread: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Clipped to four deviations; 0 where missing, or where the past was all the same."""
    z = table - mean
    z /= spread
    np.minimum(z, _CLIP, out=z)
    np.maximum(z, -_CLIP, out=z)
    # A sum is NaN if one of the numbers is, and quicker than to look at each.
    if np.isnan(np.add.reduce(z, axis=None)):
        np.copyto(z, 0.0, where=np.isnan(z))
    return z


def _compute_auc(apart: float, variance: float) -> float:
    """The chance that one of two normal numbers lies above the other, equals counting half."""
    return 0.5 if variance <= 0.0 else 0.5 + 0.5 * math.erf(apart / math.sqrt(2.0 * variance))
