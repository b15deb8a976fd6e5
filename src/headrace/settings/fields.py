"""What all sections of the settings share: their base struct, number types, field descriptions.

Imports no section, so that every module with a section can import it.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Annotated, Any, TypeAlias
from zoneinfo import ZoneInfo, available_timezones

import msgspec
from msgspec import Meta

# Every count, size and time has an upper bound, so that a slip of the hand is reported as a fault,
# instead of filling the memory or setting a deadline after the year 5138.
Count: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000_000)]
CountOrNone: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Size: TypeAlias = Annotated[int, Meta(ge=1, le=10_000_000)]  # of something held in memory
Few: TypeAlias = Annotated[int, Meta(ge=1, le=1_000)]
Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=1e11)]
Share: TypeAlias = Annotated[float, Meta(gt=0, le=1)]
ShareOrNone: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Positive: TypeAlias = Annotated[float, Meta(gt=0)]


def zone_of(text: str) -> tzinfo | None:
    """Parse the time zone of a setting; None for an empty one. Raises `ValueError` for a bad one.

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
    """List the fault of a time zone setting at this path; empty if it is valid."""
    try:
        zone_of(text)
    except ValueError as error:
        return [f"{path} {error}"]
    return []


def about(text: str) -> Any:
    """Annotate a field with its reference text, which docs/SETTINGS.md shows."""
    return Meta(description=text)


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections."""
