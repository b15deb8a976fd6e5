"""One line of a log: the JSON object in it, or why there is none; and how it is rejected."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from ..messages import InputRejected, Reason
from .batches import Record
from .values import Refusal, shown

RAW_MAX = 500  # characters of a rejected line that are kept

_JSON = msgspec.json.Decoder()


def record_of(line: bytes, bytes_max: int) -> Record:
    """The JSON object of one line, as every reader of a log takes it. Raises `Refusal`."""
    check_size(line, bytes_max)
    try:
        record = _JSON.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        record = _parse_leniently(line)
    if type(record) is not dict:
        raise Refusal(Reason.NOT_AN_OBJECT, f"the line is {shown(record)}; must be an object")
    return record


def check_size(line: bytes, bytes_max: int) -> None:
    """Raise `Refusal` for a line that is too long."""
    if len(line) > bytes_max:
        raise Refusal(Reason.OVERSIZE, f"the line has {len(line)} bytes; at most {bytes_max}")


def _parse_leniently(line: bytes) -> Any:
    """What msgspec refuses may still do: NaN, Infinity, 1e999, a byte order mark."""
    try:
        record = json.loads(line.decode("utf-8-sig"))
        # Half a surrogate pair can be escaped in JSON, but not be written as text again.
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise Refusal(Reason.NOT_UTF8, f"the line is not UTF-8: {error.reason}") from None  # type: ignore[attr-defined]
    except (ValueError, RecursionError) as error:
        raise Refusal(Reason.NOT_JSON, f"the line is not JSON: {error}"[:200]) from None
    return record


def reject_line(
    refusal: Refusal, line: bytes, name: str, source: str, position: int
) -> InputRejected:
    """The rejection of a line; `name` is the id of the event or request in it, or empty."""
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
