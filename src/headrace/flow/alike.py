"""Whether all workers go by the same rules (`learn.rules`): settings, versions, code.

A worker that starts says what it goes by in the training log, unless the last one said the same. So
those that run hear of another one that differs, and tell it; while an upgrade is rolled out that is
as it should be. Decisions hold whoever made them: the journal has them.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..learn.rules import RulesInUse, differing

TOLD_MAX = 20
"""So many names are told of what differs."""


class SharedRules:
    """The rules that we go by, and which of them `differing` workers have otherwise."""

    def __init__(self, own: Mapping[str, str]) -> None:
        self.differing: list[str] = []
        self._own = own

    def rules_to_say(self, theirs: Mapping[str, str]) -> RulesInUse | None:
        """What we go by, where who started last said something else."""
        is_said = not self._own or self._own == theirs
        return None if is_said else RulesInUse(parts=dict(self._own))

    def describe_last(self, theirs: Mapping[str, str]) -> str:
        """What who started last has otherwise, as a sentence; empty for nothing, or nobody."""
        if not self._own or not theirs or self._own == theirs:
            return ""
        told = _list_names(differing(self._own, theirs))
        return f"the worker that started last went by other settings or code: {told}"

    def compare(self, theirs: Mapping[str, str]) -> str:
        """A worker has said what it goes by: what differs now, as a warning; empty for no news."""
        before = self.differing
        self.differing = differing(self._own, theirs) if self._own else []
        if not self.differing or self.differing == before:
            return ""
        return (
            f"another worker goes by other settings or code: {_list_names(self.differing)}. Which "
            "decide follows from who owns a partition: end the upgrade, or start all with the same"
        )


def _list_names(names: list[str]) -> str:
    more = [f"and {len(names) - TOLD_MAX} more"] if len(names) > TOLD_MAX else []
    return ", ".join(names[:TOLD_MAX] + more)
