"""The draw on arrival of one shard by a rule: events in order, hashed luck, held to the budget.

Each event has two independent chances. The *control draw* asks it with the share of the rate that
is drawn blindly, whatever it looks like; the rule asks it with a probability of its own. So the
propensity is 1 - (1 - c)(1 - p), which is known, and above 0 however low the rule's p is:

    c = control_share * rate,    p by the rule, at the remaining rate, (1 - control_share) * rate

Where a class or a slice is short of its quota, a third draw takes its part of the rate from the
rule and asks by need, with probability n: then the propensity is 1 - (1 - c)(1 - p)(1 - n).

While no second class has come the whole rate is drawn blindly, as a model of one class doubts
nothing. While there is no label in hand the rule asks nothing; while more than four are owed
nothing is drawn at all, as by ranks. The walk over events stops at the first one asked: its label
may change the model, and with it what the rule sees of the next event.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..chance import Chance
from ..errors import BadSettings, BrokenInvariant
from ..settings.query import ArrivalSettings, QuerySettings, asks_on_arrival
from .arrivals import Arrivals, Drawn, LookAhead, Walk
from .budgets import Budget
from .online import ONE, rate_of
from .pool import Pool
from .quotas import NeedChances
from .rules import RANK, make_rule
from .rules.rule import Arriving, Draw, Rule
from .strategies import BY_ROW, Strategy, faults_by_row
from .strategies.uncertainty import random

BLOCK_N = 32
"""The rate is computed anew after each such block of events, and after each draw."""

UNIT_DOUBTS = ("least_confidence", "margin")
"""Strategies whose doubt is from 0 to 1, so that a rule can compare it with a threshold."""


class RuledArrivals:
    """The draw on arrival by a rule; `aim_draw` fits it to the budget and the labels.

    `name` is the rule's, `share` the part of the rate that is drawn blindly, `chance` the hashed
    luck. `is_doubt_given` says that the doubt is not our model's, and may be used before there are
    labels; `quota_share` is the part of what is not blind that is drawn by need.
    """

    estimate_share: ClassVar[float] = 0.0
    reads_pools: ClassVar[bool] = True

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before 2 there were no quotas."""
        return fields | {"needed": None}

    def __init__(
        self,
        name: str,
        rule: Rule,
        share: float,
        chance: Chance,
        *,
        is_doubt_given: bool = False,
        quota_share: float | None = None,
    ) -> None:
        self.name = name
        self.rule = rule
        self.share = share
        self.chance = chance
        self.is_doubt_given = is_doubt_given
        self.needed = None if quota_share is None else NeedChances(quota_share)
        self.is_due = True
        self.rule_rate = 0.0
        self.control_p = 0.0
        self._passed_n = 0
        self._is_known = False

    # ------------------------------------------------------------------------------- events

    @property
    def counted_n(self) -> int:
        """Events until the rate is computed anew."""
        return BLOCK_N - self._passed_n % BLOCK_N

    @property
    def needs_members(self) -> bool:
        """Whether the rule reads the probabilities by each member of the model."""
        return "members" in getattr(self.rule, "needs", ())

    def face_classes(self, classes_n: int) -> None:
        """Do nothing: a rule sees the probabilities of each event, and so the number of classes."""

    def look_ahead(
        self,
        doubts: NDArray[np.float64],
        keys: NDArray[np.uint64],
        pool: Pool | None,
        needs: NDArray[np.float64] | None = None,
        is_duplicate: NDArray[np.bool_] | None = None,
        *,
        errors: NDArray[np.float64] | None = None,
    ) -> LookAhead:
        """Return how many of these events go by until one is drawn; change nothing.

        Arguments as of `Arrivals.look_ahead`; the pool is needed, `errors` are not read.
        """
        if pool is None:
            raise BrokenInvariant("a rule is led over events of which it is shown nothing")
        rule = copy.deepcopy(self.rule) if self._is_known else self.rule
        walk = self._walk_events(rule, pool, doubts, needs, is_duplicate)
        return LookAhead(
            len(walk.propensities),
            walk.drawn is not None,
            doubts,
            walk=walk,
            needs=needs,
            is_duplicate=is_duplicate,
        )

    def take_arrived(self, look: LookAhead, keys: NDArray[np.uint64]) -> Drawn | None:
        """Take in the first events of a look, up to the drawn one at most; return the draw, if any.

        `keys`, shape (n,), are their hashed ids, at most `counted_n`.
        """
        n = len(keys)
        if look.walk is None:
            raise BrokenInvariant("events were looked at by ranks and are taken by a rule")
        if n == look.n:
            self.rule, drawn = look.walk.rule, look.walk.drawn
        else:
            # A change of the drift level ended the run early: show the rule the events until then.
            first = look.walk.pool.take(np.arange(n))
            needs = None if look.needs is None else look.needs[:n]
            is_duplicate = None if look.is_duplicate is None else look.is_duplicate[:n]
            drawn = self._walk_events(self.rule, first, look.doubts[:n], needs, is_duplicate).drawn
        is_counted = n == self.counted_n
        if self.needed is not None and look.needs is not None:
            self.needed.add_needs(look.needs[:n], is_counted=is_counted)
        self._passed_n += n
        self.is_due = is_counted or drawn is not None
        return drawn

    def _walk_events(
        self,
        rule: Rule,
        pool: Pool,
        doubts: NDArray[np.float64],
        needs: NDArray[np.float64] | None,
        is_duplicate: NDArray[np.bool_] | None,
    ) -> Walk:
        """Show the rule these events, up to the first one asked."""
        control_p, propensities = self.control_p, []
        is_blind = self.chance.uniforms("control", pool.keys) < control_p
        if not self._is_known:
            hits = is_blind.nonzero()[0]
            n = int(hits[0]) + 1 if hits.size else len(doubts)
            drawn = Drawn(control_p, control_p, True, float(doubts[n - 1]), 0.0)
            return Walk(pool, rule, [control_p] * n, drawn if hits.size else None)
        lucks = self.chance.uniforms("rule", pool.keys).tolist()
        by_need = self._chances_by_need(len(doubts), needs)
        is_barred = np.zeros(len(doubts), np.bool_) if is_duplicate is None else is_duplicate
        by_need = np.where(is_barred, 0.0, by_need)
        is_needed = self.chance.uniforms("quota", pool.keys) < by_need
        for i, event in enumerate(self._iterate_arriving(pool, doubts)):
            p = 0.0 if is_barred[i] else self._ask_rule(rule, event)
            threshold = float(getattr(rule, "threshold", 0.0))
            is_chosen, is_hit = lucks[i] < p, bool(is_blind[i])
            is_asked = is_chosen or is_hit or bool(is_needed[i])
            propensities.append(1.0 - (1.0 - control_p) * (1.0 - p) * (1.0 - float(by_need[i])))
            propensity_and_key = propensities[-1], int(pool.keys[i])
            rule.passed(event, Draw(lucks[i], is_chosen, is_asked, *propensity_and_key))
            if is_asked:
                doubt_and_rule = event.doubt, threshold, self.name, not (is_chosen or is_hit)
                drawn = Drawn(propensities[-1], control_p, is_hit, *doubt_and_rule)
                return Walk(pool, rule, propensities, drawn)
        return Walk(pool, rule, propensities, None)

    def _chances_by_need(self, n: int, needs: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Return the probability by need of each of n events, shape (n,)."""
        if self.needed is None or needs is None or self.rule_rate <= 0.0:
            return np.zeros(n)
        return np.nan_to_num(self.needed.share * self.needed.of(needs), nan=0.0)

    def _iterate_arriving(self, pool: Pool, doubts: NDArray[np.float64]) -> Iterator[Arriving]:
        for i, doubt in enumerate(doubts.tolist()):
            members = None if pool.members is None else pool.members[:, i]
            row = pool.probabilities[i], pool.X[i], pool.is_category
            yield Arriving(doubt, *row, self.rule_rate, members)

    def _ask_rule(self, rule: Rule, event: Arriving) -> float:
        p = rule.chance(event)
        if not 0.0 <= p <= 1.0:
            raise BadSettings(
                f"query.arrival.rule {self.name} gave an event the probability {p!r}; must be from "
                "0 to 1"
            )
        return float(p) if event.rate > 0.0 else 0.0

    # ----------------------------------------------------------------------------------- rate

    def note_answer(self, asked_at: int, events_n: int) -> None:
        """Do nothing: the published rules have no regard to how late labels are."""

    def tell_end(self, key: int, worth: float | None) -> None:
        """Notify the rule, if it learns from labels, that the request about event `key` ended.

        `worth` is None without a label.
        """
        learn = getattr(self.rule, "unanswered" if worth is None else "labelled", None)
        if learn is not None:
            learn(key) if worth is None else learn(key, worth)

    def aim_draw(
        self,
        budget: Budget,
        *,
        open_n: int,
        room_n: int,
        waiting_n: int,
        labels_n: int,
        classes_n: int,
    ) -> None:
        """Compute the rate anew: at counted events, and after each draw.

        Arguments as of `Arrivals.aim_draw`.
        """
        self.is_due = False
        earned = budget.steady_labels_per_event()
        to_spend = min(budget.balance, room_n * ONE) - (budget.held_n + waiting_n) * ONE
        credit = to_spend / ONE - 1.0
        is_granted = budget.asked_n < budget.start_n and min(budget.available_n, room_n) > 0
        rate = 1.0 if is_granted else rate_of(earned, credit)
        self._is_known = classes_n > 1 or self.is_doubt_given
        is_blind = is_granted or not self._is_known
        self.control_p = rate if is_blind else self.share * rate
        # Without a label in hand a rule's request would wait, and be stale when it is asked.
        rule_rate = (1.0 - self.share) * rate if credit >= 0.0 else 0.0
        self.rule_rate = rule_rate
        if self.needed is not None:
            self.needed.aim_draw(rule_rate, 0.0)
            self.rule_rate = rule_rate * (1.0 - self.needed.share * self.needed.is_any)


def own_rule(arrival: ArrivalSettings) -> Rule | None:
    """Return the user's rule that the settings name, None for one of this package."""
    return make_rule(arrival.rule, arrival.options) if ":" in arrival.rule else None


def arrivals_of(
    settings: QuerySettings, name: str, strategy: Strategy, chance: Chance
) -> Arrivals | RuledArrivals | None:
    """Return the draw on arrival; None where events are asked in rounds.

    `name` is the strategy's. Raises `BadSettings` for settings that don't go together.
    """
    quotas = settings.quotas
    quota_share = quotas.share if quotas.is_set else None
    rule_name, is_doubt_given = settings.arrival.rule, settings.uncertainty_from == "served"
    if not asks_on_arrival(settings, strategy in BY_ROW):
        if settings.estimate_share:
            raise BadSettings(
                f"query.estimate_share is {settings.estimate_share:g} and events are asked in "
                "rounds, which have no such part; set query.ask to arrival, or leave it out"
            )
        if settings.arrival != ArrivalSettings():
            raise BadSettings(
                f"query.arrival.rule is {rule_name} and events are asked in rounds; set query.ask "
                "to arrival, or leave the rule out"
            )
        return None
    if faults := faults_by_row(strategy, name, chance):
        raise BadSettings(faults)
    if rule_name == RANK:
        if settings.arrival.options:
            raise BadSettings(
                "query.arrival.options are set and query.arrival.rule is rank, which has none"
            )
        share = 1.0 if strategy is random else settings.control_share
        return Arrivals(
            share,
            chance,
            is_doubt_given=is_doubt_given,
            quota_share=quota_share,
            estimate_share=settings.estimate_share,
        )
    if settings.estimate_share:
        raise BadSettings(
            f"query.estimate_share is {settings.estimate_share:g} and query.arrival.rule is "
            f"{rule_name}; only rank draws for the estimate: leave one of them out"
        )
    rule = make_rule(rule_name, settings.arrival.options)
    if getattr(rule, "is_of_unit_doubt", False) and name not in UNIT_DOUBTS:
        raise BadSettings(
            f"query.arrival.rule is {rule_name}, which compares doubts from 0 to 1, and "
            f"query.strategy is {name}; set it to {' or '.join(UNIT_DOUBTS)}"
        )
    share = settings.control_share
    return RuledArrivals(
        rule_name, rule, share, chance, is_doubt_given=is_doubt_given, quota_share=quota_share
    )
