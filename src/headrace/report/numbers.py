"""The metadata of a number in a report: its unit, its meaning, and how several are combined.

`number` stores all three beside the field; the builder, the metrics and the pages read them there.

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True, kw_only=True)
... class Asking:
...     requests_n: int = number("requests", "Label requests.")
...     propensity_min: float = number("0 to 1", "The lowest.", MIN, default=1.0)
>>> combine_sections(Asking, [Asking(requests_n=2, propensity_min=0.1), Asking(requests_n=3)])
Asking(requests_n=5, propensity_min=0.1)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias, TypeVar, get_type_hints

Over: TypeAlias = Literal["sum", "max", "min", "each"]
Section = TypeVar("Section")
V = TypeVar("V")

_NOTE = "number"


@dataclass(frozen=True, slots=True)
class Reducer:
    """How the values of several parts are combined into one.

    `reduce` combines known values (not None) within a process; without it the builder computes the
    value from the parts themselves. `over` says how a dashboard combines the numbers of several
    workers: "each" where they only make sense side by side.
    """

    over: Over
    reduce: Callable[[Sequence[Any]], Any] | None


@dataclass(frozen=True, slots=True)
class Number:
    """The metadata of a field: its unit, a sentence about it, how parts are combined."""

    unit: str
    about: str
    reducer: Reducer


def add_up(values: Sequence[Any]) -> Any:
    """Return the sum of numbers, of mappings key by key, or of tuples place by place.

    >>> add_up([{"a": 1}, {"b": 2, "a": 1}]), add_up([(1, 2), (3, 4)]), add_up([0.5, 0.25])
    ({'a': 2, 'b': 2}, (4, 6), 0.75)
    """
    if isinstance(values[0], Mapping):
        return _reduce_by_key(values, lambda one, other: one + other)
    if isinstance(values[0], tuple):
        return tuple(map(sum, zip(*values, strict=True)))
    return sum(values)


def take_highest(values: Sequence[Any]) -> Any:
    """Return the highest number, for mappings key by key."""
    return _reduce_by_key(values, max) if isinstance(values[0], Mapping) else max(values)


def _reduce_by_key(parts: Iterable[Mapping[Any, Any]], reduce: Callable[..., Any]) -> Any:
    total: dict[Any, Any] = {}
    for part in parts:
        for key, value in part.items():
            total[key] = reduce(total[key], value) if key in total else value
    return total


def join_keys(values: Mapping[Any, V]) -> dict[str, V]:
    """Return the mapping with the parts of each key joined by slashes.

    >>> join_keys({("doubt", "margin"): 3})
    {'doubt/margin': 3}
    """
    return {"/".join(key): value for key, value in values.items()}


def unite_values(values: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    """Return each element of the sequences once, in order of first occurrence."""
    return tuple(dict.fromkeys(one for value in values for one in value))


SUM = Reducer("sum", add_up)
MAX = Reducer("max", take_highest)
MIN = Reducer("min", min)
MEAN = Reducer("max", lambda values: sum(values) / len(values))
UNION = Reducer("max", unite_values)
EACH = Reducer("each", None)


def number(unit: str, about: str, reducer: Reducer = SUM, *, default: Any = 0) -> Any:
    """Return a dataclass field of a section, with its metadata.

    Args:
        unit: as people read it, "labels" or "seconds".
        about: a sentence, which docs/METRICS.md shows where the field is exported.
        reducer: how the values of several shards or desks are combined.
        default: the value without any part; `dict` for an empty dict.
    """
    note = {_NOTE: Number(unit, about, reducer)}
    if default is dict:
        return field(default_factory=dict, metadata=note)
    return field(default=default, metadata=note)


def by_key(unit: str, about: str, reducer: Reducer = SUM) -> Any:
    """Return a field for a dict of numbers by name, which may be empty; see `number`."""
    return number(unit, about, reducer, default=dict)


def optional(unit: str, about: str, reducer: Reducer = MAX) -> Any:
    """Return a field for a number that may be None, not known; see `number`."""
    return number(unit, about, reducer, default=None)


def find_number(section: type, path: str) -> Number:
    """Return the metadata of the field at a path such as "budget.available_n".

    Raises:
        KeyError: there is no such field, or it is a section.
    """
    name, _, rest = path.partition(".")
    if rest:
        return find_number(get_type_hints(section)[name], rest)
    notes: dict[str, Number] = {
        number_field.name: number_field.metadata[_NOTE]
        for number_field in fields(section)
        if _NOTE in number_field.metadata
    }
    return notes[name]


def combine_sections(section: type[Section], parts: Sequence[Section]) -> Section:
    """Combine several sections into one, each field by its reducer; without any, the defaults."""
    if len(parts) == 1:
        return parts[0]
    values: dict[str, Any] = {}
    for section_field in fields(section):  # type: ignore[arg-type]
        reduce = section_field.metadata[_NOTE].reducer.reduce
        known = [
            value for part in parts if (value := getattr(part, section_field.name)) is not None
        ]
        if known and reduce is not None:
            values[section_field.name] = reduce(known)
    return section(**values)
