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
    """The interface of a simulated annotator, for `run`.

    >>> class Sulking:
    ...     def answers(self, request, truth, classes): return []
    >>> from headrace import Engine, run
    >>> result = run(Engine(seed=7), [({"x": i}, "fine") for i in range(60)], Sulking())
    >>> result.report.labels.settled_n
    0
    """

    def answers(self, request: LabelRequested, truth: str, classes: Sequence[str]) -> list[Answer]:
        """Answer a request.

        Args:
            request: The request.
            truth: The class of its event.
            classes: The classes known so far, sorted.

        Returns:
            The answers that will come, each with the time when it comes in `at`, seconds; none if
            nobody answers.
        """


class Delayed:
    """One annotator who is always right and answers after some time.

    Args:
        delay_s: The time until an answer comes, at least 0, seconds.

    Raises:
        BadSettings: The delay is below 0.

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
        """Answer a request with the truth.

        Args:
            request: The request.
            truth: The class of its event.
            classes: The classes known so far, sorted.

        Returns:
            The answers that will come, each with the time when it comes in `at`, seconds; none
            where a second opinion is wanted.
        """
        if "oracle" in request.not_by:
            # There is no second annotator for a second opinion.
            return []
        at = request.at + self.delay_s
        return [Answer(request_id=request.request_id, label=truth, at=at, annotator="oracle")]


class Crowd:
    """Several people: late by a log-normal time, sometimes wrong, unsure or silent.

    Args:
        annotators_n: The number of people.
        answers_n: How many of them get each request, 1 to `annotators_n`; none of those who gave an
            earlier opinion.
        delay_s: The median of the delays, seconds.
        spread: The standard deviation of the delays' logarithm.
        wrong: The share of the answers that name another class, 0 to 1.
        unsure: The share of the answers that cannot tell, 0 to 1.
        silent: The share of the answers that never come, 0 to 1.
        seed: The seed of their luck.

    Raises:
        BadSettings: `answers_n` is out of bounds, a share is below 0, or their sum is above 1.

    >>> from headrace import Engine, run
    >>> crowd = Crowd(wrong=0.0, unsure=0.0, silent=0.0, seed=7)
    >>> result = run(Engine(seed=7), [({"x": i}, "fine") for i in range(60)], crowd)
    >>> result.report.labels.settled_n == result.report.asking.requests_n
    True
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
        """Let some of the people answer a request.

        Args:
            request: The request.
            truth: The class of its event.
            classes: The classes known so far, sorted.

        Returns:
            The answers that will come, each with the time when it comes in `at`, seconds; only
            those that come.
        """
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
