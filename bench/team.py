"""A simulated team of annotators who work one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from headrace.errors import BadSettings
from headrace.messages import Answer, LabelRequested


@dataclass
class Annotator:
    """Somebody who takes `label_s` seconds for a label.

    Of every `shift_s` seconds the last part, `absent_share`, is spent elsewhere: what was begun is
    finished, and nothing new is begun.
    """

    name: str
    label_s: float
    absent_share: float = 0.0
    shift_s: float = 7_200.0
    free_at: float = 0.0
    busy_s: float = 0.0

    def begins(self, at: float) -> float:
        """When a question that comes at this time is begun."""
        start = max(at, self.free_at)
        into = start % self.shift_s
        if into >= (1.0 - self.absent_share) * self.shift_s:
            start += self.shift_s - into
        return start


@dataclass
class Team:
    """An oracle: each question goes to whoever will have answered it first, all are right.

    Questions are worked on in the order in which they were asked.

    >>> team = Team([Annotator("ada", 30.0), Annotator("ben", 90.0)])
    >>> team.busy_share(0.0, 100.0)
    0.0
    """

    annotators: list[Annotator]
    waits_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.annotators:
            raise BadSettings("a team needs at least one annotator")

    def answers(self, request: LabelRequested, truth: str, classes: Sequence[str]) -> list[Answer]:
        who = min(self.annotators, key=lambda one: (one.begins(request.at) + one.label_s, one.name))
        who.free_at = who.begins(request.at) + who.label_s
        who.busy_s += who.label_s
        self.waits_s.append(who.free_at - request.at)
        answer = Answer(
            request_id=request.request_id, label=truth, at=who.free_at, annotator=who.name
        )
        return [answer]

    def busy_share(self, start: float, stop: float) -> float:
        """The part of the time they were there, from start to stop, in which they worked."""
        there_s = sum((1.0 - one.absent_share) * (stop - start) for one in self.annotators)
        return sum(one.busy_s for one in self.annotators) / there_s
