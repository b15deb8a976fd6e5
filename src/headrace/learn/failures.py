"""The texts of a model's first failures. These are not part of the state, only counts are.

An exception's text may contain the address of an object, which differs between processes.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import BadSettings

Act: TypeAlias = Literal["learn", "predict"]
ACTS: tuple[Act, ...] = get_args(Act)

TEXT_MAX = 200
"""The most letters of an exception's text that are kept."""

FAILING_N = 10
"""A model that failed this many times in a row is failing: if every second event fails by chance,
ten in a row have a probability of one in a thousand. A model that learned none of this many first
labels stops the run."""


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
        """Keep the failure if it is the first of its act."""
        if act not in self.first:
            self.first[act] = describe_error(error)


class FailedEvents:
    """Counts of events on which a trained model failed: `n` in all, the latest `in_row_n` in a row.

    >>> failed = FailedEvents()
    >>> failed.count_failed(np.array([[np.nan, np.nan], [0.5, 0.5], [np.nan, np.nan]]))
    >>> failed.n, failed.in_row_n
    (2, 1)
    """

    def __init__(self) -> None:
        self.n = 0
        self.in_row_n = 0

    def count_failed(self, probabilities: NDArray[np.float64]) -> None:
        """Count events by their probabilities, shape (n, k); a row of NaN is a failure."""
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
    """Raise `BadSettings` if a model failed at all of its first labels or events.

    - `failures`: the texts for the message.
    - `learned_n`, `unlearnable_n`: labels learned and not learned; it is raised for at least
      `FAILING_N` of the latter and none of the former.
    - `failed_n`, `failed_in_row_n`: events on which the model failed, in all and lately in a row;
      it is raised for at least `FAILING_N`, all in a row, after `FAILING_N` labels were learned.

    >>> check_start(Failures(), learned_n=0, unlearnable_n=9)
    """
    if unlearnable_n >= FAILING_N and not learned_n:
        what = f"could not learn one of the first {unlearnable_n:,} labels"
        text = failures.first.get("learn")
    elif failed_n >= FAILING_N <= learned_n and failed_n == failed_in_row_n:
        what = f"failed on each of {failed_n:,} events"
        text = failures.first.get("predict")
    else:
        return
    raise BadSettings(
        f"the model {what}{f' ({text})' if text else ''}; give model.name one that takes these "
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
