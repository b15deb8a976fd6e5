"""The messages that go out: requests and their ends, drift, rounds, models, rejections."""

from __future__ import annotations

from typing import TypeAlias

from .base import Features, Message
from .erasure import SubjectErased
from .inputs import Context
from .model import ModelRolledBack
from .rejected import InputRejected
from .rescored import RequestRescored

DRAWN_AT_RANDOM = ("control", "cold start", "drift")
"""The reasons that requests have whose events were drawn without looking at them."""


class LabelRequested(Message, frozen=True, kw_only=True):
    """A question for the annotators, with the reason why it is asked.

    `propensity` is the probability, above 0, with which this decision chose this event. `control_p`
    is the part of it that is the blind draw on arrival, whose requests have the reason "control";
    it is 0 where a round chose. `seq` is the number of the event in its shard, from 0. `prediction`
    is the one that is judged.

    With `opinion_n` 2 or 3 it is a second or third opinion about a label that looks wrong (see
    `base_id`): a question for anybody but those in `not_by`, whose answers are known.
    Where open questions are scored again (`RequestRescored`), `priority`, 0 to 1, is their order,
    and only a request that was drawn blindly `judges`: its label counts in estimates.
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
    """The question is moot; annotators who have not answered need not.

    The budget is paid back on the same condition as for `RequestExpired`.
    """

    request_id: str
    event_id: str
    at: float
    reason: str


class RequestExpired(Message, frozen=True, kw_only=True):
    """The request ended at its deadline, with too few answers.

    The budget is paid back only where late answers are refused, `label.late_answers`.
    """

    request_id: str
    event_id: str
    at: float
    answers_n: int


class QuestionChanged(Message, frozen=True, kw_only=True):
    """A further question about an earlier request is asked, or such a question is withdrawn.

    `record` is the question, where the answers so far leave the request open, or the end of one
    whose answer is no longer wanted. The question has an id of its own (see `base_id`), but its
    answers count for the request.
    """

    at: float
    record: LabelRequested | RequestWithdrawn


class LabelSettled(Message, frozen=True, kw_only=True):
    """The answers agree: an example fit for training.

    `revision` counts from 0; above 0 an earlier outcome of the same request is replaced, because an
    annotator corrected an answer, or an answer came that was given earlier or after the deadline.
    `agreement` is the share of the answers that named the label or, where the consensus estimates
    it, the label's probability. `propensity` is that of the request: the label stands for
    1 / propensity events. `opinion_n` is 2 or 3 after a second or third opinion, and `confirms`
    says that this opinion left the label as it was.
    `by` names who answered, where second opinions may be asked or `label.names_annotators` is set.
    `judges` is that of the request.
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
    """As many answers came as are paid for, without a majority; or nobody could tell.

    `opinion_n` and `by` are as in `LabelSettled`.
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
    """The drift level changed. `statistic` is divided by its own threshold: at 1 a watch fires.

    After a rise also, as far as known: `since`, when it began (seconds), the `features` that moved
    and the `classes` that come more often than predicted, or whose share of the predictions moved,
    the clearest first, at most five of either.
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

    `order_key` and `order_reason` are those of the `RoundOrdered` that the round carries out.
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
    """The driver is to run `engine.job(job_id)` outside `feed` and to send `RetrainFinished`."""

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
"""What the log of requests holds, for the annotators."""

RequestEnded: TypeAlias = RequestWithdrawn | RequestExpired | LabelSettled | LabelDisputed
