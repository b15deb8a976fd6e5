"""How the state of an object holds those of its parts: as fields of its own.

An object that was split into parts is stored as if it were whole, so states that were written
before are still read. `Parts` name, by attribute of the object, the class of the part, and by field
of the state the attribute of the part.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, TypeAlias

Parts: TypeAlias = Mapping[str, tuple[type, Mapping[str, str]]]


class OfParts:
    """An object that is stored as if it were whole; both halves of that follow from `PARTS`.

    `SHARED` are the fields of parts that it has itself too.

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
    """The state of an object, for its `__getstate__`."""
    state: dict[str, Any] = vars(owner).copy()
    for name, (_, fields) in parts.items():
        part = state.pop(name)
        state |= {field: getattr(part, attribute) for field, attribute in fields.items()}
    return state


def split_parts(
    owner: object, parts: Parts, state: Mapping[str, Any], shared: Collection[str] = ()
) -> None:
    """Set an object to its state, for its `__setstate__`; it has the `shared` fields itself too."""
    of_parts = {field for _, fields in parts.values() for field in fields}
    own = {name: x for name, x in state.items() if name in shared or name not in of_parts}
    for name, (made, fields) in parts.items():
        part: object = object.__new__(made)
        vars(part).update({attribute: state[field] for field, attribute in fields.items()})
        own[name] = part
    vars(owner).update(own)


def same_names(*names: str) -> dict[str, str]:
    """Fields that are called as the attributes of the part are."""
    return {name: name for name in names}
