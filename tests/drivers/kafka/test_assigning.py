"""Partitions are shared out evenly, each to one member, and as few as can be move."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.drivers.kafka.assigning import Steady, share_partitions

MEMBERS = st.lists(st.text("abcdef", min_size=1, max_size=3), min_size=1, max_size=8, unique=True)


def least_moved(held: dict[str, list[int]], partitions_n: int) -> int:
    """How many held partitions can't be kept by any even share: counted, not assigned."""
    least, extra = divmod(partitions_n, len(held))
    sizes = sorted((len(its) for its in held.values()), reverse=True)
    return sum(max(0, size - least - (i < extra)) for i, size in enumerate(sizes))


@given(members=MEMBERS, partitions_n=st.integers(0, 40), seed=st.randoms(use_true_random=False))
def test_every_partition_has_one_member_and_the_fewest_move(members, partitions_n, seed):
    held = {member: [] for member in members}
    for partition in range(partitions_n):
        # Some belong to a member that is gone.
        seed.choice([*held.values(), []]).append(partition)
    shares = share_partitions(list(range(partitions_n)), {m: (1, its) for m, its in held.items()})
    assert sorted(p for its in shares.values() for p in its) == list(range(partitions_n))
    sizes = [len(its) for its in shares.values()]
    assert max(sizes) - min(sizes) <= 1
    moved = sum(p not in shares[member] for member, its in held.items() for p in its)
    assert moved == least_moved(held, partitions_n)


def test_an_old_claim_gives_way_to_a_newer_one():
    claims = {"back": (3, [0, 1]), "owner": (7, [0, 1, 2, 3])}
    assert share_partitions([0, 1, 2, 3], claims) == {"back": [2, 3], "owner": [0, 1]}


def test_the_order_of_members_changes_nothing():
    claims = {"c": (1, [5]), "a": (1, [0, 1, 2]), "b": (1, [3, 4])}
    again = dict(sorted(claims.items()))
    assert share_partitions(list(range(6)), claims) == share_partitions(list(range(6)), again)


# --------------------------------------------------------- as aiokafka calls it, without a broker


def joined(members: dict[str, Steady], topics: dict[str, int]) -> dict[str, dict[str, list[int]]]:
    """A rebalance: every member joins, one leads, each hears what it got."""
    cluster = SimpleNamespace(partitions_for_topic=lambda name: set(range(topics.get(name, 0))))
    told = {name: member.metadata(topics) for name, member in members.items()}
    shares = next(iter(members.values())).assign(cluster, told)
    for name, share in shares.items():
        members[name].on_assignment(share)
    return {name: dict(share.assignment) for name, share in shares.items()}


def test_members_keep_what_they_held_from_one_rebalance_to_the_next():
    pytest.importorskip("aiokafka", reason="the extra headrace[kafka] is not installed")
    members = {"a": Steady()}
    assert joined(members, {"events": 5}) == {"a": {"events": [0, 1, 2, 3, 4]}}
    members["b"] = Steady()
    assert joined(members, {"events": 5}) == {"a": {"events": [0, 1, 2]}, "b": {"events": [3, 4]}}
    assert joined(members, {"events": 5}) == {"a": {"events": [0, 1, 2]}, "b": {"events": [3, 4]}}
    del members["a"]
    assert joined(members, {"events": 6}) == {"b": {"events": [0, 1, 2, 3, 4, 5]}}
    assert members["b"].claims.number == 4


def test_a_member_that_says_nonsense_or_was_never_there_holds_nothing():
    protocol = pytest.importorskip("aiokafka.coordinator.protocol")
    told = {
        "a": protocol.ConsumerProtocolMemberMetadata(0, ["events"], b"\xc1nonsense"),
        "b": protocol.ConsumerProtocolMemberMetadata(0, ["events"], b""),
        "other": protocol.ConsumerProtocolMemberMetadata(0, ["another"], b""),
    }
    cluster = SimpleNamespace(partitions_for_topic={"events": {0, 1}}.get)
    shares = Steady().assign(cluster, told)
    held = {name: dict(share.assignment) for name, share in shares.items()}
    assert held == {"a": {"events": [0]}, "b": {"events": [1]}, "other": {"another": []}}
