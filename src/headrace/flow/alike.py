"""Whether all workers go by the same rules (`learn.rules`): settings, versions, code.

A worker that starts writes its rules into the training log, unless the one that started before it
wrote the same. Running workers compare them with their own and warn of a difference, which is
expected while an upgrade is rolled out. A decision holds whoever made it: the journal has it.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..learn.rules import RulesInUse, list_differing

TOLD_MAX = 20
"""How many names a sentence about differences lists at most."""


class SharedRules:
    """The rules of this worker; `differing` names those that another worker has otherwise."""

    def __init__(self, own: Mapping[str, str]) -> None:
        self.differing: list[str] = []
        self._own = own

    def rules_to_say(self, theirs: Mapping[str, str]) -> RulesInUse | None:
        """Return our rules to log, or None if the worker that started last wrote the same."""
        is_said = not self._own or self._own == theirs
        return None if is_said else RulesInUse(parts=dict(self._own))

    def describe_last(self, theirs: Mapping[str, str]) -> str:
        """Describe how the rules of the worker that started last differ; empty if they don't."""
        if not self._own or not theirs or self._own == theirs:
            return ""
        names = _list_names(list_differing(self._own, theirs))
        return f"the worker that started last went by other settings or code: {names}"

    def compare_rules(self, theirs: Mapping[str, str]) -> str:
        """Compare with rules that another worker has logged; return a warning, empty if no news."""
        before = self.differing
        self.differing = list_differing(self._own, theirs) if self._own else []
        if not self.differing or self.differing == before:
            return ""
        return (
            f"another worker goes by other settings or code: {_list_names(self.differing)}. Which "
            "decide follows from who owns a partition: end the upgrade, or start all with the same"
        )


def _list_names(names: list[str]) -> str:
    more = [f"and {len(names) - TOLD_MAX} more"] if len(names) > TOLD_MAX else []
    return ", ".join(names[:TOLD_MAX] + more)
