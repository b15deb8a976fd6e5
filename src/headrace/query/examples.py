"""Labelled examples of each class, and how near events are to those of a rare class.

A model that has seen three examples of a class can't be sure about it. Here the distance to the
nearest example of the class is compared with that to the nearest of all others, as the first search
for rare categories compared their neighbourhoods (He and Carbonell, "Nearest-neighbor-based active
learning for rare category detection", NIPS 2007).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .pool import bound_numbers, moments_of

EXAMPLES_MAX = 100
"""At most this many examples of all classes together are kept, the latest of each class."""

PIECE_MAX = 1_000_000
"""At most this many numbers are in memory at once while distances are computed."""

CLIP = 16.0
"""The largest difference of two numbers that counts, in squared deviations."""

Floats = NDArray[np.float64]


class Examples:
    """The latest rows of each class.

    >>> examples = Examples()
    >>> for x in (0.0, 0.1, 0.2): examples.add("fine", np.array([x]))
    >>> examples.add("fraud", np.array([5.0]))
    >>> rows, is_category = np.array([[0.05], [4.9]]), np.zeros(1, bool)
    >>> examples.rate_likeness(rows, ["fraud"], is_category)["fraud"].round(1).tolist()
    [0.0, 1.0]
    """

    def __init__(self) -> None:
        self._rows: dict[str, deque[Floats]] = {}
        # Computed from the rows when needed, and so not part of the state.
        self._compared: _Compared | None = None

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_compared": None}

    def add(self, label: str, row: Floats) -> None:
        """Add the row, shape (d,), of an event with this label."""
        self._compared = None
        self._rows.setdefault(label, deque()).append(row)
        most = max(1, EXAMPLES_MAX // len(self._rows))
        for rows in self._rows.values():
            while len(rows) > most:
                rows.popleft()

    def rate_likeness(
        self, rows: Floats, labels: list[str], is_category: NDArray[np.bool_]
    ) -> Mapping[str, Floats]:
        """Return for each of these classes how much nearer events are to it than to others, (n,).

        2 o / (o + c) - 1, at least 0, with o the distance to the nearest example of another class
        and c that to the nearest of this one; c is at most the usual distance between examples, as
        an event farther than that from all examples may be of a class that has none. Each row, of
        shape (d,), is independent of the others.
        """
        if sum(map(len, self._rows.values())) < 2:
            return {label: np.zeros(len(rows)) for label in labels}
        width = rows.shape[1]
        if self._compared is None or self._compared.rows.shape[1] != width:
            self._compared = _compare_examples(self._rows, width, is_category)
        known = self._compared
        apart = row_distances(rows, known.rows, known.scale, is_category)
        likeness = {}
        for label in labels:
            is_own = np.array([other == label for other in known.labels])
            own = apart[:, is_own].min(axis=1, initial=known.usual)
            # Where all examples are of this class, no event is near another class.
            others = apart[:, ~is_own].min(axis=1, initial=_FAR)
            likeness[label] = np.maximum(2.0 * others / np.maximum(others + own, 1e-12) - 1.0, 0.0)
        return likeness


_FAR = 1e6


class _Compared(NamedTuple):
    """All examples as rows of one width, the scale of each feature, and their usual distance."""

    labels: list[str]
    rows: Floats
    scale: Floats
    usual: float


def _compare_examples(
    by_label: Mapping[str, deque[Floats]], width: int, is_category: NDArray[np.bool_]
) -> _Compared:
    flat = [(label, row) for label, label_rows in by_label.items() for row in label_rows]
    rows = stack_rows([row for _, row in flat], width)
    scale = row_scales(rows, is_category)
    among = row_distances(rows, rows, scale, is_category)
    np.fill_diagonal(among, np.inf)
    usual = float(np.median(among.min(axis=1)))
    return _Compared([label for label, _ in flat], rows, scale, usual)


def stack_rows(rows: Sequence[Floats], width: int) -> Floats:
    """Return m rows as one array, shape (m, width); a feature newer than a row is missing in it."""
    stacked = np.full((len(rows), width), np.nan)
    for i, row in enumerate(rows):
        stacked[i, : len(row)] = row[:width]
    return stacked


def row_scales(rows: Floats, is_category: NDArray[np.bool_]) -> Floats:
    """Return the standard deviation of each number over these rows, 1 if it is 0; shape (d,)."""
    deviation = np.sqrt(moments_of(rows)[1])
    return np.where(is_category | (deviation == 0.0), 1.0, deviation)


def row_distances(
    rows: Floats, others: Floats, scale: Floats, is_category: NDArray[np.bool_]
) -> Floats:
    """Return the distances from rows (n, d) to others (m, d), shape (n, m).

    Two categories that differ, or a value and a missing one, are 1 apart. Each row is independent
    of the others.
    """
    rows, others = bound_numbers(rows), bound_numbers(others)
    piece_n = max(1, PIECE_MAX // max(1, others.size))
    pieces = [rows[i : i + piece_n] for i in range(0, len(rows), piece_n)]
    distances = [np.empty((0, len(others)))]
    for piece in pieces:
        expanded = piece[:, np.newaxis]
        square = np.minimum(((expanded - others) / scale) ** 2, CLIP)
        square = np.where(is_category, expanded != others, square)
        none, no_other = np.isnan(expanded), np.isnan(others)
        square = np.where(none | no_other, none != no_other, square)
        distances.append(np.sqrt(np.ascontiguousarray(square).sum(axis=2)))
    return np.concatenate(distances)
