"""Which labels look wrong, and how many may be: the model's earlier word against the label's.

Confident learning (Northcutt, Jiang, Chuang, "Confident learning: estimating uncertainty in dataset
labels", JAIR 70, 2021), on a stream: what the calibrated model said of a row *before* it learned
its label. Of each class the threshold is the mean probability that rows with that label were given
for it. A label is suspicious when another class reaches its own threshold, is the likeliest, and
the label's class does not reach its own. The share of labels, each weighing 1 / propensity, that
are suspicious is the higher estimate of how many are wrong. Hard rows make right labels suspicious
too: what the probabilities themselves let expect is taken off for the lower one. That is the truth
where the model is exact about what is so; calibrated on wrong labels it expects them, and then the
truth is nearer to the higher one.

Both hold only as far as wrong labels depend on the class and not on the row: it is a list to look
through, and a range to watch.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..messages import LabelSettled

LATEST_N = 50
"""Suspicious labels that are kept to be looked at: the latest."""

_FADE = 0.998  # What is left of a label's weight when the next one comes.
_LABELS_MIN = 20.0  # A class with fewer labels has no threshold yet.


class Suspicion(msgspec.Struct, frozen=True, kw_only=True):
    """A label that looks wrong: `likelier` was said with `confidence` before it was learned."""

    request_id: str
    event_id: str
    at: float
    label: str
    likelier: str
    confidence: float


class LabelNoise:
    """Thresholds of the classes, the share of suspicious labels, and the latest of these.

    >>> noise = LabelNoise()
    >>> noise.shares is None
    True
    """

    def __init__(self) -> None:
        self.labels_n = 0
        self.suspicious_n = 0
        self.latest: deque[Suspicion] = deque(maxlen=LATEST_N)
        # By code of the class: labels so far, and the mean probability given for it, fading.
        self._seen: list[float] = []
        self._means: list[float] = []
        self._weight_sum = 0.0
        self._excess_sum = 0.0
        self._suspicious_sum = 0.0

    @property
    def shares(self) -> tuple[float, float] | None:
        """The lower and the higher estimate of the share of wrong labels; none before a label."""
        if self._weight_sum == 0.0:
            return None
        low = max(0.0, self._excess_sum / self._weight_sum)
        return low, max(low, self._suspicious_sum / self._weight_sum)

    def learn(
        self, entry: LabelSettled, honest: NDArray[np.float64], code: int, classes: list[str]
    ) -> None:
        """One label; `honest`, shape (k,), the calibrated model said of its row before."""
        said: list[float] = honest.tolist()
        while len(self._seen) < len(said):
            self._seen.append(0.0)
            self._means.append(0.0)
        if self._seen[code] >= _LABELS_MIN:
            sure = self._find_sure(said)
            is_suspicious = sure is not None and code in self._list_unlike(said, sure)
            weight = 1.0 / entry.propensity if 0.0 < entry.propensity <= 1.0 else 1.0
            self._weight_sum = self._weight_sum * _FADE + weight
            expected = 0.0
            for c in () if sure is None else self._list_unlike(said, sure):
                expected += said[c]
            excess = float(is_suspicious) - expected
            self._suspicious_sum = self._suspicious_sum * _FADE + weight * is_suspicious
            self._excess_sum = self._excess_sum * _FADE + weight * excess
            self.labels_n += 1
            if sure is not None and is_suspicious:
                self.suspicious_n += 1
                self.latest.append(
                    Suspicion(
                        request_id=entry.request_id,
                        event_id=entry.event_id,
                        at=entry.at,
                        label=entry.label,
                        likelier=classes[sure],
                        confidence=said[sure],
                    )
                )
        self._seen[code] += 1.0
        rate = max(1.0 / self._seen[code], 1.0 - _FADE)
        self._means[code] += rate * (said[code] - self._means[code])

    def _find_sure(self, said: list[float]) -> int | None:
        """The likeliest class, if it reaches its threshold."""
        likely = said.index(max(said))
        is_known = self._seen[likely] >= _LABELS_MIN
        return likely if is_known and said[likely] >= self._means[likely] else None

    def _list_unlike(self, said: list[float], sure: int) -> list[int]:
        """The classes that, as labels of this row, would be suspicious."""
        return [
            code
            for code in range(len(said))
            if code != sure and self._seen[code] >= _LABELS_MIN and said[code] < self._means[code]
        ]

    def last_is(self, request_id: str) -> bool:
        """Whether the newest suspicion is of this request's label."""
        return bool(self.latest) and self.latest[-1].request_id == request_id

    def forget_suspicion(self, request_id: str) -> None:
        """The label of this request was looked at again: confirmed, corrected or taken back."""
        self.erase({request_id})

    def erase(self, request_ids: Collection[str], before: float = -math.inf) -> None:
        """Forget what looked wrong of these requests, and of labels of before a time, seconds."""
        kept = [
            one for one in self.latest if one.request_id not in request_ids and one.at >= before
        ]
        if len(kept) < len(self.latest):
            self.latest = deque(kept, maxlen=LATEST_N)
