"""What a number of a report is: its unit, what it says, and how those of several parts become one.

All three stand beside the field, as `number` notes them; the builder, the metrics and the pages
read them there.

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True, kw_only=True)
... class Asking:
...     requests_n: int = number("requests", "Label requests.")
...     propensity_min: float = number("0 to 1", "The lowest.", MIN, default=1.0)
>>> combine(Asking, [Asking(requests_n=2, propensity_min=0.1), Asking(requests_n=3)])
Asking(requests_n=5, propensity_min=0.1)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias, TypeVar, get_type_hints

Over: TypeAlias = Literal["sum", "max", "min", "each"]
Section = TypeVar("Section")

_NOTE = "number"


@dataclass(frozen=True, slots=True)
class Reducer:
    """How values of several parts become one.

    `reduce` does it within a process, over values that are known (None is not); without it the
    builder works the value out from the parts themselves. `over` says how a dashboard makes one
    number of those of several workers: "each" where only side by side makes sense.
    """

    over: Over
    reduce: Callable[[Sequence[Any]], Any] | None


@dataclass(frozen=True, slots=True)
class Number:
    """What stands beside a field: its unit, what it says, how parts are reduced."""

    unit: str
    about: str
    reducer: Reducer


def add_up(values: Sequence[Any]) -> Any:
    """The sum: of numbers, of mappings key by key, of tuples place by place.

    >>> add_up([{"a": 1}, {"b": 2, "a": 1}]), add_up([(1, 2), (3, 4)]), add_up([0.5, 0.25])
    ({'a': 2, 'b': 2}, (4, 6), 0.75)
    """
    if isinstance(values[0], Mapping):
        return _reduce_by_key(values, lambda one, other: one + other)
    if isinstance(values[0], tuple):
        return tuple(map(sum, zip(*values, strict=True)))
    return sum(values)


def highest(values: Sequence[Any]) -> Any:
    """The highest number; of mappings key by key."""
    return _reduce_by_key(values, max) if isinstance(values[0], Mapping) else max(values)


def _reduce_by_key(parts: Iterable[Mapping[Any, Any]], reduce: Callable[..., Any]) -> Any:
    total: dict[Any, Any] = {}
    for part in parts:
        for key, value in part.items():
            total[key] = reduce(total[key], value) if key in total else value
    return total


def unite(values: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    """Each element once, in order of its first place."""
    return tuple(dict.fromkeys(one for value in values for one in value))


SUM = Reducer("sum", add_up)
MAX = Reducer("max", highest)
MIN = Reducer("min", min)
MEAN = Reducer("max", lambda values: sum(values) / len(values))
UNION = Reducer("max", unite)
EACH = Reducer("each", None)


def number(unit: str, about: str, reducer: Reducer = SUM, *, default: Any = 0) -> Any:
    """A field of a section, with what is known of it beside it.

    Args:
        unit: as people read it, "labels" or "seconds".
        about: a sentence, which docs/METRICS.md shows where the field is exported.
        reducer: how the values of several shards or desks become one.
        default: the value without any part; `dict` for an empty one.
    """
    note = {_NOTE: Number(unit, about, reducer)}
    if default is dict:
        return field(default_factory=dict, metadata=note)
    return field(default=default, metadata=note)


def by_key(unit: str, about: str, reducer: Reducer = SUM) -> Any:
    """A `number` for each of some names; there may be none."""
    return number(unit, about, reducer, default=dict)


def optional(unit: str, about: str, reducer: Reducer = MAX) -> Any:
    """A `number` that may not be known."""
    return number(unit, about, reducer, default=None)


def find_number(section: type, path: str) -> Number:
    """What stands beside the field at a path such as "budget.available_n".

    Raises:
        KeyError: there is no such field, or it is a section.
    """
    name, _, rest = path.partition(".")
    if rest:
        return find_number(get_type_hints(section)[name], rest)
    notes: dict[str, Number] = {
        one.name: one.metadata[_NOTE] for one in fields(section) if _NOTE in one.metadata
    }
    return notes[name]


def combine(section: type[Section], parts: Sequence[Section]) -> Section:
    """One section of several, field by field as its reducer says; of none, the defaults."""
    if len(parts) == 1:
        return parts[0]
    values: dict[str, Any] = {}
    for one in fields(section):  # type: ignore[arg-type]
        reduce = one.metadata[_NOTE].reducer.reduce
        known = [value for part in parts if (value := getattr(part, one.name)) is not None]
        if known and reduce is not None:
            values[one.name] = reduce(known)
    return section(**values)
