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

    Attributes:
        request_id: The id, 32 hexadecimal digits that follow from the event's id; a further
            opinion adds a suffix.
        event_id: The id of the event.
        at: When it is asked, seconds since the epoch.
        event_at: When the event happened, seconds.
        deadline: Until when answers are awaited, seconds.
        features: The features to show, by name.
        reason: Why this event is asked, such as "control", "cold start", "round", "doubt", "drift".
        strategy: The name of the strategy that chose it; "random" for a blind draw.
        utility: How useful the strategy found the label; only comparable within one decision.
        threshold: The lowest utility that the same round chose; on arrival, the utility from which
            events are preferred.
        propensity: The probability, above 0, with which this decision chose this event.
        model_version: The number of the model's version that predicted it.
        prediction: The probabilities that are judged by the label, by class.
        round_n: The number of the round, from 0; -1 for an event that was asked on arrival.
        seq: The number of the event in its shard, from 0.
        answers_wanted: How many annotators should answer.
        served: The probabilities by the served model, by class, if the log has them.
        served_model: The version of the served model, if the log has it.
        key: The event's key.
        control_p: The part of `propensity` that is the blind draw on arrival, whose requests have
            the reason "control"; 0 where a round chose.
        context: What the model needs back with the label; annotators need none of it.
        opinion_n: 1; with 2 or 3 it is a second or third opinion about a label that looks wrong.
        not_by: Annotators whose answers are known: for an opinion, anybody else should answer.
        priority: The order of open questions where they are scored again, 0 to 1.
        judges: Whether its label counts in estimates. Where open questions are scored again only
            blindly drawn ones do.

    >>> from headrace import Engine, Event
    >>> from headrace.query.budgets import Share
    >>> engine = Engine(budget=Share(0.5), seed=7)
    >>> outputs = engine.feed([Event(id=str(i), at=i, features={"x": i}) for i in range(50)])
    >>> request = next(output for output in outputs if isinstance(output, LabelRequested))
    >>> request.event_id in map(str, range(50)), 0 < request.propensity <= 1
    (True, True)
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

    Attributes:
        request_id: The id of the request.
        event_id: The id of its event; "" if the event was erased.
        at: When it was withdrawn, seconds since the epoch.
        reason: Why, as the `Withdrawal` said, or such as "erased" or "retention".

    >>> from headrace import Engine, Event, Withdrawal
    >>> from headrace.query.budgets import Share
    >>> engine = Engine(budget=Share(0.5), seed=7)
    >>> outputs = engine.feed([Event(id=str(i), at=i, features={"x": i}) for i in range(50)])
    >>> request = engine.open_requests()[0]
    >>> [end] = engine.feed([Withdrawal(request_id=request.request_id, at=50.0, reason="a twin")])
    >>> end.event_id == request.event_id, end.reason
    (True, 'a twin')
    """

    request_id: str
    event_id: str
    at: float
    reason: str


class RequestExpired(Message, frozen=True, kw_only=True):
    """The request ended at its deadline, with too few answers.

    The budget is paid back only where late answers are refused, `label.late_answers`.

    Attributes:
        request_id: The id of the request.
        event_id: The id of its event.
        at: When it ended, seconds since the epoch.
        answers_n: The number of answers that had come.

    >>> from headrace import Engine, Event, Tick
    >>> from headrace.query.budgets import Share
    >>> engine = Engine(budget=Share(0.5), seed=7)
    >>> outputs = engine.feed([Event(id=str(i), at=i, features={"x": i}) for i in range(50)])
    >>> request = engine.open_requests()[0]
    >>> end = engine.feed([Tick(at=request.deadline)])[0]
    >>> type(end).__name__, end.answers_n
    ('RequestExpired', 0)
    """

    request_id: str
    event_id: str
    at: float
    answers_n: int


class QuestionChanged(Message, frozen=True, kw_only=True):
    """A further question about an earlier request is asked, or such a question is withdrawn.

    The question has an id of its own (see `base_id`), but its answers count for the request.

    Attributes:
        at: When, seconds since the epoch.
        record: The question, where the answers so far leave the request open, or the end of one
            whose answer is no longer wanted.

    >>> from headrace import Engine, Event, Answer
    >>> from headrace.query.budgets import Share
    >>> engine = Engine(budget=Share(0.5), seed=7)
    >>> outputs = engine.feed([Event(id=str(i), at=i, features={"x": i}) for i in range(50)])
    >>> request = engine.open_requests()[0]
    >>> unsure = Answer(request_id=request.request_id, label=None, at=50.0, annotator="ada")
    >>> [changed] = engine.feed([unsure])
    >>> changed.record.event_id == request.event_id, changed.record.not_by
    (True, ('ada',))
    """

    at: float
    record: LabelRequested | RequestWithdrawn


class LabelSettled(Message, frozen=True, kw_only=True):
    """The answers agree: an example fit for training.

    Attributes:
        request_id: The id of the request.
        event_id: The id of its event.
        at: When the label settled, seconds since the epoch.
        event_at: When the event happened, seconds.
        label: The class.
        features: The event's features, by name.
        prediction: The probabilities that the request had, by class.
        reason: Why the event was asked, as in the request.
        seq: The number of the event in its shard, from 0.
        answers_n: The number of answers that count.
        agreement: The share of the answers that named the label or, where the consensus estimates
            it, the label's probability; 0 to 1.
        revision: Counts from 0; above 0 an earlier outcome of the same request is replaced, because
            an annotator corrected an answer, or an answer came that was given earlier or after the
            deadline.
        is_late: Whether an answer after the deadline led to it.
        propensity: That of the request; the label stands for 1 / propensity events.
        served: The probabilities by the served model, by class, if the log has them.
        served_model: The version of the served model, if the log has it.
        key: The event's key.
        context: That of the request, which the model needs with the label.
        opinion_n: 2 or 3 after a second or third opinion, else 1.
        confirms: Whether this opinion left the label as it was.
        by: Who answered, where second opinions may be asked or `label.names_annotators` is set.
        judges: That of the request: whether the label counts in estimates.

    >>> from headrace import Answer, Engine, Event
    >>> from headrace.query.budgets import Share
    >>> engine = Engine(budget=Share(0.5), seed=7)
    >>> outputs = engine.feed([Event(id=str(i), at=i, features={"x": i}) for i in range(50)])
    >>> request = next(output for output in outputs if isinstance(output, LabelRequested))
    >>> [settled] = engine.feed([Answer(request_id=request.request_id, label="fine", at=50.0)])
    >>> settled.label, settled.agreement, settled.propensity == request.propensity
    ('fine', 1.0, True)
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

    Attributes:
        request_id: The id of the request.
        event_id: The id of its event.
        at: When it was decided, seconds since the epoch.
        reason: "no_majority", or "refused" where nobody could tell.
        answers: The number of answers by class, without those that could not tell.
        revision: Counts the outcomes of the request from 0, as in `LabelSettled`.
        opinion_n: 2 or 3 after a second or third opinion, else 1.
        by: Who answered, on the same condition as in `LabelSettled`.

    >>> disputed = LabelDisputed(request_id="r1", event_id="e-1", at=60.0, reason="no_majority",
    ...     answers={"fine": 1, "fraud": 1})
    >>> sum(disputed.answers.values())
    2
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
    """The drift level changed.

    Attributes:
        at: When, seconds since the epoch.
        level: The new level: "STABLE", "WARNING" or "DRIFT".
        previous: The level before.
        signal: What was watched, such as "error" (docs/DRIFT.md).
        detector: The detector that watched it, such as "glr".
        statistic: Its statistic, divided by its own threshold; at 1 a watch fires.
        since: After a rise, when the drift began, seconds, as far as known.
        features: After a rise, the features that moved, the clearest first, at most five.
        classes: After a rise, the classes that come more often than predicted, or whose share of
            the predictions moved, the clearest first, at most five.

    >>> change = DriftChanged(at=60.0, level="DRIFT", previous="STABLE", signal="error",
    ...     detector="glr", statistic=1.25)
    >>> change.statistic >= 1
    True
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
    """One decision begins: some candidates of a pool are to be chosen.

    Attributes:
        round_n: The number of the round, from 0.
        at: When, seconds since the epoch.
        reason: Why the round opens: "schedule", "drift", "ordered" or "audit".
        pool_n: The number of candidates.
        wanted_n: How many of them are to be chosen.
        order_key: The `key` of the `RoundOrdered` that the round carries out, if there is one.
        order_reason: The `reason` of that order.

    >>> from headrace import Engine, Event, Settings
    >>> from headrace.query.budgets import Share
    >>> from headrace.settings import QuerySettings
    >>> settings = Settings(seed=7, query=QuerySettings(ask="rounds"))
    >>> engine = Engine(settings=settings, budget=Share(0.5))
    >>> outputs = engine.feed([Event(id=str(i), at=i, features={"x": i}) for i in range(50)])
    >>> opened = next(output for output in outputs if isinstance(output, RoundOpened))
    >>> opened.round_n, opened.reason, opened.wanted_n < opened.pool_n
    (0, 'schedule', True)
    """

    round_n: int
    at: float
    reason: str
    pool_n: int
    wanted_n: int
    order_key: str = ""
    order_reason: str = ""


class RoundClosed(Message, frozen=True, kw_only=True):
    """The decision is made.

    Attributes:
        round_n: The number of the round, from 0.
        at: When, seconds since the epoch.
        asked_n: The number of requests that it made.
        threshold: The lowest utility that was chosen.

    >>> from headrace import Engine, Event, Settings
    >>> from headrace.query.budgets import Share
    >>> from headrace.settings import QuerySettings
    >>> settings = Settings(seed=7, query=QuerySettings(ask="rounds"))
    >>> engine = Engine(settings=settings, budget=Share(0.5))
    >>> outputs = engine.feed([Event(id=str(i), at=i, features={"x": i}) for i in range(50)])
    >>> closed = outputs[-1]
    >>> requests = [output for output in outputs if isinstance(output, LabelRequested)]
    >>> closed.asked_n == sum(request.round_n == closed.round_n for request in requests)
    True
    """

    round_n: int
    at: float
    asked_n: int
    threshold: float


class RetrainRequested(Message, frozen=True, kw_only=True):
    """The driver is to run `engine.job(job_id)` outside `feed` and to send `RetrainFinished`.

    Attributes:
        job_id: The number of the job, from 0.
        at: When it was ordered, seconds since the epoch.
        reason: "drift", "after drift", "labels" or "schedule".
        examples_n: The number of examples to learn.
        model_version: The version of the model at that time.

    >>> order = RetrainRequested(job_id=0, at=60.0, reason="drift", examples_n=120,
    ...     model_version=130)
    >>> order.job_id
    0
    """

    job_id: int
    at: float
    reason: str
    examples_n: int
    model_version: int


class ModelAdopted(Message, frozen=True, kw_only=True):
    """The challenger beat the champion on the latest control labels and took its place.

    Attributes:
        job_id: The number of the retraining.
        at: When, seconds since the epoch.
        model_version: The number of the present version.
        champion_right: How often the champion was right about these labels, before it learned
            them, 0 to 1.
        challenger_right: The same of the challenger.
        labels_n: The number of these labels.

    >>> adopted = ModelAdopted(job_id=0, at=60.0, model_version=132, champion_right=0.75,
    ...     challenger_right=0.85, labels_n=40)
    >>> adopted.challenger_right > adopted.champion_right
    True
    """

    job_id: int
    at: float
    model_version: int
    champion_right: float
    challenger_right: float
    labels_n: int


class ModelKept(Message, frozen=True, kw_only=True):
    """The challenger did not beat the champion, or its job failed; the champion stays.

    Attributes:
        job_id: The number of the retraining.
        at: When, seconds since the epoch.
        reason: Why, in words; that of the error if the job failed.
        champion_right: How often the champion was right about the latest control labels, before
            it learned them, 0 to 1.
        challenger_right: The same of the challenger.
        labels_n: The number of these labels; 0 if nothing was compared.

    >>> kept = ModelKept(job_id=0, at=60.0, reason="no better on the latest control labels",
    ...     champion_right=0.85, challenger_right=0.8, labels_n=40)
    >>> kept.labels_n
    40
    """

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
