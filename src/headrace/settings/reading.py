"""Build a struct of settings from parsed TOML, and report every fault, not only the first.

Works for any msgspec struct; imports no section of `settings`. A fault names the path, the value
and what is expected there; for an unknown name, the nearest known one.
"""

from __future__ import annotations

import difflib
import math
import types
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ..errors import BadSettings

_FAULTY: Any = object()
_MAY_CHANGE = (
    "run.", "http.", "queue.", "audit.", "bridges", "privacy", "sealing.", "label.cost",
    "retention.",
)  # fmt: skip
"""How the paths of settings begin that decide nothing."""


def differing_fields(there: Any, here: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the path of each value that differs between two trees, with both values.

    >>> list(differing_fields({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}))
    [('a.c', 2, 3)]
    """
    if isinstance(there, dict) and isinstance(here, dict):
        for name in dict.fromkeys((*there, *here)):
            path = f"{where}.{name}" if where else name
            yield from differing_fields(there.get(name), here.get(name), path)
    elif there != here:
        yield where, there, here


def decides_nothing(path: str) -> bool:
    """Whether the setting with this path may change from one start of a run to the next.

    >>> decides_nothing("run.tick_s"), decides_nothing("query.strategy")
    (True, False)
    """
    return path.startswith(_MAY_CHANGE)


def section_of(kind: Any, raw: Any, path: str, faults: list[str]) -> Any:
    """Build a struct of class `kind` from `raw` field by field, so that no fault hides the next.

    Faults are appended to `faults`, as sentences that begin with the path of the value; `path` is
    that of the section, empty for the root. If any was appended, the result must not be used.
    """
    if not isinstance(raw, dict):
        faults.append(f"{path} is {raw!r}; must be a section")
        return _FAULTY
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    for name, value in raw.items():
        where = f"{path}.{name}" if path else name
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(fields)}"
            faults.append(f"{where} is not a setting; {hint}")
            continue
        values[name] = _value(fields[name].type, value, where, faults)
    for name, field in fields.items():
        if field.required and name not in values:
            faults.append(f"{path}.{name} is missing")
    values = {name: value for name, value in values.items() if value is not _FAULTY}
    if any(field.required and name not in values for name, field in fields.items()):
        return _FAULTY
    return kind(**values)


def _value(annotation: Any, value: Any, where: str, faults: list[str]) -> Any:
    bare = bare_type(annotation)
    if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
        return section_of(bare, value, where, faults)
    if typing.get_origin(bare) is tuple:
        if not isinstance(value, list | tuple):
            faults.append(f"{where} is {value!r}; must be an array of sections")
            return _FAULTY
        inner = typing.get_args(bare)[0]
        sections = [section_of(inner, v, f"{where}[{i}]", faults) for i, v in enumerate(value)]
        return tuple(section for section in sections if section is not _FAULTY)
    if isinstance(value, float) and not math.isfinite(value):
        faults.append(f"{where} is {value}; must be a finite number")
        return _FAULTY
    try:
        converted = msgspec.convert(value, annotation, strict=True)
        msgspec.json.encode(converted)
        return converted
    except UnicodeEncodeError:
        # A string in Python may hold half a surrogate pair, which no UTF-8 file can.
        faults.append(f"{where} is {value!r}; must be text that UTF-8 can write")
    except msgspec.ValidationError:
        choices = _choices(bare)
        near = difflib.get_close_matches(str(value), choices, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        faults.append(f"{where} is {value!r}; must be {_expectation(annotation)}{hint}")
    return _FAULTY


def check_types(settings: Any) -> Any:
    """Return a struct of settings made in Python as one read from a file would be.

    Raises `BadSettings` with a sentence for every value of a wrong type or out of bounds: msgspec
    checks none of them where a struct is made by a call.
    """
    try:
        raw = msgspec.to_builtins(settings, enc_hook=_as_plain)
    except (TypeError, ValueError) as error:
        raise BadSettings(f"the settings hold what no file can: {error}") from error
    try:
        return msgspec.convert(raw, type(settings), strict=True)
    except msgspec.ValidationError:
        faults: list[str] = []
        section_of(type(settings), raw, "", faults)
        raise BadSettings(faults) from None


def _as_plain(value: Any) -> Any:
    """Return the value of a scalar of numpy as Python's own."""
    if callable(getattr(value, "item", None)):
        return value.item()
    raise TypeError(f"{value!r} is {type(value).__name__}")


def bare_type(annotation: Any) -> Any:
    """Return the type of a field without its bounds and its description."""
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation


def _choices(bare: Any) -> list[str]:
    if typing.get_origin(bare) is Literal:
        return [str(choice) for choice in typing.get_args(bare)]
    return []


_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _expectation(annotation: Any) -> str:
    """Describe in words which values a field takes, from its type and its bounds."""
    bounds: list[str] = []
    while typing.get_origin(annotation) is Annotated:
        annotation, *metas = typing.get_args(annotation)
        for meta in metas:
            if isinstance(meta, Meta):
                bounds += describe_bounds(meta)
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(
            _expectation(part) for part in typing.get_args(annotation) if part is not type(None)
        )
    if bounds:
        return " and ".join(bounds)
    if origin is Literal:
        return "one of " + ", ".join(_choices(annotation))
    if origin is list:
        return "an array of texts"
    if origin is dict:
        value = typing.get_args(annotation)[1]
        return f"a table whose values are {_expectation(value)}"
    return _NAMES.get(annotation, str(annotation))


def describe_bounds(meta: Meta, shown: Callable[[float], str] = str) -> list[str]:
    """Return the bounds of a number in words; `shown` writes a bound.

    >>> describe_bounds(Meta(gt=0, le=1))
    ['above 0', 'at most 1']
    """
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    bounds = [(word, getattr(meta, name)) for name, word in words.items()]
    return [f"{word} {shown(bound)}" for word, bound in bounds if bound is not None]
