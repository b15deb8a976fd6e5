"""Events as columns: `batch_of` for events one by one, `columns_of` for their bare values.

Where a value goes depends on the value alone and on the order in which features first appear, so
the same events give the same columns one by one, in runs or in a file. No value is judged here:
`Schema` does that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any, TypeAlias, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from ..messages import Event, EventBatch, Features, Value
from .schema import kind_of, number_of

_NUMBERS = frozenset((float, int, bool, type(None)))
_SCALARS = _NUMBERS | {str}
_TIMES = frozenset((float, int))

EventValues: TypeAlias = tuple[
    str, float, Features, str | None, dict[str, float] | None, str | None, str | None
]
_Columns: TypeAlias = tuple[
    tuple[str, ...], tuple[str, ...], NDArray[np.float64], dict[str, list[Value]]
]


class _BesideFeatures(TypedDict):
    """The other values of n events, in the order of `EventValues`; None for a missing value."""

    ids: list[str]
    ats: list[Any]
    originals: Sequence[Features]
    predicted: list[str | None]
    probabilities: list[dict[str, float] | None]
    keys: list[str | None]
    model_versions: list[str | None]


_NAMES = tuple(_BesideFeatures.__annotations__)


def batch_of(events: Sequence[Event]) -> EventBatch:
    """Return events as columns, as `Decoder.decode` returns them.

    >>> batch_of([Event(id="a", at=1.0, features={"x": 1}), Event(id="b", at=2.0, features={})])
    EventBatch(ids=['a', 'b'], at=array([1., 2.]), names=('x',), number_names=('x',),
        numbers=array([[ 1.], [nan]]), texts={}, predicted=None, served_classes=(),
        probabilities=None, keys=None, model_versions=None, originals=[{'x': 1}, {}])
    """
    return columns_of(
        [
            (e.id, e.at, e.features, e.predicted, e.probabilities, e.key, e.model_version)
            for e in events
        ]
    )


def batch_of_values(
    names: tuple[str, ...],
    are_texts: Sequence[bool],
    flat: list[Any],
    **others: Unpack[_BesideFeatures],
) -> EventBatch:
    """Return n events with the same d features as columns.

    - `names`, d: the features. `flat`, n * d: their values, event after event.
    - `are_texts`, d: which features may hold texts; the others have numbers, booleans or None.
    - `others`: the other values of the events, one list a field.
    """
    n, d, texts = len(others["ids"]), len(names), dict[str, list[Value]]()
    for j, name in enumerate(names):
        if are_texts[j] and not _NUMBERS.issuperset(map(type, values := flat[j::d])):
            texts[name] = values
    number_names = names
    if texts:
        number_names = tuple(name for name in names if name not in texts)
        columns = [flat[j::d] for j, name in enumerate(names) if name not in texts]
        numbers = _to_floats([*chain.from_iterable(columns)]).reshape(len(columns), n)
        numbers = np.ascontiguousarray(numbers.T)
    else:
        numbers = _to_floats(flat).reshape(n, d)
    return _make_batch((names, number_names, numbers, texts), **others)


def columns_of(events: Sequence[EventValues]) -> EventBatch:
    """Return events, given as tuples of their bare values, as columns."""
    columns = [list(column) for column in zip(*events, strict=True)] or [[] for _ in _NAMES]
    others: Any = dict(zip(_NAMES, columns, strict=True))
    return _make_batch(_feature_columns(others["originals"]), **others)


def _make_batch(columns: _Columns, **others: Unpack[_BesideFeatures]) -> EventBatch:
    """Return the batch of these columns; a column without any value is None."""
    names, number_names, numbers, texts = columns
    classes, matrix = _class_columns(others["probabilities"])
    return EventBatch(
        ids=others["ids"],
        at=_floats_of_times(others["ats"]),
        names=names,
        number_names=number_names,
        numbers=numbers,
        texts=texts,
        predicted=_or_none(others["predicted"]),
        served_classes=classes,
        probabilities=matrix,
        keys=_or_none(others["keys"]),
        model_versions=_or_none(others["model_versions"]),
        originals=others["originals"],
    )


def _or_none(column: list[str | None]) -> list[str | None] | None:
    return column if column.count(None) < len(column) else None


def _floats_of_times(ats: list[Any]) -> NDArray[np.float64]:
    """Return times as floats; a value that is no number becomes NaN, which admission rejects."""
    if not _TIMES.issuperset(map(type, ats)):
        ats = [number_of(at) if isinstance(at, float | int) else math.nan for at in ats]
    return _to_floats(ats)


def _feature_columns(features: list[Features]) -> _Columns:
    """Return `names`, `number_names`, `numbers` and `texts` of an `EventBatch`."""
    names = tuple(features[0]) if features else ()
    if all(tuple(row) == names for row in features):
        flat = list(chain.from_iterable(map(dict.values, features)))
        if _NUMBERS.issuperset(map(type, flat)):
            numbers = _to_floats(flat).reshape(len(features), len(names))
            # The usual case: the same numbers in every event, and none missing from the first.
            if np.isfinite(numbers[:1]).all():
                return names, names, numbers, {}
        if len(features) == 1:
            return _columns_of_one(features[0])
        lists = [flat[j :: len(names)] for j in range(len(names))]
    else:
        names = tuple(dict.fromkeys(chain.from_iterable(features)))
        lists = [[row.get(name) for row in features] for name in names]
    columns: dict[str, list[Value]] = {}
    texts: dict[str, list[Value]] = {}
    for name, values in zip(names, lists, strict=True):
        plain = values
        if not _SCALARS.issuperset(map(type, values)):
            plain = [_to_plain(value) for value in values]
        (columns if _NUMBERS.issuperset(map(type, plain)) else texts)[name] = plain
    flat = list(chain.from_iterable(columns.values()))
    numbers = _to_floats(flat).reshape(len(columns), len(features))
    names = _by_first_sight(names, _first_rows(columns, numbers, texts), features)
    place_of = {name: j for j, name in enumerate(columns)}
    number_names = tuple(name for name in names if name in columns)
    numbers = np.ascontiguousarray(numbers[[place_of[name] for name in number_names]].T)
    return names, number_names, numbers, {name: texts[name] for name in names if name in texts}


def _columns_of_one(row: Features) -> _Columns:
    """Do the same for one event with texts or gaps, in a third of the time."""
    present: list[str] = []
    absent: list[str] = []
    numbers: dict[str, Value] = {}
    texts: dict[str, list[Value]] = {}
    for name, raw in row.items():
        value = raw if type(raw) in _SCALARS else _to_plain(raw)
        if type(value) in _NUMBERS:
            numbers[name] = value
        else:
            texts[name] = [value]
        (present if kind_of(value) else absent).append(name)
    names = (*present, *absent)
    number_names = tuple(name for name in names if name in numbers)
    return (
        names,
        number_names,
        _to_floats([numbers[name] for name in number_names]).reshape(1, len(number_names)),
        {name: texts[name] for name in names if name in texts},
    )


def _first_rows(
    columns: dict[str, list[Value]], numbers: NDArray[np.float64], texts: dict[str, list[Value]]
) -> dict[str, int]:
    """Return the first event that has a value, by feature; leave out features without any."""
    is_present = np.isfinite(numbers)
    places = is_present.argmax(axis=1).tolist()
    firsts = {name: places[j] for j, name in enumerate(columns) if is_present[j, places[j]]}
    for name, values in texts.items():
        first = next((i for i, value in enumerate(values) if kind_of(value)), None)
        if first is not None:
            firsts[name] = first
    return firsts


def _by_first_sight(
    names: tuple[str, ...], firsts: dict[str, int], features: list[Features]
) -> tuple[str, ...]:
    """Return features in the order of their first values; those without any come last."""
    places: dict[int, dict[str, int]] = {}
    for row in firsts.values():
        if row not in places:
            places[row] = {name: place for place, name in enumerate(features[row])}
    seen = [name for name in names if name in firsts]
    seen.sort(key=lambda name: (firsts[name], places[firsts[name]][name]))
    return (*seen, *(name for name in names if name not in firsts))


def _to_plain(value: Any) -> Any:
    """Return a value of a subclass or of numpy as Python's own type; any other as it is."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float | int) and not isinstance(value, bool):
        return number_of(value)
    return value


def _to_floats(values: list[Value]) -> NDArray[np.float64]:
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:
        return np.array([math.nan if v is None else number_of(v) for v in values])  # type: ignore[arg-type]


def _class_columns(
    probabilities: list[dict[str, float] | None],
) -> tuple[tuple[str, ...], NDArray[np.float64] | None]:
    """Return `served_classes` and `probabilities` of an `EventBatch`."""
    known = [row for row in probabilities if row]
    if not known:
        return (), None
    classes = tuple(known[0])
    if len(known) == len(probabilities) and all(tuple(row) == classes for row in known):
        flat = list(chain.from_iterable(map(dict.values, known)))
    else:
        classes = tuple(dict.fromkeys(chain.from_iterable(known)))
        flat = [(row or {}).get(name, math.nan) for row in probabilities for name in classes]
    return classes, np.array(flat, dtype=np.float64).reshape(len(probabilities), len(classes))
