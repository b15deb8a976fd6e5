"""Records that are no JSON at all, for `input.decoder`: here a fixed layout of 40 bytes.

An id (16 bytes), the time in seconds (a double), four features (floats), all big endian. Avro and
Protocol Buffers are read in the same way, with their own library in the place of `struct`.
"""

from __future__ import annotations

import struct
import uuid
from typing import Any

LAYOUT = struct.Struct(">16sd4f")
NAMES = ("amount", "hour", "distance", "age")


def read(record: bytes) -> Any:
    """The event in a record. What it raises is told in the record's rejection."""
    name, at, *values = LAYOUT.unpack(record)
    features = dict(zip(NAMES, values, strict=True))
    return {"id": str(uuid.UUID(bytes=name)), "at": at, "features": features}
