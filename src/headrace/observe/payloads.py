"""Where things stand in a record: the fields of its one event, or of the many it holds.

A record is JSON already parsed. What the fields mean (is this a time? a probability?) is decided in
`decode`; nothing here keeps state.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..settings import InputSettings
from .batches import EVENTS_MAX, Record, elements_of, require, rows_of, tensor_rows
from .values import check_status, open_text, text_of

__all__ = ["EVENTS_MAX", "Fields", "Layout", "Record", "find"]


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
    of that name, and in a result of Label Studio what `from_name` calls so; in any other array it
    stands for this field of every element.

    >>> find({"a": {"b": [7, 8]}}, "a.b.1"), find({"p": [{"c": "x"}, {"c": "y"}]}, "p.c")
    (8, ['x', 'y'])
    """
    if not path:
        return None
    found: Any = _open_member(record, path)
    if found is None and "." in path:
        found = record
        for part in path.split("."):
            found = _step(found, part)
    return found


def _step(value: Any, part: str) -> Any:
    if isinstance(value, str):
        value = open_text(value)
    if isinstance(value, dict):
        return _open_member(value, part)
    if not isinstance(value, list):
        return None
    if part.isdecimal():
        return value[int(part)] if int(part) < len(value) else None
    named = [one for one in value if isinstance(one, dict) and one.get("from_name") == part]
    if named:
        return named[0] if len(named) == 1 else named
    for element in value:
        if isinstance(element, dict) and element.get("name") == part and "data" in element:
            rows = tensor_rows(element, part)
            return [row[0] for row in rows] if all(len(row) == 1 for row in rows) else rows
    return [_step(element, part) for element in value]


def _open_member(value: Record, name: str) -> Any:
    """A field of an object; bytes that were logged as base64 are opened where that is said.

    CloudEvents say it by the name `data_base64`, SageMaker by a field `encoding` beside `data`.
    """
    if name != "data":
        return value.get(name)
    if value.get("encoding") == "BASE64":
        return _from_base64(value.get("data"))
    if "data_base64" in value and "data" not in value:
        return _from_base64(value["data_base64"])
    return value.get("data")


def _from_base64(text: Any) -> Any:
    """The text that was encoded; what is none stays as it is."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (TypeError, ValueError, binascii.Error):  # bytes that are no text are no features
        return text


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
            settings.status,
        )
        inside = settings.features + "."
        self._meant = frozenset(meant)
        self._hidden = tuple(p.removeprefix(inside) for p in meant if p.startswith(inside))
        self._hidden_flat = tuple(path for path in meant if "." in path)

    def fields(self, record: Record) -> list[Fields]:
        """The events of a record, one or more. Raises `Refusal` when it is not laid out so."""
        if path := self._settings.status:
            good = self._settings.status_ok
            check_status(find(record, path), path, good, "input.status_ok")
        if self._settings.batch == "none":
            return [self._read_one(record)]
        return self._read_many(record)

    def _read_one(self, record: Record) -> Fields:
        paths = self._settings
        return Fields(
            find(record, paths.id),
            find(record, paths.at),
            find(record, paths.features) if paths.features else self._keep_flat(record),
            self._hidden if paths.features else self._hidden_flat,
            find(record, paths.predicted),
            find(record, paths.probabilities),
            find(record, paths.key),
            find(record, paths.model_version),
        )

    def _keep_flat(self, record: Record) -> Record:
        """Every field that has no other meaning."""
        return {name: value for name, value in record.items() if name not in self._meant}

    # --------------------------------------------------------------------------- many in one

    def _read_many(self, record: Record) -> list[Fields]:
        """One event for each element of the payload.

        What the record itself has under a path holds for every element, and an array as long as the
        payload holds one value for each; what an element has of its own comes first.
        """
        paths = self._settings
        payload = find(record, paths.batch_path) if paths.batch_path else record
        is_there = payload is not None
        require(is_there, f"there is nothing at {paths.batch_path}, where input.batch_path leads")
        elements = elements_of(payload, paths.batch, paths.feature_names, self._meant)
        n = len(elements)
        require(n > 0, "the payload holds no events")
        require(n <= EVENTS_MAX, f"the payload holds {n} events; at most {EVENTS_MAX}")
        identity = find(record, paths.id)
        if not isinstance(identity, list):
            name = text_of(identity)
            identity = [identity if name is None else f"{name}/{i}" for i in range(n)]
        columns = [
            _spread_value(identity, n, paths.id),
            _spread_value(find(record, paths.at), n, paths.at),
            [
                _one_of(one)
                for one in _spread_response(find(record, paths.predicted), n, paths.predicted)
            ],
            _spread_response(find(record, paths.probabilities), n, paths.probabilities),
            *(
                _spread_value(find(record, path), n, path)
                for path in (paths.key, paths.model_version)
            ),
        ]
        return [
            self._read_element(element, shared)
            for element, shared in zip(elements, zip(*columns, strict=True), strict=True)
        ]

    def _read_element(self, element: Any, shared: tuple[Any, ...]) -> Fields:
        if isinstance(element, str) and element.lstrip()[:1] in ("{", "["):
            element = open_text(element)
        if not isinstance(element, dict):
            features = element if isinstance(element, list) else [element]
            return _fields(shared, features, ())
        own = self._read_one(element)
        if not isinstance(own.features, dict | list):
            own = own._replace(features=self._keep_flat(element), hidden=self._hidden_flat)
        mine = (own.id, own.at, own.predicted, own.probabilities, own.key, own.model_version)
        best = [a if a is not None else b for a, b in zip(mine, shared, strict=True)]
        return _fields(best, own.features, own.hidden)


def _fields(others: Sequence[Any], features: Any, hidden: tuple[str, ...]) -> Fields:
    identity, at, predicted, probabilities, key, model_version = others
    return Fields(identity, at, features, hidden, predicted, probabilities, key, model_version)


def _spread_value(value: Any, n: int, path: str) -> list[Any]:
    """One value for each of n events."""
    if not isinstance(value, list):
        return [value] * n
    require(len(value) == n, f"{path} holds {len(value)} values for {n} events")
    return value


def _spread_response(value: Any, n: int, path: str) -> list[Any]:
    """What a response says of each of n events."""
    return _spread_value(rows_of(value, n), n, path)


def _one_of(value: Any) -> Any:
    """The class of an event where a response has one column: [[1], [0]]."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
