"""The champion: the model in use, and what a retraining makes anew of it; nothing is judged here.

Of a committee only the river members are retrained, so its *part* is these; of any other model the
part is the whole learner.
"""

from __future__ import annotations

import copy
from typing import TypeVar

from ..settings import LearnSettings
from .calibration import Calibration
from .committee.committee import Committee
from .learner import Learner
from .memory import Example
from .parked import Part
from .river_part import RiverPart
from .versions import Version

P = TypeVar("P", bound=Part)


class Champion:
    """A learner with its own calibration, and what it and those before it learned.

    `learned_n` labels were learned, the latest at `learned_at`, seconds; `unlearnable_n` could not
    be.
    """

    def __init__(self, learner: Learner, settings: LearnSettings) -> None:
        self.learner = learner
        # One that is adopted has to earn its own.
        self.calibration = Calibration()
        self.learned_n = 0
        self.unlearnable_n = 0
        self.learned_at: float | None = None
        self._settings = settings

    def learn(self, example: Example, at: float) -> None:
        """Learn an example whose label settled at this time, seconds."""
        is_learned = self.learner.learn(
            example.row,
            example.code,
            example.weight,
            at=example.at,
            key=example.id,
            context=example.context,
            original=example.original,
        )
        self.learned_n += is_learned
        self.unlearnable_n += not is_learned
        if is_learned:
            self.learned_at = at

    def pass_over(self, reason: str) -> None:
        """A label came that can't be learned, for this reason."""
        self.learner.count_unlearnable(reason)
        self.unlearnable_n += 1

    @property
    def has_learned(self) -> bool:
        """Whether the learner knows anything: before its first label it predicts nothing."""
        return self.learner.learned_n > 0

    @property
    def renews_members(self) -> bool:
        """It is a committee, and its river members are to be retrained."""
        return self._settings.retrain_members and bool(self.learner.river_members_n)

    @property
    def can_be_retrained(self) -> bool:
        """It has something that is not solved anew at each label anyway."""
        return not self.learner.is_made_anew or self.renews_members

    def part(self) -> Part:
        """What a retraining makes anew; it shares the champion's state."""
        committee = self.learner.model
        if not isinstance(committee, Committee):
            return self.learner
        return RiverPart(committee, self.learner.schema)

    def set_apart(self, part: P) -> P:
        """The part with a schema of its own: the stream's goes on growing while it trains."""
        part.attach(copy.deepcopy(self.learner.schema))
        return part

    def copy_returning(self, part: Part) -> Part:
        """A copy of a displaced part that knows the classes that came since."""
        if isinstance(part, RiverPart):
            now = self.part()
            assert isinstance(now, RiverPart)
            return part.copy_beside(now)
        return part.copy()

    def as_version(self, number: int) -> Version:
        """The champion as it stands after so many entries of the training log."""
        at, calibration = self.learned_at or 0.0, copy.deepcopy(self.calibration)
        return Version(number, at, self.learned_n, self.learner.copy(), calibration)

    def adopt(self, part: Part) -> None:
        """This part takes the place of the champion's."""
        self._install(part)
        if isinstance(part, Learner):
            self.calibration = Calibration()

    def go_back(self, part: Part, calibration: Calibration) -> None:
        """This part is in use again, with the calibration that it had."""
        self._install(part)
        self.calibration = calibration

    def _install(self, part: Part) -> None:
        # It may have been made in another process, with a copy of the schema.
        part.attach(self.learner.schema)
        if isinstance(part, RiverPart):
            self.learner.model.take_river_members(part.members)
        else:
            part.failures = self.learner.failures
            self.learner = part
