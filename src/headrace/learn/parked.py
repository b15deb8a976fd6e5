"""Displaced models: parked with a description of their inputs, and compared for a while.

A parked model is tried again when the inputs look as they did when it was in use, because some
concepts return. The model displaced last also goes on learning for `learn.trial_labels_n` control
labels: if it proves better than the challenger that replaced it, beyond noise, the adoption is
rolled back.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from ..errors import BrokenInvariant
from ..messages import ModelRolledBack
from ..settings import LearnSettings
from .calibration import Calibration
from .learner import Learner
from .memory import Example
from .river_part import RiverPart
from .schema_view import SchemaView

Part: TypeAlias = Learner | RiverPart
"""The part of a model that a retraining replaces: all of it, or a committee's river members."""

DESCRIBED_N = 100
"""The number of latest labelled examples that inputs are described by."""

ALIKE_MAX = 0.25
"""Mean distance over the features up to which two descriptions look alike. A feature whose mean
moved by one standard deviation is 0.5 apart; two samples of 100 of one stream are 0.06 apart."""

NOISE = 2.75
"""Standard deviations by which the differing verdicts must favour the predecessor. Between equally
good models at most 2 % of adoptions are rolled back, although each of 50 labels is a test."""

Description: TypeAlias = dict[str, tuple[float, float] | dict[str, float]]
"""By feature: the mean and standard deviation of a number, or the shares of the categories."""


def learn(part: Part, example: Example, weight: float = 1.0) -> None:
    """Make the part learn an example, with its own weight times `weight`."""
    part.learn(
        example.row,
        example.code,
        weight * example.weight,
        at=example.at,
        key=example.id,
        original=example.original,
    )


def is_right(part: Part, example: Example) -> bool:
    """Whether the part, before learning this example, predicts its class."""
    return part.is_right(example.row, example.code, example.context, example.original)


@dataclass(frozen=True, eq=False, slots=True)
class Parked:
    """A displaced model, its number, and the description of its inputs.

    `at` is the time of the newest event that it learned, in seconds.
    """

    number: int
    at: float
    part: Part
    calibration: Calibration
    description: Description


@dataclass(eq=False, slots=True)
class Trial:
    """An adopted challenger compared with its predecessor on control labels.

    - `job_id`: the job that made the challenger.
    - `number`, `part`, `calibration`: those of the predecessor.
    - `labels_n`: the control labels so far; `champion_right_n`, `predecessor_right_n`: how many
      each model predicted before learning; `differing_n`: those that only one of them predicted.
    """

    job_id: int
    number: int
    part: Part
    calibration: Calibration
    labels_n: int = 0
    champion_right_n: int = 0
    predecessor_right_n: int = 0
    differing_n: int = 0

    def learn(self, example: Example, champion_right: bool) -> None:
        """Judge both models if the example is a control one; the predecessor learns it anyway."""
        if example.is_control:
            is_predecessor_right = is_right(self.part, example)
            self.labels_n += 1
            self.champion_right_n += champion_right
            self.predecessor_right_n += is_predecessor_right
            self.differing_n += champion_right != is_predecessor_right
        learn(self.part, example)

    @property
    def is_worse(self) -> bool:
        """Whether the predecessor is right more often beyond noise (a sign test, McNemar 1947)."""
        lost_n = self.predecessor_right_n - self.champion_right_n
        return lost_n > 0 and lost_n >= NOISE * math.sqrt(self.differing_n)

    def order_roll_back(self, at: float, model_version: int) -> ModelRolledBack:
        """The log entry that ends the trial with the predecessor back in use; `at` in seconds."""
        return ModelRolledBack(
            job_id=self.job_id,
            at=at,
            model_version=model_version,
            champion_right=self.predecessor_right_n / self.labels_n,
            challenger_right=self.champion_right_n / self.labels_n,
            labels_n=self.labels_n,
        )


class Displaced:
    """The parked models, at most `learn.parked_max_n`, and the trial of the latest challenger.

    Each is parked with a description of the inputs when the retraining that displaced it was
    ordered.
    """

    def __init__(self, settings: LearnSettings) -> None:
        self.parked: list[Parked] = []
        self.trial: Trial | None = None
        self._settings = settings
        self._parked_n = 0
        self._described: Description = {}

    def look_at(self, examples: Sequence[Example], schema: SchemaView) -> None:
        """Store the description of these examples for the next model to be parked."""
        self._described = describe_examples(examples, schema)

    def find_alike(self, examples: Sequence[Example], schema: SchemaView) -> list[Parked]:
        """The parked models whose inputs looked like those of these examples."""
        present = describe_examples(examples, schema)
        return [
            parked
            for parked in self.parked
            if distance_of(parked.description, present) <= ALIKE_MAX
        ]

    def park(self, job_id: int, at: float, part: Part, calibration: Calibration) -> None:
        """Park the part that the challenger of a job displaces, and put the challenger on trial.

        `at` is the time of the newest event that the part learned, in seconds. The part is taken
        over: it goes on learning in the trial, and a copy of it is parked.
        """
        self._parked_n += 1
        copied = copy.deepcopy(calibration)
        parked = Parked(self._parked_n, at, part.copy(), copied, self._described)
        self.parked = [*self.parked, parked][-self._settings.parked_max_n :]
        self.trial = Trial(job_id, parked.number, part, copy.deepcopy(calibration))

    def take_out(self, number: int | None) -> None:
        """Remove the parked model with this number, which is in use again."""
        self.parked = [parked for parked in self.parked if parked.number != number]

    def is_on_trial(self, job_id: int) -> bool:
        """Whether the challenger of this job is in use and may be rolled back."""
        return self.trial is not None and self.trial.job_id == job_id

    def judge(self, example: Example, champion: Callable[[], Part]) -> None:
        """Compare the champion's part with the one it displaced, before it learns this label."""
        trial = self.trial
        if trial is None:
            return
        # The trial ends at the next label, so that a roll back can be written to the log before.
        if trial.labels_n >= self._settings.trial_labels_n and not trial.is_worse:
            self.end_trial()
            return
        champion_part = champion()
        if isinstance(trial.part, RiverPart) and isinstance(champion_part, RiverPart):
            trial.part = trial.part.view_beside(champion_part)
        trial.learn(example, is_right(champion_part, example))

    def roll_back(self, job_id: int) -> Trial:
        """End the trial of this job and return it; its predecessor is no longer parked.

        Raises `BrokenInvariant` if the challenger of this job is not on trial.
        """
        trial = self.trial
        if trial is None or trial.job_id != job_id:
            raise BrokenInvariant(f"job {job_id} is rolled back and is not on trial")
        self.take_out(trial.number)
        self.end_trial()
        return trial

    def end_trial(self) -> None:
        """End the trial, because the challenger is no longer in use or has proved itself."""
        self.trial = None

    def forget(self) -> None:
        """Drop all parked models, because they have learned labels that must be erased."""
        self.parked = []
        self.end_trial()


def describe_examples(examples: Sequence[Example], schema: SchemaView) -> Description:
    """The description of the features of the latest `DESCRIBED_N` examples."""
    described: Description = {}
    features = [schema.features(example.row) for example in examples[-DESCRIBED_N:]]
    for name in schema.names:
        values = [x[name] for x in features if x.get(name) is not None]
        texts = [str(value) for value in values if isinstance(value, str)]
        if texts:
            shares = {text: texts.count(text) / len(texts) for text in sorted(set(texts))}
            described[name] = shares
            continue
        numbers = np.array([float(v) for v in values if math.isfinite(v)], dtype=np.float64)
        if len(numbers):
            described[name] = (float(numbers.mean()), float(numbers.std()))
    return described


def distance_of(one: Description, other: Description) -> float:
    """The distance of two descriptions, 0 to 1: the mean over the features that either has.

    The distance of a number is the difference of the means by the sum of the standard deviations,
    at most 1; that of categories is the share that would have to move; that of a feature which one
    description lacks is 1.

    >>> one = {"x": (0.0, 1.0), "c": {"a": 1.0}}
    >>> distance_of(one, {"x": (1.0, 1.0), "c": {"a": 0.5, "b": 0.5}})
    0.5
    """
    names = one | other
    apart = sum(_measure_distance(one.get(name), other.get(name)) for name in names)
    return apart / max(1, len(names))


def _measure_distance(one: object, other: object) -> float:
    if isinstance(one, tuple) and isinstance(other, tuple):
        moved, wide = abs(one[0] - other[0]), one[1] + other[1]
        return 0.0 if moved == 0.0 else min(1.0, moved / wide if wide > 0.0 else 1.0)
    if isinstance(one, dict) and isinstance(other, dict):
        apart = sum(abs(one.get(name, 0.0) - other.get(name, 0.0)) for name in one | other)
        return float(apart) / 2.0
    return 1.0
