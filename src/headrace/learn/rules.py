"""The rules in use by a worker: digests of settings and code, and versions, in the training log.

Each worker of a group decides about the partitions that it owns at the time. So settings, versions
and your own code should be the same in all. The log has only digests and versions, by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from ..messages.base import Message

VERSION_OF = "version of "
"""The prefix of the names of versions; all other names are of digests of settings and code."""


class RulesInUse(Message, frozen=True, kw_only=True):
    """The rules of a worker that differ from the latest in the log; `parts` has them by name."""

    parts: Annotated[dict[str, str], Meta(max_length=2_000)]


def list_differing(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """The names of rules that differ, for versions with both values. A missing rule is a default.

    >>> ours = {"query.budget": "1f", "version of river": "0.21"}
    >>> list_differing(ours, {"version of river": "0.22"})
    ['query.budget', 'version of river (0.21 here, 0.22 there)']
    """
    names = sorted(n for n in ours.keys() | theirs.keys() if ours.get(n) != theirs.get(n))
    return [
        f"{name} ({ours.get(name, 'none')} here, {theirs.get(name, 'none')} there)"
        if name.startswith(VERSION_OF)
        else name
        for name in names
    ]
