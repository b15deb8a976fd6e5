"""Payloads that hold many events: each layout of `input.batch` as a list of elements.

An element is an object of features, an array of them, or a single value. Nothing here knows the
paths of a record; `payloads` does.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any

from ..messages import Reason
from .values import Refusal, format_value, open_text

# A record that holds more events is rejected as a whole.
EVENTS_MAX = 10_000

Record = dict[str, Any]


def require(is_so: bool, otherwise: str) -> None:
    """Raise `Refusal` with the text `otherwise` unless `is_so`."""
    if not is_so:
        raise Refusal(Reason.BAD_BATCH, otherwise)


def elements_of(
    payload: Any, layout: str, feature_names: Sequence[str] = (), meant: Collection[str] = ()
) -> list[Any]:
    """Return the elements of a payload, one an event.

    - `payload`: a parsed payload, or a text to be opened.
    - `layout`: one of `input.batch`.
    - `feature_names`: names for the features in tensors and arrays.
    - `meant`: names of tensors that are fields, such as the id; they keep their names.

    Raises `Refusal` when the payload does not have that layout.

    >>> elements_of({"inputs": {"age": [31, 44], "plan": ["a", "b"]}}, "columns")
    [{'age': 31, 'plan': 'a'}, {'age': 44, 'plan': 'b'}]
    >>> elements_of({"data": {"names": ["x", "y"], "ndarray": [[1, 2]]}}, "seldon")
    [{'x': 1, 'y': 2}]
    """
    if isinstance(payload, str):
        payload = _open_text(payload, feature_names)
    if isinstance(payload, list) and layout == "instances":
        return payload
    if not isinstance(payload, dict):
        raise Refusal(
            Reason.BAD_BATCH, f"the payload is {format_value(payload)}; must be an object"
        )
    if layout == "kserve-v2":
        return _read_tensors(payload.get("inputs"), feature_names, meant)
    if layout == "columns":
        return _read_frame(payload, feature_names, meant)
    if layout == "seldon":
        return _read_message(payload)
    if layout == "kserve-v1":
        elements, wanted = payload.get("instances"), "an array `instances`"
    else:
        elements = payload.get("instances", payload.get("dataframe_records"))
        wanted = "an array `instances`, or input.batch_path must lead to one"
    if not isinstance(elements, list):
        raise Refusal(Reason.BAD_BATCH, f"the payload must have {wanted}")
    return elements


def _open_text(text: str, feature_names: Sequence[str]) -> Any:
    """Parse a payload that is a text: JSON, or one event a line as CSV or JSON lines."""
    value = open_text(text) if text.lstrip()[:1] in ("{", "[") else text
    if not isinstance(value, str):
        return value
    return [open_text(line, feature_names) for line in text.splitlines() if line.strip()]


def rows_of(value: Any, n: int) -> Any:
    """Return a response about n events as a list with one item an event, where it encodes one.

    A text encodes one if it is JSON, has n lines, or is a line of n values; so does the data of
    Seldon. Any other value is returned as it is.

    >>> rows_of("0.9,0.1", 1), rows_of({"names": ["a", "b"], "ndarray": [[0.9, 0.1]]}, 1)
    (['0.9,0.1'], [{'a': 0.9, 'b': 0.1}])
    >>> rows_of("0.9,0.1", 2)
    ['0.9', '0.1']
    """
    if isinstance(value, str):
        rows = open_text(value) if value.lstrip()[:1] in ("{", "[") else value
        if rows is value:
            lines = [line for line in value.splitlines() if line.strip()]
            cells = value.strip().split(",")
            rows = next((parts for parts in (lines, cells) if len(parts) == n), value)
        value = rows
    if isinstance(value, dict) and ("ndarray" in value or "tensor" in value):
        return _name_rows(value)
    return value


# ---------------------------------------------------------------------------------- MLflow


def _read_frame(payload: Record, feature_names: Sequence[str], meant: Collection[str]) -> list[Any]:
    """Read a request to MLflow's scoring server: a frame, as columns or records, or tensors."""
    split = payload.get("dataframe_split", payload)
    if isinstance(split, dict) and "columns" in split:
        return _read_table(split.get("columns"), split.get("data"))
    for name in ("dataframe_records", "instances"):
        if isinstance(records := payload.get(name), list):
            return records
    inputs = payload.get("inputs")
    if isinstance(inputs, dict):
        return _read_columns(inputs)
    if isinstance(inputs, list):
        is_tensors = all(isinstance(tensor, dict) and "shape" in tensor for tensor in inputs)
        return _read_tensors(inputs, feature_names, meant) if inputs and is_tensors else inputs
    raise Refusal(
        Reason.BAD_BATCH,
        "the payload must have columns and data, dataframe_split, dataframe_records, instances or "
        "inputs",
    )


def _read_columns(inputs: Record) -> list[Record]:
    """Read a frame that is an object of columns, each with one value an event."""
    n = -1
    for name, column in inputs.items():
        is_column = isinstance(column, list)
        require(
            is_column, f"the input {name} is {format_value(column)}; must be an array, one an event"
        )
        require(n in (-1, len(column)), f"{name} holds {len(column)} events, an earlier one {n}")
        n = len(column)
    return [dict(zip(inputs, row, strict=True)) for row in zip(*inputs.values(), strict=True)]


def _read_table(columns: Any, rows: Any) -> list[Record]:
    """Read a frame as pandas splits it: {"columns": [...], "data": [[...], ...]}."""
    is_named = isinstance(columns, list) and all(isinstance(name, str) for name in columns)
    require(is_named, "columns must be an array of texts")
    require(len(set(columns)) == len(columns), "columns names one twice")
    require(isinstance(rows, list), "data must be an array of arrays")
    return _name_values(columns, rows)


# ---------------------------------------------------------------------------------- Seldon


def _read_message(payload: Record) -> list[Any]:
    """Read a message of Seldon's own protocol: `data`, `jsonData` or `strData`."""
    if isinstance(payload.get("data"), dict):
        return _name_rows(payload["data"])
    if "jsonData" in payload:
        value = payload["jsonData"]
        return value if isinstance(value, list) else [value]
    if isinstance(payload.get("strData"), str):
        return [open_text(payload["strData"])]
    raise Refusal(
        Reason.BAD_BATCH, "the payload must have data, jsonData or strData; binData can't be read"
    )


def _name_rows(data: Record) -> list[Any]:
    """Return the rows of Seldon's `data`, as objects where it has names."""
    names = data.get("names") or []
    is_named = isinstance(names, list) and all(isinstance(name, str) for name in names)
    require(is_named and len(set(names)) == len(names), "names must be texts, each once")
    tensor = data.get("tensor")
    if isinstance(tensor, dict):
        given = {"shape": tensor.get("shape"), "data": tensor.get("values")}
        rows: Any = tensor_rows(given, "tensor")
    else:
        rows = data.get("ndarray")
        require(isinstance(rows, list), "data must have an array `ndarray`, or a `tensor`")
        is_flat = not any(isinstance(row, list) for row in rows)
        rows = [rows] if is_flat and len(names) == len(rows) > 0 else rows
    return _name_values(names, rows) if names else rows


def _name_values(names: list[str], rows: list[Any]) -> list[Any]:
    for row in rows:
        if not isinstance(row, list) or len(row) != len(names):
            fault = f"a row of data is {format_value(row)}; must be {len(names)} values"
            raise Refusal(Reason.BAD_BATCH, fault)
    return [dict(zip(names, row, strict=True)) for row in rows]


# ---------------------------------------------------------------------------------- tensors


def _read_tensors(
    inputs: Any, feature_names: Sequence[str], meant: Collection[str]
) -> list[Record]:
    """Read tensors of KServe's open inference protocol; each holds 1 or more features."""
    require(isinstance(inputs, list) and len(inputs) > 0, "inputs must be an array of tensors")
    names: list[str] = []
    columns: list[list[Any]] = []
    n = -1
    for tensor in inputs:
        require(isinstance(tensor, dict), "inputs must be an array of tensors")
        name = tensor.get("name")
        require(isinstance(name, str), f"a tensor's name is {format_value(name)}; must be a text")
        rows = tensor_rows(tensor, name)
        require(n in (-1, len(rows)), f"{name} holds {len(rows)} events, an earlier one {n}")
        n = len(rows)
        parts = list(zip(*rows, strict=True))
        names += [name] if len(parts) == 1 else [f"{name}.{j}" for j in range(len(parts))]
        columns += [list(part) for part in parts]
    free = [j for j, name in enumerate(names) if name not in meant]
    if feature_names:
        fits = len(feature_names) == len(free)
        fault = f"inputs hold {len(free)} features, input.feature_names {len(feature_names)}"
        require(fits, fault)
        for j, name in zip(free, feature_names, strict=True):
            names[j] = name
    require(len(set(names)) == len(names), "two features of the inputs have one name")
    if not columns:
        return [{} for _ in range(n)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def tensor_rows(tensor: Record, name: str) -> list[list[Any]]:
    """Return the n rows of a tensor of shape [n, ...], each flattened. Raises `Refusal`."""
    shape: Any = tensor.get("shape")
    flat: Any = tensor.get("data")
    require(isinstance(flat, list), f"{name} has no array of values; binary tensors can't be read")
    while flat and isinstance(flat[0], list):
        require(all(isinstance(row, list) for row in flat), f"the data of {name} is ragged")
        flat = list(chain.from_iterable(flat))
    is_shape = isinstance(shape, list) and bool(shape)
    is_shape = is_shape and all(type(size) is int and size >= 0 for size in shape)
    require(is_shape, f"the shape of {name} is {format_value(shape)}; must be whole numbers from 0")
    n, width = shape[0], math.prod(shape[1:])
    require(n <= EVENTS_MAX, f"{name} holds {n} events; at most {EVENTS_MAX}")
    require(
        n * width == len(flat), f"{name} has {len(flat)} values for the shape {format_value(shape)}"
    )
    return [flat[i * width : (i + 1) * width] for i in range(n)]
