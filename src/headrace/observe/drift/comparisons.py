"""Windowed tests: each compares two samples by a statistic, and computes the noise; no state.

`psi` and `ks` compare one feature, `welch` a mean. The noise is what the statistic of two samples
from one source exceeds with a given probability: `welch` returns it too, `psi` and `ks` have
functions for it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .lines import upper_quantile

ROWS_MIN = 30


def psi(past: NDArray[np.int64], recent: NDArray[np.int64]) -> float:
    """Population stability index of two histograms, shapes (b,), one half added to each bin.

    The sum over bins of (p - q) * ln(p / q), which is 0 for equal shares.

    >>> round(psi(np.array([50, 50]), np.array([90, 10])), 2)
    0.85
    """
    p = (past + 0.5) / (past.sum() + 0.5 * past.size)
    q = (recent + 0.5) / (recent.sum() + 0.5 * recent.size)
    return float(((p - q) * np.log(p / q)).sum())


def psi_noise(past: NDArray[np.int64], recent: NDArray[np.int64], p: float) -> float:
    """Return what the PSI of two samples from one source exceeds with probability p.

    Then the PSI is (1/n + 1/m) times a chi-square with b - 1 degrees of freedom (Yurdakul,
    "Statistical properties of population stability index", 2018).
    """
    return float(psi_quantile(past.size, p) * (1.0 / past.sum() + 1.0 / recent.sum()))


def psi_quantile(bins_n: NDArray[np.int64] | int, p: float) -> NDArray[np.float64]:
    """Return what a chi-square with bins_n - 1 degrees of freedom exceeds with probability p.

    Wilson and Hilferty, "The distribution of chi-square", PNAS 17, 1931.
    """
    freedom = np.maximum(np.asarray(bins_n) - 1, 1)
    spread = 2.0 / (9.0 * freedom)
    return np.asarray(freedom * (1.0 - spread + upper_quantile(p) * np.sqrt(spread)) ** 3)


def ks(
    past: NDArray[np.float64], recent: NDArray[np.float64], *, is_one_sided: bool = False
) -> float:
    """Return the largest distance between the distribution functions of two samples.

    Both are sorted and without NaN. One-sided, only recent values above the past's count.

    >>> ks(np.array([0.0, 1.0]), np.array([1.0, 2.0])), ks(np.array([1.0]), np.array([1.0]))
    (0.5, 0.0)
    """
    n, m = past.size, recent.size
    both = np.concatenate([past, recent])
    order = np.argsort(both, kind="stable")
    # In whole numbers of 1 / (n * m), so that equal samples are exactly 0 apart.
    distances = np.cumsum(np.where(order < n, m, -n))
    ordered = both[order]
    distances = distances[np.append(ordered[1:] != ordered[:-1], True)]
    return float((distances if is_one_sided else np.abs(distances)).max() / (n * m))


def ks_noise(
    n: NDArray[np.int64] | int, m: NDArray[np.int64] | int, p: float
) -> NDArray[np.float64]:
    """Return what `ks` of n and m values from one source exceeds with probability p.

    Smirnov's c(p) * sqrt((n + m) / (n * m)) with c(p) = sqrt(-ln(p / 2) / 2).
    """
    n, m = np.asarray(n), np.asarray(m)
    return np.asarray(math.sqrt(-math.log(p / 2.0) / 2.0) * np.sqrt((n + m) / (n * m)))


def welch(past: NDArray[np.float64], recent: NDArray[np.float64], p: float) -> tuple[float, float]:
    """Return how far the mean fell, and the fall that chance alone exceeds with probability p.

    Welch, "The generalization of 'Student's' problem", Biometrika 34, 1947, with a normal quantile.

    >>> fall, noise = welch(np.array([0.9, 0.8] * 50), np.array([0.5, 0.6] * 50), 0.001)
    >>> round(fall, 2), round(noise, 3)
    (0.3, 0.022)
    """
    spread = past.var(ddof=1) / past.size + recent.var(ddof=1) / recent.size
    return float(past.mean() - recent.mean()), upper_quantile(p) * math.sqrt(float(spread))
