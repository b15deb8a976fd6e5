"""How a state names a class, and where the classes of earlier versions are now."""

from __future__ import annotations

import importlib

RENAMED: dict[str, str] = {
    "label.desk:Counts": "label.counts:Counts",
    "learn.committee.committee:_Example": "learn.committee.keeping:Example",
}
"""Classes under the name by which earlier versions wrote them: where they are now."""
HOMES: dict[str, tuple[str, ...]] = {
    "messages": ("messages.inputs", "messages.outputs", "messages.rejected"),
    "settings": ("settings.sections", "settings.label"),
}
"""Modules that became several: where their classes are now."""
FOLDERS = ("messages", "settings")
"""What was `settings_kafka` is `settings.kafka`."""


def name_of(cls: type) -> str:
    """A class as states name it, such as `learn.memory:Example`."""
    return f"{cls.__module__.removeprefix('headrace.')}:{cls.__qualname__}"


def present_name(name: str) -> str:
    """The name of a class today, of one by which a state of any version names it.

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
