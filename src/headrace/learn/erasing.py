"""Erasing labelled examples, and making the models that learned them anew.

Models that are solved from evidence at each label (a committee's Gaussian process and discriminant)
are solved from the remaining evidence. A river classifier learns one label at a time and can't
unlearn: it is trained from scratch on the examples that remain in the memory, with the weights of a
retraining.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..messages import ErasureOrdered, Features, SubjectErased
from ..privacy.subject import Subject
from .committee.committee import Committee
from .learner import Learner
from .memory import half_life_s_of, weights_of
from .parked import Part
from .retrain import RetrainJob, attempt_job
from .trainer import Trainer
from .twins import Twins

Names = Callable[[str, str | None, Features | None], bool]
"""A function that returns whether an event with this id, key and features must be erased."""


def erase_labels(order: ErasureOrdered, trainer: Trainer) -> SubjectErased:
    """Erase the data of the events that an order names from a trainer; return what was erased."""
    version = trainer.version + 1
    examples_n, is_refitted = erase_examples(
        trainer, Subject(order).names_event, order.request_ids, is_learned=order.is_learned
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
    counts = {"examples": examples_n, "model categories": categories_n}
    erased = {where: n for where, n in counts.items() if n}
    return SubjectErased(at=order.at, key=order.key, erased=erased, is_refitted=is_refitted)


def erase_examples(
    trainer: Trainer, names: Names, request_ids: Collection[str], *, is_learned: bool
) -> tuple[int, bool]:
    """Erase the examples of these requests, and of events that `names` returns true for.

    Returns how many were erased, and whether models were made anew: they are if an example was
    found, or if `is_learned` says that one was learned once.
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
    """Erase the examples before a time, seconds.

    Returns how many were erased, and whether models were made anew: they are if `is_unlearned`.
    Otherwise river classifiers keep what they have learned in their sums, and only evidence is
    erased: in all models that are kept, and in the twins whatever the memory no longer has, because
    twins know no times.
    """
    gone = {x.id for x in trainer.memory.examples() if x.at < before}
    for request_id in sorted(gone):
        trainer.memory.remove(request_id)
    trainer.noise.erase(gone, before)
    learners = [part for part in _parts_of(trainer) if isinstance(part, Learner)]
    evidence_n = [learner.erase(lambda key, x, at: at < before) for learner in learners]
    if trainer.retrainings.open_job is not None and gone:
        # The open job would learn the erased examples.
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
    """Replace the model by one trained on the remaining examples, and drop all other models.

    Displaced models, versions and a model in training have learned the erased examples too.
    """
    trainer.displaced.forget()
    trainer.retrainings.drop()
    trainer.versions.forget()
    trainer.displaced.look_at(trainer.memory.examples(), trainer.schema)
    trainer.champion.adopt(_train_anew(trainer))
    trainer.twins = Twins(trainer.champion.learner, trainer.settings.twins_share, trainer.chance)


def read_anew(trainer: Trainer) -> None:
    """Make all models read the schema anew, after categories were erased from it."""
    twins = trainer.twins
    for part in (*_parts_of(trainer), *twins.random, *twins.chosen, twins.joint):
        part.attach(trainer.schema)


def _parts_of(trainer: Trainer) -> list[Part]:
    """The model in use, then the parked models, the versions and the predecessor on trial."""
    champion, displaced = trainer.champion, trainer.displaced
    parts: list[Part] = [champion.learner, *(parked.part for parked in displaced.parked)]
    parts += [version.learner for version in trainer.versions.all]
    return parts if displaced.trial is None else [*parts, displaced.trial.part]


def _train_anew(trainer: Trainer) -> Part:
    """The part that a retraining replaces, trained from scratch on the remaining examples."""
    champion = trainer.champion
    unlearned = champion.set_apart(champion.part().make_unlearned())
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
    challenger, _ = attempt_job(job)
    return unlearned if challenger is None else challenger.learner
