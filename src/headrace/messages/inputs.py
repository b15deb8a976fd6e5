"""The messages that come in: events, answers, time, orders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import BadInput
from .base import Features, Message, Value
from .erasure import ErasureOrdered
from .model import RollBackOrdered
from .rounds import RoundOrdered


class Event(Message, frozen=True, kw_only=True):
    """One item of the input stream, with the prediction of the model that served it, if known.

    Attributes:
        id: The id; an event whose id came before is rejected.
        at: When it happened, seconds since the epoch.
        features: The features by name: numbers, texts, booleans, or None where missing.
        predicted: The class that the served model predicted.
        probabilities: The probabilities that it gave, by class. They are kept apart from those of
            Headrace's own model.
        key: What the event belongs to, such as a customer; an erasure may name it.
        model_version: The version of the served model.

    >>> event = Event(id="e-1", at=60.0, features={"amount": 12.5, "country": "NL"})
    >>> event.features["amount"]
    12.5
    """

    id: str
    at: float
    features: Features
    predicted: str | None = None
    probabilities: dict[str, float] | None = None
    key: str | None = None
    model_version: str | None = None


class Moments(msgspec.Struct, frozen=True, array_like=True):
    """Count, mean and sum of squared deviations of the values of one numeric feature.

    Attributes:
        n: The number of values.
        mean: Their mean.
        squares: The sum of their squared deviations from the mean.

    >>> Moments(2, 1.0, 2.0).joined(Moments(2, 3.0, 2.0))
    Moments(n=4, mean=2.0, squares=8.0)
    """

    n: int
    mean: float
    squares: float

    def joined(self, other: Moments) -> Moments:
        """Join two sets of values (Chan, Golub and LeVeque, "Updating formulae and a pairwise
        algorithm for
        computing sample variances", 1979, eq. 2.1).

        Args:
            other: The moments of the other set.

        Returns:
            The moments of both sets together.
        """
        n = self.n + other.n
        if n == 0:
            return self
        apart = other.mean - self.mean
        return Moments(
            n,
            self.mean + apart * other.n / n,
            self.squares + other.squares + apart * apart * self.n * other.n / n,
        )

    @property
    def deviation(self) -> float:
        """The standard deviation, 0 for fewer than two values."""
        return math.sqrt(max(0.0, self.squares) / self.n) if self.n > 1 else 0.0


class Context(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the model needs together with a label: a request carries it, and so does its outcome.

    Annotators need none of it.

    Attributes:
        opinions: The probabilities that each member of a committee gave on the event's arrival, by
            class.
        events_n: The number of events that came since the previous request.
        moments: Those of these events, by numeric feature.

    >>> Context(events_n=3).opinions
    {}
    """

    opinions: dict[str, tuple[float, ...]] = {}
    events_n: int = 0
    moments: dict[str, Moments] = {}


@dataclass(frozen=True, eq=False, slots=True)
class EventBatch:
    """n events as columns; they mean exactly what the same events mean one by one.

    Attributes:
        ids: The ids, a list of n texts.
        at: The times, shape (n,), seconds since the epoch.
        names: All features, in order of the first event that has a value for them, and within one
            event in its own order.
        number_names: The d features whose values are all numbers.
        numbers: Their values, shape (n, d); a missing value is NaN, an infinity stays for
            `Schema.rows` to count.
        texts: The other features, by name: n raw values each.
        predicted: The classes that the served model predicted, n of them.
        served_classes: The k classes of `probabilities`.
        probabilities: Those of the served model, shape (n, k); a row is NaN where the log had none.
        keys: The keys of the events, n of them.
        model_versions: The versions of the served model, n of them.
        originals: The features of each event as they came, where events came one by one.

    >>> batch = EventBatch.from_arrays([[1.5], [2.5]], ["x"], ids=["a", "b"], at=[10.0, 11.0])
    >>> len(batch), batch.row(1).features
    (2, {'x': 2.5})
    """

    ids: list[str]
    at: NDArray[np.float64]
    names: tuple[str, ...]
    number_names: tuple[str, ...]
    numbers: NDArray[np.float64]
    texts: dict[str, list[Value]]
    predicted: list[str | None] | None = None
    served_classes: tuple[str, ...] = ()
    probabilities: NDArray[np.float64] | None = None
    keys: list[str | None] | None = None
    model_versions: list[str | None] | None = None
    originals: Sequence[Features] | None = None

    @classmethod
    def from_arrays(
        cls, X: Any, names: Sequence[str], *, ids: Sequence[str], at: Any
    ) -> EventBatch:
        """Make a batch of events whose features are all numbers: the same bits as dicts of floats.

        The engine copies what it keeps: arrays that were fed may be overwritten.

        Args:
            X: The features, shape (n, d), a row for each event; NaN is a missing value.
            names: The names of the d columns.
            ids: The ids, n texts.
            at: The times, shape (n,), seconds since the epoch.

        Returns:
            The batch, an input of `Engine.feed`.

        Raises:
            BadInput: Shapes do not fit, names are not different texts, ids are no texts, or values
                are no numbers, such as dates.

        >>> batch = EventBatch.from_arrays([[1.5, 2.0]], ["x", "y"], ids=["a"], at=[10.0])
        >>> batch.row(0).features
        {'x': 1.5, 'y': 2.0}
        """
        numbers = _floats("X", X)
        times = _floats("at", at)
        names, texts = tuple(names), [*ids]
        n = len(texts)
        if numbers.shape != (n, len(names)):
            raise BadInput(
                f"X has shape {numbers.shape}; must be ({n}, {len(names)}), a row for each id and "
                "a column for each name"
            )
        if times.shape != (n,):
            raise BadInput(f"at has shape {times.shape}; must be ({n},), a time for each id")
        if len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
            raise BadInput("names must be texts, each once")
        if not all(isinstance(name, str) for name in texts):
            raise BadInput("ids must be texts")
        return cls(ids=texts, at=times, names=names, number_names=names, numbers=numbers, texts={})

    def __len__(self) -> int:
        return len(self.ids)

    def original(self, i: int) -> Features:
        """Return the features of one event as they came.

        Whole numbers and booleans keep their types.

        Args:
            i: The place of the event in the batch, from 0.

        Returns:
            The features by name.
        """
        return self.row(i).features if self.originals is None else self.originals[i]

    def row(self, i: int) -> Event:
        """Return one event as a message of its own.

        Args:
            i: The place of the event in the batch, from 0.

        Returns:
            The event; numbers are floats, and NaN and infinities are None.

        >>> batch = EventBatch.from_arrays([[1.5, np.nan]], ["x", "y"], ids=["a"], at=[10.0])
        >>> batch.row(0).features
        {'x': 1.5, 'y': None}
        """
        features: Features = {}
        column_of = {name: j for j, name in enumerate(self.number_names)}
        for name in self.names:
            if name in self.texts:
                features[name] = self.texts[name][i]
            else:
                number = float(self.numbers[i, column_of[name]])
                features[name] = number if math.isfinite(number) else None
        probabilities = None
        if self.probabilities is not None and not np.isnan(self.probabilities[i]).all():
            row = zip(self.served_classes, self.probabilities[i].tolist(), strict=True)
            probabilities = {c: p for c, p in row if math.isfinite(p)}
        return Event(
            id=self.ids[i],
            at=float(self.at[i]),
            features=features,
            predicted=self.predicted[i] if self.predicted else None,
            probabilities=probabilities,
            key=self.keys[i] if self.keys else None,
            model_version=self.model_versions[i] if self.model_versions else None,
        )


def _floats(name: str, values: Any) -> NDArray[np.float64]:
    """Return the values as an array of float64; raise `BadInput` where one is not a number."""
    try:
        found = values if hasattr(values, "dtype") else np.asarray(values)
        # A date of numpy or pandas would be a number of days, or of nanoseconds.
        if getattr(found.dtype, "kind", "") in {"m", "M"}:
            raise BadInput(f"{name} has {found.dtype} values; must be numbers, times in seconds")
        return np.ascontiguousarray(found, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"{name} can't be read as numbers: {error}") from error


class Answer(Message, frozen=True, kw_only=True):
    """One annotator's reply to one request.

    Attributes:
        request_id: The id of the request, as in `LabelRequested`.
        label: The class; None means "cannot tell".
        at: When the annotator answered, seconds since the epoch. It does not move the clock.
        annotator: Who answered. A second answer by the same annotator corrects the first.

    >>> answer = Answer(request_id="8a04c3416f459c72de7412b5dd1ee580", label="fraud", at=60.0)
    >>> answer.label, answer.annotator
    ('fraud', '')
    """

    request_id: str
    label: str | None
    at: float
    annotator: str = ""


class Tick(Message, frozen=True, kw_only=True):
    """Time has passed and nothing else happened; what was due by then happens now.

    Attributes:
        at: The time, seconds since the epoch.

    >>> from headrace import Engine
    >>> Engine().feed([Tick(at=60.0)])
    []
    """

    at: float


class Withdrawal(Message, frozen=True, kw_only=True):
    """Somebody withdraws a question: its event was deleted, or its label is known otherwise.

    Attributes:
        request_id: The id of the request.
        at: When it was withdrawn, seconds since the epoch.
        reason: Why, in words; `RequestWithdrawn` repeats it.

    >>> Withdrawal(request_id="8a04c3416f459c72de7412b5dd1ee580", at=60.0).reason
    'withdrawn'
    """

    request_id: str
    at: float
    reason: str = "withdrawn"


class RetrainFinished(Message, frozen=True, kw_only=True):
    """A job ordered by `RetrainRequested` is done.

    A recorded run stores only the job's id: a replay computes the challenger again.

    Attributes:
        job_id: The number of the job.
        at: When it was done, seconds since the epoch.
        challenger: The retrained model, a `learn.retrain.Challenger`; None if the job failed.
        error: Why the job failed; None if it did not.

    >>> RetrainFinished(job_id=0, at=60.0, error="out of memory").challenger is None
    True
    """

    job_id: int
    at: float
    challenger: Any = None
    error: str | None = None


Input: TypeAlias = (
    Event
    | EventBatch
    | Answer
    | Withdrawal
    | Tick
    | RoundOrdered
    | ErasureOrdered
    | RollBackOrdered
    | RetrainFinished
)
Inputs: TypeAlias = Sequence[Input]
