"""From candidates to label requests: on arrival, and in rounds.

With `query.ask = "arrival"` an event has one first chance: the draw of `arrivals`. Its probability
is the event's propensity, by which the accuracy estimate divides. A part of the draw is blind.

With `query.ask = "rounds"` an event has two first chances. When it arrives, the *control draw* asks
it with a small probability, whatever it looks like. In the first round after its arrival the
strategy ranks it among the others and a sample is drawn. `settle_first_chances` combines both into
the propensity.

Rounds opened by drift or by a person give older events a further chance: their labels teach, and
don't judge. An event drawn on arrival while the budget is empty waits, and is asked when there is a
label to spend: the draw itself does not depend on the budget.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..chance import Chance
from ..errors import BadInput
from ..messages import (
    LabelDisputed,
    LabelRequested,
    LabelSettled,
    RequestEnded,
    RequestRescored,
    RoundClosed,
    RoundOpened,
)
from ..messages.request_ids import opinion_id
from ..observe.window import Columns
from ..settings import LabelSettings, QuerySettings
from ..state.stored_parts import OfParts, Parts
from .arrivals import Drawn
from .budgets import Budget
from .choosing import Wanted, choose_by, choose_spread, chosen_by_need
from .control import ControlDraw
from .duplicates import Duplicates
from .former import upgrade_asking
from .open_questions import SCORED_REASONS, OpenQuestion, OpenQuestions
from .paying import Paying
from .pool import Pool
from .quotas import REASON as QUOTA
from .quotas import Quotas
from .requests import AUDIT, BLIND, Candidate, Why, request_of
from .rounds import Decision, FirstChance, PastRounds
from .ruled import RuledArrivals, arrivals_of
from .schedule import Schedule, Workflow, workflow_of
from .strategies import Strategy, resolve, utilities_by_row, utilities_of
from .strategies.state import Pick, keeps_state, tell_strategy
from .strategies.uncertainty import random

_PARTS: Parts = {
    "rounds": (
        PastRounds,
        {
            "rounds_n": "n",
            "rounds_by_reason": "by_reason",
            "last_round_at": "last_at",
            "_redundancy": "_redundancy",
            "_last_round": "_last",
        },
    )
}


class Asking(Paying, OfParts):
    """Decides which events are asked, and which wait until there is a label to spend.

    `settings` and `label` are the settings of these names. `strategy` is a query strategy or its
    name; one that keeps state is copied. `budget` pays for requests, `chance` is the hashed luck of
    all draws, `stream` a part of every request id. `workflow` opens regular rounds; without it the
    one that the settings name. Methods `ask_...` return the requests that are asked at once. Raises
    `BadSettings` where the strategy can't be used.
    """

    PARTS: ClassVar[Parts] = _PARTS

    def __init__(
        self,
        settings: QuerySettings,
        label: LabelSettings,
        *,
        strategy: str | Strategy,
        budget: Budget,
        chance: Chance,
        stream: str,
        workflow: Workflow | None = None,
    ) -> None:
        super().__init__(label, budget, chance, stream)
        self.settings = settings
        self.strategy_name, strategy = resolve(strategy, settings.options)
        # A copy: another engine that was passed the same object must not share what it learns here.
        self.strategy = copy.deepcopy(strategy) if keeps_state(strategy) else strategy
        self.rounds = PastRounds()
        self.schedule = Schedule(workflow or workflow_of(settings.workflow))
        self.quotas = Quotas(settings.quotas, settings.slices)
        self.duplicates = Duplicates(settings.duplicates)
        self.class_labels_n: dict[str, int] = {}
        self.labels_n = 0
        self.control_draw = ControlDraw(settings.control_share, budget.labels_per_event())
        self.propensity_min = 1.0
        self.threshold = 0.0
        self.open = OpenQuestions(settings.open)
        self.arrivals = arrivals_of(settings, self.strategy_name, self.strategy, chance)
        self.aim_draw()

    STATE_VERSION: ClassVar[int] = 5
    upgrade_state = staticmethod(upgrade_asking)

    def __getstate__(self) -> dict[str, object]:
        self.rounds.forget_pool()
        # A strategy without state is code, which a restored engine has already.
        left_out = ("record",) if keeps_state(self.strategy) else ("record", "strategy")
        return {k: v for k, v in super().__getstate__().items() if k not in left_out}

    def attach_strategy(self, strategy: Strategy) -> None:
        """Attach the strategy after a restart; one that keeps state came with the state restored.

        Raises `BadInput` where the restored state is that of another strategy.
        """
        if not keeps_state(strategy):
            self.strategy = strategy
        elif type(self.__dict__.get("strategy")) is not type(strategy):
            raise BadInput(f"the state has nothing of {type(strategy).__name__}, which keeps state")

    @property
    def control_p(self) -> float:
        """The present probability of the control draw."""
        return self.control_draw.p

    # ---------------------------------------------------------------------------- control

    def note_newest_time(self, at: float) -> None:
        """Note the time of the newest event observed, in seconds, whatever the clock says."""
        self._newest_at = at

    def take_gap(self, seq: int) -> None:
        """Adjust the control draw to the pace of events from event `seq` on, a counted point."""
        self.control_draw.adjust_rate(self.budget.labels_per_event(), seq)

    def ask_control(
        self, candidate: Candidate, model_version: int, now: float
    ) -> list[LabelRequested]:
        """Ask about an event of the control draw, now or when there is a label to spend."""
        if self.remembers(candidate.id):
            return []
        p = self.control_draw.note_draw(candidate.seq, self.request_id(candidate.id))
        why = Why("control", propensity=p, control_p=p)
        return self._ask_or_wait(self._make_request(candidate, why, model_version), now)

    def erase(self, request_ids: Collection[str]) -> list[LabelRequested]:
        """Give up the waiting requests that have these ids, and return them."""
        gone = self.queue.erase(request_ids)
        self.open.erase(request_ids)
        for request in gone:
            if request.opinion_n > 1:
                self.opinions.give_up(request)
        self.rounds.forget_pool()
        return gone

    # --------------------------------------------------------------------------- opinions

    def ask_second_opinion(
        self, entry: LabelSettled, model_version: int, now: float
    ) -> list[LabelRequested]:
        """Ask somebody else about a label that looks wrong or is unsure, if the share has room."""
        if not self.opinions.has_room(self.budget.asked_n):
            return []
        if self.passes_over(opinion_id(entry.request_id, 2), self.regular_n):
            return []
        return self._ask_or_wait(
            self._prioritise(self.opinions.ask_second(entry, model_version)), now
        )

    def take_opinion_end(
        self, entry: RequestEnded, model_version: int, now: float
    ) -> list[LabelRequested] | None:
        """Return the requests that follow when an opinion ends; None if no opinion did.

        A third opinion is asked where two leave the label open; one without an answer is refunded.
        """
        if self.opinions.close_unanswered(entry):
            self.budget.refund(request_id=entry.request_id)
            return []
        if not isinstance(entry, LabelSettled | LabelDisputed) or entry.opinion_n == 1:
            return None
        request = self.opinions.close_answered(entry)
        self.note_opinion(entry)
        is_open = isinstance(entry, LabelDisputed) or self.opinions.is_unsure(entry)
        if request is None or entry.opinion_n != 2 or not is_open:
            return []
        third = self.opinions.ask_third(request, entry, model_version)
        return self._ask_or_wait(self._prioritise(third), now)

    def _prioritise(self, request: LabelRequested) -> LabelRequested:
        """Return the request with priority 1, where requests have an order: finish labels first."""
        if not self.open.is_scored:
            return request
        return msgspec.structs.replace(request, priority=1.0)

    # ---------------------------------------------------------------------------- arrival

    def rate_doubts(self, pool: Pool) -> NDArray[np.float64]:
        """Return the strategy's utility of each event, looked at alone; shape (n,)."""
        return utilities_by_row(self.strategy, self.strategy_name, pool, self.chance)

    def ask_on_arrival(
        self, candidate: Candidate, drawn: Drawn, model_version: int, now: float, priority: float
    ) -> list[LabelRequested]:
        """Ask about an event drawn on arrival, now or when there is a label to spend."""
        self.propensity_min = min(self.propensity_min, drawn.propensity)
        self.threshold = drawn.threshold
        why = Why(
            drawn.reason,
            propensity=drawn.propensity,
            control_p=drawn.control_p,
            strategy=BLIND if drawn.is_blind else drawn.rule or self.strategy_name,
            utility=drawn.utility,
            threshold=drawn.threshold,
            priority=priority,
        )
        return self._ask_or_wait(self._make_request(candidate, why, model_version), now)

    def aim_draw(self) -> None:
        """Adjust the draw on arrival to the budget, the open requests and the labels so far."""
        if self.arrivals is None:
            return
        open_n = self.open_n
        self.arrivals.aim_draw(
            self.budget,
            open_n=open_n,
            room_n=max(0, self.open_max - open_n),
            waiting_n=self.waiting_n,
            labels_n=self.labels_n,
            classes_n=len(self.class_labels_n),
        )

    # ----------------------------------------------------------------------------- rounds

    def scheduled_n(self, now: float) -> int:
        """Return how many events a regular round would ask about now; 0 if none is to open."""
        return self.schedule.wanted_n(
            now=now, can_ask_n=self.regular_n, labels_n=self.labels_n, open_n=self.open_n
        )

    def is_next_due(self, fresh_n: int, now: float) -> bool:
        """Whether a workflow that waits for answers opens a round, with `fresh_n` new events."""
        if self.arrivals is not None or not self.schedule.workflow.waits:
            return False
        return fresh_n >= (self.settings.rounds.regular_n or 1) and self.scheduled_n(now) > 0

    def is_cold(self, classes: Iterable[str]) -> bool:
        """Whether some known class has too few labels for a strategy to go by."""
        cold = self.settings.cold_start
        if cold.per_class_n == 0 or self.labels_n >= cold.labels_max:
            return False
        known = list(classes)
        return len(known) < 2 or any(
            self.class_labels_n.get(name, 0) < cold.per_class_n for name in known
        )

    def decide_round(
        self,
        pool: Pool,
        is_asked: NDArray[np.bool_],
        *,
        reason: str,
        at_random: str | None,
        wanted_n: int,
        now: float,
        needs: NDArray[np.float64] | None = None,
        is_duplicate: NDArray[np.bool_] | None = None,
    ) -> Decision:
        """Choose `wanted_n` events of the pool; ask nothing yet, only count the decision.

        - `is_asked`, shape (n,): events that were asked already can't be chosen, but take part in
          the ranking, so that those of the control draw get a propensity too;
        - `reason`: why the round opens; `at_random`: why the strategy has no say ("cold start",
          "drift"), None if it has;
        - `now`: the clock, in seconds;
        - `needs`, shape (n,): by quotas, used where the strategy has a say in a regular round;
        - `is_duplicate`, shape (n,): near-duplicates, which only a blind draw may choose.
        """
        at_random = AUDIT if reason == AUDIT else at_random
        name, strategy = ("random", random) if at_random else (self.strategy_name, self.strategy)
        is_candidate = ~is_asked
        candidates_n = int(is_candidate.sum())
        k, purpose = min(wanted_n, candidates_n), f"round {self.rounds.n}"
        drawn: dict[str, Any] = {"k": k, "chance": self.chance, "purpose": purpose}
        if reason == "drift":
            choice = choose_spread(pool, is_candidate, **drawn)
        else:
            drawn["sharpness"] = self.settings.sharpness
            if needs is not None and reason == "schedule" and not at_random:
                drawn["wanted"] = Wanted(needs, self.settings.quotas.share)
            if is_duplicate is not None and not at_random:
                drawn["is_duplicate"] = is_duplicate
                self.duplicates.passed_over_n += int((is_duplicate & is_candidate).sum())
            choice = choose_by(strategy, name, pool, is_candidate, **drawn)
        self.rounds.note_decision(pool, choice.chosen)
        by_strategy = "control" if strategy is random else "round"
        why = at_random or (by_strategy if reason == "schedule" else reason)
        return Decision(
            round_n=self.rounds.n - 1,
            reason=reason,
            why=why,
            strategy=choice.strategy,
            now=now,
            utilities=choice.utilities,
            inclusion=choice.inclusion,
            chosen=choice.chosen,
            pool_n=candidates_n,
            for_quota=chosen_by_need(choice, needs, pool, self.chance),
            by_arm=choice.by_arm,
        )

    def tell_asked(self, picks: Iterable[Pick]) -> None:
        """Notify the strategy of events that were asked because it had a say."""
        for pick in picks:
            tell_strategy(self.strategy, "asked", pick)

    def tell_drawn(self, events: Columns, row: int, drawn: Drawn) -> None:
        """Notify the strategy that event `row` was drawn on arrival, unless it was a blind draw."""
        if not drawn.is_blind:
            key_and_row = int(events.keys[row]), events.rows[row].copy()
            tell_strategy(
                self.strategy, "asked", Pick(*key_and_row, drawn.utility, drawn.propensity)
            )

    def tell_drift(self) -> None:
        """Notify the strategy that a drift was found."""
        tell_strategy(self.strategy, "drifted")

    def ask_round(
        self, decision: Decision, candidates: list[Candidate], model_version: int
    ) -> list[RoundOpened | LabelRequested | RoundClosed]:
        """Ask about the chosen candidates, in the decision's order; return the round's messages."""
        opened = RoundOpened(
            round_n=decision.round_n,
            at=decision.now,
            reason=decision.reason,
            pool_n=decision.pool_n,
            wanted_n=len(candidates),
        )
        outputs: list[RoundOpened | LabelRequested | RoundClosed] = [opened]
        self.threshold = decision.threshold
        self.rounds.count_round(decision.reason, decision.now)
        utilities = decision.utilities
        priority = self.open.rank_priorities(utilities[decision.chosen], utilities)
        for i, (row, candidate) in enumerate(zip(decision.chosen, candidates, strict=True)):
            if self.remembers(candidate.id):
                # The pool has this id twice: the first of both was asked a moment ago.
                continue
            why = Why(
                QUOTA if int(row) in decision.for_quota else decision.why,
                propensity=float(decision.inclusion[row]),
                strategy=decision.strategy,
                utility=float(decision.utilities[row]),
                threshold=self.threshold,
                round_n=decision.round_n,
                priority=priority[i],
            )
            outputs.append(
                self._pay_request(self._make_request(candidate, why, model_version), decision.now)
            )
        if decision.reason == "schedule":
            asked = [o.event_id for o in outputs if isinstance(o, LabelRequested)]
            self.schedule.note_batch([self.chance.key(event_id) for event_id in asked])
        closed = RoundClosed(
            round_n=decision.round_n,
            at=decision.now,
            asked_n=len(outputs) - 1,
            threshold=self.threshold,
        )
        outputs.append(closed)
        return outputs

    def settle_first_chances(
        self, decision: Decision, seq_of_row: NDArray[np.int64], ids: list[str], fresh_from: int
    ) -> list[FirstChance]:
        """Return the propensities that a round settles; arguments as of `ControlDraw`."""
        settled = self.control_draw.settle_first_chances(
            decision,
            seq_of_row,
            lambda row: self.request_id(ids[row]),
            fresh_from,
            is_counted=self.judges(decision.strategy),
        )
        for chance_known in settled:
            self.propensity_min = min(self.propensity_min, chance_known.propensity)
        return settled

    def _make_request(self, candidate: Candidate, why: Why, model_version: int) -> LabelRequested:
        request = request_of(self.stream, candidate, why, model_version, self.answers_wanted)
        if not self.open.is_scored:
            return request
        return msgspec.structs.replace(
            request,
            priority=why.priority if why.reason in SCORED_REASONS else 1.0,
            judges=why.strategy == BLIND,
        )

    # -------------------------------------------------------------------- open questions

    def judges(self, strategy: str) -> bool:
        """Whether labels of events that this strategy chose count in estimates.

        Where open questions are scored again, doubt decides which are withdrawn, and so which
        labels come: then only blind draws judge, which are never withdrawn.
        """
        return strategy == BLIND or not self.open.is_scored

    def rate_events(self, pool: Pool) -> NDArray[np.float64]:
        """Return the utilities of these events, computed as when they are asked; shape (n,)."""
        if self.arrivals is not None:
            return self.rate_doubts(pool)
        return utilities_of(self.strategy, self.strategy_name, pool, self.chance)

    def with_judging_chance(self, drawn: Drawn) -> Drawn:
        """Return the draw with the propensity by which its label judges.

        Where questions are scored again that is the blind part: others may be withdrawn.
        """
        if not (drawn.is_blind and self.open.is_scored):
            return drawn
        return replace(drawn, propensity=drawn.control_p)

    def watch_question(self, events: Columns, row: int, reason: str, priority: float) -> None:
        """Keep the question about event `row`, asked or waiting, if it may be scored again."""
        if self.open.is_scored and reason in SCORED_REASONS:
            event = events.take(np.array([row]))
            request_id = self.request_id(str(event.ids[0]))
            self.open.add_question(OpenQuestion(request_id, event, priority))

    def apply_rescoring(self, changes: list[RequestRescored]) -> list[RequestRescored]:
        """Apply these changes to open questions, or those on record; return those applied."""
        if self.record is not None:
            changes = self.record.take_rescored(changes, self.budget.events_n)
        for change in changes:
            key = self.open.apply_change(change)
            if key is not None:
                self.duplicates.forget_withdrawn(key)
        return changes

    # ------------------------------------------------------------------------------- ends

    def end_request(
        self, event_id: str, now: float, *, is_answered: bool, worth: float | None = None
    ) -> None:
        """Note that the request about this event ended at `now`; answered: by a label or a dispute.

        `worth` is how little the model had expected the label, 0 to 1; None without one. A request
        without an answer is paid back only where late answers are refused: else a late one may
        still have to be paid for.
        """
        key = self.chance.key(event_id)
        self.quotas.drop_question(key)
        self.open.drop_question(self.request_id(event_id))
        if worth is None:
            self.labels.drop(key)
        asked_at = self.remembered.note_end(key)
        if asked_at is None:
            return
        self.schedule.note_end(key, now, self.open_n, is_answered=is_answered)
        if isinstance(self.arrivals, RuledArrivals):
            self.arrivals.tell_end(key, worth)
        if worth is None:
            tell_strategy(self.strategy, "unanswered", key)
        else:
            tell_strategy(self.strategy, "labelled", key, worth)
        if is_answered:
            if self.arrivals is not None:
                self.arrivals.note_answer(asked_at, self.budget.events_n)
        elif self.late_answers == "refused":
            events_n = self.budget.events_n - asked_at
            self.budget.refund(request_id=self.request_id(event_id), asked_before_n=events_n)

    def count_labels(self, label: str, n: int) -> None:
        """Add `n` labels of a class to the counts for the cold start."""
        self.labels_n += n
        self.class_labels_n[label] = self.class_labels_n.get(label, 0) + n

    def count_label(self, label: str, event_id: str = "", reason: str = "") -> None:
        """Count a label that settled for the first time, for the cold start and the quotas."""
        self.count_labels(label, 1)
        if self.quotas.is_set:
            self.quotas.count_label(self.chance.key(event_id), label, reason)
