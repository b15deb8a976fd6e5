"""How a budget holds in a whole engine: reserves, refunds and late answers, instant by instant."""

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
"""So lucky answers come in time, or after the deadline; the others never do."""


def check_spending(name: str, make: Callable[[], Account]) -> None:
    """Lead engines with this account over a short stream; raise `AssertionError` for what is wrong.

    People answer in time, late, or never; a person orders rounds and audits. On arrival and in
    rounds, with late answers taken and refused: the balance is never below 0; what may still cost
    a label is charged; what is set aside for audits stays there until there is one, and of what is
    set aside for drift and orders nothing goes to regular rounds; the blind draw and the rare class
    get their part.
    """
    for is_arrival in (True, False):
        for late in ("taken", "refused"):
            _Play(name, make(), late, is_arrival=is_arrival).run()


class _Play:
    """One engine, and what is known of each request."""

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
        # A total alone would be spent at once.
        accounts: list[Account] = [account, Share(0.5, start=10)]
        budget = Budget(accounts, reserve=RESERVE, reserve_share=RESERVE_SHARE, audit=RESERVE_AUDIT)
        self.engine = Engine(settings=settings, budget=budget, seed=5)
        self.budget = self.engine.shard.asking.budget
        self.answers: list[tuple[float, Answer]] = []
        self.asked: dict[str, LabelRequested] = {}
        self.settled: set[str] = set()

    def run(self) -> None:
        luck = Chance(17)
        for i in range(EVENTS_N):
            is_fraud = luck.uniform("class", str(i)) < 0.15
            x = luck.uniform("x", str(i)) + (0.6 if is_fraud else 0.0)
            event = Event(id=f"{int(is_fraud)}/{i}", at=float(i), features={"x": x})
            self.take(self.engine.feed([event]))
            due = [answer for at, answer in self.answers if at <= i]
            self.answers = [one for one in self.answers if one[0] > i]
            for answer in due:
                self.take(self.engine.feed([answer]))
            if i in (100, 180):
                self._order(i)
        self.check_parts()

    def _order(self, i: int) -> None:
        """A person orders a round, or an audit: it is held if anything is there for it."""
        is_audit = i > 100
        what = AUDIT if is_audit else "ordered"
        # The order itself would move the clock, and time may earn a label.
        self.take(self.engine.feed([Tick(at=float(i))]))
        can_n = self.engine.shard.asking.can_open_n(what)
        order = RoundOrdered(at=float(i), key=str(i), is_audit=is_audit, labels_n=3)
        outputs = self.engine.feed([order])
        n = sum(isinstance(one, LabelRequested) for one in outputs)
        fault = f"{self.told} {n} labels were asked for a round that is {what}, of {can_n} there"
        claim(n == max(0, min(3, can_n)), fault)
        self.take(outputs)

    def take(self, outputs: list[Output]) -> None:
        """Note what was asked and labelled, and hold it to what was there to spend."""
        for one in outputs:
            if isinstance(one, LabelRequested):
                self.asked[one.request_id] = one
                self._answer(one)
            elif isinstance(one, LabelSettled):
                self.settled.add(one.request_id)
        budget, told = self.budget, self.told
        for account in budget.accounts:
            lacking = f"{told} {type(account).__name__} is {-account.balance / LABEL} labels short"
            claim(account.balance >= 0, lacking)
        open_n = self.engine.shard.asking.open_n
        may_cost_n = len(self.settled) + open_n
        if self.late == "taken":
            # Whoever has not answered may do so for ever.
            may_cost_n = len(self.asked)
        short = f"{told} {may_cost_n} labels may have to be paid, {budget.spent_n} are charged"
        claim(budget.spent_n >= may_cost_n, short)
        self._check_reserves([one for one in outputs if isinstance(one, LabelRequested)])

    def _check_reserves(self, requests: list[LabelRequested]) -> None:
        """What was set aside when these were asked is still there; only they may set aside more."""
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

    def _answer(self, request: LabelRequested) -> None:
        """In time, late, or never."""
        luck = Chance(19).uniform("answer", request.event_id)
        if luck >= LATE:
            return
        wait_s = 3.0 if luck < IN_TIME else 3.0 * DEADLINE_S
        label = "fraud" if request.event_id.startswith("1") else "fine"
        at = request.at + wait_s
        self.answers.append((at, Answer(request_id=request.request_id, label=label, at=at)))

    def check_parts(self) -> None:
        """The blind draw and the rare class had their parts, where there were labels for them."""
        n = len(self.asked)
        if n < 40:
            # An account that earns so little gives nobody a part.
            return
        blind_n = sum(one.strategy == BLIND for one in self.asked.values())
        claim(blind_n >= 0.1 * n, f"{self.told} {blind_n} of {n} labels were drawn blindly")
        is_any = any(one.reason == QUOTA for one in self.asked.values())
        claim(is_any, f"{self.told} the rare class got nothing")
