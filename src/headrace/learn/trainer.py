"""The trainer: a fold of the training log into a model.

The training log is the ordered list of the ends of requests (`LabelSettled`, `LabelDisputed`,
`RequestExpired`, `RequestWithdrawn`), of the decisions about the model (`RetrainRequested`,
`ModelAdopted`, `ModelKept`), and, on Kafka, of people's orders. Only `fold` changes the model, and
the model's version is the number of entries folded. Folding the same log gives the same model: if
a challenger is missing when its adoption is folded, it is computed again.

Ordering a retraining and judging a challenger return log entries; they change no model themselves.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypeAlias

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
from ..state.stored_parts import OfParts, Parts, same_names
from .champion import Champion
from .judging import judge_pairs, keep_unjudged
from .learner import Learner
from .memory import Example, Memory, half_life_s_of, weights_of
from .noise import LabelNoise
from .parked import Displaced, Parked, is_right
from .retrain import Challenger, RetrainJob, retrain
from .retrainings import Retrainings
from .schema_view import Floats
from .scorers.scorer import is_likeliest
from .triggers import RetrainTriggers
from .twins import Twins
from .versions import Version, Versions

Entry: TypeAlias = (
    RequestEnded | RetrainRequested | ModelAdopted | ModelKept | ModelRolledBack | Order
)


# The names of the parts' fields in the saved state of a trainer.
_PARTS: Parts = {
    "champion": (
        Champion,
        same_names("learner", "calibration", "learned_n", "unlearnable_n", "learned_at")
        | {"settings": "_settings"},
    ),
    "triggers": (
        RetrainTriggers,
        {
            "settings": "_settings",
            "_drift_at": "drift_at",
            "_retrain_at": "scheduled_at",
            "_labels_since_retrain_n": "_labels_n",
        }
        | same_names("_labels_since_drift_n", "_follow_ups_n"),
    ),
    "retrainings": (
        Retrainings,
        {"retrained_n": "ordered_n", "_jobs_n": "jobs_n", "_outrun": "outrun"}
        | same_names("adopted_n", "kept_n", "rolled_back_n", "ordered_at", "adopted_at", "_open"),
    ),
    "displaced": (
        Displaced,
        {"settings": "_settings", "_trial": "trial"}
        | same_names("parked", "_parked_n", "_described"),
    ),
}


class Trainer(OfParts):
    """Learns each settled label at once, orders retrainings, and adopts better challengers.

    - `learner`: the first champion; `schema`: the columns and classes of its rows.
    - `settings`: the `learn` table of the settings.
    - `chance`: the source of random choices for the memory, the twins and retrainings.
    """

    PARTS: ClassVar[Parts] = _PARTS
    SHARED = ("settings",)

    def __init__(
        self, learner: Learner, schema: Schema, settings: LearnSettings, chance: Chance
    ) -> None:
        self.schema = schema
        self.settings = settings
        self.chance = chance
        self.version = 0
        self.champion = Champion(learner, settings)
        self.memory = Memory(settings, chance)
        self.noise = LabelNoise()
        self.twins = Twins(learner, settings.twins_share, chance)
        self.triggers = RetrainTriggers(settings)
        self.retrainings = Retrainings()
        self.displaced = Displaced(settings)
        self.versions = Versions(settings)

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 no version of the model was kept."""
        return fields | {"versions": Versions(fields["settings"])}

    # ------------------------------------------------------------------ what shards read

    def probabilities(
        self, X: Floats, at: Floats | None = None, original_of: OriginalOf | None = None
    ) -> Floats:
        """The champion's calibrated probabilities, shape (n, k); a row it failed on is NaN.

        The parameters are those of `Learner.probabilities`.
        """
        champion = self.champion
        return champion.calibration.apply(champion.learner.probabilities(X, at, original_of))

    @property
    def has_members(self) -> bool:
        """Whether the champion is a committee or an ensemble."""
        return self.champion.learner.has_members

    def members(self, X: Floats, at: Floats, original_of: OriginalOf) -> Floats | None:
        """The probabilities by each member of the champion, shape (m, n, k); None without any."""
        return self.champion.learner.members(X, at, original_of)

    @property
    def wants_context(self) -> bool:
        """Whether requests should carry a `Context`."""
        return self.champion.learner.wants_context

    def context(
        self,
        row: Floats,
        at: float,
        events_n: int,
        moments: dict[str, Moments],
        original: Features | None = None,
    ) -> Context | None:
        """The `Context` that must come back with this event's label; see `Learner.context`."""
        return self.champion.learner.context(row, at, events_n, moments, original)

    @property
    def has_learned(self) -> bool:
        """Whether the champion has learned a label; before that it predicts nothing."""
        return self.champion.has_learned

    def suspects(self, request_id: str) -> bool:
        """Whether the label of this request was learned last and looks wrong."""
        return self.noise.last_is(request_id)

    # ------------------------------------------------------------------ entries are made here

    def next_deadline(self) -> float | None:
        """When the schedule orders a retraining, in seconds; None if none can be ordered."""
        at = self.triggers.scheduled_at
        return at if at is not None and self._can_order else None

    def order_due(self, now: float) -> list[RetrainRequested | ModelKept | ModelRolledBack]:
        """The log entries that are due at `now`, seconds; a list of at most one.

        It is the roll back of an adopted challenger that proved worse, else the end of a retraining
        that was outrun by labels, else the retraining that `triggers` asks for.
        """
        trial, outrun = self.displaced.trial, self.retrainings.outrun
        if trial is not None and trial.is_worse:
            return [trial.order_roll_back(now, self.version + 1)]
        if outrun is not None:
            detail = "more labels came in during the retraining than it was given"
            return [keep_unjudged(outrun, now, detail)]
        reason = self.triggers.reason(now)
        return [] if reason is None else self.order_retraining(reason, now)

    def order_retraining(
        self, reason: str, now: float
    ) -> list[RetrainRequested | ModelKept | ModelRolledBack]:
        """The entry that orders a retraining, in a list; empty while a job is open, or with too
        few examples.

        The reason "drift" does not wait for an open job, which knows nothing of the drift: the new
        one replaces it.
        """
        is_dropping = self.retrainings.open_job is not None and reason == "drift"
        if not (self._can_order or (is_dropping and self._is_fit)):
            return []
        entry = RetrainRequested(
            job_id=self.retrainings.jobs_n,
            at=now,
            reason=reason,
            examples_n=len(self.memory),
            model_version=self.version,
        )
        return [entry]

    @property
    def _is_fit(self) -> bool:
        """Whether there are enough examples, and the champion can be retrained."""
        is_enough = len(self.memory) >= self.settings.retrain_labels_min
        return is_enough and self.champion.can_be_retrained

    @property
    def _can_order(self) -> bool:
        return self.retrainings.open_job is None and self._is_fit

    def judge(self, finished: RetrainFinished) -> ModelAdopted | ModelKept | None:
        """Judge a finished job and return its log entry; None for a job that is not open."""
        if self.retrainings.job(finished.job_id) is None:
            return None
        if finished.challenger is None:
            reason = finished.error or "the job came back without a challenger"
            return keep_unjudged(finished.job_id, finished.at, reason)
        caught = self.retrainings.catch_up(finished.challenger, self.schema)
        assert caught is not None
        challenger_right = dict(caught.right)
        pairs = [
            (bool(example.champion_right), challenger_right[example.id])
            for example in self.memory.latest_control(self.settings.adopt_labels_n)
            if example.champion_right is not None and example.id in challenger_right
        ]
        return judge_pairs(
            finished.job_id,
            finished.at,
            pairs,
            margin=self.settings.adopt_margin,
            model_version=self.version + 1,
        )

    def prepare(self, challenger: Challenger, is_enough: Callable[[], bool]) -> bool:
        """Let a finished challenger learn what settled since its job was ordered, in slices.

        Call it between feeds until it returns true, then at once judge or fold its adoption: these
        have nothing left to learn. A slice ends after the example at which `is_enough` returns
        true. The challenger is taken over: nobody else may use it. False means: call again, unless
        `is_outdated`. The result is the same as without slices, bit for bit.
        """
        retrainings = self.retrainings
        if retrainings.job(challenger.job_id) is None:
            return True
        if retrainings.is_outdated(challenger, self.schema):
            return False
        caught = retrainings.catch_up(challenger, self.schema, is_enough, is_taken_over=True)
        return caught is not None

    def is_outdated(self, challenger: Challenger) -> bool:
        """Whether a challenger that `prepare` began with has to be made again from its job.

        It has if a column or a class came since: with it, rows may be learned differently.
        """
        return self.retrainings.is_outdated(challenger, self.schema)

    # ------------------------------------------------------------------- changing the model

    def fold(self, entry: Entry, challenger: Challenger | None = None) -> None:
        """Apply one entry of the log. For `ModelAdopted`, `challenger` saves its recomputation."""
        self.version += 1
        is_ordered = isinstance(entry, ModelRolledBack) and entry.to is not None
        if isinstance(entry, LabelSettled) and entry.confirms:
            # The model has learned this label already; it is confirmed and no longer suspect.
            self.noise.erase({entry.request_id})
        elif isinstance(entry, LabelSettled):
            self._fold_settled(entry)
        elif isinstance(entry, LabelDisputed):
            # Only a dispute after a settled label has an example to remove.
            self.memory.remove(entry.request_id)
            self.noise.erase({entry.request_id})
            self.champion.learner.forget(entry.request_id)
        elif isinstance(entry, RetrainRequested):
            self._begin_retraining(entry)
        elif isinstance(entry, ModelAdopted):
            self._fold_adopted(entry, challenger)
        elif isinstance(entry, ModelKept):
            self.retrainings.note_kept(entry.job_id)
        elif isinstance(entry, ModelRolledBack):
            (self._fold_return if is_ordered else self._fold_roll_back)(entry)
        is_new = isinstance(entry, ModelAdopted | ModelRolledBack) and not is_ordered
        if self.versions.is_due(self.champion.learned_n, is_new=is_new):
            self.versions.keep(self.as_version())

    def as_version(self) -> Version:
        """The present champion as a version."""
        return self.champion.as_version(self.version)

    def _fold_settled(self, entry: LabelSettled) -> None:
        code = self.schema.class_code(entry.label)
        if code is None:  # The classes named by the served model left no room for this one.
            self.champion.pass_over("no room for its class: raise schema.classes_max")
            return
        row = self.schema.row(entry.features)
        predicted = self.champion.learner.predict_row(row, entry.context, entry.features)
        example = Example(
            id=entry.request_id,
            at=self.memory.limit_time(entry.event_at, entry.at),
            row=row,
            code=code,
            is_control=entry.reason in DRAWN_AT_RANDOM,
            champion_right=is_likeliest(predicted, code),
            context=entry.context,
            original=entry.features,
            weight=entry.agreement if self.settings.soft_labels else 1.0,
        )
        if self.memory.revise(example.id, code, example.weight):
            # The label was corrected: the example changes, and the model learns it once more.
            example = replace(example, is_control=False)
            self.noise.erase({entry.request_id})
        else:
            example = self._remember_example(entry, example, predicted)
        self.displaced.judge(example, self.champion.part)
        self.champion.learn(example, entry.at)
        self.triggers.count_label(entry.at)
        self.retrainings.note_example(example, since_max=self.settings.memory_n)

    def _remember_example(self, entry: LabelSettled, example: Example, said: Floats) -> Example:
        """Add the example of a new label to the memory; return it as challengers are judged on it.

        `said` is the champion's prediction before learning it, shape (k,).
        """
        champion = self.champion
        # A label that returns with a third opinion was judged when it first settled.
        if champion.has_learned and entry.opinion_n == 1 and not math.isnan(said[0]):
            honest = champion.calibration.apply(said[np.newaxis])[0]
            self.noise.learn(entry, honest, example.code, self.schema.classes)
            champion.calibration.learn(said, example.code, entry.propensity * entry.judges)
        if champion.renews_members and example.is_control and champion.has_learned:
            example = replace(example, champion_right=is_right(champion.part(), example))
            self.memory.add(example)
        else:
            kept = example if example.context is None else replace(example, context=None)
            self.memory.add(kept)
        if entry.opinion_n == 1:
            self.twins.learn(entry, example.row, example.code)
        return example

    def _begin_retraining(self, entry: RetrainRequested) -> None:
        self.triggers.reset(entry.reason, entry.at)
        examples, champion = self.memory.examples(), self.champion
        half_life_s = self.settings.half_life_s or half_life_s_of(examples, self.triggers.drift_at)
        half_lives_s = self._half_lives_s(half_life_s)
        by_half_life = [weights_of(examples, seconds) for seconds in half_lives_s]
        if entry.reason != "after drift":
            self.displaced.look_at(examples, self.schema)
        job = RetrainJob(
            job_id=entry.job_id,
            examples=tuple(examples),
            weights=by_half_life[0],
            seed=self.chance.seed,
            unlearned=champion.set_apart(champion.part().make_unlearned()),
            # Naive Bayes of a committee has to weigh each label once, as it does without.
            passes=1 if champion.renews_members else self.settings.passes,
            adopt_labels_n=self.settings.adopt_labels_n,
            alternatives=tuple(by_half_life[1:]),
            parked=self._find_alike(examples),
        )
        self.retrainings.begin_job(job, entry.at)

    def _half_lives_s(self, half_life_s: float) -> tuple[float, ...]:
        """The half-lives in seconds that compete in a retraining.

        Just this one if it is set or the whole model is retrained; for river members of a committee
        also a quarter of it, and infinity.
        """
        is_alone = self.settings.half_life_s is not None or not self.champion.renews_members
        return (half_life_s,) if is_alone else (half_life_s, half_life_s / 4.0, math.inf)

    def _find_alike(self, examples: Sequence[Example]) -> tuple[Parked, ...]:
        """Views of the parked models whose inputs looked like these, for use in a job."""
        champion, alike = self.champion, self.displaced.find_alike(examples, self.schema)
        return tuple(replace(p, part=champion.view_returning(p.part)) for p in alike)

    def _fold_adopted(self, entry: ModelAdopted, challenger: Challenger | None) -> None:
        job, champion = self.retrainings.job(entry.job_id), self.champion
        if job is None:
            raise BrokenInvariant(f"job {entry.job_id} is adopted and was not ordered")
        adopted = self.retrainings.catch_up(
            challenger or retrain(job), self.schema, is_taken_over=challenger is None
        )
        assert adopted is not None
        newest = self.memory.examples() or job.examples
        self.displaced.park(entry.job_id, newest[-1].at, champion.part(), champion.calibration)
        self.displaced.take_out(adopted.parked)
        champion.adopt(adopted.learner)
        self.retrainings.note_adoption(entry.at)

    def _fold_roll_back(self, entry: ModelRolledBack) -> None:
        trial = self.displaced.roll_back(entry.job_id)
        self.champion.go_back(trial.part, trial.calibration)
        self.retrainings.note_roll_back()

    def _fold_return(self, entry: ModelRolledBack) -> None:
        """Go back to the version that somebody ordered; the displaced one is kept as a version."""
        version = self.versions.find(entry.to)
        if version is None:
            raise BrokenInvariant(f"version {entry.to} is rolled back to and is not kept")
        displaced = self.champion.as_version(self.version - 1)
        self.versions.go_back(version, self.champion.learned_n, entry.order_key)
        self.versions.keep(displaced, is_displaced=True)
        self.champion.go_back(version.learner.copy(), copy.deepcopy(version.calibration))
        self.displaced.end_trial()
        self.retrainings.note_roll_back()
