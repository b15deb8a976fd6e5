"""The user's own function that reads a record: bytes, and headers if it wants them, to objects.

For logs that are no JSON, or whose fields stand where no path leads. What it gives is made what
JSON would give, so that nothing behind it meets a type of somebody else's, and a limit holds on its
size. What the function must be is in docs/LOGS.md; it runs for every record, so it sets the pace.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec
import numpy as np

from ..errors import BadSettings
from ..importing import SAID_MAX, imported
from ..messages import Reason
from .payloads import EVENTS_MAX, Record
from .values import Refusal, shown

Headers: TypeAlias = Mapping[str, bytes]


class Hook:
    """The function of `input.decoder` or `answers.decoder`, ready to be called.

    `has_headers`: it has a parameter `headers`, and is given those of the record by that name.

    Raises `BadSettings` where there is no such function, or it can't be called with a record.

    >>> Hook("json:loads", 1_000).records(b'[{"id": 1}, {"id": 2}]', {})
    [{'id': 1}, {'id': 2}]
    """

    def __init__(self, path: str, bytes_max: int, setting: str = "input.decoder") -> None:
        said = f"{setting} is {path!r}"
        self._function = imported(setting, path)
        self._bytes_max = bytes_max
        self.has_headers = _has_headers(self._function, said)

    def records(self, value: bytes, headers: Headers) -> list[Record]:
        """The objects of a record, as JSON would give them; none if nothing in it is an event.

        Raises `Refusal`.
        """
        try:
            if self.has_headers:
                found = self._function(value, headers=headers)
            else:
                found = self._function(value)
            line = _ENCODER.encode(found)
            records = _DECODER.decode(line)
        except Exception as error:
            # What a function of somebody else's raises can be anything; the stream goes on.
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
                fault = f"it gave {shown(record)}; must give an object, or an array of objects"
                raise Refusal(Reason.NOT_DECODED, fault)
        return records


def _plain(value: object) -> object:
    """What the encoder does not know itself: values and arrays of numpy."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"it gave an object of type {type(value).__name__}, which JSON does not have")


_ENCODER = msgspec.json.Encoder(enc_hook=_plain, decimal_format="number")
_DECODER = msgspec.json.Decoder()


def _drop_surrogates(text: str) -> str:
    """Without halves of surrogate pairs, which no record can hold."""
    return text.encode("utf-8", errors="replace").decode()


def _has_headers(function: Callable[..., Any], said: str) -> bool:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # Written in another language: it is called with the record alone.
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
