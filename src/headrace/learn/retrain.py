"""One retraining as a pure function: a job in, a challenger out; the caller runs it.

`retrain` may run in another thread or process: the same job makes the same challenger anywhere.

The challenger is judged as the champion was, on predictions made before the label was learned. The
latest control examples are set aside; the cut is the first of them, by time. The learner goes

1. `passes` - 1 times over the examples before the cut;
2. once over everything: a control example from the cut on is predicted, then learned;
3. `passes` - 1 times over the examples from the cut on.

Weights follow a half-life. If the job has several sets of weights, each set is replayed, and the
learner with the lowest log loss on the predicted examples (all from the cut on) is the challenger.
A parked model whose inputs look like the present ones then replaces it if its log loss is lower on
the control examples that neither had learned; it continues from its parked state.

So every example is learned in `passes` passes, and when an example is judged, neither it nor any
later one was learned before (a label from after a drift would make the judgement of the labels just
after the drift too kind). The challenger that was judged is the one adopted, fully trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ..chance import Chance
from ..errors import BadInput, BrokenInvariant
from ..messages import RetrainFinished
from ..settings import COMPARED_MIN
from .learner import Learner
from .memory import Example
from .parked import Parked, Part, is_right, learn
from .schema_view import SchemaView
from .scorers.scorer import is_likeliest

LOWEST = 1e-3
"""The floor of a probability in the log loss: one label must not decide between two half-lives."""


@dataclass(frozen=True, eq=False, slots=True)
class RetrainJob:
    """The input of one retraining.

    Attributes:
        job_id: Its number.
        examples: The memory, ordered by time.
        weights: 0.5 ** (age / half-life) of each example, above 0.
        seed: Decides which examples are repeated.
        unlearned: A learner with the hyper-parameters.
        passes: How often each example is learned.
        adopt_labels_n: How many of the latest control examples the challenger is judged on.
        alternatives: The weights by other half-lives.
        parked: Displaced models to try again.

    >>> from headrace import Engine
    >>> Engine().open_job is None
    True
    """

    job_id: int
    examples: tuple[Example, ...]
    weights: tuple[float, ...]
    seed: int
    unlearned: Part
    passes: int
    adopt_labels_n: int
    alternatives: tuple[tuple[float, ...], ...] = ()
    parked: tuple[Parked, ...] = ()


GiveWay: TypeAlias = Callable[[], None]
Signature: TypeAlias = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""Names and kinds of the columns, and the classes: what decides how a row is learned."""


def signature_of(schema: SchemaView) -> Signature:
    """Return the names and kinds of a schema's columns, and its classes."""
    return tuple(schema.names), tuple(schema.kinds), tuple(schema.classes)


@dataclass(eq=False, slots=True)
class Challenger:
    """A retrained learner, with the control examples it was judged on.

    Attributes:
        job_id: The number of its retraining.
        learner: The learner.
        right: The ids of the control examples, and whether it predicted each one's class.
        parked: The number of the parked model that the learner continues, or None.
        since_n: How many of the examples settled since its job was ordered it also learned.
        read_by: The signature of the schema by which it read them; None before the first.

    >>> challenger = Challenger(0, learner=None, right=(("r1", True), ("r2", False)))
    >>> sum(is_right for _, is_right in challenger.right)
    1
    """

    job_id: int
    learner: Part
    right: tuple[tuple[str, bool], ...]
    parked: int | None = None
    since_n: int = 0
    read_by: Signature | None = None

    def copy(self) -> Challenger:
        """Copy the challenger; the schema is shared.

        Returns:
            An independent copy.
        """
        return replace(self, learner=self.learner.copy())

    def is_outdated(self, since: Sequence[Example], schema: SchemaView) -> bool:
        """Tell whether it learned examples that are not these, or by another schema.

        Args:
            since: The examples settled since its job was ordered.
            schema: The present schema.

        Returns:
            Whether it has to be made again.
        """
        is_changed = self.read_by is not None and self.read_by != signature_of(schema)
        return is_changed or self.since_n > len(since)

    def learn_since(
        self,
        since: Sequence[Example],
        schema: SchemaView,
        is_enough: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Learn the examples settled in the meantime, at full weight; control examples are
        predicted first.

        Args:
            since: The examples, in order. The first `since_n` are learned already.
            schema: The schema by which they are read.
            is_enough: Called after each example; returns whether to stop there.

        Returns:
            Whether all are learned.
        """
        if self.learner.schema is not schema:
            # A challenger from another process, or from before a restore, has another schema.
            self.learner.attach(schema)
        if self.since_n < len(since):
            self.read_by = signature_of(schema)
        right = list(self.right)
        for example in since[self.since_n :]:
            if example.is_control:
                right.append((example.id, is_right(self.learner, example)))
            learn(self.learner, example)
            self.since_n += 1
            if is_enough():
                break
        self.right = tuple(right)
        return self.since_n == len(since)


def retrain(job: RetrainJob, give_way: GiveWay = lambda: None) -> Challenger:
    """Train a challenger from scratch; the job is not changed.

    `give_way` is called after each example, where another thread may have its turn.

    A model with a working weight argument is passed the weights. Other models learn an example
    floor(w * m + u) times in a row, with u a hash of its id and the pass, and m such that the
    expected number of copies in a pass equals the number of examples. The mean over u of
    floor(x + u) is x, so each example counts by its weight on average, and recent ones always
    count. Raises `BrokenInvariant` if a set of weights has another length than the examples, and
    `BadInput` if no example could be learned.

    >>> import numpy as np
    >>> from river import naive_bayes
    >>> from headrace.learn.learner import Learner
    >>> class Amounts:
    ...     names, kinds, classes, width = ["amount"], ["numeric"], ["fine", "fraud"], 1
    ...     def features(self, row):
    ...         return {"amount": float(row[0])}
    >>> examples = tuple(
    ...     Example(str(i), float(i), np.array([x]), int(x > 50), i > 3)
    ...     for i, x in enumerate([1.0, 90.0, 4.0, 99.0, 3.0, 95.0])
    ... )
    >>> learner = Learner(naive_bayes.GaussianNB(), Amounts())
    >>> job = RetrainJob(0, examples, (1.0,) * 6, 7, learner, 2, 2)
    >>> retrain(job).right
    (('4', True), ('5', True))
    """
    if any(len(job.examples) != len(weights) for weights in (job.weights, *job.alternatives)):
        raise BrokenInvariant("a retraining job has not one weight for each example")
    best = _replay_job(job, job.weights, give_way)
    for weights in job.alternatives:
        other = _replay_job(job, weights, give_way)
        if other.mean_loss() < best.mean_loss():
            best = other
    for parked in job.parked:
        continued = _continue_parked(job, parked, give_way)
        shared = [i for i in continued.losses if i in best.losses and job.examples[i].is_control]
        if len(shared) >= COMPARED_MIN and continued.mean_loss(shared) < best.mean_loss(shared):
            best = continued
    return Challenger(job.job_id, best.learner, tuple(best.right), best.parked)


@dataclass(eq=False, slots=True)
class _Trained:
    """A learner, its verdicts on control examples, and its log loss by place in the job."""

    learner: Part
    right: list[tuple[str, bool]] = field(default_factory=list)
    losses: dict[int, float] = field(default_factory=dict)
    parked: int | None = None

    def predict(self, place: int, example: Example) -> None:
        """Predict an example that was not learned yet, and store the loss and the verdict."""
        predicted = self.learner.predict_row(example.row, example.context, example.original)
        is_known = example.code < len(predicted)
        # If the learner failed, the prediction is NaN, and max() returns LOWEST.
        self.losses[place] = (
            -math.log(max(LOWEST, float(predicted[example.code]))) if is_known else 0.0
        )
        if example.is_control:
            self.right.append((example.id, is_likeliest(predicted, example.code)))

    def mean_loss(self, places: Sequence[int] | None = None) -> float:
        """The mean of the losses at these places, or of all; 0 if there are none."""
        losses = [self.losses[place] for place in (self.losses if places is None else places)]
        return math.fsum(losses) / max(1, len(losses))


def _judged_from(job: RetrainJob) -> int:
    """The place of the first control example that is set aside."""
    judged = [i for i, example in enumerate(job.examples) if example.is_control]
    judged = judged[-job.adopt_labels_n :] if job.adopt_labels_n > 0 else []
    return judged[0] if judged else len(job.examples)


def _replay_job(job: RetrainJob, weights: Sequence[float], give_way: GiveWay) -> _Trained:
    """A learner trained from scratch with these weights."""
    trained, n = _Trained(job.unlearned.make_unlearned()), len(job.examples)
    cut = _judged_from(job)
    replay = _Replay(job, weights, trained.learner, give_way)
    for number in range(job.passes - 1):
        replay.learn(number, range(cut))
    last = job.passes - 1
    replay.learn(last, range(cut))
    for i in range(cut, n):
        # The loss on the other examples is needed only if several half-lives compete.
        if job.examples[i].is_control or job.alternatives:
            trained.predict(i, job.examples[i])
        replay.learn(last, range(i, i + 1))
    for number in range(job.passes - 1):
        replay.learn(number, range(cut, n))
    _check_learned(trained.learner, n)
    return trained


def _check_learned(learner: Part, examples_n: int) -> None:
    """Raise `BadInput` if a learner could learn none of the examples, with its first failure."""
    if isinstance(learner, Learner) and examples_n and not learner.learned_n:
        failure = learner.failures.first.get("learn", "")
        raise BadInput(f"the challenger learned none of {examples_n} examples: {failure}")


def _continue_parked(job: RetrainJob, parked: Parked, give_way: GiveWay) -> _Trained:
    """A copy of a parked model that learned the examples since it was parked."""
    trained = _Trained(parked.part.copy(), parked=parked.number)
    cut = _judged_from(job)
    for i, example in enumerate(job.examples):
        if example.at <= parked.at:
            continue
        if i >= cut:
            trained.predict(i, example)
        learn(trained.learner, example)
        give_way()
    return trained


def attempt_job(
    job: RetrainJob, give_way: GiveWay = lambda: None
) -> tuple[Challenger | None, str | None]:
    """The challenger of a job, or the error: a model of the user's may raise anything.

    `give_way` is as in `retrain`.
    """
    try:
        return retrain(job, give_way), None
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"[:500]


def finish_job(job: RetrainJob, at: float) -> RetrainFinished:
    """Run a retraining job; it never raises because a model failed.

    Args:
        job: The job, as `Engine.job` returns it.
        at: When it was done, seconds since the epoch.

    Returns:
        The input for the engine, with the challenger or the error.

    >>> from headrace import Answer, Engine, Event, Settings
    >>> from headrace.query.budgets import Share
    >>> from headrace.settings import LearnSettings, ModelSettings
    >>> learn = LearnSettings(retrain_every_n=8, retrain_labels_min=8)
    >>> settings = Settings(seed=7, model=ModelSettings(name="naive-bayes"), learn=learn)
    >>> engine = Engine(budget=Share(0.5), settings=settings)
    >>> outputs = engine.feed([Event(id=str(i), at=i, features={"x": i}) for i in range(50)])
    >>> ids = [request.request_id for request in engine.open_requests()]
    >>> answers = [Answer(request_id=ids[i], label="ab"[i % 2], at=50.0) for i in range(8)]
    >>> order = engine.feed(answers)[-1]
    >>> finished = finish_job(engine.job(order.job_id), at=60.0)
    >>> [type(output).__name__ for output in engine.feed([finished])]
    ['ModelKept']
    """
    challenger, error = attempt_job(job)
    return RetrainFinished(job_id=job.job_id, at=at, challenger=challenger, error=error)


def beats_champion(
    champion_right: Sequence[bool], challenger_right: Sequence[bool], margin: float
) -> bool:
    """Whether to adopt the challenger: it is right more often, by at least `margin` of the labels.

    Both sequences are verdicts on the same examples, in the same order; `BrokenInvariant` is raised
    if their lengths differ. An equally good challenger is not adopted, whatever the margin, and
    none is without labels. This is a rule, not a test of significance: on 50 labels and a margin of
    0.01, one label more decides.

    >>> beats_champion([True, False, False], [True, True, False], margin=0.01)
    True
    >>> beats_champion([True, False, False], [False, True, False], margin=0.0)
    False
    """
    if len(champion_right) != len(challenger_right):
        raise BrokenInvariant("champion and challenger are compared on different examples")
    gained_n = sum(map(bool, challenger_right)) - sum(map(bool, champion_right))
    return gained_n > 0 and gained_n >= margin * len(champion_right)


class _Replay:
    """Makes a learner learn stretches of a job's examples, each with its weight."""

    def __init__(
        self, job: RetrainJob, weights: Sequence[float], learner: Part, give_way: GiveWay
    ) -> None:
        self._give_way = give_way
        self._examples = job.examples
        self._weights = weights
        self._learner = learner
        self._chance = Chance(job.seed)
        self._is_uniform = len(dict.fromkeys(weights)) <= 1
        total = math.fsum(weights)
        self._scale = len(weights) / total if total > 0.0 else 0.0

    def learn(self, pass_number: int, indices: range) -> None:
        """Learn the examples at these indices, in order, in pass number `pass_number`."""
        for i in indices:
            example, weight = self._examples[i], self._weights[i]
            if self._is_uniform:
                self._learn_one(example)
            elif self._learner.accepts_weight:
                self._learn_one(example, weight)
            else:
                u = self._chance.uniform(f"retrain pass {pass_number}", example.id)
                for _ in range(math.floor(weight * self._scale + u)):
                    self._learn_one(example)
            self._give_way()

    def _learn_one(self, example: Example, weight: float = 1.0) -> None:
        learn(self._learner, example, weight)
