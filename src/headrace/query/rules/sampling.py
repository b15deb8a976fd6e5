"""Rules without a threshold: blind, periodic, or likelier the closer the call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from .rule import Arriving, Draw, Spending, Spent, option

_WHOLE = 1_000_000_000
_WINDOW = (
    "Number of latest events over which the spending is estimated. While it has reached the rate, "
    "nothing is asked."
)


@dataclass
class Random(Spending):
    """Ask each event with the same probability, the rate: what every other rule has to beat.

    With `window` it is the random strategy of Zliobaite and others (IEEE Transactions on Neural
    Networks and Learning Systems 25 (1), 2014), which asks nothing while as many of
    the latest events were asked as the rate allows.
    """

    window: int = option(
        0,
        0,
        100_000,
        "Number of latest events: while as many of them were asked as the rate allows, nothing "
        "is. 0: no such limit.",
    )
    spent: Spent = field(init=False)

    def chance(self, event: Arriving) -> float:
        is_allowed = self.window == 0 or self.spent.allows(event.rate)
        return event.rate if is_allowed else 0.0


@dataclass
class Periodic:
    """Ask whenever a whole label has been earned: at a steady rate b, one event in 1/b.

    Systematic sampling (Madow and Madow, "On the theory of systematic sampling", Annals of
    Mathematical Statistics 15, 1944) without its random start. Earnings are whole billionths, so
    that ten times a tenth is one.
    """

    earned: int = field(init=False, default=0)

    def chance(self, event: Arriving) -> float:
        self.earned += round(event.rate * _WHOLE)
        return float(self.earned >= _WHOLE)

    def passed(self, event: Arriving, draw: Draw) -> None:
        if draw.is_chosen:
            self.earned -= _WHOLE
        # Labels that could not be spent are not saved up: several in a row are not periodic.
        self.earned = min(self.earned, _WHOLE)


@dataclass
class SelectiveSampling(Spending):
    """Ask with probability b / (b + margin).

    Cesa-Bianchi, Gentile, Zaniboni, "Worst-case analysis of selective sampling for linear
    classification", Journal of Machine Learning Research 7, 2006: the perceptron that asks with
    b / (b + |margin|). The margin there is that of a linear classifier; here it is by how much the
    likeliest class is ahead of the next one, for any number of classes and any model. `scale` is
    the paper's b; at 0 the rate is used instead. Nothing is asked while as many of the latest
    events were asked as the rate allows.
    """

    scale: float = option(0.0, 0.0, 100.0, "The number b. 0: the rate is taken for it.")
    window: int = option(100, 1, 100_000, _WINDOW)
    spent: Spent = field(init=False)

    def chance(self, event: Arriving) -> float:
        if not self.spent.allows(event.rate):
            return 0.0
        scale = self.scale or event.rate
        return scale / (scale + event.margin)


@dataclass
class ImportanceWeighted(Spending):
    """Ask with a probability that rises with the disagreement of the model's members.

        p = p_min + (1 - p_min) max over y, i, j of L(h_i, y) - L(h_j, y)

    Beygelzimer, Dasgupta, Langford, "Importance weighted active learning", ICML 2009: the paper's
    IWAL(loss-weighting), with the members of the model as the set of hypotheses, as in
    IWAL(bootstrap). The loss is 1 less the probability of the class y, so that p rises with the
    largest difference of two members about any class, and is p_min where all agree. The weight
    1 / propensity that belongs to it is known for every request. Nothing is asked while as many of
    the latest events were asked as the rate allows.
    """

    least: float = option(
        0.0, 0.0, 1.0, "The probability p_min of asking about an event on which all members agree."
    )
    window: int = option(100, 1, 100_000, _WINDOW)
    spent: Spent = field(init=False)

    needs: ClassVar[tuple[str, ...]] = ("members",)

    def chance(self, event: Arriving) -> float:
        members = event.members
        if members is None or members.shape[1] == 0 or not self.spent.allows(event.rate):
            return 0.0
        apart = float((members.max(axis=0) - members.min(axis=0)).max())
        return min(1.0, self.least + (1.0 - self.least) * apart)
