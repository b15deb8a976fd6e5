"""Labelled examples of each class, and how near events are to those of a class that is rare.

A model that has seen three examples of a class says nothing sure about it. Here the nearest example
of the class is compared with the nearest of all others, as the first search for rare categories did
with their neighbourhoods (He and Carbonell, "Nearest-neighbor-based active learning for rare
category detection", NIPS 2007).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .pool import bounded

EXAMPLES_MAX = 100
"""Examples of all classes together that are compared with, at most; the latest of each."""

PIECE_MAX = 1_000_000
"""Numbers held at once while distances are taken."""

CLIP = 16.0
"""Two numbers are at most so far apart, in squared deviations."""

Floats = NDArray[np.float64]


class Examples:
    """The latest rows of each class.

    >>> examples = Examples()
    >>> for x in (0.0, 0.1, 0.2): examples.add("fine", np.array([x]))
    >>> examples.add("fraud", np.array([5.0]))
    >>> rows, is_category = np.array([[0.05], [4.9]]), np.zeros(1, bool)
    >>> examples.likeness(rows, ["fraud"], is_category)["fraud"].round(1).tolist()
    [0.0, 1.0]
    """

    def __init__(self) -> None:
        self._rows: dict[str, deque[Floats]] = {}
        # What follows from the rows alone: made when asked for, and no state.
        self._compared: _Compared | None = None

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_compared": None}

    def add(self, label: str, row: Floats) -> None:
        """An event of this row, shape (d,), has this label."""
        self._compared = None
        self._rows.setdefault(label, deque()).append(row)
        most = max(1, EXAMPLES_MAX // len(self._rows))
        for rows in self._rows.values():
            while len(rows) > most:
                rows.popleft()

    def likeness(
        self, rows: Floats, labels: list[str], is_category: NDArray[np.bool_]
    ) -> Mapping[str, Floats]:
        """How much likelier events are to be of each of these classes than of another, (n,) each.

        2 o / (o + c) - 1, at least 0, with o the distance to the nearest example of another class
        and c that to the nearest of this one. An event that is farther from all examples than these
        are from each other may be of a class that has none: c is never more than that distance.
        Each row, of shape (d,), is independent of the others.
        """
        if sum(map(len, self._rows.values())) < 2:
            return {label: np.zeros(len(rows)) for label in labels}
        width = rows.shape[1]
        if self._compared is None or self._compared.rows.shape[1] != width:
            self._compared = _compare_examples(self._rows, width, is_category)
        known = self._compared
        apart = row_distances(rows, known.rows, known.scale, is_category)
        found = {}
        for label in labels:
            is_own = np.array([one == label for one in known.labels])
            own = apart[:, is_own].min(axis=1, initial=known.usual)
            # Where all examples are of one class, nothing is near another.
            others = apart[:, ~is_own].min(axis=1, initial=_FAR)
            found[label] = np.maximum(2.0 * others / np.maximum(others + own, 1e-12) - 1.0, 0.0)
        return found


_FAR = 1e6


class _Compared(NamedTuple):
    """All examples as rows of one width, how numbers are scaled, and how far they are apart."""

    labels: list[str]
    rows: Floats
    scale: Floats
    usual: float


def _compare_examples(
    by_label: Mapping[str, deque[Floats]], width: int, is_category: NDArray[np.bool_]
) -> _Compared:
    flat = [(label, row) for label, kept in by_label.items() for row in kept]
    rows = np.full((len(flat), width), np.nan)
    for i, (_, row) in enumerate(flat):
        # One of when there were fewer features lacks the others.
        rows[i, : len(row)] = row[:width]
    scale = row_scales(rows, is_category)
    among = row_distances(rows, rows, scale, is_category)
    np.fill_diagonal(among, np.inf)
    usual = float(np.median(among.min(axis=1)))
    return _Compared([label for label, _ in flat], rows, scale, usual)


def row_scales(rows: Floats, is_category: NDArray[np.bool_]) -> Floats:
    """The deviation of each number over these rows, 1 where there is none; shape (d,)."""
    rows = bounded(rows)
    is_there = ~np.isnan(rows)
    n = np.maximum(is_there.sum(axis=0), 1)
    mean = np.where(is_there, rows, 0.0).sum(axis=0) / n
    centred = np.where(is_there, rows - mean, 0.0)
    deviation = np.sqrt((centred * centred).sum(axis=0) / n)
    return np.where(is_category | (deviation == 0.0), 1.0, deviation)


def row_distances(
    rows: Floats, others: Floats, scale: Floats, is_category: NDArray[np.bool_]
) -> Floats:
    """From rows (n, d) to others (m, d), shape (n, m); each by itself, whatever comes with it.

    Two categories that differ, or a value and none, are 1 apart.
    """
    rows, others = bounded(rows), bounded(others)
    piece_n = max(1, PIECE_MAX // max(1, others.size))
    pieces = [rows[i : i + piece_n] for i in range(0, len(rows), piece_n)]
    found = [np.empty((0, len(others)))]
    for piece in pieces:
        one = piece[:, np.newaxis]
        square = np.minimum(((one - others) / scale) ** 2, CLIP)
        square = np.where(is_category, one != others, square)
        none, no_other = np.isnan(one), np.isnan(others)
        square = np.where(none | no_other, none != no_other, square)
        found.append(np.sqrt(np.ascontiguousarray(square).sum(axis=2)))
    return np.concatenate(found)
