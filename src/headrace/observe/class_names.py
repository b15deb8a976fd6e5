"""The classes of a stream as small integers, in order of first sight."""

from __future__ import annotations

from collections.abc import Iterable

IGNORED_MAX = 1_000
"""Names that found no room and are told apart; further ones are not counted."""


class ClassNames:
    """At most `most` classes; `ignored` are names of those that found no room."""

    def __init__(self, declared: Iterable[str], most: int) -> None:
        self.names = list(declared)
        self.most = most
        self.ignored: dict[str, None] = {}
        self.codes = {name: code for code, name in enumerate(self.names)}

    def add(self, name: str) -> int | None:
        """The number of a class, which is added when it is new; None when there are too many."""
        code = self.codes.get(name)
        if code is None and len(self.names) < self.most:
            code = self.codes[name] = len(self.names)
            self.names.append(name)
        elif code is None and len(self.ignored) < IGNORED_MAX:
            self.ignored[name] = None
        return code
