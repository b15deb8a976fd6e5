"""What every section of the settings is made of: its base, its types and the text beside a field.

Knows no section; `settings` and `settings_kafka` both build on it.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

# No count, size or time is without an upper bound: a slip of the hand is a fault, not a machine
# without memory or a deadline after the year 5138.
Count: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000_000)]
CountOrNone: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Size: TypeAlias = Annotated[int, Meta(ge=1, le=10_000_000)]  # of what is held in memory
Few: TypeAlias = Annotated[int, Meta(ge=1, le=1_000)]
Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=1e11)]
Share: TypeAlias = Annotated[float, Meta(gt=0, le=1)]
ShareOrNone: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Positive: TypeAlias = Annotated[float, Meta(gt=0)]


def about(text: str) -> Any:
    """The reference text of a field."""
    return Meta(description=text)


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections."""
