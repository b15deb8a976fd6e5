"""All that crosses the core's border, and nothing else: nouns come in, past participles go out.

Everything here is frozen. Times are seconds since the epoch (float), classes are text (see
`class_name`), features are `{name: value}` with value a number, a text, a boolean or `None`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from .messages_base import Features, Message, Value, class_name
from .messages_erasure import ErasureOrdered, SubjectErased
from .messages_model import ModelRolledBack, RollBackOrdered
from .messages_rejected import InputRejected, Reason
from .messages_rescored import RequestRescored
from .messages_rounds import RoundOrdered

__all__ = [
    "ErasureOrdered",
    "Features",
    "InputRejected",
    "Message",
    "ModelRolledBack",
    "Reason",
    "RequestRescored",
    "RollBackOrdered",
    "RoundOrdered",
    "SubjectErased",
    "Value",
    "class_name",
]
"""Of other modules; to be imported from here like the messages below."""

# ------------------------------------------------------------------------------------- inputs


class Event(Message, frozen=True, kw_only=True):
    """One item of the input stream.

    `probabilities` and `predicted` are those of the model that served the event, when the log has
    them; they are kept apart from what Headrace's own model thinks.
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
        """Of both sets of values (Chan, Golub and LeVeque, "Updating formulae and a pairwise
        algorithm for computing sample variances", 1979, eq. 2.1)."""
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
    """What the model wants back with a label: it stands in the request and comes with the answer.

    `opinions` are the probabilities that each member of a committee gave on the event's arrival, by
    class. `events_n` events, whose `moments` by numeric feature these are, came since the request
    before. Nobody who labels needs any of it.
    """

    opinions: dict[str, tuple[float, ...]] = {}
    events_n: int = 0
    moments: dict[str, Moments] = {}


@dataclass(frozen=True, eq=False, slots=True)
class EventBatch:
    """Many events as columns; means exactly what the same events mean one by one.

    `numbers` has shape (n, d), float64, one column for each name in `number_names`; what is missing
    is NaN, an infinity stays for `Schema.rows` to count. A feature that has any value which is not
    a number stands in `texts` instead: a list of n raw values. `names` holds all features in order
    of the first event that has a value for them, and within one event in its own order.
    `originals` are the features of each event as they came, where they came one by one.
    `probabilities` has shape (n, k) over `served_classes`, a row of NaN where the log had none.
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
    originals: list[Features] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def original(self, i: int) -> Features:
        """The features of event i as they came: whole numbers and booleans are what they were."""
        return self.row(i).features if self.originals is None else self.originals[i]

    def row(self, i: int) -> Event:
        """Event i as a message of its own."""
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
    """Somebody takes a question back: its event was deleted, or its label is known otherwise."""

    request_id: str
    at: float
    reason: str = "withdrawn"


class RetrainFinished(Message, frozen=True, kw_only=True):
    """A job ordered by `RetrainRequested` is done; `challenger` is its `learn.retrain.Challenger`.

    In a recorded run only the job's id is kept: a replay computes the challenger again.
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


# ------------------------------------------------------------------------------------ outputs

DRAWN_AT_RANDOM = ("control", "cold start", "drift")
"""Reasons of requests whose events were drawn without looking at them."""


class LabelRequested(Message, frozen=True, kw_only=True):
    """A question for the annotators, with the reason it is asked.

    `propensity` is the probability with which this event was chosen by this decision, above 0;
    `control_p` the part of it with which it was drawn blindly on arrival, whose requests have the
    reason "control": 0 where a round chose.
    `seq` is the number of the event in its shard, from 0. `prediction` is the one that is judged.

    With `opinion_n` 2 or 3 it is a second or third opinion about a label that looks wrong (see
    `base_id`): a question for anybody but those in `not_by`, whose answers are known.
    `priority`, 0 to 1, says who comes first where open questions are scored again
    (`RequestRescored`). Then only what was drawn blindly `judges`: its label counts in estimates.
    """

    request_id: str
    event_id: str
    at: float
    event_at: float
    deadline: float
    features: Features
    reason: str
    strategy: str
    utility: float
    threshold: float
    propensity: float
    model_version: int
    prediction: dict[str, float]
    round_n: int
    seq: int
    answers_wanted: int = 1
    served: dict[str, float] | None = None
    served_model: str | None = None
    key: str | None = None
    control_p: float = 0.0
    context: Context | None = None
    opinion_n: int = 1
    not_by: tuple[str, ...] = ()
    priority: float = 0.0
    judges: bool = True


class RequestWithdrawn(Message, frozen=True, kw_only=True):
    """The question is moot; whoever has not answered need not.

    The budget gets its label back as for `RequestExpired`.
    """

    request_id: str
    event_id: str
    at: float
    reason: str


class RequestExpired(Message, frozen=True, kw_only=True):
    """Nobody answered enough in time.

    The budget gets its label back only where late answers are refused, `label.late_answers`.
    """

    request_id: str
    event_id: str
    at: float
    answers_n: int


class QuestionChanged(Message, frozen=True, kw_only=True):
    """Annotators are told of a question about a request that was asked before.

    `record` is the question, one more for a request that its answers leave open, or the end of one
    whose answer is wanted no longer. Its id is not that of the request (see `base_id`), but its
    answers are.
    """

    at: float
    record: LabelRequested | RequestWithdrawn


class LabelSettled(Message, frozen=True, kw_only=True):
    """The answers agree: an example fit for training.

    `revision` counts from 0; above 0 an earlier outcome of the same request is replaced, because an
    annotator corrected an answer, or an answer came that was given earlier or after the deadline.
    `agreement` is the share of the answers that named the label, or where the consensus knows it
    the label's probability. `propensity` is that of the request: the label speaks for
    1 / propensity events. `opinion_n` is 2 or 3 from the second or third opinion on; `confirms`:
    that opinion left the label as it was.
    `by` names who answered, where second opinions may be asked. `judges` as of the request.
    """

    request_id: str
    event_id: str
    at: float
    event_at: float
    label: str
    features: Features
    prediction: dict[str, float]
    reason: str
    seq: int
    answers_n: int
    agreement: float
    revision: int = 0
    is_late: bool = False
    propensity: float = 1.0
    served: dict[str, float] | None = None
    served_model: str | None = None
    key: str | None = None
    context: Context | None = None
    opinion_n: int = 1
    confirms: bool = False
    by: tuple[str, ...] = ()
    judges: bool = True


class LabelDisputed(Message, frozen=True, kw_only=True):
    """As many answers as we pay for, and no majority; or nobody could tell.

    `opinion_n` and `by` as of `LabelSettled`.
    """

    request_id: str
    event_id: str
    at: float
    reason: str
    answers: dict[str, int]
    revision: int = 0
    opinion_n: int = 1
    by: tuple[str, ...] = ()


class DriftChanged(Message, frozen=True, kw_only=True):
    """The drift level moved. `statistic` is divided by its own threshold: 1 is the firing line.

    Of a rise also, as far as it is known: `since`, when it began (seconds), `features` that moved
    and `classes` that come or are predicted otherwise, the clearest first, at most five of either.
    """

    at: float
    level: str
    previous: str
    signal: str
    detector: str
    statistic: float
    since: float | None = None
    features: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


class RoundOpened(Message, frozen=True, kw_only=True):
    """One decision begins: `wanted_n` of `pool_n` candidates are to be chosen.

    `order_key` and `order_reason` are those of the `RoundOrdered` that it follows.
    """

    round_n: int
    at: float
    reason: str
    pool_n: int
    wanted_n: int
    order_key: str = ""
    order_reason: str = ""


class RoundClosed(Message, frozen=True, kw_only=True):
    """The decision is made; `threshold` is the lowest utility that was chosen."""

    round_n: int
    at: float
    asked_n: int
    threshold: float


class RetrainRequested(Message, frozen=True, kw_only=True):
    """The shell is to run `engine.job(job_id)` outside `feed` and to send `RetrainFinished`."""

    job_id: int
    at: float
    reason: str
    examples_n: int
    model_version: int


class ModelAdopted(Message, frozen=True, kw_only=True):
    """The challenger beat the champion on the latest control labels and took its place."""

    job_id: int
    at: float
    model_version: int
    champion_right: float
    challenger_right: float
    labels_n: int


class ModelKept(Message, frozen=True, kw_only=True):
    """The challenger did not beat the champion, or its job failed; the champion stays."""

    job_id: int
    at: float
    reason: str
    champion_right: float
    challenger_right: float
    labels_n: int


Output: TypeAlias = (
    LabelRequested
    | RequestWithdrawn
    | RequestExpired
    | QuestionChanged
    | RequestRescored
    | LabelSettled
    | LabelDisputed
    | DriftChanged
    | RoundOpened
    | RoundClosed
    | RetrainRequested
    | ModelAdopted
    | ModelKept
    | ModelRolledBack
    | SubjectErased
    | InputRejected
)

ForAnnotators: TypeAlias = LabelRequested | RequestRescored | RequestWithdrawn
"""What stands in the log of requests, for whoever annotates."""

RequestEnded: TypeAlias = RequestWithdrawn | RequestExpired | LabelSettled | LabelDisputed
