"""Events that are observed and still to be written down: many at once cost little more than one.

The shard decides when they are written, and to what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .admission import Run
from .window import FILLS, Columns


class Assessment(NamedTuple):
    """The assessment of n events [start, stop) of a run by one model version, one array a column.

    `probabilities` (n, k) are the model's, over `classes_n` classes. `confidence` (n,) is the
    largest and `predicted` (n,) the class of the judged probabilities: the model's, unless those of
    the served model are judged. `guess` (n,) is the chance that the prediction is right, by the
    numbers `guessed_by`; NaN before the first label was learned, when nothing is predicted.
    `served` (n, s) are the run's, over all present classes. `doubts` (n,) are those of a strategy
    that looks at each event alone, `errors` (n,) the deviations of the guesses if a part is drawn
    for the estimate; else None. `has_failures`: the model failed on some events.
    """

    run: Run
    start: int
    stop: int
    classes_n: int
    guessed_by: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    confidence: NDArray[np.float64]
    predicted: NDArray[np.int64]
    guess: NDArray[np.float64]
    served: NDArray[np.float64]
    doubts: NDArray[np.float64] | None
    errors: NDArray[np.float64] | None
    has_failures: bool

    def slice_of(self, start: int, stop: int) -> slice:
        """Return the slice of events [start, stop) of the run in the assessment's columns."""
        return slice(start - self.start, stop - self.start)


@dataclass(slots=True)
class Seen:
    """Observed events [start, stop) of a run, which were assessed together."""

    said: Assessment
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def of_run(self, column: NDArray[Any]) -> NDArray[Any]:
        """Return these events' part of a column of their run."""
        return column[self.start : self.stop]

    def part_of(self, column: NDArray[Any]) -> NDArray[Any]:
        """Return these events' part of a column of their assessment."""
        return column[self.said.slice_of(self.start, self.stop)]

    def newest(self) -> Seen:
        """Return the last of these events alone."""
        return Seen(self.said, self.stop - 1, self.stop)

    def columns(self) -> tuple[NDArray[Any], ...]:
        """Return these events as the columns of `Columns` after `seq`, by views if possible.

        Where the model failed, confidence is 0.
        """
        assessment, run, at = self.said, self.said.run, slice(self.start, self.stop)
        part = assessment.slice_of(self.start, self.stop)
        confidence = assessment.confidence[part]
        if assessment.has_failures:
            confidence = np.where(np.isnan(confidence), 0.0, confidence)
        return (
            run.ids[at],
            run.at[at],
            run.keys[at],
            confidence,
            assessment.guess[part],
            run.is_asked[at],
            run.origins[at],
            run.originals.packed[at],
            run.rows[at],
            assessment.probabilities[part],
            assessment.served[part],
        )


def columns_of(seen: Sequence[Seen], end_seq: int) -> Columns:
    """Return all these events, at least one, as a block that ends before event `end_seq`."""
    parts = [stretch.columns() for stretch in seen]
    columns = parts[0] if len(parts) == 1 else map(stack_column, zip(*parts, strict=True), FILLS)
    return Columns(np.arange(end_seq - sum(map(len, seen)), end_seq, dtype=np.int64), *columns)


def stack_column(parts: Sequence[NDArray[Any]], fill: float = 0.0) -> NDArray[Any]:
    """Return the parts of one column stacked, padded with `fill` to the widest; C-contiguous.

    >>> stack_column([np.ones((1, 1)), np.ones((1, 2))], np.nan)
    array([[ 1., nan],
           [ 1.,  1.]])
    """
    if len(parts) == 1:
        return parts[0]
    widths = {part.shape[1] for part in parts} if parts[0].ndim > 1 else set[int]()
    if len(widths) > 1:
        width = max(widths)
        parts = [
            np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=fill)
            for part in parts
        ]
    return np.concatenate(parts)


def widen_classes(probabilities: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return the probabilities over k classes: 0 for those that were unknown then."""
    n, known = probabilities.shape
    if known >= k:
        return probabilities
    return np.hstack([probabilities, np.zeros((n, k - known))])


def served_over(served: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return the served model's probabilities over k classes: 0 for a class it did not name.

    `served` has shape (n, m), m <= k; an event without any has a row of NaN, or m is 0.

    >>> served_over(np.array([[0.7], [np.nan]]), 2)
    array([[0.7, 0. ],
           [nan, nan]])
    """
    known = served.shape[1]
    if known == 0 or known >= k:
        return served
    more = np.where(np.isnan(served[:, :1]), np.nan, 0.0)
    return np.hstack([served, np.repeat(more, k - known, axis=1)])


def judged_of(
    probabilities: NDArray[np.float64], served: NDArray[np.float64], is_served: bool
) -> NDArray[np.float64]:
    """Return the probabilities whose accuracy is estimated.

    With `is_served` they are the served model's; without, or where it has none, our model's.
    """
    if not is_served or served.shape[1] == 0:
        return probabilities
    known = ~np.isnan(served[:, :1])
    return np.where(known, served, widen_classes(probabilities, served.shape[1]))


def are_predicted(
    served: NDArray[np.float64], has_learned: bool, *, is_served: bool
) -> NDArray[np.bool_]:
    """Which events have a prediction that can be judged, shape (n,).

    Our model's counts if it `has_learned` a label. With `is_served` the served model's counts too:
    `served`, shape (n, k), has a row of NaN where it made none.

    >>> are_predicted(np.array([[0.9], [np.nan]]), False, is_served=True)
    array([ True, False])
    """
    if has_learned or not is_served or served.shape[1] == 0:
        return np.full(len(served), has_learned)
    return np.asarray(~np.isnan(served[:, 0]))
