"""The pool of the members' opinions: a weighted product, learned from their earlier opinions.

    p ~ prod_m p_m ** a_m,   a_m >= 0

a logarithmic opinion pool (Genest and Zidek, "Combining probability distributions", Statistical
Science 1, 1986) whose exponents minimise the log loss of the latest labels under a Gaussian prior.
The opinions learned from are those *before* a label was known, so that a member gains nothing by
overfitting its evidence. The sum of the exponents is free: the pool calibrates too. The mean of the
prior differs by member: it is proportional to `trust`, the member's weight before any label judges
it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .evidence import Floats, softmax

PRIOR_SUM, PRIOR_PRECISION = 1.4, 10.0
FLOOR = 0.01
"""The uniform share mixed into every opinion: no member is sure enough to overrule all others."""


class Stacker:
    """The exponent of each member, and the latest opinions that they are learned from.

    `trusts`, shape (members,), are shares of the prior's sum, in any unit; `memory_n` is the number
    of latest labels kept; `half_life_n` is the age in labels at which a label weighs one half.

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
        """Add a label; `logs`, shape (members, k), are the `logs_of` the opinions before it."""
        self._said.append(logs)
        self._codes.append(code)
        self._weights.append(weight)
        if len(self._codes) > self.memory_n:
            del self._said[0], self._codes[0], self._weights[0]

    def fit(self, steps_n: int = 2) -> None:
        """Take `steps_n` Newton steps on the log loss of the kept labels; exponents stay >= 0."""
        m = len(self._codes)
        if m < 4:
            return
        logs_by_class, codes = self._in_classes(max([logs.shape[1] for logs in self._said]))
        weight = 0.5 ** (np.arange(m - 1, -1, -1) / self.half_life_n) * np.array(self._weights)
        right = logs_by_class[:, np.arange(m), codes]
        for _ in range(steps_n):
            p = softmax(_weighted_sum(self.exponents, logs_by_class))
            expected = np.add.reduce(logs_by_class * p, axis=2)
            gradient = np.add.reduce((right - expected) * weight, axis=1)
            gradient -= PRIOR_PRECISION * (self.exponents - self.prior)
            # Covariances of the members' logarithms under the pool.
            weighted = (logs_by_class * (p * weight[:, np.newaxis])).reshape(len(logs_by_class), -1)
            curvature = (
                weighted @ logs_by_class.reshape(len(logs_by_class), -1).T
                - (expected * weight) @ expected.T
            )
            curvature += PRIOR_PRECISION * np.eye(len(logs_by_class))
            moved = self.exponents + np.linalg.solve(curvature, gradient)
            self.exponents = np.maximum(moved, 0.0)

    def pool(self, logs: Floats) -> Floats:
        """Probabilities, shape (n, k), from `logs_of` the opinions, shape (members, n, k)."""
        return softmax(_weighted_sum(self.exponents, logs))

    def _in_classes(self, k: int) -> tuple[Floats, NDArray[np.intp]]:
        """The kept logs as one array (members, m, k), and the codes (m,); see `_widen_logs`."""
        widened = [logs if logs.shape[1] == k else _widen_logs(logs, k) for logs in self._said]
        by_member = np.array(widened).transpose(1, 0, 2)
        return np.ascontiguousarray(by_member), np.array(self._codes, dtype=np.intp)


def logs_of(opinion: Floats) -> Floats:
    """Logarithms of probabilities, shape (..., k), floored by `FLOOR` and centred."""
    k = opinion.shape[-1]
    logs = np.log((1.0 - FLOOR) * opinion + FLOOR / k)
    return np.asarray(logs - np.add.reduce(logs, axis=-1, keepdims=True) / k)


def _widen_logs(logs: Floats, k: int) -> Floats:
    """The logs, shape (members, k), with classes that were unknown then below the least likely."""
    lowest = logs.min(axis=1, keepdims=True) - 1.0
    return np.hstack([logs, np.repeat(lowest, k - logs.shape[1], axis=1)])


def _weighted_sum(exponents: Floats, logs: Floats) -> Floats:
    """The sum of exponent times logs over the members, in their order."""
    total = exponents[0] * logs[0]
    for exponent, of_member in zip(exponents[1:], logs[1:], strict=True):
        total = total + exponent * of_member
    return np.asarray(total)
