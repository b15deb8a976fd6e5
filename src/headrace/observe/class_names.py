"""Classes of a stream as small integers; and counts of values and features that were not used."""

from __future__ import annotations

from collections.abc import Iterable

IGNORED_MAX = 1_000
"""At most this many names without room are remembered; further ones are not counted."""


class ClassNames:
    """At most `most` classes with a number each; `ignored` are the names that found no room."""

    def __init__(self, declared: Iterable[str], most: int) -> None:
        self.names = list(declared)
        self.most = most
        self.ignored: dict[str, None] = {}
        self.codes = {name: code for code, name in enumerate(self.names)}

    def add(self, name: str) -> int | None:
        """Return the number of a class, adding a new one; None when there is no room for it."""
        code = self.codes.get(name)
        if code is None and len(self.names) < self.most:
            code = self.codes[name] = len(self.names)
            self.names.append(name)
        elif code is None and len(self.ignored) < IGNORED_MAX:
            self.ignored[name] = None
        return code


class UnusedValues:
    """Counts of values that were not used as they came.

    `unknown_n` counts values of features that found no room, whose names are in `ignored`;
    `mistyped_n` those not of their feature's kind, in `mistyped` by feature; `not_finite_n`
    infinite ones. `numbers_in_texts` counts numbers in categorical features, by feature; `full`
    counts, by feature, values beyond `categories_max`, which all share one category.
    """

    def __init__(self) -> None:
        self.unknown_n = self.mistyped_n = self.not_finite_n = 0
        self.mistyped: dict[str, int] = {}
        self.numbers_in_texts: dict[str, int] = {}
        self.full: dict[str, int] = {}
        self.ignored: dict[str, None] = {}

    def count_ignored(self, name: str, values_n: int = 1) -> None:
        """Count `values_n` values of a feature that found no room."""
        self.unknown_n += values_n
        if values_n and len(self.ignored) < IGNORED_MAX:
            self.ignored[name] = None

    def count_mistyped(self, name: str) -> None:
        """Count a text in a numeric feature."""
        self.mistyped_n += 1
        self.mistyped[name] = self.mistyped.get(name, 0) + 1

    def count_number_in_text(self, name: str) -> None:
        """Count a number in a categorical feature."""
        self.numbers_in_texts[name] = self.numbers_in_texts.get(name, 0) + 1

    def count_shared(self, name: str) -> None:
        """Count a value beyond `categories_max` of its feature."""
        self.full[name] = self.full.get(name, 0) + 1
