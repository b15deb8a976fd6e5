"""Finds the fields of events in a record, which holds one event or many.

A record is JSON already parsed. `decode` converts the fields, to a time or a probability say;
nothing here keeps state.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, NamedTuple

from ..settings import InputSettings
from .batches import EVENTS_MAX, Record, elements_of, require, rows_of, tensor_rows
from .values import check_status, open_text, text_of

__all__ = ["EVENTS_MAX", "Fields", "Layout", "Record", "find_value"]


class Fields(NamedTuple):
    """The fields of one event as they were in the record, not converted; None: absent.

    Those that a record may have for many events come first. Features whose flattened name is in
    `hidden`, or below one that is, are other fields.
    """

    id: Any
    at: Any
    predicted: Any
    probabilities: Any
    key: Any
    model_version: Any
    features: Any
    hidden: tuple[str, ...]


def find_value(record: Record, path: str) -> Any:
    """Return the value at a path, None if there is none.

    It is the field of that very name or, if there is none, found step by step along the dots. A
    number is a place in an array. A name is, in an array of tensors, the tensor of that name; in a
    result of Label Studio, the item with that `from_name`; in any other array, that field of every
    element.

    >>> find_value({"a": {"b": [7, 8]}}, "a.b.1")
    8
    >>> find_value({"p": [{"c": "x"}, {"c": "y"}]}, "p.c")
    ['x', 'y']
    """
    if not path:
        return None
    value: Any = _open_member(record, path)
    if value is None and "." in path:
        value = record
        for part in path.split("."):
            value = _open_part(value, part)
    return value


def _open_part(value: Any, part: str) -> Any:
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
    return [_open_part(element, part) for element in value]


def _open_member(value: Record, name: str) -> Any:
    """Return a field of an object; base64 is decoded where the record marks it.

    CloudEvents mark it by the name `data_base64`, SageMaker by a field `encoding` beside `data`.
    """
    if name != "data":
        return value.get(name)
    if value.get("encoding") == "BASE64":
        return _from_base64(value.get("data"))
    if "data_base64" in value and "data" not in value:
        return _from_base64(value["data_base64"])
    return value.get("data")


def _from_base64(text: Any) -> Any:
    """Decode base64 to a text; a value that is no such text is returned as it is."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (TypeError, ValueError, binascii.Error):  # bytes that are no text are no features
        return text


class Layout:
    """Finds the fields of events by the paths of [input]."""

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

    def read_fields(self, record: Record) -> list[Fields]:
        """Return the fields of each event of a record. Raises `Refusal` for another layout."""
        if path := self._settings.status:
            good = self._settings.status_ok
            check_status(find_value(record, path), path, good, "input.status_ok")
        if self._settings.batch == "none":
            return [self._read_one(record)]
        return self._read_many(record)

    def _read_one(self, record: Record) -> Fields:
        paths = self._settings
        return Fields(
            find_value(record, paths.id),
            find_value(record, paths.at),
            find_value(record, paths.predicted),
            find_value(record, paths.probabilities),
            find_value(record, paths.key),
            find_value(record, paths.model_version),
            find_value(record, paths.features) if paths.features else self._keep_flat(record),
            self._hidden if paths.features else self._hidden_flat,
        )

    def _keep_flat(self, record: Record) -> Record:
        """Return every field that no other setting of [input] names: the features."""
        return {name: value for name, value in record.items() if name not in self._meant}

    # --------------------------------------------------------------------------- many in one

    def _read_many(self, record: Record) -> list[Fields]:
        """Return the fields of one event for each element of the payload.

        A value of the record itself applies to every element; an array as long as the payload has
        one value for each. A value in an element takes precedence.
        """
        paths = self._settings
        payload = find_value(record, paths.batch_path) if paths.batch_path else record
        is_there = payload is not None
        require(is_there, f"there is nothing at {paths.batch_path}, where input.batch_path leads")
        elements = elements_of(payload, paths.batch, paths.feature_names, self._meant)
        n = len(elements)
        require(n > 0, "the payload holds no events")
        require(n <= EVENTS_MAX, f"the payload holds {n} events; at most {EVENTS_MAX}")
        identity = find_value(record, paths.id)
        if not isinstance(identity, list):
            name = text_of(identity)
            identity = [identity if name is None else f"{name}/{i}" for i in range(n)]
        predicted = find_value(record, paths.predicted)
        columns = [
            _spread_value(identity, n, paths.id),
            _spread_value(find_value(record, paths.at), n, paths.at),
            [*map(_unwrap_class, _spread_response(predicted, n, paths.predicted))],
            _spread_response(find_value(record, paths.probabilities), n, paths.probabilities),
            _spread_value(find_value(record, paths.key), n, paths.key),
            _spread_value(find_value(record, paths.model_version), n, paths.model_version),
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
            return Fields._make((*shared, features, ()))
        own = self._read_one(element)
        if not isinstance(own.features, dict | list):
            own = own._replace(features=self._keep_flat(element), hidden=self._hidden_flat)
        own_values = own[: len(shared)]
        merged = [a if a is not None else b for a, b in zip(own_values, shared, strict=True)]
        return Fields._make((*merged, own.features, own.hidden))


def _spread_value(value: Any, n: int, path: str) -> list[Any]:
    """Return a list of n values, one for each event."""
    if not isinstance(value, list):
        return [value] * n
    require(len(value) == n, f"{path} holds {len(value)} values for {n} events")
    return value


def _spread_response(value: Any, n: int, path: str) -> list[Any]:
    """Return a list of n values, one for each event, from a field of a response."""
    return _spread_value(rows_of(value, n), n, path)


def _unwrap_class(value: Any) -> Any:
    """Return the class of an event, unwrapped where a response has one column: [[1], [0]]."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value
