"""What a model failed at first, in words. Counts are kept where they are state; these are not.

An exception's text may hold the address of an object, so that no two processes have the same.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import BadSettings

Act: TypeAlias = Literal["learn", "predict"]
ACTS: tuple[Act, ...] = get_args(Act)

TEXT_MAX = 200
"""So many letters of an exception's text are kept."""

FAILING_N = 10
"""A model that failed at so many in a row is failing: where every second one fails by chance, ten
in a row are one in a thousand. As many first labels, none of them learned, end a start."""


class Failures:
    """The first failure of each act.

    >>> failures = Failures()
    >>> failures.note_failure("learn", ValueError("could not convert string to float: 'n/a'"))
    >>> failures.note_failure("learn", KeyError("amount"))
    >>> failures.first
    {'learn': "ValueError: could not convert string to float: 'n/a'"}
    """

    def __init__(self) -> None:
        self.first: dict[Act, str] = {}

    def note_failure(self, act: Act, error: Exception | str) -> None:
        """Keep it if it is the first."""
        if act not in self.first:
            self.first[act] = describe_error(error)


class FailedEvents:
    """Events on which a model that has learned failed: `n`, of which the latest `in_row_n`.

    >>> failed = FailedEvents()
    >>> failed.count_failed(np.array([[np.nan, np.nan], [0.5, 0.5], [np.nan, np.nan]]))
    >>> failed.n, failed.in_row_n
    (2, 1)
    """

    def __init__(self) -> None:
        self.n = 0
        self.in_row_n = 0

    def count_failed(self, probabilities: NDArray[np.float64]) -> None:
        """These events, shape (n, k), with a row of NaN where the model failed."""
        if not probabilities.shape[1]:
            return
        first = probabilities[:, 0]
        if not np.logical_or.reduce(first != first):  # noqa: PLR0124 - the usual case: none is NaN
            self.in_row_n = 0 if len(first) else self.in_row_n
            return
        answered = np.flatnonzero(~np.isnan(first))
        self.n += len(probabilities) - len(answered)
        if answered.size:
            self.in_row_n = len(probabilities) - 1 - int(answered[-1])
        else:
            self.in_row_n += len(probabilities)


def check_start(
    failures: Failures,
    *,
    learned_n: int,
    unlearnable_n: int,
    failed_n: int = 0,
    failed_in_row_n: int = 0,
) -> None:
    """Raise `BadSettings` when all that a model was given first failed, as counted here.

    That is the first `FAILING_N` labels, or every event since so many labels were learned.

    >>> check_start(Failures(), learned_n=0, unlearnable_n=9)
    """
    if unlearnable_n >= FAILING_N and not learned_n:
        what = f"could not learn one of the first {unlearnable_n:,} labels"
        said = failures.first.get("learn")
    elif failed_n >= FAILING_N <= learned_n and failed_n == failed_in_row_n:
        what = f"failed on each of {failed_n:,} events"
        said = failures.first.get("predict")
    else:
        return
    raise BadSettings(
        f"the model {what}{f' ({said})' if said else ''}; give model.name one that takes these "
        "features and classes, or begin it with steps that do (select, impute, encode), and start "
        "anew: with another --state, or on Kafka by headrace reset"
    )


def describe_error(error: Exception | str) -> str:
    """An exception on one line: its type and its text."""
    if isinstance(error, str):
        return error
    text = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {text[:TEXT_MAX]}" if text else name
