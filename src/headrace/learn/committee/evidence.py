"""The evidence that members of a committee learn from: the latest labelled rows, as arrays.

`Committee` decides what is kept, and `encoding` how a row is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Evidence:
    """m labelled rows, in order of time.

    Attributes:
        Z: Scaled columns, shape (m, d).
        codes: The classes, 0 to `classes_n` - 1, shape (m,).
        at: Times, shape (m,), all in the same unit.
        weights: The labels' weights, shape (m,), usually 1.
        classes_n: The number of classes.
        feature_of: The number of the feature that each column was made from, shape (d,); all
            columns of one categorical feature share it.
        label_gap: The mean time from one label to the next.
        event_gap: The mean time from one event to the next.
        course: How the rows came to be, for members that solve only for what has changed.

    >>> evidence = Evidence(Z=np.zeros((2, 1)), codes=np.array([0, 1]), at=np.arange(2.0),
    ...     weights=np.ones(2), classes_n=2, feature_of=np.zeros(1, int), label_gap=1.0,
    ...     event_gap=1.0)
    >>> evidence.one_hot.tolist(), evidence.age_in_labels.tolist()
    ([[1.0, 0.0], [0.0, 1.0]], [1, 0])
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
        """The number of labels after each row, shape (m,)."""
        return np.arange(len(self) - 1, -1, -1)

    def take(self, places: NDArray[np.intp]) -> Evidence:
        """Select rows.

        Args:
            places: Their places, shape (n,).

        Returns:
            The n rows in this order.
        """
        return replace(
            self,
            Z=self.Z[places],
            codes=self.codes[places],
            at=self.at[places],
            weights=self.weights[places],
        )

    def joined(self, other: Evidence) -> Evidence:
        """Append other rows.

        Args:
            other: Rows of the same columns.

        Returns:
            These rows followed by the others, with the gaps, classes and course of the others.
        """
        return replace(
            other,
            Z=np.concatenate([self.Z, other.Z]),
            codes=np.concatenate([self.codes, other.codes]),
            at=np.concatenate([self.at, other.at]),
            weights=np.concatenate([self.weights, other.weights]),
        )


class Course:
    """The evidence at one time, and the rows added and removed since, one label at a time.

    Scale, columns and gaps do not change in a course. A member that starts with the first `base_n`
    of `rows` and takes the steps one by one gets the same bits, whenever it takes them.
    """

    def __init__(self, base: Evidence) -> None:
        self.rows = base
        self.base_n = len(base)
        self.gone: list[int] = []
        """For each step the number of the row that left when one was added; -1 if none left."""

    def add(self, row: Evidence, gone: int) -> None:
        """Add a step: a new row, and the number of the row that left, or -1."""
        self.rows = self.rows.joined(row)
        self.gone.append(gone)


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """n events to predict the class of.

    Attributes:
        Z: Scaled columns, shape (n, d).
        at: Times, shape (n,).
        classes_n: The number of classes.
        features: Returns the features of event i.
        X: If the events come from a table, its rows, shape (n, width).
        schema: The columns of that table, a `SchemaView`.

    >>> rows = Rows(Z=np.zeros((2, 1)), at=np.zeros(2), classes_n=2, features=lambda i: {"x": i})
    >>> len(rows), rows.features(1)
    (2, {'x': 1})
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
    """A member of a committee that is solved anew from the evidence and its own settings.

    It may have a `trust`: its weight before labels judge it, as a multiple of a river classifier's;
    1 by default.

    >>> class Frequent:
    ...     def tune(self, evidence): pass
    ...     def fit(self, evidence): self.shares = evidence.one_hot.mean(axis=0)
    ...     def predict(self, rows): return np.tile(self.shares, (len(rows), 1))
    >>> from headrace.models import Committee
    >>> model = Committee([Frequent()])
    >>> model.learn_one({"x": 1.0}, "fine"); model.predict_proba_one({"x": 2.0})
    {'fine': 1.0}
    """

    def tune(self, evidence: Evidence) -> None:
        """Move slow settings a step; called at fixed places in the sequence of labels.

        Args:
            evidence: All labelled rows that are kept.
        """
        ...

    def fit(self, evidence: Evidence) -> None:
        """Solve for the evidence. This moves no setting and may be called any number of times.

        Args:
            evidence: All labelled rows that are kept.
        """
        ...

    def predict(self, rows: Rows) -> Floats:
        """Predict; a row's bits do not depend on the other rows.

        Args:
            rows: n events.

        Returns:
            Probabilities, shape (n, classes_n).
        """
        ...


def product_by_row(X: Floats, matrix: Floats) -> Floats:
    """`X @ matrix`, shape (n, m), as one product of a vector and the matrix for each row.

    BLAS orders its additions by the shape of the whole product, so that the bits of a row would
    depend on n; here they do not.

    >>> product_by_row(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    if X.shape[1] == 0:
        return np.zeros((len(X), matrix.shape[1]))
    product: Floats = np.matmul(X[:, np.newaxis, :], matrix)[:, 0, :]
    return product


def softmax(scores: Floats) -> Floats:
    """exp(s) / sum exp(s) along the last axis."""
    # For a few rows an array's methods take longer than these reductions themselves.
    powers = np.exp(scores - np.maximum.reduce(scores, axis=-1, keepdims=True))
    return np.asarray(powers / np.add.reduce(powers, axis=-1, keepdims=True))
