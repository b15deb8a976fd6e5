"""Windowed tests: two samples in, a statistic and what chance alone would give out; no state.

`psi` and `ks` look at one feature, `domain_classifier` at all of them together, `welch` at a mean.
Each has a companion that says what two samples of one source exceed with a given probability.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .lines import upper_quantile

ROWS_MIN = 30

SAMPLE_MAX = 500
"""Rows of either side that the domain classifier looks at, at most."""

_CLIP = 4.0
_SQUARED_MAX = 20
"""With more features than so many, their squares are left out: they would cost too much."""

_CATEGORIES_MAX = 5
"""Of a categorical feature the so many most frequent values are told apart."""


def psi(past: NDArray[np.int64], recent: NDArray[np.int64]) -> float:
    """Population stability index of two histograms, shapes (b,), one half added to each bin.

    The sum over bins of (p - q) * ln(p / q), which is 0 for equal shares.

    >>> round(psi(np.array([50, 50]), np.array([90, 10])), 2)
    0.85
    """
    p = (past + 0.5) / (past.sum() + 0.5 * past.size)
    q = (recent + 0.5) / (recent.sum() + 0.5 * recent.size)
    return float(((p - q) * np.log(p / q)).sum())


def psi_rows(past: NDArray[np.int64], recent: NDArray[np.int64]) -> NDArray[np.float64]:
    """`psi` of each row of two tables of histograms, shapes (d, b); shape (d,).

    >>> float(psi_rows(np.array([[50, 50]]), np.array([[90, 10]]))[0]).__round__(2)
    0.85
    """
    size = past.shape[1]
    p = (past + 0.5) / (past.sum(axis=1, keepdims=True) + 0.5 * size)
    q = (recent + 0.5) / (recent.sum(axis=1, keepdims=True) + 0.5 * size)
    return np.asarray(((p - q) * np.log(p / q)).sum(axis=1))


def psi_noise(past: NDArray[np.int64], recent: NDArray[np.int64], p: float) -> float:
    """What the index of two samples of one source exceeds with probability p.

    There it is (1/n + 1/m) times a chi-square with b - 1 degrees of freedom (Yurdakul, "Statistical
    properties of population stability index", 2018), whose quantile is Wilson and Hilferty's.
    """
    freedom = max(past.size - 1, 1)
    spread = 2.0 / (9.0 * freedom)
    quantile = freedom * (1.0 - spread + upper_quantile(p) * math.sqrt(spread)) ** 3
    return float(quantile * (1.0 / past.sum() + 1.0 / recent.sum()))


def ks(
    past: NDArray[np.float64], recent: NDArray[np.float64], *, is_one_sided: bool = False
) -> float:
    """Largest distance between the distribution functions of two sorted samples without NaN.

    One-sided it counts only where the recent values lie above those of the past.

    >>> ks(np.array([0.0, 1.0]), np.array([1.0, 2.0])), ks(np.array([1.0]), np.array([1.0]))
    (0.5, 0.0)
    """
    n, m = past.size, recent.size
    both = np.concatenate([past, recent])
    order = np.argsort(both, kind="stable")
    # In whole numbers of 1 / (n * m), so that equal samples are exactly 0 apart.
    apart = np.cumsum(np.where(order < n, m, -n))
    ordered = both[order]
    apart = apart[np.append(ordered[1:] != ordered[:-1], True)]
    return float((apart if is_one_sided else np.abs(apart)).max() / (n * m))


def ks_rows(past: NDArray[np.float64], recent: NDArray[np.float64]) -> NDArray[np.float64]:
    """`ks` of each row of two sorted tables without NaN, shapes (d, n) and (d, m); shape (d,).

    >>> ks_rows(np.array([[0.0, 1.0]]), np.array([[1.0, 2.0]]))
    array([0.5])
    """
    n, m = past.shape[1], recent.shape[1]
    both = np.concatenate([past, recent], axis=1)
    order = np.argsort(both, axis=1, kind="stable")
    apart = np.abs(np.cumsum(np.where(order < n, m, -n), axis=1))
    ordered = np.take_along_axis(both, order, axis=1)
    # Within equal values it is still being counted; at the end the two are never apart.
    apart[:, :-1] *= ordered[:, 1:] != ordered[:, :-1]
    return np.asarray(apart.max(axis=1) / (n * m))


def ks_noise(n: int, m: int, p: float) -> float:
    """What `ks` of two samples of one source exceeds with probability p.

    Smirnov's c(p) * sqrt((n + m) / (n * m)) with c(p) = sqrt(-ln(p / 2) / 2).
    """
    return math.sqrt(-math.log(p / 2.0) / 2.0) * math.sqrt((n + m) / (n * m))


def welch(past: NDArray[np.float64], recent: NDArray[np.float64], p: float) -> tuple[float, float]:
    """How far the mean fell, and the fall of two samples of one source exceeded with probability p.

    Welch, "The generalization of 'Student's' problem", Biometrika 34, 1947, with a normal quantile.

    >>> fall, noise = welch(np.array([0.9, 0.8] * 50), np.array([0.5, 0.6] * 50), 0.001)
    >>> round(fall, 2), round(noise, 3)
    (0.3, 0.022)
    """
    spread = past.var(ddof=1) / past.size + recent.var(ddof=1) / recent.size
    return float(past.mean() - recent.mean()), upper_quantile(p) * math.sqrt(float(spread))


# -------------------------------------------------------------------------- domain classifier


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


def domain_classifier(
    past: NDArray[np.float64], recent: NDArray[np.float64], kinds: Sequence[str]
) -> Told:
    """Can a linear classifier tell recent rows (m, d) from past rows (n, d)? NaN is missing.

    Lopez-Paz and Oquab, "Revisiting classifier two-sample tests", ICLR 2017; Gözüaçık et al.,
    "Unsupervised concept drift detection with a discriminative classifier", CIKM 2019. Here: a
    shrunken linear discriminant on standardised columns and, where they are few, their squares,
    trained on one half and judged on the other, both ways. The halves of the recent rows are the
    earlier and the later, so what is found has to last. Without a difference a half's AUC is Mann
    and Whitney's U, divided by n * m, of mean 1/2 and variance (n + m + 1) / (12 n m).

    >>> rows = np.column_stack([np.arange(200) % 7, np.arange(200) % 11]).astype(float)
    >>> told = domain_classifier(rows, rows + np.array([0.0, 8.0]), ["numeric", "numeric"])
    >>> told.auc > 0.9, int(told.share_of.argmax())
    (True, 1)
    """
    past, recent = _thinned(past), _thinned(recent)
    columns, origin = _columns(np.concatenate([past, recent]), kinds)
    old, new = columns[: len(past)], columns[len(past) :]
    half = len(new) // 2
    folds = ((old[::2], new[:half]), (old[1::2], new[half:]))
    aucs, spreads, shares = [], [], np.zeros(len(kinds))
    for learned, judged in (folds, folds[::-1]):
        direction = _discriminant(*learned)
        aucs.append(_auc((judged[0] * direction).sum(axis=1), (judged[1] * direction).sum(axis=1)))
        n, m = len(judged[0]), len(judged[1])
        spreads.append((n + m + 1) / (12.0 * n * m))
        apart = direction * (judged[1].mean(axis=0) - judged[0].mean(axis=0))
        np.add.at(shares, origin, np.maximum(apart, 0.0))
    spread = math.sqrt(sum(spreads) / 2.0)
    return Told(sum(aucs) / 2.0, spread, shares / max(shares.sum(), 1e-12))


def _thinned(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most `SAMPLE_MAX` of the rows, evenly spaced, in their order."""
    n = len(rows)
    return rows if n <= SAMPLE_MAX else rows[(np.arange(SAMPLE_MAX) * n) // SAMPLE_MAX]


def _columns(
    rows: NDArray[np.float64], kinds: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Standardised columns (n, c) for the rows, and the feature (c,) that each is of."""
    table = np.ascontiguousarray(rows.T)
    if set(kinds) == {"numeric"} and not np.isnan(table).any():
        return _complete_columns(table)
    made, origin = [], []
    for j, kind in enumerate(kinds):
        column = table[j]
        is_missing = np.isnan(column)
        parts = [is_missing.astype(np.float64)] if is_missing.any() else []
        if kind == "categorical":
            codes, counts = np.unique(column[~is_missing], return_counts=True)
            frequent = codes[np.lexsort((codes, -counts))][:_CATEGORIES_MAX]
            parts += [(column == code).astype(np.float64) for code in frequent]
        else:
            z = _standardised(column)
            parts += [z, z * z] if len(kinds) <= _SQUARED_MAX else [z]
        made += [_standardised(part) for part in parts]
        origin += [j] * len(parts)
    return np.column_stack(made), np.array(origin, dtype=np.intp)


def _complete_columns(
    table: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """What `_columns` makes of numeric features without a gap, (d, n), all of them at once.

    The same bits: a sum along a contiguous row adds in the order in which one of that row alone
    does.
    """
    z = _standardised_rows(table)
    parts = np.stack([z, z * z], axis=1) if len(table) <= _SQUARED_MAX else z[:, np.newaxis]
    each_n = parts.shape[1]
    made = _standardised_rows(parts.reshape(len(table) * each_n, -1))
    origin = np.repeat(np.arange(len(table), dtype=np.intp), each_n)
    return np.ascontiguousarray(made.T), origin


def _standardised_rows(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """`_standardised` of each row of a table (c, n) without NaN."""
    # The mean is taken once for both: `std` would take it again, with the same bits.
    apart = table - table.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.add.reduce(apart * apart, axis=1, keepdims=True) / table.shape[1])
    if (spread > 0.0).all():
        apart /= spread
        clipped: NDArray[np.float64] = np.clip(apart, -_CLIP, _CLIP, out=apart)
        return clipped
    varies = spread > 0.0
    return np.where(varies, np.clip(apart / np.where(varies, spread, 1.0), -_CLIP, _CLIP), 0.0)


def _standardised(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean 0 and deviation 1 over the known values, clipped; 0 where missing or all the same."""
    is_known = ~np.isnan(column)
    there = column[is_known]
    spread = there.std() if there.size else 0.0
    if not spread > 0.0:
        return np.zeros(len(column))
    z = np.clip((column - there.mean()) / spread, -_CLIP, _CLIP)
    return np.where(is_known, z, 0.0)


def _discriminant(old: NDArray[np.float64], new: NDArray[np.float64]) -> NDArray[np.float64]:
    """The direction in which the two differ most for their spread, shape (c,)."""
    c, n = old.shape[1], len(old) + len(new)
    apart = new.mean(axis=0) - old.mean(axis=0)
    within = np.concatenate([old - old.mean(axis=0), new - new.mean(axis=0)])
    covariance = np.einsum("ij,ik->jk", within, within) / n
    kept = n / (n + 2.0 * c)
    shrunken = kept * covariance
    shrunken[np.arange(c), np.arange(c)] = covariance.diagonal() + 1e-3
    return np.linalg.solve(shrunken, apart)


def _auc(old: NDArray[np.float64], new: NDArray[np.float64]) -> float:
    """How often a new score lies above an old one, equals counting half."""
    old = np.sort(old)
    above = np.searchsorted(old, new, side="left") + np.searchsorted(old, new, side="right")
    return float(int(above.sum()) / (2.0 * len(old) * len(new)))
