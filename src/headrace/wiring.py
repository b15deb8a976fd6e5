"""Makes the parts of an engine and of the workers on Kafka; nothing else makes them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from .candidates import check_members
from .chance import Chance
from .label.desk import Desk
from .label.gold import GoldQuestions
from .learn.learner import Learner
from .learn.models import as_model, build, check_model
from .learn.trainer import Trainer
from .learn.view import View
from .observe.drift import Detector
from .observe.schema import Schema
from .query.asking import Asking
from .query.budgets import Budget, from_settings
from .query.schedule import Workflow
from .query.strategies import Strategy
from .settings import Settings
from .shard import Shard


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


def make_desk(settings: Settings) -> Desk:
    """Return a desk without requests."""
    declared = settings.schema
    gold = GoldQuestions(settings.label, Chance(settings.seed), settings.kafka.desk_partitions)
    return Desk(settings.label, declared.classes, declared.classes_max, schema=declared, gold=gold)
