"""Parses one line of a log to a JSON object, and makes the rejection of a line that fails."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from ..messages import InputRejected, Reason
from .batches import Record
from .values import Refusal, format_value

RAW_MAX = 500  # characters of a rejected line that are kept

_JSON = msgspec.json.Decoder()


def record_of(line: bytes, bytes_max: int) -> Record:
    """Return the JSON object in one line. Raises `Refusal` if it is too long or has none."""
    check_size(line, bytes_max)
    try:
        record = _JSON.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        record = _parse_leniently(line)
    if type(record) is not dict:
        raise Refusal(
            Reason.NOT_AN_OBJECT, f"the line is {format_value(record)}; must be an object"
        )
    return record


def check_size(line: bytes, bytes_max: int) -> None:
    """Raise `Refusal` for a line of more than `bytes_max` bytes."""
    if len(line) > bytes_max:
        raise Refusal(Reason.OVERSIZE, f"the line has {len(line)} bytes; at most {bytes_max}")


def _parse_leniently(line: bytes) -> Any:
    """Parse a line that msgspec refuses but that may be used: NaN, Infinity, 1e999, a BOM."""
    try:
        record = json.loads(line.decode("utf-8-sig"))
        # JSON can escape half a surrogate pair, but that can't be encoded as UTF-8 again.
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise Refusal(Reason.NOT_UTF8, f"the line is not UTF-8: {error.reason}") from None  # type: ignore[attr-defined]
    except (ValueError, RecursionError) as error:
        raise Refusal(Reason.NOT_JSON, f"the line is not JSON: {error}"[:200]) from None
    return record


def reject_line(
    refusal: Refusal, line: bytes, name: str, source: str, position: int
) -> InputRejected:
    """Return the rejection of a line, which quotes its beginning.

    `name` is the id of the event or request in it, or empty; the line is at `position` of `source`.
    """
    return InputRejected(
        reason=refusal.reason,
        detail=refusal.detail,
        at=0.0,
        input_id=name[:RAW_MAX],
        source=source,
        position=position,
        # No character of UTF-8 has more than four bytes.
        raw=line[: 4 * RAW_MAX].decode("utf-8", errors="replace")[:RAW_MAX],
    )
