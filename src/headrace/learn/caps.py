"""A cap that many shards spend: how much of it each may, as the training log has it.

A cap is one number for all partitions, and each shard asks by itself. So a shard *claims* its part
in the log that all read, before it asks: it says how much its partition has spent in all, gives
back what is left of an earlier part, and gets an even part of the cap, as far as nobody else holds
it. Whatever becomes of a shard, what it holds is held until its partition claims again. So the
parts never add up to more than the cap, however partitions, settings and workers come and go.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Annotated

from msgspec import Meta

from ..messages.base import Message

PARTITIONS_MAX = 200_000
"""More partitions than a cluster of brokers has."""

Labels = Annotated[int, Meta(ge=0)]


class CapClaimed(Message, frozen=True, kw_only=True):
    """A partition, which has spent `spent_n` labels so far, claims its part of a cap.

    The shard counts its claims by `number`, from 1; of several with one number the first counts.
    """

    partition: Annotated[int, Meta(ge=0, lt=PARTITIONS_MAX)]
    number: Annotated[int, Meta(ge=1)]
    spent_n: Labels
    cap: Labels
    partitions_n: Annotated[int, Meta(ge=1, le=PARTITIONS_MAX)]


class Caps:
    """The claims that count, and what each partition may spend in all; a function of the claims.

    >>> caps = Caps()
    >>> for i in range(2):
    ...     claim = CapClaimed(partition=i, number=1, spent_n=0, cap=5, partitions_n=2)
    ...     _ = caps.fold(claim)
    >>> caps.limit_of(0), caps.limit_of(1)
    (3, 2)
    """

    def __init__(self) -> None:
        self._claims: dict[int, CapClaimed] = {}
        self._limits: dict[int, int] = {}

    def number_of(self, partition: int) -> int:
        """The number of its last claim; 0 for none."""
        claim = self._claims.get(partition)
        return 0 if claim is None else claim.number

    def limit_of(self, partition: int) -> int:
        """Labels that it may spend in all, those it has spent among them."""
        return self._limits.get(partition, 0)

    def holds(self, partition: int, cap: int, partitions_n: int) -> bool:
        """Whether its last claim was to this cap among so many."""
        claim = self._claims.get(partition)
        return claim is not None and (claim.cap, claim.partitions_n) == (cap, partitions_n)

    def counts(self, claim: CapClaimed) -> bool:
        """Whether this claim, next in the log, changes anything."""
        return claim.number > self.number_of(claim.partition)

    def fold(self, claim: CapClaimed) -> bool:
        """Take the next claim; false if it only repeats."""
        if not self.counts(claim):
            return False
        self._claims[claim.partition] = claim
        self._limits[claim.partition] = claim.spent_n
        self._divide(claim.cap, claim.partitions_n)
        return True

    def _divide(self, cap: int, n: int) -> None:
        """Hand out what nobody holds: whoever has least first, and to nobody more than its part.

        What is due to partitions that have not claimed yet is kept for them.
        """
        free = cap - sum(self._limits.values())
        if free <= 0:
            return
        parts = [part_of(cap, n, i) for i in range(n)]
        held = [self.limit_of(i) for i in range(n)]

        def needed(level: int) -> int:
            """Labels that lift everybody to this level."""
            return sum(
                max(0, min(part, level) - has) for part, has in zip(parts, held, strict=True)
            )

        level = bisect_right(range(parts[0] + 1), free, key=needed) - 1
        over = free - needed(level)
        for i, (part, has) in enumerate(zip(parts, held, strict=True)):
            gets = min(part, level)
            if over and has <= level < part:
                gets, over = gets + 1, over - 1
            if gets > has and self.holds(i, cap, n):
                self._limits[i] = gets


def part_of(limit: int, n: int, partition: int) -> int:
    """The even part of a whole number of labels; the parts add up to it.

    >>> [part_of(5, 3, i) for i in range(3)]
    [2, 2, 1]
    """
    return limit // n + (partition < limit % n)
