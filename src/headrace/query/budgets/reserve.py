"""Labels that a budget sets aside, for rounds after a drift, for people's rounds and for audits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ...settings import BudgetSettings
from ..accounts import LABEL, Forgetting, PerPeriod
from .plain import Account, PerHour, Share

RESERVE_SHARE = BudgetSettings().reserve_share

AUDIT_SHARE = 0.1
"""The share of the labels asked that is set aside for audits, up to `budget.reserve_audit`."""


class Reserve:
    """Labels set aside for one purpose: a share of those asked since they were used last.

    Args:
        most_n: The most labels set aside at a time.
        share: The share of the labels asked that is set aside, 0 to 1.

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
        """Count the labels that are set aside.

        Args:
            asked_n: The labels that were asked in all.

        Returns:
            Whole labels, from 0 to `most_n`.
        """
        since_n = asked_n - self._from_n
        if since_n <= 0 or self.most_n == 0:
            return 0
        # 1e-9 more, so that a product rounded to just below a whole label counts as one.
        return min(self.most_n, int(since_n * self.share + 1e-9))

    def use(self, asked_n: int) -> None:
        """Release the labels set aside; from now on others are set aside anew.

        Args:
            asked_n: The labels that were asked in all.
        """
        self._from_n = asked_n


def limit_reserve(n: int, share: float, accounts: Sequence[Account], *, others_n: int = 0) -> int:
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
