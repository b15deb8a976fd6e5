"""Which worker of the group reads which partitions: evenly, and few move if a worker comes or goes.

aiokafka's own sticky assignor is not used: it stores what a member holds on the class, so that two
consumers of one program overwrite each other (its issue 1175), and never learns the generation, so
that old claims count as much as new ones (issue 1176). Here each consumer has its own `Steady`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

import msgspec


class Claims(msgspec.Struct, frozen=True, array_like=True):
    """A member's last assignment: its number, and the partitions held since, by topic."""

    number: int = 0
    held: dict[str, list[int]] = msgspec.field(default_factory=dict)


class Steady:
    """An assignor for `AIOKafkaConsumer(partition_assignment_strategy=[Steady()])`.

    Every member reports on joining what it held; the leader lets it keep that, up to an even share.
    """

    name = "headrace-steady"

    def __init__(self) -> None:
        self.claims = Claims()

    def metadata(self, topics: Iterable[str]) -> Any:
        """Return what this member reports on joining."""
        claims = msgspec.msgpack.encode(self.claims)
        return _import_protocol().ConsumerProtocolMemberMetadata(0, sorted(topics), claims)

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """Return the leader's assignment: each member's partitions, and the next number."""
        claims = {member: _read_claims(metadata.user_data) for member, metadata in members.items()}
        shares: dict[str, dict[str, list[int]]] = {member: {} for member in members}
        for topic in sorted(
            {topic for metadata in members.values() for topic in metadata.subscription}
        ):
            partitions = cluster.partitions_for_topic(topic) or ()
            claims_of_topic = {
                member: (claims[member].number, claims[member].held.get(topic, []))
                for member, metadata in members.items()
                if topic in metadata.subscription
            }
            for member, share in share_partitions(sorted(partitions), claims_of_topic).items():
                shares[member][topic] = share
        number = 1 + max((claim.number for claim in claims.values()), default=0)
        number_told = msgspec.msgpack.encode(number)
        kind = _import_protocol().ConsumerProtocolMemberAssignment
        return {
            member: kind(0, sorted(share.items()), number_told) for member, share in shares.items()
        }

    def on_assignment(self, assignment: Any) -> None:
        """Store what was assigned to this member."""
        held = {topic: list(partitions) for topic, partitions in assignment.assignment}
        number = msgspec.msgpack.decode(assignment.user_data, type=int)
        self.claims = Claims(number=number, held=held)


def share_partitions(
    partitions: list[int], claims: Mapping[str, tuple[int, Iterable[int]]]
) -> dict[str, list[int]]:
    """Return partitions by member: each keeps what it holds, up to a share even to within one.

    `claims` has, by member, the number of its last assignment and the partitions in that. If two
    members claim one partition, the later number wins.

    >>> claims = {"a": (3, [0, 1, 2]), "b": (3, [3, 4, 5]), "new": (0, [])}
    >>> share_partitions([0, 1, 2, 3, 4, 5], claims)
    {'a': [0, 1], 'b': [3, 4], 'new': [2, 5]}
    """
    holders: dict[int, str] = {}
    for member in sorted(claims, key=lambda member: (claims[member][0], member)):
        holders |= dict.fromkeys(claims[member][1], member)
    held: dict[str, list[int]] = {member: [] for member in sorted(claims)}
    for partition in partitions:
        if partition in holders:
            held[holders[partition]].append(partition)
    least, extra = divmod(len(partitions), len(held))
    # The members that hold most may keep one more than the others: then fewest move.
    ranked = sorted(held, key=lambda member: -len(held[member]))
    share = {member: held[member][: least + (i < extra)] for i, member in enumerate(ranked)}
    taken = {partition for partitions_held in share.values() for partition in partitions_held}
    free = [partition for partition in reversed(partitions) if partition not in taken]
    for i, member in enumerate(ranked):
        while len(share[member]) < least + (i < extra):
            share[member].append(free.pop())
    return {member: sorted(share[member]) for member in held}


def _import_protocol() -> ModuleType:
    return import_module("aiokafka.coordinator.protocol")


def _read_claims(said: bytes) -> Claims:
    try:
        return msgspec.msgpack.decode(said, type=Claims)
    except msgspec.MsgspecError:
        return Claims()
