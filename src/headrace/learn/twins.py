"""Does choosing pay on this stream? Small twins of the model play it through on control labels.

Control labels are of events that were drawn without looking at them: a small stream of its own, of
which every label is known, so one can play both sides on it. All twins begin unlearned, with the
champion's hyper-parameters:

- three *random* twins: each control label goes to one of the three by hash;
- three *chosen* twins: each learns as many, but by its own doubt: the rank of its margin among the
  last ones decides the probability, as where labels are asked on arrival;
- one *joint* twin: it learns all of them.

Each of these labels is predicted by all twins before any learns it, and so judges them. Chosen less
random is what choosing is worth at so many labels; joint less random is what three times as many
are worth to chance. Where accuracy grows by the logarithm of the labels (the usual shape of a
learning curve over a short stretch), random would need

    3 ** ((chosen - random) / (joint - random))

times as many labels to be as right as the chosen ones. The intervals count two kinds of luck: which
events were asked, and, from how the three of a kind differ, which labels a twin happened to learn.
That of the ratio is Fieller's (J. R. Stat. Soc. B 16, 1954). What all this says is of the twins:
they have fewer labels than the model, are never retrained, and choose one in three, where the model
may choose one in twenty. Giving them labels that the *model* chose would be unfair: what an expert
doubts teaches a novice little.
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
from .scoring import is_likeliest

HALF_LIFE_N = 500
"""A label that judges weighs one half after so many further ones."""

RATIO_MAX = 8.0
"""A ratio above this, or below its inverse, is only said to be so."""

TWINS_N = 3
"""Twins of a kind."""

_BEGUN_N = 10  # Labels that each random twin has learned before anything is compared.
# As if so many labels had been judged differently: few on which all agree prove little.
_PRIOR_LABELS = 2.0
_AHEAD_N = 5.0  # Of so many labels fewer than the random ones a chosen twin is twice as eager.
_BLIND_SHARE = 0.25  # The part of the chance that doubt has no say in...
_SHARPNESS = 2.5  # ...and how sharply the closest calls are preferred in the rest.
_MARGINS_N = 100  # The last margins, among which one has its rank.
_FADE = 0.5 ** (1.0 / HALF_LIFE_N)
_FREEDOM = 2.0 * (TWINS_N - 1)  # Of the luck of the twins, from two kinds of three.


class Choosing(msgspec.Struct, frozen=True, kw_only=True):
    """What choosing is worth against asking at random, with 95 % intervals; see the module.

    `gain` is a difference of accuracies at `twin_labels_n` labels each. `ratio` is how many times
    as many labels random would need, 0.125 to 8; `None` where the gain of more labels can't be told
    from nothing. `labels_n` labels judged.
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
        """What to make of it, in one plain sentence."""
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
            f"choosing pays: {points}; random would need {_times(self.ratio)} as many "
            f"({_times(self.ratio_low)} to {_times(self.ratio_high)})"
        )


def _times(ratio: float) -> str:
    return f"over {RATIO_MAX:.0f} times" if ratio >= RATIO_MAX else f"{ratio:.1f} times"


def _measure_margin(said: list[float]) -> float:
    """By how much the likeliest class leads; 1 where a twin failed: it has no doubt."""
    if len(said) < 2:
        return 0.0
    lowest, highest = sorted(said)[-2:]
    return 1.0 if math.isnan(highest - lowest) else highest - lowest


def _chance_of(margin: float, margins: list[float]) -> float:
    """The probability with which a chosen twin learns, of mean 1 / TWINS_N, by its rank."""
    below_n = sum([other < margin for other in margins])
    equal_n = margins.count(margin)
    rank = (below_n + 0.5 * (equal_n + 1)) / (len(margins) + 1)
    closeness: float = (_SHARPNESS + 1.0) * (1.0 - rank) ** _SHARPNESS
    return (_BLIND_SHARE + (1.0 - _BLIND_SHARE) * closeness) / TWINS_N


def _contrasts() -> NDArray[np.float64]:
    """Each twin against the mean of its kind, by a factor that makes variances those of a twin."""
    centred = (np.eye(TWINS_N) - 1.0 / TWINS_N) * math.sqrt(TWINS_N / (TWINS_N - 1.0))
    zeros = np.zeros((TWINS_N, TWINS_N))
    last = np.zeros((2 * TWINS_N, 1))
    return np.hstack([np.vstack([centred, zeros]), np.vstack([zeros, centred]), last])


_CONTRASTS = _contrasts()
_DIFFERENCES = np.array(
    [
        [-1.0 / TWINS_N] * TWINS_N + [1.0 / TWINS_N] * TWINS_N + [0.0],
        [-1.0 / TWINS_N] * TWINS_N + [0.0] * TWINS_N + [1.0],
    ]
)
"""By twin, in the order of the moments: (chosen - random, joint - random)."""


class Twins:
    """The seven twins, and the faded moments of how often each is right.

    `share` is the share of all labels that are played through, at most; they are drawn blindly.
    """

    def __init__(self, learner: Learner, share: float, chance: Chance) -> None:
        self.share = share
        self.chance = chance
        self._like = learner.as_it_began()
        self.margins: list[list[float]] = [[] for _ in range(TWINS_N)]
        self.labels_n = 0
        self.blind_n = 0
        self.judged_n = 0
        # Sums over labels that judge, of f v and f^2 v v', f fading, v being 1 and who was right.
        size = 2 * TWINS_N + 2
        self._first = np.zeros(size)
        self._second = np.zeros((size, size))

    @cached_property
    def random(self) -> list[Learner]:
        """Those that learn by lot. They are made at the first label that is played through."""
        return [self._like.novice() for _ in range(TWINS_N)]

    @cached_property
    def chosen(self) -> list[Learner]:
        """Those that learn by their own doubt."""
        return [self._like.novice() for _ in range(TWINS_N)]

    @cached_property
    def joint(self) -> Learner:
        """The one that learns all."""
        return self._like.novice()

    def __getstate__(self) -> dict[str, Any]:
        """With the twins, made if they were not; whoever is thawed makes none."""
        made = {"random": self.random, "chosen": self.chosen, "joint": self.joint}
        first = {"share": self.share, "chance": self.chance, **made}
        return first | {name: x for name, x in self.__dict__.items() if name != "_like"}

    def learn(self, entry: LabelSettled, row: NDArray[np.float64], code: int) -> None:
        """A label that settled for the first time; only those drawn blindly are played through."""
        self.labels_n += 1
        if entry.reason not in ("control", "cold start") or self.share == 0.0:
            return
        self.blind_n += 1
        rate = self.share * self.labels_n / self.blind_n
        if self.chance.uniform("twins", entry.request_id) < rate:
            self._play(entry.request_id, row, code, entry.features)

    def _play(
        self, request_id: str, row: NDArray[np.float64], code: int, original: Features
    ) -> None:
        """All are asked; then it goes by lot to a random twin, to each chosen one as it likes."""
        twins = (*self.random, *self.chosen, self.joint)
        said = [twin.predict_row(row, original=original) for twin in twins]
        if min(twin.learned_n for twin in self.random) >= _BEGUN_N:
            self._judge([float(is_likeliest(answer, code)) for answer in said])
        mean_n = self.joint.learned_n / TWINS_N
        for i, (twin, margins) in enumerate(zip(self.chosen, self.margins, strict=True)):
            margin = _measure_margin(said[TWINS_N + i].tolist())
            chance = _chance_of(margin, margins) * (1.0 + (mean_n - twin.learned_n) / _AHEAD_N)
            margins.append(margin)
            del margins[:-_MARGINS_N]
            if self.chance.uniform(f"chosen twin {i}", request_id) < chance:
                twin.learn(row, code, key=request_id, original=original)
        drawn = int(self.chance.uniform("random twin", request_id) * TWINS_N)
        self.random[drawn].learn(row, code, key=request_id, original=original)
        self.joint.learn(row, code, key=request_id, original=original)

    def _judge(self, right: list[float]) -> None:
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

    def estimate(self) -> Choosing:
        """What is known by now."""
        learned_n = self.joint.learned_n // TWINS_N if self.blind_n else 0
        total, squares = float(self._first[0]), float(self._second[0, 0])
        if self.judged_n < 2:
            return Choosing(labels_n=self.judged_n, twin_labels_n=learned_n)
        effective_n = total * total / squares
        care = effective_n / max(effective_n - 1.0, 1.0) / (total * total)
        right = self._first[1:] / total
        random, chosen = right[:TWINS_N], right[TWINS_N : 2 * TWINS_N]
        sampled = self._sum_squares(_DIFFERENCES, right) * care
        sampled += _PRIOR_LABELS / (effective_n * effective_n) * np.eye(2)
        # How three of a kind differ is luck in what they learned, and luck in what judged them,
        # which `sampled` has already.
        apart = np.diagonal(self._sum_squares(_CONTRASTS, right)) * care / TWINS_N
        luck_random = max(0.0, random.var(ddof=1) / TWINS_N - float(apart[:TWINS_N].mean()))
        luck_chosen = max(0.0, chosen.var(ddof=1) / TWINS_N - float(apart[TWINS_N:].mean()))
        # The chosen ones had the same labels to choose from, and differ less than luck would have
        # it; what the joint twin owes to luck is at most what the mean of the three does.
        luck_chosen = max(luck_chosen, luck_random)
        luck = np.array(
            [[luck_random + luck_chosen, luck_random], [luck_random, 2.0 * luck_random]]
        )
        gain, slope = float((chosen - random).mean()), float(right[-1] - random.mean())
        variance = float(sampled[0, 0] + luck[0, 0])
        bend = sampled[0, 0] ** 2 / max(effective_n - 1.0, 1.0) + luck[0, 0] ** 2 / _FREEDOM
        quantile = t_quantile(variance * variance / float(bend))
        half = quantile * math.sqrt(variance)
        found = Choosing(
            gain=gain,
            gain_low=max(-1.0, gain - half),
            gain_high=min(1.0, gain + half),
            labels_n=self.judged_n,
            twin_labels_n=learned_n,
        )
        bounds = _bound_ratio((gain, slope), quantile * quantile * (sampled + luck))
        if bounds is None:
            return found
        low, high = (_ratio(bound) for bound in bounds)
        return msgspec.structs.replace(
            found, ratio=_ratio(gain / slope), ratio_low=low, ratio_high=high
        )


def _bound_ratio(
    means: tuple[float, float], spread: NDArray[np.float64]
) -> tuple[float, float] | None:
    """Bounds of the ratio of two means, from their covariance times the squared quantile.

    None unless the second is above 0 beyond doubt: else the bounds would enclose everything.

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


def _ratio(steps: float) -> float:
    """How many times as many labels; `steps` of three times as many are what the gain is worth."""
    return min(
        RATIO_MAX, max(1.0 / RATIO_MAX, math.exp(math.log(3.0) * min(9.0, max(-9.0, steps))))
    )
