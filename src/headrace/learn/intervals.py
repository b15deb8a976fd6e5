"""The variance and 95 % interval of a share from weighted labels, corrected for few labels.

docs/ACCURACY.md explains the method.
"""

from __future__ import annotations

import math

Z = 1.959963984540054
"""The normal distribution's 97.5 % quantile."""

_PRIOR_LABELS = 4.0  # The weight, in labels, of a coin's variance mixed with the observed one.


def variance_of(
    share: float, squares: float, w: float, ww: float, *, q: float, rarer_n: int
) -> float:
    """The variance of a weighted share, from the sum `squares` of w (w - q) (value - share)^2.

    - `w`, `ww`: the sums of the weights and of their squares.
    - `q`: the share of the requests that have a label.
    - `rarer_n`: the number of labels on the rarer side, right or wrong.

    Labels that are all right do not make the variance 0: if few are on the rarer side, it is mixed
    with the variance of a coin with the observed share, after adding one label of either side.
    """
    effective_n = w * w / ww
    coin = _shrink_share(share, effective_n)
    coin_squares = coin * (1.0 - coin) * (ww - q * w)
    known_n = min(effective_n, 2.0 * rarer_n)
    mixed = (known_n * max(squares, 0.0) + _PRIOR_LABELS * coin_squares) / (known_n + _PRIOR_LABELS)
    return mixed / (w * w) * effective_n / max(effective_n - 1.0, 1.0)


def raised_squares(squares: float, *, expected: float) -> float:
    """The sum of squares, raised half way to the expected sum if it is below that.

    Labels of sure events weigh much and are seldom wrong. In a window in which none of them was
    wrong, both the observed errors and their squares are too small, and the interval lies above the
    truth. `expected`, the anticipated variance by the guesses (Isaki and Fuller, "Survey design
    under the regression superpopulation model", JASA 77, 1982), does not depend on that luck.
    Guesses may be wrong too, so the observed sum is never lowered.

    >>> raised_squares(40.0, expected=100.0), raised_squares(100.0, expected=40.0)
    (70.0, 100.0)
    """
    return max(squares, (squares + expected) / 2.0)


def interval_of(
    share: float, variance: float, effective_n: float, freedom: float
) -> tuple[float, float]:
    """Wilson's interval for a share, within [0, 1], with Student's quantile.

    - `variance`: that of the share; it is converted to a number of blind draws.
    - `effective_n`: the number of blind draws that the labels weigh as much as.
    - `freedom`: the degrees of freedom of the variance.
    """
    coin = _shrink_share(share, effective_n)
    draws_n = coin * (1.0 - coin) / variance if variance > 0.0 else math.inf
    return wilson(share, draws_n, t_quantile(freedom))


def _shrink_share(share: float, effective_n: float) -> float:
    """The share with one label of either side added, so that it is never 0 or 1."""
    return (effective_n * share + 1.0) / (effective_n + 2.0)


def wilson(share: float, draws_n: float, quantile: float) -> tuple[float, float]:
    """Wilson's score interval (JASA 22, 1927) for a share observed in `draws_n` draws."""
    if math.isinf(draws_n):
        return share, share
    z = quantile * quantile / draws_n
    centre = (share + z / 2.0) / (1.0 + z)
    half = math.sqrt(z * share * (1.0 - share) + z * z / 4.0) / (1.0 + z)
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def t_quantile(freedom: float) -> float:
    """Student's 97.5 % quantile, to 3 %, from 2 degrees of freedom on (Abramowitz, Stegun 26.7.5).

    >>> round(t_quantile(10.0), 3)
    2.228
    """
    v, z = max(freedom, 2.0), Z
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )


def typical_of(n: int, log_sum: float, log_squares: float) -> tuple[float, float, float] | None:
    """The lower 95 % bound, geometric mean and upper bound of n positive values; None below three.

    It is Student's interval of the logarithm, from the sums of the logarithms and of their squares,
    transformed back to the scale of the values.

    >>> [round(value) for value in typical_of(8, 32.0, 135.0)]
    [24, 55, 126]
    """
    if n < 3:
        return None
    mean = log_sum / n
    variance = max(0.0, log_squares - n * mean * mean) / (n - 1)
    half = t_quantile(n - 1) * math.sqrt(variance / n)
    return math.exp(mean - half), math.exp(mean), math.exp(mean + half)
