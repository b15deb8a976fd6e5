"""Near-duplicates of asked events: their label would add nothing to one that is known or to come.

An equal row is found by its hash, a near one by its distance: the root of the mean over the
features of squared differences. Numbers are in standard deviations of the asked events; two
categories that differ, or a value and a missing one, are 1 apart. The latest asked events are
remembered.

The blind draw ignores duplicates, so that every event keeps a propensity above 0; nothing else asks
about one.
"""

from __future__ import annotations

from collections import Counter, deque

import numpy as np
import xxhash
from numpy.typing import NDArray

from ..settings.query import DuplicateSettings
from .examples import row_distances, row_scales, stack_rows
from .pool import Pool

SCALED_MIN = 10
"""With fewer rows deviations mean nothing: only an equal row is a duplicate."""

LEADERS_MAX = 1_000
"""This many events of one round are compared by distance; further ones only by their hash."""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Duplicates:
    """The rows of the latest asked events, and which events are near one of them.

    `passed_over_n` counts the events that were not asked because they are duplicates.
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
        """Remember an asked event with this hashed id and row, shape (d,)."""
        if self.is_set:
            self._rows.append((key, row.copy()))

    def forget_withdrawn(self, key: int) -> None:
        """Forget an event whose question was withdrawn: another one like it may be asked."""
        kept = [entry for entry in self._rows if entry[0] != key]
        self._rows = deque(kept, maxlen=self._rows.maxlen)

    def forget_events(self) -> None:
        """Forget the rows of all events, as a person is erased."""
        self._rows.clear()

    def of_asked(self, rows: Floats, keys: NDArray[np.uint64], is_category: Bools) -> Bools | None:
        """Return which rows, shape (n, d), are near an asked one, shape (n,); None if unset.

        `keys`, shape (n,), are the hashed ids: no event is its own duplicate. Each row is
        independent of the others.
        """
        distance = self.settings.distance
        if distance is None:
            return None
        if not self._rows or not len(rows):
            return np.zeros(len(rows), dtype=np.bool_)
        width = rows.shape[1]
        known = stack_rows([row for _, row in self._rows], width)
        known_keys = np.array([key for key, _ in self._rows], dtype=np.uint64)
        if distance == 0.0 or len(known) < SCALED_MIN:
            return self._find_same(rows, keys, known, known_keys)
        near = row_distances(rows, known, row_scales(known, is_category), is_category)
        is_near = near <= distance * np.sqrt(width)
        return np.asarray((is_near & (keys[:, np.newaxis] != known_keys)).any(axis=1))

    def of_better(self, rows: Floats, keys: NDArray[np.uint64], is_category: Bools) -> Bools:
        """Return which open questions, best first, are near a better one or another asked event.

        `rows`, shape (n, d), and hashed ids `keys`, shape (n,), are those of the questions' events;
        a better question counts unless it is redundant itself.
        """
        if not self.is_set or not len(rows):
            return np.zeros(len(rows), dtype=np.bool_)
        own = set(keys.tolist())
        others = stack_rows([row for key, row in self._rows if key not in own], rows.shape[1])
        near = self._find_near(rows, np.concatenate([others, rows]), is_category)
        is_redundant = np.asarray(near[:, : len(others)].any(axis=1))
        for i in range(len(rows)):
            before = near[i, len(others) : len(others) + i]
            is_redundant[i] |= bool((before & ~is_redundant[:i]).any())
        return is_redundant

    def _find_near(self, rows: Floats, others: Floats, is_category: Bools) -> Bools:
        """Return whether each row is near each of the others, shape (n, m)."""
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
        is_same = []
        for row, key in zip(rows, keys.tolist(), strict=True):
            digest = hash_row(row)
            is_same.append(counts[digest] - (own.get(key) == digest) > 0)
        return np.array(is_same, dtype=np.bool_)

    def of_round(self, pool: Pool) -> Bools | None:
        """Return which candidates are near an asked event or an earlier one; None if unset."""
        is_duplicate = self.of_asked(pool.X, pool.keys, pool.is_category)
        return (
            None
            if is_duplicate is None
            else is_duplicate | self.of_earlier(pool.X, pool.is_category)
        )

    def of_earlier(self, rows: Floats, is_category: Bools) -> Bools:
        """Return which rows of a round are near an earlier one that is no duplicate; shape (n,).

        Numbers are scaled by their standard deviation in the round.
        """
        digests = [hash_row(row) for row in rows]
        first = {digest: i for i, digest in reversed(list(enumerate(digests)))}
        is_duplicate = np.array(
            [first[digest] != i for i, digest in enumerate(digests)], dtype=np.bool_
        )
        distance = self.settings.distance
        if not distance or len(rows) < SCALED_MIN:
            return is_duplicate
        scale, least = row_scales(rows, is_category), distance * np.sqrt(rows.shape[1])
        leaders = np.flatnonzero(~is_duplicate)[:LEADERS_MAX]
        for i in leaders.tolist():
            if is_duplicate[i]:
                continue
            near = row_distances(rows[i + 1 :], rows[i : i + 1], scale, is_category)[:, 0] <= least
            is_duplicate[i + 1 :] |= near
        return is_duplicate


def hash_row(row: Floats) -> int:
    """Return the hash of a row; trailing missing values, as older rows have, do not count.

    >>> hash_row(np.array([1.0, -0.0])) == hash_row(np.array([1.0, 0.0, np.nan]))
    True
    """
    present = np.flatnonzero(~np.isnan(row))
    n = int(present[-1]) + 1 if len(present) else 0
    # Both zeros, and all bit patterns of NaN, are to have one hash.
    plain = np.where(np.isnan(row[:n]), np.nan, row[:n] + 0.0)
    return int(xxhash.xxh3_64_intdigest(plain.tobytes()))
