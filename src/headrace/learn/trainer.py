"""The trainer: a fold of the training log into a model.

The training log is the ordered list of everything that ended (`LabelSettled`, `LabelDisputed`,
`RequestExpired`, `RequestWithdrawn`), of every decision about the model (`RetrainRequested`,
`ModelAdopted`, `ModelKept`), and on Kafka of what people order. `fold` is the only way into the
model, and the model's version is the number of entries folded. Folding the same log gives the same
model: a challenger that is not at hand when its adoption is folded is computed again.

Ordering a retraining and judging a challenger *make* log entries; alone they change nothing.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np

from ..chance import Chance
from ..errors import BrokenInvariant
from ..messages import (
    DRAWN_AT_RANDOM,
    Context,
    Features,
    LabelDisputed,
    LabelSettled,
    ModelAdopted,
    ModelKept,
    ModelRolledBack,
    Moments,
    RequestEnded,
    RetrainFinished,
    RetrainRequested,
)
from ..observe.originals import OriginalOf
from ..observe.schema import Schema
from ..query.orders import Order
from ..settings import LearnSettings
from .calibration import Calibration
from .committee.committee import Committee
from .judging import unjudged, verdict
from .learner import Learner
from .memory import Example, Memory, half_life_s_of, weights_of
from .noise import LabelNoise
from .parked import ALIKE_MAX, Description, Parked, Part, Trial, describe, distance, is_right
from .retrain import Challenger, RetrainJob, retrain
from .river_part import RiverPart
from .schema_view import Floats
from .scoring import is_likeliest
from .twins import Twins
from .versions import Version, Versions

Entry: TypeAlias = (
    RequestEnded | RetrainRequested | ModelAdopted | ModelKept | ModelRolledBack | Order
)

P = TypeVar("P", bound=Part)

AFTER_DRIFT_N = (25, 50, 100, 200)
"""Labels after a drift that each lead to one more retraining: only they know the new world."""


@dataclass
class OpenJob:
    """A retraining under way, and what has been learned since it was ordered."""

    job: RetrainJob
    since: list[Example] = field(default_factory=list)


class Trainer:
    """Learns each settled label at once; retrains, and adopts what proved better."""

    def __init__(
        self, learner: Learner, schema: Schema, settings: LearnSettings, chance: Chance
    ) -> None:
        self.learner = learner
        self.schema = schema
        self.settings = settings
        self.chance = chance
        self.memory = Memory(settings, chance)
        # Of the champion; one that is adopted has to earn its own.
        self.calibration = Calibration()
        self.noise = LabelNoise()
        self.twins = Twins(learner, settings.twins_share, chance)
        self.version = 0
        self.learned_n = 0
        self.unlearnable_n = 0
        self.retrained_n = 0
        self.adopted_n = 0
        self.kept_n = 0
        self.rolled_back_n = 0
        self.parked: list[Parked] = []
        self.versions = Versions(settings)
        # When it last learned, a retraining was ordered, a challenger adopted; seconds.
        self.learned_at: float | None = None
        self.ordered_at: float | None = None
        self.adopted_at: float | None = None
        self._open: OpenJob | None = None
        self._trial: Trial | None = None
        self._parked_n = 0
        self._described: Description = {}
        self._jobs_n = 0
        self._labels_since_retrain_n = 0
        self._retrain_at: float | None = None
        self._outrun: int | None = None
        self._drift_at = -math.inf
        self._labels_since_drift_n = 0
        self._follow_ups_n = len(AFTER_DRIFT_N)

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before 2 no version was kept."""
        return fields | {"versions": Versions(fields["settings"])}

    def probabilities(
        self, X: Floats, at: Floats | None = None, original_of: OriginalOf | None = None
    ) -> Floats:
        """The champion's calibrated probabilities, shape (n, k), of rows (n, d) at times (n,).

        A row on which it failed is NaN.
        """
        return self.calibration.apply(self.learner.probabilities(X, at, original_of))

    @property
    def has_members(self) -> bool:
        """Whether the champion is made of members."""
        return self.learner.has_members

    def members(self, X: Floats, at: Floats, original_of: OriginalOf) -> Floats | None:
        """What each member of the champion says, shape (m, n, k); None where there are none yet."""
        return self.learner.members(X, at, original_of)

    @property
    def wants_context(self) -> bool:
        """Whether requests should carry a `Context`."""
        return self.learner.wants_context

    def context(
        self,
        row: Floats,
        at: float,
        events_n: int,
        moments: dict[str, Moments],
        original: Features | None = None,
    ) -> Context | None:
        """What the champion wants back with the label of this event; see `Learner.context`."""
        return self.learner.context(row, at, events_n, moments, original)

    @property
    def has_learned(self) -> bool:
        """Whether the champion knows anything: before its first label it predicts nothing."""
        return self.learner.learned_n > 0

    def suspects(self, request_id: str) -> bool:
        """Whether the label learned last is that of this request, and looks wrong."""
        return self.noise.last_is(request_id)

    # ------------------------------------------------------------------ entries are made here

    @property
    def open_job(self) -> RetrainJob | None:
        """The job that waits for its `RetrainFinished`."""
        return self._open.job if self._open else None

    def job(self, job_id: int) -> RetrainJob | None:
        """The job of this number, if it is open."""
        return self._open.job if self._open and self._open.job.job_id == job_id else None

    @property
    def jobs_n(self) -> int:
        """Retrainings ordered so far: the id of the next job."""
        return self._jobs_n

    def awaits(self, job_id: int) -> bool:
        """Whether this job is open, or was outrun by labels and is yet to be given up."""
        return job_id == self._outrun or self.job(job_id) is not None

    def next_deadline(self) -> float | None:
        """When the schedule asks for a retraining that can be ordered; seconds."""
        return self._retrain_at if self._can_order else None

    def is_on_trial(self, job_id: int) -> bool:
        """Whether the challenger of this job is in use and may be rolled back."""
        return self._trial is not None and self._trial.job_id == job_id

    def due(self, now: float) -> list[RetrainRequested | ModelKept | ModelRolledBack]:
        """The retraining that the schedule or the count of labels asks for, if any.

        Or that an adopted challenger be rolled back, or the end of a retraining that was outrun:
        more labels came since than it replays.
        """
        every_n = self.settings.retrain_every_n
        if self._trial is not None and self._trial.is_worse:
            return [self._trial.rolled_back(now, self.version + 1)]
        if self._outrun is not None:
            told = "more labels came in during the retraining than it was given"
            return [unjudged(self._outrun, now, told)]
        if self._retrain_at is not None and now >= self._retrain_at and self._can_order:
            return self.order("schedule", now)
        if every_n is not None and self._labels_since_retrain_n >= every_n:
            return self.order("labels", now)
        due_n = AFTER_DRIFT_N[self._follow_ups_n :][:1]
        if due_n and self._labels_since_drift_n >= due_n[0]:
            return self.order("after drift", now)
        return []

    def order(
        self, reason: str, now: float
    ) -> list[RetrainRequested | ModelKept | ModelRolledBack]:
        """The entry that orders a retraining; none while one is open or examples are too few.

        Drift does not wait for an open one, whose challenger knows nothing of it: that is dropped.
        """
        is_dropping = self._open is not None and reason == "drift"
        if not (self._can_order or (is_dropping and self._is_fit)):
            return []
        entry = RetrainRequested(
            job_id=self._jobs_n,
            at=now,
            reason=reason,
            examples_n=len(self.memory),
            model_version=self.version,
        )
        return [entry]

    @property
    def _is_fit(self) -> bool:
        """There are examples enough, and something that is not solved anew at each label anyway."""
        can_retrain = not self.learner.is_made_anew or self._renews_members
        return can_retrain and len(self.memory) >= self.settings.retrain_labels_min

    @property
    def _renews_members(self) -> bool:
        """The champion is a committee, and its river members are to be retrained."""
        return self.settings.retrain_members and bool(self.learner.river_members_n)

    def _part(self) -> Part:
        """What a retraining makes anew; it shares the champion's state."""
        committee = self.learner.model
        if not isinstance(committee, Committee):
            return self.learner
        return RiverPart(committee, self.schema)

    @property
    def _can_order(self) -> bool:
        return self._open is None and self._is_fit

    def judge(self, finished: RetrainFinished) -> ModelAdopted | ModelKept | None:
        """The entry that a finished job leads to; None for a job that is not open."""
        if self.job(finished.job_id) is None:
            return None
        if finished.challenger is None:
            told = finished.error or "the job came back without a challenger"
            return unjudged(finished.job_id, finished.at, told)
        theirs = dict(self._caught_up(finished.challenger).right)
        pairs = [
            (bool(example.champion_right), theirs[example.id])
            for example in self.memory.latest_control(self.settings.adopt_labels_n)
            if example.champion_right is not None and example.id in theirs
        ]
        return verdict(
            finished.job_id,
            finished.at,
            pairs,
            margin=self.settings.adopt_margin,
            model_version=self.version + 1,
        )

    # ------------------------------------------------------------------- the only way in

    def fold(self, entry: Entry, challenger: Challenger | None = None) -> None:
        """Take one entry of the log. `challenger` saves computing it again for a `ModelAdopted`."""
        self.version += 1
        is_ordered = isinstance(entry, ModelRolledBack) and entry.to is not None
        if isinstance(entry, LabelSettled) and entry.confirms:
            # The model has learned this label already; it looks wrong no longer.
            self.noise.settled_again(entry.request_id)
        elif isinstance(entry, LabelSettled):
            self._settled(entry)
        elif isinstance(entry, LabelDisputed):
            # Only a label that was settled before can be in the memory: this takes it back.
            self.memory.remove(entry.request_id)
            self.noise.settled_again(entry.request_id)
            self.learner.forget(entry.request_id)
        elif isinstance(entry, RetrainRequested):
            self._ordered(entry)
        elif isinstance(entry, ModelAdopted):
            self._adopted(entry, challenger)
        elif isinstance(entry, ModelKept):
            self.kept_n += 1
            self._outrun = None
            if self.job(entry.job_id) is not None:
                self._open = None
        elif isinstance(entry, ModelRolledBack):
            (self._went_back if is_ordered else self._rolled_back)(entry)
        is_new = isinstance(entry, ModelAdopted | ModelRolledBack) and not is_ordered
        if self.versions.is_due(self.learned_n, is_new=is_new):
            self.versions.keep(self.as_version())

    def as_version(self) -> Version:
        """The champion as it stands."""
        at, calibration = self.learned_at or 0.0, copy.deepcopy(self.calibration)
        return Version(self.version, at, self.learned_n, self.learner.copy(), calibration)

    def _settled(self, entry: LabelSettled) -> None:
        code = self.schema.class_code(entry.label)
        if code is None:  # The served model named so many classes that there is no room for it.
            self.learner.count_unlearnable("no room for its class: raise schema.classes_max")
            self.unlearnable_n += 1
            return
        row = self.schema.row(entry.features)
        told = (entry.request_id, self.memory.dated(entry.event_at, entry.at), row, code)
        is_control = entry.reason in DRAWN_AT_RANDOM
        more: dict[str, Any] = {"context": entry.context, "original": entry.features}
        more["weight"] = weight = entry.agreement if self.settings.soft_labels else 1.0
        said = self.learner.predict_row(row, entry.context, entry.features)
        champion_right = is_likeliest(said, code)
        if self.memory.revise(entry.request_id, code, weight):
            # An outcome was corrected: the example changes, and the model learns it once more.
            is_control = False
            self.noise.settled_again(entry.request_id)
        else:
            # What a third opinion gives back was judged when it first came.
            if self.learner.learned_n and entry.opinion_n == 1 and not math.isnan(said[0]):
                honest = self.calibration.apply(said[np.newaxis])[0]
                self.noise.learn(entry, honest, code, self.schema.classes)
                self.calibration.learn(said, code, entry.propensity * entry.judges)
            context = None
            if self._renews_members and is_control and self.learner.learned_n:
                context = entry.context
                champion_right = self._part().right(row, code, context, entry.features)
            self.memory.add(*told, is_control, champion_right, **(more | {"context": context}))
            if entry.opinion_n == 1:
                self.twins.learn(entry, row, code)
        if self._trial is not None or self._open is not None:
            example = Example(*told, is_control, champion_right, **more)
            self._try(example)
        is_learned = self.learner.learn(row, code, at=told[1], key=told[0], **more)
        self.learned_n += is_learned
        self.unlearnable_n += not is_learned
        if is_learned:
            self.learned_at = entry.at
        self._labels_since_retrain_n += 1
        if every_s := self.settings.retrain_every_s:
            self._retrain_at = min(self._retrain_at or math.inf, entry.at + every_s)
        self._labels_since_drift_n += 1
        if self._open is not None:
            self._open.since.append(example)
            if len(self._open.since) > self.settings.memory_n:
                self._outrun = self._open.job.job_id
                self._open = None

    def _ordered(self, entry: RetrainRequested) -> None:
        if entry.reason == "schedule":
            # The next label sets it going again: without one there is nothing to learn.
            self._retrain_at = None
        if entry.reason == "drift":
            self._drift_at, self._labels_since_drift_n, self._follow_ups_n = entry.at, 0, 0
        elif entry.reason == "after drift":
            self._follow_ups_n += 1
        self._jobs_n = entry.job_id + 1
        self._outrun = None
        self._labels_since_retrain_n = 0
        self.retrained_n += 1
        self.ordered_at = entry.at
        examples = self.memory.examples()
        half_life_s = self.settings.half_life_s or half_life_s_of(examples, self._drift_at)
        half_lives_s = self._half_lives_s(half_life_s)
        by_half_life = [weights_of(examples, seconds) for seconds in half_lives_s]
        if entry.reason != "after drift":
            self._described = describe(examples, self.schema)
        job = RetrainJob(
            job_id=entry.job_id,
            examples=tuple(examples),
            weights=by_half_life[0],
            seed=self.chance.seed,
            unlearned=self._apart(self._part().unlearned()),
            # Naive Bayes of a committee has to weigh each label once, as it does without.
            passes=1 if self._renews_members else self.settings.passes,
            adopt_labels_n=self.settings.adopt_labels_n,
            alternatives=tuple(by_half_life[1:]),
            parked=self._alike(examples),
        )
        self._open = OpenJob(job)

    def _half_lives_s(self, half_life_s: float) -> tuple[float, ...]:
        """Of river members three compete: this one, a quarter of it, and none; else this one."""
        is_alone = self.settings.half_life_s is not None or not self._renews_members
        return (half_life_s,) if is_alone else (half_life_s, half_life_s / 4.0, math.inf)

    def _alike(self, examples: Sequence[Example]) -> tuple[Parked, ...]:
        """Parked models whose inputs looked like the present ones, apart from what goes on here."""
        present = describe(examples, self.schema)
        alike = [p for p in self.parked if distance(p.description, present) <= ALIKE_MAX]
        return tuple(replace(p, part=self._apart(self._returning(p.part))) for p in alike)

    def _returning(self, part: Part) -> Part:
        """A copy of a parked part that knows the classes that came since."""
        if isinstance(part, RiverPart):
            now = self._part()
            assert isinstance(now, RiverPart)
            return part.beside(now)
        return part.copy()

    def _apart(self, learner: P) -> P:
        """The learner with a schema of its own: the stream's goes on growing while it trains."""
        learner.attach(copy.deepcopy(self.schema))
        return learner

    def _caught_up(self, challenger: Challenger) -> Challenger:
        """The challenger after the labels that settled while it was in training."""
        if self._open is None:
            raise BrokenInvariant("a challenger catches up with a job that is not open")
        # It may come back from another process, or from before a restore: with another schema.
        challenger.learner.attach(self.schema)
        return challenger.learned(self._open.since)

    def _adopted(self, entry: ModelAdopted, challenger: Challenger | None) -> None:
        job = self.job(entry.job_id)
        if job is None:
            raise BrokenInvariant(f"job {entry.job_id} is adopted and was not ordered")
        found = self._caught_up(challenger or retrain(job))
        self._park(entry.job_id, examples_at=job.examples[-1].at)
        self.parked = [parked for parked in self.parked if parked.number != found.parked]
        self._install(found.learner)
        if isinstance(found.learner, Learner):
            self.calibration = Calibration()
        self._open = None
        self.adopted_n += 1
        self.adopted_at = entry.at

    def _install(self, part: Part) -> None:
        """The champion is this from now on, or has these river members."""
        # It may have been made in another process, with a copy of the schema.
        part.attach(self.schema)
        if isinstance(part, RiverPart):
            self.learner.model.take_river_members(part.members)
        else:
            part.failures = self.learner.failures
            self.learner = part

    def _park(self, job_id: int, examples_at: float) -> None:
        """Keep the champion that is about to be displaced, and put its successor on trial."""
        self._parked_n += 1
        part, newest = self._part().copy(), self.memory.examples()
        at = newest[-1].at if newest else examples_at
        calibration = copy.deepcopy(self.calibration)
        parked = Parked(self._parked_n, at, part, calibration, self._described)
        self.parked = [*self.parked, parked][-self.settings.parked_max_n :]
        self._trial = Trial(job_id, parked.number, part.copy(), copy.deepcopy(calibration))

    def _try(self, example: Example) -> None:
        """Compare the champion with the one it displaced, before either learns this label."""
        trial = self._trial
        if trial is None:
            return
        # Checked with the next label, so that whoever writes the log has time to say it.
        if trial.labels_n >= self.settings.trial_labels_n and not trial.is_worse:
            self._trial = None
            return
        part = self._part()
        if isinstance(trial.part, RiverPart) and isinstance(part, RiverPart):
            trial.part = trial.part.beside(part)
        trial.learn(example, is_right(part, example))

    def _rolled_back(self, entry: ModelRolledBack) -> None:
        trial = self._trial
        if trial is None or trial.job_id != entry.job_id:
            raise BrokenInvariant(f"job {entry.job_id} is rolled back and is not on trial")
        self.parked = [parked for parked in self.parked if parked.number != trial.number]
        self._install(trial.part)
        self.calibration = trial.calibration
        # A challenger under way was to be judged against the one that has just left.
        self._trial, self._open, self._outrun = None, None, None
        self.rolled_back_n += 1

    def _went_back(self, entry: ModelRolledBack) -> None:
        """Somebody wanted this version back; the one that it displaces is kept, to return to."""
        found = self.versions.find(entry.to)
        if found is None:
            raise BrokenInvariant(f"version {entry.to} is rolled back to and is not kept")
        displaced = replace(self.as_version(), number=self.version - 1)
        self.versions.go_back(found, self.learned_n, entry.order_key)
        self.versions.keep(displaced, is_displaced=True)
        self._install(found.learner.copy())
        self.calibration = copy.deepcopy(found.calibration)
        self._trial, self._open, self._outrun = None, None, None
        self.rolled_back_n += 1
