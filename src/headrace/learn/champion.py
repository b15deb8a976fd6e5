"""The champion: the model in use, and the part of it that a retraining replaces.

A retraining replaces only the river members of a committee, so these are its *part*; the part of
any other model is the whole learner. Nothing is judged here.
"""

from __future__ import annotations

import copy
from typing import TypeVar

from ..settings import LearnSettings
from .calibration import Calibration
from .committee.committee import Committee
from .failures import Failures
from .learner import Learner
from .memory import Example
from .parked import Part
from .river_part import RiverPart
from .versions import Version

P = TypeVar("P", bound=Part)


class Champion:
    """The learner in use with its calibration, and counts over it and its predecessors.

    `learned_n` labels were learned, the latest at `learned_at`, seconds; `unlearnable_n` labels
    could not be learned.
    """

    def __init__(self, learner: Learner, settings: LearnSettings) -> None:
        self.learner = learner
        # An adopted challenger starts with a new one.
        self.calibration = Calibration()
        self.learned_n = 0
        self.unlearnable_n = 0
        self.learned_at: float | None = None
        self._settings = settings

    def learn(self, example: Example, at: float) -> None:
        """Learn an example whose label settled at the time `at`, seconds."""
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
        """Count a label that can't be learned, for this reason."""
        self.learner.count_unlearnable(reason)
        self.unlearnable_n += 1

    @property
    def has_learned(self) -> bool:
        """Whether the learner has learned a label; before that it predicts nothing."""
        return self.learner.learned_n > 0

    @property
    def renews_members(self) -> bool:
        """Whether it is a committee whose river members are retrained."""
        return self._settings.retrain_members and bool(self.learner.river_members_n)

    @property
    def can_be_retrained(self) -> bool:
        """Whether any of it is not solved anew at each label anyway."""
        return not self.learner.is_made_anew or self.renews_members

    def part(self) -> Part:
        """The part that a retraining replaces; it shares the champion's state."""
        committee = self.learner.model
        if not isinstance(committee, Committee):
            return self.learner
        return RiverPart(committee, self.learner.schema)

    def set_apart(self, part: P) -> P:
        """Give the part its own copy of the schema, as the stream's grows while the part trains."""
        part.attach(copy.deepcopy(self.learner.schema))
        return part

    def view_returning(self, part: Part) -> Part:
        """A view of a parked part for a job, with the classes that came since, set apart.

        It shares the classifiers with the parked part, which learns no more: whoever continues it
        copies it first.
        """
        schema = copy.deepcopy(self.learner.schema)
        if isinstance(part, RiverPart):
            present = self.part()
            assert isinstance(present, RiverPart)
            view = part.view_beside(present)
            view.attach(schema)
            return view
        return part.view_through(schema)

    def as_version(self, number: int) -> Version:
        """The present champion as the version after `number` entries of the training log."""
        at, calibration = self.learned_at or 0.0, copy.deepcopy(self.calibration)
        return Version(number, at, self.learned_n, self.learner.copy(), calibration)

    def adopt(self, part: Part) -> None:
        """Replace the champion's part; a whole learner starts with a new calibration."""
        self._install_part(part)
        if isinstance(part, Learner):
            self.calibration = Calibration()

    def go_back(self, part: Part, calibration: Calibration) -> None:
        """Put a displaced part back in use, with the calibration that it had."""
        self._install_part(part)
        self.calibration = calibration

    def _install_part(self, part: Part) -> None:
        # A part made in another process has a copy of the schema.
        part.attach(self.learner.schema)
        if isinstance(part, RiverPart):
            self.learner.model.take_river_members(part.members)
        else:
            # The displaced learner, which may go on learning, counts its failures by itself.
            part.failures, self.learner.failures = self.learner.failures, Failures()
            self.learner = part
