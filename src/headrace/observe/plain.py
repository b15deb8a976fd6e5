"""The quick way to decode a line: one event, every field at the top, every value of its usual type.

Most logs are like that, and typed decoding then costs half as much as looking up fields one by one;
for many lines with the same features no dict is made at all. Any line that is unusual is left to
`decode`; lines that both can decode give the same events.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import astuple

from ..messages import EventBatch
from ..settings import InputSettings
from .columns import EventValues, batch_of_values
from .originals import LineFeatures
from .values import FEATURES_MAX, SECONDS_MAX, Refusal, probabilities_of

TEMPLATE_LINES_MIN = 16
"""For fewer lines no template is made: that takes as long as reading about a hundred lines."""

PAUSE_MAX = 256
"""After a batch that fits no template, the next 2, 4, 8, ... batches are read line by line.

This is the largest number of them.
"""

_FIELDS: tuple[tuple[str, Any, bool], ...] = (
    ("id", str, True),
    ("at", float, True),
    ("features", dict[str, float | int | bool | str | None], True),
    ("predicted", str | None, False),
    ("probabilities", dict[str, float] | None, False),
    ("key", str | None, False),
    ("model_version", str | None, False),
)


class Template(NamedTuple):
    """The features that lines must have, which of them may be texts, and a decoder for them."""

    names: tuple[str, ...]
    are_texts: tuple[bool, ...]
    decoder: msgspec.json.Decoder[Any]


class PlainLines:
    """Decodes lines of logs whose paths in [input] are plain fields; returns None for other lines.

    `values` reads one line, `batch` many whose features are all among those of a template.
    """

    def __init__(self, settings: InputSettings) -> None:
        self._bytes_max = settings.line_bytes_max
        self._line: msgspec.json.Decoder[Any] | None = None
        self._template: Template | None = None
        self._misses_n = self._pause_n = 0
        self._paths = {name: getattr(settings, name) for name, _, _ in _FIELDS}
        paths = self._paths
        is_plain = settings.batch == "none" and len(set(paths.values())) == len(paths)
        is_plain = is_plain and not settings.decoder and not settings.class_names
        is_plain = is_plain and settings.at_unit == "s" and not settings.status
        is_plain = is_plain and not settings.join.id
        if is_plain and all(path and "." not in path for path in paths.values()):
            self._line = _make_decoder(paths)

    def values(self, line: bytes) -> EventValues | None:
        """Return the values of the event in this line; None to have `decode` read it."""
        if self._line is None or len(line) > self._bytes_max:
            return None
        try:
            fields = self._line.decode(line)
            shares = fields.probabilities
            probabilities = None if shares is None else probabilities_of(shares, ())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Refusal):
            return None
        if len(fields.features) > FEATURES_MAX or not -SECONDS_MAX <= fields.at <= SECONDS_MAX:
            return None
        return (
            fields.id,
            fields.at,
            fields.features,
            fields.predicted or None,
            probabilities,
            fields.key or None,
            fields.model_version or None,
        )

    def batch(self, lines: Sequence[bytes]) -> EventBatch | None:
        """Return the events of these lines, one each; None to have them read one by one.

        Whether it is tried depends on the lines before; the events that are read do not.
        """
        if self._line is None or self._pause_n:
            self._pause_n = max(0, self._pause_n - 1)
            return None
        if self._template is None and len(lines) >= TEMPLATE_LINES_MIN:
            self._template = self._make_template(lines[0])
        if self._template is None or not lines:
            return None
        batch = self._read_batch(lines, self._template)
        self._misses_n = self._misses_n + 1 if batch is None else 0
        if batch is None:
            self._template, self._pause_n = None, min(PAUSE_MAX, 1 << self._misses_n)
        return batch

    def _make_template(self, line: bytes) -> Template | None:
        values = self.values(line)
        if values is None or not values[2]:
            return None
        features = values[2]
        are_texts = tuple(isinstance(value, str) for value in features.values())
        fields = [
            (f"f{j}", str | None if is_text else float | bool | None, None)
            for j, is_text in enumerate(are_texts)
        ]
        names = {f"f{j}": name for j, name in enumerate(features)}
        of_features = msgspec.defstruct(
            "Features", fields, rename=names, forbid_unknown_fields=True, gc=False
        )
        return Template(tuple(features), are_texts, _make_decoder(self._paths, of_features))

    def _read_batch(self, lines: Sequence[bytes], template: Template) -> EventBatch | None:
        decode = template.decoder.decode
        if max(map(len, lines)) > self._bytes_max:
            return None
        try:
            parsed = [decode(line) for line in lines]
            probabilities = [
                None if one.probabilities is None else probabilities_of(one.probabilities, ())
                for one in parsed
            ]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Refusal):
            return None
        ats = [one.at for one in parsed]
        if not -SECONDS_MAX <= min(ats) <= max(ats) <= SECONDS_MAX:
            return None
        return batch_of_values(
            template.names,
            template.are_texts,
            [*chain.from_iterable([astuple(one.features) for one in parsed])],
            ids=[one.id for one in parsed],
            ats=ats,
            predicted=[one.predicted or None for one in parsed],
            probabilities=probabilities,
            keys=[one.key or None for one in parsed],
            model_versions=[one.model_version or None for one in parsed],
            originals=LineFeatures(lines, self._paths["features"]),
        )


def _make_decoder(paths: dict[str, str], of_features: Any = None) -> msgspec.json.Decoder[Any]:
    """Return a decoder of lines with fields at these paths, and features of the given type."""
    fields = [
        (name, of_features if of_features and name == "features" else kind)
        if is_needed
        else (name, kind, None)
        for name, kind, is_needed in _FIELDS
    ]
    line = msgspec.defstruct("Line", fields, rename=paths, gc=False)
    return msgspec.json.Decoder(line)
