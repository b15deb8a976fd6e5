"""What the decisions of this worker follow from: settings that are no defaults, versions, code.

Settings of where something is reached or stored decide nothing, and are left out with all that may
hold a secret or a path.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import xxhash

from ...learn.rules import VERSION_OF
from ...settings import Settings

LEFT_OUT = frozenset(
    {"run", "http", "worker", "queue", "bridges", "audit", "sealing", "privacy.key_file"}
)
"""Sections and settings that do not change what is asked and learned."""

FROM_KAFKA = ("desk_partitions", "isolation", "request_bytes_max")
"""The settings in [kafka] that do change it."""

PACKAGES = ("headrace", "numpy", "river")

_OBJECT = re.compile(r"([A-Za-z_]\w*(?:\.\w+)*):[A-Za-z_]\w*(?:\.\w+)*")


def rules_in_use(settings: Settings) -> dict[str, str]:
    """Return digests of settings and code, and versions, by name.

    Modules that settings name count if they are imported by now.

    >>> from headrace.settings import parse
    >>> [name for name in rules_in_use(parse({"seed": 3})) if "version" not in name]
    ['seed']
    """
    parts = {name: _hash_bytes(msgspec.json.encode(value)) for name, value in _list_set(settings)}
    parts |= {f"{VERSION_OF}{name}": version(name) for name in PACKAGES}
    parts[f"{VERSION_OF}python"] = ".".join(platform.python_version_tuple()[:2])
    for name, value in _list_set(settings):
        for module in _modules_in(msgspec.to_builtins(value)):
            parts[f"code of {module} ({name})"] = _hash_bytes(_read_source(module))
    return parts


def _list_set(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Yield settings that decide and are no defaults, by their path."""
    defaults = Settings()
    for section in settings.__struct_fields__:
        if section in LEFT_OUT:
            continue
        ours, default = getattr(settings, section), getattr(defaults, section)
        if not isinstance(ours, msgspec.Struct):
            names = [("", ours, default)]
        else:
            fields = FROM_KAFKA if section == "kafka" else ours.__struct_fields__
            names = [(f".{f}", getattr(ours, f), getattr(default, f)) for f in fields]
        for name, value, by_default in names:
            if value != by_default and section + name not in LEFT_OUT:
                yield section + name, value


def _modules_in(value: Any) -> Iterator[str]:
    """Yield the modules of objects that settings name as `module:attribute`."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for one in value:
            yield from _modules_in(one)
    if isinstance(value, str) and (found := _OBJECT.fullmatch(value)):
        module = found.group(1)
        if module in sys.modules and not module.startswith("headrace."):
            yield module


def _read_source(module: str) -> bytes:
    """Return the source of a module; empty if it has no file."""
    try:
        return Path(getattr(sys.modules[module], "__file__", None) or "").read_bytes()
    except OSError:
        return b""


def _hash_bytes(data: bytes) -> str:
    return xxhash.xxh64_hexdigest(data)
