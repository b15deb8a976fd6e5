"""How much of a total, a cap or money, each of many shards may spend, by the training log.

A total is one number for all partitions, but each shard asks by itself. So before a shard asks, it
*claims* its part in the log that all read: the claim states how much its partition has spent in
all, returns what is left of an earlier part, and gets an even part of the total, as far as no other
partition holds it. A partition holds its part until it claims again, whatever becomes of its shard.
So the parts never add up to more than the total, however partitions, settings and workers change.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from ..messages.base import Message
from ..query.accounts import Total

PARTITIONS_MAX = 200_000
"""An upper limit, which is above the number of partitions of any cluster of brokers."""

Labels = Annotated[int, Meta(ge=0)]
Millionths = Annotated[int, Meta(ge=0)]


class CapClaimed(Message, frozen=True, kw_only=True):
    """A partition claims its part of a `cap` of labels, of `money` in millionths, or of both.

    It has spent `spent_n` labels and `spent_money` so far. `partitions_n` partitions share the
    totals. The shard numbers its claims from 1; if several have the same `number`, the first
    counts.
    """

    partition: Annotated[int, Meta(ge=0, lt=PARTITIONS_MAX)]
    number: Annotated[int, Meta(ge=1)]
    partitions_n: Annotated[int, Meta(ge=1, le=PARTITIONS_MAX)]
    spent_n: Labels = 0
    cap: Labels | None = None
    spent_money: Millionths = 0
    money: Millionths | None = None


class Caps:
    """The claims that count, and how much each partition may spend; a function of the claims.

    >>> caps = Caps()
    >>> for i in range(2):
    ...     claim = CapClaimed(partition=i, number=1, cap=5, partitions_n=2)
    ...     _ = caps.fold(claim)
    >>> caps.limit_of(0).labels_n, caps.limit_of(1).labels_n
    (3, 2)
    """

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 there was no money."""
        return {"_money": {}} | fields

    def __init__(self) -> None:
        self._claims: dict[int, CapClaimed] = {}
        self._limits: dict[int, int] = {}
        self._money: dict[int, int] = {}

    def number_of(self, partition: int) -> int:
        """The number of the last claim of a partition; 0 without one."""
        claim = self._claims.get(partition)
        return 0 if claim is None else claim.number

    def limit_of(self, partition: int) -> Total:
        """The total that a partition may spend, including what it has spent."""
        return Total(self._limits.get(partition, 0), self._money.get(partition, 0))

    def holds(self, partition: int, cap: int | None, money: int | None, partitions_n: int) -> bool:
        """Whether a partition's last claim has these totals and this number of partitions."""
        claim = self._claims.get(partition)
        asked = cap, money, partitions_n
        return claim is not None and (claim.cap, claim.money, claim.partitions_n) == asked

    def counts(self, claim: CapClaimed) -> bool:
        """Whether this claim, next in the log, changes anything."""
        return claim.number > self.number_of(claim.partition)

    def fold(self, claim: CapClaimed) -> bool:
        """Apply the next claim; return false if it is a repetition."""
        if not self.counts(claim):
            return False
        self._claims[claim.partition] = claim
        self._limits[claim.partition] = claim.spent_n
        self._money[claim.partition] = claim.spent_money
        asked = claim.cap, claim.money, claim.partitions_n
        have_claimed = [self.holds(i, *asked) for i in range(claim.partitions_n)]
        if claim.cap is not None:
            self._limits |= _raise_limits(self._limits, claim.cap, have_claimed)
        if claim.money is not None:
            self._money |= _raise_limits(self._money, claim.money, have_claimed)
        return True


def _raise_limits(
    limits: Mapping[int, int], total: int, have_claimed: list[bool]
) -> dict[int, int]:
    """The limits that rise when the free rest of the total is distributed, by partition.

    The partition with the least comes first, and none gets more than its even part. The share of
    partitions that have not claimed yet is reserved for them.
    """
    free, n = total - sum(limits.values()), len(have_claimed)
    if free <= 0:
        return {}
    parts = [part_of(total, n, i) for i in range(n)]
    held = [limits.get(i, 0) for i in range(n)]

    def amount_to(level: int) -> int:
        """The amount that lifts every partition to this level."""
        return sum(max(0, min(part, level) - has) for part, has in zip(parts, held, strict=True))

    level = bisect_right(range(parts[0] + 1), free, key=amount_to) - 1
    over, raised = free - amount_to(level), dict[int, int]()
    for i, (part, has) in enumerate(zip(parts, held, strict=True)):
        gets = min(part, level)
        if over and has <= level < part:
            gets, over = gets + 1, over - 1
        if gets > has and have_claimed[i]:
            raised[i] = gets
    return raised


def part_of(limit: int, n: int, partition: int) -> int:
    """The even part of a whole number; the parts add up to it.

    >>> [part_of(5, 3, i) for i in range(3)]
    [2, 2, 1]
    """
    return limit // n + (partition < limit % n)
