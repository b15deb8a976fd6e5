"""Simulated annotators, for tests, pilots and demos only: they know the truth and answer late.

An oracle gets a request and the true class, and returns the answers that will come, with times.
Its luck is hashed from the request, so that a run can be repeated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from ..chance import Chance
from ..errors import BadSettings
from ..messages import Answer, LabelRequested


class Oracle(Protocol):
    """The interface: `answers(request, truth, classes)` returns answers, dated when they come."""

    def answers(
        self, request: LabelRequested, truth: str, classes: Sequence[str]
    ) -> list[Answer]: ...


class Delayed:
    """One annotator who is always right and answers after `delay_s` seconds.

    >>> Delayed(delay_s=60)
    Delayed(delay_s=60)
    """

    def __init__(self, delay_s: float = 0.0) -> None:
        if not delay_s >= 0:
            raise BadSettings(f"delay_s is {delay_s}; must be at least 0 (seconds)")
        self.delay_s = delay_s

    def __repr__(self) -> str:
        return f"Delayed(delay_s={self.delay_s})"

    def answers(self, request: LabelRequested, truth: str, classes: Sequence[str]) -> list[Answer]:
        if "oracle" in request.not_by:
            # There is no second annotator for a second opinion.
            return []
        at = request.at + self.delay_s
        return [Answer(request_id=request.request_id, label=truth, at=at, annotator="oracle")]


class Crowd:
    """`annotators_n` people: late by a log-normal time, sometimes wrong, unsure or silent.

    Each request goes to `answers_n` of them, none of whom gave an earlier opinion. Delays have the
    median `delay_s`, in seconds, and their logarithm the standard deviation `spread`. `wrong`,
    `unsure` and `silent` are shares of the answers. `seed` is the seed of their luck. Raises
    `BadSettings` unless `answers_n` is from 1 to `annotators_n`, no share is below 0, and their sum
    is at most 1.
    """

    def __init__(
        self,
        *,
        annotators_n: int = 5,
        answers_n: int = 1,
        delay_s: float = 60.0,
        spread: float = 0.5,
        wrong: float = 0.05,
        unsure: float = 0.02,
        silent: float = 0.03,
        seed: int = 0,
    ) -> None:
        if not 1 <= answers_n <= annotators_n:
            raise BadSettings(f"answers_n is {answers_n}; must be 1 to {annotators_n} (annotators)")
        if min(wrong, unsure, silent) < 0.0 or wrong + unsure + silent > 1.0:
            shares = f"wrong is {wrong}, unsure {unsure}, silent {silent}"
            raise BadSettings(f"{shares}; must be shares, at most 1 in all")
        self.annotators_n = annotators_n
        self.answers_n = answers_n
        self.delay_s = delay_s
        self.spread = spread
        self.wrong = wrong
        self.unsure = unsure
        self.silent = silent
        self.chance = Chance(seed)

    def answers(self, request: LabelRequested, truth: str, classes: Sequence[str]) -> list[Answer]:
        first = int(self.chance.uniform("annotator", request.request_id) * self.annotators_n)
        answers = []
        turns = ((first + turn) % self.annotators_n + 1 for turn in range(self.annotators_n))
        names = [name for turn in turns if (name := f"annotator-{turn}") not in request.not_by]
        for name in names[: self.answers_n]:
            answer = self._answer_as(request, truth, classes, name)
            if answer is not None:
                answers.append(answer)
        return answers

    def _answer_as(
        self, request: LabelRequested, truth: str, classes: Sequence[str], name: str
    ) -> Answer | None:
        luck = f"{request.request_id}/{name}"
        mood = self.chance.uniform("mood", luck)
        if mood < self.silent:
            return None
        label: str | None = truth
        others = [c for c in classes if c != truth]
        if mood < self.silent + self.unsure:
            label = None
        elif mood < self.silent + self.unsure + self.wrong and others:
            label = others[int(self.chance.uniform("mistake", luck) * len(others))]
        # Box and Muller's transform: two uniforms make one normal deviate.
        radius = math.sqrt(-2.0 * math.log(1.0 - self.chance.uniform("delay 1", luck)))
        normal = radius * math.cos(2.0 * math.pi * self.chance.uniform("delay 2", luck))
        at = request.at + self.delay_s * math.exp(self.spread * normal)
        return Answer(request_id=request.request_id, label=label, at=at, annotator=name)
