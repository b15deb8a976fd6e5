"""Compares two states part by part, as they would be frozen: where do they differ first?

If there is no difference, a state that was rebuilt from logs is proven to be the saved one. Parts
that are left out when a state is frozen, such as caches, are not compared. Numbers are compared bit
by bit, and mappings with their order, since later decisions may depend on it.
"""

from __future__ import annotations

import copyreg
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np

_SHOWN_MAX = 60
_ATOMS = (int, str, bytes, bool, type(None), complex)
_NAMED = (type, types.FunctionType, types.BuiltinFunctionType, np.ufunc)


class Difference(NamedTuple):
    """The path where two states differ, and both values: `.asking.budget.spent_n`, `7`, `8`."""

    path: str
    one: str
    other: str

    def __str__(self) -> str:
        return f"{self.path or 'the whole'}: {self.one} and {self.other}"


def find_differences(one: Any, other: Any, *, found_max: int = 10) -> list[Difference]:
    """Return the first differences between two states, in the order in which they are frozen.

    Raises `TypeError` for objects that can't be frozen.

    >>> [str(found) for found in find_differences({"a": [1, 2.0]}, {"a": [1, -2.0]})]
    ["['a'][1]: 2.0 and -2.0"]
    >>> find_differences([float("nan")], [float("nan")])
    []
    """
    found: list[Difference] = []
    # Objects already compared: kept, so that no id is used twice and circular references end.
    pairs: dict[int, tuple[Any, Any]] = {}
    waiting: list[tuple[str, Any, Any]] = [("", one, other)]
    while waiting and len(found) < found_max:
        path, mine, theirs = waiting.pop()
        if type(mine) is not type(theirs):
            found.append(_make_difference(path, mine, theirs))
        elif isinstance(mine, (*_ATOMS, float, np.generic, *_NAMED)):
            if not _is_same(mine, theirs):
                found.append(_make_difference(path, mine, theirs))
        elif id(mine) in pairs and type(mine) is not tuple:
            if pairs[id(mine)][1] is not theirs:
                found.append(Difference(path, "a part that stands elsewhere too", "another one"))
        else:
            pairs[id(mine)] = (mine, theirs)
            step = _pair_parts(path, mine, theirs)
            if isinstance(step, Difference):
                found.append(step)
            else:
                waiting += reversed(step)
    return found


def _pair_parts(path: str, one: Any, other: Any) -> Difference | list[tuple[str, Any, Any]]:
    """Return pairs of parts of two objects of one type, or how they differ as a whole."""
    kind = type(one)
    if kind is dict:
        return _compare_mappings(path, one, other)
    if kind in (list, tuple):
        if len(one) != len(other):
            return Difference(path, f"{len(one)} values", f"{len(other)} values")
        sides = zip(one, other, strict=True)
        return [(f"{path}[{i}]", mine, theirs) for i, (mine, theirs) in enumerate(sides)]
    if kind in (set, frozenset) and one != other:
        return Difference(path, _format_value(one - other), _format_value(other - one))
    if kind is np.ndarray:
        return _compare_arrays(path, one, other)
    return [] if kind in (set, frozenset) else list(_pair_reduced(path, one, other))


def _compare_arrays(path: str, one: Any, other: Any) -> Difference | list[tuple[str, Any, Any]]:
    if one.dtype != other.dtype or one.shape != other.shape:
        kinds = (f"{array.dtype} of shape {array.shape}" for array in (one, other))
        return Difference(path, *kinds)
    if one.dtype.hasobject:
        return [(path, one.ravel().tolist(), other.ravel().tolist())]
    if one.tobytes() == other.tobytes():
        return []
    # Compare bytes: two values may be equal but not the same, such as 0.0 and -0.0.
    width = one.dtype.itemsize
    bytes_of = [np.frombuffer(a.tobytes(), np.uint8).reshape(-1, width) for a in (one, other)]
    first = int(np.flatnonzero((bytes_of[0] != bytes_of[1]).any(axis=1))[0])
    place = [int(i) for i in np.unravel_index(first, one.shape)]
    mine, theirs = one.ravel()[first], other.ravel()[first]
    return Difference(f"{path}{place}", _format_value(mine.item()), _format_value(theirs.item()))


def _compare_mappings(
    path: str, one: dict[Any, Any], other: dict[Any, Any]
) -> Difference | list[tuple[str, Any, Any]]:
    if one.keys() != other.keys():
        return Difference(
            f"{path} keys",
            _format_value([*(one.keys() - other)]),
            _format_value([*(other.keys() - one)]),
        )
    if list(one) != list(other):
        return Difference(
            f"{path} order of keys", _format_value(list(one)), _format_value(list(other))
        )
    return [(f"{path}[{key!r}]", one[key], other[key]) for key in one]


def _pair_reduced(path: str, one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield pairs of an object's parts as pickle sees them: constructor, attributes, items."""
    if isinstance(one, msgspec.Struct):
        for name in one.__struct_fields__:
            yield f"{path}.{name}", getattr(one, name), getattr(other, name)
        return
    mine, theirs = one.__reduce_ex__(5), other.__reduce_ex__(5)
    if isinstance(mine, str) or isinstance(theirs, str):
        yield path, mine, theirs
        return
    (make, arguments, *rest), (make_too, arguments_too, *rest_too) = mine, theirs
    yield f"{path}()", make, make_too
    # The first argument for an ordinary object is its class, which was compared already.
    start = 1 if make is copyreg.__newobj__ else 0  # type: ignore[attr-defined]  # it has it
    yield f"{path}()", arguments[start:], arguments_too[start:]
    state, values, pairs = (*rest, None, None, None)[:3]
    state_too, values_too, pairs_too = (*rest_too, None, None, None)[:3]
    yield from _list_attributes(path, state, state_too)
    yield path, _list_values(values), _list_values(values_too)
    yield path, dict(pairs or ()), dict(pairs_too or ())


def _list_attributes(path: str, one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
    for mine, theirs in _pair_states(one, other):
        if isinstance(mine, dict) and isinstance(theirs, dict) and mine.keys() == theirs.keys():
            for name in mine:
                yield f"{path}.{name}", mine[name], theirs[name]
        else:
            yield path, mine, theirs


def _pair_states(one: Any, other: Any) -> list[tuple[Any, Any]]:
    """Return pairs of states: with slots a state is two, that of `__dict__` and that of slots."""
    if all(isinstance(state, tuple) and len(state) == 2 for state in (one, other)):
        return list(zip(one, other, strict=True))
    return [(one, other)]


def _list_values(values: Iterator[Any] | None) -> list[Any]:
    return list(values) if values is not None else []


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, np.generic):
        return bool(one.dtype == other.dtype and one.tobytes() == other.tobytes())
    if isinstance(one, float):
        return bool(one.hex() == other.hex())
    return bool(one is other if isinstance(one, _NAMED) else one == other)


def _make_difference(path: str, one: Any, other: Any) -> Difference:
    return Difference(path, _format_value(one), _format_value(other))


def _format_value(value: Any) -> str:
    if not isinstance(value, (*_ATOMS, float, list, tuple, dict, set, frozenset, *_NAMED)):
        return f"{type(value).__name__}"
    text = repr(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 3]}..."
