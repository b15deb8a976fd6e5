"""A bandit over rules: labels show which rule finds events that surprise the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ...errors import BadSettings
from ..credit import ARMS_MAX, Credit, check_bandit
from .known import PUBLISHED, make_rule_among
from .rule import Arriving, Draw, Rule


class Bandit:
    """Ask by a mixture of rules, whose weights follow what their questions turned out to be worth.

    EXP4 (Auer, Cesa-Bianchi, Freund, Schapire, "The nonstochastic multiarmed bandit problem", SIAM
    Journal on Computing 32 (1), 2002) with implicit exploration (Neu, "Explore no more", NIPS 2015)
    and labels that come late; for active learning the idea is that of ALBL (Hsu and Lin, "Active
    learning by learning", AAAI 2015), which uses one arm a turn and gets its label at once.

    Each arm is a rule with a probability a_i for an event; the first is always `random`. The event
    is asked with p = sum of q_i a_i, so its propensity is exact. When its label y comes, its worth
    is x = 1 - P(y), by the prediction at the time of asking, and each arm gets

        gain_i <- gain_i + a_i x / (propensity + eta a_i)

    which but for eta is an unbiased estimate of what the arm alone would have earned. Its share is

        q_i = (1 - g) w_i + g [i is random],    w_i ~ prior_i exp(eta gain_i)

    with g the `random_share`, prior 1/2 of random and the rest shared by the others. After n =
    `labels_n` labels the gains begin anew, so that old merits don't count for ever. Within those n
    labels random alone would in expectation, over as many events, be worth at most

        (1 - g) (ln 2 / eta + eta n (K + 1/g + e late))

    more than the bandit, for K arms that keep to the rate and `late` labels on their way, whatever
    the events are; eta makes both terms equal, for the most labels that were late so far. It is a
    bound on worth, which is surprise, not on accuracy. Raises `BadSettings` for bad options.
    """

    def __init__(
        self,
        arms: Sequence[str] = ("split", "quantile_filter"),
        labels_n: int = 500,
        random_share: float = 0.25,
    ) -> None:
        if isinstance(arms, str) or not 1 <= len(arms) < ARMS_MAX:
            raise _describe_fault(arms, f"must be a list of 1 to {ARMS_MAX - 1} names of rules")
        check_bandit("query.arrival.options", labels_n, random_share)
        self.names = ["random", *(name for name in arms if name != "random")]
        if len(set(self.names)) < len(self.names) or type(self).__name__.lower() in self.names:
            raise _describe_fault(arms, "must name each rule once, and not the bandit itself")
        self.arms = [_make_arm(name) for name in self.names]
        self.credit = Credit(len(self.arms), labels_n=labels_n, random_share=random_share)
        self._advice: tuple[float, ...] = ()

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 the fields of its credit were its own."""
        names = ("labels_n", "random_share", "gains", "credited_n", "late_max", "_open")
        credit = Credit(1, labels_n=1, random_share=1.0)
        credit.__dict__.update({name: fields.pop(name) for name in names})
        return fields | {"credit": credit}

    @property
    def needs(self) -> tuple[str, ...]:
        """The optional fields of an event that the arms read."""
        return tuple(sorted({name for arm in self.arms for name in getattr(arm, "needs", ())}))

    @property
    def is_of_unit_doubt(self) -> bool:
        """Whether an arm compares the doubt with numbers from 0 to 1."""
        return any(getattr(arm, "is_of_unit_doubt", False) for arm in self.arms)

    def chance(self, event: Arriving) -> float:
        self._advice = tuple(float(arm.chance(event)) for arm in self.arms)
        if not all(0.0 <= p <= 1.0 for p in self._advice):
            by_name = dict(zip(self.names, self._advice, strict=True))
            raise BadSettings(
                f"a rule in query.arrival.options.arms gave no probability: {by_name}"
            )
        if event.rate <= 0.0:
            return 0.0
        return min(1.0, math.fsum(self.credit.shares * np.array(self._advice)))

    def passed(self, event: Arriving, draw: Draw) -> None:
        for arm, p in zip(self.arms, self._advice, strict=True):
            # Each arm counts as spent what it alone would have asked.
            arm.passed(event, Draw(draw.luck, draw.luck < p, draw.is_asked))
        if draw.is_asked and event.rate > 0.0:
            self.credit.asked(draw.key, draw.propensity, self._advice)

    def labelled(self, key: int, worth: float) -> None:
        """Credit the arms with the label of event `key`, which was worth `worth`, 0 to 1."""
        self.credit.labelled(key, worth)

    def unanswered(self, key: int) -> None:
        """Note that no label of event `key` will come."""
        self.credit.unanswered(key)

    def forget_events(self) -> None:
        """Let all arms forget the events that they keep, as a person is erased."""
        for arm in self.arms:
            forget = getattr(arm, "forget_events", None)
            if forget is not None:
                forget()


def _make_arm(name: str) -> Rule:
    try:
        return make_rule_among(name, {}, PUBLISHED)
    except BadSettings as error:
        raise BadSettings(f"query.arrival.options.arms names {name!r}: {error}") from None


def _describe_fault(arms: object, must: str) -> BadSettings:
    return BadSettings(f"query.arrival.options.arms is {arms!r}; {must}")
