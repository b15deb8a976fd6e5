"""The last n events (or seconds) as columns: `Window`; and the columns themselves: `Columns`.

Everything here only remembers the stream and decides nothing. It knows neither feature names nor
classes: a row is numbers, and the schema knows what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import BadSettings, BrokenInvariant
from .originals import without_line

_FLAT: tuple[tuple[str, Any], ...] = (
    ("seq", np.int64),
    ("ids", np.object_),
    ("at", np.float64),
    ("keys", np.uint64),
    ("confidence", np.float64),
    ("guess", np.float64),
    ("is_asked", np.bool_),
    ("origins", np.object_),
    ("originals", np.object_),
)
# The wide columns grow while the stream runs; each with the value for events before it did.
_WIDE: tuple[tuple[str, float], ...] = (
    ("rows", np.nan),
    ("probabilities", 0.0),
    ("served", np.nan),
)
FILLS = (*[0.0 for _ in _FLAT[1:]], *[fill for _, fill in _WIDE])
"""What widens each column of `Columns` after `seq`; flat ones are never widened."""


Slots: TypeAlias = NDArray[np.intp] | slice


@dataclass(frozen=True, eq=False, slots=True)
class Columns:
    """n events, one array a column.

    `seq` (n,) numbers the events of a shard, `ids` (n,) holds texts, `at` (n,) seconds, `keys` (n,)
    the hashed ids for `Chance`. `rows` (n, d) are the features by the schema: numbers, category
    codes, NaN where missing. `probabilities` (n, k) are the model's at arrival, 0 for a class that
    was unknown then and NaN where the model failed; `confidence` (n,) is the largest of the judged
    probabilities: these, unless the served model's are judged. `guess` (n,) is the chance, guessed
    at arrival, that the prediction is right; `is_asked` (n,) whether a label was requested.
    `served` (n, s) are the probabilities of the model that served the event, NaN where the log had
    none; s may be 0. `origins` (n,) holds what a request passes on: (key, version of the served
    model), or None; `originals` (n,) the features as they came, packed, or None where the row holds
    the same.
    """

    seq: NDArray[np.int64]
    ids: NDArray[np.object_]
    at: NDArray[np.float64]
    keys: NDArray[np.uint64]
    confidence: NDArray[np.float64]
    guess: NDArray[np.float64]
    is_asked: NDArray[np.bool_]
    origins: NDArray[np.object_]
    originals: NDArray[np.object_]
    rows: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    served: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.seq)

    @property
    def has_answer(self) -> NDArray[np.bool_]:
        """Which events the model has scored, shape (n,): it failed on a row of NaN."""
        if not self.probabilities.shape[1]:
            return np.ones(len(self), np.bool_)
        return ~np.isnan(self.probabilities[:, 0])

    @classmethod
    def of(
        cls, *, seq0: int, ids: Sequence[str], probabilities: NDArray[np.float64], **columns: Any
    ) -> Columns:
        """Return a block of n events just arrived, numbered from `seq0`; `columns` are the others.

        Columns that are not passed are empty; `confidence` is the largest of `probabilities`.
        """
        texts = np.empty(len(ids), dtype=np.object_)
        texts[:] = ids
        columns.setdefault("confidence", probabilities.max(axis=1, initial=0.0))
        return replace(
            cls.empty(len(ids)),
            seq=np.arange(seq0, seq0 + len(ids), dtype=np.int64),
            ids=texts,
            probabilities=probabilities,
            **columns,
        )

    @classmethod
    def empty(cls, n: int) -> Columns:
        """Return columns of zeros for n events, whose wide columns have width 0."""
        flat: dict[str, Any] = {name: np.zeros(n, dtype=kind) for name, kind in _FLAT}
        wide: dict[str, Any] = {name: np.empty((n, 0)) for name, _ in _WIDE}
        return cls(**flat, **wide)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Columns:
        """Return these rows, in this order: copies for places or a mask, a view for a slice."""
        names = [name for name, _ in _FLAT + _WIDE]
        return Columns(**{name: getattr(self, name)[rows] for name in names})

    def newest(self, n: int) -> Columns:
        """Return a view of the last n events, or of all."""
        return self.take(slice(max(0, len(self) - n), len(self)))

    def since(self, seq: int) -> Columns:
        """Return copies of the events numbered `seq` and above."""
        return self.take(self.seq >= seq)

    @classmethod
    def join_blocks(cls, blocks: Sequence[Columns]) -> Columns:
        """Return the events of all these blocks as one, as wide as the widest."""
        store, done = Store(sum(len(block) for block in blocks)), 0
        for block in blocks:
            store.put(slice(done, done + len(block)), block)
            done += len(block)
        return store.take(slice(0, done))


class Store:
    """Holds `capacity` events, written in place; as wide as the widest block it was shown.

    Inside, the width of a wide column is the next power of two, so that columns are seldom copied
    while a schema grows name by name, and so that the state is the same at any split of the stream.
    """

    __slots__ = ("_columns", "_widths", "capacity")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._columns = Columns.empty(capacity)
        self._widths = dict.fromkeys((name for name, _ in _WIDE), 0)

    def widen(self, block: Columns) -> None:
        """Make every wide column at least as wide as the block's."""
        for name, fill in _WIDE:
            width: int = getattr(block, name).shape[1]
            if width <= self._widths[name]:
                continue
            self._widths[name] = width
            old: NDArray[np.float64] = getattr(self._columns, name)
            if width > old.shape[1]:
                wider = np.full((self.capacity, 1 << (width - 1).bit_length()), fill)
                wider[:, : old.shape[1]] = old
                # The dataclass is frozen for its readers; only this owner may change it.
                object.__setattr__(self._columns, name, wider)

    def put(self, slots: Slots, block: Columns) -> None:
        """Write the block's events to these slots, which must differ."""
        self.widen(block)
        for name, _ in _FLAT:
            getattr(self._columns, name)[slots] = getattr(block, name)
        for name, fill in _WIDE:
            values: NDArray[np.float64] = getattr(block, name)
            column: NDArray[np.float64] = getattr(self._columns, name)
            if values.shape[1] < column.shape[1]:
                column[slots, values.shape[1] :] = fill
            if values.shape[1]:
                column[slots, : values.shape[1]] = values

    def take(self, *slots: Slots) -> Columns:
        """Return copies of the events in these slots, in this order, C-contiguous."""
        flat = {name: getattr(self._columns, name) for name, _ in _FLAT}
        wide = {name: getattr(self._columns, name)[:, :n] for name, n in self._widths.items()}
        if len(slots) == 1:
            part = slots[0]
            return Columns(**{name: column[part].copy() for name, column in (flat | wide).items()})
        return Columns(
            **{
                name: np.ascontiguousarray(np.concatenate([column[part] for part in slots]))
                for name, column in (flat | wide).items()
            }
        )

    def view(self, slots: slice) -> Columns:
        """Return a view of the events in these slots; don't write to it, nor use it after `put`."""
        wide = {name: getattr(self._columns, name)[slots, :n] for name, n in self._widths.items()}
        return Columns(**{n: getattr(self._columns, n)[slots] for n, _ in _FLAT}, **wide)

    @property
    def at(self) -> NDArray[np.float64]:
        """The times of all slots, shape (capacity,), seconds; don't write to them."""
        return self._columns.at

    @property
    def seq(self) -> NDArray[np.int64]:
        """The event numbers of all slots, shape (capacity,); don't write to them."""
        return self._columns.seq

    def blank(self, slots: NDArray[np.intp]) -> None:
        """Erase the events in these slots."""
        for name, _ in _FLAT:
            column = getattr(self._columns, name)
            column[slots] = np.zeros((), column.dtype)
        self._columns.seq[slots] = -1
        for name, fill in _WIDE:
            getattr(self._columns, name)[slots] = fill

    def forget_lines(self) -> None:
        """Replace held lines by their features alone."""
        originals = self._columns.originals
        for slot, kept in enumerate(originals.tolist()):
            originals[slot] = without_line(kept or None)

    def mark_asked(self, slots: NDArray[np.intp] | int) -> None:
        """Note that labels were requested for the events in these slots."""
        self._columns.is_asked[slots] = True


class Window:
    """Those of the last `window_n` events of a shard that are not older than `window_s`, seconds.

    Events are numbered without gaps, so event `seq` is in slot `seq % window_n` and overwrites the
    oldest. `now` is the clock, in seconds; events older than `now - window_s` are out, even if they
    arrived last. Any split of the stream into blocks leaves the same bits.

    >>> block = Columns.of(seq0=0, ids=["a", "b", "c"], at=np.array([1.0, 2.0, 3.0]),
    ...     keys=np.arange(3, dtype=np.uint64), rows=np.eye(3), probabilities=np.full((3, 2), 0.5))
    >>> window = Window(2)
    >>> window.append(block)
    >>> len(window), window.since(0).ids.tolist(), window.find(0)
    (2, ['b', 'c'], None)
    """

    __slots__ = ("_filled_n", "_gone_to", "_store", "next_seq", "now", "window_n", "window_s")

    def __init__(self, window_n: int, window_s: float | None = None) -> None:
        """Raises `BadSettings` unless both limits are above 0."""
        if window_n < 1:
            raise BadSettings(f"observe.window_n is {window_n}; must be at least 1 (events)")
        if window_s is not None and not window_s > 0:
            raise BadSettings(f"observe.window_s is {window_s}; must be above 0 (seconds)")
        self.window_n = window_n
        self.window_s = window_s
        self.now = -np.inf
        self.next_seq = 0
        self._filled_n = 0
        # The largest number of an erased event.
        self._gone_to = -1
        self._store = Store(window_n)

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 no event was erased."""
        return fields | {"_gone_to": -1}

    def append(self, block: Columns, now: float | None = None) -> None:
        """Append n events in order of arrival and set the clock to `now`, or to their latest time.

        Raises `BrokenInvariant` if their numbers do not continue those of the window without gaps.
        """
        n = len(block)
        if n == 0:
            return
        first, last = int(block.seq[0]), int(block.seq[-1])
        if last - first != n - 1 or (self._filled_n and first != self.next_seq):
            raise BrokenInvariant(f"the window expects event {self.next_seq}, got {first}..{last}")
        kept = block if n <= self.window_n else block.take(slice(n - self.window_n, n))
        done = 0
        for slots in self._list_spans(last + 1 - len(kept), last + 1):
            size = slots.stop - slots.start
            part = kept if size == len(kept) else kept.take(slice(done, done + size))
            self._store.put(slots, part)
            done += size
        self._filled_n = min(self.window_n, self._filled_n + n)
        self.next_seq = last + 1
        self.tick(max(self.now, float(block.at.max())) if now is None else now)

    def forget_lines(self) -> None:
        """Replace held lines by their features alone, before a state is written."""
        self._store.forget_lines()

    def tick(self, now: float) -> None:
        """Set the clock to `now`, in seconds."""
        self.now = now

    @property
    def first_seq(self) -> int:
        """The number of the oldest event in a slot; `next_seq` when there is none."""
        return self.next_seq - self._filled_n

    def slots(self, seq: int = 0) -> NDArray[np.intp]:
        """Return the slots of events in the window numbered from `seq`, in order of arrival."""
        numbers = np.arange(max(seq, self.first_seq), self.next_seq, dtype=np.intp)
        slots = numbers % self.window_n
        if self._has_gaps:
            slots = slots[self._store.seq[slots] >= 0]
        if self.window_s is None:
            return slots
        return np.asarray(slots[self._store.at[slots] >= self.now - self.window_s])

    def since(self, seq: int = 0) -> Columns:
        """Return copies of events in the window numbered from `seq`, in order of arrival."""
        if self.window_s is not None or self._has_gaps:
            return self._store.take(self.slots(seq))
        first = min(max(seq, self.first_seq), self.next_seq)
        return self._store.take(*self._list_spans(first, self.next_seq))

    def newest(self, n: int) -> Columns:
        """Return copies of the last n events in the window, or of all."""
        if self.window_s is not None or self._has_gaps:
            return self._store.take(self.slots()[-n:])
        return self.since(self.next_seq - n)

    def _list_spans(self, first: int, end: int) -> list[slice]:
        """Return the slots of events [first, end), at most `window_n`, as one or two slices."""
        start = first % self.window_n
        stop = start + end - first
        if stop <= self.window_n:
            return [slice(start, stop)]
        return [slice(start, self.window_n), slice(0, stop - self.window_n)]

    def find(self, seq: int) -> int | None:
        """Return the slot of event `seq`, or None if it is not in the window."""
        if not self.first_seq <= seq < self.next_seq:
            return None
        slot = seq % self.window_n
        if self.window_s is not None and self._store.at[slot] < self.now - self.window_s:
            return None
        return slot if self._store.seq[slot] == seq else None

    def mark_asked(self, seq: int) -> bool:
        """Note that a label was requested for event `seq`; return whether it is in the window."""
        slot = self.find(seq)
        if slot is not None:
            self._store.mark_asked(slot)
        return slot is not None

    def copy_kept(self) -> Columns:
        """Return copies of all events in slots, even those older than `window_s`, in order."""
        slots = np.arange(self.first_seq, self.next_seq, dtype=np.intp) % self.window_n
        return self._store.take(slots[self._store.seq[slots] >= 0])

    def erase(self, seqs: NDArray[np.int64]) -> None:
        """Erase the events with these numbers, all of which must be in a slot."""
        if len(seqs):
            self._store.blank(seqs % self.window_n)
            self._gone_to = max(self._gone_to, int(seqs.max()))

    @property
    def _has_gaps(self) -> bool:
        """Whether an event was erased whose slot has not been reused."""
        return self._gone_to >= self.first_seq

    def __len__(self) -> int:
        if self.window_s is None and not self._has_gaps:
            return self._filled_n
        return len(self.slots())
