"""Checks a budget in a whole engine at every step: reserves, refunds and late answers."""

from __future__ import annotations

from collections.abc import Callable

from ..chance import Chance
from ..engine import Engine
from ..messages import Answer, Event, LabelRequested, LabelSettled, Output, RoundOrdered, Tick
from ..query.accounts import LABEL
from ..query.budgets import Account, Budget, Share
from ..query.quotas import REASON as QUOTA
from ..query.requests import AUDIT, BLIND
from ..settings import parse
from .claims import claim

EVENTS_N = 240
DEADLINE_S = 15.0
RESERVE, RESERVE_AUDIT, RESERVE_SHARE = 4, 3, 0.2

IN_TIME, LATE, NEVER = 0.6, 0.8, 1.0
"""An answer with luck below the first comes in time, below the second late, else never."""


def check_spending(name: str, make: Callable[[], Account]) -> None:
    """Run engines with this account over a short stream; raise `AssertionError` for a fault.

    People answer in time, late, or never; a person orders rounds and audits. On arrival and in
    rounds, with late answers taken and refused, it is checked that the balance is never below 0;
    that every request that may still cost a label is charged; that the reserve for audits stays
    until there is one, and the reserve for drift and orders is not spent on regular rounds; and
    that the blind draw and the rare class get their part.
    """
    for is_arrival in (True, False):
        for late in ("taken", "refused"):
            _Play(name, make(), late, is_arrival=is_arrival).play_stream()


class _Play:
    """One engine with its stream, and the requests, answers and labels so far."""

    def __init__(self, name: str, account: Account, late: str, *, is_arrival: bool) -> None:
        self.late = late
        self.told = f"{name}, {'on arrival' if is_arrival else 'in rounds'}, late answers {late}:"
        settings = parse({
            "schema": {"classes": ["fine", "fraud"]},
            "model": {"name": "logistic"},
            "query": {
                **({"ask": "arrival"} if is_arrival else {"rounds": {"every_n": 15}}),
                "cold_start": {"per_class_n": 1},
                "quotas": {"per_class_n": 8},
            },
            "label": {"deadline_s": DEADLINE_S, "late_answers": late},
            "drift": {"watch": []},
        })  # fmt: skip
        # An account that is only a total would be spent at once.
        accounts: list[Account] = [account, Share(0.5, start=10)]
        budget = Budget(accounts, reserve=RESERVE, reserve_share=RESERVE_SHARE, audit=RESERVE_AUDIT)
        self.engine = Engine(settings=settings, budget=budget, seed=5)
        self.budget = self.engine.shard.asking.budget
        self.answers: list[tuple[float, Answer]] = []
        self.asked: dict[str, LabelRequested] = {}
        self.settled: set[str] = set()

    def play_stream(self) -> None:
        luck = Chance(17)
        for i in range(EVENTS_N):
            is_fraud = luck.uniform("class", str(i)) < 0.15
            x = luck.uniform("x", str(i)) + (0.6 if is_fraud else 0.0)
            event = Event(id=f"{int(is_fraud)}/{i}", at=float(i), features={"x": x})
            self.check_outputs(self.engine.feed([event]))
            due = [answer for at, answer in self.answers if at <= i]
            self.answers = [pending for pending in self.answers if pending[0] > i]
            for answer in due:
                self.check_outputs(self.engine.feed([answer]))
            if i in (100, 180):
                self._order_labels(i)
        self.check_parts()

    def _order_labels(self, i: int) -> None:
        """Order a round or an audit, and check that it asks as many labels as can be spent."""
        is_audit = i > 100
        reason = AUDIT if is_audit else "ordered"
        # The order itself would move the clock, and with time an account may earn a label.
        self.check_outputs(self.engine.feed([Tick(at=float(i))]))
        can_n = self.engine.shard.asking.can_open_n(reason)
        order = RoundOrdered(at=float(i), key=str(i), is_audit=is_audit, labels_n=3)
        outputs = self.engine.feed([order])
        n = sum(isinstance(output, LabelRequested) for output in outputs)
        fault = f"{self.told} {n} labels were asked for a round that is {reason}, of {can_n} there"
        claim(n == max(0, min(3, can_n)), fault)
        self.check_outputs(outputs)

    def check_outputs(self, outputs: list[Output]) -> None:
        """Note requests and labels in these outputs, and check the budget against them."""
        for one in outputs:
            if isinstance(one, LabelRequested):
                self.asked[one.request_id] = one
                self._schedule_answer(one)
            elif isinstance(one, LabelSettled):
                self.settled.add(one.request_id)
        budget, case = self.budget, self.told
        for account in budget.accounts:
            lacking = f"{case} {type(account).__name__} is {-account.balance / LABEL} labels short"
            claim(account.balance >= 0, lacking)
        open_n = self.engine.shard.asking.open_n
        may_cost_n = len(self.settled) + open_n
        if self.late == "taken":
            # Any request without an answer may still get one.
            may_cost_n = len(self.asked)
        short = f"{case} {may_cost_n} labels may have to be paid, {budget.spent_n} are charged"
        claim(budget.spent_n >= may_cost_n, short)
        self._check_reserves([one for one in outputs if isinstance(one, LabelRequested)])

    def _check_reserves(self, requests: list[LabelRequested]) -> None:
        """Check that these requests left in the budget what was reserved when they were asked."""
        if not requests:
            return
        budget, reason, left_n = self.budget, requests[-1].reason, self.budget.available_n
        before_n = budget.asked_n - len(requests)
        if reason != AUDIT:
            held_n = budget.audit.held_n(budget.asked_n - 1)
            claim(left_n >= held_n, f"{self.told} {reason} took what is held for audits")
        if reason == "round" or (reason == QUOTA and requests[-1].round_n >= 0):
            held_n = budget.audit.held_n(before_n) + budget.reserve.held_n(before_n)
            claim(left_n >= held_n, f"{self.told} {reason} took what is held for drift")

    def _schedule_answer(self, request: LabelRequested) -> None:
        """Schedule the answer to a request: in time, late, or never."""
        luck = Chance(19).uniform("answer", request.event_id)
        if luck >= LATE:
            return
        wait_s = 3.0 if luck < IN_TIME else 3.0 * DEADLINE_S
        label = "fraud" if request.event_id.startswith("1") else "fine"
        at = request.at + wait_s
        self.answers.append((at, Answer(request_id=request.request_id, label=label, at=at)))

    def check_parts(self) -> None:
        """Check that the blind draw and the rare class had their parts, given enough labels."""
        n = len(self.asked)
        if n < 40:
            # With so few labels there is no part for anything.
            return
        blind_n = sum(request.strategy == BLIND for request in self.asked.values())
        claim(blind_n >= 0.1 * n, f"{self.told} {blind_n} of {n} labels were drawn blindly")
        is_any = any(request.reason == QUOTA for request in self.asked.values())
        claim(is_any, f"{self.told} the rare class got nothing")
