"""Where things stand in a record: the fields of its one event, or of the many it holds.

A record is JSON already parsed. What the fields mean (is this a time? a probability?) is decided in
`decode`; nothing here keeps state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from ..messages import Reason
from ..settings import InputSettings
from .values import Refusal, opened, shown, text_of

# One record may hold so many events; with more it is rejected as a whole.
EVENTS_MAX = 10_000

Record = dict[str, Any]


class Fields(NamedTuple):
    """One event as it stood in the record, unread; what was absent is None.

    Features whose flattened name is in `hidden`, or below one that is, mean something else.
    """

    id: Any
    at: Any
    features: Any
    hidden: tuple[str, ...]
    predicted: Any
    probabilities: Any
    key: Any
    model_version: Any


def find(record: Record, path: str) -> Any:
    """What stands under a path: the field of that very name, else by its dots; None if nothing.

    A number in a path is a place in an array. Another name, in an array of tensors, is the tensor
    of that name; in any other array it stands for this field of every element.

    >>> find({"a": {"b": [7, 8]}}, "a.b.1"), find({"p": [{"c": "x"}, {"c": "y"}]}, "p.c")
    (8, ['x', 'y'])
    """
    if not path:
        return None
    found: Any = record.get(path)
    if found is None and "." in path:
        found = record
        for part in path.split("."):
            found = _step(opened(found) if isinstance(found, str) else found, part)
    return found


def _step(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    if not isinstance(value, list):
        return None
    if part.isdecimal():
        return value[int(part)] if int(part) < len(value) else None
    for element in value:
        if isinstance(element, dict) and element.get("name") == part and "data" in element:
            rows = _tensor_rows(element, part)
            return [row[0] for row in rows] if all(len(row) == 1 for row in rows) else rows
    return [_step(element, part) for element in value]


class Layout:
    """The paths of [input], ready to be looked up."""

    def __init__(self, settings: InputSettings) -> None:
        self._settings = settings
        meant = (
            settings.id,
            settings.at,
            settings.predicted,
            settings.probabilities,
            settings.key,
            settings.model_version,
            settings.label,
        )
        inside = settings.features + "."
        self._meant = frozenset(meant)
        self._hidden = tuple(p.removeprefix(inside) for p in meant if p.startswith(inside))
        self._hidden_flat = tuple(path for path in meant if "." in path)

    def fields(self, record: Record) -> list[Fields]:
        """The events of a record, one or more. Raises `Refusal` when it is not laid out so."""
        if self._settings.batch == "none":
            return [self._one(record)]
        return self._many(record)

    def _one(self, record: Record) -> Fields:
        paths = self._settings
        return Fields(
            find(record, paths.id),
            find(record, paths.at),
            find(record, paths.features) if paths.features else self._flat(record),
            self._hidden if paths.features else self._hidden_flat,
            find(record, paths.predicted),
            find(record, paths.probabilities),
            find(record, paths.key),
            find(record, paths.model_version),
        )

    def _flat(self, record: Record) -> Record:
        """Every field that has no other meaning."""
        return {name: value for name, value in record.items() if name not in self._meant}

    # --------------------------------------------------------------------------- many in one

    def _many(self, record: Record) -> list[Fields]:
        """One event for each element of the payload.

        What the record itself has under a path holds for every element, and an array as long as the
        payload holds one value for each; what an element has of its own comes first.
        """
        paths = self._settings
        payload = find(record, paths.batch_path) if paths.batch_path else record
        elements = self._elements(opened(payload) if isinstance(payload, str) else payload)
        n = len(elements)
        _require(n > 0, "the payload holds no events")
        _require(n <= EVENTS_MAX, f"the payload holds {n} events; at most {EVENTS_MAX}")
        identity = find(record, paths.id)
        if not isinstance(identity, list):
            name = text_of(identity)
            identity = [identity if name is None else f"{name}/{i}" for i in range(n)]
        columns = [
            _spread(identity, n, paths.id),
            *(
                _spread(find(record, path), n, path)
                for path in (
                    paths.at,
                    paths.predicted,
                    paths.probabilities,
                    paths.key,
                    paths.model_version,
                )
            ),
        ]
        return [
            self._element(element, shared)
            for element, shared in zip(elements, zip(*columns, strict=True), strict=True)
        ]

    def _element(self, element: Any, shared: tuple[Any, ...]) -> Fields:
        if not isinstance(element, dict):
            features = element if isinstance(element, list) else [element]
            return _fields(shared, features, ())
        own = self._one(element)
        if not isinstance(own.features, dict | list):
            own = own._replace(features=self._flat(element), hidden=self._hidden_flat)
        mine = (own.id, own.at, own.predicted, own.probabilities, own.key, own.model_version)
        best = [a if a is not None else b for a, b in zip(mine, shared, strict=True)]
        return _fields(best, own.features, own.hidden)

    def _elements(self, payload: Any) -> list[Any]:
        """The payload as a list of objects, arrays or values, one an event."""
        batch = self._settings.batch
        if isinstance(payload, list) and batch == "instances":
            return payload
        if not isinstance(payload, dict):
            raise Refusal(Reason.BAD_BATCH, f"the payload is {shown(payload)}; must be an object")
        if batch == "kserve-v2":
            return self._tensors(payload.get("inputs"))
        if batch == "columns":
            split = payload.get("dataframe_split", payload)
            if isinstance(split, dict) and "columns" in split:
                return _table(split.get("columns"), split.get("data"))
            found, wanted = payload.get("dataframe_records"), "columns and data"
        elif batch == "kserve-v1":
            found, wanted = payload.get("instances"), "an array `instances`"
        else:
            found = payload.get("instances", payload.get("dataframe_records"))
            wanted = "an array `instances`, or input.batch_path must lead to one"
        if not isinstance(found, list):
            raise Refusal(Reason.BAD_BATCH, f"the payload must have {wanted}")
        return found

    def _tensors(self, inputs: Any) -> list[Record]:
        """KServe's open inference protocol: a tensor holds one feature or many, never one event."""
        _require(isinstance(inputs, list) and len(inputs) > 0, "inputs must be an array of tensors")
        names: list[str] = []
        columns: list[list[Any]] = []
        n = -1
        for tensor in inputs:
            _require(isinstance(tensor, dict), "inputs must be an array of tensors")
            name = tensor.get("name")
            _require(isinstance(name, str), f"a tensor's name is {shown(name)}; must be a text")
            rows = _tensor_rows(tensor, name)
            _require(n in (-1, len(rows)), f"{name} holds {len(rows)} events, an earlier one {n}")
            n = len(rows)
            parts = list(zip(*rows, strict=True))
            names += [name] if len(parts) == 1 else [f"{name}.{j}" for j in range(len(parts))]
            columns += [list(part) for part in parts]
        free = [j for j, name in enumerate(names) if name not in self._meant]
        wanted = self._settings.feature_names
        if wanted:
            fits = len(wanted) == len(free)
            _require(fits, f"inputs hold {len(free)} features, input.feature_names {len(wanted)}")
            for j, name in zip(free, wanted, strict=True):
                names[j] = name
        _require(len(set(names)) == len(names), "two features of the inputs have one name")
        if not columns:
            return [{} for _ in range(n)]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _fields(others: Sequence[Any], features: Any, hidden: tuple[str, ...]) -> Fields:
    identity, at, predicted, probabilities, key, model_version = others
    return Fields(identity, at, features, hidden, predicted, probabilities, key, model_version)


def _require(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise Refusal(Reason.BAD_BATCH, otherwise)


def _spread(value: Any, n: int, path: str) -> list[Any]:
    """One value for each of n events."""
    if not isinstance(value, list):
        return [value] * n
    _require(len(value) == n, f"{path} holds {len(value)} values for {n} events")
    return value


def _table(columns: Any, rows: Any) -> list[Record]:
    """A frame as pandas splits it: {"columns": [...], "data": [[...], ...]}."""
    is_named = isinstance(columns, list) and all(isinstance(name, str) for name in columns)
    _require(is_named, "columns must be an array of texts")
    _require(len(set(columns)) == len(columns), "columns names one twice")
    _require(isinstance(rows, list), "data must be an array of arrays")
    for row in rows:
        if not isinstance(row, list) or len(row) != len(columns):
            fault = f"a row of data is {shown(row)}; must be {len(columns)} values"
            raise Refusal(Reason.BAD_BATCH, fault)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _tensor_rows(tensor: Record, name: str) -> list[list[Any]]:
    """The n rows of a tensor of shape [n, ...], each flattened."""
    shape: Any = tensor.get("shape")
    flat: Any = tensor.get("data")
    _require(isinstance(flat, list), f"{name} has no array `data`; binary tensors can't be read")
    while flat and isinstance(flat[0], list):
        _require(all(isinstance(row, list) for row in flat), f"the data of {name} is ragged")
        flat = list(chain.from_iterable(flat))
    is_shape = isinstance(shape, list) and bool(shape)
    is_shape = is_shape and all(type(size) is int and size >= 0 for size in shape)
    _require(is_shape, f"the shape of {name} is {shown(shape)}; must be whole numbers from 0")
    n, width = shape[0], math.prod(shape[1:])
    _require(n <= EVENTS_MAX, f"{name} holds {n} events; at most {EVENTS_MAX}")
    _require(n * width == len(flat), f"{name} has {len(flat)} values for the shape {shown(shape)}")
    return [flat[i * width : (i + 1) * width] for i in range(n)]
