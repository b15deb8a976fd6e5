"""Rules that ask only where the stream is dense: DBALStream, and cognitive dual strategies."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .rule import Arriving, Draw, Rule, choice, option
from .sampling import Random
from .space import OF_DISTANCE, PLAIN, SCALED, NearestDistances, Space
from .threshold import (
    FixedUncertainty,
    RandomisedVariableUncertainty,
    VariableUncertainty,
    chance_below,
    move_threshold,
)

_WHOLE = 1_000_000_000


@dataclass
class DensityStream:
    """DBALStream: a randomised threshold, for events that are a new nearest neighbour of another.

    Ienco, Zliobaite, Pfahringer, "High density-focused uncertainty sampling for active learning
    over evolving stream data", BigMine 2014: an event is a candidate if it is nearer to some event
    of the window than that one's nearest neighbour so far; then it is asked where its confidence is
    below theta eta, as in `randomised_variable_uncertainty`, and fewer events were asked than the
    rate times the events so far. Theta moves at every event that the rate allows, as in
    scikit-activeml. The paper's confidence is the margin: `query.strategy` margin, the default.
    """

    window: int = option(
        100, 1, 10_000, "Number of latest events among which nearest neighbours are looked for."
    )
    delta: float = option(1.0, 1e-3, 10.0, "Standard deviation of the random factor eta.")
    step: float = option(
        0.01,
        1e-6,
        0.5,
        "Part by which the threshold falls when an event is asked about and rises when it is not.",
    )
    distance: str = choice(SCALED, (PLAIN,), OF_DISTANCE)
    theta: float = field(init=False, default=1.0)
    earned: int = field(init=False, default=0)
    near: NearestDistances = field(init=False)

    is_of_unit_doubt: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.near = NearestDistances(Space(self.distance == SCALED))

    def forget_events(self) -> None:
        """Empty the window; means and deviations of the features stay."""
        self.near = NearestDistances(self.near.space)

    @property
    def threshold(self) -> float:
        return 1.0 - self.theta

    def chance(self, event: Arriving) -> float:
        is_dense = len(self.near.add_event(event.x, event.is_category)) > 0
        if len(self.near.points) > self.window:
            self.near.drop(0)
        self.earned += round(event.rate * _WHOLE)
        if not is_dense or self.earned <= 0:
            return 0.0
        return chance_below(1.0 - event.doubt, self.theta, self.delta)

    def passed(self, event: Arriving, draw: Draw) -> None:
        if self.earned > 0:
            self.theta = move_threshold(self.theta, self.step, draw.is_chosen)
        if draw.is_chosen:
            self.earned -= _WHOLE


@dataclass
class CognitiveDual:
    """The cognitive dual strategy: ask events that are near to a small memory of the stream.

    Liu, Xue, Wu, Zhou, Yang, Li, Cao, "Online active learning for drifting data streams", IEEE
    Transactions on Neural Networks and Learning Systems 34 (1), 2023. The *cognition window* holds
    the events with the greatest memory strength s = exp(-f (t - t_x)): t_x is when an event last
    got a new nearest neighbour, f = 1 / (1 + how often it did). An event that is the new nearest
    neighbour of at least `least` of them is dense, and is asked as `variable_uncertainty` asks; the
    other `cognitive_...` rules use other inner rules. The inner rule is shown events that are not
    dense only with `full_budget`.
    """

    window: int = option(10, 1, 1_000, "Number of events in the cognition window.")
    least: int = option(
        1,
        0,
        1_000,
        "An event is dense if it is the new nearest neighbour of at least so many in the window.",
    )
    full_budget: bool = option(
        False, 0, 1, "Whether the inner rule also counts events that are not dense."
    )
    distance: str = choice(SCALED, (PLAIN,), OF_DISTANCE)
    inner: Rule = field(init=False)
    near: NearestDistances = field(init=False)
    times: NDArray[np.float64] = field(init=False)
    met_n: NDArray[np.float64] = field(init=False)
    now: int = field(init=False, default=0)
    is_dense: bool = field(init=False, default=False)

    is_of_unit_doubt: ClassVar[bool] = True
    make_inner: ClassVar[Callable[[], Rule]] = VariableUncertainty

    def __post_init__(self) -> None:
        self.inner = type(self).make_inner()
        self.near = NearestDistances(Space(self.distance == SCALED))
        self.times, self.met_n = np.empty(0), np.empty(0)

    def forget_events(self) -> None:
        """Empty the window; means and deviations of the features stay."""
        self.near = NearestDistances(self.near.space)
        self.times, self.met_n = np.empty(0), np.empty(0)

    @property
    def threshold(self) -> float:
        return float(getattr(self.inner, "threshold", 0.0))

    def chance(self, event: Arriving) -> float:
        closer = self.near.add_event(event.x, event.is_category)
        self.times[closer] = self.now
        self.met_n[closer] += 1.0
        if len(self.times) > self.window:
            self._forget_weakest()
        self.times = np.append(self.times, self.now)
        self.met_n = np.append(self.met_n, 0.0)
        self.now += 1
        self.is_dense = len(closer) >= self.least
        return self.inner.chance(event) if self.is_dense else 0.0

    def _forget_weakest(self) -> None:
        """Drop the event of the least memory strength, the oldest of equals; never the newest."""
        strength = np.exp(-(self.now - self.times) / (self.met_n + 1.0))
        weakest = int(strength.argmin())
        self.near.drop(weakest)
        self.times, self.met_n = np.delete(self.times, weakest), np.delete(self.met_n, weakest)

    def passed(self, event: Arriving, draw: Draw) -> None:
        if self.is_dense or self.full_budget:
            self.inner.passed(event, draw)


@dataclass
class CognitiveRandom(CognitiveDual):
    """The cognitive dual strategy over `random` with a window of 100: dense events, at random.

    Liu et al. 2023: see `cognitive_variable`.
    """

    is_of_unit_doubt: ClassVar[bool] = False
    make_inner: ClassVar[Callable[[], Rule]] = functools.partial(Random, window=100)


@dataclass
class CognitiveFixed(CognitiveDual):
    """The cognitive dual strategy over `fixed_uncertainty`: dense events of low probability.

    Liu et al. 2023: see `cognitive_variable`.
    """

    is_of_unit_doubt: ClassVar[bool] = False
    make_inner: ClassVar[Callable[[], Rule]] = FixedUncertainty


@dataclass
class CognitiveRandomised(CognitiveDual):
    """The cognitive dual strategy over `randomised_variable_uncertainty`.

    Liu et al. 2023: see `cognitive_variable`.
    """

    make_inner: ClassVar[Callable[[], Rule]] = RandomisedVariableUncertainty
