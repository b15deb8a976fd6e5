"""A bounded random sample of all events so far: `Reservoir`, uniform or biased to the recent.

Each event has a sort key made of its id's luck and, if biased, of its time; the events with the k
smallest keys are the sample. So the sample depends only on the events, not on their order or
grouping.
"""

from __future__ import annotations

import heapq
import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..chance import Chance
from ..errors import BadSettings
from .window import Columns, Store

# Blocks are processed in pieces, so that after the first piece of a large block the bar is low.
_PIECE_N = 1024


class Reservoir:
    """A sample of at most k events: bottom-k on hashed keys.

    Without a half-life every event so far is in it with the same probability; the sort key is a
    uniform number u. With `half_life_s` an event of age a weighs w = 2 ** (-a / half_life_s), and
    the sample is drawn one by one without replacement, each draw in proportion to the weights that
    are left: A-ES, Efraimidis and Spirakis, "Weighted random sampling with a reservoir",
    Information Processing Letters 97(5), 2006, which keeps the k largest u ** (1 / w). Weights
    matter only in relation to each other, so w may be taken forward from time 0, as
    2 ** (at / half_life_s): forward decay, Cormode, Shkapenyuk, Srivastava, Xu, ICDE 2009. The
    largest u ** (1 / w) is the smallest log(-log u) - at * ln 2 / half_life_s, which neither
    overflows nor has to be renewed.

    The hashed id breaks ties of sort keys. Beyond k events the one with the largest key is dropped.

    >>> block = Columns.of(seq0=0, ids=list("abcdef"), at=np.arange(6.0), rows=np.eye(6),
    ...     keys=Chance(1).keys("abcdef"), probabilities=np.full((6, 2), 0.5))
    >>> whole, parts = Reservoir(3, None, Chance(1)), Reservoir(3, None, Chance(1))
    >>> whole.offer(block)
    >>> parts.offer(block.take(slice(2, 6)))
    >>> parts.offer(block.take(slice(0, 2)))
    >>> sorted(whole.columns().ids) == sorted(parts.columns().ids)
    True
    """

    __slots__ = ("_bar", "_heap", "_sort_keys", "_store", "chance", "half_life_s", "k", "seen_n")

    def __init__(self, k: int, half_life_s: float | None, chance: Chance) -> None:
        """Raises `BadSettings` unless k is at least 1 and the half-life above 0."""
        if k < 1:
            raise BadSettings(f"observe.reservoir_n is {k}; must be at least 1 (events)")
        if half_life_s is not None and not half_life_s > 0:
            raise BadSettings(
                f"observe.reservoir_half_life_s is {half_life_s}; must be above 0 (seconds)"
            )
        self.k = k
        self.half_life_s = half_life_s
        self.chance = chance
        self.seen_n = 0
        self._store = Store(k)
        self._sort_keys = np.full(k, np.inf)
        # After an erasure from a full sample: events above this key had no room and get none now.
        self._bar = np.inf
        # (-sort key, -hashed id, slot): the event that is dropped next is at the top.
        self._heap: list[tuple[float, int, int]] = []

    STATE_VERSION: ClassVar[int] = 3

    def __getstate__(self) -> dict[str, Any]:
        """The heap stands in a state as arrays: msgpack holds no number below -2 ** 63."""
        return {name: getattr(self, name) for name in self.__slots__} | {
            "_heap": _pack_heap(self._heap)
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        tops, keys, slots = state["_heap"]
        self._heap = list(
            zip(tops.tolist(), (-key for key in keys.tolist()), slots.tolist(), strict=True)
        )

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 no event was erased; before 3 the heap was a list of its tuples."""
        older = {"_bar": np.inf} if version < 2 else {}
        return fields | older | {"_heap": _pack_heap(fields["_heap"])}

    def __len__(self) -> int:
        return len(self._heap)

    def offer(self, block: Columns, dated: NDArray[np.float64] | None = None) -> None:
        """Offer n events to the sample; any split of them leaves the same bits.

        `dated`, shape (n,), are the times, in seconds, that count for the bias; None: `block.at`.
        """
        if len(block) == 0:
            return
        self.seen_n += len(block)
        self._store.widen(block)
        sort_keys = self.sort_keys(block.keys, block.at if dated is None else dated)
        for start in range(0, len(block), _PIECE_N):
            self._admit(block, sort_keys, start, min(start + _PIECE_N, len(block)))

    def sort_keys(self, keys: NDArray[np.uint64], at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return sort keys of n events by hashed id and time, (n,); the smallest are kept."""
        uniforms = self.chance.uniforms("reservoir", keys)
        if self.half_life_s is None:
            return uniforms
        # Luck is never below half a step, so that the outer logarithm stays finite.
        luck = np.log(-np.log(np.maximum(uniforms, 2.0**-54)))
        return np.asarray(luck - at * (math.log(2.0) / self.half_life_s))

    def _admit(self, block: Columns, sort_keys: NDArray[np.float64], start: int, stop: int) -> None:
        """Offer one piece: compare columns with the bar, then loop over the few events below it."""
        piece = sort_keys[start:stop]
        if len(self._heap) == self.k:
            candidates = np.nonzero(piece <= -self._heap[0][0])[0] + start
        else:
            candidates = np.nonzero(piece < self._bar)[0] + start
        if candidates.size == 0:
            return
        heap, k, held_n = self._heap, self.k, len(self._heap)
        row_of_slot: dict[int, int] = {}
        keys = block.keys[candidates].tolist()
        for row, sort_key, key in zip(
            candidates.tolist(), sort_keys[candidates].tolist(), keys, strict=True
        ):
            if held_n < k:
                slot, held_n = held_n, held_n + 1
                heapq.heappush(heap, (-sort_key, -key, slot))
            elif (-sort_key, -key) > heap[0][:2]:
                slot = heap[0][2]
                heapq.heapreplace(heap, (-sort_key, -key, slot))
            else:
                continue
            row_of_slot[slot] = row
        if row_of_slot:
            slots, rows = np.array(list(row_of_slot)), np.array(list(row_of_slot.values()))
            self._store.put(slots, block.take(rows))
            self._sort_keys[slots] = sort_keys[rows]

    def columns(self) -> Columns:
        """Return copies of the events in the sample, in no particular order."""
        return self._store.take(slice(0, len(self)))

    def view(self) -> Columns:
        """Return views of the columns; don't write to them, nor use them after the next offer."""
        return self._store.view(slice(0, len(self)))

    def forget_lines(self) -> None:
        """Replace held lines by their features alone, before a state is written."""
        self._store.forget_lines()

    def erase(self, is_gone: NDArray[np.bool_]) -> None:
        """Erase the events of `columns()` for which `is_gone`, shape (n,), is true.

        The rest is a fair sample of the rest of the stream: a smaller one, until it is filled by
        newer events that would have had a place beside the erased ones too.
        """
        if not is_gone.any():
            return
        if len(self) == self.k:
            self._bar = min(self._bar, -self._heap[0][0])
        remaining, store = self.columns().take(~is_gone), Store(self.k)
        slots = np.arange(len(remaining))
        store.put(slots, remaining)
        sort_keys = np.full(self.k, np.inf)
        sort_keys[slots] = self._sort_keys[: len(self)][~is_gone]
        self._store, self._sort_keys = store, sort_keys
        ordered = zip(sort_keys.tolist(), remaining.keys.tolist(), slots.tolist(), strict=False)
        self._heap = [(-sort_key, -key, slot) for sort_key, key, slot in ordered]
        heapq.heapify(self._heap)

    def mark_asked(self, seq: int) -> bool:
        """Note that a label was requested for event `seq`; return whether it is in the sample."""
        slots = np.nonzero(self._store.seq[: len(self)] == seq)[0]
        self._store.mark_asked(slots)
        return bool(slots.size)


def _pack_heap(heap: list[tuple[float, int, int]]) -> tuple[NDArray[Any], ...]:
    """Return the columns of a heap, in its order: -sort keys, hashed ids, slots, each (n,)."""
    return (
        np.array([top for top, _, _ in heap], dtype=np.float64),
        np.array([-key for _, key, _ in heap], dtype=np.uint64),
        np.array([slot for _, _, slot in heap], dtype=np.int64),
    )
