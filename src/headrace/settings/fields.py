"""What every section of the settings is made of: its base, its types and the text beside a field.

Knows no section; `settings` and `settings.kafka` both build on it.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Annotated, Any, TypeAlias
from zoneinfo import ZoneInfo, available_timezones

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


def zone_of(text: str) -> tzinfo | None:
    """The zone of a setting, None for an empty one. Raises `ValueError`.

    >>> zone_of("+02:00")
    datetime.timezone(datetime.timedelta(seconds=7200))
    """
    if not text:
        return None
    offset = "+00:00" if text.upper() in ("UTC", "GMT", "Z") else text
    try:
        if offset[0] in "+-":
            return datetime.fromisoformat(f"2000-01-01T00:00:00{offset}").tzinfo
        return ZoneInfo(text)
    except (ValueError, OSError, LookupError):
        fault = "must be UTC, an offset as +02:00 or a name as Europe/Zurich"
        if not available_timezones():
            fault += ", and no zone has a name here: pip install tzdata"
        raise ValueError(f"is {text!r}; {fault}") from None


def faults_of_zone(path: str, text: str) -> list[str]:
    """What is wrong with a setting that is a zone."""
    try:
        zone_of(text)
    except ValueError as error:
        return [f"{path} {error}"]
    return []


def about(text: str) -> Any:
    """The reference text of a field."""
    return Meta(description=text)


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections."""
