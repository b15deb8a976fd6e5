"""Calls the user's own function that decodes a record: bytes, and perhaps headers, to objects.

It is for logs that are not JSON, or whose fields no path can name. Its result is converted to what
JSON would give, so that later code meets no foreign type, and limited in size. docs/LOGS.md says
what the function must do; it runs for every record, so its speed limits that of the whole.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec
import numpy as np

from ..errors import BadSettings
from ..importing import SAID_MAX, import_function
from ..messages import Reason
from .payloads import EVENTS_MAX, Record
from .values import Refusal, format_value

Headers: TypeAlias = Mapping[str, bytes]


class Hook:
    """The function of `input.decoder` or `answers.decoder`, imported and checked.

    `path` is the `module:attribute` in the setting `setting`, `bytes_max` the size limit of its
    result as JSON. `has_headers`: the function has a parameter `headers`, which gets those of the
    record. Raises `BadSettings` where there is no such function, or it can't take a record.

    >>> Hook("json:loads", 1_000).read_records(b'[{"id": 1}, {"id": 2}]', {})
    [{'id': 1}, {'id': 2}]
    """

    def __init__(self, path: str, bytes_max: int, setting: str = "input.decoder") -> None:
        fault = f"{setting} is {path!r}"
        self._function = import_function(setting, path)
        self._bytes_max = bytes_max
        self.has_headers = _has_headers(self._function, fault)

    def read_records(self, value: bytes, headers: Headers) -> list[Record]:
        """Return the objects in a record, as JSON would give them; [] if it has no event.

        Raises `Refusal` if the function fails or its result can't be used.
        """
        try:
            if self.has_headers:
                answer = self._function(value, headers=headers)
            else:
                answer = self._function(value)
            line = _ENCODER.encode(answer)
            records = _DECODER.decode(line)
        except Exception as error:
            # A user's function may raise anything; the stream must go on.
            text = f"{type(error).__name__}: {error}"[:SAID_MAX]
            raise Refusal(Reason.NOT_DECODED, _drop_surrogates(text)) from None
        if len(line) > self._bytes_max:
            fault = f"what is in it has {len(line)} bytes as JSON; at most {self._bytes_max}"
            raise Refusal(Reason.OVERSIZE, fault)
        records = records if type(records) is list else [records]
        if len(records) > EVENTS_MAX:
            fault = f"it holds {len(records)} objects; at most {EVENTS_MAX}"
            raise Refusal(Reason.NOT_DECODED, fault)
        for record in records:
            if type(record) is not dict:
                fault = (
                    f"it gave {format_value(record)}; must give an object, or an array of objects"
                )
                raise Refusal(Reason.NOT_DECODED, fault)
        return records


def _to_plain(value: object) -> object:
    """Convert what the encoder does not know itself: values and arrays of numpy."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"it gave an object of type {type(value).__name__}, which JSON does not have")


_ENCODER = msgspec.json.Encoder(enc_hook=_to_plain, decimal_format="number")
_DECODER = msgspec.json.Decoder()


def _drop_surrogates(text: str) -> str:
    """Replace halves of surrogate pairs, which no record can hold."""
    return text.encode("utf-8", errors="replace").decode()


def _has_headers(function: Callable[..., Any], said: str) -> bool:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # A function in C may have no signature: it is called with the record alone.
        return False
    has_headers = "headers" in signature.parameters
    try:
        signature.bind(b"", **({"headers": {}} if has_headers else {}))
    except TypeError as error:
        raise BadSettings(
            f"{said}; it can't be called with a record, and `headers` if it has a parameter of "
            f"that name: {error}"
        ) from error
    return has_headers
