"""What the decisions of a worker follow from, as it says in the training log that all read.

Workers of one group decide in turn about the same partitions: whoever owns one. Settings, versions
and code of your own should be the same in all. Only digests and versions are said, by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from ..messages.base import Message

VERSION_OF = "version of "
"""What the names of versions begin with; the rest are digests of settings and code."""


class RulesInUse(Message, frozen=True, kw_only=True):
    """A worker that goes by other rules than the one that said so last; `parts` by their names."""

    parts: Annotated[dict[str, str], Meta(max_length=2_000)]


def differing(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """What is not the same, by name; of versions also which. What is missing has its default.

    >>> differing({"query.budget": "1f", "version of river": "0.21"}, {"version of river": "0.22"})
    ['query.budget', 'version of river (0.21 here, 0.22 there)']
    """
    names = sorted(n for n in ours.keys() | theirs.keys() if ours.get(n) != theirs.get(n))
    return [
        f"{name} ({ours.get(name, 'none')} here, {theirs.get(name, 'none')} there)"
        if name.startswith(VERSION_OF)
        else name
        for name in names
    ]
