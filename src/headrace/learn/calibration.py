"""A model's probabilities made honest by one number, the temperature, learned from the labels.

Temperature scaling: q = p ** (1 / T) / sum(p ** (1 / T)), with T such that labels are likeliest
(Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017). A T above 1
means that the model was too sure. The likeliest class stays the same, so no accuracy changes.

T is fitted on a stream, on the predictions of labelled rows *before* their label was learned; each
label weighs 1 / propensity, recent ones more. Naive Bayes and trees are at times wrong at odds of
millions to one, and a few such labels would flatten everything. So the loss assumes that one label
in twenty is random: -log(0.95 q + 0.05 / k). It is stored for a fixed grid of temperatures, so the
state has a fixed size, and the best temperature is found exactly, without descent.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Calibration"]

GRID = np.exp2(np.arange(-24, 25) / 8.0)
"""Exponents 1 / T that are compared, 1/8 to 8, eight to an octave; the 25th is 1."""

_FADE = 0.995  # The factor of a label's weight at each further label.
# Standard deviation of the prior of log T around 0: a few labels can move T only a little.
_PRIOR_SD = 0.5
# The assumed share of random labels.
_LOT = 0.05
# The largest weight of a label, as a multiple of the average weight.
_HEAVY = 5.0

_LOG_GRID: NDArray[np.float64] = np.log(GRID)
_STEP = float(_LOG_GRID[1] - _LOG_GRID[0])
_PENALTY: NDArray[np.float64] = 0.5 * (_LOG_GRID / _PRIOR_SD) ** 2


class Calibration:
    """The weighted loss at each temperature, and the best temperature under the prior.

    >>> calibration = Calibration()
    >>> for i in range(100):  # 99 % sure, and right in 7 of 10
    ...     calibration.learn(np.array([0.99, 0.01]), int(i % 10 >= 7), propensity=0.1)
    >>> round(calibration.temperature, 1)
    3.8
    >>> calibration.apply(np.array([[0.99, 0.01]])).round(2)
    array([[0.77, 0.23]])
    """

    def __init__(self) -> None:
        self.labels_n = 0
        self.temperature = 1.0
        self._losses = np.zeros(len(GRID))
        self._weight_sum = 0.0
        self._square_sum = 0.0

    def learn(self, probabilities: NDArray[np.float64], code: int, propensity: float) -> None:
        """Learn from a label; `probabilities`, shape (k,), are the raw ones before it was learned.

        `propensity`, in (0, 1], is the probability with which its event was asked. A label with the
        propensity 0 does not judge and is ignored. So is a class with the probability 0, which
        stays 0 at any temperature.
        """
        is_known = 0 <= code < len(probabilities) and probabilities[code] > 0.0
        if not is_known or not 0.0 < propensity <= 1.0:
            return
        weight = self._weigh_label(propensity)
        powers = np.power(probabilities[np.newaxis, :], GRID[:, np.newaxis])
        chances = powers[:, code] / np.add.reduce(powers, axis=1)
        losses = -np.log((1.0 - _LOT) * chances + _LOT / len(probabilities))
        self._losses = self._losses * _FADE + weight * losses
        self._weight_sum = self._weight_sum * _FADE + weight
        self._square_sum = self._square_sum * _FADE + weight * weight
        self.labels_n += 1
        self.temperature = self._find_best()

    def _weigh_label(self, propensity: float) -> float:
        """1 / propensity, limited so that a single label can't outweigh all others."""
        weight = 1.0 / propensity
        if self._weight_sum > 0.0:
            # The faded number of labels is between 1 and 1 / (1 - fade).
            faded_n = (1.0 - _FADE ** min(self.labels_n, 10_000)) / (1.0 - _FADE)
            weight = min(weight, _HEAVY * self._weight_sum / faded_n)
        return weight

    def _find_best(self) -> float:
        # The weight of one blindly drawn label; in this unit the loss counts effective labels.
        unit = self._square_sum / self._weight_sum
        total = self._losses / unit + _PENALTY
        i = min(max(int(total.argmin()), 1), len(GRID) - 2)
        before, here, after = total[i - 1], total[i], total[i + 1]
        bend = float(before - 2.0 * here + after)
        # The lowest point of the parabola through three neighbours.
        shift = 0.5 * float(before - after) / bend if bend > 0.0 else 0.0
        return math.exp(-(float(_LOG_GRID[i]) + _STEP * min(1.0, max(-1.0, shift))))

    def apply(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """The calibrated rows, shape (n, k), each with the sum 1, from the raw ones.

        A row has the same bits in any batch.
        """
        if self.temperature == 1.0 or probabilities.shape[1] == 0:
            return probabilities
        powers = np.power(np.ascontiguousarray(probabilities), 1.0 / self.temperature)
        calibrated: NDArray[np.float64] = powers / np.add.reduce(powers, axis=1)[:, np.newaxis]
        return calibrated
