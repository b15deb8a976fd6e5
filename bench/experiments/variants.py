"""What is changed, one thing at a time, to see what a part of the default is worth."""

from __future__ import annotations

from typing import Any

from headrace.settings import Settings, parse

VARIANTS: dict[str, dict[str, Any]] = {
    "rounds of 10": {"query": {"rounds": {"every_n": 10}}},
}
"""By name: settings that differ from the default."""

WORDS = {"rounds of 10": "rounds of ten events instead of asking on arrival"}
"""What the page says of each."""


def settings_of_variant(name: str) -> Settings:
    """The default settings with the changes of the variant; "" is the default itself."""
    return parse(VARIANTS[name]) if name else Settings()
