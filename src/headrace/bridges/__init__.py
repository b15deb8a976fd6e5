"""Bridges between Headrace and the places where people label; `BRIDGES` has them all.

Only the module of the bridge that is wanted is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..adapters.sealing import Sealer
from ..errors import BadSettings
from ..importing import imported, nearest
from ..settings.reading import section_of
from .bridge import Bridge

BRIDGES: dict[str, str] = {
    "desk": "headrace.bridges.desk.bridge:Desk",
    "label-studio": "headrace.bridges.label_studio:LabelStudio",
    "rabbitmq": "headrace.bridges.rabbitmq:RabbitMQ",
    "redis": "headrace.bridges.redis:Redis",
    "files": "headrace.bridges.files:Files",
    "functions": "headrace.bridges.functions:Functions",
}
"""Kinds of bridges by name: `module:class`, each with its struct `Settings`."""


def bridge_class(kind: str, setting: str) -> Any:
    """The class of a kind of bridge: a name of `BRIDGES`, or `module:class` of your own.

    Raises `BadSettings` where there is none, or it has no `Settings`; `setting` is who asks.

    >>> bridge_class("desc", "bridges.team.kind")
    Traceback (most recent call last):
    headrace.errors.BadSettings: bridges.team.kind is 'desc', and there is no such bridge...
    """
    path = BRIDGES.get(kind, kind)
    if ":" not in path:
        known = ", ".join(sorted(BRIDGES))
        raise BadSettings(
            f"{setting} is {kind!r}, and there is no such bridge{nearest(kind, BRIDGES)}; "
            f"known are {known}, or module:class of your own"
        )
    found = imported(setting, path)
    if not hasattr(found, "Settings"):
        raise BadSettings(f"{setting} is {kind!r}, which has no struct `Settings` of its own")
    return found


def settings_of(name: str, sections: dict[str, dict[str, Any]]) -> tuple[Any, Any]:
    """The class of the bridge `name` and its settings, from the section `[bridges.NAME]`.

    A section may say `kind`; without, the name is the kind, and needs no section. Raises
    `BadSettings` with every fault.
    """
    fields = dict(sections.get(name, {}))
    kind = fields.pop("kind", name)
    if not isinstance(kind, str):
        raise BadSettings(f"bridges.{name}.kind is {kind!r}; must be a text")
    if name not in sections and kind not in BRIDGES and ":" not in kind:
        known = [*sections, *BRIDGES]
        raise BadSettings(
            f"there is no bridge {name!r}{nearest(name, known)}; known are "
            f"{', '.join(sorted(known))}"
        )
    found = bridge_class(kind, f"bridges.{name}.kind")
    faults: list[str] = []
    settings = section_of(found.Settings, fields, f"bridges.{name}", faults)
    if not faults and hasattr(found, "faults_of"):
        faults += [f"bridges.{name}.{fault}" for fault in found.faults_of(settings)]
    if faults:
        raise BadSettings(faults)
    return found, settings


def faults_of_bridges(sections: dict[str, dict[str, Any]]) -> list[str]:
    """Every fault of all sections `[bridges.NAME]`; empty when there is none."""
    faults: list[str] = []
    for name in sections:
        try:
            settings_of(name, sections)
        except BadSettings as error:
            faults += error.faults
    return faults


def make_bridge(
    name: str, sections: dict[str, dict[str, Any]], folder: Path, sealer: Sealer | None = None
) -> Bridge:
    """The bridge of the section `[bridges.NAME]`, with a folder for its own files.

    One that seals them (`seals`) is given the `sealer`, if there is one. Raises `BadSettings` as
    `settings_of` does, and as the bridge itself.
    """
    kind, settings = settings_of(name, sections)
    more = {} if sealer is None or not getattr(kind, "seals", False) else {"sealer": sealer}
    made: Bridge = kind(settings, folder / name, **more)
    return made
