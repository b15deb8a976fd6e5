"""Bridges between Headrace and the places where people label; `BRIDGES` has them all.

A bridge's module is imported only when that bridge is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..adapters.sealing import Sealer
from ..errors import BadSettings
from ..importing import import_function, suggest_nearest
from ..settings.reading import section_of
from .bridge import Bridge

BRIDGES: dict[str, str] = {
    "desk": "headrace.bridges.desk.bridge:DeskBridge",
    "label-studio": "headrace.bridges.label_studio:LabelStudio",
    "rabbitmq": "headrace.bridges.rabbitmq:RabbitMQ",
    "redis": "headrace.bridges.redis:Redis",
    "files": "headrace.bridges.files:Files",
    "functions": "headrace.bridges.functions:Functions",
}
"""The class of each kind of bridge, as `module:class`; a class has a struct `Settings`."""


def bridge_class(kind: str, setting: str) -> Any:
    """Return the class of a kind of bridge: a name of `BRIDGES`, or `module:class` of your own.

    Raises `BadSettings` if there is no such class, or it has no `Settings`; the error names
    `setting`, which has the kind.

    >>> bridge_class("desc", "bridges.team.kind")
    Traceback (most recent call last):
    headrace.errors.BadSettings: bridges.team.kind is 'desc', and there is no such bridge...
    """
    path = BRIDGES.get(kind, kind)
    if ":" not in path:
        known = ", ".join(sorted(BRIDGES))
        raise BadSettings(
            f"{setting} is {kind!r}, and there is no such bridge{suggest_nearest(kind, BRIDGES)}; "
            f"known are {known}, or module:class of your own"
        )
    bridge = import_function(setting, path)
    if not hasattr(bridge, "Settings"):
        raise BadSettings(f"{setting} is {kind!r}, which has no struct `Settings` of its own")
    return bridge


def settings_of(name: str, sections: dict[str, dict[str, Any]]) -> tuple[Any, Any]:
    """Return the class of the bridge `name` and its settings, from the section `[bridges.NAME]`.

    `sections` are all such sections by name. A section may have `kind`; without it the name is the
    kind, and then no section is needed. Raises `BadSettings` with every fault.
    """
    fields = dict(sections.get(name, {}))
    kind = fields.pop("kind", name)
    if not isinstance(kind, str):
        raise BadSettings(f"bridges.{name}.kind is {kind!r}; must be a text")
    if name not in sections and kind not in BRIDGES and ":" not in kind:
        known = [*sections, *BRIDGES]
        raise BadSettings(
            f"there is no bridge {name!r}{suggest_nearest(name, known)}; known are "
            f"{', '.join(sorted(known))}"
        )
    bridge = bridge_class(kind, f"bridges.{name}.kind")
    faults: list[str] = []
    settings = section_of(bridge.Settings, fields, f"bridges.{name}", faults)
    if not faults and hasattr(bridge, "faults_of"):
        faults += [f"bridges.{name}.{fault}" for fault in bridge.faults_of(settings)]
    if faults:
        raise BadSettings(faults)
    return bridge, settings


def faults_of_bridges(sections: dict[str, dict[str, Any]]) -> list[str]:
    """Return the faults of all sections `[bridges.NAME]`, as sentences; [] if there are none."""
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
    """Make the bridge of the section `[bridges.NAME]`.

    - `name`, `sections`: as of `settings_of`.
    - `folder`: the folder of all bridges; this one gets a folder `name` in it for its files.
    - `sealer`: passed to a bridge that seals its files, whose class has a true `seals`.

    Raises `BadSettings` as `settings_of` does, and whatever the bridge raises.
    """
    kind, settings = settings_of(name, sections)
    more = {} if sealer is None or not getattr(kind, "seals", False) else {"sealer": sealer}
    bridge: Bridge = kind(settings, folder / name, **more)
    return bridge
