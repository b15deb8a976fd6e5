"""How the members' opinions become one: a weighted product that learned from what they said before.

    p ~ prod_m p_m ** a_m,   a_m >= 0

a logarithmic opinion pool (Genest and Zidek, "Combining probability distributions", Statistical
Science 1, 1986) whose exponents minimise the log loss of the latest labels under a Gaussian prior.
Each label brings what the members said of it *before* it was known, so that a member that fits its
evidence too well gains nothing by that. The sum of the exponents is free: the pool calibrates too.
The mean of the prior is not the same for all: a member brings its `trust`, how much its word weighs
before any label speaks for or against it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .evidence import Floats, softmax

PRIOR_SUM, PRIOR_PRECISION = 1.4, 10.0
FLOOR = 0.01
"""Mixed into every opinion: nobody is ever sure enough to silence the others."""


class Stacker:
    """Exponents for each member, and the latest opinions they are learned from.

    `trusts`, shape (members,), are shares of the prior's sum, in any unit; `half_life_n` is the age
    in labels at which one weighs one half.

    >>> import numpy as np
    >>> stacker = Stacker([1.0, 1.0])
    >>> right, wrong = np.array([[0.9, 0.1]]), np.array([[0.1, 0.9]])
    >>> for _ in range(30):
    ...     stacker.add(np.stack([logs_of(right)[0], logs_of(wrong)[0]]), 0, 1.0)
    ...     stacker.fit()
    >>> bool(stacker.exponents[0] > 0.7 > stacker.exponents[1])
    True
    """

    def __init__(
        self, trusts: Sequence[float], memory_n: int = 300, half_life_n: float = 50.0
    ) -> None:
        self.memory_n = memory_n
        self.half_life_n = half_life_n
        self.prior = PRIOR_SUM * np.array(trusts) / sum(trusts)
        self.exponents = self.prior.copy()
        self._said: list[Floats] = []
        self._codes: list[int] = []
        self._weights: list[float] = []

    def __len__(self) -> int:
        return len(self._codes)

    def add(self, logs: Floats, code: int, weight: float) -> None:
        """A label came: `logs`, shape (members, k), are `logs_of` what was said before."""
        self._said.append(logs)
        self._codes.append(code)
        self._weights.append(weight)
        if len(self._codes) > self.memory_n:
            del self._said[0], self._codes[0], self._weights[0]

    def fit(self, steps_n: int = 2) -> None:
        """So many Newton steps on the log loss of what is remembered, cut off at 0."""
        m = len(self._codes)
        if m < 4:
            return
        said, codes = self._in_classes(max([logs.shape[1] for logs in self._said]))
        weight = 0.5 ** (np.arange(m - 1, -1, -1) / self.half_life_n) * np.array(self._weights)
        right = said[:, np.arange(m), codes]
        for _ in range(steps_n):
            p = softmax(_weighted_sum(self.exponents, said))
            expected = np.add.reduce(said * p, axis=2)
            gradient = np.add.reduce((right - expected) * weight, axis=1)
            gradient -= PRIOR_PRECISION * (self.exponents - self.prior)
            # Covariances of the members' logarithms under the pool.
            weighted = (said * (p * weight[:, np.newaxis])).reshape(len(said), -1)
            curvature = weighted @ said.reshape(len(said), -1).T - (expected * weight) @ expected.T
            curvature += PRIOR_PRECISION * np.eye(len(said))
            moved = self.exponents + np.linalg.solve(curvature, gradient)
            self.exponents = np.maximum(moved, 0.0)

    def pool(self, logs: Floats) -> Floats:
        """Probabilities, shape (n, k), from `logs_of` the opinions, shape (members, n, k)."""
        return softmax(_weighted_sum(self.exponents, logs))

    def _in_classes(self, k: int) -> tuple[Floats, NDArray[np.intp]]:
        """What was said as one array (members, m, k); a class unknown then was the least likely."""
        said = [logs if logs.shape[1] == k else _widen_logs(logs, k) for logs in self._said]
        by_member = np.array(said).transpose(1, 0, 2)
        return np.ascontiguousarray(by_member), np.array(self._codes, dtype=np.intp)


def logs_of(opinion: Floats) -> Floats:
    """Logarithms of probabilities, shape (..., k), floored by `FLOOR` and centred."""
    k = opinion.shape[-1]
    logs = np.log((1.0 - FLOOR) * opinion + FLOOR / k)
    return np.asarray(logs - np.add.reduce(logs, axis=-1, keepdims=True) / k)


def _widen_logs(logs: Floats, k: int) -> Floats:
    """The same, shape (members, k), every class that was unknown then below the least likely."""
    lowest = logs.min(axis=1, keepdims=True) - 1.0
    return np.hstack([logs, np.repeat(lowest, k - logs.shape[1], axis=1)])


def _weighted_sum(exponents: Floats, logs: Floats) -> Floats:
    """Over the members, in their order."""
    total = exponents[0] * logs[0]
    for exponent, of_member in zip(exponents[1:], logs[1:], strict=True):
        total = total + exponent * of_member
    return np.asarray(total)
