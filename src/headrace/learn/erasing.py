"""Labelled examples are erased, and models that learned them are made anew.

What is solved from evidence at each label (a committee's Gaussian process and discriminant) is
solved from what is left. A river classifier learns one label at a time and can't unlearn: it is
trained from nothing on the examples that are left in the memory, by the weights of a retraining.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..messages import Features
from .calibration import Calibration
from .committee.committee import Committee
from .memory import half_life_s_of, weights_of
from .parked import Part, describe
from .retrain import RetrainJob, attempt
from .trainer import Trainer
from .twins import Twins

Names = Callable[[str, str | None, Features | None], bool]
"""Whether an event with this id, key and features is to be forgotten."""


def erase_examples(
    trainer: Trainer, names: Names, request_ids: Collection[str], *, is_learned: bool
) -> tuple[int, bool]:
    """Forget the examples of these requests; how many, and whether models were made anew.

    They are made anew if an example was found, or if one is known to have been learned once.
    """
    trainer.version += 1
    examples = trainer.memory.examples()
    gone = [x.id for x in examples if x.id in request_ids or names("", None, x.original)]
    for request_id in gone:
        trainer.memory.remove(request_id)
    all_gone = {*request_ids, *gone}
    trainer.noise.erase(all_gone)
    evidence_n = trainer.learner.erase(all_gone, lambda x: names("", None, dict(x)))
    if not (is_learned or gone or evidence_n):
        return 0, False
    # Whatever was displaced or is in training has learned the labels too.
    trainer.parked, trainer._trial, trainer._open, trainer._outrun = [], None, None, None
    trainer.versions.forget()
    trainer._described = describe(trainer.memory.examples(), trainer.schema)
    trainer._install(_trained_anew(trainer))
    if not isinstance(trainer.learner.model, Committee):
        trainer.calibration = Calibration()
    trainer.twins = Twins(trainer.learner, trainer.settings.twins_share, trainer.chance)
    return max(len(gone), evidence_n), True


def read_anew(trainer: Trainer) -> None:
    """Categories of the schema were forgotten: all models read it anew."""
    twins, trial = trainer.twins, trainer._trial
    parts: list[Part] = [trainer.learner, *twins.random, *twins.chosen, twins.joint]
    parts += [parked.part for parked in trainer.parked]
    parts += [version.learner for version in trainer.versions.all]
    for part in parts if trial is None else [*parts, trial.part]:
        part.attach(trainer.schema)


def _trained_anew(trainer: Trainer) -> Part:
    """What a retraining makes anew, trained from nothing on the examples that are left."""
    unlearned = trainer._apart(trainer._part().unlearned())
    examples = tuple(trainer.memory.examples())
    if not examples:
        return unlearned
    settings = trainer.settings
    half_life_s = settings.half_life_s or half_life_s_of(examples, trainer._drift_at)
    is_weighted = trainer._renews_members or not trainer.learner.is_made_anew
    job = RetrainJob(
        job_id=-1,
        examples=examples,
        weights=weights_of(examples, half_life_s) if is_weighted else (1.0,) * len(examples),
        seed=trainer.chance.seed,
        unlearned=unlearned,
        passes=1 if trainer.learner.is_made_anew else settings.passes,
        adopt_labels_n=settings.adopt_labels_n,
    )
    challenger, _ = attempt(job)
    return unlearned if challenger is None else challenger.learner
