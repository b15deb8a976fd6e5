"""What members of a committee learn from: the latest labelled rows as arrays.

Nothing here decides what is kept (`Committee` does) or how a row is made (`encoding` does).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Evidence:
    """m labelled rows, in order of time.

    `Z` has shape (m, d): scaled columns. `codes`, shape (m,), are classes 0 to `classes_n` - 1.
    `at`, shape (m,), are times in any one unit, `weights`, shape (m,), what each label counts, 1 as
    a rule. `feature_of`, shape (d,), is the number of the
    feature that each column was made from: all columns of one categorical feature share it.
    `label_gap` is the mean time from one label to the next, `event_gap` from one event to the next.
    `course` is how the rows came to be, for members that solve for what has changed.
    """

    Z: Floats
    codes: NDArray[np.intp]
    at: Floats
    weights: Floats
    classes_n: int
    feature_of: NDArray[np.intp]
    label_gap: float
    event_gap: float
    course: Course | None = None

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def one_hot(self) -> Floats:
        """The classes as indicators, shape (m, classes_n)."""
        return np.eye(self.classes_n)[self.codes]

    @property
    def age_in_labels(self) -> NDArray[np.intp]:
        """How many labels came after each row, shape (m,)."""
        return np.arange(len(self) - 1, -1, -1)

    def take(self, places: NDArray[np.intp]) -> Evidence:
        """The rows in these places."""
        return Evidence(
            self.Z[places],
            self.codes[places],
            self.at[places],
            self.weights[places],
            self.classes_n,
            self.feature_of,
            self.label_gap,
            self.event_gap,
            self.course,
        )

    def joined(self, other: Evidence) -> Evidence:
        """These rows and then the others, under the gaps and classes of the others."""
        return Evidence(
            np.concatenate([self.Z, other.Z]),
            np.concatenate([self.codes, other.codes]),
            np.concatenate([self.at, other.at]),
            np.concatenate([self.weights, other.weights]),
            other.classes_n,
            other.feature_of,
            other.label_gap,
            other.event_gap,
            other.course,
        )

    def of_classes(self, classes_n: int, course: Course | None) -> Evidence:
        """The same rows over so many classes, and how they came to be."""
        return Evidence(
            self.Z,
            self.codes,
            self.at,
            self.weights,
            classes_n,
            self.feature_of,
            self.label_gap,
            self.event_gap,
            course,
        )


class Course:
    """Rows that stood together at one time, and what came and went since, one label at a time.

    Scale, columns and gaps stay as they were. Whoever starts with the first `base_n` of `rows` and
    takes the steps one by one has the same bits whether it does so as they happen or later.
    """

    def __init__(self, base: Evidence) -> None:
        self.rows = base
        self.base_n = len(base)
        self.gone: list[int] = []
        """By step the number of the row that left when one was added; -1: none did."""

    def add(self, row: Evidence, gone: int) -> None:
        """A step: one more row, and which of `rows` is no evidence any more."""
        self.rows = self.rows.joined(row)
        self.gone.append(gone)


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """n events to be told the class of.

    `Z`, shape (n, d), are scaled columns, `at`, shape (n,), times, `features(i)` the features of
    event i. Where the events come from a table, `X`, shape (n, width), are its rows and `schema`
    its columns (a `SchemaView`).
    """

    Z: Floats
    at: Floats
    classes_n: int
    features: Callable[[int], Mapping[Any, Any]]
    X: Floats | None = None
    schema: Any = None

    def __len__(self) -> int:
        return len(self.at)


class Member(Protocol):
    """One opinion in a committee, solved anew from the evidence and the member's settings.

    It may have a `trust`: how many times the word of a river classifier its own weighs before
    labels judge it; 1 without.
    """

    def tune(self, evidence: Evidence) -> None:
        """Move slow settings a step; called at fixed places in the sequence of labels."""
        ...

    def fit(self, evidence: Evidence) -> None:
        """Solve for the evidence. Moves no setting: it may be called any number of times."""
        ...

    def predict(self, rows: Rows) -> Floats:
        """Probabilities, shape (n, classes_n); a row's bits do not depend on the other rows."""
        ...


def product_by_row(X: Floats, matrix: Floats) -> Floats:
    """`X @ matrix`, shape (n, m), as one product of a vector and the matrix for each row.

    BLAS chooses its order of additions by the shape of the whole product; so no row's bits may
    depend on n, and here they do not.

    >>> product_by_row(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    if X.shape[1] == 0:
        return np.zeros((len(X), matrix.shape[1]))
    product: Floats = np.matmul(X[:, np.newaxis, :], matrix)[:, 0, :]
    return product


def softmax(scores: Floats) -> Floats:
    """exp(s) / sum exp(s) along the last axis."""
    # The reductions themselves: an array's methods take longer, of a few rows, than what they do.
    powers = np.exp(scores - np.maximum.reduce(scores, axis=-1, keepdims=True))
    return np.asarray(powers / np.add.reduce(powers, axis=-1, keepdims=True))
