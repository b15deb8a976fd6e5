"""Whether all workers go by the same rules (`learn.rules`): settings, versions, code.

A worker that starts says what it goes by in the training log, unless the last one said the same. So
those that run hear of another one that differs, and tell it; while an upgrade is rolled out that is
as it should be. Decisions hold whoever made them: the journal has them.
"""

from __future__ import annotations

from ..learn.rules import RulesInUse, differing
from . import wire
from .hand import Hand
from .parcels import Parcel, Post

TOLD_MAX = 20
"""So many names are told of what differs."""


def say_rules(flow: Hand) -> None:
    """At the end of the training log: say what we go by, where another stands there."""
    theirs = flow.training.log.rules
    if not flow.rules or flow.rules == theirs:
        return
    if theirs:
        told = _told(differing(flow.rules, theirs))
        flow.note(f"the worker that started last went by other settings or code: {told}")
    said = wire.value_of(RulesInUse(parts=dict(flow.rules)))
    post = Post(flow.settings.kafka.training, said, partition=0)
    flow.outbox.put(Parcel(lambda: None, to_others=[post]))


def compare_rules(flow: Hand) -> None:
    """A worker has said what it goes by: warn of what differs from ours."""
    if not flow.is_caught_up:
        return  # That was before this one started.
    before = flow.differing
    flow.differing = differing(flow.rules, flow.training.log.rules) if flow.rules else []
    if flow.differing and flow.differing != before:
        flow.warn(
            f"another worker goes by other settings or code: {_told(flow.differing)}. Which decide "
            "follows from who owns a partition: end the upgrade, or start all with the same"
        )


def _told(names: list[str]) -> str:
    more = [f"and {len(names) - TOLD_MAX} more"] if len(names) > TOLD_MAX else []
    return ", ".join(names[:TOLD_MAX] + more)
