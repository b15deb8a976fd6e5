"""Whether a state was made by an engine like the one that is to go on from it.

A state brings back settings, model, strategy, budget, workflow and detectors as they were. If the
engine was made with others, these would be dropped without a word; so such a state is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import msgspec

from ..errors import BadInput
from ..learn.estimator import SklearnClassifier
from ..learn.parts import name_of
from ..learn.trainer import Trainer
from ..query.budgets import Account
from ..settings.reading import decides_nothing, differing_fields
from ..shard.shard import Shard


def list_differences(then: tuple[Shard, Trainer], now: tuple[Shard, Trainer]) -> list[str]:
    """Return a sentence for each difference in what two engines were made of.

    `then` are parts of the state, `now` those of the engine that is to go on. Raises `BadInput` if
    the state lacks something.
    """
    try:
        settings_then, parts_then = msgspec.to_builtins(then[0].settings), _describe_parts(*then)
    except (AttributeError, TypeError) as error:
        raise BadInput(f"the state is not whole: {error}") from error
    settings = differing_fields(settings_then, msgspec.to_builtins(now[0].settings))
    differences = [one for one in settings if not decides_nothing(one[0])]
    # A setting may name a part, whose difference then says nothing new.
    differences = differences or [*differing_fields(parts_then, _describe_parts(*now))]
    return [
        f"{where} is {here!r}, and the state was made with {there!r}; set it back, or begin with "
        "a new engine"
        for where, there, here in differences
    ]


def _describe_parts(shard: Shard, trainer: Trainer) -> dict[str, Any]:
    """Return what these parts were made of.

    Of objects of yours there is the class alone: which of their attributes are state is not known.
    """
    model = trainer.champion.learner.model
    return {
        "model": name_of(model),
        "estimator": name_of(model.estimator) if isinstance(model, SklearnClassifier) else None,
        "strategy": shard.asking.strategy_name,
        "budget": _describe_accounts(shard.asking.budget.accounts),
        "workflow": type(shard.asking.schedule.workflow).__name__,
        "detectors": [type(detector).__name__ for detector in shard.drift.own],
    }


def _describe_accounts(accounts: Sequence[Account]) -> dict[str, dict[str, Any]]:
    """Return of each account its arguments where it is Headrace's own, else nothing."""
    found: dict[str, dict[str, Any]] = {}
    for i, account in enumerate(accounts):
        kind = type(account)
        is_ours = kind.__module__.startswith("headrace.")
        # A `Cap` keeps its `labels` under another name.
        names = [*inspect.signature(kind).parameters, "cap"] if is_ours else []
        kept = vars(account) if is_ours else {}
        found[f"{kind.__name__}[{i}]"] = {name: kept[name] for name in names if name in kept}
    return found
