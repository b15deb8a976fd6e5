"""Stores the states of an object's parts as fields of the object's own state.

An object that was split into parts is stored as if it were whole, so that states from before the
split can still be read. `Parts` maps each attribute that holds a part to the class of the part, and
to the fields of the state with the part's attribute for each.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, TypeAlias

Parts: TypeAlias = Mapping[str, tuple[type, Mapping[str, str]]]


class OfParts:
    """Base of objects that are stored as if they were whole, reading and writing by `PARTS`.

    `SHARED` are fields of parts that the object also has as attributes of its own.

    >>> class Clock:
    ...     def __init__(self) -> None:
    ...         self.now = 5.0
    >>> class Watch(OfParts):
    ...     PARTS = {"clock": (Clock, {"seconds": "now"})}
    ...     def __init__(self) -> None:
    ...         self.clock = Clock()
    >>> Watch().__getstate__()
    {'seconds': 5.0}
    """

    PARTS: ClassVar[Parts]
    SHARED: ClassVar[Collection[str]] = ()

    def __getstate__(self) -> dict[str, Any]:
        return join_parts(self, self.PARTS)

    def __setstate__(self, state: dict[str, Any]) -> None:
        split_parts(self, self.PARTS, state, self.SHARED)


def join_parts(owner: object, parts: Parts) -> dict[str, Any]:
    """Return the state of an object with those of its parts, for its `__getstate__`."""
    state: dict[str, Any] = vars(owner).copy()
    for name, (_, fields) in parts.items():
        part = state.pop(name)
        state |= {field: getattr(part, attribute) for field, attribute in fields.items()}
    return state


def split_parts(
    owner: object, parts: Parts, state: Mapping[str, Any], shared: Collection[str] = ()
) -> None:
    """Restore an object and its parts from a state, for its `__setstate__`.

    Fields in `shared` become attributes of the object as well as of the part.
    """
    of_parts = {field for _, fields in parts.values() for field in fields}
    own = {name: value for name, value in state.items() if name in shared or name not in of_parts}
    for name, (kind, fields) in parts.items():
        part: object = object.__new__(kind)
        vars(part).update({attribute: state[field] for field, attribute in fields.items()})
        own[name] = part
    vars(owner).update(own)


def same_names(*names: str) -> dict[str, str]:
    """Return a mapping for fields that have the same names as the part's attributes."""
    return {name: name for name in names}
