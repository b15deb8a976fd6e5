"""Values and features that were not used as they came, counted."""

from __future__ import annotations

from .class_names import IGNORED_MAX


class UnusedValues:
    """`unknown_n` are values of features that found no room, whose names are `ignored`.

    `mistyped_n` are those that are not of their feature's kind, by feature in `mistyped`;
    `not_finite_n` infinite ones. `numbers_in_texts` counts numbers by the categorical feature in
    which they stood, `full` by feature the values beyond `categories_max`, which are told apart no
    more.
    """

    def __init__(self) -> None:
        self.unknown_n = self.mistyped_n = self.not_finite_n = 0
        self.mistyped: dict[str, int] = {}
        self.numbers_in_texts: dict[str, int] = {}
        self.full: dict[str, int] = {}
        self.ignored: dict[str, None] = {}

    def ignore(self, name: str, values_n: int = 1) -> None:
        """So many values of a feature that found no room."""
        self.unknown_n += values_n
        if values_n and len(self.ignored) < IGNORED_MAX:
            self.ignored[name] = None

    def mistype(self, name: str) -> None:
        """A text among the numbers of a feature."""
        self.mistyped_n += 1
        self.mistyped[name] = self.mistyped.get(name, 0) + 1

    def count_number_in_text(self, name: str) -> None:
        """A number in a categorical feature."""
        self.numbers_in_texts[name] = self.numbers_in_texts.get(name, 0) + 1

    def count_shared(self, name: str) -> None:
        """A value beyond the categories of its feature."""
        self.full[name] = self.full.get(name, 0) + 1
