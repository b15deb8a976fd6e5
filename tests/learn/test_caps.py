"""Parts of a cap, as the claims in a log divide it."""

from __future__ import annotations

import random

import msgspec
import pytest

from headrace.learn.caps import CapClaimed, Caps


class Shards:
    """Partitions that spend what they may, and claim when somebody says so."""

    def __init__(self) -> None:
        self.caps, self.spent = Caps(), dict[int, int]()

    def claim(self, partition: int, cap: int, n: int) -> None:
        self.caps.fold(
            CapClaimed(
                partition=partition,
                number=self.caps.number_of(partition) + 1,
                spent_n=self.spent.get(partition, 0),
                cap=cap,
                partitions_n=n,
            )
        )

    def spend(self, partition: int, labels_n: int) -> None:
        spent_n = self.spent.get(partition, 0)
        self.spent[partition] = max(
            spent_n, min(spent_n + labels_n, self.caps.limit_of(partition).labels_n)
        )

    def limits(self, n: int) -> list[int]:
        return [self.caps.limit_of(i).labels_n for i in range(n)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_fresh_partitions_get_even_parts_in_whatever_order_they_claim(order):
    shards = Shards()
    for i in order:
        shards.claim(i, 40, 3)
        assert shards.caps.limit_of(i).labels_n == (14, 13, 13)[i]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_added_partitions_share_what_the_first_has_left(order):
    shards = Shards()
    shards.claim(0, 90, 1)
    shards.spend(0, 60)
    for i in order:
        shards.claim(i, 90, 3)
    assert shards.limits(3) == [60, 15, 15]


def test_of_a_cap_that_is_spent_nobody_gets_more():
    shards = Shards()
    shards.claim(0, 40, 1)
    shards.spend(0, 40)
    for i in (1, 0, 2):
        shards.claim(i, 40, 3)
    assert shards.limits(3) == [40, 0, 0]


def test_a_raised_cap_is_divided_anew_and_of_a_lowered_one_all_give_back():
    shards = Shards()
    for i in (0, 1):
        shards.claim(i, 100, 2)
        shards.spend(i, 10)
    for i in (0, 1):
        shards.claim(i, 50, 2)
    assert shards.limits(2) == [25, 25]
    for i in (1, 0):
        shards.claim(i, 120, 2)
    assert shards.limits(2) == [60, 60]
    for i in (0, 1):
        shards.claim(i, 5, 2)
    assert shards.limits(2) == [10, 10]


def test_a_claim_that_repeats_or_comes_late_changes_nothing():
    caps = Caps()
    first = CapClaimed(partition=0, number=1, spent_n=0, cap=9, partitions_n=1)
    assert caps.fold(first)
    second = CapClaimed(partition=0, number=2, spent_n=9, cap=9, partitions_n=2)
    assert caps.fold(second)
    assert not caps.fold(second)
    assert not caps.fold(first)
    assert caps.limit_of(0).labels_n == 9


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_claimed_and_spent_no_cap_is_exceeded(seed):
    luck, shards, n, cap = random.Random(seed), Shards(), 2, 50
    for _ in range(300):
        what = luck.random()
        if what < 0.02:
            n += 1
        elif what < 0.04:
            cap += luck.randrange(20)
        elif what < 0.4:
            shards.claim(luck.randrange(n), cap, n)
        else:
            shards.spend(luck.randrange(n), luck.randrange(6))
        assert sum(shards.limits(n)) <= cap
        assert sum(shards.spent.values()) <= cap
    for i in range(n):
        shards.claim(i, cap, n)
    assert sum(shards.limits(n)) == cap or min(shards.limits(n)) >= cap // n


@pytest.mark.parametrize("field", ["partition", "number", "spent_n", "cap", "partitions_n"])
def test_a_claim_with_an_absurd_number_is_none(field):
    claim = CapClaimed(partition=0, number=1, spent_n=0, cap=9, partitions_n=1)
    raw = msgspec.to_builtins(claim) | {field: -1}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(raw, CapClaimed)


def test_money_is_divided_like_labels_and_apart_from_them():
    caps = Caps()
    for i in range(2):
        claim = CapClaimed(partition=i, number=1, partitions_n=2, cap=5, money=7_000_001)
        assert caps.fold(claim)
    assert caps.limit_of(0) == (3, 3_500_001)
    assert caps.limit_of(1) == (2, 3_500_000)
    again = CapClaimed(
        partition=0, number=2, partitions_n=2, spent_n=3, cap=5, spent_money=10, money=4_000_000
    )
    assert caps.fold(again)
    assert caps.limit_of(0) == (3, 500_000)
    assert caps.limit_of(1) == (2, 3_500_000)
    assert caps.holds(0, 5, 4_000_000, 2)
    assert not caps.holds(1, 5, 4_000_000, 2)


def test_a_claim_of_before_there_was_money_is_read_as_it_was():
    old = b'{"type":"CapClaimed","partition":0,"number":1,"spent_n":2,"cap":9,"partitions_n":1}'
    claim = msgspec.json.decode(old, type=CapClaimed)
    assert (claim.spent_n, claim.cap, claim.spent_money, claim.money) == (2, 9, 0, None)
