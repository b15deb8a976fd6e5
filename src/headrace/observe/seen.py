"""Events observed and still to be written down: many at once cost little more than one.

When that is done, and into what, is the shard's to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .admission import Run
from .window import Columns


@dataclass(frozen=True, eq=False, slots=True)
class Assessment:
    """What is said of the n events [start, stop) of a run, one array a column.

    `probabilities` (n, k) are the model's, of this `version`; `confidence` (n,) is the largest and
    `predicted` (n,) the class of those that are judged: these, unless the served model's are.
    `guess` (n,) is the chance that the prediction is right; NaN before there was a model, which
    predicts nothing. `served` (n, s) is the run's over all classes of now. `doubts` (n,) are the
    strategy's, where it looks at each event alone, and `errors` (n,) the deviations of the guesses,
    where a part is drawn for the estimate; else None. `has_failures`: the model failed on some.
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

    def part(self, start: int, stop: int) -> slice:
        """Where events [start, stop) of the run stand in its columns."""
        return slice(start - self.start, stop - self.start)


@dataclass(slots=True)
class Seen:
    """Events [start, stop) of those that were assessed together; they have been observed."""

    said: Assessment
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def of_run(self, column: NDArray[Any]) -> NDArray[Any]:
        """These events' part of a column of their run."""
        return column[self.start : self.stop]

    def of(self, column: NDArray[Any]) -> NDArray[Any]:
        """Their part of a column of what was said of them."""
        return column[self.said.part(self.start, self.stop)]

    def newest(self) -> Seen:
        """The last of these events alone."""
        return Seen(self.said, self.stop - 1, self.stop)

    def columns(self, end_seq: int) -> Columns:
        """These as a block that ends before event `end_seq`, views where that can be.

        Where the model failed there is no confidence: none is 0.
        """
        said, run, at = self.said, self.said.run, slice(self.start, self.stop)
        of = said.part(self.start, self.stop)
        confidence = said.confidence[of]
        if said.has_failures:
            confidence = np.where(np.isnan(confidence), 0.0, confidence)
        return Columns(
            seq=np.arange(end_seq - len(self), end_seq, dtype=np.int64),
            ids=run.ids[at],
            at=run.at[at],
            keys=run.keys[at],
            confidence=confidence,
            guess=said.guess[of],
            is_asked=run.is_asked[at],
            origins=run.origins[at],
            originals=run.originals.packed[at],
            rows=run.rows[at],
            probabilities=said.probabilities[of],
            served=said.served[of],
        )


def columns_of(seen: Sequence[Seen], end_seq: int) -> Columns:
    """All of them as one block that ends before event `end_seq`."""
    blocks: list[Columns] = []
    for one in reversed(seen):
        blocks.append(one.columns(end_seq))
        end_seq -= len(one)
    return blocks[0] if len(blocks) == 1 else Columns.join_blocks(blocks[::-1])


def stack_column(parts: Sequence[NDArray[Any]], fill: float = 0.0) -> NDArray[Any]:
    """The parts of one column, one below the other, as wide as the widest; C-contiguous.

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
    """The same with a column of zeros for each of k classes that was unknown then."""
    n, known = probabilities.shape
    if known >= k:
        return probabilities
    return np.hstack([probabilities, np.zeros((n, k - known))])


def served_over(served: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """The served model's probabilities over k classes: 0 for one it did not name.

    `served` has shape (n, m), m <= k; rows of NaN, or all for m = 0, are of events without any.

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
    """The probabilities whose accuracy is estimated: with `is_served` the served model's.

    Where that said nothing, and without, our model's.
    """
    if not is_served or served.shape[1] == 0:
        return probabilities
    known = ~np.isnan(served[:, :1])
    return np.where(known, served, widen_classes(probabilities, served.shape[1]))


def are_predicted(
    served: NDArray[np.float64], has_learned: bool, *, is_served: bool
) -> NDArray[np.bool_]:
    """Which events were predicted by somebody who had learned something, shape (n,).

    `has_learned` says it of our model, at the version that scored them. With `is_served` the served
    model is judged where it spoke: `served`, shape (n, k), has a row of NaN where it did not.

    >>> are_predicted(np.array([[0.9], [np.nan]]), False, is_served=True)
    array([ True, False])
    """
    if has_learned or not is_served or served.shape[1] == 0:
        return np.full(len(served), has_learned)
    return np.asarray(~np.isnan(served[:, 0]))
