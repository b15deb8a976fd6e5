"""All accounts of a budget together, and the budget that the settings describe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...errors import BadSettings
from ...settings import BudgetSettings
from ..accounts import (
    LABEL,
    NOTHING,
    AskedLabel,
    Forgetting,
    Money,
    PerPeriod,
    Total,
    keeps_own_books,
    money_of,
)
from .plain import Account, Cap, PerHour, Share
from .reserve import AUDIT_SHARE, RESERVE_SHARE, Reserve, limit_reserve

_GAP_EVERY_N = 256


class Budget:
    """All accounts together: the lowest balance decides.

    Labels are set aside for two purposes: for rounds that drift or a person opens and for control,
    and for audits alone.

    Args:
        accounts: The accounts, of which at least one earns with events or time.
        reserve: The most labels set aside for the first purpose.
        reserve_share: The share of the labels asked that is set aside for it, 0 to 1.
        audit: The most labels set aside for audits; they are a tenth of those asked.

    Attributes:
        asked_n: Labels asked in all.
        refunded_n: Labels paid back in all.

    Raises:
        BadSettings: No account earns anything, or an object is no account.

    >>> budget = Budget([Share(0.1)], reserve=0)
    >>> is_gap_measured = budget.events_passed(25, now=0.0)
    >>> budget.available_n
    2
    """

    def __init__(
        self,
        accounts: list[Account],
        *,
        reserve: int = 20,
        reserve_share: float = RESERVE_SHARE,
        audit: int = 0,
    ) -> None:
        for account in accounts:
            is_class = isinstance(account, type)
            if is_class or not callable(getattr(account, "labels_per_event", None)):
                raise BadSettings(
                    f"{account!r} is no budget; pass an account such as budgets.Share(0.05)"
                )
        if not any(account.labels_per_event(1.0) is not None for account in accounts):
            raise BadSettings(
                "the budget has no rate; a cap alone would be spent on the first events: "
                "set share or per_hour as well"
            )
        self.accounts = accounts
        reserve = limit_reserve(reserve, reserve_share, accounts)
        self.reserve = Reserve(reserve, reserve_share)
        audit = limit_reserve(audit, AUDIT_SHARE, accounts, others_n=reserve)
        self.audit = Reserve(audit, AUDIT_SHARE)
        self.asked_n = 0
        self.refunded_n = 0
        self._events_n = 0
        self._gap_s = 0.0
        self._gap_before_s = 0.0
        self._first_at: float | None = None
        self._gap_from: tuple[int, float] = (0, 0.0)
        self._next_gap_n = 1
        # Nothing of the labels granted at the start is set aside.
        self.start_n = self.available_n
        self._hold_from_start()

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before 2 nothing was set aside for audits."""
        reserve = Reserve(fields["reserve"], 0.1)
        reserve.use(fields.pop("_held_from_n"))
        return fields | {"reserve": reserve, "audit": Reserve(0, AUDIT_SHARE)}

    def _hold_from_start(self) -> None:
        for reserve in (self.reserve, self.audit):
            reserve.use(self.start_n)

    @property
    def events_n(self) -> int:
        """Events observed so far."""
        return self._events_n

    @property
    def spent_n(self) -> int:
        """Labels asked and not paid back; they never exceed what was earned."""
        return self.asked_n - self.refunded_n

    @property
    def balance(self) -> int:
        """What may be spent, in billionths of a label, including what is set aside."""
        return min([account.balance for account in self.accounts])

    @property
    def available_n(self) -> int:
        """Whole labels that may be asked now, including those set aside."""
        return max(0, self.balance // LABEL)

    def spendable_n(self, other: Reserve) -> int:
        """Count the labels that can be asked now one after the other without touching a reserve.

        Each label asked may set another one aside, so that a round can't ask all it could at first.

        Args:
            other: The reserve to leave alone, one of the two of this budget.

        Returns:
            Whole labels; 0 or less where nothing can be asked.

        >>> budget = Budget([Share(0.5)], reserve=0, audit=5)
        >>> is_gap_measured = budget.events_passed(40, now=0.0)
        >>> budget.available_n, budget.spendable_n(budget.audit)
        (20, 19)
        """
        available_n = self.available_n
        n = available_n - other.held_n(self.asked_n)
        while n > 0 and available_n - (n - 1) <= other.held_n(self.asked_n + n - 1):
            n -= 1
        return n

    @property
    def held_n(self) -> int:
        """Labels set aside, which a regular round leaves untouched."""
        return self.reserve.held_n(self.asked_n) + self.audit.held_n(self.asked_n)

    @property
    def cap_n(self) -> int | None:
        """Labels that may ever be asked in all; None without a cap."""
        caps = [account.cap for account in self.accounts if isinstance(account, Cap)]
        return min(caps, default=None)

    @property
    def is_exhausted(self) -> bool:
        """Whether a total is spent: nothing will be asked again unless labels are refunded."""
        return any(
            account.labels_per_event(1.0) is None and account.balance < LABEL
            for account in self.accounts
        )

    @property
    def total_spent(self) -> Total:
        """Labels spent of a cap, and money of `Money`; 0 where there is no such limit."""
        spent = NOTHING
        for account in self.accounts:
            if isinstance(account, Cap):
                spent = spent._replace(labels_n=account.cap - account.balance // LABEL)
            elif isinstance(account, Money):
                spent = spent._replace(money=account.spent)
        return spent

    def set_total(self, limit: Total, spent: Total) -> None:
        """Set how much of a cap, and of money, may be spent here.

        Args:
            limit: The labels, and the money in millionths, that may be spent in all.
            spent: How much of both is spent.
        """
        for account in self.accounts:
            if isinstance(account, Cap):
                account.cap = limit.labels_n
                account.balance = (limit.labels_n - spent.labels_n) * LABEL
            elif isinstance(account, Money):
                account.set_total(limit.money, spent.money)
        if not self._events_n:
            self.start_n = self.available_n
            self._hold_from_start()

    def events_passed(self, n: int, now: float) -> bool:
        """Count observed events. The mean gap between events is measured at counted points.

        Args:
            n: The number of events, at most `next_gap_n`.
            now: The clock, seconds since the epoch.

        Returns:
            Whether the gap was measured, so that `labels_per_event` may have changed.
        """
        for account in self.accounts:
            account.events_passed(n)
            account.time_passed(now)
        if self._first_at is None:
            self._first_at = now
            self._gap_from = (0, now)
        self._events_n += n
        is_measured = self._events_n == self._next_gap_n
        if is_measured:
            from_n, from_at = self._gap_from
            self._gap_before_s = self._gap_s
            self._gap_s = (now - from_at) / max(1, self._events_n - from_n)
            if self._events_n % _GAP_EVERY_N == 0:
                self._gap_from = (self._events_n, now)
            self._next_gap_n = min(2 * self._events_n, self._events_n + _GAP_EVERY_N)
        return is_measured

    def events_until(self, labels_n: int) -> int:
        """Count the events that go by at least before labels are available.

        That is if nothing is asked or refunded. Only a `Share` gives a bound above 0: any other
        account may have the labels at the next event.

        Args:
            labels_n: The labels to wait for.

        Returns:
            The number of events, at least 0.
        """
        return max(
            account.events_until(labels_n * LABEL) if isinstance(account, Share) else 0
            for account in self.accounts
        )

    def set_anew(self, now: float) -> None:
        """Set a wrong clock right: no time has passed.

        Args:
            now: The clock, seconds since the epoch.
        """
        for account in self.accounts:
            if isinstance(account, PerHour | PerPeriod):
                account.set_anew(now)
        self._gap_from = (self._events_n, now)

    @property
    def next_gap_n(self) -> int:
        """Events until the mean gap between events is measured again."""
        return self._next_gap_n - self._events_n

    def time_passed(self, now: float) -> None:
        """Note that time has passed and no event came.

        Args:
            now: The clock, seconds since the epoch.
        """
        for account in self.accounts:
            account.time_passed(now)

    def labels_per_event(self) -> float:
        """Return the rate at which labels are earned at the present pace of events.

        Returns:
            Labels per event, 0 to 1, the lowest rate of any account.
        """
        rates = [account.labels_per_event(self._gap_s) for account in self.accounts]
        return min(rate for rate in rates if rate is not None)

    def steady_labels_per_event(self) -> float:
        """Return the rate at the faster of the last two paces: a pause is not taken for the pace.

        Returns:
            Labels per event, 0 to 1, the lowest rate of any account.
        """
        gap_s = min(self._gap_s, self._gap_before_s)
        rates = [account.labels_per_event(gap_s) for account in self.accounts]
        return min([rate for rate in rates if rate is not None])

    def prices(
        self, probabilities: NDArray[np.float64], classes: Sequence[str]
    ) -> NDArray[np.float64] | None:
        """Compute the expected price of a label of each of n events.

        Args:
            probabilities: Those of the classes, shape (n, k).
            classes: The names of the k classes.

        Returns:
            Prices in money, shape (n,); None where labels have no price.
        """
        for account in self.accounts:
            if isinstance(account, Money):
                return account.expect_costs(probabilities, classes)
        return None

    def charge(self, n: int = 1, asked: AskedLabel | None = None) -> None:
        """Pay for labels that are asked.

        Args:
            n: The number of labels.
            asked: What is known of them; None if nothing.
        """
        for account in self.accounts:
            if keeps_own_books(account):
                for _ in range(n):
                    account.charge(asked)
            else:
                account.balance -= n * LABEL
        self.asked_n += n

    def settle(self, request_id: str, label: str, by: Sequence[str] = ()) -> None:
        """Note the first label of a request: its price is known now.

        Args:
            request_id: The id of the request.
            label: The class.
            by: The annotators who gave it; "" is one without a name.
        """
        for account in self.accounts:
            if keeps_own_books(account):
                account.settle(request_id, label, by)

    def use_reserve(self, *, is_audit: bool = False) -> None:
        """Release a reserve, for a round that drift or a person opened, or for an audit.

        Args:
            is_audit: Whether it is the reserve for audits.
        """
        (self.audit if is_audit else self.reserve).use(self.asked_n)

    def refund(
        self, n: int = 1, *, request_id: str = "", asked_before_n: int | None = None
    ) -> None:
        """Pay back requests that ended for good without a label.

        Args:
            n: The number of requests.
            request_id: The id of the request, if it is one.
            asked_before_n: How many events ago they were asked; None if that is not known.
        """
        for account in self.accounts:
            if keeps_own_books(account):
                for _ in range(n):
                    account.refund(request_id, asked_before_n)
            else:
                account.balance += n * LABEL
        self.refunded_n += n


def from_settings(settings: BudgetSettings) -> Budget:
    """Make the budget that the settings describe.

    Args:
        settings: The section `[query.budget]`.

    Returns:
        A new budget.

    Raises:
        BadSettings: No account earns anything, or a limit can't be used.

    >>> from_settings(BudgetSettings(share=0.1)).labels_per_event()
    0.1
    """
    accounts: list[Account] = []
    if settings.share is not None:
        accounts.append(Share(settings.share, burst=settings.burst, start=settings.start))
    if settings.per_hour is not None:
        accounts.append(PerHour(settings.per_hour, burst=settings.burst, start=settings.start))
    if settings.cap is not None:
        accounts.append(Cap(settings.cap))
    if settings.share is not None and settings.share_over_n is not None:
        accounts.append(Forgetting(settings.share, window_n=settings.share_over_n))
    if settings.per_period is not None:
        accounts.append(
            PerPeriod(
                settings.per_period, period_s=settings.period_s, carry_over=settings.carry_over
            )
        )
    if settings.money is not None:
        accounts.append(money_of(settings, settings.money))
    return Budget(
        accounts,
        reserve=settings.reserve,
        reserve_share=settings.reserve_share,
        audit=settings.reserve_audit,
    )
