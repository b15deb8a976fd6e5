"""Labels that look wrong, and how many may be wrong, by comparison with earlier predictions.

This is confident learning (Northcutt, Jiang, Chuang, "Confident learning: estimating uncertainty in
dataset labels", JAIR 70, 2021) on a stream: it uses the calibrated prediction of a row *before* the
label was learned. The threshold of a class is the mean probability predicted for it over the rows
with that label. A label is suspicious if another class is the likeliest and reaches its threshold,
and the label's class does not reach its own. The share of suspicious labels, each weighing 1 /
propensity, is the higher estimate of the share of wrong labels. Hard rows make right labels
suspicious too, so the lower estimate subtracts the share that the probabilities themselves lead to
expect. The lower estimate is the truth if the model's probabilities are exact; a model calibrated
on wrong labels expects them, and then the truth is nearer to the higher estimate.

Both hold only if wrong labels depend on the class and not on the row: it is a list to look through,
and a range to watch.
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
"""The number of latest suspicious labels that are kept to be looked at."""

_FADE = 0.998  # The factor of a label's weight at each further label.
_LABELS_MIN = 20.0  # A class with fewer labels has no threshold yet.


class Suspicion(msgspec.Struct, frozen=True, kw_only=True):
    """A label that looks wrong: `likelier` was predicted with `confidence` before learning it."""

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
        # By class code: the number of labels, and the fading mean of the class's probability.
        self._seen: list[float] = []
        self._means: list[float] = []
        self._weight_sum = 0.0
        self._excess_sum = 0.0
        self._suspicious_sum = 0.0

    @property
    def shares(self) -> tuple[float, float] | None:
        """The lower and the higher estimate of the share of wrong labels; None before a label."""
        if self._weight_sum == 0.0:
            return None
        low = max(0.0, self._excess_sum / self._weight_sum)
        return low, max(low, self._suspicious_sum / self._weight_sum)

    def learn(
        self, entry: LabelSettled, honest: NDArray[np.float64], code: int, classes: list[str]
    ) -> None:
        """Learn from a label.

        - `entry`: the settled label; `code`: the code of its class.
        - `honest`: the calibrated prediction of its row before the label was learned, shape (k,).
        - `classes`: the names of the classes.
        """
        probabilities: list[float] = honest.tolist()
        while len(self._seen) < len(probabilities):
            self._seen.append(0.0)
            self._means.append(0.0)
        if self._seen[code] >= _LABELS_MIN:
            sure = self._find_sure(probabilities)
            is_suspicious = sure is not None and code in self._list_unlike(probabilities, sure)
            weight = 1.0 / entry.propensity if 0.0 < entry.propensity <= 1.0 else 1.0
            self._weight_sum = self._weight_sum * _FADE + weight
            expected = 0.0
            for c in () if sure is None else self._list_unlike(probabilities, sure):
                expected += probabilities[c]
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
                        confidence=probabilities[sure],
                    )
                )
        self._seen[code] += 1.0
        rate = max(1.0 / self._seen[code], 1.0 - _FADE)
        self._means[code] += rate * (probabilities[code] - self._means[code])

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

    def erase(self, request_ids: Collection[str], before: float = -math.inf) -> None:
        """Forget the suspicions of these requests, and of labels before a time, seconds."""
        remaining = [
            suspicion
            for suspicion in self.latest
            if suspicion.request_id not in request_ids and suspicion.at >= before
        ]
        if len(remaining) < len(self.latest):
            self.latest = deque(remaining, maxlen=LATEST_N)
