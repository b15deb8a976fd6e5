"""The features of an event as they came, packed: what its request shows, whatever the model reads.

Every event in the window and in the reservoir has its own beside it, as bytes of MessagePack: about
as long as its line in the log. At most `observe.window_n + observe.reservoir_n` are held, so with
lines of 1 kB and the usual settings 4 MB. Events that came as columns of numbers need none: their
rows say it all. Of events that were read without a dict the line itself is held, in memory alone: a
state has the features and nothing else of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias, overload

import msgspec
import numpy as np

from ..messages import EventBatch, Features

OriginalOf: TypeAlias = Callable[[int], Features | None]
"""The original features of event i of some rows; None where the row says it all."""

_PACKED = msgspec.msgpack.Encoder()
_UNPACKED = msgspec.msgpack.Decoder()


_LINE = b"L"
"""How a line begins that is held: no MessagePack of features and no JSON does."""


class Lines(Sequence[Features]):
    """The features of events in their lines, under `field`: decoded when somebody asks for them.

    >>> Lines([b'{"id": "a", "of": {"x": 1, "is_new": true}}'], "of")[0]
    {'x': 1, 'is_new': True}
    """

    __slots__ = ("_lines", "_prefix")

    def __init__(self, lines: Sequence[bytes], field: str) -> None:
        self._lines = lines
        name = field.encode()
        self._prefix = _LINE + len(name).to_bytes(2, "big") + name

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, i: int) -> Features: ...
    @overload
    def __getitem__(self, i: slice) -> list[Features]: ...
    def __getitem__(self, i: int | slice) -> Features | list[Features]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        return _features_in(self.pack_line(i))

    def pack_line(self, i: int) -> bytes:
        """The line of event i and where its features stand in it: `pack_features` gives others."""
        return self._prefix + self._lines[i]


def _features_in(kept: bytes) -> Features:
    start = len(_LINE) + 2
    stop = start + int.from_bytes(kept[len(_LINE) : start], "big")
    found: Any = _reader(kept[start:stop].decode()).decode(kept[stop:])
    features: Features = found.features
    return features


@lru_cache(maxsize=16)
def _reader(field: str) -> msgspec.json.Decoder[Any]:
    kind = dict[str, float | int | bool | str | None]
    line = msgspec.defstruct("Line", [("features", kind)], rename={"features": field})
    return msgspec.json.Decoder(line)


def without_line(kept: bytes | None) -> bytes | None:
    """The same with the features alone, where a whole line was held."""
    if kept is None or kept[:1] != _LINE:
        return kept
    return pack_features(_features_in(kept))


class Originals:
    """Features of n events of a batch, those from `start` on, as they came.

    With `are_rows_exact` the rows say all that the events said: numbers in columns, of features
    known. `packed`, shape (n,), has bytes of those events that are kept, and else None.
    """

    def __init__(self, batch: EventBatch, start: int, n: int, *, are_rows_exact: bool) -> None:
        self.packed = np.empty(n, dtype=np.object_)
        self._batch = batch
        self._start = start
        self._are_rows_exact = are_rows_exact

    def features(self, start: int, i: int) -> Features | None:
        """Those of event start + i; None where its row says the same."""
        return None if self._are_rows_exact else self._batch.original(self._start + start + i)

    def keep(self, start: int, stop: int) -> None:
        """Pack those of events [start, stop), where their rows don't say the same."""
        if self._are_rows_exact:
            return
        lines = self._batch.originals
        for i in range(start, stop):
            place = self._start + i
            if isinstance(lines, Lines):
                self.packed[i] = lines.pack_line(place)
            else:
                self.packed[i] = pack_features(self._batch.original(place))


def pack_features(features: Features) -> bytes:
    """Features as bytes.

    >>> unpack_features(pack_features({"id": 2**80, "is_new": True, "text": "late"}))
    {'id': 1208925819614629174706176, 'is_new': True, 'text': 'late'}
    """
    try:
        return _PACKED.encode(features)
    except OverflowError:
        # MessagePack ends at 64 bits, JSON does not; an object in it begins with a brace.
        return msgspec.json.encode(features)


def unpack_features(kept: bytes | None) -> Features | None:
    """What was packed; None for an event that needed nothing."""
    if kept is None:
        return None
    if kept[:1] == _LINE:
        return _features_in(kept)
    found: Any = msgspec.json.decode(kept) if kept[:1] == b"{" else _UNPACKED.decode(kept)
    features: Features = found
    return features
