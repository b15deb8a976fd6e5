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
    """One item of the input stream.

    `probabilities` and `predicted` are those of the model that served the event, when the log has
    them; they are kept apart from the predictions of Headrace's own model.
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

    >>> Moments(2, 1.0, 2.0).joined(Moments(2, 3.0, 2.0))
    Moments(n=4, mean=2.0, squares=8.0)
    """

    n: int
    mean: float
    squares: float

    def joined(self, other: Moments) -> Moments:
        """The moments of both sets of values together (Chan, Golub and LeVeque, "Updating formulae
        and a pairwise algorithm for computing sample variances", 1979, eq. 2.1)."""
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

    `opinions` are the probabilities that each member of a committee gave on the event's arrival, by
    class. Since the previous request `events_n` events came, and `moments` are theirs by numeric
    feature. Annotators need none of it.
    """

    opinions: dict[str, tuple[float, ...]] = {}
    events_n: int = 0
    moments: dict[str, Moments] = {}


@dataclass(frozen=True, eq=False, slots=True)
class EventBatch:
    """n events as columns; they mean exactly what the same events mean one by one.

    `numbers` has shape (n, d), float64, one column for each name in `number_names`; a missing value
    is NaN, an infinity stays for `Schema.rows` to count. A feature that has any value which is not
    a number stands in `texts` instead: a list of n raw values. `names` holds all features in order
    of the first event that has a value for them, and within one event in its own order.
    `originals` are the features of each event as they came, where events came one by one.
    `probabilities` has shape (n, k) over `served_classes`; a row is NaN where the log had none.
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
        """Return events whose features are all numbers: bit for bit the same as dicts of floats.

        `X`, shape (n, d), has a row for each event, and `names` names its d columns; NaN is a
        missing value. `ids` are n texts; `at`, shape (n,), is in seconds since the epoch. The
        engine copies what it keeps: arrays that were fed may be overwritten.

        Raises `BadInput` where shapes do not fit, names are not different texts, or values are no
        numbers, such as dates.

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
        """The features of event i as they came: whole numbers and booleans keep their types."""
        return self.row(i).features if self.originals is None else self.originals[i]

    def row(self, i: int) -> Event:
        """Return event i as a message of its own."""
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
    """One annotator's reply to one request. `label=None` means "cannot tell"."""

    request_id: str
    label: str | None
    at: float
    annotator: str = ""


class Tick(Message, frozen=True, kw_only=True):
    """Time has passed and nothing else happened."""

    at: float


class Withdrawal(Message, frozen=True, kw_only=True):
    """Somebody withdraws a question: its event was deleted, or its label is known otherwise."""

    request_id: str
    at: float
    reason: str = "withdrawn"


class RetrainFinished(Message, frozen=True, kw_only=True):
    """A job ordered by `RetrainRequested` is done; `challenger` is its `learn.retrain.Challenger`.

    A recorded run stores only the job's id: a replay computes the challenger again.
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
