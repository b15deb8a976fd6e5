"""What breaks a budget in a whole engine is told: labels that are spent twice, or given away."""

from __future__ import annotations

import pytest

from headrace.query.budgets import Cap, Share
from headrace.query.requests import AUDIT
from headrace.testing import check_budget
from headrace.testing.spending import check_spending


class Broke(Share):
    """Says it has more than it has."""

    def __init__(self) -> None:
        super().__init__(0.5)
        self.balance -= 40 * 10**9


def test_every_kind_of_account_holds_in_an_engine() -> None:
    for make in (lambda: Share(0.4, start=10), lambda: Cap(45)):
        check_spending("account", make)


def test_an_account_that_is_short_from_the_start_is_told() -> None:
    with pytest.raises(AssertionError, match=r"Broke is 39\.\d+ labels short"):
        check_budget(Broke)


def test_labels_that_come_back_before_they_can_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was once: a request that expired was paid back, and its answer came all the same."""
    from headrace.query.asking import Asking  # noqa: PLC0415 - what is broken here alone

    ended = Asking.end_request

    def too_soon(self: Asking, event_id: str, now: float, **told: object) -> None:
        late, self.late_answers = self.late_answers, "refused"
        ended(self, event_id, now, **told)  # type: ignore[arg-type]
        self.late_answers = late

    monkeypatch.setattr(Asking, "end_request", too_soon)
    with pytest.raises(AssertionError, match=r"late answers taken: \d+ labels may have to be paid"):
        check_budget(lambda: Share(0.4, start=10))


def test_what_is_taken_from_a_reserve_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.query.paying import Paying  # noqa: PLC0415 - what is broken here alone

    def all_of_it(self: Paying, reason: str) -> int:
        return self.budget.available_n

    monkeypatch.setattr(Paying, "can_open_n", all_of_it)
    with pytest.raises(AssertionError, match=f"took what is held for {AUDIT}s"):
        check_budget(lambda: Cap(45))
