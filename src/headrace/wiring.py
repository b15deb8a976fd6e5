"""Makes the parts of an engine and of the workers on Kafka; nothing else makes them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

import msgspec

from .chance import Chance
from .errors import BadSettings
from .label.desk import Desk
from .label.gold import GoldQuestions
from .learn.learner import Learner
from .learn.models import as_model, build, check_model
from .learn.trainer import Trainer
from .learn.view import View
from .observe.drift import Detector
from .observe.given import read_classes
from .observe.schema import Schema
from .query.asking import Asking
from .query.budgets import Account, Budget, from_settings
from .query.schedule import Workflow
from .query.strategies import Strategy
from .settings import Settings, check
from .settings.reading import check_types
from .shard.candidates import check_members
from .shard.shard import Shard


def complete_settings(
    settings: Settings | None, seed: int | None, classes: Sequence[str] | None
) -> Settings:
    """Return the settings of an engine, checked, with the seed and the classes that were passed.

    Raises `BadSettings` with every fault.
    """
    settings = Settings() if settings is None else settings
    if not isinstance(settings, Settings):
        kind = type(settings).__name__
        raise BadSettings(f"settings is a {kind}; pass a Settings, as load and parse return it")
    if seed is not None:
        if isinstance(seed, bool) or not isinstance(seed, Integral):
            raise BadSettings(f"the seed is {seed!r}; must be a whole number")
        settings = msgspec.structs.replace(settings, seed=int(seed))
    if classes is not None:
        schema = msgspec.structs.replace(settings.schema, classes=read_classes(classes))
        settings = msgspec.structs.replace(settings, schema=schema)
    settings = check_types(settings)
    faults = check(settings)
    if faults:
        raise BadSettings(faults)
    return settings


def make_schema(settings: Settings) -> Schema:
    """Return a schema with the declared columns and classes alone."""
    return Schema(settings.schema, settings.columns)


def make_learner(settings: Settings, schema: Schema, chance: Chance, model: Any = None) -> Learner:
    """Return a new learner of a copy of `model` or, if None, of the model the settings name.

    Raises `BadSettings` for a model that can't be used.
    """
    if model is None:
        named = settings.model
        model = build(named.name, chance.integer("model"), len(schema.classes), named.options)
    model = as_model(model)
    check_model(model)
    return Learner(copy.deepcopy(model), schema, settings.model.missing)


def make_trainer(settings: Settings, schema: Schema, chance: Chance, model: Any = None) -> Trainer:
    """Return a trainer with a new learner; arguments and errors as for `make_learner`."""
    learner = make_learner(settings, schema, chance, model)
    return Trainer(learner, schema, settings.learn, chance)


def make_shard(
    settings: Settings,
    schema: Schema,
    chance: Chance,
    model: Trainer | View,
    *,
    strategy: str | Strategy | None = None,
    budget: Budget | None = None,
    workflow: Workflow | None = None,
    detectors: Mapping[str, Detector] | None = None,
) -> Shard:
    """Return a shard that has seen no event.

    `model` is the trainer itself or a view of it. `strategy`, `budget`, `workflow` and `detectors`
    are those of `Engine`; where one is None, the settings decide.

    Raises `BadSettings` for a strategy, budget or detector that can't be used, or that needs
    members which the model does not have.
    """
    asking = Asking(
        settings.query,
        settings.label,
        strategy=settings.query.strategy if strategy is None else strategy,
        budget=from_settings(settings.query.budget) if budget is None else budget,
        chance=chance,
        stream=settings.stream,
        workflow=copy.deepcopy(workflow),
    )
    check_members(asking, model)
    return Shard(settings, schema, model, asking, chance, detectors)


def make_budget(budget: Account | Sequence[Account] | Budget | None, settings: Settings) -> Budget:
    """Return the budget of an engine: a copy of the one passed, or that of the settings.

    A single account, or a list of them, gets the reserves that the settings give.
    """
    if budget is None:
        return from_settings(settings.query.budget)
    # A budget has state: the engine copies it, as other engines may have been passed the same one.
    if isinstance(budget, Budget):
        return copy.deepcopy(budget)
    accounts: Any = budget
    if hasattr(budget, "labels_per_event") or not isinstance(budget, Iterable):
        accounts = [budget]
    limits = settings.query.budget
    return Budget(
        copy.deepcopy(list(accounts)),
        reserve=limits.reserve,
        reserve_share=limits.reserve_share,
        audit=limits.reserve_audit,
    )


def make_desk(settings: Settings) -> Desk:
    """Return a desk without requests."""
    declared = settings.schema
    gold = GoldQuestions(settings.label, Chance(settings.seed), settings.kafka.desk_partitions)
    return Desk(settings.label, declared.classes, declared.classes_max, schema=declared, gold=gold)
