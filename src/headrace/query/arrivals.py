"""The draw on arrival of one shard: its state, and the link between `online` and the budget.

The state is the latest doubts, how late answers are, and where the last draw stands. The doubts
that an event is ranked among are put in order at counted events; the rate is computed anew at
counted events and after each draw. A stretch of events between two such points is decided in one
go, whatever batches it came in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..chance import Chance
from ..state.stored_parts import OfParts, Parts
from .budgets import Budget
from .online import (
    ONE,
    Lean,
    Place,
    RankChances,
    choose_lean,
    for_both,
    in_hand_of,
    place_drawn,
    rate_knowledge,
    rate_of,
)
from .pool import Pool
from .quotas import REASON as QUOTA
from .quotas import NeedChances
from .recent import KNOWN_N, Lateness, RecentValues, Trim
from .rules.rule import Rule

BLOCK_N = 128
"""The doubts are put in order after each block of events; at the start after 1, 2, 4 and so on."""

_PARTS: Parts = {
    "_doubts": (RecentValues, {"_known": "values", "_known_n": "n", "_ordered": "ordered"}),
    "lateness": (Lateness, {"_latenesses": "latest", "_answered_at": "answered_at"}),
    "_trim": (Trim, {"_rate": "rate", "_wanted": "wanted", "_given": "given"}),
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """The draw of one event on arrival.

    `propensity` is the probability with which it was drawn, `control_p` the part of it that is
    blind; `is_blind` says that the blind part drew it. `utility` is its doubt, `threshold` the
    doubt from which events are preferred. `rule` is the name of the rule that may have drawn it;
    empty where ranks decide. `is_for_quota` says that need drew it.
    """

    propensity: float
    control_p: float
    is_blind: bool
    utility: float
    threshold: float
    rule: str = ""
    is_for_quota: bool = False

    @property
    def reason(self) -> str:
        """The reason that the event's request states."""
        if self.is_blind:
            return "control"
        return QUOTA if self.is_for_quota else "doubt"


class Walk(NamedTuple):
    """A rule after it was shown the events of a pool, up to the first one drawn.

    `rule` is the copy that saw them, `propensities` are those of the events gone by, the drawn one
    included; `drawn` is None where no event was drawn.
    """

    pool: Pool
    rule: Rule
    propensities: list[float]
    drawn: Drawn | None


class LookAhead(NamedTuple):
    """What the draw would do with the events that arrive next: a look changes nothing.

    `n` events go by up to the one drawn, or all of them where `is_drawn` is false. By ranks a look
    has the events' doubts, deviations (`errors`) and probabilities (`chances`, in billionths), and
    the place of the draw after those n; by a rule, its `walk`. `needs` are those by quotas, None
    without quotas; `is_duplicate` marks events that only the blind draw asks.
    """

    n: int
    is_drawn: bool
    doubts: NDArray[np.float64] = np.empty(0)
    errors: NDArray[np.float64] = np.empty(0)
    chances: NDArray[np.int64] = np.empty(0, dtype=np.int64)
    place: Place = Place()
    walk: Walk | None = None
    needs: NDArray[np.float64] | None = None
    is_duplicate: NDArray[np.bool_] | None = None


class Arrivals(OfParts):
    """The draw on arrival by ranks of doubt; `aim_draw` fits it to the budget and the labels.

    - `share`: the least part of the rate that is drawn blindly;
    - `chance`: the hashed luck of the draws;
    - `is_doubt_given`: the doubt is not our model's, and may be used before there are labels;
    - `quota_share`, `estimate_share`: the parts of the rest that are drawn by need, and for the
      accuracy estimate.
    """

    PARTS: ClassVar[Parts] = _PARTS

    needs_members: ClassVar[bool] = False
    reads_pools: ClassVar[bool] = False

    STATE_VERSION: ClassVar[int] = 3

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before 2 there were no quotas; before 3 nothing was drawn for the estimate."""
        if version < 2:
            fields = fields | {"needed": None}
        return fields | {"estimate_share": 0.0, "_errors": np.zeros(KNOWN_N), "_error": 0.0}

    def __init__(
        self,
        share: float,
        chance: Chance,
        *,
        is_doubt_given: bool = False,
        quota_share: float | None = None,
        estimate_share: float = 0.0,
    ) -> None:
        self.share = share
        self.estimate_share = estimate_share
        self.chance = chance
        self.is_doubt_given = is_doubt_given
        self.place = Place()
        self._doubts = RecentValues()
        self._errors = np.zeros(KNOWN_N)
        # Mean of the known errors; 0 while there are none.
        self._error = 0.0
        self._classes_n = 0
        self.chances = RankChances(self._doubts.ordered, 0.0, Lean(1.0, 1.0))
        self.needed = None if quota_share is None else NeedChances(quota_share)
        self.lateness = Lateness()
        self.is_due = True
        self._trim = Trim()

    # ------------------------------------------------------------------------------- events

    @property
    def counted_n(self) -> int:
        """Events until the known doubts are put in order again."""
        n = self._doubts.n
        return (1 << n.bit_length()) - n if n < BLOCK_N else BLOCK_N - n % BLOCK_N

    def face_classes(self, classes_n: int) -> None:
        """Forget all doubts if the model has another number of classes: they can't be compared."""
        if classes_n != self._classes_n:
            self._classes_n = classes_n
            self._error = 0.0
            self._doubts.clear()
            self.chances = RankChances(self._doubts.ordered, self.chances.rate, self.chances.shape)

    def look_ahead(
        self,
        doubts: NDArray[np.float64],
        keys: NDArray[np.uint64],
        pool: Pool | None = None,
        needs: NDArray[np.float64] | None = None,
        is_duplicate: NDArray[np.bool_] | None = None,
        *,
        errors: NDArray[np.float64] | None = None,
    ) -> LookAhead:
        """Return how many of these events go by until one is drawn; change nothing.

        `doubts`, `needs` and `is_duplicate` have shape (n,); `keys`, shape (n,), are the hashed
        ids. The pool is for rules, and not read here. `errors`, shape (n,), are the `deviations_of`
        the events' guesses; without them nothing is drawn for the estimate.
        """
        if errors is None:
            errors, chances = np.zeros(len(doubts)), self.chances.of(doubts)
        else:
            chances = for_both(self.chances, doubts, errors, self._error, self.estimate_share)
        if self.needed is not None and needs is not None:
            chances = self.needed.mix_in_needs(chances, needs)
        if is_duplicate is not None:
            blind = max(1, round(self.chances.shape.share * self.chances.rate * ONE))
            chances = np.where(is_duplicate, np.minimum(chances, blind), chances)
        place, row = place_drawn(self.place, chances, keys, self.chance)
        n = len(doubts) if row is None else row + 1
        is_drawn = row is not None
        return LookAhead(
            n,
            is_drawn,
            doubts,
            errors,
            chances,
            place,
            needs=needs,
            is_duplicate=is_duplicate,
        )

    def take_arrived(self, look: LookAhead, keys: NDArray[np.uint64]) -> Drawn | None:
        """Take in the first events of a look, up to the drawn one at most; return the draw, if any.

        `keys`, shape (n,), are their hashed ids, at most `counted_n`.
        """
        n, doubts, chances = len(keys), look.doubts, look.chances
        if n == look.n:
            self.place, row = look.place, n - 1 if look.is_drawn else None
        else:
            self.place, row = place_drawn(self.place, chances[:n], keys, self.chance)
        is_counted = n == self.counted_n
        # A stretch ends at a counted event at the latest, and the last place of the ring is one.
        self._errors[self._doubts.add(doubts[:n])] = look.errors[:n]
        self._trim.count_chances(chances[:n], is_counted=is_counted)
        if is_counted:
            self._doubts.put_in_order()
            self._error = float(self._errors[: self._doubts.n].mean())
        if self.needed is not None and look.needs is not None:
            self.needed.add_needs(look.needs[:n], is_counted=is_counted)
        self.is_due = is_counted or row is not None
        if row is None:
            return None
        p = int(chances[row])
        blind = self.chances.blind_part(p)
        is_blind = self.chance.uniform_of_key("control", int(keys[row])) < blind
        is_for_quota = False
        if self.needed is not None and look.needs is not None and not is_blind:
            luck = self.chance.uniform_of_key("quota", int(keys[row]))
            is_for_quota = self.needed.is_for_quota(float(look.needs[row]), p, blind, luck)
        return Drawn(
            propensity=p / ONE,
            control_p=blind * p / ONE,
            is_blind=is_blind,
            utility=float(doubts[row]),
            threshold=self.chances.preferred_from,
            is_for_quota=is_for_quota,
        )

    # ----------------------------------------------------------------------- rate and lean

    def note_answer(self, asked_at: int, events_n: int) -> None:
        """Note that a label came after `events_n` events; it was asked after `asked_at` of them."""
        self.lateness.note_answer(asked_at, events_n)

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
        """Compute rate and lean anew: at counted events, and after each draw.

        `open_n` requests are open, `room_n` more may be, `waiting_n` events were drawn and wait for
        money; `labels_n` labels have come, of `classes_n` classes.
        """
        self.is_due = False
        earned = budget.steady_labels_per_event()
        known = 1.0 if self.is_doubt_given else rate_knowledge(labels_n, classes_n)
        late_labels = earned * self.lateness.events_n(budget.events_n, open_n)
        to_spend = min(budget.balance, room_n * ONE) - budget.held_n * ONE
        credit = (to_spend - self.place.ahead - waiting_n * ONE) / ONE - in_hand_of(budget.asked_n)
        is_granted = budget.asked_n < budget.start_n and min(budget.available_n, room_n) > 0
        rate = 1.0 if is_granted else rate_of(earned, credit)
        self._trim.rate = round(rate * ONE)
        rate = min(1.0, rate * self._trim.factor)
        shape = choose_lean(self.share, known, late_labels)
        self.chances = RankChances(self._doubts.ordered, rate, shape)
        if self.needed is not None:
            self.needed.aim_draw(rate, shape.share)
