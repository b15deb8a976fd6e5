"""How many labels may be asked now: a share of the events, a rate in time, a total.

A budget has accounts in whole billionths of a label, so that sums are exact whatever the batching.
An account earns with events or with time, pays when a label is asked, and is paid back when a
request has ended without a label and none can come any more. `asking` decides what to spend it on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import BadSettings
from ..settings import BudgetSettings
from .accounts import (
    LABEL,
    NOTHING,
    AskedLabel,
    Forgetting,
    Money,
    PerPeriod,
    Total,
    keeps_own_books,
    money_of,
    require_numbers,
)

_GAP_EVERY_N = 256

RESERVE_SHARE = BudgetSettings().reserve_share

AUDIT_SHARE = 0.1
"""The share of the labels asked that is set aside for audits, up to `budget.reserve_audit`."""


class Account(Protocol):
    """One limit of a budget. An account of your own needs these four members and to be picklable.

    `balance` is in billionths of a label. `Budget` takes a whole label off it for each label asked
    and gives it back with a refund; an account that books otherwise has the methods of
    `accounts.OwnBooks` too. `labels_per_event` returns the rate at which it earns where events are
    `gap_s` seconds apart, None if it earns nothing. `now`, in seconds, may fall where the clock was
    wrong (docs/TIME.md).
    """

    balance: int

    def events_passed(self, n: int) -> None: ...
    def time_passed(self, now: float) -> None: ...
    def labels_per_event(self, gap_s: float) -> float | None: ...


def _require_room(burst: float, start: float) -> None:
    """Raise `BadSettings` for an account that could never hold a label."""
    if burst < 1:
        raise BadSettings(f"burst is {burst}; must be at least 1 (labels), or none is ever asked")
    if start < 0:
        raise BadSettings(f"start is {start}; must be at least 0 (labels)")


class Share:
    """An account that earns with events: each event earns `share` of a label.

    Unspent labels pile up to `burst`; `start` labels are granted before any event.

    >>> account = Share(0.05)
    >>> account.events_passed(40)
    >>> account.balance / 1e9
    2.0
    """

    def __init__(self, share: float, *, burst: int = 200, start: int = 0) -> None:
        require_numbers(share=share, burst=burst, start=start)
        _require_room(burst, start)
        if not 0 < share <= 1:
            raise BadSettings(
                f"the share is {share}; must be above 0 and at most 1 (of the events)"
            )
        self.share = share
        self.burst = burst * LABEL
        self.start = start
        self.balance = start * LABEL
        self._per_event = round(share * LABEL)

    def events_passed(self, n: int) -> None:
        if self.balance < self.burst:
            self.balance = min(self.burst, self.balance + n * self._per_event)

    def time_passed(self, now: float) -> None:
        """Time earns nothing here."""

    def labels_per_event(self, gap_s: float) -> float:
        return self.share

    def events_until(self, balance: int) -> int:
        """Return after how many events there is this balance, if nothing is asked or refunded."""
        return max(0, -((self.balance - balance) // max(1, self._per_event)))


class PerHour:
    """An account that earns `per_hour` labels per hour of event time: a token bucket.

    Turner, "New directions in communications", 1986. `burst` and `start` are as in `Share`.

    >>> account = PerHour(60)
    >>> account.time_passed(1_000.0); account.time_passed(1_090.0)
    >>> account.balance / 1e9
    1.5
    """

    def __init__(self, per_hour: float, *, burst: int = 200, start: int = 0) -> None:
        require_numbers(per_hour=per_hour, burst=burst, start=start)
        _require_room(burst, start)
        if not per_hour > 0:
            raise BadSettings(f"the rate is {per_hour}; must be above 0 (labels per hour)")
        self.per_hour = per_hour
        self.burst = burst * LABEL
        self.start = start
        self.balance = start * LABEL
        self._milli_per_hour = round(per_hour * 1_000)
        self._earned: int | None = None

    def events_passed(self, n: int) -> None:
        """Events earn nothing here."""

    def time_passed(self, now: float) -> None:
        # The total since the epoch is a whole number: neither order nor number of calls matters.
        earned = round(now * 1_000_000) * self._milli_per_hour // 3_600
        if self._earned is not None and self.balance < self.burst:
            self.balance = min(self.burst, self.balance + earned - self._earned)
        self._earned = earned

    def set_anew(self, now: float) -> None:
        """Set a wrong clock right, to `now` in seconds: the time skipped earns nothing."""
        self._earned = None
        self.time_passed(now)

    def labels_per_event(self, gap_s: float) -> float:
        return min(1.0, self.per_hour * gap_s / 3_600)


class Cap:
    """A total that is never exceeded. It stands beside a share or a rate, never alone.

    >>> Cap(500).balance / 1e9
    500.0
    """

    def __init__(self, labels: int) -> None:
        require_numbers(labels=labels)
        if labels < 0:
            raise BadSettings(f"the cap is {labels}; must be at least 0 (labels)")
        self.cap = labels
        self.balance = labels * LABEL

    def events_passed(self, n: int) -> None:
        """A total does not grow."""

    def time_passed(self, now: float) -> None:
        """A total does not grow."""

    def labels_per_event(self, gap_s: float) -> None:
        return None


class Reserve:
    """Labels set aside for one purpose: a share of those asked since they were used last.

    >>> reserve = Reserve(2, 0.1)
    >>> [reserve.held_n(asked_n) for asked_n in (9, 10, 30)]
    [0, 1, 2]
    >>> reserve.use(30); reserve.held_n(39)
    0
    """

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before 2 it was one label in ten."""
        return fields | {"share": 0.1}

    def __init__(self, most_n: int, share: float) -> None:
        self.most_n = most_n
        self.share = share
        self._from_n = 0

    def held_n(self, asked_n: int) -> int:
        """Return how many labels are set aside when `asked_n` were asked in all."""
        since_n = asked_n - self._from_n
        if since_n <= 0 or self.most_n == 0:
            return 0
        # 1e-9 more, so that a product rounded to just below a whole label counts as one.
        return min(self.most_n, int(since_n * self.share + 1e-9))

    def use(self, asked_n: int) -> None:
        """Release the labels set aside; from `asked_n` labels on others are set aside anew."""
        self._from_n = asked_n


class Budget:
    """All accounts together: the lowest balance decides.

    `asked_n` and `refunded_n` count labels; `spent_n` is their difference, and never exceeds what
    was earned. Up to `reserve` labels, the part `reserve_share` of those asked, are set aside for
    rounds that drift or a person opens, and for control; up to `audit` labels for audits alone.
    Raises `BadSettings` where no account earns anything, or an object is no account.

    >>> budget = Budget([Share(0.1)], reserve=0)
    >>> is_gap_taken = budget.events_passed(25, now=0.0)
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
        reserve = _limit_reserve(reserve, reserve_share, accounts)
        self.reserve = Reserve(reserve, reserve_share)
        audit = _limit_reserve(audit, AUDIT_SHARE, accounts, others_n=reserve)
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
        """Return how many labels can be asked now one after the other without the reserve `other`.

        Each label asked may set another one aside, so that a round can't ask all it could at first.

        >>> budget = Budget([Share(0.5)], reserve=0, audit=5)
        >>> is_gap_taken = budget.events_passed(40, now=0.0)
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
        """What is spent of a cap, and of money; 0 where there is no such limit."""
        spent = NOTHING
        for account in self.accounts:
            if isinstance(account, Cap):
                spent = spent._replace(labels_n=account.cap - account.balance // LABEL)
            elif isinstance(account, Money):
                spent = spent._replace(money=account.spent)
        return spent

    def set_total(self, limit: Total, spent: Total) -> None:
        """Set how much of a cap, and of money, may be spent here, and how much is spent."""
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
        """Count `n` observed events, with the clock at `now` seconds.

        The caller cuts its runs at `next_gap_n` events, so that the mean gap between events is
        measured at counted points. Return whether it was, so that `labels_per_event` may have
        changed.
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
        """Return how many events go by at least before `labels_n` labels are available.

        That is if nothing is asked or refunded. Only a `Share` gives a bound above 0: any other
        account may have the labels at the next event.
        """
        return max(
            account.events_until(labels_n * LABEL) if isinstance(account, Share) else 0
            for account in self.accounts
        )

    def set_anew(self, now: float) -> None:
        """Set a wrong clock right, to `now` in seconds: no time has passed."""
        for account in self.accounts:
            if isinstance(account, PerHour | PerPeriod):
                account.set_anew(now)
        self._gap_from = (self._events_n, now)

    @property
    def next_gap_n(self) -> int:
        """Events until the mean gap between events is measured again."""
        return self._next_gap_n - self._events_n

    def time_passed(self, now: float) -> None:
        """Note that the clock is at `now` seconds and no event came."""
        for account in self.accounts:
            account.time_passed(now)

    def labels_per_event(self) -> float:
        """Return the rate, 0 to 1, at which labels are earned at the present pace of events."""
        rates = [account.labels_per_event(self._gap_s) for account in self.accounts]
        return min(rate for rate in rates if rate is not None)

    def steady_labels_per_event(self) -> float:
        """Return the lower rate of the last two paces: a pause is not taken for the pace."""
        gap_s = min(self._gap_s, self._gap_before_s)
        rates = [account.labels_per_event(gap_s) for account in self.accounts]
        return min([rate for rate in rates if rate is not None])

    def prices(
        self, probabilities: NDArray[np.float64], classes: Sequence[str]
    ) -> NDArray[np.float64] | None:
        """Return the expected price of a label of each of n events, shape (n,); None without money.

        `probabilities`, shape (n, k), are those of the classes.
        """
        for account in self.accounts:
            if isinstance(account, Money):
                return account.expect_costs(probabilities, classes)
        return None

    def charge(self, n: int = 1, asked: AskedLabel | None = None) -> None:
        """Pay for `n` labels that are asked; `asked` is what is known of them, if anything."""
        for account in self.accounts:
            if keeps_own_books(account):
                for _ in range(n):
                    account.charge(asked)
            else:
                account.balance -= n * LABEL
        self.asked_n += n

    def settle(self, request_id: str, label: str, by: Sequence[str] = ()) -> None:
        """Note the first label of a request, by these annotators: its price is known now."""
        for account in self.accounts:
            if keeps_own_books(account):
                account.settle(request_id, label, by)

    def use_reserve(self, *, is_audit: bool = False) -> None:
        """Release a reserve for a round that drift or a person opened, or for an audit."""
        (self.audit if is_audit else self.reserve).use(self.asked_n)

    def refund(
        self, n: int = 1, *, request_id: str = "", asked_before_n: int | None = None
    ) -> None:
        """Pay back `n` requests that ended for good without a label.

        They were asked `asked_before_n` events ago.
        """
        for account in self.accounts:
            if keeps_own_books(account):
                for _ in range(n):
                    account.refund(request_id, asked_before_n)
            else:
                account.balance += n * LABEL
        self.refunded_n += n


def _limit_reserve(n: int, share: float, accounts: Sequence[Account], *, others_n: int = 0) -> int:
    """Return how many of `n` labels can be set aside, beside `others_n`, so that others are asked.

    Of what may pile up that is half. Of the labels of a period, or of the latest events, it is the
    part `share`, half of them at most: they are lost if not asked, so that none can be saved.
    """
    for account in accounts:
        if isinstance(account, PerPeriod):
            n = min(n, int(account.labels * min(share, 0.5) + 1e-9))
        elif isinstance(account, Forgetting):
            n = min(n, int(account.share * account.window_n * min(share, 0.5) + 1e-9))
        elif isinstance(account, Share | PerHour):
            n = min(n, account.burst // LABEL // 2 - others_n)
    return max(0, n)


def from_settings(settings: BudgetSettings) -> Budget:
    """Return the budget that the settings describe."""
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
