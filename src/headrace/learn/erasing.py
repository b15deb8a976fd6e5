"""Labelled examples are erased, and models that learned them are made anew.

What is solved from evidence at each label (a committee's Gaussian process and discriminant) is
solved from what is left. A river classifier learns one label at a time and can't unlearn: it is
trained from nothing on the examples that are left in the memory, by the weights of a retraining.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..messages import ErasureOrdered, Features, SubjectErased
from ..subject import Subject
from .committee.committee import Committee
from .learner import Learner
from .memory import half_life_s_of, weights_of
from .parked import Part
from .retrain import RetrainJob, attempt
from .trainer import Trainer
from .twins import Twins

Names = Callable[[str, str | None, Features | None], bool]
"""Whether an event with this id, key and features is to be forgotten."""


def erase_labels(order: ErasureOrdered, trainer: Trainer) -> SubjectErased:
    """Forget what a trainer alone holds of the events that an order names; what that was."""
    version = trainer.version + 1
    examples_n, is_refitted = erase_examples(
        trainer, Subject(order).names, order.request_ids, is_learned=order.is_learned
    )
    if order.before is not None:
        trainer.noise.erase((), order.before)
    if order.examples_before is not None:
        old_n, is_made_anew = forget_examples(
            trainer, order.examples_before, is_unlearned=order.is_unlearned
        )
        examples_n, is_refitted = examples_n + old_n, is_refitted or is_made_anew
    trainer.version = version
    rows = [example.row for example in trainer.memory.examples()]
    categories_n = trainer.schema.forget_categories(rows)
    read_anew(trainer)
    found = {"examples": examples_n, "model categories": categories_n}
    erased = {where: n for where, n in found.items() if n}
    return SubjectErased(at=order.at, key=order.key, erased=erased, is_refitted=is_refitted)


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
    evidence_n = trainer.champion.learner.erase(
        lambda key, x, at: key in all_gone or names("", None, dict(x))
    )
    if not (is_learned or gone or evidence_n):
        return 0, False
    _make_anew(trainer)
    return max(len(gone), evidence_n), True


def forget_examples(trainer: Trainer, before: float, *, is_unlearned: bool) -> tuple[int, bool]:
    """Forget the examples of before a time, seconds; how many, and whether models were made anew.

    They are where it `is_unlearned`. Else what river classifiers have learned stays in their sums,
    and evidence alone is forgotten: of all models that are kept, and of the twins what the memory
    does not hold any more, for they date nothing.
    """
    gone = {x.id for x in trainer.memory.examples() if x.at < before}
    for request_id in sorted(gone):
        trainer.memory.remove(request_id)
    trainer.noise.erase(gone, before)
    learners = [part for part in _parts_of(trainer) if isinstance(part, Learner)]
    evidence_n = [one.erase(lambda key, x, at: at < before) for one in learners]
    if trainer.retrainings.open_job is not None and gone:
        # It was to learn them.
        trainer.retrainings.drop()
    twins, kept = trainer.twins, {x.id for x in trainer.memory.examples()}
    for twin in (*twins.random, *twins.chosen, twins.joint):
        if isinstance(twin.model, Committee):
            twin.erase(lambda key, x, at: key not in kept)
    if not (gone or any(evidence_n)):
        return 0, False
    trainer.version += 1
    if is_unlearned:
        _make_anew(trainer)
    return max(len(gone), evidence_n[0]), is_unlearned


def _make_anew(trainer: Trainer) -> None:
    """The model as the examples that are left make it; and nothing that was learned before.

    Whatever was displaced or is in training has learned it too.
    """
    trainer.displaced.forget()
    trainer.retrainings.drop()
    trainer.versions.forget()
    trainer.displaced.look_at(trainer.memory.examples(), trainer.schema)
    trainer.champion.adopt(_train_anew(trainer))
    trainer.twins = Twins(trainer.champion.learner, trainer.settings.twins_share, trainer.chance)


def read_anew(trainer: Trainer) -> None:
    """Categories of the schema were forgotten: all models read it anew."""
    twins = trainer.twins
    for part in (*_parts_of(trainer), *twins.random, *twins.chosen, twins.joint):
        part.attach(trainer.schema)


def _parts_of(trainer: Trainer) -> list[Part]:
    """The model in use, then all that were displaced or kept."""
    champion, displaced = trainer.champion, trainer.displaced
    parts: list[Part] = [champion.learner, *(parked.part for parked in displaced.parked)]
    parts += [version.learner for version in trainer.versions.all]
    return parts if displaced.trial is None else [*parts, displaced.trial.part]


def _train_anew(trainer: Trainer) -> Part:
    """What a retraining makes anew, trained from nothing on the examples that are left."""
    champion = trainer.champion
    unlearned = champion.set_apart(champion.part().unlearned())
    examples = tuple(trainer.memory.examples())
    if not examples:
        return unlearned
    settings = trainer.settings
    half_life_s = settings.half_life_s or half_life_s_of(examples, trainer.triggers.drift_at)
    job = RetrainJob(
        job_id=-1,
        examples=examples,
        weights=weights_of(examples, half_life_s)
        if champion.can_be_retrained
        else (1.0,) * len(examples),
        seed=trainer.chance.seed,
        unlearned=unlearned,
        passes=1 if champion.learner.is_made_anew else settings.passes,
        adopt_labels_n=settings.adopt_labels_n,
    )
    challenger, _ = attempt(job)
    return unlearned if challenger is None else challenger.learner
