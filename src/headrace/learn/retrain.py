"""One retraining as a pure function: a job in, a challenger out; who runs it is not here.

`retrain` may run in another thread or process: the same job gives the same challenger anywhere.

The challenger is judged as the champion was, on predictions made before the label was learned. The
latest control examples are set aside; with `cut` the first of them, by time:

1. `passes` - 1 times over the examples before the cut;
2. once over everything: a control example from the cut on is predicted, then learned;
3. `passes` - 1 times over the examples from the cut on.

Weights go by a half-life. Where the job has several sets of them, each is replayed, and the one
with the lowest log loss on what was predicted (every example from the cut on) makes the challenger.
A parked model whose inputs look like the present ones then takes its place if its log loss is lower
on the control examples that neither had learned; it goes on from what it knew.

So every example is learned in `passes` passes, nothing judged was seen before, nor anything later
than it - a label from after a drift would make the judgement of the labels just after it too kind -
and the challenger that was judged is the one that is adopted, fully trained.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..chance import Chance
from ..errors import BadInput, BrokenInvariant
from ..messages import RetrainFinished
from ..settings import COMPARED_MIN
from .learner import Learner
from .memory import Example
from .parked import Parked, Part, is_right, learn
from .scoring import is_likeliest

LOWEST = 1e-3
"""Below this a probability is no worse: one label must not decide between two half-lives."""


@dataclass(frozen=True, eq=False, slots=True)
class RetrainJob:
    """All that one retraining needs. `examples` are ordered by time, `weights` are above 0.

    `weights[i]` is 0.5 ** (age / half life) of example i, `alternatives` are weights by other
    half-lives. `unlearned` gives the hyper-parameters. `parked` are models to try again.
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


@dataclass(frozen=True, eq=False, slots=True)
class Challenger:
    """A retrained learner, and whether it was right on each control example it was judged by.

    `parked` is the number of the parked model that it was before, if it was one.
    """

    job_id: int
    learner: Part
    right: tuple[tuple[str, bool], ...]
    parked: int | None = None

    def learn_since(self, since: Sequence[Example]) -> Challenger:
        """Another challenger that also learned what settled in the meantime, at full weight.

        A control example is predicted first.
        """
        learner, right = self.learner.copy(), list(self.right)
        for example in since:
            if example.is_control:
                right.append((example.id, is_right(learner, example)))
            learn(learner, example)
        return Challenger(self.job_id, learner, tuple(right), self.parked)


def retrain(job: RetrainJob) -> Challenger:
    """Train a challenger from nothing; the job is left as it was.

    Weights go through the model's own argument where it has a working one. Other models see an
    example floor(w * m + u) times in a row, with u a hash of its id and the pass, and m such that
    the copies expected in a pass are as many as the examples. The mean over u of floor(x + u) is x,
    so each example counts by its weight on average, and recent ones are never left to luck.

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
    best = _replay_job(job, job.weights)
    for weights in job.alternatives:
        other = _replay_job(job, weights)
        if other.mean_loss() < best.mean_loss():
            best = other
    for parked in job.parked:
        known = _continue_parked(job, parked)
        shared = [i for i in known.losses if i in best.losses and job.examples[i].is_control]
        if len(shared) >= COMPARED_MIN and known.mean_loss(shared) < best.mean_loss(shared):
            best = known
    return Challenger(job.job_id, best.learner, tuple(best.right), best.parked)


@dataclass(eq=False, slots=True)
class _Trained:
    """A learner, whether it was right on control examples, and its log loss by place."""

    learner: Part
    right: list[tuple[str, bool]] = field(default_factory=list)
    losses: dict[int, float] = field(default_factory=dict)
    parked: int | None = None

    def predict(self, place: int, example: Example) -> None:
        """Take down what the learner says of an example that it has not learned."""
        said = self.learner.predict_row(example.row, example.context, example.original)
        is_known = example.code < len(said)
        # NaN, where it failed, is no more than the lowest.
        self.losses[place] = -math.log(max(LOWEST, float(said[example.code]))) if is_known else 0.0
        if example.is_control:
            self.right.append((example.id, is_likeliest(said, example.code)))

    def mean_loss(self, places: Sequence[int] | None = None) -> float:
        """The mean of these losses, or of all; 0 of none."""
        found = [self.losses[place] for place in (self.losses if places is None else places)]
        return math.fsum(found) / max(1, len(found))


def _judged_from(job: RetrainJob) -> int:
    """The place of the first control example that is set aside."""
    judged = [i for i, example in enumerate(job.examples) if example.is_control]
    judged = judged[-job.adopt_labels_n :] if job.adopt_labels_n > 0 else []
    return judged[0] if judged else len(job.examples)


def _replay_job(job: RetrainJob, weights: Sequence[float]) -> _Trained:
    """A learner trained from nothing by these weights."""
    trained, n = _Trained(job.unlearned.unlearned()), len(job.examples)
    cut = _judged_from(job)
    replay = _Replay(job, weights, trained.learner)
    for number in range(job.passes - 1):
        replay.learn(number, range(cut))
    last = job.passes - 1
    replay.learn(last, range(cut))
    for i in range(cut, n):
        # Only where half-lives compete is the loss on the other examples wanted.
        if job.examples[i].is_control or job.alternatives:
            trained.predict(i, job.examples[i])
        replay.learn(last, range(i, i + 1))
    for number in range(job.passes - 1):
        replay.learn(number, range(cut, n))
    _check_learned(trained.learner, n)
    return trained


def _check_learned(learner: Part, examples_n: int) -> None:
    """A challenger that could learn nothing is none; the reason says what it failed by."""
    if isinstance(learner, Learner) and examples_n and not learner.learned_n:
        said = learner.failures.first.get("learn", "")
        raise BadInput(f"the challenger learned none of {examples_n} examples: {said}")


def _continue_parked(job: RetrainJob, parked: Parked) -> _Trained:
    """A parked model that goes on with what came since it was parked."""
    trained = _Trained(parked.part.copy(), parked=parked.number)
    cut = _judged_from(job)
    for i, example in enumerate(job.examples):
        if example.at <= parked.at:
            continue
        if i >= cut:
            trained.predict(i, example)
        learn(trained.learner, example)
    return trained


def attempt(job: RetrainJob) -> tuple[Challenger | None, str | None]:
    """The challenger of a job, or why there is none: a model of the user's may fail in any way."""
    try:
        return retrain(job), None
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"[:500]


def finish(job: RetrainJob, at: float) -> RetrainFinished:
    """Run a job; how it ended at this time, seconds, as the input that an engine waits for."""
    challenger, error = attempt(job)
    return RetrainFinished(job_id=job.job_id, at=at, challenger=challenger, error=error)


def compare(
    champion_right: Sequence[bool], challenger_right: Sequence[bool], margin: float
) -> bool:
    """Whether to adopt: the challenger is right more often by `margin` as a share of the labels.

    Both are verdicts on the same examples, in the same order. A challenger that is only as good is
    not adopted, whatever the margin; nor is any on no labels. This is a rule, not a test of
    significance: on 50 labels and a margin of 0.01, one label more decides.

    >>> compare([True, False, False], [True, True, False], margin=0.01)
    True
    >>> compare([True, False, False], [False, True, False], margin=0.0)
    False
    """
    if len(champion_right) != len(challenger_right):
        raise BrokenInvariant("champion and challenger are compared on different examples")
    gained_n = sum(map(bool, challenger_right)) - sum(map(bool, champion_right))
    return gained_n > 0 and gained_n >= margin * len(champion_right)


class _Replay:
    """Teaches a learner stretches of a job's examples, each by its weight."""

    def __init__(self, job: RetrainJob, weights: Sequence[float], learner: Part) -> None:
        self._examples = job.examples
        self._weights = weights
        self._learner = learner
        self._chance = Chance(job.seed)
        self._is_uniform = len(dict.fromkeys(weights)) <= 1
        total = math.fsum(weights)
        self._scale = len(weights) / total if total > 0.0 else 0.0

    def learn(self, pass_number: int, indices: range) -> None:
        """Learn these examples, in order, as of this pass."""
        for i in indices:
            example, weight = self._examples[i], self._weights[i]
            if self._is_uniform:
                self._learn(example)
            elif self._learner.accepts_weight:
                self._learn(example, weight)
            else:
                u = self._chance.uniform(f"retrain pass {pass_number}", example.id)
                for _ in range(math.floor(weight * self._scale + u)):
                    self._learn(example)

    def _learn(self, example: Example, weight: float = 1.0) -> None:
        learn(self._learner, example, weight)
