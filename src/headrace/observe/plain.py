"""The quick way through a line: one event, every field at the top, every value of the usual type.

Most logs are like that, and typed decoding then costs half of looking fields up one by one. What is
in any way unusual is left to `decode`, which decides; where both take a line, they give the same.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..settings import InputSettings
from .columns import EventValues
from .values import FEATURES_MAX, SECONDS_MAX, Refusal, probabilities_of

_FIELDS: tuple[tuple[str, Any, bool], ...] = (
    ("id", str, True),
    ("at", float, True),
    ("features", dict[str, float | int | bool | str | None], True),
    ("predicted", str | None, False),
    ("probabilities", dict[str, float] | None, False),
    ("key", str | None, False),
    ("model_version", str | None, False),
)


class PlainLines:
    """Reads lines of logs whose [input] names plain fields; `values` is None for any other line."""

    def __init__(self, settings: InputSettings) -> None:
        self._bytes_max = settings.line_bytes_max
        self._line: msgspec.json.Decoder[Any] | None = None
        paths = {name: getattr(settings, name) for name, _, _ in _FIELDS}
        is_plain = settings.batch == "none" and len(set(paths.values())) == len(paths)
        is_plain = is_plain and not settings.decoder and not settings.class_names
        is_plain = is_plain and settings.at_unit == "s" and not settings.status
        is_plain = is_plain and not settings.join.id
        if is_plain and all(path and "." not in path for path in paths.values()):
            fields = [
                (name, kind) if is_needed else (name, kind, None)
                for name, kind, is_needed in _FIELDS
            ]
            line = msgspec.defstruct("Line", fields, rename=paths, gc=False)
            self._line = msgspec.json.Decoder(line)

    def values(self, line: bytes) -> EventValues | None:
        """The values of the one event of this line, or None to have it looked at properly."""
        if self._line is None or len(line) > self._bytes_max:
            return None
        try:
            found = self._line.decode(line)
            given = found.probabilities
            probabilities = None if given is None else probabilities_of(given, ())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Refusal):
            return None
        if len(found.features) > FEATURES_MAX or not -SECONDS_MAX <= found.at <= SECONDS_MAX:
            return None
        return (
            found.id,
            found.at,
            found.features,
            found.predicted or None,
            probabilities,
            found.key or None,
            found.model_version or None,
        )
