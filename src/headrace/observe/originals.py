"""The features of an event as they came, packed: its request shows them, not what the model reads.

Each event in the window and in the reservoir is stored with its features as bytes of MessagePack,
about as long as its line in the log. At most `observe.window_n + observe.reservoir_n` are held, so
with lines of 1 kB and the default settings 4 MB. Events that came as columns of numbers need none:
their rows hold the same. For events that were decoded without a dict the line itself is held, but
only in memory: a state has the features and nothing else of the line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias, overload

import msgspec
import numpy as np

from ..messages import EventBatch, Features

OriginalOf: TypeAlias = Callable[[int], Features | None]
"""Returns the original features of event i of some rows; None where the row holds the same."""

_PACKED = msgspec.msgpack.Encoder()
_UNPACKED = msgspec.msgpack.Decoder()


_LINE = b"L"
"""The first byte of a held line: no MessagePack of features and no JSON begins with it."""


class LineFeatures(Sequence[Features]):
    """The features of events, which stand in their lines under `field`; decoded when accessed.

    >>> LineFeatures([b'{"id": "a", "of": {"x": 1, "is_new": true}}'], "of")[0]
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
        return _features_in(self._prefix + self._lines[i])

    def pack_lines(self, start: int, stop: int) -> list[bytes]:
        """Return the lines of events [start, stop), each with its `field`, for `unpack_features`.

        >>> lines = LineFeatures([b'{"of": {"x": 1}}', b'{"of": {"x": 2}}'], "of")
        >>> [unpack_features(kept) for kept in lines.pack_lines(0, 2)]
        [{'x': 1}, {'x': 2}]
        """
        prefix = self._prefix
        return [prefix + line for line in self._lines[start:stop]]


def _features_in(kept: bytes) -> Features:
    start = len(_LINE) + 2
    stop = start + int.from_bytes(kept[len(_LINE) : start], "big")
    line: Any = _make_reader(kept[start:stop].decode()).decode(kept[stop:])
    features: Features = line.features
    return features


@lru_cache(maxsize=16)
def _make_reader(field: str) -> msgspec.json.Decoder[Any]:
    kind = dict[str, float | int | bool | str | None]
    line = msgspec.defstruct("Line", [("features", kind)], rename={"features": field})
    return msgspec.json.Decoder(line)


def without_line(kept: bytes | None) -> bytes | None:
    """Return packed features; where `kept` is a whole line, its features alone."""
    if kept is None or kept[:1] != _LINE:
        return kept
    return pack_features(_features_in(kept))


class Originals:
    """Features of n events of a batch, those from `start` on, as they came.

    With `are_rows_exact` the rows hold all features: they came as columns of numbers, and the
    schema knows them all. `packed`, shape (n,), has bytes for events that are kept, else None.
    """

    def __init__(self, batch: EventBatch, start: int, n: int, *, are_rows_exact: bool) -> None:
        self.packed = np.empty(n, dtype=np.object_)
        self._batch = batch
        self._start = start
        self._are_rows_exact = are_rows_exact

    def features(self, start: int, i: int) -> Features | None:
        """Return the features of event start + i; None where its row holds the same."""
        return None if self._are_rows_exact else self._batch.original(self._start + start + i)

    def pack_events(self, start: int, stop: int) -> None:
        """Pack the features of events [start, stop), unless their rows hold the same."""
        if self._are_rows_exact:
            return
        batch, places = self._batch, range(self._start + start, self._start + stop)
        if isinstance(batch.originals, LineFeatures):
            self.packed[start:stop] = batch.originals.pack_lines(places.start, places.stop)
        else:
            self.packed[start:stop] = [pack_features(batch.original(place)) for place in places]


def pack_features(features: Features) -> bytes:
    """Return features as bytes.

    >>> unpack_features(pack_features({"id": 2**80, "is_new": True, "text": "late"}))
    {'id': 1208925819614629174706176, 'is_new': True, 'text': 'late'}
    """
    try:
        return _PACKED.encode(features)
    except OverflowError:
        # MessagePack's integers have at most 64 bits, JSON's have no limit; a brace marks JSON.
        return msgspec.json.encode(features)


def unpack_features(kept: bytes | None) -> Features | None:
    """Return the features that were packed; None for an event that needed no packing."""
    if kept is None:
        return None
    if kept[:1] == _LINE:
        return _features_in(kept)
    value: Any = msgspec.json.decode(kept) if kept[:1] == b"{" else _UNPACKED.decode(kept)
    features: Features = value
    return features
