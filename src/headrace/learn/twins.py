"""Does choosing pay on this stream? Small twins of the model try it out on control labels.

Control labels belong to events that were drawn blindly: a small stream in which every label is
known, so both choosing and random asking can be tried on it. All twins begin unlearned, with the
champion's hyper-parameters:

- three *random* twins: each control label goes to one of the three by hash;
- three *chosen* twins: each learns as many labels, but by its own doubt: the rank of its margin
  among the last ones decides the probability, as in asking on arrival;
- one *joint* twin: it learns all of them.

All twins predict each of these labels before any twin learns it, and are judged by it. The accuracy
of chosen minus random is the gain of choosing at that number of labels; joint minus random is the
gain of three times as many random labels. If accuracy grows with the logarithm of the number of
labels (the usual shape of a learning curve over a short stretch), random asking would need

    3 ** ((chosen - random) / (joint - random))

times as many labels to be as accurate as the chosen twins. The intervals cover two kinds of luck:
which events were asked, and which labels a twin happened to learn, estimated from the differences
between the three twins of a kind. The interval of the ratio is Fieller's (J. R. Stat. Soc. B 16,
1954). All results are about the twins: they have fewer labels than the model, are never retrained,
and choose one label in three, where the model may choose one in twenty. To give them the labels
that the *model* chose would be unfair: labels that an expert doubts teach a novice little.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..chance import Chance
from ..messages import Features, LabelSettled
from .intervals import t_quantile
from .learner import Learner
from .scorers.scorer import is_likeliest

HALF_LIFE_N = 500
"""The number of further judging labels after which a judging label weighs one half."""

RATIO_MAX = 8.0
"""The largest ratio reported; its inverse is the smallest."""

TWINS_N = 3
"""The number of random twins, and of chosen twins."""

_BEGUN_N = 10  # The fewest labels that each random twin has learned before twins are judged.
# A prior of this many labels judged differently: a few labels on which all agree prove little.
_PRIOR_LABELS = 2.0
_AHEAD_N = 5.0  # A chosen twin this many labels behind the random ones learns twice as likely.
_BLIND_SHARE = 0.25  # The share of the learning probability that ignores doubt...
_SHARPNESS = 2.5  # ...and how sharply the closest calls are preferred in the rest.
_MARGINS_N = 100  # The number of latest margins that a margin is ranked among.
_FADE = 0.5 ** (1.0 / HALF_LIFE_N)
_FREEDOM = 2.0 * (TWINS_N - 1)  # Degrees of freedom of the twins' luck, from two kinds of three.


class ChoosingGain(msgspec.Struct, frozen=True, kw_only=True):
    """The gain of choosing over asking at random, with 95 % intervals, estimated by the twins.

    `gain` is a difference of accuracies at `twin_labels_n` labels each. `ratio` is how many times
    as many labels random asking would need, 0.125 to 8; `None` if the gain of more labels can't be
    distinguished from 0. `labels_n` is the number of labels that judged the twins.
    """

    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    labels_n: int = 0
    twin_labels_n: int = 0

    @property
    def sentence(self) -> str:
        """The conclusion, in one plain sentence."""
        if self.gain is None or self.gain_low is None or self.gain_high is None:
            return "whether choosing pays can't be told yet: too few control labels"
        points = (
            f"{100 * self.gain:+.1f} points ({100 * self.gain_low:+.1f} to "
            f"{100 * self.gain_high:+.1f}) against asking at random, at {self.twin_labels_n:,} "
            "labels each"
        )
        if self.gain_high < 0.0:
            return f"choosing does not pay on this stream: {points}"
        if self.gain_low <= 0.0:
            return f"whether choosing pays can't be told yet: {points}"
        if self.ratio is None or self.ratio_low is None or self.ratio_high is None:
            return f"choosing pays: {points}"
        return (
            f"choosing pays: {points}; random would need {_format_ratio(self.ratio)} as many "
            f"({_format_ratio(self.ratio_low)} to {_format_ratio(self.ratio_high)})"
        )


def _format_ratio(ratio: float) -> str:
    return f"over {RATIO_MAX:.0f} times" if ratio >= RATIO_MAX else f"{ratio:.1f} times"


def _measure_margin(said: list[float]) -> float:
    """The lead of the likeliest class over the next; 1 if the twin failed, which is no doubt."""
    if len(said) < 2:
        return 0.0
    lowest, highest = sorted(said)[-2:]
    return 1.0 if math.isnan(highest - lowest) else highest - lowest


def _chance_of(margin: float, margins: list[float]) -> float:
    """The probability with which a chosen twin learns, by the margin's rank; mean 1 / TWINS_N."""
    below_n = sum([other < margin for other in margins])
    equal_n = margins.count(margin)
    rank = (below_n + 0.5 * (equal_n + 1)) / (len(margins) + 1)
    closeness: float = (_SHARPNESS + 1.0) * (1.0 - rank) ** _SHARPNESS
    return (_BLIND_SHARE + (1.0 - _BLIND_SHARE) * closeness) / TWINS_N


def _make_contrasts() -> NDArray[np.float64]:
    """Each twin minus the mean of its kind, scaled so that variances are those of one twin."""
    centred = (np.eye(TWINS_N) - 1.0 / TWINS_N) * math.sqrt(TWINS_N / (TWINS_N - 1.0))
    zeros = np.zeros((TWINS_N, TWINS_N))
    last = np.zeros((2 * TWINS_N, 1))
    return np.hstack([np.vstack([centred, zeros]), np.vstack([zeros, centred]), last])


_CONTRASTS = _make_contrasts()
_DIFFERENCES = np.array(
    [
        [-1.0 / TWINS_N] * TWINS_N + [1.0 / TWINS_N] * TWINS_N + [0.0],
        [-1.0 / TWINS_N] * TWINS_N + [0.0] * TWINS_N + [1.0],
    ]
)
"""The coefficients of chosen - random and joint - random, by twin in the order of the moments."""


class Twins:
    """The seven twins, and the fading moments of how often each is right.

    `share` is the largest share of all labels that the twins learn; these are drawn blindly.
    """

    def __init__(self, learner: Learner, share: float, chance: Chance) -> None:
        self.share = share
        self.chance = chance
        self._like = learner.as_it_began()
        self.margins: list[list[float]] = [[] for _ in range(TWINS_N)]
        self.labels_n = 0
        self.blind_n = 0
        self.judged_n = 0
        # Sums over the judging labels of f v and f^2 v v'; f fades, v is 1 and each twin's verdict.
        size = 2 * TWINS_N + 2
        self._first = np.zeros(size)
        self._second = np.zeros((size, size))

    @cached_property
    def random(self) -> list[Learner]:
        """The twins that learn random labels. They are made when the first such label comes."""
        return [self._like.make_novice() for _ in range(TWINS_N)]

    @cached_property
    def chosen(self) -> list[Learner]:
        """The twins that learn by their own doubt."""
        return [self._like.make_novice() for _ in range(TWINS_N)]

    @cached_property
    def joint(self) -> Learner:
        """The twin that learns all labels."""
        return self._like.make_novice()

    def __getstate__(self) -> dict[str, Any]:
        """The state with all twins, made if need be, because a restored object can't make them."""
        twins = {"random": self.random, "chosen": self.chosen, "joint": self.joint}
        first = {"share": self.share, "chance": self.chance, **twins}
        return first | {name: x for name, x in self.__dict__.items() if name != "_like"}

    def learn(self, entry: LabelSettled, row: NDArray[np.float64], code: int) -> None:
        """Let the twins learn a first label of a request, if its event was drawn blindly."""
        self.labels_n += 1
        if entry.reason not in ("control", "cold start") or self.share == 0.0:
            return
        self.blind_n += 1
        rate = self.share * self.labels_n / self.blind_n
        if self.chance.uniform("twins", entry.request_id) < rate:
            self._play_label(entry.request_id, row, code, entry.features)

    def _play_label(
        self, request_id: str, row: NDArray[np.float64], code: int, original: Features
    ) -> None:
        """Judge all twins by one label, then let the drawn random twin, those of the chosen twins
        that draw it, and the joint twin learn it."""
        twins = (*self.random, *self.chosen, self.joint)
        predicted = [twin.predict_row(row, original=original) for twin in twins]
        if min(twin.learned_n for twin in self.random) >= _BEGUN_N:
            self._judge_twins([float(is_likeliest(answer, code)) for answer in predicted])
        mean_n = self.joint.learned_n / TWINS_N
        for i, (twin, margins) in enumerate(zip(self.chosen, self.margins, strict=True)):
            margin = _measure_margin(predicted[TWINS_N + i].tolist())
            chance = _chance_of(margin, margins) * (1.0 + (mean_n - twin.learned_n) / _AHEAD_N)
            margins.append(margin)
            del margins[:-_MARGINS_N]
            if self.chance.uniform(f"chosen twin {i}", request_id) < chance:
                twin.learn(row, code, key=request_id, original=original)
        drawn = int(self.chance.uniform("random twin", request_id) * TWINS_N)
        self.random[drawn].learn(row, code, key=request_id, original=original)
        self.joint.learn(row, code, key=request_id, original=original)

    def _judge_twins(self, right: list[float]) -> None:
        v = np.array([1.0, *right])
        self._first = self._first * _FADE + v
        self._second = self._second * _FADE**2 + v[:, np.newaxis] * v
        self.judged_n += 1

    def _sum_squares(
        self, slopes: NDArray[np.float64], right: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Sums of f^2 (s - mean)(s - mean)' over the labels, for each row of slopes by twin."""
        centre = np.hstack([-(slopes * right).sum(axis=1, keepdims=True), slopes])
        squares: NDArray[np.float64] = centre @ self._second @ centre.T
        return squares

    def estimate(self) -> ChoosingGain:
        """The present estimate of what choosing gains."""
        learned_n = self.joint.learned_n // TWINS_N if self.blind_n else 0
        total, squares = float(self._first[0]), float(self._second[0, 0])
        if self.judged_n < 2:
            return ChoosingGain(labels_n=self.judged_n, twin_labels_n=learned_n)
        effective_n = total * total / squares
        care = effective_n / max(effective_n - 1.0, 1.0) / (total * total)
        right = self._first[1:] / total
        random, chosen = right[:TWINS_N], right[TWINS_N : 2 * TWINS_N]
        sampled = self._sum_squares(_DIFFERENCES, right) * care
        sampled += _PRIOR_LABELS / (effective_n * effective_n) * np.eye(2)
        # The differences between three twins of a kind come from luck in the labels they learned,
        # and from luck in the labels that judged them, which `sampled` already includes.
        apart = np.diagonal(self._sum_squares(_CONTRASTS, right)) * care / TWINS_N
        luck_random = max(0.0, random.var(ddof=1) / TWINS_N - float(apart[:TWINS_N].mean()))
        luck_chosen = max(0.0, chosen.var(ddof=1) / TWINS_N - float(apart[TWINS_N:].mean()))
        # The chosen twins chose from the same labels, so they differ less than by luck alone; the
        # luck of the joint twin is at most that of the mean of the three.
        luck_chosen = max(luck_chosen, luck_random)
        luck = np.array(
            [[luck_random + luck_chosen, luck_random], [luck_random, 2.0 * luck_random]]
        )
        gain, slope = float((chosen - random).mean()), float(right[-1] - random.mean())
        variance = float(sampled[0, 0] + luck[0, 0])
        bend = sampled[0, 0] ** 2 / max(effective_n - 1.0, 1.0) + luck[0, 0] ** 2 / _FREEDOM
        quantile = t_quantile(variance * variance / float(bend))
        half = quantile * math.sqrt(variance)
        choosing = ChoosingGain(
            gain=gain,
            gain_low=max(-1.0, gain - half),
            gain_high=min(1.0, gain + half),
            labels_n=self.judged_n,
            twin_labels_n=learned_n,
        )
        bounds = _bound_ratio((gain, slope), quantile * quantile * (sampled + luck))
        if bounds is None:
            return choosing
        low, high = (_ratio_of(bound) for bound in bounds)
        return msgspec.structs.replace(
            choosing, ratio=_ratio_of(gain / slope), ratio_low=low, ratio_high=high
        )


def _bound_ratio(
    means: tuple[float, float], spread: NDArray[np.float64]
) -> tuple[float, float] | None:
    """Bounds of the ratio of two means, from their covariance times the squared quantile.

    None unless the second mean is significantly above 0: else the bounds would be infinite.

    >>> low, high = _bound_ratio((1.0, 2.0), np.array([[0.04, 0.0], [0.0, 0.04]]))
    >>> round(low, 2), round(high, 2)
    (0.39, 0.62)
    """
    top, below = means
    a = below * below - float(spread[1, 1])
    if a <= 0.0 or below <= 0.0:
        return None
    b = top * below - float(spread[0, 1])
    root = math.sqrt(max(b * b - a * (top * top - float(spread[0, 0])), 0.0))
    return (b - root) / a, (b + root) / a


def _ratio_of(steps: float) -> float:
    """How many times as many labels a gain is worth: 3 ** `steps`, limited to `RATIO_MAX`."""
    return min(
        RATIO_MAX, max(1.0 / RATIO_MAX, math.exp(math.log(3.0) * min(9.0, max(-9.0, steps))))
    )
