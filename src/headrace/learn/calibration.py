"""A model's probabilities made honest by one number, the temperature, learned from the labels.

Temperature scaling: q = p ** (1 / T) / sum(p ** (1 / T)), T chosen so that labels are as likely as
can be (Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017). Above
1 the model was too sure. The likeliest class stays what it was, so no accuracy changes.

Here T is fitted on a stream: on what the model said of each labelled row *before* it learned the
label; each label weighs 1 / propensity, recent ones more. Naive Bayes and trees are at times wrong
at odds of millions to one, and a few such labels would flatten everything; so the loss is that of
a world where one label in twenty is drawn by lot, -log(0.95 q + 0.05 / k). It is kept for a fixed
grid of temperatures: the state has a fixed size and the best one is found exactly, by no descent.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Calibration"]

GRID = np.exp2(np.arange(-24, 25) / 8.0)
"""Exponents 1 / T that are compared, 1/8 to 8, eight to an octave; the 25th is 1."""

_FADE = 0.995  # What is left of a label's weight when the next one comes.
# Standard deviation of the prior of log T around 0: what few labels can move is little.
_PRIOR_SD = 0.5
# The share of labels that may be anything, whatever the model says.
_LOT = 0.05
# No label weighs more than so many times what they weigh on average.
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
        """One label: what the raw model said of its row, shape (k,), before it learned it.

        `propensity`, in (0, 1], is the chance with which it was asked; one with 0 doesn't judge and
        is passed over. So is a class that was given no probability at all: no temperature would
        have given it any.
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
        """1 / propensity, cut where a single label would drown all others."""
        weight = 1.0 / propensity
        if self._weight_sum > 0.0:
            # The faded number of labels is between 1 and 1 / (1 - fade).
            faded_n = (1.0 - _FADE ** min(self.labels_n, 10_000)) / (1.0 - _FADE)
            weight = min(weight, _HEAVY * self._weight_sum / faded_n)
        return weight

    def _find_best(self) -> float:
        # What one blindly drawn label would weigh: in its unit the loss is one of so many labels.
        unit = self._square_sum / self._weight_sum
        total = self._losses / unit + _PENALTY
        i = min(max(int(total.argmin()), 1), len(GRID) - 2)
        before, here, after = total[i - 1], total[i], total[i + 1]
        bend = float(before - 2.0 * here + after)
        # The lowest point of the parabola through three neighbours.
        shift = 0.5 * float(before - after) / bend if bend > 0.0 else 0.0
        return math.exp(-(float(_LOG_GRID[i]) + _STEP * min(1.0, max(-1.0, shift))))

    def apply(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated rows, shape (n, k), each of sum 1, from the raw ones.

        A row's answer has the same bits in any batch.
        """
        if self.temperature == 1.0 or probabilities.shape[1] == 0:
            return probabilities
        powers = np.power(np.ascontiguousarray(probabilities), 1.0 / self.temperature)
        calibrated: NDArray[np.float64] = powers / np.add.reduce(powers, axis=1)[:, np.newaxis]
        return calibrated
