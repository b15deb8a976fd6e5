"""How a check claims something about an object, and how the claim fails."""

from __future__ import annotations


def claim(is_true: bool, otherwise: str) -> None:
    """Raise `AssertionError` with the sentence `otherwise` unless true, even under `python -O`."""
    if not is_true:
        raise AssertionError(otherwise)
