"""Near-duplicates of what was asked: events whose label would say what is known, or soon will be.

The same row twice is found by its hash, a row that is near by its distance: the root of the mean
over the features of squared differences, numbers in deviations of what was asked; two categories
that differ, or a value and none, are 1 apart. Remembered are the latest events that were asked.

The blind draw does not look, so that every event keeps a propensity above 0; nothing else asks
about a duplicate.
"""

from __future__ import annotations

from collections import Counter, deque

import numpy as np
import xxhash
from numpy.typing import NDArray

from ..settings.query import DuplicateSettings
from .examples import row_distances, row_scales
from .pool import Pool

SCALED_MIN = 10
"""With fewer rows deviations mean nothing: only the same row is a duplicate."""

LEADERS_MAX = 1_000
"""So many events of one round are compared with each other; the others only by their hash."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Duplicates:
    """The rows of the latest events asked, and who is near one of them.

    `passed_over_n` counts events that were not asked for it.
    """

    def __init__(self, settings: DuplicateSettings) -> None:
        self.settings = settings
        self.passed_over_n = 0
        self._rows: deque[tuple[int, Floats]] = deque(maxlen=settings.remembered_n)

    @property
    def is_set(self) -> bool:
        """Whether duplicates are passed over."""
        return self.settings.distance is not None

    def note_asked(self, key: int, row: Floats) -> None:
        """The event with this hashed id and row, shape (d,), is asked about."""
        if self.is_set:
            self._rows.append((key, row.copy()))

    def forget_withdrawn(self, key: int) -> None:
        """Nobody is asked about this event any longer: another one like it may be."""
        kept = [one for one in self._rows if one[0] != key]
        self._rows = deque(kept, maxlen=self._rows.maxlen)

    def forget_events(self) -> None:
        """A person is erased: no row of any event stays."""
        self._rows.clear()

    def of_asked(self, rows: Floats, keys: NDArray[np.uint64], is_category: Bools) -> Bools | None:
        """Which rows, shape (n, d), are near one that was asked, shape (n,); None where all may be.

        No event is its own duplicate. Each row is independent of the others.
        """
        distance = self.settings.distance
        if distance is None:
            return None
        if not self._rows or not len(rows):
            return np.zeros(len(rows), dtype=np.bool_)
        width = rows.shape[1]
        known = np.full((len(self._rows), width), np.nan)
        for i, (_, row) in enumerate(self._rows):
            known[i, : len(row)] = row[:width]
        known_keys = np.array([key for key, _ in self._rows], dtype=np.uint64)
        if distance == 0.0 or len(known) < SCALED_MIN:
            return self._find_same(rows, keys, known, known_keys)
        near = row_distances(rows, known, row_scales(known, is_category), is_category)
        is_near = near <= distance * np.sqrt(width)
        return np.asarray((is_near & (keys[:, np.newaxis] != known_keys)).any(axis=1))

    def of_better(self, rows: Floats, keys: NDArray[np.uint64], is_category: Bools) -> Bools:
        """Of open questions, the best first, which are near a better one or one that is none.

        Rows have shape (n, d), the keys (n,) are theirs; the others are what was asked beside them.
        """
        if not self.is_set or not len(rows):
            return np.zeros(len(rows), dtype=np.bool_)
        own, width = set(keys.tolist()), rows.shape[1]
        others = np.full((len(self._rows), width), np.nan)
        for i, (_, row) in enumerate(self._rows):
            others[i, : len(row)] = row[:width]
        others = others[[key not in own for key, _ in self._rows]]
        near = self._find_near(rows, np.concatenate([others, rows]), is_category)
        found = np.asarray(near[:, : len(others)].any(axis=1))
        for i in range(len(rows)):
            before = near[i, len(others) : len(others) + i]
            found[i] |= bool((before & ~found[:i]).any())
        return found

    def _find_near(self, rows: Floats, others: Floats, is_category: Bools) -> Bools:
        """Which rows are near which of the others, shape (n, m)."""
        distance = self.settings.distance
        if not distance or len(others) < SCALED_MIN:
            hashed = np.array([hash_row(row) for row in others], dtype=np.uint64)
            own = np.array([hash_row(row) for row in rows], dtype=np.uint64)
            return np.asarray(own[:, np.newaxis] == hashed)
        scale = row_scales(others, is_category)
        near = row_distances(rows, others, scale, is_category)
        return np.asarray(near <= distance * np.sqrt(rows.shape[1]))

    @staticmethod
    def _find_same(
        rows: Floats, keys: NDArray[np.uint64], known: Floats, known_keys: NDArray[np.uint64]
    ) -> Bools:
        hashed = [hash_row(row) for row in known]
        counts = Counter(hashed)
        own = dict(zip(known_keys.tolist(), hashed, strict=True))
        found = []
        for row, key in zip(rows, keys.tolist(), strict=True):
            digest = hash_row(row)
            found.append(counts[digest] - (own.get(key) == digest) > 0)
        return np.array(found, dtype=np.bool_)

    def of_round(self, pool: Pool) -> Bools | None:
        """Which candidates of a round are near one that was asked, or an earlier one of them."""
        found = self.of_asked(pool.X, pool.keys, pool.is_category)
        return None if found is None else found | self.of_earlier(pool.X, pool.is_category)

    def of_earlier(self, rows: Floats, is_category: Bools) -> Bools:
        """Which rows of one round are near an earlier one of it that is no duplicate; shape (n,).

        Numbers are scaled by their deviation in the round.
        """
        digests = [hash_row(row) for row in rows]
        first = {digest: i for i, digest in reversed(list(enumerate(digests)))}
        found = np.array([first[digest] != i for i, digest in enumerate(digests)], dtype=np.bool_)
        distance = self.settings.distance
        if not distance or len(rows) < SCALED_MIN:
            return found
        scale, least = row_scales(rows, is_category), distance * np.sqrt(rows.shape[1])
        leaders = np.flatnonzero(~found)[:LEADERS_MAX]
        for i in leaders.tolist():
            if found[i]:
                continue
            near = row_distances(rows[i + 1 :], rows[i : i + 1], scale, is_category)[:, 0] <= least
            found[i + 1 :] |= near
        return found


def hash_row(row: Floats) -> int:
    """Of a row; trailing features that it lacks, as it was of an earlier time, do not count.

    >>> hash_row(np.array([1.0, -0.0])) == hash_row(np.array([1.0, 0.0, np.nan]))
    True
    """
    present = np.flatnonzero(~np.isnan(row))
    n = int(present[-1]) + 1 if len(present) else 0
    # Zero has two signs, and what is not a number many patterns.
    plain = np.where(np.isnan(row[:n]), np.nan, row[:n] + 0.0)
    return int(xxhash.xxh3_64_intdigest(plain.tobytes()))
