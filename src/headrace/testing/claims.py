"""What a check says of whatever it is given, and how that fails."""

from __future__ import annotations


def claim(is_true: bool, otherwise: str) -> None:
    """Raise `AssertionError` with this sentence unless it is true, under `python -O` as well."""
    if not is_true:
        raise AssertionError(otherwise)
