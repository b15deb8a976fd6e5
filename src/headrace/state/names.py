"""The names of classes in a state, and where the classes of earlier versions are now."""

from __future__ import annotations

import importlib

RENAMED: dict[str, str] = {
    "label.desk:Counts": "label.counts:Counts",
    "label.dawid_skene:Heard": "label.dawid_skene:VotedRequest",
    "learn.committee.committee:_Example": "learn.committee.keeping:LabelledEvent",
    "learn.committee.keeping:Example": "learn.committee.keeping:LabelledEvent",
    "query.accounts:Asked": "query.accounts:AskedLabel",
    "query.rules.space:Neighbours": "query.rules.space:NearestDistances",
    "settings.privacy:Rule": "settings.privacy:PrivacyRule",
    "learn.trainer:OpenJob": "learn.retrainings:OpenJob",
    "scoring_model:ScoringModel": "learn.scoring_model:ScoringModel",
    "shard:Shard": "shard.shard:Shard",
}
"""The present name of a class, by its name in states of earlier versions."""
HOMES: dict[str, tuple[str, ...]] = {
    "messages": ("messages.inputs", "messages.outputs", "messages.rejected"),
    "query.budgets": ("query.budgets.budget", "query.budgets.plain", "query.budgets.reserve"),
    "settings": ("settings.sections", "settings.label"),
}
"""The modules that hold the classes now, by a module that was split up."""
FOLDERS = ("messages", "settings")
"""Prefixes of modules that are folders now: `settings_kafka` is `settings.kafka`."""


def name_of(cls: type) -> str:
    """Return the name of a class in states, such as `learn.memory:Example`."""
    return f"{cls.__module__.removeprefix('headrace.')}:{cls.__qualname__}"


def present_name(name: str) -> str:
    """Return the present name of a class, from its name in a state of any version.

    >>> present_name("settings:LabelSettings"), present_name("settings_kafka:WorkerSettings")
    ('settings.label:LabelSettings', 'settings.kafka:WorkerSettings')
    """
    module, _, path = RENAMED.get(name, name).partition(":")
    folder, _, rest = module.partition("_")
    if folder in FOLDERS and rest:
        return f"{folder}.{rest}:{path}"
    for home in HOMES.get(module, ()):
        cls = getattr(importlib.import_module(f"headrace.{home}"), path.partition(".")[0], None)
        if getattr(cls, "__module__", "") == f"headrace.{home}":
            return f"{home}:{path}"
    return f"{module}:{path}"
