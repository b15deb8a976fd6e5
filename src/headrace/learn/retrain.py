"""One retraining as a pure function: a job in, a challenger out; who runs it is not here.

`retrain` may run in another thread or process: the same job gives the same challenger anywhere.

The challenger is judged as the champion was, on predictions made before the label was learned. The
latest control examples are set aside; with `cut` the first of them, by time:

1. `passes` - 1 times over the examples before the cut;
2. once over everything: a control example from the cut on is predicted, then learned;
3. `passes` - 1 times over the examples from the cut on.

So every example is learned in `passes` passes, nothing judged was seen before, nor anything later
than it - a label from after a drift would make the judgement of the labels just after it too kind -
and the challenger that was judged is the one that is adopted, fully trained.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..chance import Chance
from ..errors import BrokenInvariant
from .learner import Learner
from .memory import Example


@dataclass(frozen=True, eq=False, slots=True)
class RetrainJob:
    """All that one retraining needs. `examples` are ordered by time, `weights` are above 0.

    `weights[i]` is 0.5 ** (age / half life) of example i. `unlearned` gives the hyper-parameters.
    """

    job_id: int
    examples: tuple[Example, ...]
    weights: tuple[float, ...]
    seed: int
    unlearned: Learner
    passes: int
    adopt_labels_n: int


@dataclass(frozen=True, eq=False, slots=True)
class Challenger:
    """A retrained learner, and whether it was right on each control example it was judged by."""

    job_id: int
    learner: Learner
    right: tuple[tuple[str, bool], ...]

    def learned(self, since: Sequence[Example]) -> Challenger:
        """Another challenger that also learned what settled in the meantime, at full weight.

        A control example is predicted first.
        """
        learner, right = self.learner.copy(), list(self.right)
        for example in since:
            if example.is_control:
                right.append((example.id, learner.right(example.row, example.code)))
            learner.learn(example.row, example.code, at=example.at, key=example.id)
        return Challenger(self.job_id, learner, tuple(right))


def retrain(job: RetrainJob) -> Challenger:
    """Train a challenger from nothing; the job is left as it was.

    Weights go through the model's own argument where it has a working one. Other models see an
    example floor(w * m + u) times in a row, with u a hash of its id and the pass, and m such that
    the copies expected in a pass are as many as the examples. The mean over u of floor(x + u) is x,
    so each example counts by its weight on average, and recent ones are never left to luck.

    >>> import numpy as np
    >>> from river import naive_bayes
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
    if len(job.examples) != len(job.weights):
        raise BrokenInvariant("a retraining job has not one weight for each example")
    learner, n = job.unlearned.unlearned(), len(job.examples)
    judged = [i for i, example in enumerate(job.examples) if example.is_control]
    judged = judged[-job.adopt_labels_n :] if job.adopt_labels_n > 0 else []
    cut = judged[0] if judged else n
    replay = _Replay(job, learner)
    for number in range(job.passes - 1):
        replay.learn(number, range(cut))
    right: list[tuple[str, bool]] = []
    last = job.passes - 1
    replay.learn(last, range(cut))
    for i in range(cut, n):
        example = job.examples[i]
        if example.is_control:
            right.append((example.id, learner.right(example.row, example.code)))
        replay.learn(last, range(i, i + 1))
    for number in range(job.passes - 1):
        replay.learn(number, range(cut, n))
    return Challenger(job.job_id, learner, tuple(right))


def attempt(job: RetrainJob) -> tuple[Challenger | None, str | None]:
    """The challenger of a job, or why there is none: a model of the user's may fail in any way."""
    try:
        return retrain(job), None
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"[:500]


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

    def __init__(self, job: RetrainJob, learner: Learner) -> None:
        self._examples = job.examples
        self._weights = job.weights
        self._learner = learner
        self._chance = Chance(job.seed)
        self._is_uniform = len(dict.fromkeys(job.weights)) <= 1
        total = math.fsum(job.weights)
        self._scale = len(job.weights) / total if total > 0.0 else 0.0

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
        self._learner.learn(example.row, example.code, weight, at=example.at, key=example.id)
