"""The features of an event as they came, packed: what its request shows, whatever the model reads.

Every event in the window and in the reservoir has its own beside it, as bytes of MessagePack: about
as long as its line in the log. At most `observe.window_n + observe.reservoir_n` are held, so with
lines of 1 kB and the usual settings 4 MB. Events that came as columns of numbers need none: their
rows say it all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from ..messages import Features

OriginalOf: TypeAlias = Callable[[int], Features | None]
"""The original features of event i of some rows; None where the row says it all."""

_PACKED = msgspec.msgpack.Encoder()
_UNPACKED = msgspec.msgpack.Decoder()


def packed(features: Features) -> bytes:
    """Features as bytes.

    >>> unpacked(packed({"id": 2**80, "is_new": True, "text": "late"}))
    {'id': 1208925819614629174706176, 'is_new': True, 'text': 'late'}
    """
    try:
        return _PACKED.encode(features)
    except OverflowError:
        # MessagePack ends at 64 bits, JSON does not; an object in it begins with a brace.
        return msgspec.json.encode(features)


def unpacked(kept: bytes | None) -> Features | None:
    """What was packed; None for an event that needed nothing."""
    if kept is None:
        return None
    found: Any = msgspec.json.decode(kept) if kept[:1] == b"{" else _UNPACKED.decode(kept)
    features: Features = found
    return features
