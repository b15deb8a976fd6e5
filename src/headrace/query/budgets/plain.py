"""Accounts whose labels all cost the same: a share of the events, a rate in time, a total.

They count in whole billionths of a label, so that sums are exact whatever the batching.
"""

from __future__ import annotations

from typing import Protocol

from ...errors import BadSettings
from ..accounts import LABEL, require_numbers


class Account(Protocol):
    """One limit of a budget. An account of your own needs these four members and to be picklable.

    `Budget` takes a whole label off the balance for each label asked and gives it back with a
    refund; an account that books otherwise has the methods of `accounts.OwnBooks` too.
    `headrace.testing.check_budget` checks that an account keeps the rules.

    Attributes:
        balance: What may be spent, in billionths of a label, a whole number.

    >>> class Fixed:
    ...     balance = 3 * 10**9
    ...     def events_passed(self, n): pass
    ...     def time_passed(self, now): pass
    ...     def labels_per_event(self, gap_s): return None
    >>> from headrace.query.budgets import Budget
    >>> Budget([Fixed(), Share(0.5, start=9)]).available_n
    3
    """

    balance: int

    def events_passed(self, n: int) -> None:
        """Earn what events earn.

        Args:
            n: The number of events that were observed since the last call. The sum over calls
                counts, not their number.
        """

    def time_passed(self, now: float) -> None:
        """Earn what time earns.

        Args:
            now: The clock, seconds since the epoch. It may fall where it was wrong (docs/TIME.md).
        """

    def labels_per_event(self, gap_s: float) -> float | None:
        """Say at which rate the account earns.

        Args:
            gap_s: The mean time from one event to the next, seconds.

        Returns:
            Labels per event, from 0 to 1; None if the account earns nothing.
        """


def _require_room(burst: float, start: float) -> None:
    """Raise `BadSettings` for an account that could never hold a label."""
    if burst < 1:
        raise BadSettings(f"burst is {burst}; must be at least 1 (labels), or none is ever asked")
    if start < 0:
        raise BadSettings(f"start is {start}; must be at least 0 (labels)")


class Share:
    """An account that earns with events: each event earns a share of a label.

    Args:
        share: The share of the events, above 0 and at most 1.
        burst: The most labels that pile up unspent, at least 1.
        start: Labels granted before any event.

    Raises:
        BadSettings: An argument is no number or out of bounds.

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
        """Earn a share of a label with each event, up to `burst`.

        Args:
            n: The number of events.
        """
        if self.balance < self.burst:
            self.balance = min(self.burst, self.balance + n * self._per_event)

    def time_passed(self, now: float) -> None:
        """Earn nothing: only events earn.

        Args:
            now: The clock, seconds since the epoch.
        """

    def labels_per_event(self, gap_s: float) -> float:
        """Return the share, whatever the pace of events.

        Args:
            gap_s: The mean time from one event to the next, seconds.

        Returns:
            Labels per event, from 0 to 1.
        """
        return self.share

    def events_until(self, balance: int) -> int:
        """Count the events until there is a balance, if nothing is asked or refunded.

        Args:
            balance: The balance to reach, in billionths of a label.

        Returns:
            The number of events, at least 0.

        >>> Share(0.05).events_until(10**9)
        20
        """
        return max(0, -((self.balance - balance) // max(1, self._per_event)))


class PerHour:
    """An account that earns with event time: a token bucket.

    Turner, "New directions in communications (or which way to the information age?)", IEEE
    Communications Magazine 24 (10), 1986.

    Args:
        per_hour: The labels per hour, above 0.
        burst: The most labels that pile up unspent, at least 1.
        start: Labels granted before any event.

    Raises:
        BadSettings: An argument is no number or out of bounds.

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
        """Earn nothing: only time earns.

        Args:
            n: The number of events.
        """

    def time_passed(self, now: float) -> None:
        # The total since the epoch is a whole number: neither order nor number of calls matters.
        """Earn for the time since the last call, up to `burst`; the first call only sets the clock.

        Args:
            now: The clock, seconds since the epoch.
        """
        earned = round(now * 1_000_000) * self._milli_per_hour // 3_600
        if self._earned is not None and self.balance < self.burst:
            self.balance = min(self.burst, self.balance + earned - self._earned)
        self._earned = earned

    def set_anew(self, now: float) -> None:
        """Set a wrong clock right: the time skipped earns nothing.

        Args:
            now: The clock, seconds since the epoch.
        """
        self._earned = None
        self.time_passed(now)

    def labels_per_event(self, gap_s: float) -> float:
        """Return the rate at a pace of events.

        Args:
            gap_s: The mean time from one event to the next, seconds.

        Returns:
            Labels per event, from 0 to 1.

        >>> PerHour(60).labels_per_event(6.0)
        0.1
        """
        return min(1.0, self.per_hour * gap_s / 3_600)


class Cap:
    """A total that is never exceeded. It stands beside a share or a rate, never alone.

    Args:
        labels: The labels that may ever be asked, at least 0.

    Raises:
        BadSettings: The number is no number or below 0.

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
        """Earn nothing: a total does not grow.

        Args:
            n: The number of events.
        """

    def time_passed(self, now: float) -> None:
        """Earn nothing: a total does not grow.

        Args:
            now: The clock, seconds since the epoch.
        """

    def labels_per_event(self, gap_s: float) -> None:
        """Return None, as a total earns nothing.

        Args:
            gap_s: The mean time from one event to the next, seconds.

        Returns:
            None.
        """
        return
